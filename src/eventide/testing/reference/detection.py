"""Detection, one event at a time: scores, marks, trends, alerts and silence in plain arithmetic.

Law: written from the law: the events that are on time, sorted by event time, log and offset, one after the other.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from eventide.instants import END_OF_TIME, NO_WATERMARK
from eventide.plan import Absent, Alert, AlertRate, Anomaly, OrderedStep, Peaks, Trend
from eventide.semantics.detection import Ewma, Hampel, Seasonal, ZScore
from eventide.semantics.eventtime import EventTime
from eventide.testing.reference.clocks import Clocks
from eventide.testing.reference.entries import Entry, Event, Finished, Heartbeat, Idle

Truth = bool | None
Conditions = Mapping[str, tuple[Callable[[Mapping[str, Any]], Truth], Callable[[Mapping[str, Any]], Truth] | None]]
"""What `when` and `clear` of each alert say of a row, by the alert's name."""

_REACH_US = 3 * 10**17


@dataclass
class Row:
    """A row with its place in the order."""

    at: int
    log: str
    offset: int
    values: dict[str, Any]

    def key(self, by: Sequence[str]) -> tuple[Any, ...]:
        return tuple(self.values[name] for name in by)


@dataclass
class Found:
    """Rows with what was added to them, and alerts as (at, rule, key, state, since)."""

    rows: list[Row]
    alerts: list[tuple[int, int, tuple[Any, ...], str, int]] = field(default_factory=list)


def on_time(settings: EventTime, entries: Iterable[Entry], logs: list[str]) -> tuple[list[Row], int]:
    """The events in front of the watermark of their own log, in the order of event time, and how far time came."""
    clocks = Clocks(settings, logs, ())
    rows, came = [], NO_WATERMARK
    for entry in entries:
        match entry:
            case Event(log, offset, values):
                time = values[settings.column]
                if isinstance(time, int) and -(10**16) < time < 2**62:
                    clocks.come_back(clocks.logs[log])
                    if time >= clocks.before(log, values):
                        rows.append(Row(time, log, offset, dict(values)))
                    clocks.observe(log, values, time)
            case Heartbeat(log, watermark):
                clocks.come_back(clocks.logs[log])
                clocks.logs[log].watermark = max(clocks.logs[log].watermark, watermark)
            case Idle(log):
                clocks.logs[log].idle = True
            case Finished(log):
                clocks.logs[log].finished = True
        clocks.settle()
        came = clocks.stream if clocks.stream != END_OF_TIME else came
    last = max((row.at for row in rows), default=NO_WATERMARK)
    return sorted(rows, key=lambda row: (row.at, row.log, row.offset)), max(came, last)


def detect(rows: list[Row], steps: Sequence[OrderedStep], conditions: Conditions, came: int = 0) -> Found:
    """All steps over rows in order, up to the instant to which time came; alerts by instant, rule and key."""
    found = Found(rows)
    for rule, step in enumerate(steps):
        match step:
            case Anomaly() | Peaks() | Trend():
                _score(rows, step)
            case Alert():
                scored = any(isinstance(earlier, Anomaly | Peaks | Trend) for earlier in steps[:rule])
                found.alerts += _alerts(rows, rule, step, conditions[step.name], by_arrival=not scored)
            case Absent():
                found.alerts += _silences(rows, rule, step, came)
    found.alerts.sort(
        key=lambda alert: (alert[0], alert[1], [(v is not None, 0 if v is None else v) for v in alert[2]])
    )
    return found


def _alerts(
    rows: list[Row], rule: int, alert: Alert, condition: tuple[Any, Any], *, by_arrival: bool
) -> list[tuple[int, int, tuple[Any, ...], str, int]]:
    when, clear = condition
    made: list[tuple[int, int, tuple[Any, ...], str, int]] = []
    up: dict[tuple[Any, ...], int] = {}
    last: dict[tuple[Any, ...], int] = {}

    def is_clear(row: Row) -> bool:
        here = when(row.values)
        return here is False if clear is None else bool(clear(row.values)) and not here

    for row in rows:
        key = row.key(alert.by)
        if when(row.values):
            outdated = by_arrival and any(
                other.log == row.log
                and other.key(alert.by) == key
                and other.offset < row.offset
                and other.at > row.at
                and is_clear(other)
                for other in rows
            )
            rested = key not in last or row.at >= last[key] + alert.cooldown_us
            if not outdated and key not in up and rested:
                up[key] = last[key] = row.at
                made.append((row.at, rule, key, "raised", row.at))
        elif is_clear(row) and key in up:
            made.append((row.at, rule, key, "cleared", up.pop(key)))
    return made


def _silences(
    rows: list[Row], rule: int, absent: Absent, came: int
) -> list[tuple[int, int, tuple[Any, ...], str, int]]:
    made: list[tuple[int, int, tuple[Any, ...], str, int]] = []
    last: dict[tuple[Any, ...], int] = {}
    for row in rows:
        key = row.key(absent.by)
        if key in last and row.at > last[key] + absent.for_us:
            since = last[key] + absent.for_us
            made += [(since, rule, key, "raised", since), (row.at, rule, key, "cleared", since)]
        last[key] = row.at
    for key, at in last.items():
        if at + absent.for_us < came:
            made.append((at + absent.for_us, rule, key, "raised", at + absent.for_us))
    return made


