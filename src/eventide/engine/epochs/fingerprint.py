"""What of a plan its state belongs to, part by part, in the words of plans as text.

Law: state is kept where its part is unchanged and refused where it is not, before anything is written; a part without
state (filters, columns) may change at will.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import polars as pl

from eventide.engine.pipeline import Pipeline
from eventide.errors import CheckpointError, PlanError
from eventide.flow import EpochSink, Source
from eventide.plan import Filter, MapBatches, Plan, Select, WithColumns

Tree = Mapping[str, Any]
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_OF_SOURCE = ("kind", "order", "one_log", "speed")
"""What gives a source's positions their meaning."""
_FORGETFUL: tuple[type, ...] = (Filter, Select, WithColumns, MapBatches)
"""Steps without state: they may change."""
_MAY_CHANGE = ("strategy", "max_future", "max_age", "idle_after", "close_when_idle")
"""Settings of event time that say how clocks go on, not what they hold."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The parts of a plan that have state: sources by name, event time, what is between door and results with its
    types, and the columns of each sink that takes epochs.
    """

    sources: Mapping[str, Tree]
    event_time: Tree
    steps: Tree
    types: Mapping[str, str]
    sinks: Mapping[str, Mapping[str, str]]


def fingerprint(plan: Plan, pipeline: Pipeline) -> Fingerprint:
    """The fingerprint of a plan and its pipeline."""
    types = {} if pipeline.windows is None else _types(pipeline.windows.result_schema)
    sinks = {
        name: _types(pipeline.output_schema(plan.writes[number].output))
        for number, name in sink_names(plan).items()
        if isinstance(plan.writes[number].sink, EpochSink)
    }
    return Fingerprint(
        {name: _source(plan.inputs[number].source) for number, name in source_names(plan).items()},
        _event_time(plan),
        _steps(plan),
        types,
        sinks,
    )


def _steps(plan: Plan) -> Tree:
    """Everything between door and results that has state, whatever parts later versions add to plans."""
    from eventide.plan.codec import plan_to

    bare = replace(plan, inputs=(), before=(), event_time=None, after=(), finish=(), branches=(), writes=())
    tree: dict[str, Any]
    try:
        tree = {name: part for name, part in plan_to(bare).items() if name not in ("eventide", "sources")}
    except PlanError:  # a part lives in Python only: its own words, without addresses
        words = {part.name: _words(getattr(bare, part.name)) for part in fields(bare)}
        tree = {name: text for name, text in words.items() if text not in ("()", "None")}
    return {**tree, **_remembering(plan)}


def _remembering(plan: Plan) -> Tree:
    """The steps that may remember rows, by the section that they stand in."""
    sections = {"before": plan.before, "after": plan.after, "finish": plan.finish}
    sections |= {f"source {number}": one.steps for number, one in enumerate(plan.inputs)}
    sections |= {f"output {branch.name}": branch.steps for branch in plan.branches}
    found = {
        name: [_words(step) for step in steps if not isinstance(step, _FORGETFUL)] for name, steps in sections.items()
    }
    return {f"steps of {name}": steps for name, steps in found.items() if steps}


def _words(part: object) -> str:
    return _ADDRESS.sub("", repr(part))


def source_names(plan: Plan) -> dict[int, str]:
    """The name of each source by its number; sources of the same name are numbered."""
    return _numbered([one.source.name for one in plan.inputs])


def sink_names(plan: Plan) -> dict[int, str]:
    """The name of each write by its number: its output and its sink."""
    return _numbered([f"{write.output} to {write.sink.name}" for write in plan.writes])


def _numbered(names: Sequence[str]) -> dict[int, str]:
    made: dict[int, str] = {}
    for number, name in enumerate(names):
        before = names[:number].count(name)
        made[number] = f"{name} #{before + 1}" if before else name
    return made


def _source(source: Source) -> Tree:
    from importlib import import_module

    try:
        tree = import_module("eventide.connectors.codec").source_to(source)
    except PlanError:
        return {"kind": type(source).__name__}
    return {name: tree[name] for name in _OF_SOURCE if tree.get(name)}


def _event_time(plan: Plan) -> Tree:
    from eventide.plan.settings import event_time_to

    if plan.event_time is None:
        return {}
    try:
        return event_time_to(plan.event_time)
    except PlanError:
        tree = event_time_to(replace(plan.event_time, strategy=_any_strategy()))
        return {**tree, "strategy": type(plan.event_time.strategy).__name__}


def _any_strategy() -> Any:
    from eventide.semantics.eventtime import ascending

    return ascending()


def _types(schema: Mapping[str, pl.DataType]) -> dict[str, str]:
    return {name: type_name(dtype) for name, dtype in schema.items()}


def type_name(dtype: pl.DataType) -> str:
    """A type as a word that does not depend on the version of Polars."""
    match dtype:
        case pl.List(inner=pl.DataType() as inner):
            return f"list of {type_name(inner)}"
        case pl.Struct(fields=fields):
            return "record of " + ", ".join(f"{one.name} {type_name(one.dtype)}" for one in fields)  # type: ignore[arg-type]
        case _:
            return type(dtype).__name__.lower()


def fit(saved: Fingerprint, now: Fingerprint) -> list[str]:
    """What of a state is not used by a plan or starts anew in it, in words. Raises `CheckpointError` with every part
    that the state does not fit.
    """
    problems = [
        *(
            f"source {name!r}: {told}"
            for name, source in now.sources.items()
            for told in _differences(saved.sources.get(name, source), source)
        ),
        *(f"event time, {told}" for told in _differences(_clock(saved.event_time), _clock(now.event_time))),
        *(f"windows, {told}" for told in _differences(saved.steps, now.steps)),
        *(f"type of {told}" for told in _differences(saved.types, now.types) if saved.steps == now.steps),
        *(
            f"sink {name!r}, column {told}"
            for name, columns in now.sinks.items()
            for told in _differences(saved.sinks.get(name, columns), columns)
        ),
    ]
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise CheckpointError(
            f"the state belongs to another plan:\n{listed}\n"
            "Nothing was written. Run the plan as it was, or begin anew with another state folder"
        )
    return [
        *_changes("source", saved.sources, now.sources, "starts at its beginning", "its logs are forgotten"),
        *_changes("sink", saved.sinks, now.sinks, "gets what comes from here on", "gets nothing any more"),
    ]


def _clock(event_time: Tree) -> Tree:
    return {name: value for name, value in event_time.items() if name not in _MAY_CHANGE}


def _differences(saved: Tree, now: Tree) -> list[str]:
    """Where two trees differ, in words."""
    return [
        f"{name}: was {_shown(saved, name)}, is {_shown(now, name)}"
        for name in dict.fromkeys([*saved, *now])
        if saved.get(name) != now.get(name)
    ]


def _shown(tree: Tree, name: str) -> str:
    return str(tree[name]) if name in tree else "not there"


def _changes(what: str, saved: Tree, now: Tree, new: str, gone: str) -> list[str]:
    added = [f"{what} {name!r} is new: it {new}" for name in now if name not in saved]
    return added + [f"{what} {name!r} is not in the plan any more: {gone}" for name in saved if name not in now]
