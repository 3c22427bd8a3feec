"""Entries of Python: mappings and frames become typed columns, and what is neither becomes a refused row.

Law: what a row becomes depends on no other row; every item counts, whatever it is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from eventide.connectors.formats.columns import conform, schema_columns
from eventide.connectors.formats.json_record import Path, path_of, value_at, written
from eventide.connectors.formats.text import RAW_MAX, UNKNOWN
from eventide.flow import ARRIVAL, INSTANT, OFFSET, REFUSED_SCHEMA, Batch, ReadContext
from eventide.semantics.schema import Schema


def size_of(item: object) -> int:
    """How many entries of a log an item stands for: the rows of a frame, or one."""
    return item.height if isinstance(item, pl.DataFrame) else 1


def taken(items: deque[Any], most: int) -> list[object]:
    """The first items with at most so many entries, taken out; a frame with more is cut. Empty frames are left out."""
    found: list[object] = []
    while items and most > 0:
        item = items.popleft()
        if isinstance(item, pl.DataFrame) and item.height > most:
            items.appendleft(item.slice(most))
            item = item.head(most)
        most -= size_of(item)
        if size_of(item):
            found.append(item)
    return found


@dataclass(frozen=True, slots=True)
class Entries:
    """Makes batches of items, by the rules of a schema."""

    schema: Schema
    arrival: str | None
    context: ReadContext
    paths: Mapping[str, Path] = field(init=False)

    def __post_init__(self) -> None:
        paths = {name: path_of(rule.path) if rule.path else (name,) for name, rule in self.schema.fields}
        object.__setattr__(self, "paths", paths)

    def batch(self, log: str, items: Sequence[object], start: int) -> Batch:
        """A batch whose first entry has the offset `start`."""
        rows, refused = [self._empty()], [pl.DataFrame(schema=REFUSED_SCHEMA)]
        run: list[Mapping[str, object]] = []
        places: list[int] = []
        for item in items:
            if isinstance(item, Mapping):
                run.append(item)
                places.append(start)
            elif isinstance(item, pl.DataFrame):
                offsets = pl.int_range(start, start + item.height, dtype=pl.Int64, eager=True)
                self._conform(self._renamed(item), offsets, rows, refused)
            else:
                refused.append(self._not_a_row(item, start))
            start += size_of(item)
        for part, offsets in self._parts(run, places):
            self._conform(part, offsets, rows, refused)
        return Batch(log, pl.concat(rows).sort(OFFSET), pl.concat(refused).sort(OFFSET))

    def _conform(
        self, raw: pl.DataFrame, offsets: pl.Series, rows: list[pl.DataFrame], refused: list[pl.DataFrame]
    ) -> None:
        placed = raw.with_columns(offsets.alias(OFFSET))
        if ARRIVAL not in raw.columns:
            placed = placed.with_columns(pl.lit(self.context.clock.now_us()).cast(INSTANT).alias(ARRIVAL))
        good, bad = conform(placed, self.schema, self.arrival)
        rows.append(good)
        refused.append(bad)

    def _renamed(self, frame: pl.DataFrame) -> pl.DataFrame:
        """A frame whose columns that stand under a path have their own names."""
        paths = {rule.path: name for name, rule in self.schema.fields if rule.path in frame.columns}
        return frame.rename(paths) if paths else frame

    def _parts(
        self, run: Sequence[Mapping[str, object]], places: Sequence[int]
    ) -> list[tuple[pl.DataFrame, pl.Series]]:
        """Columns of rows, apart for rows whose values are of different types, with their offsets."""
        if not run:
            return []
        columns = {name: [_plain(value_at(row, path)) for row in run] for name, path in self.paths.items()}
        if self.schema.unknown != "drop":
            known = {path[0] for path in self.paths.values()}
            others = ({str(key): one for key, one in row.items() if key not in known} for row in run)
            columns[UNKNOWN] = [written(one) if one else None for one in others]
        if all(len({type(value) for value in values} - {type(None)}) <= 1 for values in columns.values()):
            return [_frame(columns, places)]
        kinds: dict[tuple[type, ...], list[int]] = {}
        for place, row in enumerate(zip(*columns.values(), strict=True)):
            kinds.setdefault(tuple(map(type, row)), []).append(place)
        return [
            _frame({name: [values[n] for n in alike] for name, values in columns.items()}, [places[n] for n in alike])
            for alike in kinds.values()
        ]

    def _not_a_row(self, item: object, offset: int) -> pl.DataFrame:
        arrived_us = None if self.arrival is not None else self.context.clock.now_us()
        columns = {
            OFFSET: [offset],
            ARRIVAL: pl.Series([arrived_us], dtype=pl.Int64).cast(INSTANT),
            "reason": [f"not a row but {type(item).__name__}: send a mapping or a frame"],
            "field": [None],
            "raw": [repr(item)[:RAW_MAX]],
        }
        return pl.DataFrame(columns, schema=REFUSED_SCHEMA)

    def _empty(self) -> pl.DataFrame:
        return pl.DataFrame(schema={**schema_columns(self.schema), OFFSET: pl.Int64(), ARRIVAL: INSTANT})


def _plain(value: object) -> object:
    """Lists and records as JSON text, as in files."""
    return written(value) if isinstance(value, dict | list | tuple) else value


def _frame(columns: Mapping[str, list[Any]], places: Sequence[int]) -> tuple[pl.DataFrame, pl.Series]:
    frame = pl.DataFrame([_column(name, values) for name, values in columns.items()])
    return frame, pl.Series(places, dtype=pl.Int64)


def _column(name: str, values: list[Any]) -> pl.Series:
    """A column of one type, or the texts of values that Polars has no type for."""
    try:
        found = pl.Series(name, values, strict=True)
        if found.dtype != pl.Object:
            return found
    except (TypeError, ValueError, pl.exceptions.PolarsError, OverflowError):
        pass
    return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)
