"""The journal: what was confirmed is there after any stop, under its offset; what was torn is not; damage is told."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import eventide as et
from eventide.connectors.journal import Journal, JournalSettings, Record
from eventide.flow import SystemDisk
from eventide.testing import Crash, SimulatedDisk

AT = Path("/journal")


def value(number: int) -> bytes:
    return f"event {number} ".encode() * (number % 5) + b"\0\xff\n"


def filled(disk: SimulatedDisk | SystemDisk, *sizes: int, folder: Path = AT, segment_bytes: int = 200) -> Journal:
    """A journal with groups of so many records, in small segments."""
    journal = Journal(disk, folder, JournalSettings(segment_bytes=segment_bytes))
    for size in sizes:
        first = journal.next
        assert journal.append([value(n) for n in range(first, first + size)], range(first, first + size)) == first
    return journal


def check(journal: Journal, start: int, end: int, rows: int = 7, size: int = 10**6) -> None:
    """It holds exactly the records from `start` up to `end`."""
    found: list[Record] = []
    while part := journal.read(start + len(found), rows, size):
        assert len(part) <= rows
        found += part
    assert [tuple(one) for one in found] == [(n, n, value(n)) for n in range(start, end)]


@pytest.mark.parametrize("start", [0, 1, 5, 9, 36, 37])
@pytest.mark.parametrize("rows", [1, 4, 1_000])
def test_records_come_back_from_any_offset_in_any_pieces(start: int, rows: int) -> None:
    disk = SimulatedDisk()
    for journal in (filled(disk, 1, 5, 3, 27, 1), Journal(disk, AT)):
        check(journal, start, 37, rows)
        check(journal, start, 37, rows, size=1)


def test_reading_follows_what_is_appended_over_segments_and_restarts() -> None:
    disk, reached = SimulatedDisk(), 0
    for _ in range(3):
        journal = filled(disk)
        for size in (1, 2, 30, 1):
            filled_to = (
                journal.append(
                    [value(n) for n in range(journal.next, journal.next + size)],
                    range(journal.next, journal.next + size),
                )
                + size
            )
            check(journal, reached, filled_to)
            reached = filled_to
    check(Journal(disk, AT), 0, 3 * 34)


def test_the_machines_own_disk_keeps_what_the_simulated_one_does(tmp_path: Path) -> None:
    filled(SystemDisk(), 1, 5, 3, 27, folder=tmp_path)
    journal = filled(SystemDisk(), 4, folder=tmp_path)
    check(journal, 3, 40)
    journal.let_go(30)
    check(Journal(SystemDisk(), tmp_path), 30, 40)
    big = Journal(SystemDisk(), tmp_path / "big")
    big.append([b"x" * 5_000_000, b"", b"y"], [1, 2, 3])
    assert [(len(one.value), one.arrival_us) for one in big.read(0, 10, 10**9)] == [(5_000_000, 1), (0, 2), (1, 3)]
    assert len(big.read(0, 10, 100)) == 1


def test_a_tail_that_is_torn_at_any_byte_is_cut_and_nothing_before_it() -> None:
    disk = SimulatedDisk()
    filled(disk, 3, 2, segment_bytes=10**6)
    whole = disk.read(AT / f"{0:020}.log")
    before = len(whole) - len_of_last(disk)
    for cut in range(before, len(whole)):
        for garbage in (b"", bytes(50), b"\xff" * 50):
            torn = SimulatedDisk()
            filled(torn, 3, segment_bytes=10**6)
            torn.write(AT / f"{0:020}.log", whole[:cut] + garbage)
            journal = Journal(torn, AT)
            assert (journal.next, journal.cut_bytes) == (3, cut - before + len(garbage))
            journal.append([value(3)], [3])
            check(Journal(torn, AT), 0, 4)


def len_of_last(disk: SimulatedDisk) -> int:
    """How long the group of records 3 and 4 is: a head of 28 bytes, then 12 for each and their values."""
    return 28 + 2 * 12 + len(value(3)) + len(value(4))


def test_a_flipped_bit_anywhere_is_told_or_is_no_loss_of_what_stands_before_it() -> None:
    disk = SimulatedDisk()
    filled(disk, 3, 2, 4, segment_bytes=10**6)
    path = AT / f"{0:020}.log"
    whole = disk.read(path)
    last = len(whole) - (28 + 4 * 12 + sum(len(value(n)) for n in range(5, 9)))
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 4
        disk.write(path, bytes(data))
        if place < last:
            with pytest.raises(et.SourceError, match="the journal in /journal is damaged"):
                Journal(disk, AT)
        else:
            check(Journal(disk, AT), 0, 5)


def test_damage_in_an_older_segment_is_told_when_it_is_read() -> None:
    disk = SimulatedDisk()
    filled(disk, 30, 30, 30)
    path = AT / f"{0:020}.log"
    disk.write(path, disk.read(path)[:-1])
    journal = Journal(disk, AT)
    check(journal, 30, 90)
    with pytest.raises(et.SourceError, match="segment 0 cannot be read from offset 0 on"):
        journal.read(0, 10, 10)
    disk.remove(path)
    with pytest.raises(et.SourceError, match="offset 0 is gone: it begins at 30"):
        Journal(disk, AT).read(0, 10, 10)


def test_records_that_look_like_groups_are_only_records() -> None:
    """Whoever sends the bytes of a segment as a record, even of another journal, changes nothing."""
    disk = SimulatedDisk()
    filled(disk, 5)
    copy = disk.read(AT / f"{0:020}.log")
    for cut in (0, 28):
        other = SimulatedDisk()
        Journal(other, AT).append([b"a", copy[cut:], b"b"], [1, 2, 3])
        path = AT / f"{0:020}.log"
        other.write(path, other.read(path)[:-1])
        assert Journal(other, AT).next == 0


def test_what_is_let_go_of_leaves_the_disk_segment_by_segment_and_offsets_go_on() -> None:
    disk = SimulatedDisk()
    journal = filled(disk, 30, 30, 30)
    journal.let_go(29)
    assert len(logs(disk)) == 3
    journal.let_go(60)
    assert logs(disk) == [f"{60:020}.log"]
    assert (journal.first, Journal(disk, AT).first) == (60, 60)
    journal.let_go(90)
    again = Journal(disk, AT)
    assert (again.first, again.next) == (90, 90)
    assert again.append([value(90)], [90]) == 90
    check(again, 90, 91)
    again.let_go(10)
    assert again.first == 90


def logs(disk: SimulatedDisk) -> list[str]:
    return [name for name in disk.names(AT) if name.endswith(".log")]


def test_a_full_disk_refuses_and_later_goes_on() -> None:
    for fails in range(2, 40):
        disk = SimulatedDisk(seed=fails)
        journal = filled(disk, 3)
        disk.full_at = fails
        for _ in range(10):
            try:
                filled_from = journal.next
                journal.append(
                    [value(n) for n in range(filled_from, filled_from + 4)], range(filled_from, filled_from + 4)
                )
            except OSError:
                check(journal, 0, filled_from)
        assert journal.next >= 3 + 9 * 4
        check(journal, 0, journal.next)
        check(Journal(disk, AT), 0, journal.next)


def test_a_journal_is_full_of_what_is_not_worked_off_even_if_it_is_still_kept() -> None:
    journal = Journal(SimulatedDisk(), AT, JournalSettings(most_bytes=1_300))
    while not journal.is_full:
        journal.append([bytes(100)], [0])  # a header of 28, a head of 28, 12, 100: a segment each
    assert journal.next == 8
    journal.let_go(0, worked_off=1)
    assert not journal.is_full
    journal.append([bytes(100)], [0])
    assert journal.is_full
    journal.append([bytes(5_000)], [0])
    journal.let_go(0, worked_off=9)
    assert journal.is_full
    journal.let_go(0, worked_off=10)
    assert not journal.is_full
    assert len(journal.read(0, 100, 10**6)) == 10


def test_whatever_the_machine_forgets_what_was_confirmed_is_there() -> None:
    """A thousand stories of appending, reading and letting go on a disk that forgets what was not synced."""
    crashes = 0
    for seed in range(1_000):
        chance = random.Random(seed)
        disk = SimulatedDisk(seed)
        confirmed = taken = 0
        for _ in range(chance.randint(1, 4)):
            disk.crash_at = disk.operations + chance.randint(1, 60)
            try:
                journal = Journal(disk, AT, JournalSettings(segment_bytes=chance.choice([50, 300, 10**6])))
                assert journal.next >= confirmed
                confirmed = journal.next
                check(journal, max(journal.first, taken), journal.next, rows=chance.randint(1, 9))
                for _ in range(chance.randint(0, 12)):
                    size = chance.randint(1, 9)
                    journal.append(
                        [value(n) for n in range(confirmed, confirmed + size)], range(confirmed, confirmed + size)
                    )
                    confirmed += size
                    if chance.random() < 0.2:
                        taken = chance.randint(taken, confirmed)
                        journal.let_go(taken)
            except Crash:
                crashes += 1
                if chance.random() < 0.7:
                    disk.crash()
        disk.crash_at = None  # without a crash of the machine only the process has ended
        last = Journal(disk, AT)
        assert last.next >= confirmed, seed
        assert last.first <= max(taken, 0), seed
        check(last, taken, last.next)
    assert crashes > 500
