"""The radiation network: the main job of the demo, on simulated readings or on a file of Safecast's.

Law: one sentence for both inputs: 5-minute doses by device, alerts above a threshold, late readings and dead letters
kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eventide.connectors import by_arrival, read_csv, write_csv, write_parquet
from eventide.expressions import col, count
from eventide.flow import Source
from eventide.instants import Duration, Instant
from eventide.plan import Stream
from eventide.semantics.eventtime import bounded, per_key
from eventide.semantics.schema import field
from eventide.semantics.windows import tumbling

SAFECAST = {
    "uploaded": field(Instant, path="service_uploaded", formats="%b %d, %Y @ %H:%M:%S%.f"),
    "captured": field(Instant, path="when_captured"),
    "device": field(str, path="device_urn"),
    "dose": field(float, path="lnd_7318u", thousands=",", minimum=0),
}
"""The columns of a Safecast file that the job needs; the dose is in counts a minute of an LND 7318 tube."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the job leaves to the user: the bound, the allowed lateness, the cap, the oldest age and the alert's
    threshold.
    """

    bound: Duration = "5m"
    lateness: Duration = "1h"
    cap: Duration = "2h"
    max_age: Duration = "365d"
    threshold: float = 100.0


def safecast(path: Path) -> Stream:
    """The readings of a Safecast file, replayed in the order in which they arrived; of one upload, by capture time."""
    return read_csv(path, schema=SAFECAST, arrival="uploaded", order=by_arrival("captured"))


def simulated(source: Source) -> Stream:
    """The readings of a simulated network, which has the same columns."""
    return Stream.from_source(source)


def doses(readings: Stream, settings: Settings, folder: Path) -> Stream:
    """5-minute doses by device with alerts, written to a folder."""
    windows = (
        readings.event_time(
            "captured",
            bounded(settings.bound),
            clock=per_key("device", cap=settings.cap),
            max_age=settings.max_age,
        )
        .group_by("device")
        .window(tumbling("5m"), lateness=settings.lateness)
        .agg(mean=col("dose").mean(), peak=col("dose").max(), n=count())
    )
    return (
        windows.output(
            "alerts",
            lambda results: results.filter(col("peak") > settings.threshold).write(write_csv(folder / "alerts.csv")),
        )
        .write(write_parquet(folder / "doses.parquet"))
        .write(write_csv(folder / "doses.csv"))
        .write(write_csv(folder / "late.csv"), "late")
        .write(write_csv(folder / "dead_letters.csv"), "dead_letters")
    )
