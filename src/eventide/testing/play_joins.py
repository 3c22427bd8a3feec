"""Play of joins: another engine's interval joins, run through the real embedded engine.

Law: their operator knows one watermark, the smaller of both sides, and takes an element that stands at it: so that
smaller one is put into both logs, tick for tick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from eventide.engine.outputs import Outputs
from eventide.engine.pipeline import Pipeline
from eventide.engine.snapshot import Snapshot
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch
from eventide.instants import END_OF_TIME, NO_WATERMARK
from eventide.plan import LATE, RESULTS, Input, IntervalJoin, Plan
from eventide.semantics.eventtime import EventTime, punctuated
from eventide.testing.laws import Columns
from eventide.testing.played import Played, Unsupported, difference

_SIDES = ("left", "right")
_SCHEMA = {"key": pl.String(), "at": INSTANT, "marker": INSTANT}


def play_join(case: Mapping[str, Any], steps: Sequence[Mapping[str, Any]], way: str) -> Played:
    """Run a case of `interval_join.json`."""
    player = _Player(_plan(case["join"]), 3 if way == "workers" else 1)
    got: list[list[dict[str, object]]] = []
    differences: list[str] = []
    wanted_in_all: list[dict[str, object]] = []
    for number, step in enumerate(steps):
        if way == "restored":
            player.stop_and_restore()
        match step["op"]:
            case "event":
                player.event(step, hold=way == "batched")
            case "watermark":
                player.watermark(step["side"], int(step["ts"]))
            case "checkpoint_restore":
                player.stop_and_restore()
            case "expect":
                wanted = [{"left": left, "right": right} for left, right in step["pairs"]]
                wanted_in_all += wanted
                if way != "batched":
                    got.append(player.pairs_since())
                    differences += difference(f"step {number}", got[-1], wanted)
            case other:
                raise Unsupported(f"step {number} is {other!r}, which is not known here")
    player.flush()
    if way == "batched":
        got.append(player.pairs_since())
        differences += difference("in all", got[-1], wanted_in_all)
    if "expect_late" in case:
        wanted = [{"side": event["side"], "ts": event["ts"]} for event in case["expect_late"]]
        differences += difference("late", player.late, wanted)
    return Played(got, player.late, "\n".join(differences))


def _plan(join: Mapping[str, Any]) -> Plan:
    if join.get("type", "interval") != "interval":
        raise Unsupported(f"join {join['type']!r}: interval joins are played here")
    settings = EventTime("at", punctuated("marker"), max_future_us=None)
    left, right = (Plan((Input(Columns(_SCHEMA, name, single_log=True)),), event_time=settings) for name in _SIDES)
    lower = int(join["lower"]) + (0 if join.get("lower_inclusive", True) else 1)
    upper = int(join["upper"]) - (0 if join.get("upper_inclusive", True) else 1)
    if lower > upper:
        raise Unsupported(f"bounds {join['lower']} to {join['upper']} hold no instant")
    spec = IntervalJoin(left, right, (("key", "key"),), lower, upper)
    return Plan((*left.inputs, *right.inputs), derived=spec)


@dataclass(frozen=True, slots=True)
class _Seen:
    """An event that came by, and the watermark that stood then."""

    side: str
    key: object
    ts: int
    watermark: int


@dataclass
class _Player:
    """A pipeline fed by hand."""

    plan: Plan
    workers: int
    late: list[dict[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._pipeline = Pipeline.of(self.plan, self.workers)
        for number, name in enumerate(_SIDES):
            self._pipeline.add_log(name, number)
        self._held: dict[str, list[Mapping[str, Any]]] = {name: [] for name in _SIDES}
        self._offsets = dict.fromkeys(_SIDES, 0)
        self._watermarks = dict.fromkeys(_SIDES, NO_WATERMARK)
        self._pairs: list[dict[str, object]] = []
        self._seen: list[_Seen] = []

    def event(self, step: Mapping[str, Any], *, hold: bool) -> None:
        self._refuse_what_they_forget(step)
        self._held[step["side"]].append(step)
        if not hold:
            self.flush()

    def flush(self, heartbeat: int | None = None) -> None:
        """Put the held events of each side in as one batch, and a watermark behind them."""
        for number, name in enumerate(_SIDES):
            steps = self._held[name]
            if not steps and heartbeat is None:
                continue
            first = self._offsets[name]
            self._offsets[name] += len(steps)
            columns = {
                "key": [step["key"] for step in steps],
                "at": pl.Series([step["ts"] for step in steps], dtype=pl.Int64).cast(INSTANT),
                "marker": [None] * len(steps),
                OFFSET: list(range(first, first + len(steps))),
                ARRIVAL: [None] * len(steps),
            }
            rows = pl.DataFrame(columns, schema={**_SCHEMA, OFFSET: pl.Int64(), ARRIVAL: INSTANT})
            self._held[name] = []
            self._take(self._pipeline.process(Batch(name, rows, heartbeat=heartbeat), number))

    def watermark(self, side: str, ts: int) -> None:
        before = self._watermark
        self._watermarks[side] = max(self._watermarks[side], ts)
        if self._watermark > before:
            self.flush(min(self._watermark, END_OF_TIME))

    @property
    def _watermark(self) -> int:
        return min(self._watermarks.values())

    def stop_and_restore(self) -> None:
        """Throw the pipeline away and go on with a new one from its snapshot, through its files."""
        files = self._pipeline.snapshot().to_files()
        self._pipeline = Pipeline.of(self.plan, self.workers)
        self._pipeline.restore(Snapshot.from_files(files))

    def _refuse_what_they_forget(self, step: Mapping[str, Any]) -> None:
        """An element at the watermark is not late for them, but a partner at the far bound is gone by then."""
        join = self.plan.derived
        assert isinstance(join, IntervalJoin)
        one = _Seen(step["side"], step["key"], int(step["ts"]), self._watermark)
        for other in self._seen:
            left, right = (one, other) if one.side == "left" else (other, one)
            fits = join.lower_us <= right.ts - left.ts <= join.upper_us
            kept_us = max(join.upper_us if other.side == "left" else -join.lower_us, 0)
            gone = other.ts + kept_us <= one.watermark and other.watermark < one.watermark
            if one.side != other.side and one.key == other.key and fits and gone and one.ts >= one.watermark:
                raise Unsupported(
                    f"the {one.side} event at {one.ts} stands exactly at the watermark: the other engine takes it in "
                    f"but has forgotten its partner at {other.ts}; here every accepted pair comes out"
                )
        self._seen.append(one)

    def _take(self, outputs: Outputs) -> None:
        for frame in outputs.get(RESULTS, []):
            times = frame.select(pl.col("at").cast(pl.Int64), pl.col("at_right").cast(pl.Int64))
            self._pairs += [{"left": left, "right": right} for left, right in times.iter_rows()]
        for frame in outputs.get(LATE, []):
            right = "at_right"
            shown = frame.select("_side", pl.coalesce(pl.col("at", right).cast(pl.Int64)))
            self.late += [{"side": side, "ts": ts} for side, ts in shown.iter_rows()]

    def pairs_since(self) -> list[dict[str, object]]:
        """The pairs since the last time."""
        pairs, self._pairs = self._pairs, []
        return pairs
