"""The radiation network's real February: every figure of its description, to the row."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import polars as pl
import pytest

import eventide as et
from eventide import col
from eventide.connectors.order import ByArrival
from eventide.semantics.eventtime import KeyClock

BROKEN = 154534971
SCHEMA = et.schema(
    {
        "uploaded": et.field(et.Instant, path="service_uploaded", formats="%b %d, %Y @ %H:%M:%S%.f"),
        "captured": et.field(et.Instant, path="when_captured"),
        "urn": et.field(str, path="device_urn"),
        "number": et.field(int, path="device"),
        "dose": et.field(float, path="lnd_7318u", thousands=","),
    }
)
KEY = et.per_key("urn", cap="2h")
UPLOAD = et.by_arrival("captured")

# bound: rows behind the watermark / rows late for their 5-minute window, counted independently by others
LOG_REVERSED = {
    "0s": (13_679, 12_948),
    "5m": (12_559, 12_203),
    "30m": (8_084, 6_716),
    "1h": (2_050, 738),
    "2h": (53, 42),
}
KEY_REVERSED = {"0s": (9_034, 8_861), "5m": (8_788, 8_785), "30m": (5_256, 4_000), "1h": (1_397, 143), "2h": (53, 42)}
LOG_UPLOAD = {"0s": (13_668, 12_923), "5m": (12_525, 12_068), "30m": (7_455, 6_669), "1h": (1_422, 723), "2h": (46, 42)}
KEY_UPLOAD = {"0s": (856, 682), "5m": (612, 607), "30m": (374, 285), "1h": (91, 56), "2h": (46, 42)}
CELLS = [
    (order, clock, bound, *counts)
    for order, clock, table in (
        ("reversed", "log", LOG_REVERSED),
        ("reversed", KEY, KEY_REVERSED),
        (UPLOAD, "log", LOG_UPLOAD),
        (UPLOAD, KEY, KEY_UPLOAD),
    )
    for bound, counts in table.items()
]


@pytest.fixture(scope="module")
def february(shared: Path) -> Path:
    return shared / "data" / "safecast" / "solarcast-2020-02.csv"


def readings(path: Path, order: Literal["reversed"] | ByArrival = "reversed") -> et.Stream:
    return et.read_csv(path, schema=SCHEMA, arrival="uploaded", order=order)


def windows(stream: et.Stream) -> et.Stream:
    return (
        stream.group_by("urn")
        .window(et.tumbling("5m"))
        .agg(n=et.count(), mean=col("dose").mean(), peak=col("dose").max())
    )


@pytest.mark.parametrize(("order", "clock", "bound", "behind", "late"), CELLS, ids=str)
def test_rows_behind_and_rows_late(
    february: Path,
    order: Literal["reversed"] | ByArrival,
    clock: Literal["log"] | KeyClock,
    bound: str,
    behind: int,
    late: int,
) -> None:
    timed = (
        readings(february, order).filter(col("number") != BROKEN).event_time("captured", et.bounded(bound), clock=clock)
    )
    rows = timed.run(show=False)
    doses = windows(timed).run(show=False)
    assert (rows.late.height, doses.late.height) == (behind, late)
    assert doses.accounting.total.closes
    assert doses.accounting.total.received == 26_212
    assert doses.accounting.total.filtered == 681  # 677 rolled over, and 4 good ones of the same device


def test_max_age_refuses_exactly_the_rollover_rows_and_touches_no_other_device(february: Path) -> None:
    guarded = windows(readings(february).event_time("captured", et.bounded("1h"), max_age="1000d")).run(show=False)
    apart = windows(readings(february).filter(col("number") != BROKEN).event_time("captured", et.bounded("1h"))).run(
        show=False
    )
    assert guarded.dead_letters["reason"].unique().to_list() == ["event time is too old"]
    assert guarded.dead_letters.height == 677
    assert guarded.dead_letters["raw"].str.contains(f'"number":{BROKEN},').all()
    others = guarded.results.filter(pl.col("urn") != f"safecast:{BROKEN}")
    assert others.equals(apart.results)
    assert others.height < guarded.results.height


def test_without_the_guard_the_rollover_makes_nothing_else_late(february: Path) -> None:
    unguarded = windows(readings(february).event_time("captured", et.bounded("1h"))).run(show=False)
    assert unguarded.late.filter(pl.col("number") != BROKEN).height == 738
    assert unguarded.late.filter((pl.col("number") == BROKEN) & (pl.col("captured").dt.year() < 2010)).height == 677


def test_numbers_with_thousands_separators_parse(february: Path) -> None:
    out = readings(february).run(show=False)
    assert out.dead_letters.height == 0
    assert out.results.filter(pl.col("dose") >= 1_000).height == 1_038
    assert out.results["dose"].max() == 1_447


@pytest.mark.parametrize("clock", ["log", KEY], ids=str)
@pytest.mark.parametrize(
    ("lines", "sizes"),
    [(slice(1, None), (97, 1_000, 30_000)), (slice(8_001, 8_801), (1, 7, 1_000))],
    ids=["all", "part"],
)
def test_batches_of_any_size_write_identical_bytes(
    february: Path, tmp_path: Path, clock: Literal["log"] | KeyClock, lines: slice, sizes: tuple[int, ...]
) -> None:
    """The whole month in batches of 97 rows and more; a part of it in smaller ones."""
    header, *_ = whole = february.read_bytes().splitlines(keepends=True)
    read = tmp_path / "read.csv"
    read.write_bytes(b"".join([header, *whole[lines]]))
    written = []
    for rows_max in sizes:
        job = windows(readings(read, UPLOAD).event_time("captured", et.bounded("30m"), clock=clock, max_age="1000d"))
        paths = [tmp_path / f"{name}-{rows_max}.csv" for name in ("results", "late")]
        job.write(et.write_csv(paths[0])).write(et.write_csv(paths[1]), "late").run(show=False, rows_max=rows_max)
        written.append([path.read_bytes() for path in paths])
    assert written[0][0].count(b"\n") > 450
    assert written[0][1].count(b"\n") > 15
    assert all(one == written[0] for one in written)
