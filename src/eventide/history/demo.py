"""The report of the radiation network's run.

Law: what became of each reading is taken from the run's own outputs; the readings themselves are read once more for
the pictures.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl

from eventide.engine.clocks import clocks_for
from eventide.engine.keys import key_table
from eventide.errors import EventideError
from eventide.flow import ARRIVAL, INSTANT, LOG, OFFSET, ReadContext
from eventide.history.pictures import arrival_against_event_time, lateness_histogram, windows_of
from eventide.history.report import Section, write_report
from eventide.instants import instant_text
from eventide.plan import Stream
from eventide.radiation import Settings
from eventide.runners import Outcome
from eventide.semantics.eventtime import EventTime, bounded, per_key

_ROWS = 524_288
_LISTED = 20


def report(readings: Stream, outcome: Outcome, settings: Settings, path: Path) -> Path:
    """Write the page of a run of `radiation.doses`; returns its path."""
    events = _events(readings, outcome, settings)
    results = outcome.results.rename({"device": "key"})
    device = _most_corrected(events, results)
    total = outcome.accounting.total
    sections = [
        Section(
            "Arrival against event time",
            "Each point is a reading of the twelve hours in which most came behind their windows. Right of the line "
            "they were ahead of the log's watermark; with a clock for each device, a reading behind it may be on time.",
            arrival_against_event_time(_stretch(events), line="watermark of the log"),
        ),
        Section(
            "Lateness by device",
            "How long readings took to arrive, on a logarithmic scale.",
            lateness_histogram(events),
        ),
        Section(
            f"Doses of {device}",
            "Each window's last result. A circle marks a window that took readings after its end.",
            windows_of(
                results.filter(pl.col("key") == device, pl.col("mean").is_not_null()),
                ("mean", "peak"),
                events.filter(pl.col("key") == device, pl.col("class") == "late"),
                corrected=events.filter(pl.col("key") == device, pl.col("class") == "corrected"),
                title=f"{device}: ",
                threshold=settings.threshold,
                unit="counts a minute",
            ),
        ),
        Section(
            "Alerts",
            f"The first {_LISTED} windows with a peak above {settings.threshold:g} counts a minute, each with its last "
            "result.",
            table=_standing(outcome["alerts"]).head(_LISTED),
        ),
        Section(
            "Late readings by device",
            "Behind their window and its allowed lateness; all are kept in late.csv.",
            table=_by_device(outcome.late),
        ),
        Section(
            "Dead letters",
            "Refused readings by reason; all are kept in dead_letters.csv.",
            table=_by_reason(outcome.dead_letters),
        ),
    ]
    account = (
        f"{total}. {'Finished' if outcome.finished else 'Stopped'} at watermark {instant_text(outcome.watermark_us)}."
    )
    return write_report(path, "Radiation network: 5-minute doses", account, sections)


def _standing(alerts: pl.DataFrame) -> pl.DataFrame:
    """The last row of each window, where it was not taken back."""
    last = alerts.unique(["device", "window_start"], keep="last", maintain_order=True)
    return last.filter(pl.col("op") == "upsert").drop("op").sort("window_start", "device")


def _events(readings: Stream, outcome: Outcome, settings: Settings) -> pl.DataFrame:
    """Every reading with what became of it and the log's watermark behind it."""
    fates = pl.concat(
        [
            outcome.dead_letters.select(LOG, OFFSET, fate=pl.lit("refused")),
            outcome.late.select(LOG, OFFSET, fate=pl.lit("late")),
        ]
    )
    parts: list[pl.DataFrame] = []
    logs = readings.plan.inputs[0].source.open(ReadContext(), {})
    for reader in logs.discover():
        judge = _Judge(settings, reader.log)
        while not reader.finished:
            batch = reader.read(_ROWS)
            if batch is not None:
                rows = batch.rows.with_columns(pl.lit(reader.log).alias(LOG))
                parts += judge.classes(rows.join(fates, on=[LOG, OFFSET], how="left", maintain_order="left"))
    logs.close()
    if not parts:
        raise EventideError("there is nothing to report on: not one reading was received")
    return pl.concat(parts)


class _Judge:
    """The clocks of the job once more: the log's own for the line, the devices' for what became of a reading."""

    def __init__(self, settings: Settings, log: str) -> None:
        strategy = bounded(settings.bound)
        keys = key_table(("device",), {"device": pl.String()})
        self._log = log
        self._line = clocks_for(EventTime("captured", strategy), None, ())
        self._devices = clocks_for(EventTime("captured", strategy, per_key("device", cap=settings.cap)), keys, ())

    def classes(self, rows: pl.DataFrame) -> list[pl.DataFrame]:
        """The rows of a batch, admitted and refused."""
        is_refused = (pl.col("fate") == "refused").fill_null(False)
        good = rows.filter(~is_refused)
        times = good.get_column("captured").cast(pl.Int64)
        line = self._line.observe(self._log, good, times).before.cast(INSTANT)
        own = self._devices.observe(self._log, good, times).before.cast(INSTANT)
        corrects = pl.col("captured").dt.truncate("5m").dt.offset_by("5m") <= own
        fate = pl.when(pl.col("fate").is_null() & corrects).then(pl.lit("corrected")).otherwise(pl.col("fate"))
        told = good.with_columns(line.alias("watermark"), fate.alias("fate"))
        refused = rows.filter(is_refused).with_columns(pl.lit(None, dtype=INSTANT).alias("watermark"))
        return [_shaped(told), _shaped(refused)]


def _shaped(rows: pl.DataFrame) -> pl.DataFrame:
    kind = pl.col("fate").fill_null("on time").alias("class")
    named = rows.filter(pl.col("captured").is_not_null()).rename(
        {"device": "key", "captured": "time", ARRIVAL: "arrival"}
    )
    return named.select("key", "time", "arrival", "watermark", kind)


def _stretch(events: pl.DataFrame) -> pl.DataFrame:
    """The twelve hours of arrivals in which most readings came behind their windows: a month would hide them."""
    behind = events.filter(pl.col("class").is_in(["late", "corrected"]))
    if not behind.height:
        behind = events
    hours = (
        behind.group_by(pl.col("arrival").dt.truncate("12h").alias("half"))
        .len()
        .sort("len", "half", descending=[True, False])
    )
    start = hours["half"][0]
    return events.filter((pl.col("arrival") >= start) & (pl.col("arrival") < start + timedelta(hours=12)))


def _most_corrected(events: pl.DataFrame, results: pl.DataFrame) -> str:
    """The device with the most results that later readings put right; without any, the one with the most readings
    behind their windows, or with the most readings.
    """
    revised = results.filter(pl.col("revision") > 0)
    corrected = events.filter(pl.col("class") == "corrected")
    shown = next((frame for frame in (revised, corrected) if frame.height), events)
    counted = shown.group_by("key").len().sort("len", "key", descending=[True, False])
    return str(counted["key"][0]) if counted.height else "no device"


def _by_device(late: pl.DataFrame) -> pl.DataFrame:
    grouped = late.group_by("device").agg(
        pl.len().alias("late readings"), pl.col("late_by").max().alias("at most late by")
    )
    return grouped.sort("late readings", "device", descending=[True, False]).head(_LISTED)


def _by_reason(dead: pl.DataFrame) -> pl.DataFrame:
    grouped = dead.group_by("reason", "field").agg(pl.len().alias("rows"), pl.col("raw").first().alias("for example"))
    return grouped.sort("rows", "reason", descending=[True, False]).head(_LISTED)
