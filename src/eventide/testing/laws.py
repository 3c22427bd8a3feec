"""The laws as functions: an answer of the engine, cut, spread and restarted in any way, against the reference.

Law: each function raises `AssertionError` with the first difference in words, or returns.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import polars as pl

from eventide.engine.means import Means
from eventide.engine.memory import Memory
from eventide.engine.outputs import Outputs
from eventide.engine.pipeline import Pipeline
from eventide.engine.snapshot import Snapshot
from eventide.engine.workers import Crew
from eventide.errors import EventideError
from eventide.expressions import Aggregation
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch, LogSet, Position, ReadContext
from eventide.instants import NO_WATERMARK
from eventide.plan import DEAD_LETTERS, LATE, RESULTS, Input, Plan, WindowedAggregate
from eventide.testing.reference import Answer, Entry, Event, Finished, Heartbeat, Idle, Query, reference

_NEARLY = {
    "quantile": 0.0101,
    "median": 0.0101,
    "var": 1e-9,
    "std": 1e-9,
    "slope": 1e-9,
    "projection": 1e-9,
    "time_weighted_mean": 1e-9,
}
"""By how much a result may differ relatively; all other aggregates must be the same to the bit."""

_OPTIONAL = ("early", "op", "log", "window_number")


_FIXED_BYTES = 2**40
"""What cannot go to the disk may stay in these tests of what can."""


@dataclass(frozen=True, slots=True)
class Columns:
    """A source that only says what its columns are: entries are put in by hand."""

    columns: Mapping[str, pl.DataType]
    name: str = "entries"
    single_log: bool = False
    bounded: bool = True

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> LogSet:
        raise EventideError("these entries are put in by hand")


@dataclass(frozen=True, slots=True)
class Manner:
    """How the engine is run: the rows of a batch, over how many states in this process keys are spread, after which
    entries it is stopped and restored. Where a crew is given, keys are spread over its processes; after each restart
    the next one takes its turn. `memory` bounds the state in memory, in bytes.
    """

    rows: Sequence[int] = (1_000_000,)
    workers: int = 1
    restarts: frozenset[int] = field(default_factory=frozenset)
    crews: Sequence[Crew | None] = (None,)
    memory: int | None = None


def engine_answer(
    query: Query, entries: Sequence[Entry], columns: Mapping[str, pl.DataType], logs: Sequence[str], manner: Manner
) -> Outputs:
    """What the real pipeline gives for the entries in the same order, run in some manner."""
    aggregate = WindowedAggregate(
        query.keys, query.window, query.aggregates, query.lateness, query.early, query.fill_empty
    )
    plan = Plan((Input(Columns(columns)),), event_time=query.event_time, aggregate=aggregate)
    return plan_answer(plan, entries, columns, logs, manner)


def plan_answer(
    plan: Plan, entries: Sequence[Entry], columns: Mapping[str, pl.DataType], logs: Sequence[str], manner: Manner
) -> Outputs:
    """What the pipeline of any plan over one source gives for the entries in the same order, run in some manner."""
    crews = cycle(manner.crews)
    pipeline = Pipeline.of(plan, manner.workers, means=means_of(manner, next(crews)))
    assert pipeline.clocks is not None
    for log in logs:
        pipeline.clocks.add(log)
    outputs: Outputs = {}
    for number, step in enumerate(batches(entries, manner.rows)):
        for name, frames in _put(pipeline, step, columns).items():
            outputs.setdefault(name, []).extend(frames)
        assert pipeline.accounting.total.closes, f"the accounting does not close: {pipeline.accounting.total}"
        if number in manner.restarts:
            files = pipeline.snapshot().to_files()
            pipeline = Pipeline.of(plan, manner.workers, means=means_of(manner, next(crews)))
            pipeline.restore(Snapshot.from_files(files))
    return outputs


def means_of(manner: Manner, crew: Crew | None = None) -> Means:
    """What a pipeline that is run in some manner may use of the machine."""
    return Means(crew, None if manner.memory is None else Memory(manner.memory, fixed_bytes=_FIXED_BYTES))


def batches(entries: Sequence[Entry], rows: Sequence[int]) -> Iterator[list[Entry]]:
    """Runs of events of one log, cut to the sizes in turn; other entries alone."""
    run: list[Entry] = []
    turn = 0
    for entry in entries:
        full = len(run) >= rows[turn % len(rows)]
        if run and (full or not isinstance(entry, Event) or not isinstance(run[0], Event) or run[0].log != entry.log):
            yield run
            run, turn = [], turn + 1
        run.append(entry)
    if run:
        yield run


def _put(pipeline: Pipeline, step: list[Entry], columns: Mapping[str, pl.DataType]) -> Outputs:
    match step[0]:
        case Finished(log):
            return _closed(pipeline, pipeline.finish(log))
        case Idle(log):
            return _closed(pipeline, pipeline.declare_idle(log))
        case Heartbeat(log, watermark):
            return pipeline.process(Batch(log, frame_of([], columns), heartbeat=watermark))
        case Event(log):
            return pipeline.process(Batch(log, frame_of([one for one in step if isinstance(one, Event)], columns)))


def _closed(pipeline: Pipeline, outputs: Outputs) -> Outputs:
    """What comes out at once, where the plan closes its windows while all logs are idle."""
    settings, clocks = pipeline.plan.event_time, pipeline.clocks
    if settings is not None and settings.close_when_idle and clocks is not None and clocks.all_idle:
        for name, frames in pipeline.close_open_windows().items():
            outputs.setdefault(name, []).extend(frames)
    return outputs


def frame_of(events: Sequence[Event], columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    made = []
    for name, dtype in columns.items():
        values = [event.row[name] for event in events]
        is_instant = isinstance(dtype, pl.Datetime)
        made.append(pl.Series(name, values, dtype=pl.Int64 if is_instant else dtype).cast(dtype))
    made.append(pl.Series(OFFSET, [event.offset for event in events], dtype=pl.Int64))
    made.append(pl.Series(ARRIVAL, [event.arrival_us for event in events], dtype=pl.Int64).cast(INSTANT))
    return pl.DataFrame(made)


def law_equal_to_reference(
    query: Query, entries: Sequence[Entry], columns: Mapping[str, pl.DataType], logs: Sequence[str], manner: Manner
) -> Outputs:
    """Row for row, late event for late event, the engine answers what the reference answers."""
    outputs = engine_answer(query, entries, columns, logs, manner)
    expected = reference(query, entries, list(logs))
    _same_results(query, expected, rows_of(outputs.get(RESULTS, [])))
    late = [(row["_log"], row["_offset"], row["watermark"]) for row in rows_of(outputs.get(LATE, []))]
    wanted = (
        []
        if query.lateness.policy == "drop"
        else [(row["log"], row["offset"], row["watermark"]) for row in expected.late]
    )
    assert late == wanted, f"late events: got {late}, wanted {wanted}"
    dead = [(row["_log"], row["_offset"], row["reason"]) for row in rows_of(outputs.get(DEAD_LETTERS, []))]
    refused = [(row["log"], row["offset"], row["reason"]) for row in expected.dead_letters]
    assert dead == refused, f"dead letters: got {dead}, wanted {refused}"
    return outputs


def law_same_in_every_manner(
    query: Query,
    entries: Sequence[Entry],
    columns: Mapping[str, pl.DataType],
    logs: Sequence[str],
    manners: Sequence[Manner],
) -> None:
    """However it is cut, spread over workers or restarted, the engine gives the same bits."""
    first = engine_answer(query, entries, columns, logs, manners[0])
    for manner in manners[1:]:
        other = engine_answer(query, entries, columns, logs, manner)
        for name in (RESULTS, LATE, DEAD_LETTERS):
            left, right = rows_of(first.get(name, [])), rows_of(other.get(name, []))
            assert len(left) == len(right), f"{name}: {len(left)} rows in {manners[0]}, {len(right)} in {manner}"
            for place, (one, two) in enumerate(zip(left, right, strict=True)):
                assert bits(one) == bits(two), f"{name}, row {place}: {one} in {manners[0]}, {two} in {manner}"


def law_interleaving_free(
    query: Query, orders: Sequence[Sequence[Entry]], columns: Mapping[str, pl.DataType], logs: Sequence[str]
) -> None:
    """However logs are interleaved: the same late and refused events, and the same final content of every window."""
    found = [engine_answer(query, entries, columns, logs, Manner()) for entries in orders]
    contents = [final_content(query, rows_of(outputs.get(RESULTS, []))) for outputs in found]
    sets = [
        {(row["_log"], row["_offset"]) for name in (LATE, DEAD_LETTERS) for row in rows_of(outputs.get(name, []))}
        for outputs in found
    ]
    for content, lost in zip(contents[1:], sets[1:], strict=True):
        assert lost == sets[0], f"late and refused events differ: {lost ^ sets[0]}"
        assert content == contents[0], f"final windows differ: {dict(set(content.items()) ^ set(contents[0].items()))}"


def law_final_once(query: Query, rows: Sequence[Mapping[str, Any]]) -> None:
    """Every fixed window that was shown ends with a row that says it is final, and has no row behind it."""
    final: dict[tuple[object, ...], bool] = {}
    for row in rows:
        identity = tuple(row.get(name) for name in (*query.keys, "window_start"))
        assert not final.get(identity), f"a row behind the final one of its window: {dict(row)}"
        final[identity] = bool(row["final"])
    assert all(final.values()), f"never final: {[identity for identity, over in final.items() if not over]}"


def law_late_behind_what_was_seen(entries: Sequence[Entry], late: Sequence[Mapping[str, Any]], column: str) -> None:
    """No event is late by a watermark that neither an event nor a heartbeat in front of it can have brought about."""
    seen, most = NO_WATERMARK, dict[tuple[str, int], int]()
    for entry in entries:
        if isinstance(entry, Heartbeat):
            seen = max(seen, entry.watermark)
        elif isinstance(entry, Event):
            most[entry.log, entry.offset] = seen
            time = entry.row[column]
            seen = max(seen, time) if isinstance(time, int) else seen
    for row in late:
        assert row["watermark"] <= most[row["_log"], row["_offset"]], f"nothing has come so far: {dict(row)}"


def final_content(query: Query, rows: Sequence[Mapping[str, Any]]) -> dict[tuple[object, ...], str]:
    """The last content of each window by its identity; retracted windows are gone."""
    content: dict[tuple[object, ...], str] = {}
    for row in rows:
        identity = tuple(row.get(name) for name in (*query.keys, "window_start", "log", "window_number"))
        if row.get("op") == "retract":
            content.pop(identity, None)
        else:
            content[identity] = repr([bits({"v": row[name]}) for name, _ in query.aggregates] + [row["window_end"]])
    return content


def rows_of(frames: Sequence[pl.DataFrame]) -> list[dict[str, Any]]:
    """The rows of frames as plain values, instants as microseconds."""
    rows: list[dict[str, Any]] = []
    for frame in frames:
        instants = [name for name, dtype in frame.schema.items() if isinstance(dtype, pl.Datetime) and name != ARRIVAL]
        rows.extend(
            frame.with_columns(pl.col(instants).cast(pl.Int64)).iter_rows(named=True)
            if instants
            else frame.iter_rows(named=True)
        )
    return rows


def _same_results(query: Query, expected: Answer, rows: Sequence[Mapping[str, Any]]) -> None:
    for place, (row, wanted) in enumerate(zip(rows, expected.results, strict=False)):
        for name, value in wanted.items():
            if name in row:
                functions = {n: a.function for n, a in query.aggregates if isinstance(a, Aggregation)}
                relative = _NEARLY.get(functions.get(name, ""), 0.0)
                assert _alike(row[name], value, relative), (
                    f"row {place}, {name}: got {row[name]!r}, wanted {value!r}\n got {dict(row)}\n wanted {wanted}"
                )
            else:
                assert name in _OPTIONAL, f"the results lack {name}"
    assert len(rows) == len(expected.results), (
        f"{len(rows)} rows, wanted {len(expected.results)}: {_extra(rows, expected)}"
    )


def _extra(rows: Sequence[Mapping[str, Any]], expected: Answer) -> object:
    longer = rows if len(rows) > len(expected.results) else expected.results
    return longer[min(len(rows), len(expected.results))]


def _alike(got: Any, wanted: Any, relative: float) -> bool:
    if isinstance(got, float) and isinstance(wanted, float | int):
        if math.isnan(got) or math.isnan(wanted):
            return math.isnan(got) and math.isnan(wanted)
        return got == wanted or math.isclose(got, wanted, rel_tol=relative, abs_tol=relative * 1e-3)
    return bool(got == wanted)


def bits(row: Mapping[str, Any]) -> str:
    """A row as text that differs where a bit does."""
    return repr({name: value for name, value in row.items() if name != ARRIVAL})
