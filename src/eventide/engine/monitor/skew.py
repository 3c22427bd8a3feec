"""Devices whose clock looks wrong: ahead of arrival, off by a constant, or off by 1,024 weeks.

Law: a suspect is named with the figures that made it one; nothing is corrected or left out because of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from eventide.engine.monitor.scale import COARSE, quantiles
from eventide.instants import duration_text

_LENGTH: Final = pl.Duration("us")
_AHEAD_SHARE = 0.05
_AHEAD_US = 1_000_000
_EVENTS_LEAST = 20
_OFFSET_US = 600_000_000
_STEADY = 0.2
_APART = 3.0
_SCHEMA: Final = {
    "log": pl.String(),
    "who": pl.String(),
    "kind": pl.String(),
    "reason": pl.String(),
    "events": pl.Int64(),
    "offset": _LENGTH,
}


def suspects(
    by_key: pl.DataFrame, key_histogram: pl.DataFrame, refused: pl.DataFrame, keys: Mapping[str, str]
) -> pl.DataFrame:
    """One row for each suspicion: `log`, `who`, `kind` (`ahead`, `offset`, `rollover`), `reason`, `events`, `offset`.

    `keys` are the columns of keys with the names that people gave them. *ahead*: more than one event in twenty (or a
    refused one) carries a time more than a second after its arrival. *rollover*: event times lie whole multiples of
    1,024 weeks from their arrival, within two days: the week number of GPS began anew. *offset*: at least 20 events
    come steadily late by ten minutes or more (the 10 % and 90 % quantiles apart by less than half the median) while the
    median of the log's keys is a third of it or less.
    """
    if not keys:
        return pl.DataFrame(schema=_SCHEMA)
    group = ["log", *keys]
    found = [
        _told(_rolled(by_key), keys, "rollover"),
        _told(_rolled(refused), keys, "rollover"),
        _told(_ahead(by_key, _AHEAD_SHARE), keys, "ahead"),
        _told(_ahead(refused, 0.0), keys, "ahead"),
        _told(_steady(by_key, key_histogram, group), keys, "offset"),
    ]
    rows = [row for part in found for row in part]
    merged = pl.DataFrame(rows, schema=_SCHEMA)
    return merged.sort("events", "log", "who", "kind", descending=[True, False, False, False])


def _rolled(rows: pl.DataFrame) -> pl.DataFrame:
    if not rows.height:
        return rows
    far = pl.when(pl.col("lateness_us_max") > -pl.col("lateness_us_min")).then("lateness_us_max")
    return rows.filter(pl.col("rolled_over") > 0).with_columns(
        pl.col("rolled_over").alias("events"), far.otherwise("lateness_us_min").alias("offset")
    )


def _ahead(rows: pl.DataFrame, share: float) -> pl.DataFrame:
    if not rows.height:
        return rows
    often = (pl.col("ahead") > share * pl.col("events")) & (pl.col("lateness_us_min") < -_AHEAD_US)
    return rows.filter(often).with_columns(pl.col("ahead").alias("events"), pl.col("lateness_us_min").alias("offset"))


def _steady(by_key: pl.DataFrame, key_histogram: pl.DataFrame, group: list[str]) -> pl.DataFrame:
    if not by_key.height:
        return by_key
    late = key_histogram.filter(pl.col("measure") == "lateness")
    spread = quantiles(late, group, (0.1, 0.5, 0.9), COARSE)
    usual = spread.group_by("log").agg(pl.col("p50").cast(pl.Int64).median().alias("usual"))
    rows = by_key.join(spread, on=group, nulls_equal=True).join(usual, on="log")
    low, middle, high = (pl.col(name).cast(pl.Int64) for name in ("p10", "p50", "p90"))
    # a histogram of buckets 25 % apart cannot tell less than a bucket: least and most are exact
    steady = (high - low) <= (_STEADY + COARSE - 1) * middle
    told = rows.filter(
        (pl.col("events") >= _EVENTS_LEAST)
        & (pl.col("rolled_over") == 0)
        & (pl.col("lateness_us_min") >= _OFFSET_US)
        & steady
        & (middle >= _APART * pl.col("usual"))
    )
    return told.with_columns(pl.col("lateness_us_min").alias("offset"))


def _told(rows: pl.DataFrame, keys: Mapping[str, str], kind: str) -> list[dict[str, object]]:
    """Suspicions in words. They are few: one for each device at most."""
    said = {
        "rollover": "event times are about {} away from arrival, whole multiples of 1,024 weeks: a GPS week rollover",
        "ahead": "event times are up to {} after their arrival: the device's clock is ahead",
        "offset": "every event is at least {} old at arrival, steadily, unlike the other devices of the log",
    }[kind]
    made = []
    for row in rows.iter_rows(named=True):
        length_us = abs(int(row["offset"])) // 1_000_000 * 1_000_000
        who = ", ".join(f"{name}={row[column]}" for column, name in keys.items())
        reason = said.format(duration_text(length_us))
        made.append(
            {"log": row["log"], "who": who, "kind": kind, "reason": reason, "events": row["events"]}
            | {"offset": int(row["offset"])}
        )
    return made
