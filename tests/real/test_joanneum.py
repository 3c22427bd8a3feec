"""Phones over UMTS: which rows are out of order, as the recording itself says."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import eventide as et

SCHEMA = et.schema(
    {
        "detected": et.field(et.Instant, path="S.Client.Detection.Time", unit="ms"),
        "out_of_order": et.field(int, path="A.ooo.Event.Sent.Time"),
    }
)


@pytest.mark.parametrize(("name", "rows", "share"), [("d-1.csv", 9_600, 0.1608), ("d-2.csv", 10_800, 0.3394)])
def test_rows_behind_an_ascending_clock_are_those_the_recording_marks(
    shared: Path, name: str, rows: int, share: float
) -> None:
    path = shared / "data" / "ooo_joanneum" / name
    stream = et.read_csv(path, schema=SCHEMA, separator=";").event_time("detected", et.ascending(), max_future=None)
    out = stream.run(show=False)
    assert out.late.height + out.results.height == rows
    assert out.late["out_of_order"].unique().to_list() == [1]
    assert out.results["out_of_order"].unique().to_list() == [0]
    assert round(out.late.height / rows, 4) == share
    assert isinstance(out.late, pl.DataFrame)
