"""From a plan to a job: JSON for the machine, commented SQL for people, and the gaps.

Law: the same plan gives the same job; a plan with gaps gives none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import polars as pl

from eventide.connectors.postgres.sink import Postgres
from eventide.engine.columns import output_schema
from eventide.engine.pipeline import Pipeline
from eventide.expressions import Aggregation, Column, OwnAggregate
from eventide.plan import DEAD_LETTERS, LATE, Plan, WindowedAggregate, Write
from eventide.plan.check import check
from eventide.plan.types import type_name
from eventide.runners.flink import jdbc, sql
from eventide.runners.flink.gaps import Gap, gaps_of
from eventide.runners.flink.jdbc import jdbc_insert, jdbc_table
from eventide.runners.flink.settings import event_time_tree, window_tree
from eventide.runners.flink.sinks import sink_table
from eventide.runners.flink.sources import source_table
from eventide.runners.flink.steps import KEEP, KEEP_BEHIND, Query
from eventide.runners.outlets import identity_of
from eventide.semantics.eventtime import EventTime

VERSION = 1
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
    table = source_table(plan.inputs[0].source, None if logs is None else tuple(logs))
    query, inputs = query_of(plan)
    outputs = [_output(plan, number, write) for number, write in enumerate(plan.writes)]
    selects = query.body if query.changed else None
    tree = {
        "version": VERSION,
        "sources": [{"ddl": table.ddl, "query": table.query, **table.reading}],
        "select": selects,
        **operators_tree(plan, query, inputs),
        "outputs": outputs,
        "identity": list(_identity(plan)),
        "settings": {"parallelism.default": str(parallelism), "pipeline.object-reuse": "true"} | jdbc.SETTINGS,
    }
    return Compiled(msgspec.json.encode(tree).decode(), _readable(table.ddl, table.query, selects, outputs), ())


def operators_tree(plan: Plan, query: Query, inputs: Sequence[str]) -> dict[str, Any]:
    """What the door and the windows of a plan need to know: columns, event time, window, aggregates."""
    assert plan.aggregate is not None, "a stream without windows is not compiled"
    window = window_tree(plan.aggregate) | {"inputs": inputs, "aggregates": _aggregates(plan.aggregate, query, inputs)}
    return {
        "columns": [{"name": name, "type": kind} for name, kind in _door_columns(query)],
        "time": "_time" if plan.after else _settings(plan).column,
        "event_time": _event_time(plan),
        "window": window,
    }


def query_of(plan: Plan) -> tuple[Query, list[str]]:
    """The query in front of the door, and the columns that the aggregates take."""
    one = plan.inputs[0]
    columns = {name: type_name(kind) for name, kind in one.source.columns.items()}
    query = Query("SELECT * FROM `intake`", columns)
    query.take((*one.steps, *plan.before), KEEP)
    if plan.after:
        _keep_clocks(plan, query)
    query.take(plan.after, KEEP_BEHIND)
    assert plan.aggregate is not None
    inputs: dict[object, str] = {}
    for _, aggregate in plan.aggregate.aggregates:
        of = aggregate.of if isinstance(aggregate, Aggregation) else None
        if of is None or of.key in inputs:
            continue
        if isinstance(of, Column):
            inputs[of.key] = of.name
        else:
            inputs[of.key] = f"_a{len(inputs)}"
            query.add(inputs[of.key], of)
    return query, list(inputs.values())


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


def _output(plan: Plan, number: int, write: Write) -> dict[str, str]:
    results = _results(plan) if write.output not in (LATE, DEAD_LETTERS) else None
    columns = output_schema(plan, write.output, results)
    called = f"sink_{number}"
    if isinstance(write.sink, Postgres):
        return {"ddl": jdbc_table(called, plan, write.sink, columns), "insert": jdbc_insert(called, columns)}
    listed = ",\n  ".join(_shown(name, kind) for name, kind in columns.items())
    insert = f"INSERT INTO {sql.name(called)}\nSELECT\n  {listed}\nFROM {_view(plan, write)}"
    return {"ddl": sink_table(called, write, columns), "insert": insert}


def _identity(plan: Plan) -> Sequence[str]:
    """What identifies a result, where a sink replaces rows."""
    if not any(isinstance(write.sink, Postgres) for write in plan.writes):
        return ()
    return identity_of(plan, _results(plan))


def _shown(name: str, kind: pl.DataType) -> str:
    return sql.name(name)


def _view(plan: Plan, write: Write) -> str:
    if write.output in (LATE, DEAD_LETTERS):
        return sql.name(write.output)
    steps = {branch.name: branch.steps for branch in plan.branches}.get(write.output, plan.finish)
    if not steps:
        return sql.name("results")
    query = Query("SELECT * FROM `results`", _result_types(plan), hidden=_marks(plan))
    query.take(steps, None)
    inner = "\n".join(f"  {line}" for line in query.body.splitlines())
    return f"(\n{inner}\n)"


def _result_types(plan: Plan) -> dict[str, str]:
    results = _results(plan)
    return {name: type_name(kind) for name, kind in results.items() if name != "op"}


def _results(plan: Plan) -> dict[str, pl.DataType]:
    windows = Pipeline.of(plan).windows
    assert windows is not None, "a stream without windows is not compiled"
    return windows.result_schema


def _marks(plan: Plan) -> tuple[str, ...]:
    return ("op",) if "op" in _results(plan) else ()


def _readable(ddl: str, query: str, selects: str | None, outputs: Sequence[Mapping[str, str]]) -> str:
    parts = [
        "-- the source: records as they stand",
        f"{ddl};",
        "-- each record with its log, offset and arrival",
        f"{query};",
    ]
    parts.append("-- here the job reads records: columns, log, offset and arrival are the table `intake`")
    if selects is not None:
        parts += ["-- row-wise steps; a row that a filter leaves out is marked and counted", f"{selects};"]
    parts.append(
        "-- here the job has the door and the windows: they make the tables `results`, `late` and `dead_letters`"
    )
    if not outputs:
        parts.append("-- no sink: `run` keeps what a bounded input gives")
    for output in outputs:
        parts += ["-- a sink", f"{output['ddl']};", f"{output['insert']};"]
    return "\n\n".join(parts) + "\n"
