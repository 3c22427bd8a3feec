"""Files that are broken, cut, endless or huge: what can be read is read, the rest is refused with its reason."""

from __future__ import annotations

import gzip
import io
import math
import os
import threading
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

import eventide as et
from eventide.errors import SinkError, SourceError
from eventide.flow import ARRIVAL, OFFSET, Batch, LogReader, ReadContext
from eventide.testing import TestClock

SCHEMA = et.schema({"k": str, "v": int})
LINES = "".join(f'{{"k":"a","v":{n}}}\n' for n in range(1_000))


def opened(stream: et.Stream, **position: object) -> LogReader:
    inner = stream.plan.inputs[0].source
    (reader,) = inner.open(ReadContext(TestClock()), {inner.name: position}).discover()  # type: ignore[dict-item]
    return reader


def rest_of(reader: LogReader, rows_max: int = 100_000) -> tuple[pl.DataFrame, pl.DataFrame]:
    batches: list[Batch] = []
    while not reader.finished:
        batch = reader.read(rows_max)
        if batch is not None:
            batches.append(batch)
    reader.close()
    return pl.concat([batch.rows for batch in batches]), pl.concat([batch.refused for batch in batches])


def test_an_unclosed_quote_costs_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text('k,v\na,1\n"b,2\n' + "c,3\n" * 50_000)
    rows, refused = rest_of(opened(et.read_csv(tmp_path / "r.csv", schema=SCHEMA)))
    assert rows["k"].value_counts(sort=True).rows() == [("c", 50_000), ("a", 1)]
    assert refused.select(OFFSET, "raw").rows() == [(1, '"b,2')]
    assert "is not closed" in refused["reason"][0]


def test_a_line_longer_than_a_record_may_be_is_refused_by_its_beginning(tmp_path: Path) -> None:
    (tmp_path / "r.ndjson").write_text('{"k":"' + "x" * 300_000 + '"}\n{"k":"b","v":2}\n')
    stream = et.read_ndjson(tmp_path / "r.ndjson", schema=SCHEMA, record_max_bytes=1_000)
    rows, refused = rest_of(opened(stream))
    assert rows[OFFSET].to_list() == [1]
    assert refused["reason"].to_list() == ["longer than 1,000 bytes"]
    assert refused["raw"].str.len_chars().to_list() == [10_000]


def test_a_key_that_stands_twice_refuses_the_line(tmp_path: Path) -> None:
    (tmp_path / "r.ndjson").write_text('{"k":"a","v":1,"v":2}\n{"k":"b","v":3,"q":{"w":1,"w":1}}\n' + LINES)
    rows, refused = rest_of(opened(et.read_ndjson(tmp_path / "r.ndjson", schema=SCHEMA)))
    assert rows.height == 1_000
    assert refused["reason"].to_list() == [f'the key "{key}" stands twice in one object' for key in "vw"]


@pytest.mark.parametrize("name", ["r.ndjson.gz", "r.ndjson.zst"])
def test_a_truncated_file_gives_its_rows_then_a_dead_letter(tmp_path: Path, name: str) -> None:
    import zstandard

    pack = gzip.compress if name.endswith("gz") else zstandard.compress
    whole = pack(LINES.encode()) + pack(LINES.encode())
    (tmp_path / name).write_bytes(whole[:-9])
    stream = et.read_ndjson(tmp_path / name, schema=SCHEMA)
    rows, refused = rest_of(opened(stream))
    assert rows["v"].head(1_000).to_list() == list(range(1_000))
    assert refused[OFFSET].to_list() == [rows.height]
    assert "is truncated" in refused["reason"][0]
    reader = opened(stream)
    while not reader.finished:
        reader.read(700)
    again = opened(stream, **reader.position())
    assert again.finished
    reader.close()
    again.close()


def test_a_corrupt_file_says_where(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(LINES.encode()))
    packed[-8] ^= 1
    (tmp_path / "odd").write_bytes(packed)
    rows, refused = rest_of(opened(et.read_ndjson(tmp_path / "odd", schema=SCHEMA, compression="gzip")))
    assert rows.height == 1_000
    assert f"corrupt after {len(LINES):,} bytes" in refused["reason"][0]


@pytest.mark.parametrize("change", ["cut", "replaced", "written anew"])
def test_a_followed_file_that_does_not_only_grow_is_noticed(tmp_path: Path, change: str) -> None:
    path = tmp_path / "r.ndjson"
    path.write_text(LINES)
    reader = opened(et.read_ndjson(path, schema=SCHEMA, follow=True))
    assert reader.read(2_000) is not None
    if change == "replaced":
        (tmp_path / "new").write_text(LINES)
        (tmp_path / "new").replace(path)
    else:
        path.write_text("" if change == "cut" else LINES.replace("a", "b") * 2)
    with pytest.raises(SourceError, match="may only grow"):
        reader.read(2_000)
    reader.close()