def critical(rate: AlertRate, raised: Sequence[int], last: int, came: int) -> list[tuple[int, str, int]]:
    """The turns of a critical condition: (at, state, count), from the instants at which alerts were raised, up to the
    last event or the instant to which time came.
    """
    turns: list[tuple[int, str, int]] = []
    up = False
    for at in sorted({*raised, *(instant + rate.within_us for instant in raised)}):
        if at > last and at >= came:
            break
        count = sum(at - rate.within_us < instant <= at for instant in raised)
        if (count >= rate.count) != up:
            up = not up
            turns.append((at, "raised" if up else "cleared", count))
    return turns


def _score(rows: list[Row], step: Anomaly | Peaks | Trend) -> None:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        method = step.method if isinstance(step, Anomaly) else None
        slot = (row.at % method.period_us // method.slot_us,) if isinstance(method, Seasonal) else ()
        value = row.values[step.column]
        _added(row, step, None)
        if value is not None and math.isfinite(value):
            groups.setdefault((*row.key(step.by), *slot), []).append(row)
    for group in groups.values():
        points = [(row.at, float(row.values[step.column])) for row in group]
        for n, row in enumerate(group):
            _added(row, step, _judged(step, points, n))


def _judged(step: Anomaly | Peaks | Trend, points: list[tuple[int, float]], n: int) -> Any:
    match step:
        case Anomaly():
            return _anomaly(step, [x for _, x in points[:n]], points[n][1])
        case Peaks():
            return 0 < n < len(points) - 1 and _is_peak(step, points[n - 1 : n + 2])
        case Trend():
            return _line(step, points[max(n + 1 - step.rows, 0) : n + 1])


def _added(row: Row, step: Anomaly | Peaks | Trend, judged: Any) -> None:
    match step:
        case Anomaly(prefix=prefix):
            score, expected = judged or (None, None)
            is_anomaly = score is not None and abs(score) > step.method.threshold
            row.values |= {f"{prefix}score": score, f"{prefix}expected": expected, f"is_{prefix}anomaly": is_anomaly}
        case Peaks(name=name):
            row.values[name] = bool(judged)
        case Trend(prefix=prefix):
            names = ("slope", "reaches_at", "reaches_error")
            row.values |= dict(zip((prefix + name for name in names), judged or (None, None, None), strict=True))


def _anomaly(step: Anomaly, past: list[float], x: float) -> tuple[float, float] | None:
    method = step.method
    match method:
        case ZScore(rows=rows) | Hampel(rows=rows) | Seasonal(cycles=rows):
            if len(past) < rows:
                return None
            near = past[-rows:]
            expected = statistics.fmean(near) if isinstance(method, ZScore) else statistics.median(near)
            off = [abs(value - expected) for value in near]
            scale = statistics.stdev(near) if isinstance(method, ZScore) else 1.4826 * statistics.median(off)
        case Ewma(alpha=alpha, warmup=warmup):
            if len(past) < warmup:
                return None
            expected, variance = past[0], 0.0
            for value in past[1:]:
                variance = (1 - alpha) * (variance + alpha * (value - expected) ** 2)
                expected = (1 - alpha) * expected + alpha * value
            scale = math.sqrt(variance)
        case _:
            raise NotImplementedError(f"the reference does not know {method!r}")  # models of other libraries
    scale = max(scale, method.least_scale)
    return (0.0 if x == expected else math.copysign(math.inf, x - expected) if not scale else (x - expected) / scale), (
        expected
    )


def _is_peak(step: Peaks, three: list[tuple[int, float]]) -> bool:
    (t0, x0), (t1, x1), (t2, x2) = three
    near = t1 - t0 <= step.within_us and t2 - t1 <= step.within_us
    alone = min(x1 - x0, x1 - x2) > step.jump or max(x1 - x0, x1 - x2) < -step.jump
    return near and alone and abs(x2 - x0) < step.jump / 2


def _line(step: Trend, points: list[tuple[int, float]]) -> tuple[float, int | None, int | None] | None:
    if len(points) < 3 or len({t for t, _ in points}) < 2:
        return None
    n, now = len(points), points[-1][0]
    times, values = [(t - now) / 1e6 for t, _ in points], [x for _, x in points]
    slope, intercept = statistics.linear_regression(times, values)
    if slope == 0:
        return slope, None, None
    ahead = (step.to - intercept) / slope
    if not 0 <= ahead * 1e6 + now < _REACH_US or ahead < 0:
        return slope, None, None
    mean = statistics.fmean(times)
    sxx = math.fsum((t - mean) ** 2 for t in times)
    noise = math.fsum((x - intercept - slope * t) ** 2 for t, x in zip(times, values, strict=True)) / (n - 2)
    error = math.sqrt(noise * (1 / n + (ahead - mean) ** 2 / sxx)) / abs(slope)
    return slope, now + round(ahead * 1e6), round(error * 1e6)
