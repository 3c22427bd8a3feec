"""Laws of streams whose rows are seen together: copies, captures and joins, against the reference.

Law: as `laws`: each function raises `AssertionError` with the first difference in words, or returns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from eventide.engine.outputs import Outputs
from eventide.engine.pipeline import Pipeline
from eventide.engine.snapshot import Snapshot
from eventide.flow import Batch
from eventide.plan import LATE, RESULTS, Derived, Input, Plan
from eventide.semantics.eventtime import EventTime
from eventide.testing.laws import Columns, Manner, batches, frame_of, means_of, rows_of
from eventide.testing.reference import Entry, Event, Finished, Heartbeat, Idle
from eventide.testing.reference.pairs import Name, PairAnswer, derived_reference

ID = "id"
"""Column by which drawn rows are told: log and offset as text."""


def named(entries: Sequence[Entry]) -> list[Entry]:
    """The entries with every row's own name in the column `id`."""
    return [
        replace(one, row={**one.row, ID: f"{one.log} {one.offset}"}) if isinstance(one, Event) else one
        for one in entries
    ]


def side(columns: Mapping[str, pl.DataType], settings: EventTime, name: str) -> Plan:
    """The plan of a stream whose entries are put in by hand."""
    return Plan((Input(Columns({**columns, ID: pl.String()}, name)),), event_time=settings)


def derived_plan(derived: Derived) -> Plan:
    """The plan of a derived stream and nothing behind it."""
    return Plan(tuple(one for part in derived.sides for one in part.inputs), derived=derived)


def answer(plan: Plan, entries: Sequence[Entry], logs: Sequence[Sequence[str]], manner: Manner) -> tuple[Outputs, Any]:
    """What the real pipeline gives for the entries, `logs` being those of each source, and its account."""
    pipeline = _fresh(plan, logs, manner)
    outputs: Outputs = {}
    for number, step in enumerate(batches(entries, manner.rows)):
        source = next(place for place, names in enumerate(logs) if step[0].log in names)
        for name, frames in _put(pipeline, step, source, plan).items():
            outputs.setdefault(name, []).extend(frames)
        assert pipeline.accounting.total.closes, f"the accounting does not close: {pipeline.accounting.total}"
        if number in manner.restarts:
            files = pipeline.snapshot().to_files()
            pipeline = Pipeline.of(plan, manner.workers, means=means_of(manner))
            pipeline.restore(Snapshot.from_files(files))
    return outputs, pipeline.accounting.total


def _fresh(plan: Plan, logs: Sequence[Sequence[str]], manner: Manner) -> Pipeline:
    pipeline = Pipeline.of(plan, manner.workers, means=means_of(manner))
    for source, names in enumerate(logs):
        for log in names:
            pipeline.add_log(log, source)
    return pipeline


def _put(pipeline: Pipeline, step: list[Entry], source: int, plan: Plan) -> Outputs:
    columns = plan.inputs[source].source.columns
    match step[0]:
        case Finished(log):
            return pipeline.finish(log)
        case Idle(log):
            return pipeline.declare_idle(log)
        case Heartbeat(log, watermark):
            return pipeline.process(Batch(log, frame_of([], columns), heartbeat=watermark), source)
        case Event(log):
            events = [one for one in step if isinstance(one, Event)]
            return pipeline.process(Batch(log, frame_of(events, columns)), source)


def law_derived(
    derived: Derived, entries: Sequence[Entry], logs: Sequence[Sequence[str]], manner: Manner
) -> PairAnswer:
    """Row for row, in order, a derived stream is what the reference says."""
    outputs, account = answer(derived_plan(derived), entries, logs, manner)
    wanted = derived_reference(derived, entries, logs)
    pairs = [
        (row[ID], row[f"{ID}_right"]) if len(logs) > 1 else (row[ID],) for row in rows_of(outputs.get(RESULTS, []))
    ]
    expected = [tuple(map(_text, one if len(logs) > 1 else one[:1])) for one in wanted.made]
    assert pairs == expected, f"rows: got {pairs}, wanted {expected}"
    late = _late(outputs)
    assert late == wanted.late, f"late: got {late}, wanted {wanted.late}"
    absorbed = sum(len(one) - 1 for one in wanted.made) if len(logs) == 1 else 0
    assert (account.late, account.dead_letters, account.duplicates) == (len(late), len(wanted.refused), absorbed)
    return wanted


def law_one_answer(
    plan: Plan, orders: Sequence[Sequence[Entry]], logs: Sequence[Sequence[str]], manners: Sequence[Manner], exact: bool
) -> None:
    """However logs are interleaved, cut and restarted: the same rows - in the same order if `exact` - and late rows."""
    first: tuple[list[str], list[Name]] | None = None
    for entries in orders:
        for manner in manners:
            outputs, _ = answer(plan, entries, logs, manner)
            rows = [repr(row) for row in rows_of(outputs.get(RESULTS, []))]
            found = (rows if exact else sorted(rows), sorted(_late(outputs)))
            first = first or found
            if found != first:
                lost, more = Counter(first[0]) - Counter(found[0]), Counter(found[0]) - Counter(first[0])
                raise AssertionError(f"{manner}: lost {list(lost)}, more {list(more)}, in order {found[0]}, {first[0]}")


def _late(outputs: Outputs) -> list[Name]:
    return [(row["_log"], row["_offset"]) for row in rows_of(outputs.get(LATE, []))]


def _text(name: Name | None) -> str | None:
    return None if name is None else f"{name[0]} {name[1]}"