def test_a_position_in_a_file_that_was_replaced_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "r.ndjson"
    path.write_text(LINES)
    stream = et.read_ndjson(path, schema=SCHEMA)
    reader = opened(stream)
    reader.read(10)
    position = dict(reader.position())
    reader.close()
    path.write_text(LINES.replace("a", "b"))
    with pytest.raises(SourceError, match="was replaced"):
        opened(stream, **position)


def test_standard_input_never_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    out, into = os.pipe()
    with open(out, "rb") as reading, open(into, "wb", buffering=0) as writing:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(reading))
        context = ReadContext()
        (reader,) = et.read_ndjson("-", schema=SCHEMA).plan.inputs[0].source.open(context, {}).discover()
        assert reader.read(10) is None
        context.wake.clear()
        writing.write(b'{"k":"a","v":1}\n{"k":')
        assert context.wake.wait(30)
        batch = reader.read(10)
        assert batch is not None
        assert batch.rows["v"].to_list() == [1]
        assert not reader.finished
        context.wake.clear()
        writing.close()
        assert context.wake.wait(30)
        rows, refused = rest_of(reader)
    assert (rows.height, refused.height) == (0, 1)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_standard_input_may_be_compressed(monkeypatch: pytest.MonkeyPatch, compression: Any) -> None:
    made = gzip.compress(LINES.encode()) if compression == "gzip" else zstandard.compress(LINES.encode())
    out, into = os.pipe()
    with open(out, "rb") as reading, open(into, "wb", buffering=0) as writing:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(reading))
        context = ReadContext()
        source = et.read_ndjson("-", schema=SCHEMA, compression=compression).plan.inputs[0].source
        (reader,) = source.open(context, {}).discover()
        writing.write(made[:7])
        assert reader.read(10) is None
        writing.write(made[7:])
        writing.close()
        rows, refused = rest_of(reader)
    assert (rows["v"].to_list(), refused.height) == (list(range(1_000)), 0)


def test_a_named_pipe_is_decompressed_by_its_name(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "r.ndjson.gz")
    writer = threading.Thread(target=(tmp_path / "r.ndjson.gz").write_bytes, args=[gzip.compress(LINES.encode()) * 40])
    writer.start()
    rows, refused = rest_of(opened(et.read_ndjson(tmp_path / "r.ndjson.gz", schema=SCHEMA)))
    writer.join()
    assert (rows.height, refused.height) == (40_000, 0)


def test_unknown_fields_are_kept_as_json_or_refused(tmp_path: Path) -> None:
    (tmp_path / "r.ndjson").write_text('{"d":{"v":1},"x":[1.50],"y":null}\n{"d":{"v":2}}\n')
    (tmp_path / "r.csv").write_text("v,x,_y\n1,a,\n2,,\n")
    nested = {"v": et.field(int, path="d.v")}
    keep = et.read_ndjson(tmp_path / "r.ndjson", schema=et.schema(nested, unknown="keep"))
    assert rest_of(opened(keep))[0]["unknown"].to_list() == ['{"x":[1.50],"y":null}', None]
    assert "unknown" in keep.plan.inputs[0].source.columns
    refuse = et.read_ndjson(tmp_path / "r.ndjson", schema=et.schema(nested, unknown="refuse"))
    assert rest_of(opened(refuse))[1].select("reason", "field").rows() == [('unknown field "x"', "x")]
    csv = et.read_csv(tmp_path / "r.csv", schema=et.schema({"v": int}, unknown="keep"))
    assert rest_of(opened(csv))[0]["unknown"].to_list() == ['{"x":"a"}', None]


def test_refused_rows_have_their_arrival_where_it_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text("v,at\nx,1000\nx,soon\n")
    stream = et.read_csv(tmp_path / "r.csv", schema={"v": int, "at": et.Instant}, arrival="at")
    assert rest_of(opened(stream))[1][ARRIVAL].cast(pl.Int64).to_list() == [1_000_000, None]


def test_thousands_stand_in_threes() -> None:
    schema = et.schema({"v": et.field(float, thousands=",")})
    rows, refused = rest_of(
        opened(et.from_rows([{"v": v} for v in ("1,347", "1,34", "-1,000.5", "1347")], schema=schema))
    )
    assert rows["v"].to_list() == [1347.0, -1000.5, 1347.0]
    assert refused["reason"].to_list() == ['not a number: "1,34"']


