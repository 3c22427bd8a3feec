"""From a plan to a job: JSON for the machine, commented SQL for people, and the gaps.

Law: the same plan gives the same job; a plan with gaps gives none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import polars as pl

from eventide.connectors.postgres.sink import Postgres
from eventide.engine.columns import rows_schema
from eventide.engine.pipeline import Pipeline
from eventide.engine.steps.lateness import REASON
from eventide.expressions import Aggregation, Column, OwnAggregate
from eventide.plan import DEAD_LETTERS, LATE, IntervalJoin, Plan, Select, WindowedAggregate, WithColumns, Write
from eventide.plan.check import check
from eventide.plan.types import type_name
from eventide.runners.flink import jdbc, sql
from eventide.runners.flink.gaps import Gap, gaps_of
from eventide.runners.flink.jdbc import jdbc_insert, jdbc_table
from eventide.runners.flink.joins import join_tree, joined_columns, pipeline_of
from eventide.runners.flink.readable import readable
from eventide.runners.flink.settings import event_time_tree, window_tree
from eventide.runners.flink.sinks import is_lines, is_upserted, lines_table, sink_table
from eventide.runners.flink.sources import source_table
from eventide.runners.flink.steps import KEEP, KEEP_BEHIND, Query
from eventide.runners.outlets import identity_of
from eventide.semantics.eventtime import EventTime

VERSION = 4
"""The version of the plan's JSON; the job refuses others."""

_LOOKED_AT = ("marker", "clock_key")
"""Settings that name a column which the clocks look at, beside the event time."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a plan becomes on Flink.

    `job` is the plan as JSON for the job's argument `--plan`, `sql` the statements in it for people to read, `gaps`
    what Flink cannot run. With gaps, `job` and `sql` are empty.
    """

    job: str
    sql: str
    gaps: tuple[Gap, ...]


def compile_plan(plan: Plan, *, parallelism: int = 1, logs: Sequence[str] | None = None) -> Compiled:
    """The plan as a job for Flink.

    `parallelism` is that of every operator. `logs` names all partitions ("topic/0", ...) of a Kafka source, where they
    are known: then there may be several doors. Raises `PlanError` when the plan has problems that have nothing to do
    with Flink.
    """
    if parallelism < 1:
        raise ValueError(f"parallelism={parallelism} must be at least 1")
    check(plan)
    gaps = gaps_of(plan)
    if gaps:
        return Compiled("", "", gaps)
    tree = _joined(plan, logs) if plan.derived is not None else _read(plan, logs)
    outputs = [_output(plan, number, write) for number, write in enumerate(plan.writes)]
    tree = {
        **tree,
        "outputs": outputs,
        "identity": list(_identity(plan)),
        "settings": {"parallelism.default": str(parallelism), "pipeline.object-reuse": "true"} | jdbc.SETTINGS,
    }
    return Compiled(msgspec.json.encode(tree).decode(), readable(tree, outputs), ())


def _read(plan: Plan, logs: Sequence[str] | None, first: int = 0) -> dict[str, Any]:
    """A stream that is read: its sources, of which the first has this number, and its operators."""
    queries, inputs = queries_of(plan, first)
    known = None if logs is None else tuple(logs)
    sources = [_source(plan, number, query, known, first) for number, query in enumerate(queries)]
    return {"version": VERSION, "sources": sources, **operators_tree(plan, queries[0], inputs)}


def _joined(plan: Plan, logs: Sequence[str] | None) -> dict[str, Any]:
    """A stream that is made of two."""
    assert isinstance(plan.derived, IntervalJoin), "a plan with gaps is not compiled"
    left, right = plan.derived.sides
    sides = [_read(left, logs), _read(right, logs, len(left.inputs))]
    return {"version": VERSION, "sources": [], **joined_operators(plan, sides)}


