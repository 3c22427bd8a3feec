"""The detectors judged on recordings with labelled anomalies: precision, recall and delay, as a table.

    python -m benchmarks.nab [FOLDER]

Law: the settings are the library's defaults, the same for every file, and were not chosen by looking at these files.

A detection is an alert that was raised: `is_anomaly`, not again within a day. Precision is the share of detections that lie
in a labelled window, recall the share of windows with a detection, delay the time from a window's beginning to its
first detection (the windows begin before the anomaly, which is why an early detection is possible). As in NAB itself the
first 15 % of a file, at most 750 rows, are for learning and not judged. Source: Lavin and Ahmad, Evaluating real-time anomaly
detection algorithms, ICMLA 2015.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import eventide as et
from eventide import col
from eventide.instants import duration_text, instant_us
from eventide.semantics.detection import Method

FILES = ("ambient_temperature_system_failure", "machine_temperature_system_failure", "nyc_taxi")
DETECTORS: Mapping[str, Method] = {
    "zscore()": et.zscore(),
    "hampel()": et.hampel(),
    "ewma()": et.ewma(),
    "seasonal()": et.seasonal(),
}
LIMITS = {FILES[0]: (0.0, 120.0), FILES[1]: (0.0, 120.0), FILES[2]: (0.0, 40_000.0)}
"""What the units suggest: degrees Fahrenheit of a room and of a machine, taxi trips in half an hour."""


@dataclass(frozen=True, slots=True)
class Score:
    """How a detector did on a file. `delay_us` is the median over the windows that it found."""

    raised: int
    inside: int
    found: int
    windows: int
    delay_us: int | None

    def line(self, file: str, detector: str) -> str:
        """The score as a row of the table."""
        precision = f"{self.inside / self.raised:.2f}" if self.raised else "-"
        delay = "-" if self.delay_us is None else duration_text(self.delay_us // 60_000_000 * 60_000_000)
        recall = f"{self.found / self.windows:.2f}"
        shares = f"{precision} ({self.inside} of {self.raised}) | {recall} ({self.found} of {self.windows})"
        return f"| {file} | `{detector}` | {shares} | {delay} |"


def score(folder: Path, file: str, method: Method) -> Score:
    """Run a detector over a file and judge its alerts."""
    readings = et.read_csv(folder / "data" / f"{file}.csv", schema={"timestamp": et.Instant, "value": float})
    timed = readings.event_time("timestamp", et.bounded("1h"), max_future=None)
    alerts = timed.anomaly("value", method).alert(col("is_anomaly"), name="anomaly", cooldown="1d")
    outcome = alerts.run(show=False)
    learnt = min(int(0.15 * outcome.results.height), 750)
    judged_us = outcome.results["timestamp"].to_physical().sort()[learnt]
    raised = outcome["alerts"].filter(state="raised")["at"].to_physical()
    return judge([at for at in raised.to_list() if at >= judged_us], windows_of(folder, file))


def windows_of(folder: Path, file: str) -> list[tuple[int, int]]:
    """The labelled windows of a file, in microseconds."""
    labels = json.loads((folder / "labels" / "windows.json").read_text())
    return [(instant_us(start), instant_us(end)) for start, end in labels[f"realKnownCause/{file}.csv"]]


def judge(raised: Sequence[int], windows: Sequence[tuple[int, int]]) -> Score:
    """Alerts against windows."""
    inside = [at for at in raised if any(start <= at <= end for start, end in windows)]
    firsts = [min((at - start for at in inside if start <= at <= end), default=None) for start, end in windows]
    delays = [delay for delay in firsts if delay is not None]
    return Score(
        len(raised), len(inside), len(delays), len(windows), int(statistics.median(delays)) if delays else None
    )


def table(folder: Path, *, trees: bool) -> list[str]:
    """The whole table; with half-space trees if River is there."""
    lines = ["| file | detector | precision | recall | median delay |", "|---|---|---|---|---|"]
    for file in FILES:
        low, high = LIMITS[file]
        models = {f"half_space_trees({low:g}, {high:g})": et.half_space_trees(low, high)} if trees else {}
        for name, method in {**DETECTORS, **models}.items():
            lines.append(score(folder, file, method).line(file, name))
    return lines


if __name__ == "__main__":
    try:
        import river  # noqa: F401

        has_river = True
    except ImportError:
        has_river = False
    where = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2] / "shared" / "data" / "nab"
    print("\n".join(table(where, trees=has_river)))
