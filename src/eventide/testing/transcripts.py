"""Transcripts: what comes in and what is expected, step by step, in YAML that people read; every runner plays them.

Law: times are seconds; each `expect` names all rows since the one before, in any order, by the columns that it shows;
each `late` and `dead` the log and offset of all such rows since the one before. What nobody expected is a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
import polars as pl

from eventide.errors import EventideError
from eventide.expressions import Aggregation
from eventide.flow import INSTANT
from eventide.plan import DEAD_LETTERS, LATE, RESULTS
from eventide.plan.codec import aggregate_from
from eventide.plan.settings import event_time_from
from eventide.testing.laws import Manner, engine_answer, rows_of
from eventide.testing.played import difference
from eventide.testing.reference import Entry, Event, Finished, Heartbeat, Idle, Query, reference

COLUMNS: Mapping[str, pl.DataType] = {"key": pl.String(), "at": INSTANT, "x": pl.Float64()}
"""The columns of the rows of a transcript; one that a row does not name is null."""

Rows: TypeAlias = list[dict[str, Any]]
Kind = Literal["expect", "late", "dead"]
_SECOND_US = 1_000_000
_TIMES = ("window_start", "window_end")


@dataclass(frozen=True)
class Heard:
    """What a runner gave for some entries: result rows (times in microseconds), and late and refused rows as log and
    offset.
    """

    results: Rows
    late: list[tuple[str, int]]
    dead: list[tuple[str, int]]


Runner: TypeAlias = Callable[[Query, Sequence[Entry], Sequence[str]], Heard]
"""Plays entries from the start and gives everything that came out."""


@dataclass(frozen=True)
class Expectation:
    """What is said of all that came out since the last expectation of its kind, behind so many `entries`."""

    entries: int
    kind: Kind
    rows: Rows


@dataclass(frozen=True)
class Transcript:
    """A transcript that was read."""

    title: str
    query: Query
    logs: tuple[str, ...]
    entries: tuple[Entry, ...]
    expected: tuple[Expectation, ...]

    def differences(self, runner: Runner) -> list[str]:
        """How what a runner gives differs from what is expected, in words; empty: not at all."""
        said: list[str] = []
        heard = dict.fromkeys(("expect", "late", "dead"), 0)
        ends = (Expectation(len(self.entries), kind, []) for kind in ("expect", "late", "dead"))
        for one in (*self.expected, *ends):
            rows = _told(one.kind, runner(self.query, self.entries[: one.entries], self.logs))
            new, heard[one.kind] = rows[heard[one.kind] :], len(rows)
            shown = {name for row in one.rows for name in row} or {name for row in new for name in row}
            got = [{name: row.get(name) for name in shown} for row in new]
            said += difference(f"behind entry {one.entries}, {one.kind}", got, one.rows)
        return said


def _told(kind: str, heard: Heard) -> Rows:
    if kind != "expect":
        found = heard.late if kind == "late" else heard.dead
        return [{"log": log, "offset": offset} for log, offset in found]
    return [
        {name: value // _SECOND_US if name in _TIMES and value is not None else value for name, value in row.items()}
        for row in heard.results
    ]


def read_transcript(path: Path) -> Transcript:
    """The transcript in a YAML file. Raises `EventideError` where it cannot be read."""
    try:
        return _transcript(msgspec.yaml.decode(path.read_bytes()))
    except (KeyError, TypeError, ValueError, msgspec.MsgspecError) as fault:
        raise EventideError(f"{path.name} is no transcript: {fault}. See the others in its folder") from fault


def _transcript(tree: Mapping[str, Any]) -> Transcript:
    asked = tree["query"]
    windows = aggregate_from({"aggregates": {"n": "count()"}, **{k: v for k, v in asked.items() if k != "event_time"}})
    aggregates = tuple((name, one) for name, one in windows.aggregates if isinstance(one, Aggregation))
    settings = event_time_from({"column": "at", "max_future": None, **asked["event_time"]})
    query = Query(
        settings, windows.keys, windows.window, aggregates, windows.lateness, windows.early, windows.fill_empty
    )
    logs = tuple(tree.get("logs", ("one",)))
    entries: list[Entry] = []
    expected: list[Expectation] = []
    offsets = dict.fromkeys(logs, 0)
    for step in tree["steps"]:
        kind = next((kind for kind in ("expect", "late", "dead") if kind in step), None)
        if kind is not None:
            expected.append(Expectation(len(entries), kind, [dict(row) for row in step[kind]]))  # type: ignore[arg-type] # one of the kinds
        else:
            entries.append(_entry(step, logs[0], offsets))
    return Transcript(tree["title"], query, logs, tuple(entries), tuple(expected))


def _entry(step: Mapping[str, Any], first: str, offsets: dict[str, int]) -> Entry:
    match step:
        case {"idle": str(log), **rest} if not rest:
            return Idle(log)
        case {"finished": str(log), **rest} if not rest:
            return Finished(log)
        case {"heartbeat": str(log), "at": int(at), **rest} if not rest:
            return Heartbeat(log, at * _SECOND_US)
        case {"at": int() | None as at}:
            log = step.get("log", first)
            unknown = sorted(set(step) - {"log", *COLUMNS})
            if unknown or log not in offsets:
                raise ValueError(f"a row names {unknown or log!r}: it has log, key, at and x")
            row = {name: step.get(name) for name in COLUMNS} | {"at": None if at is None else at * _SECOND_US}
            offsets[log] += 1
            return Event(log, offsets[log] - 1, row)
        case _:
            raise ValueError(f"{dict(step)} is no step: write a row, heartbeat, idle, finished, expect, late or dead")


def by_reference(query: Query, entries: Sequence[Entry], logs: Sequence[str]) -> Heard:
    """The slow and obvious reference as a runner."""
    answer = reference(query, entries, list(logs))
    late = [] if query.lateness.policy == "drop" else answer.late
    return Heard(
        [dict(row) for row in answer.results], [_name(row) for row in late], [_name(row) for row in answer.dead_letters]
    )


def by_engine(query: Query, entries: Sequence[Entry], logs: Sequence[str], manner: Manner = Manner()) -> Heard:  # noqa: B008 - frozen
    """The embedded engine as a runner, run in some manner."""
    outputs = engine_answer(query, entries, COLUMNS, logs, manner)
    named = {
        output: [(row["_log"], row["_offset"]) for row in rows_of(outputs.get(output, []))]
        for output in (LATE, DEAD_LETTERS)
    }
    return Heard(rows_of(outputs.get(RESULTS, [])), named[LATE], named[DEAD_LETTERS])


def _name(row: Mapping[str, object]) -> tuple[str, int]:
    log, offset = row["log"], row["offset"]
    assert isinstance(log, str)
    assert isinstance(offset, int)
    return log, offset
