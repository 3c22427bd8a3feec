"""The report of the radiation network's run.

Law: what became of each reading is taken from the run's own outputs; the readings themselves are read once more for the pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from eventide.engine.clocks import clocks_for
from eventide.flow import ARRIVAL, LOG, OFFSET, ReadContext
from eventide.history.pictures import arrival_against_event_time, doses_of, lateness_histogram
from eventide.history.report import Section, write_report
from eventide.instants import instant_text
from eventide.plan import Stream
from eventide.radiation import Settings
from eventide.runners import Outcome
from eventide.semantics.eventtime import EventTime, bounded

_ROWS = 524_288
_DRAWN_MOST = 40_000
_LISTED = 20


def report(readings: Stream, outcome: Outcome, settings: Settings, path: Path) -> Path:
    """Write the page of a run of `radiation.doses`; returns its path."""
    events = _events(readings, outcome, settings)
    results = outcome.results.rename({"device": "key"})
    late = outcome.late.select(pl.col("device").alias("key"), pl.col("captured").alias("time"))
    device = _most_corrected(outcome)
    total = outcome.accounting.total
    sections = [
        Section(
            "Arrival against event time",
            "Each point is a reading. Readings right of the line were ahead of the log's watermark; with a clock for each device, one behind it can still be on time.",
            arrival_against_event_time(_sampled(events)),
        ),
        Section("Lateness by device", "How long readings took to arrive, on a logarithmic scale.", lateness_histogram(events)),
        Section(
            f"Doses of {device}",
            "Each window's last result. A circle marks a window that was put right after its first result.",
            doses_of(results, late, device, settings.threshold),
        ),
        Section("Alerts", f"The first {_LISTED} windows with a peak above {settings.threshold:g} counts a minute.", table=outcome["alerts"].head(_LISTED)),
        Section("Late readings by device", "Behind their window and its allowed lateness; all are kept in late.csv.", table=_by_device(outcome.late)),
        Section("Dead letters", "Refused readings by reason; all are kept in dead_letters.csv.", table=_by_reason(outcome.dead_letters)),
    ]
    account = f"{total}. {'Finished' if outcome.finished else 'Stopped'} at watermark {instant_text(outcome.watermark_us)}."
    return write_report(path, "Radiation network: 5-minute doses", account, sections)


def _events(readings: Stream, outcome: Outcome, settings: Settings) -> pl.DataFrame:
    """Every reading with what became of it and the log's watermark behind it."""
    clocks = clocks_for(EventTime("captured", bounded(settings.bound)), None, ())
    logs = readings.plan.inputs[0].source.open(ReadContext(), {})
    refused = outcome.dead_letters.select(LOG, OFFSET, pl.lit("refused").alias("fate"))
    late = outcome.late.select(LOG, OFFSET, pl.lit("late").alias("fate"))
    fates = pl.concat([refused, late])
    parts: list[pl.DataFrame] = []
    for reader in logs.discover():
        while not reader.finished:
            batch = reader.read(_ROWS)
            if batch is None:
                continue
            rows = batch.rows.with_columns(pl.lit(reader.log).alias(LOG)).join(fates, on=[LOG, OFFSET], how="left", maintain_order="left")
            good = rows.filter(pl.col("fate").is_null() | (pl.col("fate") != "refused"))
            times = good.get_column("captured").cast(pl.Int64)
            before = clocks.observe(reader.log, good, times).before
            marked = good.with_columns(before.cast(pl.Datetime("us", "UTC")).alias("watermark"))
            parts += [_shaped(marked), _shaped(rows.filter(pl.col("fate") == "refused").with_columns(pl.lit(None).cast(pl.Datetime("us", "UTC")).alias("watermark")))]
    logs.close()
    return _with_corrections(pl.concat(parts), outcome)


def _shaped(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("captured").is_not_null()).select(
        pl.col("device").alias("key"), pl.col("captured").alias("time"), pl.col(ARRIVAL).alias("arrival"), "watermark", pl.col("fate").fill_null("on time").alias("class")
    )


def _with_corrections(events: pl.DataFrame, outcome: Outcome) -> pl.DataFrame:
    """Mark the readings on time whose window had its first result before they arrived: a later revision holds them."""
    revised = outcome.results.filter(pl.col("revision") > 0).select(pl.col("device").alias("key"), "window_start").unique()
    windowed = events.with_columns(pl.col("time").dt.truncate("5m").alias("window_start"))
    touched = windowed.join(revised.with_columns(pl.lit(True).alias("revised")), on=["key", "window_start"], how="left", maintain_order="left")
    ahead = pl.col("watermark").is_not_null() & (pl.col("time") < pl.col("watermark"))
    fate = pl.when((pl.col("class") == "on time") & pl.col("revised").fill_null(False) & ahead).then(pl.lit("corrected")).otherwise(pl.col("class"))
    return touched.with_columns(fate.alias("class")).drop("window_start", "revised")


def _sampled(events: pl.DataFrame) -> pl.DataFrame:
    every = max(events.height // _DRAWN_MOST, 1)
    return events.gather_every(every)


def _most_corrected(outcome: Outcome) -> str:
    counted: Sequence[str] = outcome.results.filter(pl.col("revision") > 0)["device"].value_counts(sort=True)["device"].to_list()
    return str(counted[0] if counted else outcome.results["device"].head(1).to_list()[0] if outcome.results.height else "no device")


def _by_device(late: pl.DataFrame) -> pl.DataFrame:
    grouped = late.group_by("device").agg(pl.len().alias("late readings"), pl.col("late_by").max().alias("at most late by"))
    return grouped.sort("late readings", "device", descending=[True, False]).head(_LISTED)


def _by_reason(dead: pl.DataFrame) -> pl.DataFrame:
    grouped = dead.group_by("reason", "field").agg(pl.len().alias("rows"), pl.col("raw").first().alias("for example"))
    return grouped.sort("rows", "reason", descending=[True, False]).head(_LISTED)
