"""CSV and NDJSON files: clean, dirty, compressed, many, growing; cut and resumed anywhere."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import eventide as et
from eventide.errors import SourceError
from eventide.flow import OFFSET, Batch, LogReader, ReadContext
from eventide.testing import TestClock

SCHEMA = et.schema({"sensor": str, "at": et.Instant, "dose": et.field(float, minimum=0, thousands=",")})
CSV = 'sensor,at,dose\na,2026-01-01T00:00:00Z,1.5\nb,2026-01-01T00:00:01Z,"1,347"\n"c,d",2026-01-01 00:00:02,\n'
NDJSON = '{"sensor":"a","at":1767225600000,"dose":1.5}\n{"sensor":"b","at":1767225601000,"dose":1347}\n{"sensor":"c,d","at":1767225602000}\n'


OPENED: list[LogReader] = []


@pytest.fixture(autouse=True)
def close_readers() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def readers(stream: et.Stream, clock: TestClock | None = None, **positions: dict[str, int]) -> list[LogReader]:
    found = list(stream.plan.inputs[0].source.open(ReadContext(clock or TestClock()), positions).discover())
    OPENED.extend(found)
    return found


def everything(reader: LogReader, rows_max: int = 1_000_000) -> tuple[pl.DataFrame, pl.DataFrame]:
    batches: list[Batch] = []
    while not reader.finished:
        batch = reader.read(rows_max)
        if batch is not None:
            batches.append(batch)
    return pl.concat([b.rows for b in batches]), pl.concat([b.refused for b in batches])


@pytest.mark.parametrize(("name", "text"), [("r.csv", CSV), ("r.ndjson", NDJSON)])
@pytest.mark.parametrize("rows_max", [1, 2, 100])
def test_rows_and_offsets_do_not_depend_on_the_cut(tmp_path: Path, name: str, text: str, rows_max: int) -> None:
    (tmp_path / name).write_text(text)
    read = et.read_csv if name.endswith("csv") else et.read_ndjson
    rows, refused = everything(readers(read(tmp_path / name, schema=SCHEMA))[0], rows_max)
    assert rows["sensor"].to_list() == ["a", "b", "c,d"]
    assert rows["dose"].to_list() == [1.5, 1347.0, None]
    assert rows["at"].cast(pl.Int64).to_list() == [1_767_225_600_000_000 + n * 1_000_000 for n in range(3)]
    assert rows[OFFSET].to_list() == [0, 1, 2]
    assert refused.height == 0


@pytest.mark.parametrize("rows_max", [1, 3, 100])
def test_bad_csv_rows_are_refused_one_by_one_with_reason_and_offset(tmp_path: Path, rows_max: int) -> None:
    lines = [
        "sensor,at,dose",
        "a,2026-01-01T00:00:00Z,1",
        "b,yesterday,2",
        "c,2026-01-01T00:00:00Z",
        "d,2026-01-01T00:00:00Z,-1",
        "e,2026-01-01T00:00:00Z,x",
        "f,2026-01-01T00:00:05Z,3",
    ]
    (tmp_path / "r.csv").write_text("\n".join(lines) + "\n")
    rows, refused = everything(readers(et.read_csv(tmp_path / "r.csv", schema=SCHEMA))[0], rows_max)
    assert rows["sensor"].to_list() == ["a", "f"]
    assert refused[OFFSET].to_list() == [1, 2, 3, 4]
    assert refused["field"].to_list() == ["at", None, "dose", "dose"]
    assert refused["reason"].to_list() == [
        'not a time: "yesterday"',
        "2 fields, the header has 3",
        'below minimum 0: "-1"',
        'not a number: "x"',
    ]


def test_bad_json_lines_never_cost_their_neighbours(tmp_path: Path) -> None:
    bad = [b'{"sensor":', b"[1]", b'{"sensor":"\xff"}', b"[" * 100_000, b'{"sensor":"z","at":"soon"}']
    good = b'{"sensor":"a","at":0,"dose":1}'
    (tmp_path / "r.ndjson").write_bytes(b"\n".join([good, *bad, good]) + b"\n")
    rows, refused = everything(readers(et.read_ndjson(tmp_path / "r.ndjson", schema=SCHEMA))[0])
    assert rows[OFFSET].to_list() == [0, 6]
    assert refused[OFFSET].to_list() == [1, 2, 3, 4, 5]
    assert refused["reason"].str.head(8).to_list() == ["not JSON", "not a JS", "not UTF-", "not JSON", "not a ti"]


def test_nested_values_are_found_by_path(tmp_path: Path) -> None:
    (tmp_path / "r.ndjson").write_text('{"rx":[{"time":"2026-01-01T00:00:00Z"},{}],"d":{"t":{"c":21}}}\n{"rx":[]}\n')
    schema = et.schema({"at": et.field(et.Instant, path="rx[0].time"), "celsius": et.field(float, path="d.t.c")})
    rows, _ = everything(readers(et.read_ndjson(tmp_path / "r.ndjson", schema=schema))[0])
    assert rows["celsius"].to_list() == [21.0, None]
    assert rows["at"].null_count() == 1


@pytest.mark.parametrize("offset", [0, 1, 2])
def test_a_reader_resumes_at_every_offset(tmp_path: Path, offset: int) -> None:
    (tmp_path / "r.csv").write_text(CSV)
    stream = et.read_csv(tmp_path / "r.csv", schema=SCHEMA)
    first = readers(stream)[0]
    for _ in range(offset):
        first.read(1)
    position = {name: int(value or 0) for name, value in first.position().items()}
    again = readers(stream, None, **{"r.csv": position})[0]
    assert everything(again, 1)[0][OFFSET].to_list() == list(range(offset, 3))


def test_gzip_and_zstd_files_read_as_plain_ones(tmp_path: Path) -> None:
    import zstandard

    (tmp_path / "r.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    (tmp_path / "r.csv.zst").write_bytes(zstandard.compress(CSV.encode()))
    for name in ("r.csv.gz", "r.csv.zst"):
        assert everything(readers(et.read_csv(tmp_path / name, schema=SCHEMA))[0])[0].height == 3


def test_each_file_of_a_pattern_is_a_log_unless_one_log_is_asked_for(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv"):
        (tmp_path / name).write_text(CSV)
    pattern = tmp_path / "*.csv"
    assert [reader.log for reader in readers(et.read_csv(pattern, schema=SCHEMA))] == ["a.csv", "b.csv"]
    (one,) = readers(et.read_csv(pattern, schema=SCHEMA, one_log=True))
    assert everything(one, 2)[0][OFFSET].to_list() == [0, 1, 2, 3, 4, 5]


def test_a_followed_file_gives_a_line_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("sensor,at,dose\na,2026-01-01T00:00:00Z,1\nb,2026-01")
    (reader,) = readers(et.read_csv(path, schema=SCHEMA, follow=True))
    batch = reader.read(10)
    assert batch is not None
    assert batch.rows["sensor"].to_list() == ["a"]
    assert reader.read(10) is None
    with path.open("a") as file:
        file.write("-01T00:00:01Z,2\n")
    batch = reader.read(10)
    assert batch is not None
    assert batch.rows["sensor"].to_list() == ["b"]
    assert not reader.finished


def test_a_missing_column_is_named_with_its_nearest(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("sensor,at,doze\n")
    with pytest.raises(SourceError, match=r"'dose' \(did you mean 'doze'\?\)"):
        readers(et.read_csv(tmp_path / "r.csv", schema=SCHEMA))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SourceError, match="cannot open nowhere.csv"):
        readers(et.read_csv("nowhere.csv", schema=SCHEMA))


def test_a_replay_hands_rows_out_when_their_time_has_come(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(CSV)
    clock = TestClock(0)
    stream = et.replay(et.read_csv(tmp_path / "r.csv", schema=SCHEMA, arrival="at"), speed=2)
    (reader,) = readers(stream, clock)
    seen = []
    for _ in range(3):
        batch = reader.read(10)
        seen.append(0 if batch is None else batch.rows.height)
        clock.advance("500ms")
    assert seen == [1, 1, 1]
    assert reader.read(10) is None
    assert reader.finished
