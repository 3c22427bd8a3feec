"""Detection of a whole plan: the chain of events, the alerts of events and results in one order, and their rates.

Law: alerts come out in the order of event time, one sequence for every cut; only alerts of results alone that are never
corrected keep the order of their results, so that a key with a clock of its own does not wait for the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from eventide.engine.detection.alerting import alert_schema, visible_alerts
from eventide.engine.detection.events import EventChain, Released
from eventide.engine.detection.order import Order
from eventide.engine.detection.rates import RATE_SCHEMA, Rates
from eventide.engine.detection.results import ResultChain
from eventide.engine.detection.stage import AT, ROW, RULE, Frames
from eventide.engine.steps.shape import LookUp, shaped_schema
from eventide.instants import END_OF_TIME, NO_WATERMARK
from eventide.plan import ALERTS, RESULTS, Alert, OrderedStep, Peaks, Plan


class Detection:
    """What a plan detects, at work."""

    def __init__(self, plan: Plan, schema: Mapping[str, pl.DataType]) -> None:
        self._plan = plan
        self.events = EventChain(plan, schema) if any(isinstance(step, OrderedStep) for step in plan.after) else None
        self._of_results = any(isinstance(step, Alert) for step in plan.finish)
        self._keys: dict[str, pl.DataType] = dict(self.events.alert_keys) if self.events else {}
        if self._of_results and plan.aggregate is not None:
            inside = shaped_schema(dict(schema), plan.after)
            self._keys |= {name: inside[name] for name in plan.aggregate.keys}
        self._allowed_us = plan.aggregate.lateness.allowed_us if plan.aggregate is not None else 0
        ordered = self.events is not None or self._allowed_us > 0
        self._merged = Order([AT, RULE, *self._keys, ROW]) if ordered else None
        self._rates = {rate.name: Rates(rate) for rate in plan.rates}
        self.now_us: int | None = None

    @property
    def orders(self) -> bool:
        """True when events must be in order before they go on to windows or results."""
        return self.events is not None and self.events.orders

    @property
    def delay_us(self) -> int:
        """By how much windows behind the chain lag the watermark."""
        return int(self.orders) + sum(step.within_us for step in self._plan.after if isinstance(step, Peaks))

    @property
    def reach_us(self) -> int:
        """How far behind an event its steps look, so that no instant of theirs lies behind the end of time."""
        spans: list[int] = [
            getattr(step, name)
            for step in (*self._plan.after, *self._plan.finish)
            for name in ("cooldown_us", "for_us", "within_us")
            if hasattr(step, name)
        ]
        return 1 + sum(spans) + sum(rate.within_us for rate in self._plan.rates)

    def schemas(self) -> dict[str, dict[str, pl.DataType]]:
        """The columns of the outputs that detection makes."""
        return {ALERTS: alert_schema(self._keys), **{name: dict(RATE_SCHEMA) for name in self._rates}}

    def heard(self, rows: pl.DataFrame) -> list[pl.DataFrame]:
        """Events were received now."""
        if self.events is None or self.now_us is None:
            return []
        return self._visible(self.events.heard(rows, self.now_us))

    def clock_read(self, now_us: int) -> list[pl.DataFrame]:
        """The wall clock was read."""
        self.now_us = now_us
        return [] if self.events is None else self._visible(self.events.clock_read(now_us))

    def put_out(
        self, released: Released | None, results: ResultChain | None, least: int
    ) -> dict[str, list[pl.DataFrame]]:
        """Alerts and rates of a batch. `least` is what every key's closing watermark has reached."""
        found = [*(released.alerts if released is not None else ()), *(results.alerts() if results is not None else ())]
        reached = END_OF_TIME if self.events is None else self.events.reached
        if results is not None:
            results.reached = least if least == END_OF_TIME else least - self._allowed_us
            reached = min(reached, results.reached)
        fronts = [chain.front for chain in (self.events, results) if chain is not None]
        front = max(fronts, default=NO_WATERMARK)
        frames = self._visible(self._in_order(found, reached))
        outputs = {ALERTS: frames}
        whole = pl.concat(frames) if frames else pl.DataFrame(schema=alert_schema(self._keys))
        for name, rates in self._rates.items():
            outputs[name] = [rates.take(whole, reached, front)]
        return outputs

    def _in_order(self, found: list[pl.DataFrame], reached: int) -> list[pl.DataFrame]:
        if self._merged is None:
            return found
        if found:
            whole = pl.concat(found, how="diagonal_relaxed")
            missing = [pl.lit(None, dtype=dtype).alias(k) for k, dtype in self._keys.items() if k not in whole.columns]
            whole = whole.with_columns(missing)
            held = self._merged.waiting
            self._merged.add(whole.select(held.columns if held is not None else sorted(whole.columns)))
        ready = self._merged.release(reached)
        return [] if ready is None else [ready]

    def _visible(self, frames: Sequence[pl.DataFrame]) -> list[pl.DataFrame]:
        return [visible_alerts(frames, self._keys)] if frames else []

    def snapshot(self) -> Frames:
        """Everything it remembers."""
        frames: Frames = {}
        if self.events is not None:
            frames |= {f"events.{name}": frame for name, frame in self.events.snapshot().items()}
        for name, rates in self._rates.items():
            frames |= {f"rates.{name}.{part}": frame for part, frame in rates.snapshot().items()}
        if self._merged is not None and self._merged.waiting is not None:
            frames["merged"] = self._merged.waiting
        return frames

    def restore(self, frames: Mapping[str, pl.DataFrame]) -> None:
        """Take a snapshot."""
        if self.events is not None:
            self.events.restore(_part(frames, "events."))
        for name, rates in self._rates.items():
            rates.restore(_part(frames, f"rates.{name}."))
        if self._merged is not None:
            self._merged.waiting = frames.get("merged")


def detection_of(plan: Plan, schema: Mapping[str, pl.DataType]) -> Detection | None:
    """The detection of a plan whose admitted rows have these columns; None for a plan that detects nothing."""
    steps = (*plan.after, *plan.finish)
    return Detection(plan, schema) if any(isinstance(step, OrderedStep) for step in steps) else None


def result_chain(
    plan: Plan, output: str, schema: Mapping[str, pl.DataType], identity: Sequence[str], look_up: LookUp
) -> ResultChain | None:
    """The chain of an output of results; None when row-wise steps are all there is."""
    steps = {branch.name: branch.steps for branch in plan.branches}.get(output, plan.finish)
    if not any(isinstance(step, OrderedStep) for step in steps):
        return None
    return ResultChain(steps, schema, identity, len(plan.after), look_up, watching=output == RESULTS)


def _part(frames: Mapping[str, pl.DataFrame], prefix: str) -> dict[str, pl.DataFrame]:
    return {name[len(prefix) :]: frame for name, frame in frames.items() if name.startswith(prefix)}
