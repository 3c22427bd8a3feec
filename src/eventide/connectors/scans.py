"""Tables and files whose rows Polars scans: one log, read in slices from a version that does not change.

Law: memory does not grow with the table; types are brought to those of the schema. While a store is away reading waits,
and goes on at the row where it stood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import polars as pl

from eventide.connectors.formats.columns import conform
from eventide.connectors.patience import Patience, source_fault
from eventide.errors import SourceError
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch, Position, ReadContext
from eventide.semantics.schema import Schema

_T = TypeVar("_T")
Version = int | None
_REMEDY = "Check that its store answers, and the rights there"


@dataclass(frozen=True, slots=True)
class Scanned:
    """What is scanned: its name in messages, how its rows of a version are had, and which version is the newest (None
    where there are no versions). A `distant` store may be away and come back.
    """

    name: str
    scan: Callable[[Version], pl.LazyFrame]
    newest: Callable[[], Version] | None = None
    distant: bool = True
    remedy: str = _REMEDY


class ScanReader:
    """Hands out the rows of a scan. The version that a position names is read on."""

    def __init__(
        self,
        log: str,
        scanned: Scanned,
        schema: Schema,
        context: ReadContext,
        position: Position,
        arrival: str | None = None,
    ) -> None:
        self.log = log
        self._scanned = scanned
        self._schema = schema
        self._context = context
        self._arrival = arrival
        self._next = int(position.get("offset") or 0)
        version = position.get("version")
        self._version: Version = None if version is None else int(version)
        self._scan: pl.LazyFrame | None = None
        self._rows: int | None = None
        self._patience = Patience(scanned.name, context.clock)
        self._opened()

    @property
    def finished(self) -> bool:
        return self._rows is not None and self._next >= self._rows

    def read(self, rows_max: int) -> Batch | None:
        scan = self._opened()
        if scan is None or self.finished:
            return None
        at = f"{self._scanned.name} on at row {self._next:,}"
        raw = self._patience.attempt(lambda: self._told(at, scan.slice(self._next, rows_max).collect))
        if raw is None:
            return None
        offsets = pl.int_range(self._next, self._next + raw.height, dtype=pl.Int64).alias(OFFSET)
        now = pl.lit(self._context.clock.now_us()).cast(INSTANT).alias(ARRIVAL)
        self._next += raw.height
        return Batch(self.log, *conform(raw.with_columns(offsets, now), self._schema, self._arrival))

    def _opened(self) -> pl.LazyFrame | None:
        """The scan of the wanted columns; None while its store is away."""
        if self._scan is None:
            self._patience.attempt(lambda: self._told(self._scanned.name, self._open))
        return self._scan

    def _open(self) -> bool:
        if self._version is None and self._scanned.newest is not None:
            self._version = self._scanned.newest()
        frame = self._scanned.scan(self._version)
        rows = int(frame.select(pl.len()).collect().item())
        there = frame.collect_schema().names()
        if self._next > rows:
            raise SourceError(
                f"{self._scanned.name} has {rows:,} rows and reading was to go on at {self._next:,}: it was replaced"
            )
        wanted = {name: rule.path or name for name, rule in self._schema.fields}
        made = [pl.col(path).alias(name) for name, path in wanted.items() if path in there]
        others = [name for name in there if name not in wanted.values() and name not in wanted]
        self._scan = frame.select(*made, *(others if self._schema.unknown != "drop" else ()))
        self._rows = rows
        return True

    def _told(self, what: str, work: Callable[[], _T]) -> _T:
        """What the work gives; its faults in words."""
        try:
            return work()
        except (OSError, ValueError, pl.exceptions.PolarsError) as fault:
            text = f"cannot read {what}: {first_line(fault)}. {self._scanned.remedy}"
            raise source_fault(text, fault, distant=self._scanned.distant) from None

    def position(self) -> Position:
        return {"offset": self._next} | ({} if self._scanned.newest is None else {"version": self._version})

    def close(self) -> None:
        self._rows = self._next


def own_columns(scan: pl.LazyFrame) -> dict[str, pl.DataType]:
    """The columns of a table with their types, without those that Eventide's sinks add. Raises `SourceError`."""
    try:
        return {name: dtype for name, dtype in scan.collect_schema().items() if not name.startswith("_")}
    except (OSError, ValueError, pl.exceptions.PolarsError) as fault:
        raise SourceError(f"cannot read the table: {first_line(fault)}") from None


def first_line(fault: Exception) -> str:
    """What a fault says, without what follows on further lines."""
    return next((line.strip() for line in str(fault).splitlines() if line.strip()), type(fault).__name__)
