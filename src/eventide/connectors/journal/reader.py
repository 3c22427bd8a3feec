"""A journal as a log: records are read back from the disk, in their order, however far the engine is behind.

Law: a position is an offset of the journal. Records are let go of when no kept checkpoint stands in front of them.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from eventide.connectors.journal.journal import Journal, JournalSettings, Record
from eventide.connectors.journal.keeper import Keeper
from eventide.connectors.one_log import OneLog
from eventide.errors import SourceError
from eventide.flow import Batch, GrowingDisk, Position, ReadContext, SystemDisk

_READ_BYTES = 16 * 2**20

AsBatch = Callable[[str, Sequence[Record]], Batch]
"""Makes a batch of a log from records."""


class JournalReader:
    """Reads what the keeper has kept. `watch` raises what stops the run."""

    def __init__(self, log: str, journal: Journal, position: int, as_batch: AsBatch) -> None:
        self.log = log
        self.finished = False
        self.watch: Callable[[], None] = lambda: None
        self._journal = journal
        self._next = position
        self._as_batch = as_batch

    def read(self, rows_max: int) -> Batch | None:
        records = self._journal.read(self._next, rows_max, _READ_BYTES)
        if not records:
            self.watch()
            return None
        self._next = records[-1].offset + 1
        return self._as_batch(self.log, records)

    def position(self) -> Position:
        return {"offset": self._next}

    def decided(self, position: Position, oldest: Position) -> None:
        try:
            self._journal.let_go(int(oldest.get("offset") or 0), int(position.get("offset") or 0))
        except OSError as fault:
            raise SourceError(
                f"cannot remove from the journal in {self._journal.folder} what is not needed any more: "
                f"{fault.strerror or fault}. Nothing is lost; mend that and start again"
            ) from None

    def close(self) -> None:
        """There is nothing of its own."""


@dataclass(kw_only=True)
class JournalLogs(OneLog):
    """The one log of a source with a journal, and all that is released with it."""

    reader: JournalReader
    keeper: Keeper
    held: ExitStack

    def label(self, name: str, value: str) -> str:
        """A value that the journal has for ever: the given one, if it has none yet. Raises `SourceError`."""
        try:
            return self.keeper.journal.label(name, value)
        except OSError as fault:
            folder = self.keeper.journal.folder
            raise SourceError(f"cannot use the journal in {folder}: {fault.strerror or fault}") from None

    def close(self) -> None:
        self.held.close()


def open_journal(
    name: str,
    journal: str | None,
    context: ReadContext,
    positions: Mapping[str, Position],
    as_batch: AsBatch,
    settings: JournalSettings | None = None,
) -> JournalLogs:
    """The journal of the source `name`: in the folder `journal`, else below the run's state folder, else in a temporary
    folder that goes with the run. Whoever opens it puts its server on the stack `held`.
    """
    with ExitStack() as held:
        disk, folder = _place(name, journal, context, held)
        try:
            disk.make_folder(folder)
            holder = held.enter_context(disk.hold(folder / "lock", name))
            if holder is not None:
                raise SourceError(
                    f"the journal in {folder} is in use by {holder}: give each source a journal= of its own"
                )
            kept = Journal(disk, folder, settings)
        except OSError as fault:
            raise SourceError(f"cannot use the journal in {folder}: {fault.strerror or fault}") from None
        if kept.cut_bytes:
            _say(
                f"{kept.cut_bytes:,} bytes at the end of the journal in {folder} are not whole: they were not confirmed"
            )
        reader = JournalReader(name, kept, _start(name, kept, positions), as_batch)
        keeper = Keeper(kept, context.clock, context.wake, in_order=settings is not None and settings.in_order)
        held.callback(keeper.close)
        return JournalLogs(reader=reader, keeper=keeper, held=held.pop_all())


def _start(name: str, kept: Journal, positions: Mapping[str, Position]) -> int:
    offset = positions.get(name, {}).get("offset")
    if offset is None:
        return kept.first
    start = int(offset)
    if start > kept.next:
        raise SourceError(
            f"the journal in {kept.folder} ends at {kept.next:,}, but was read up to {start:,}: it is another one, or "
            "was cut off. Put the right one there (with a savepoint, a copy of the old state's), or begin anew with "
            "another state folder"
        )
    if start < kept.first:
        raise SourceError(
            f"the journal in {kept.folder} begins at {kept.first:,}, but the state goes on at {start:,}: it was let go "
            "of for a newer checkpoint. Use the newest state, or begin anew with another state folder"
        )
    return start


def _place(name: str, journal: str | None, context: ReadContext, held: ExitStack) -> tuple[GrowingDisk, Path]:
    if journal is not None:
        return SystemDisk(), Path(journal)
    if context.state is None:
        folder = tempfile.mkdtemp(prefix="eventide-journal-")
        held.callback(shutil.rmtree, folder, ignore_errors=True)
        _say(f"{name}: what is accepted is kept only as long as this run: give the run a state folder, or journal=")
        return SystemDisk(), Path(folder)
    if not isinstance(context.disk, GrowingDisk):
        raise SourceError(f"{name} cannot keep its journal in {context.state}: give it a local folder with journal=")
    return context.disk, context.state / "journal" / quote(name, safe=" ").replace(".", "%2E")


def _say(text: str) -> None:
    print(f"eventide: {text}", file=sys.stderr)
