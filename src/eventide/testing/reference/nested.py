"""Derived streams made of derived streams, one after the other: what the inner one makes is a log of the outer one.

Law: written from the law (decision 0008): the made rows in the order of event time are one log, so none of them is
late; what the outer stream holds is compared as a set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from eventide.plan import AsofJoin, Derived, IntervalJoin, Merge, Plan
from eventide.semantics.eventtime import Ascending, EventTime
from eventide.testing.reference.entries import Entry, Event, Finished, Row
from eventide.testing.reference.pairs import Name, derived_reference

MADE = "derived"
_AT = "_made_at"


def made_rows(
    derived: Derived, entries: Sequence[Entry], logs: Sequence[Sequence[str]]
) -> tuple[list[Row], list[Name]]:
    """The rows of a derived stream in the order of event time, each with its time as `_made_at`, and the late rows."""
    answer = derived_reference(derived, entries, logs)
    rows = {(one.log, one.offset): one.row for one in entries if isinstance(one, Event)}
    ordered = sorted(answer.made, key=lambda names: _place(derived, names, rows))
    columns = _left_columns(derived, rows)
    return [_row(derived, names, rows, columns) for names in ordered], answer.late


def nested_reference(
    outer: Derived, inner_side: int, entries: Sequence[Entry], logs: Sequence[Sequence[Sequence[str]]]
) -> tuple[list[Row], list[Name]]:
    """The rows of a derived stream one side of which is derived, and all late rows. `logs` are those of each side, by
    the sources of the side.
    """
    inner = outer.sides[inner_side].derived
    assert inner is not None
    mine = {log for names in logs[inner_side] for log in names}
    made, late = made_rows(inner, [one for one in entries if one.log in mine], logs[inner_side])
    others = [one for one in entries if one.log not in mine]
    told = [Event(MADE, number, row) for number, row in enumerate(made)]
    flat = [
        [MADE] if number == inner_side else [log for names in one for log in names] for number, one in enumerate(logs)
    ]
    door = Plan((), event_time=EventTime(_AT, Ascending(), max_future_us=None))
    whole = _with_side(outer, inner_side, door)
    rows, more = made_rows(whole, [*told, Finished(MADE), *others], flat)
    return rows, [*late, *more]


def _with_side(outer: Derived, number: int, side: Plan) -> Derived:
    match outer:
        case Merge():
            return replace(outer, of=side)
        case IntervalJoin() | AsofJoin():
            return replace(outer, left=side) if number == 0 else replace(outer, right=side)


def _time(row: Row) -> int:
    time = row.get(_AT, row.get("at"))
    assert isinstance(time, int)
    return time


def _made_at(derived: Derived, names: Sequence[Name | None], rows: Mapping[Name, Row]) -> int:
    times = [_time(rows[name]) for name in names if name is not None]
    return max(times) if isinstance(derived, IntervalJoin) else times[0]


def _place(derived: Derived, names: Sequence[Name | None], rows: Mapping[Name, Row]) -> tuple[object, ...]:
    parts = names[:1] if isinstance(derived, Merge) else names
    return _made_at(derived, names, rows), *((name is not None, name or ()) for name in parts)


def _left_columns(derived: Derived, rows: Mapping[Name, Row]) -> set[str]:
    """The columns of the left side: those of what it reads, or those of made rows and of rows that are read."""
    left = derived.sides[0]
    if left.inputs:
        return {*left.inputs[0].source.columns}
    return {column for row in rows.values() for column in row}


def _row(derived: Derived, names: Sequence[Name | None], rows: Mapping[Name, Row], columns: set[str]) -> Row:
    """A made row: each column of a capture its first value; of a join those of both sides, keys of whoever is there."""
    given = [None if name is None else rows[name] for name in names]
    at = {_AT: _made_at(derived, names, rows)}
    if isinstance(derived, Merge):
        known = {name for row in given if row for name in row}
        values = {name: [row[name] for row in given if row and row.get(name) is not None] for name in known}
        first = {name: next(iter(found), None) for name, found in values.items()}
        return {**first, **at}
    left, right = given
    keys = {theirs: mine for mine, theirs in derived.on}
    mine = dict(left or {})
    for name, value in (right or {}).items():
        new = keys.get(name, f"{name}{derived.suffix}" if name in columns else name)
        if mine.get(new) is None:
            mine[new] = value
    return {**mine, **at}