def joined_operators(plan: Plan, sides: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the join and the windows behind it need to know. `sides` are what the job reads of each side."""
    handed = [_seen({one["name"]: one["type"] for one in side["columns"]}) for side in sides]
    query = Query("SELECT * FROM `joined`", joined_of(plan))
    joined, window = query.columns, None
    if plan.aggregate is not None:
        query.take(plan.after, KEEP_BEHIND)
        inputs = _inputs(plan.aggregate, query)
        window = {**window_tree(plan.aggregate), "inputs": inputs}
        window["aggregates"] = _aggregates(plan.aggregate, query, inputs)
    return {
        "columns": _named(_door_columns(query)),
        "join": {
            "columns": _named(joined.items()),
            "select": query.body if query.changed else None,
            **join_tree(plan, sides, handed),
        },
        "window": window,
    }


def joined_of(plan: Plan) -> dict[str, str]:
    """The columns of the rows that a join makes."""
    assert isinstance(plan.derived, IntervalJoin), "a plan with gaps is not compiled"
    left, right = (_seen(query_of(side)[0].columns) for side in plan.derived.sides)
    return joined_columns(plan.derived, left, right)


def _seen(columns: Mapping[str, str]) -> dict[str, str]:
    return {name: kind for name, kind in columns.items() if not name.startswith("_")}


def _source(plan: Plan, number: int, query: Query, logs: tuple[str, ...] | None, first: int) -> dict[str, Any]:
    table = source_table(plan.inputs[number].source, logs, _called("source", first + number))
    selects = query.body if query.changed else None
    named = {"intake": _called("intake", first + number), "select": selects}
    return {"ddl": table.ddl, "query": table.query, **named, **table.reading}


def _called(what: str, number: int) -> str:
    """The name of a table or view of the source with this number."""
    return f"{what}_{number}" if number else what


def operators_tree(plan: Plan, query: Query, inputs: Sequence[str]) -> dict[str, Any]:
    """What the door and the windows of a plan need to know: columns, event time, window, aggregates."""
    window = None
    if plan.aggregate is not None:
        window = window_tree(plan.aggregate)
        window |= {"inputs": inputs, "aggregates": _aggregates(plan.aggregate, query, inputs)}
    timed = plan.event_time is not None
    return {
        "columns": _named(_door_columns(query)),
        "late": _late(plan, query),
        "time": ("_time" if plan.after else _settings(plan).column) if timed else None,
        "event_time": _event_time(plan) if timed else None,
        "window": window,
    }


def queries_of(plan: Plan, first: int = 0) -> tuple[list[Query], list[str]]:
    """The query of each source in front of the door, all with the same columns, and those that the aggregates take."""
    made = [query_of(plan, number, first) for number in range(len(plan.inputs))]
    queries = [query for query, _ in made]
    columns, flags = (
        list(queries[0].columns),
        [flag for flag in (KEEP, KEEP_BEHIND) if any(flag in one.flags for one in queries)],
    )
    if len(queries) > 1 and any(one.changed or list(one.columns) != columns for one in queries):
        for one in queries:
            one.align(columns, flags)
    return queries, made[0][1]


def query_of(plan: Plan, number: int = 0, first: int = 0) -> tuple[Query, list[str]]:
    """The query of one source in front of the door, and the columns that the aggregates take."""
    one = plan.inputs[number]
    columns = {name: type_name(kind) for name, kind in one.source.columns.items()}
    query = Query(f"SELECT * FROM {sql.name(_called('intake', first + number))}", columns)  # noqa: S608 - a name of ours
    query.take((*one.steps, *plan.before), KEEP)
    if plan.after and plan.event_time is not None:
        _keep_clocks(plan, query)
        for name in _remade(plan, query):
            query.add(f"_front_{name}", Column(name))
    query.take(plan.after, KEEP_BEHIND)
    return query, [] if plan.aggregate is None else _inputs(plan.aggregate, query)


def _remade(plan: Plan, query: Query) -> list[str]:
    """The columns at the door that steps behind it leave out or put other values into."""
    shown = [name for name in query.columns if not name.startswith("_")]
    made = {name for step in plan.after if isinstance(step, WithColumns) for name, _ in step.columns}
    selects = any(isinstance(step, Select) for step in plan.after)
    return [name for name in shown if selects or name in made]


def _late(plan: Plan, query: Query) -> list[dict[str, str]]:
    """The columns of late rows and dead letters, and where at the door they stand as they were in front of it."""
    names = [name for name in rows_schema(plan) if not name.startswith("_") and name not in REASON]
    kept = {name: f"_front_{name}" for name in names}
    return [{"name": name, "from": kept[name] if kept[name] in query.columns else name} for name in names]


def _inputs(window: WindowedAggregate, query: Query) -> list[str]:
    inputs: dict[object, str] = {}
    for _, aggregate in window.aggregates:
        of = aggregate.of if isinstance(aggregate, Aggregation) else None
        if of is None or of.key in inputs:
            continue
        if isinstance(of, Column):
            inputs[of.key] = of.name
        else:
            inputs[of.key] = f"_a{len(inputs)}"
            query.add(inputs[of.key], of)
    return list(inputs.values())


def _keep_clocks(plan: Plan, query: Query) -> None:
    """Columns of the door's own, because steps behind it may change what its clocks look at."""
    tree = event_time_tree(_settings(plan))
    query.add("_time", Column(_settings(plan).column))
    for name in _LOOKED_AT:
        if tree.get(name) is not None:
            query.add(f"_{name}", Column(tree[name]))


def _settings(plan: Plan) -> EventTime:
    assert plan.event_time is not None, "a stream without event time is not compiled"
    return plan.event_time


def _event_time(plan: Plan) -> dict[str, Any]:
    tree = event_time_tree(_settings(plan))
    kept = {name: f"_{name}" for name in _LOOKED_AT if plan.after and tree.get(name) is not None}
    closes_by_key = plan.aggregate is not None and tree["clock_key"] in plan.aggregate.keys
    return {**tree, **kept, "closes_by_key": closes_by_key}


def _door_columns(query: Query) -> list[tuple[str, str]]:
    return [*query.columns.items(), *((flag, "boolean") for flag in query.flags)]


def _named(columns: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": name, "type": kind} for name, kind in columns]


def _aggregates(window: WindowedAggregate, query: Query, inputs: Sequence[str]) -> list[dict[str, Any]]:
    places: dict[object, int] = {}
    made = []
    for name, aggregate in window.aggregates:
        assert not isinstance(aggregate, OwnAggregate), "an aggregate with gaps is not compiled"
        of = aggregate.of
        place = -1 if of is None else places.setdefault(of.key, len(places))
        kind = "integer" if of is None else query.columns[inputs[place]]
        made.append(
            {
                "name": name,
                "function": aggregate.function,
                "input": place,
                "type": kind,
                "arguments": dict(aggregate.arguments),
            }
        )
    return made


def _output(plan: Plan, number: int, write: Write) -> dict[str, Any]:
    results = _results(plan) if write.output not in (LATE, DEAD_LETTERS) and plan.aggregate is not None else None
    columns = Pipeline.of(plan, 1).output_schema(write.output)
    called = f"sink_{number}"
    if isinstance(write.sink, Postgres):
        return {"ddl": jdbc_table(called, plan, write.sink, columns), "insert": jdbc_insert(called, columns)}
    view = _view(plan, write, columns)
    if results is not None and view == sql.name("results") and is_lines(write, columns):
        ddl, lines = lines_table(called, plan, write, columns)
        taken = "`record`, `key`" if lines["key"] else "`record`"
        return {
            "ddl": ddl,
            "insert": f"INSERT INTO {sql.name(called)}\nSELECT {taken} FROM {sql.name(lines['view'])}",
            "lines": lines,
        }
    listed = ",\n  ".join(_shown(name, kind) for name, kind in columns.items())
    insert = f"INSERT INTO {sql.name(called)}\nSELECT\n  {listed}\nFROM {view}"
    return {"ddl": sink_table(called, plan, write, columns), "insert": insert}


def _identity(plan: Plan) -> Sequence[str]:
    """What identifies a result, where a sink replaces rows."""
    if plan.aggregate is None:
        return ()
    results = _results(plan)
    upserts = any(isinstance(write.sink, Postgres) or is_upserted(write, results) for write in plan.writes)
    return identity_of(plan, results) if upserts else ()


def _shown(name: str, kind: pl.DataType) -> str:
    return sql.name(name)


def _view(plan: Plan, write: Write, columns: Mapping[str, pl.DataType]) -> str:
    if write.output in (LATE, DEAD_LETTERS):
        return sql.name(write.output)
    if is_upserted(write, columns):
        return sql.name("changes")
    steps = {branch.name: branch.steps for branch in plan.branches}.get(write.output, plan.finish)
    if plan.aggregate is not None:
        query = Query("SELECT * FROM `results`", _result_types(plan), hidden=_marks(plan))
    elif plan.derived is not None:
        query, steps = Query("SELECT * FROM `results`", joined_of(plan), hidden=()), plan.after
    if not steps or (plan.aggregate is None and plan.derived is None):
        return sql.name("results")
    query.take(steps, None)
    inner = "\n".join(f"  {line}" for line in query.body.splitlines())
    return f"(\n{inner}\n)"


def _result_types(plan: Plan) -> dict[str, str]:
    results = _results(plan)
    return {name: type_name(kind) for name, kind in results.items() if name != "op"}


def _results(plan: Plan) -> dict[str, pl.DataType]:
    windows = (pipeline_of(plan).tail if plan.derived is not None else Pipeline.of(plan)).windows
    assert windows is not None, "a stream without windows is not compiled"
    return windows.result_schema


def _marks(plan: Plan) -> tuple[str, ...]:
    return ("op",) if "op" in _results(plan) else ()
