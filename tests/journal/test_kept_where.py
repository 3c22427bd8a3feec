"""Where a source keeps its journal: below the state folder, in a folder of its own, or with the run only."""

from __future__ import annotations

import threading
from pathlib import Path

import polars as pl
import pytest

import eventide as et
from eventide.connectors.journal import JournalLogs, open_journal
from eventide.connectors.journal.keeper import Ended, Full
from eventide.flow import Batch, Position, ReadContext, SystemDisk
from eventide.testing import SimulatedDisk


def opened(
    context: ReadContext, journal: Path | None = None, name: str = "events", position: Position | None = None
) -> JournalLogs:
    positions = {} if position is None else {name: position}
    return open_journal(name, None if journal is None else str(journal), context, positions, as_batch)


def as_batch(log: str, records: object) -> Batch:
    return Batch(log, pl.DataFrame())


def kept(logs: JournalLogs, *values: bytes) -> int:
    """Hand values over and wait for the answer."""
    done, answers = threading.Event(), list[int | OSError]()

    def told(answer: int | OSError) -> None:
        answers.append(answer)
        done.set()

    logs.keeper.hand(values, told)
    assert done.wait(10)
    assert isinstance(answers[0], int)
    return answers[0]


def test_without_state_it_goes_with_the_run_and_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    logs = opened(ReadContext())
    folder = logs.keeper.journal.folder
    assert kept(logs, b"a") == 0
    assert "kept only as long as this run" in capsys.readouterr().err
    logs.close()
    assert not folder.exists()


def test_it_lies_below_the_state_folder_whatever_the_source_is_called() -> None:
    disk = SimulatedDisk()
    for name in ("events", "..", "air/+/dose $x", "ü"):
        logs = opened(ReadContext(disk=disk, state=Path("/state")), name=name)
        assert logs.keeper.journal.folder.parent == Path("/state/journal")
        assert kept(logs, b"a", b"b") == 0
        logs.close()
        again = opened(ReadContext(disk=disk, state=Path("/state")), name=name)
        assert kept(again, b"c") == 2
        again.close()
    assert len(disk.names(Path("/state/journal"))) == 4


def test_state_that_is_not_on_a_disk_needs_a_folder_for_it(tmp_path: Path) -> None:
    class Store:
        """A store that only takes whole files."""

    context = ReadContext(disk=Store(), state=Path("/state"))  # type: ignore[arg-type] # not even that is asked for
    with pytest.raises(et.SourceError, match="give it a local folder with journal="):
        opened(context)
    opened(context, tmp_path).close()


def test_positions_that_do_not_belong_to_it_are_told(tmp_path: Path) -> None:
    logs = opened(ReadContext(), tmp_path)
    kept(logs, b"a", b"b")
    logs.reader.decided({"offset": 2}, {"offset": 1})
    logs.close()
    with pytest.raises(et.SourceError, match="ends at 2, but was read up to 3: it is another one"):
        opened(ReadContext(), tmp_path, position={"offset": 3})
    with pytest.raises(et.SourceError, match="begins at 1, but the state goes on at 0"):
        opened(ReadContext(), tmp_path, position={"offset": 0})
    logs = opened(ReadContext(), tmp_path)
    assert logs.reader.position() == {"offset": 1}
    logs.close()


def test_a_keeper_that_has_ended_takes_nothing_and_one_without_room_says_so(tmp_path: Path) -> None:
    logs = opened(ReadContext(), tmp_path)
    logs.keeper.journal.worked_off = 0
    with logs.keeper._changed:
        logs.keeper._waiting_bytes = 2**40
    with pytest.raises(Full):
        logs.keeper.hand([b"a"], lambda answer: None)
    logs.close()
    with pytest.raises(Ended):
        logs.keeper.hand([b"a"], lambda answer: None)
    assert SystemDisk().names(tmp_path) == ["lock"]
