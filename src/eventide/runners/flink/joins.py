"""Interval joins on Flink: each side is a stream of its own up to its door, behind the doors rows meet by key.

Law: what is not named in the gaps pairs the same rows as embedded (decision 0008), leaves the same ones alone and calls
the same ones late.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from eventide.engine.derived import DerivedPipeline
from eventide.engine.pipeline import Pipeline
from eventide.engine.steps.lateness import REASON
from eventide.plan import LATE, AsofJoin, IntervalJoin, Merge, Plan, right_names
from eventide.plan.types import type_name
from eventide.semantics.windows import Count

Types = dict[str, str]

_WHY = {
    Merge: "captures (deduplicate with merge=True) run embedded only: the job makes no one row of several",
    AsofJoin: "join_asof runs embedded only: the job pairs rows within an interval",
}


def join_gaps(plan: Plan) -> Iterator[tuple[str, str]]:
    """What the job cannot do of a derived stream and of windows behind it, its sides and steps left out."""
    derived = plan.derived
    if not isinstance(derived, IntervalJoin):
        yield "stream", _WHY[type(derived)]
        return
    for name, side in zip(("left", "right"), derived.sides, strict=True):
        if side.derived is not None:
            yield f"{name} side", "it is a derived stream itself: the job joins streams that are read"
        elif side.event_time is not None and side.event_time.close_when_idle:
            yield f"{name} event_time", "close_when_idle in front of a join: no door there sees both sides fall silent"
    if plan.aggregate is not None:
        yield from _window_gaps(plan)


def _window_gaps(plan: Plan) -> Iterator[tuple[str, str]]:
    query = plan.aggregate
    assert query is not None, "a plan without windows is not asked"
    if isinstance(query.window, Count):
        yield "window", "count windows behind a join: the job has their rows in no order of event time"
    if query.lateness.allowed_us:
        yield "window", "lateness= behind a join, where nothing is late: leave it out"
    if query.early is not None:
        yield "window", "early= behind a join: what is there early follows the interleaving"
    if query.fill_empty:
        yield "window", 'fill="empty" behind a join: it needs one door that sees all rows'


def key_gaps(derived: IntervalJoin, left: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Keys that the two engines may not find equal."""
    for name, _ in derived.on:
        if left.get(name) == "float":
            yield f"on {name}", "it is a float: join on whole numbers, texts, times or truth values"


def joined_columns(derived: IntervalJoin, left: Mapping[str, str], right: Mapping[str, str]) -> Types:
    """The columns of joined rows with their types."""
    made = dict(left)
    for name, new in right_names(list(left), list(right), derived.on, derived.suffix).items():
        made.setdefault(new, right[name])
    return made


def join_tree(plan: Plan, sides: Sequence[dict[str, Any]], columns: Sequence[Types]) -> dict[str, Any]:
    """How the rows of both sides meet. `sides` are what the job reads of each, `columns` those that each hands on."""
    derived = plan.derived
    assert isinstance(derived, IntervalJoin), "a plan with gaps is not compiled"
    left, right = columns
    joined = joined_columns(derived, left, right)
    named = right_names(list(left), list(right), derived.on, derived.suffix)
    from_right = {new: list(right).index(name) for name, new in named.items()}
    pipeline = pipeline_of(plan)
    reach_us = pipeline.derived_reach_us + pipeline.tail.reach_us
    return {
        "sides": [
            {**side, "side": {"hands": list(hands), "reach_us": reach_us}}
            for side, hands in zip(sides, columns, strict=True)
        ],
        "lower_us": derived.lower_us,
        "upper_us": derived.upper_us,
        "alone": [derived.how in ("left", "outer"), derived.how == "outer"],
        "keys": [[name for name, _ in derived.on], [name for _, name in derived.on]],
        "from": [
            [list(left).index(name) if name in left else -1 for name in joined],
            [from_right.get(name, -1) for name in joined],
        ],
        "late": _late(derived, pipeline),
    }


def _late(derived: IntervalJoin, pipeline: DerivedPipeline) -> list[dict[str, Any]]:
    """The columns of the late output, and what they are called in that of each side."""
    left, right = (list(offer.late_columns) for offer in pipeline.offers)
    mine = {name: name for name in left}
    theirs = {new: name for name, new in right_names(left, right, derived.on, derived.suffix).items()}
    both = {name: name for name in REASON}
    return [
        {"name": name, "type": _kind(kind), "left": (mine | both).get(name), "right": (theirs | both).get(name)}
        for name, kind in pipeline.output_schema(LATE).items()
    ]


def _kind(kind: pl.DataType) -> str:
    return "integer" if isinstance(kind, pl.Duration) else type_name(kind)


def pipeline_of(plan: Plan) -> DerivedPipeline:
    """The pipeline of a plan with a derived stream."""
    made = Pipeline.of(plan, 1)
    assert isinstance(made, DerivedPipeline), "a plan without a derived stream is not asked"
    return made
