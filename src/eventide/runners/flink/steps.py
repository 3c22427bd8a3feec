"""Row-wise steps as Flink SQL: one query in front of the door.

Law: a step behind the door looks at its row alone, so it may be computed in front of it; what it leaves out still
moves the clocks. No row disappears in SQL: a filter is a column that says whether the row stays, and the door counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from eventide.errors import ExpressionError
from eventide.expressions import Column, Expr, to_sql
from eventide.expressions import type_of as type_of_expression
from eventide.plan import Filter, Select, Step, WithColumns
from eventide.runners.flink import sql

KEEP, KEEP_BEHIND = "_keep", "_keep_behind"
_HIDDEN = ("_log", "_offset", "_arrival")


def step_gaps(where: str, steps: Sequence[Step], columns: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What of the steps cannot be said in Flink SQL."""
    known = dict(columns)
    for step in steps:
        match step:
            case Filter(predicate):
                yield from _expression_gap(where, "filter", predicate)
            case Select(made) | WithColumns(made):
                known = {} if isinstance(step, Select) else known
                for name, expression in made:
                    yield from _expression_gap(where, name, expression)
            case _:
                yield where, f"{_word(step)} has no form there yet"


def _word(step: Step) -> str:
    return {"MapBatches": "map_batches, a Python function,"}.get(type(step).__name__, type(step).__name__.lower())


def _expression_gap(where: str, name: str, expression: Expr) -> Iterator[tuple[str, str]]:
    try:
        to_sql(expression, "flink")
    except ExpressionError as fault:
        yield f"{where}, {name}", str(fault)


@dataclass
class Query:
    """A query that grows step by step: nested selects, the columns and types of the outermost one."""

    body: str
    columns: dict[str, str]
    hidden: tuple[str, ...] = _HIDDEN
    flags: list[str] = field(default_factory=list)
    changed: bool = False

    def take(self, steps: Sequence[Step], flag: str | None) -> None:
        """The steps in turn. Rows that a filter leaves out are marked in the column `flag`; without one they go."""
        for step in steps:
            match step:
                case Filter(predicate) if flag is not None:
                    self._mark(flag, to_sql(predicate, "flink"))
                case Filter(predicate):
                    kept = to_sql(predicate, "flink")
                    self.body = f"SELECT * FROM (\n{self.body}\n)\nWHERE {kept}"  # noqa: S608 - printed from the tree
                case Select(made):
                    self._wrap(made, keep=False)
                case WithColumns(made):
                    self._wrap(made, keep=True)
            self.changed = True

    def align(self, columns: Sequence[str], flags: Sequence[str]) -> None:
        """The columns in this order, and all these flags: a row that no filter here leaves out stays."""
        marked = [sql.name(one) if one in self.flags else f"TRUE AS {sql.name(one)}" for one in flags]
        self._select([*map(sql.name, columns), *marked, *map(sql.name, self.hidden)])
        self.columns = {name: self.columns[name] for name in columns}
        self.flags, self.changed = list(flags), True

    def add(self, name: str, expression: Expr) -> None:
        """One more column."""
        self._wrap([(name, expression)], keep=True)
        self.changed = True

    def _mark(self, flag: str, predicate: str) -> None:
        kept = f"({predicate}) IS TRUE"
        if flag in self.flags:
            kept = f"{sql.name(flag)} AND {kept}"
        else:
            self.flags.append(flag)
        marked = [f"{kept} AS {sql.name(flag)}" if one == flag else sql.name(one) for one in self.flags]
        self._select([*map(sql.name, self.columns), *marked, *map(sql.name, self.hidden)])

    def _wrap(self, made: Sequence[tuple[str, Expr]], *, keep: bool) -> None:
        new = {name: type_of_expression(expression, self.columns) for name, expression in made}
        printed = {name: _printed(expression, new[name]) for name, expression in made}
        stays = [name for name in self.columns if keep or name.startswith("_")]  # the door's own columns stay
        kept = [name for name in stays if name not in printed]
        columns = {**{name: self.columns[name] for name in stays}, **new}
        shown = {**{name: sql.name(name) for name in kept}, **printed}
        listed = [shown[name] if name in kept else f"{shown[name]} AS {sql.name(name)}" for name in columns]
        self._select([*listed, *(sql.name(one) for one in (*self.flags, *self.hidden))])
        self.columns = columns

    def _select(self, listed: Sequence[str]) -> None:
        inner = "\n".join(f"  {line}" for line in self.body.splitlines())
        self.body = "SELECT\n  " + ",\n  ".join(listed) + f"\nFROM (\n{inner}\n)"


def _printed(expression: Expr, kind: str) -> str:
    printed = to_sql(expression, "flink")
    if isinstance(expression, Column):
        return printed
    return f"CAST({printed} AS {sql.type_of(kind)})"