def test_what_is_no_row_becomes_a_dead_letter() -> None:
    items: list[object] = [{"k": "a", "v": 1}, 5, None, [1], pl.DataFrame({"k": ["b"], "v": [2]}), {"k": "c", "v": "x"}]
    for given in (items, iter(items)):
        out = et.from_rows(given, schema=SCHEMA).run(show=False)  # type: ignore[arg-type] # not all are rows
        assert out.results["k"].to_list() == ["a", "b"]
        assert out.dead_letters.sort(OFFSET)[OFFSET].to_list() == [1, 2, 3, 5]
        assert out.dead_letters.sort(OFFSET)["reason"][0].startswith("not a row but int")


@pytest.mark.parametrize("speed", [0, -1, math.nan])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        et.replay(et.from_rows([], schema=SCHEMA), speed=speed)


@pytest.mark.parametrize("rows_max", [1, 2, 10])
def test_a_replay_goes_on_where_it_stood(tmp_path: Path, rows_max: int) -> None:
    (tmp_path / "r.csv").write_text("k,at\na,0\nb,1000\nc,soon\nd,3000\n")
    stream = et.read_csv(tmp_path / "r.csv", schema={"k": str, "at": et.Instant}, arrival="at")
    clock = TestClock(0)
    inner = et.replay(stream, speed=1).plan.inputs[0].source
    (reader,) = inner.open(ReadContext(clock), {}).discover()
    for _ in range(6):
        position = reader.position()
        (again,) = (
            et.replay(stream, speed=math.inf)
            .plan.inputs[0]
            .source.open(ReadContext(clock), {"r.csv": position})
            .discover()
        )
        rows, refused = rest_of(again, 3) if position["offset"] != 4 else (pl.DataFrame({OFFSET: []}),) * 2
        assert sorted([*rows[OFFSET], *refused[OFFSET]]) == list(range(int(position["offset"] or 0), 4))
        again.close()
        reader.read(rows_max)
        clock.advance("1s")
    reader.close()


def test_settings_that_cannot_be_meant_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs arrival times"):
        et.read_csv("r.csv", schema=SCHEMA, order=et.by_arrival())
    with pytest.raises(ValueError, match="exclude each other"):
        et.read_csv("*.csv", schema=SCHEMA, follow=True, one_log=True)
    with pytest.raises(ValueError, match="type string"):
        et.read_csv("r.csv", schema=SCHEMA, arrival="k")


def test_parquet_files_are_one_log_or_followed_as_they_appear(tmp_path: Path) -> None:
    for name in ("b", "a"):
        pl.DataFrame({"k": [name], "v": [1]}).write_parquet(tmp_path / f"{name}.parquet")
    one = et.read_parquet(tmp_path / "*.parquet", one_log=True)
    reader = opened(one)
    assert [batch.rows["k"][0] for batch in (reader.read(9), reader.read(9)) if batch] == ["a", "b"]
    followed = et.read_parquet(tmp_path, follow=True).plan.inputs[0].source.open(ReadContext(), {})
    assert [found.log for found in followed.discover()] == ["a.parquet", "b.parquet"]
    pl.DataFrame({"k": ["c"], "v": [1]}).write_parquet(tmp_path / "c.parquet")
    assert [found.log for found in followed.discover()] == ["c.parquet"]


def test_two_writers_of_one_path_are_refused(tmp_path: Path) -> None:
    sink = et.write_csv(tmp_path / "r.csv")
    first = sink.open("results", {"x": pl.Int64()}, ())
    with pytest.raises(SinkError, match="another output"):
        sink.open("late", {"x": pl.Int64()}, ())
    first.abort()
    assert list(tmp_path.iterdir()) == []
    rows = et.from_rows([{"k": "a", "v": 1}], schema=SCHEMA)
    with pytest.raises(SinkError, match="another output"):
        rows.write(sink).write(et.write_csv(f"{tmp_path}/./r.csv")).run(show=False)
    assert list(tmp_path.iterdir()) == []


def test_a_parquet_sink_puts_its_groups_together(tmp_path: Path) -> None:
    writer = et.write_parquet(tmp_path / "r.parquet").open("results", {"x": pl.Int64()}, ())
    frame = pl.DataFrame({"x": range(300_000)})
    for _ in range(2):
        writer.write(frame)
        writer.commit()
    assert pl.read_parquet(tmp_path / "r.parquet")["x"].to_list() == [*range(300_000)] * 2
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["r.parquet"]


def test_a_pipe_that_nobody_reads_holds_little() -> None:
    from eventide.connectors.files.content import Piped

    given = threading.Semaphore(0)
    total = 0

    def read(size: int) -> bytes:
        nonlocal total
        total += size
        given.release()
        return b"x" * size

    pipe = Piped(lambda: read, threading.Event())
    for _ in range(65):
        assert given.acquire(timeout=30)
    assert not given.acquire(timeout=0.2)
    assert total <= 66 * 64 * 1024
    pipe.close()
