"""Play: one case of another engine's answers, run through the real embedded engine.

Law: the case is taken as it stands, its ticks as microseconds; their inclusive watermark T is ours at T + 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import polars as pl

from eventide.engine.clocks import Clocks
from eventide.engine.outputs import Outputs
from eventide.engine.pipeline import Pipeline
from eventide.engine.snapshot import Snapshot
from eventide.expressions import col
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch, LogSet, Position, ReadContext
from eventide.instants import END_OF_TIME
from eventide.plan import LATE, RESULTS, Plan, Stream
from eventide.semantics.eventtime import EventTime, punctuated
from eventide.semantics.windows import Session, Sliding, Window
from eventide.testing.play_joins import play_join
from eventide.testing.played import Played, Unsupported, difference

Way = Literal["stands", "batched", "restored", "workers"]
"""How a case is played: as it stands; all events between two watermarks in one batch; stopped and restored before every
step; with the keys spread over three workers."""

_LOG = "case"
_SCHEMA = {"key": pl.String(), "value": pl.Int64(), "at": INSTANT, "marker": INSTANT}


def play(case: Mapping[str, object], way: Way = "stands") -> Played:
    """Run a case of `windows.json`, `interval_join.json` or `watermark_merge.json`.

    Raises `Unsupported` for what the engine does not do.
    """
    steps = case["steps"]
    assert isinstance(steps, Sequence)
    if "channels" in case:
        return _play_merge(case, steps)
    if "join" in case:
        return play_join(case, steps, way)
    if "window" not in case:
        raise Unsupported("only windows, joins and watermarks are played here")
    return _play_windows(case, steps, way)


def _play_windows(case: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], way: Way) -> Played:
    player = _Player(plan_of(case), workers=3 if way == "workers" else 1)
    got: list[list[dict[str, object]]] = []
    differences: list[str] = []
    wanted_final: dict[tuple[object, ...], object] = {}
    for number, step in enumerate(steps):
        if way == "restored":
            player.stop_and_restore()
        match step["op"]:
            case "event":
                player.event(step, hold=way == "batched")
            case "watermark":
                player.watermark(int(step["ts"]))
            case "checkpoint_restore":
                player.stop_and_restore()
            case "expect":
                if way != "batched":
                    player.flush()
                    got.append(player.rows_since())
                    differences += difference(f"step {number}", got[-1], step["rows"])
                wanted_final.update({(row["key"], row["start"]): row["value"] for row in step["rows"]})
            case other:
                raise Unsupported(f"step {number} is {other!r}, which is not known here")
    player.flush()
    if way == "batched":
        got.append(player.rows_since())
        differences += _batched_difference(got[-1], wanted_final, steps)
    if "expect_late" in case:
        differences += difference("late", player.late, [_late_of(event) for event in case["expect_late"]])
    return Played(got, player.late, "\n".join(differences))


def _batched_difference(
    got: list[dict[str, object]], wanted: Mapping[tuple[object, ...], object], steps: Sequence[Mapping[str, Any]]
) -> list[str]:
    last = {(row["key"], row["start"]): row["value"] for row in got}
    return [] if last == dict(wanted) else [f"final rows: got {last}, wanted {dict(wanted)}"]


def plan_of(case: Mapping[str, Any]) -> Plan:
    """The plan that a case of windows asks for. Raises `Unsupported` for what the engine does not do."""
    window, late = case["window"], case.get("late_policy", "side_output")
    if case.get("aggregate", "sum") != "sum":
        raise Unsupported(f"aggregate {case['aggregate']!r}: the cases known here use sum")
    trigger = case.get("trigger", {})
    if trigger.get("type", "event_time_end_of_window") != "event_time_end_of_window" or trigger.get("purging"):
        raise Unsupported(
            f"trigger {trigger}: results come out when the watermark reaches the window's end, and accumulate"
        )
    settings = EventTime("at", punctuated("marker"), max_future_us=None)
    stream = Stream(Plan(Stream.from_source(_Nothing()).plan.inputs, event_time=settings))
    allowed = f"{int(case.get('allowed_lateness', 0))}us"
    grouped = stream.group_by("key").window(_window(window), lateness=allowed, late="drop" if late == "drop" else None)
    return grouped.agg(value=col("value").sum()).plan


def _window(window: Mapping[str, Any]) -> Window:
    match window["type"]:
        case "tumbling":
            return Sliding(window["size"], window["size"], window.get("offset", 0) % window["size"])
        case "sliding":
            return Sliding(window["size"], window["slide"], window.get("offset", 0) % window["slide"])
        case "session":
            return Session(window["gap"])
        case other:
            raise Unsupported(f"window {other!r}: tumbling, sliding and session windows are played here")


class _Player:
    """A pipeline fed by hand."""

    def __init__(self, plan: Plan, workers: int) -> None:
        self._plan = plan
        self._workers = workers
        self._pipeline = Pipeline.of(plan, workers)
        self._held: list[Mapping[str, Any]] = []
        self._offset = 0
        self._rows: list[dict[str, object]] = []
        self._out: set[tuple[object, ...]] = set()
        self.late: list[dict[str, object]] = []

    def event(self, step: Mapping[str, Any], *, hold: bool) -> None:
        self._held.append(step)
        if not hold:
            self.flush()

    def flush(self, heartbeat: int | None = None) -> None:
        """Put the held events in as one batch."""
        if not self._held and heartbeat is None:
            return
        offsets = list(range(self._offset, self._offset + len(self._held)))
        self._offset += len(self._held)
        columns = {
            "key": [step["key"] for step in self._held],
            "value": [step["value"] for step in self._held],
            "at": pl.Series([step["ts"] for step in self._held], dtype=pl.Int64).cast(INSTANT),
            "marker": [None] * len(offsets),
            OFFSET: offsets,
            ARRIVAL: [None] * len(offsets),
        }
        self._held = []
        rows = pl.DataFrame(columns, schema={**_SCHEMA, OFFSET: pl.Int64(), ARRIVAL: INSTANT})
        self._take(self._pipeline.process(Batch(_LOG, rows, heartbeat=heartbeat)))

    def watermark(self, inclusive: int) -> None:
        self.flush(heartbeat=min(inclusive + 1, END_OF_TIME))

    def stop_and_restore(self) -> None:
        """Throw the pipeline away and go on with a new one from its snapshot, through its files."""
        files = self._pipeline.snapshot().to_files()
        self._pipeline = Pipeline.of(self._plan, self._workers)
        self._pipeline.restore(Snapshot.from_files(files))

    def _take(self, outputs: Outputs) -> None:
        for frame in outputs.get(RESULTS, []):
            shown = frame.with_columns(pl.col("window_start", "window_end").cast(pl.Int64))
            for row in shown.iter_rows(named=True):
                self._note(row)
        for frame in outputs.get(LATE, []):
            for row in frame.with_columns(pl.col("at").cast(pl.Int64)).iter_rows(named=True):
                self.late.append({"key": row["key"], "value": row["value"], "ts": row["at"]})

    def _note(self, row: Mapping[str, Any]) -> None:
        """Keep the rows that Flink has too: it neither takes back rows nor says that a window is closed for good."""
        told = (row["key"], row["window_start"], row["window_end"], row["revision"])
        if row.get("op") == "retract" or told in self._out:
            return
        self._out.add(told)
        start, end = row["window_start"], row["window_end"]
        self._rows.append({"key": row["key"], "value": row["value"], "start": start, "end": end, "out_ts": end - 1})

    def rows_since(self) -> list[dict[str, object]]:
        """The rows since the last time."""
        rows, self._rows = self._rows, []
        return rows


def _play_merge(case: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> Played:
    """Several inputs, one output watermark, by the clocks alone."""
    clocks = Clocks(EventTime("at", punctuated("marker"), max_future_us=None))
    names = [str(channel) for channel in range(case["channels"])]
    for name in names:
        clocks.add(name)
    empty = pl.DataFrame(schema=_SCHEMA)
    none = pl.Series([], dtype=pl.Int64)
    told: list[dict[str, object]] = []
    got: list[list[dict[str, object]]] = []
    differences: list[str] = []
    was_idle, shown = False, clocks.stream
    for number, step in enumerate(steps):
        match step["op"]:
            case "input_watermark":
                clocks.observe(names[step["channel"]], empty, none, int(step["ts"]) + 1)
            case "input_idle":
                clocks.declare_idle(names[step["channel"]])
            case "input_active":
                clocks.come_back(names[step["channel"]])
            case "expect_output":
                got.append(told)
                differences += difference(f"step {number}", told, step["outputs"])
                told = []
            case other:
                raise Unsupported(f"step {number} is {other!r}, which is not known here")
        if clocks.all_idle != was_idle:
            was_idle = clocks.all_idle
            told.append({"status": "idle" if was_idle else "active"})
        if clocks.stream != shown:
            shown = clocks.stream
            told.append({"watermark": shown - 1})
    return Played(got, [], "\n".join(differences))


def _late_of(event: Mapping[str, Any]) -> dict[str, object]:
    return {"key": event["key"], "value": event["value"], "ts": event["ts"]}


class _Nothing:
    """A source without rows: cases are fed by hand."""

    name = _LOG
    columns = _SCHEMA
    single_log = True
    bounded = True

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> LogSet:
        raise Unsupported("a case is fed by hand")
