"""Tables whose rows Polars scans: one log, read in slices from a version that does not change.

Law: memory does not grow with the table; types are brought to those of the schema.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import polars as pl

from eventide.connectors.formats.columns import conform
from eventide.errors import SourceError
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch, LogReader, Position, ReadContext
from eventide.semantics.schema import Schema


@dataclass
class OneLog:
    """The one log of a table."""

    reader: LogReader
    may_grow: bool = False
    given: list[LogReader] = field(default_factory=list)

    def discover(self) -> Sequence[LogReader]:
        if self.given:
            return []
        self.given.append(self.reader)
        return [self.reader]

    def close(self) -> None:
        self.reader.close()


class ScanReader:
    """Hands out the rows of a scan. `version` is what a position says beside the row's number."""

    def __init__(
        self, log: str, scan: Callable[[], pl.LazyFrame], schema: Schema, context: ReadContext, position: Position
    ) -> None:
        self.log = log
        self._schema = schema
        self._context = context
        self._next = int(position.get("offset") or 0)
        self._version = position.get("version")
        self.arrival: str | None = None
        try:
            frame = scan()
            self._rows = int(frame.select(pl.len()).collect().item())
            there = frame.collect_schema().names()
        except (OSError, ValueError, pl.exceptions.PolarsError) as fault:
            raise SourceError(
                f"cannot read {log}: {_first_line(fault)}. Check that its store answers, and the rights there"
            ) from None
        if self._next > self._rows:
            raise SourceError(f"{log} has {self._rows:,} rows, not {self._next:,} as when it was read: it was replaced")
        wanted = {name: rule.path or name for name, rule in schema.fields}
        made = [pl.col(path).alias(name) for name, path in wanted.items() if path in there]
        others = [name for name in there if name not in wanted.values() and name not in wanted]
        self._scan = frame.select(*made, *(others if schema.unknown != "drop" else ()))

    @property
    def finished(self) -> bool:
        return self._next >= self._rows

    def read(self, rows_max: int) -> Batch | None:
        if self.finished:
            return None
        try:
            raw = self._scan.slice(self._next, rows_max).collect()
        except (OSError, ValueError, pl.exceptions.PolarsError) as fault:
            raise SourceError(f"cannot read {self.log} on at row {self._next:,}: {_first_line(fault)}") from None
        offsets = pl.int_range(self._next, self._next + raw.height, dtype=pl.Int64).alias(OFFSET)
        now = pl.lit(self._context.clock.now_us()).cast(INSTANT).alias(ARRIVAL)
        self._next += raw.height
        return Batch(self.log, *conform(raw.with_columns(offsets, now), self._schema, self.arrival))

    def position(self) -> Position:
        return {"offset": self._next, "version": self._version}

    def close(self) -> None:
        self._next = self._rows


def own_columns(scan: pl.LazyFrame) -> dict[str, pl.DataType]:
    """The columns of a table with their types, without those that Eventide's sinks add. Raises `SourceError`."""
    try:
        return {name: dtype for name, dtype in scan.collect_schema().items() if not name.startswith("_")}
    except (OSError, ValueError, pl.exceptions.PolarsError) as fault:
        raise SourceError(f"cannot read the table: {_first_line(fault)}") from None


def _first_line(fault: Exception) -> str:
    return next((line.strip() for line in str(fault).splitlines() if line.strip()), type(fault).__name__)
