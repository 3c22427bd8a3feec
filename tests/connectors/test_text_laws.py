"""Laws of text files: rows, offsets and refused rows depend on the bytes of the file alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import polars as pl
from hypothesis import example, given, settings
from hypothesis import strategies as st

import eventide as et
from eventide.connectors.files import source, window
from eventide.connectors.formats import csv, ndjson
from eventide.flow import ARRIVAL, OFFSET, Batch, LogReader, ReadContext
from eventide.testing import TestClock

SCHEMA = et.schema({"s": str, "n": int, "x": et.field(float, minimum=-5), "b": bool, "at": et.field(et.Instant)})
NESTED = et.schema(
    {"s": et.field(str, path="d.s"), "x": et.field(float, path="l[0].x"), "n": et.field(int, path="l[-1].x")}
)
TINY = 24

Seen = tuple[pl.DataFrame, pl.DataFrame]


def opened(stream: et.Stream, position: dict[str, object] | None = None) -> LogReader:
    inner = stream.plan.inputs[0].source
    (reader,) = inner.open(ReadContext(TestClock()), {inner.name: position or {}}).discover()  # type: ignore[dict-item]
    return reader


def rest_of(reader: LogReader, rows_max: int, positions: list[dict[str, object]] | None = None) -> Seen:
    batches: list[Batch] = []
    while not reader.finished:
        if positions is not None:
            positions.append(dict(reader.position()))
        batch = reader.read(rows_max)
        if batch is not None:
            assert batch.received <= rows_max
            batches.append(batch)
    reader.close()
    if not batches:
        return pl.DataFrame({OFFSET: []}), pl.DataFrame({OFFSET: []})
    return pl.concat([batch.rows for batch in batches]), pl.concat([batch.refused for batch in batches])


def same(one: Seen, other: Seen) -> None:
    for left, right in zip(one, other, strict=True):
        assert left.height == right.height
        if left.height:
            assert as_numbers(left).rows() == as_numbers(right).rows()


def as_numbers(frame: pl.DataFrame) -> pl.DataFrame:
    """Instants as microseconds: Python has no year 10,000."""
    return frame.with_columns(pl.col(pl.Datetime).cast(pl.Int64))


@contextmanager
def reads_of(size: int) -> Iterator[None]:
    """Blocks of so many bytes instead of large ones."""
    with patch.object(window, "_READ_BYTES", size), patch.object(source, "_BLOCK_BYTES_LEAST", size):
        yield


@contextmanager
def one_by_one() -> Iterator[None]:
    """The slow way: every record is looked at by itself."""
    with (
        patch.object(ndjson, "shape_of", return_value=None),
        patch.object(csv.Csv, "_good", lambda self, texts, quoted: pl.Series([False]).new_from_index(0, len(texts))),
    ):
        yield


def check_cuts(path: Path, stream: et.Stream, rows_max: int, size: int) -> None:
    whole = rest_of(opened(stream), 1_000)
    positions: list[dict[str, object]] = []
    with reads_of(size):
        same(rest_of(opened(stream), rows_max, positions), whole)
        for position in positions:
            behind = pl.col(OFFSET) >= pl.lit(position["offset"])
            same(rest_of(opened(stream, position), 3), (whole[0].filter(behind), whole[1].filter(behind)))


csv_text = st.lists(
    st.sampled_from(['"', ",", "\n", "\r\n", "a", "1", '""', "é", "a,1\n", '"b\nc",2\n', "\r"]), max_size=40
)


@settings(max_examples=25, deadline=None)
@given(csv_text, st.integers(1, 4), st.integers(1, 30))
@example(['"', "a", "\n", '"b\nc",2\n', "a,1\n"], 1, 1)
@example(["\r", ",", "\r\n", "a,1\n"], 1, 1)
@example(['"', "\n", "1", "\n", *["a,1\n"] * 4], 1, 10)
def test_csv_rows_do_not_depend_on_reads_nor_on_where_reading_goes_on(
    parts: list[str], rows_max: int, size: int
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "r.csv"
        path.write_bytes(("k,v\n" + "".join(parts)).encode())
        stream = et.read_csv(path, schema={"k": str, "v": int}, record_max_bytes=TINY)
        check_cuts(path, stream, rows_max, size)
        fast = rest_of(opened(stream), 1_000)
        with one_by_one():
            same(rest_of(opened(stream), 1_000), fast)


numbers = st.one_of(st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False)).map(json.dumps)
texts = st.one_of(st.text(max_size=5), st.sampled_from(["2026-01-01T00:00:00.5Z", "1.5", "true"])).map(json.dumps)
scalars = st.one_of(
    numbers, texts, st.sampled_from(["null", "true", "false", "-0", "-0.0", "1e400", "[1]", '{"q":1}', "01"])
)
flat = st.lists(st.tuples(st.sampled_from(["s", "n", "x", "b", "at", "u"]), scalars), max_size=6)
lines = st.one_of(
    flat.map(lambda pairs: "{" + ", ".join(f'"{key}": {value}' for key, value in pairs) + "}"),
    st.tuples(texts, numbers, numbers).map(lambda t: f'{{"s":{t[0]},"x":{t[1]},"n":1,"at":{t[2]}}}'),
    st.tuples(texts, scalars, scalars).map(
        lambda t: f'{{"d":{{"s":{t[0]}}},"l":[{{"x":{t[1]}}},{{"x":{t[2]},"y":null}}]}}'
    ),
    st.sampled_from(
        ["", "  ", "[", "null", '{"s":"\x01"}', '{"s":"\\ud800"}', "\ufeff{}", '{"s":"a"}{}', '{"s":"a"}\r']
    ),
)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(lines, min_size=1, max_size=12), st.integers(1, 4), st.integers(1, 30), st.sampled_from([SCHEMA, NESTED])
)
@example(['{"s":"a","x":-9,"n":1,"at":1}'] * 3, 1, 5, SCHEMA)
def test_json_read_at_once_is_json_read_line_by_line(
    records: list[str], rows_max: int, size: int, schema: et.Schema
) -> None:
    with TemporaryDirectory() as folder, patch.object(ndjson, "_WORTH_A_SHAPE", 1):
        path = Path(folder) / "r.ndjson"
        path.write_bytes("\n".join(records).encode())
        stream = et.read_ndjson(path, schema=schema)
        check_cuts(path, stream, rows_max, size)
        fast = rest_of(opened(stream), 1_000)
        with one_by_one():
            same(rest_of(opened(stream), 1_000), fast)


stamps = st.datetimes().map(lambda moment: moment.isoformat(sep="T"))


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(stamps, st.sampled_from(["", "Z", "+00:00", "+02:00"])), min_size=1, max_size=6),
    st.sampled_from(["UTC", "Europe/Helsinki"]),
)
def test_times_mean_the_same_beside_whatever_others(moments: list[tuple[str, str]], zone: str) -> None:
    schema = et.schema({"at": et.field(et.Instant, timezone=zone)})
    rows: list[dict[str, object]] = [{"at": day + offset} for day, offset in moments]
    together = rest_of(opened(et.from_rows(rows, schema=schema)), 1_000)
    alone = [rest_of(opened(et.from_rows([row], schema=schema)), 1)[0]["at"].cast(pl.Int64).to_list() for row in rows]
    assert together[0]["at"].cast(pl.Int64).to_list() == [moment for one in alone for moment in one]
    assert ARRIVAL in together[0].columns
