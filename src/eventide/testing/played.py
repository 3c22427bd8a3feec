"""What playing a case gives, and how two answers differ.

Law: rows are compared as multisets; every difference is said in words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eventide.errors import EventideError


class Unsupported(EventideError):
    """The engine does not do what a case asks; the message says what."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came out: the rows at each `expect`, the whole late output, and how they differ from the case (empty:
    not).
    """

    steps: list[list[dict[str, object]]]
    late: list[dict[str, object]]
    difference: str

    @property
    def ok(self) -> bool:
        """True when everything is as the case says."""
        return not self.difference


def difference(where: str, got: Sequence[Mapping[str, object]], wanted: Sequence[Mapping[str, object]]) -> list[str]:
    """How two multisets of rows differ, in words."""
    ours = Counter(tuple(sorted(row.items())) for row in got)
    theirs = Counter(tuple(sorted(row.items())) for row in wanted)
    missing, extra = theirs - ours, ours - theirs
    said = [f"{where}: missing {dict(row)}" for row in missing.elements()]
    return said + [f"{where}: unexpected {dict(row)}" for row in extra.elements()]
