"""What if: the same recorded arrivals under other settings, and what would have changed.

Law: both sides are whole runs of the engine; nothing is estimated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from eventide.errors import PlanError
from eventide.instants import Duration, non_negative_us
from eventide.plan import Plan, Stream
from eventide.runners import Outcome
from eventide.runners import run as run_plan
from eventide.semantics.eventtime import Bounded, Clock, LogClock, Strategy
from eventide.semantics.lateness import Lateness
from eventide.semantics.windows import Window


@dataclass(frozen=True)
class WhatIf:
    """Two runs over the same arrivals: as it is, and as it would be.

    `table` has a row for each figure (`events`, `on_time`, `corrected`, `late`, `dead_letters`, `rows`, `windows`,
    `revisions`, and how many windows are the same, other in their values, only in one of them). `changed` holds the
    windows whose last row differs, with the values of both (those of the changed settings end with `_if`).
    """

    table: pl.DataFrame
    changed: pl.DataFrame
    before: Outcome
    after: Outcome

    def __str__(self) -> str:
        lines = [f"{name:>26s}  {as_it_is:>10,}  {then:>10,}" for name, as_it_is, then in self.table.iter_rows()]
        return "\n".join(lines)


def what_if(
    stream: Stream,
    *,
    strategy: Strategy | None = None,
    bound: Duration | None = None,
    clock: Clock | str | None = None,
    window: Window | None = None,
    lateness: Duration | None = None,
) -> WhatIf:
    """Play a stream of recorded arrivals twice: as it is, and with some settings changed.

    `bound` is short for `strategy=et.bounded(bound)`; `clock` is `"log"` or `et.per_key(...)`; `lateness` is the
    allowed lateness. Sinks are left out on both sides. Raises `PlanError` where there is nothing to compare.

    >>> import eventide as et
    >>> rows = [{"at": 1_000}, {"at": 9_000}, {"at": 2_000}, {"at": 30_000}]
    >>> stream = et.from_rows(rows, schema={"at": et.Instant}).event_time("at", et.bounded("1s"))
    >>> counted = stream.window(et.tumbling("5s")).agg(n=et.count())
    >>> played = et.what_if(counted, bound="10s")
    >>> played.before.late.height, played.after.late.height
    (1, 0)
    """
    plan = stream.plan
    if plan.event_time is None:
        raise PlanError.of("what_if", "the stream has no event time", 'Call .event_time("column", et.bounded("2s"))')
    if bound is not None and strategy is not None:
        raise ValueError("bound= and strategy= are two words for one thing: give one of them")
    wanted = strategy or (None if bound is None else Bounded(non_negative_us(bound, "bound")))
    changed = _with(plan, wanted, clock, window, None if lateness is None else non_negative_us(lateness, "lateness"))
    if changed == plan:
        raise ValueError("nothing is changed: give bound=, strategy=, clock=, window= or lateness=")
    before, after = (run_plan(replace(one, writes=()), show=False) for one in (plan, changed))
    return _compared(plan, before, after)


def _with(
    plan: Plan, strategy: Strategy | None, clock: Clock | str | None, window: Window | None, lateness_us: int | None
) -> Plan:
    assert plan.event_time is not None
    given: dict[str, Any] = {}
    if strategy is not None:
        given["strategy"] = strategy
    if isinstance(clock, str) and clock != "log":
        raise ValueError(f'clock={clock!r} is not a clock: use "log" or et.per_key("device", cap="2h")')
    if clock is not None:
        given["clock"] = LogClock() if isinstance(clock, str) else clock
    made = replace(plan, event_time=replace(plan.event_time, **given))
    if window is None and lateness_us is None:
        return made
    if plan.aggregate is None:
        raise PlanError.of("what_if", "the stream has no windows", "Leave window= and lateness= out")
    inside: dict[str, Any] = {} if window is None else {"window": window}
    if lateness_us is not None:
        policy = plan.aggregate.lateness.policy
        kept = policy if policy == "drop" else ("update" if lateness_us else "side")
        inside["lateness"] = Lateness(kept, lateness_us)
    return replace(made, aggregate=replace(plan.aggregate, **inside))


def _compared(plan: Plan, before: Outcome, after: Outcome) -> WhatIf:
    sides = (_figures(before), _figures(after))
    changed = pl.DataFrame()
    counts: dict[str, tuple[int, int]] = {}
    if plan.aggregate is not None:
        changed, counts = _windows(before, after)
    rows = [(name, sides[0][name], sides[1][name]) for name in sides[0]]
    rows += [(name, *both) for name, both in counts.items()]
    table = pl.DataFrame(
        rows, schema={"figure": pl.String(), "as_it_is": pl.Int64(), "what_if": pl.Int64()}, orient="row"
    )
    return WhatIf(table, changed, before, after)


def _figures(outcome: Outcome) -> dict[str, int]:
    total, results = outcome.accounting.total, outcome.results
    revised = results.filter(pl.col("revision") > 0).height if "revision" in results.columns else 0
    return {
        "events": total.received,
        "on_time": total.on_time,
        "corrected": total.corrected,
        "late": total.late,
        "dead_letters": total.dead_letters,
        "rows": results.height,
        "revisions": revised,
    }


_NOT_VALUES = ("revision", "final", "early", "op", "completeness")


def _windows(before: Outcome, after: Outcome) -> tuple[pl.DataFrame, dict[str, tuple[int, int]]]:
    """The windows whose last row differs, and the counts of windows."""
    one, two = before.final(), after.final()
    names = one.columns
    identity = [*names[: names.index("window_start") + 2]] if "window_start" in names else names
    identity += [name for name in ("log", "window_number") if name in names and name not in identity]
    values = [name for name in names if name not in identity and name not in _NOT_VALUES]
    wanted = [*identity, *values]
    both = one.select(wanted).join(two.select(wanted), on=identity, how="inner", suffix="_if", nulls_equal=True)
    differs = pl.any_horizontal(pl.lit(False), *(pl.col(name).ne_missing(pl.col(f"{name}_if")) for name in values))
    changed = both.filter(differs)
    gone = one.join(two.select(identity), on=identity, how="anti", nulls_equal=True).height
    new = two.join(one.select(identity), on=identity, how="anti", nulls_equal=True).height
    return changed, {
        "windows": (one.height, two.height),
        "windows with the same": (both.height - changed.height, both.height - changed.height),
        "windows with other values": (changed.height, changed.height),
        "windows only here": (gone, new),
    }
