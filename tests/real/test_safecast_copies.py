"""Copies in the radiation network's real February: the same capture sent again, and captures torn apart and made whole."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import eventide as et

VALUES = ("env_temp", "env_humid", "pms_pm01_0", "pms_pm02_5", "pms_pm10_0", "lnd_7318c", "lnd_7318u", "bat_voltage")
SCHEMA = et.schema(
    {
        "uploaded": et.field(et.Instant, path="service_uploaded", formats="%b %d, %Y @ %H:%M:%S%.f"),
        "when_captured": et.Instant,
        "device_urn": str,
        "loc_lat": et.field(float, thousands=","),
        "loc_lon": et.field(float, thousands=","),
        **{name: et.field(float, thousands=",") for name in VALUES},
    }
)
CAPTURE = ("device_urn", "when_captured")


@pytest.fixture(scope="module")
def february(shared: Path) -> Path:
    return shared / "data" / "safecast" / "solarcast-2020-02.csv"


def readings(path: Path) -> et.Stream:
    return et.read_csv(path, schema=SCHEMA, arrival="uploaded", order="reversed")


def timed(stream: et.Stream) -> et.Stream:
    # a bound behind which nothing lies: the rollover rows, 1,024 weeks old, are on time too
    return stream.event_time("when_captured", et.bounded("8000d"))


def test_captures_that_repeat_are_242_of_which_164_differ_in_their_upload_only_and_78_in_nothing(
    february: Path,
) -> None:
    rows = timed(readings(february)).run(show=False).results
    groups = rows.group_by(CAPTURE).agg(pl.len(), pl.struct(pl.all()).n_unique().alias("kinds"), _contents(rows))
    repeated = groups.filter(pl.col("len") > 1)
    assert repeated.height == 242
    assert repeated.filter(pl.col("kinds") > 1).height == 164
    assert repeated.filter(pl.col("kinds") == 1).height == 78
    assert repeated["contents"].unique().to_list() == [1]  # none of them has different columns filled


def _contents(rows: pl.DataFrame) -> pl.Expr:
    """How many different contents there are beside the time of upload."""
    return pl.struct(pl.all().exclude("uploaded", *CAPTURE)).n_unique().alias("contents")


@pytest.mark.parametrize("rows_max", [1_000, 30_000])
def test_deduplication_leaves_one_row_for_each_capture_and_counts_the_others(february: Path, rows_max: int) -> None:
    rows = timed(readings(february)).run(show=False).results
    out = timed(readings(february)).deduplicate(*CAPTURE, within="1h").run(show=False, rows_max=rows_max)
    assert out.accounting.total.duplicates == 1_149 - 242
    assert out.accounting.total.closes
    assert out.results.equals(rows.unique(CAPTURE, keep="first", maintain_order=True))


def test_exact_copies_are_93(february: Path) -> None:
    every = readings(february).plan.inputs[0].source.columns
    assert timed(readings(february)).deduplicate(*every, within="1h").run(show=False).accounting.total.duplicates == 93


def test_captures_torn_apart_over_rows_are_whole_again_and_copies_of_them_absorbed(february: Path) -> None:
    """Each row becomes three: air, radiation, the rest; a naive deduplication would keep the first part alone."""
    whole = timed(readings(february)).run(show=False).results
    parts = [whole.with_columns(pl.lit(None, pl.Float64).alias(name) for name in _but(kept)) for kept in PARTS]
    torn = pl.concat(parts).sort("uploaded", maintain_order=True)
    stream = timed(et.from_frame(torn, arrival="uploaded"))
    merged = stream.deduplicate(*CAPTURE, within="1s", merge=True).run(show=False)
    once = whole.group_by(CAPTURE).agg(pl.all().exclude("uploaded", *CAPTURE).drop_nulls().first())
    assert (
        merged.results.drop("uploaded")
        .sort(CAPTURE)
        .equals(once.select(merged.results.drop("uploaded").columns).sort(CAPTURE))
    )
    assert merged.accounting.total.duplicates == 3 * 26_212 - once.height
    assert merged.accounting.total.closes
    naive = stream.deduplicate(*CAPTURE, within="1s").run(show=False)
    assert naive.results["lnd_7318u"].null_count() > merged.results["lnd_7318u"].null_count()


PARTS = (VALUES[:5], VALUES[5:7], VALUES[7:])


def _but(kept: tuple[str, ...]) -> list[str]:
    return [name for name in VALUES if name not in kept]


def test_doses_join_the_air_that_the_device_sent_last_as_polars_joins_whole_tables(february: Path) -> None:
    rows = timed(readings(february)).run(show=False).results
    doses = rows.filter(pl.col("lnd_7318u").is_not_null()).select("uploaded", *CAPTURE, "lnd_7318u")
    air = rows.filter(pl.col("pms_pm02_5").is_not_null()).select("uploaded", *CAPTURE, "pms_pm02_5")
    left, right = (
        timed(et.from_frame(frame, arrival="uploaded", name=name)) for frame, name in ((doses, "doses"), (air, "air"))
    )
    out = left.join_asof(right, on="device_urn", tolerance="1h").run(show=False, rows_max=3_000)
    last = air.unique(CAPTURE, keep="last", maintain_order=True).drop("uploaded").sort("when_captured")
    expected = doses.sort("when_captured").join_asof(
        last, on="when_captured", by="device_urn", tolerance="1h", check_sortedness=False
    )
    columns = ["uploaded", *CAPTURE, "lnd_7318u", "pms_pm02_5"]
    assert out.results.select(columns).sort(columns).equals(expected.select(columns).sort(columns))
    assert expected["pms_pm02_5"].null_count() not in (0, expected.height)
    assert out.accounting.total.on_time == doses.height + air.height


def test_pairs_within_five_minutes_are_those_of_a_cross_join(february: Path) -> None:
    rows = timed(readings(february)).run(show=False).results.filter(pl.col("when_captured").dt.day() == 3)
    doses = rows.filter(pl.col("lnd_7318u").is_not_null()).select("uploaded", *CAPTURE, "lnd_7318u")
    air = rows.filter(pl.col("pms_pm02_5").is_not_null()).select("uploaded", *CAPTURE, "pms_pm02_5")
    left, right = (
        timed(et.from_frame(frame, arrival="uploaded", name=name)) for frame, name in ((doses, "doses"), (air, "air"))
    )
    out = left.join_interval(right, on="device_urn", lower="-5m", upper="2m").run(show=False, rows_max=500)
    apart = pl.col("when_captured_right") - pl.col("when_captured")
    every = doses.join(air, on="device_urn").filter(apart.is_between(pl.duration(minutes=-5), pl.duration(minutes=2)))
    assert every.height > 500
    assert out.results.sort(out.results.columns).equals(every.select(out.results.columns).sort(out.results.columns))
