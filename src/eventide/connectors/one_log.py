"""An opened source that has one log.

Law: the reader is handed out once; closing the source closes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eventide.flow import LogReader


@dataclass
class OneLog:
    """The one log of a source, with its reader."""

    reader: LogReader
    may_grow: bool = False
    _given: bool = False

    def discover(self) -> Sequence[LogReader]:
        given, self._given = self._given, True
        return [] if given else [self.reader]

    def close(self) -> None:
        self.reader.close()
