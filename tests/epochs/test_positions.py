"""Every source that can be read again goes on at its position: the rows before and behind a stop are all rows, once."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl
import pytest

import eventide as et
from eventide.flow import OFFSET, Position, ReadContext, Source
from eventide.testing import TestClock

SCHEMA = et.schema({"n": int, "at": et.Instant})
ROWS = [{"n": n, "at": n * 1_000} for n in range(50)]


def csv_lines(first: int, behind: int) -> str:
    """Lines of a CSV file; one in seven cannot be read."""
    return "".join(f"{'x' if n % 7 == 3 else n},{n * 1_000}\n" for n in range(first, behind))


def one_csv(folder: Path) -> Source:
    (folder / "r.csv").write_text("n,at\n" + csv_lines(0, 50))
    return et.read_csv(folder / "r.csv", schema=SCHEMA).plan.inputs[0].source


def packed_csv(folder: Path) -> Source:
    (folder / "r.csv.gz").write_bytes(gzip.compress(("n,at\n" + csv_lines(0, 50)).encode()))
    return et.read_csv(folder / "r.csv.gz", schema=SCHEMA).plan.inputs[0].source


def files_as_one_log(folder: Path) -> Source:
    for number, (first, behind) in enumerate(((0, 20), (20, 21), (21, 50))):
        (folder / f"{number}.csv").write_text("n,at\n" + csv_lines(first, behind))
    return et.read_csv(str(folder / "*.csv"), schema=SCHEMA, one_log=True).plan.inputs[0].source


def ndjson(folder: Path) -> Source:
    pl.DataFrame(ROWS).write_ndjson(folder / "r.ndjson")
    return et.read_ndjson(folder / "r.ndjson", schema=SCHEMA).plan.inputs[0].source


def parquet(folder: Path) -> Source:
    pl.DataFrame(ROWS).write_parquet(folder / "r.parquet")
    return et.read_parquet(folder / "r.parquet", schema=SCHEMA).plan.inputs[0].source


def rows(folder: Path) -> Source:
    return et.from_rows(ROWS, schema=SCHEMA).plan.inputs[0].source


def frame(folder: Path) -> Source:
    return et.from_frame(pl.DataFrame(ROWS)).plan.inputs[0].source


def reversed_csv(folder: Path) -> Source:
    (folder / "r.csv").write_text("n,at\n" + csv_lines(0, 50))
    return et.read_csv(folder / "r.csv", schema=SCHEMA, order="reversed").plan.inputs[0].source


def replayed(folder: Path) -> Source:
    """Rows that arrive a second apart, at that pace."""
    (folder / "r.csv").write_text("n,at\n" + csv_lines(0, 50))
    stream = et.read_csv(folder / "r.csv", schema=SCHEMA, arrival="at")
    return et.replay(stream, speed=1).plan.inputs[0].source


SOURCES: list[Callable[[Path], Source]] = [
    one_csv, packed_csv, files_as_one_log, ndjson, parquet, rows, frame, reversed_csv, replayed,
]  # fmt: skip


def drawn(source: Source, positions: Mapping[str, Position], most: int) -> tuple[list[tuple[int, bool]], Position]:
    """Offsets of rows (True) and refused rows (False) of so many reads, and the position behind them."""
    clock = TestClock()
    logs = source.open(ReadContext(clock), positions)
    [reader] = logs.discover()
    seen: list[tuple[int, bool]] = []
    for _ in range(most):
        batch = reader.read(7)
        clock.advance("3s")
        if batch is not None:
            found = [(offset, True) for offset in batch.rows[OFFSET]]
            seen += sorted(found + [(offset, False) for offset in batch.refused[OFFSET]])
    position = reader.position()
    logs.close()
    return seen, position


@pytest.mark.parametrize("make", SOURCES)
def test_a_stop_anywhere_loses_and_repeats_nothing(make: Callable[[Path], Source], tmp_path: Path) -> None:
    source = make(tmp_path)
    whole, _ = drawn(source, {}, 200)
    assert len(whole) == 50
    for stop in (0, 1, 2, 3, 5, 8):
        before, position = drawn(source, {}, stop)
        again, second = drawn(source, {source.name: position}, 2)
        rest, _ = drawn(source, {source.name: second}, 200)
        assert before + again + rest == whole, f"stopped after {stop} reads"


def test_a_feed_goes_on_with_new_offsets() -> None:
    feed = et.Feed(SCHEMA)
    feed.send(ROWS[0])
    feed.close()
    seen, position = drawn(feed, {"feed": {"offset": 12}}, 1)
    assert (seen, position) == ([(12, True)], {"offset": 13})
