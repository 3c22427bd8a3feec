"""The check of derived streams: keys and their types on both sides, names of joined columns, where copies may be looked
for.

Law: as `check`: every fault at once, each with its remedy.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping

from eventide.errors import Problem
from eventide.instants import duration_text
from eventide.plan.derived import AsofJoin, Derived, Enrich, IntervalJoin, Merge, Pairs, right_names
from eventide.plan.nodes import Deduplicate, Plan, Step

Columns = dict[str, str]
Front = Callable[[Plan, str], tuple[Columns, list[Problem]]]
"""Finds the columns of a plan behind its `after` steps, and what is wrong up to there."""


def derived_columns(derived: Derived, front: Front) -> tuple[Columns, list[Problem]]:
    """The columns of a derived stream, and what is wrong with it and its sides."""
    match derived:
        case Merge(of, by, _):
            columns, problems = front(of, "")
            return columns, problems + list(_keys("deduplicate", by, columns))
        case IntervalJoin(left, right, on, _, _, _, suffix):
            return _joined("join_interval", (left, right), on, suffix, front)
        case AsofJoin(left, right, on, _, _, suffix):
            return _joined("join_asof", (left, right), on, suffix, front)


def _joined(
    where: str, sides: tuple[Plan, Plan], on: Pairs, suffix: str, front: Front
) -> tuple[Columns, list[Problem]]:
    left, problems = front(sides[0], "left ")
    right, found = front(sides[1], "right ")
    problems += found
    problems += _keys(f"{where}, left", [name for name, _ in on], left)
    problems += _keys(f"{where}, right", [name for _, name in on], right)
    problems += _same_types(where, on, left, right)
    names = [one.source.name for side in sides for one in side.inputs]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(Problem(where, f"two sources are named {name!r}", "Give each its own name="))
    made = dict(left)
    keys = {right_key for _, right_key in on}
    for name, new in right_names(list(left), list(right), on, suffix).items():
        if name not in keys and new in made:
            problems.append(Problem(where, f"two joined columns are named {new!r}", "Choose another suffix="))
        if name not in keys:
            made[new] = right[name]
    return made, problems


def _keys(where: str, names: object, columns: Mapping[str, str]) -> Iterator[Problem]:
    assert isinstance(names, list | tuple)
    if not names:
        yield Problem(where, "it names no column", "Name at least one")
    for name in names:
        if name not in columns:
            near = difflib.get_close_matches(name, columns, 1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Columns are {', '.join(columns)}"
            yield Problem(where, f"there is no column {name!r}", hint)
        elif columns[name] in ("list", "record"):
            yield Problem(where, f"{name!r} is a {columns[name]}", "Use a plain value made of it with with_columns")


def deduplicate_problems(where: str, step: Deduplicate, columns: Columns) -> Iterator[Problem]:
    """What is wrong with a `deduplicate` among the steps of a section."""
    if where not in ("behind event_time", "left behind event_time", "right behind event_time", "the derived stream"):
        yield Problem(
            where,
            "deduplicate compares rows of one log by event time",
            "Call it behind event_time and in front of windows",
        )
    yield from _keys(f"{where}, deduplicate", step.by, columns)


def enriched_columns(where: str, step: Enrich, columns: Columns, front: Front) -> tuple[Columns, list[Problem]]:
    """The columns behind an `enrich`, and what is wrong with it."""
    side, problems = front(step.side, "")
    if "before event_time" in where or where.startswith("source "):
        problems.append(
            Problem(where, "enrich stands in front of event_time or of a union", "Call it behind event_time")
        )
    if where.startswith(("results", "output")) and step.misses is not None:
        problems.append(Problem(where, f"misses={step.misses!r} of results have no output", "Leave misses= out"))
    for one in step.side.inputs:
        if not one.source.bounded:
            problems.append(Problem(f"{where}, enrich", f"the side {one.source.name!r} never ends", "Use join_asof"))
    problems += _keys(f"{where}, enrich", [name for name, _ in step.on], columns)
    problems += _keys(f"{where}, enrich, side", [name for _, name in step.on], side)
    problems += _same_types(f"{where}, enrich", step.on, columns, side)
    made = dict(columns)
    added = step.added(list(columns), list(side))
    for name, new in (*added.items(), *([(None, step.version)] if step.version is not None else [])):
        if new in made:
            problems.append(Problem(f"{where}, enrich", f"two columns are named {new!r}", "Choose another name"))
        made[new] = "string" if name is None else side[name]
    return made, problems


def _same_types(where: str, on: Pairs, left: Columns, right: Columns) -> Iterator[Problem]:
    for left_key, right_key in on:
        kinds = (left.get(left_key, "null"), right.get(right_key, "null"))
        if kinds[0] != kinds[1] and "null" not in kinds:
            yield Problem(
                where,
                f"key {left_key!r} is {kinds[0]} on the left and {kinds[1]} on the right",
                "Bring them to one type in the schema or with with_columns",
            )


def horizon_problems(plan: Plan) -> Iterator[Problem]:
    """Copies must be known for as long as windows take corrections; outputs do not look for copies by themselves."""
    allowed_us = plan.aggregate.lateness.allowed_us if plan.aggregate is not None else 0
    for step in _copies(plan.after):
        if step.within_us < allowed_us:
            yield Problem(
                "deduplicate",
                f"within={duration_text(step.within_us)} is shorter than lateness={duration_text(allowed_us)}, "
                "so a copy in between would count twice",
                "Make within at least as long",
            )
    for name in sorted(name for name in {*plan.misses} if plan.outputs.count(name) > 1):
        yield Problem("enrich", f"two outputs are named {name!r}", "Give misses= another name")
    for branch in plan.branches:
        if plan.aggregate is None and len(_copies(branch.steps)) > len(_copies(plan.after)):
            yield Problem(
                f"output {branch.name}", "it deduplicates by itself", "Call deduplicate on the stream, then output"
            )


def _copies(steps: tuple[Step, ...]) -> list[Deduplicate]:
    return [step for step in steps if isinstance(step, Deduplicate)]
