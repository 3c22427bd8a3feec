"""Side inputs: tables read whole, looked up row by row, read again by the wall clock or when their files change.

Law: every row is looked up in exactly one version, which is named; a version that cannot be read, or not soon, leaves
the one before in force, and so does a restore. What a side's schema refuses goes to dead letters like any other row.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import polars as pl

from eventide.engine.columns import rows_schema
from eventide.engine.outputs import Outputs, put
from eventide.engine.steps.shape import added_columns, shape
from eventide.errors import SourceError
from eventide.flow import INSTANT, LOG, OFFSET, Distant, Fingerprinted, ReadContext, SystemClock, WallClock
from eventide.plan import Enrich
from eventide.semantics.lateness import EveryChange, EveryInterval

HIT = "_hit"
_ROWS = 524_288
_WAIT_S = 0.05
_WAITS_MOST = 100
_AWAY_US = 60_000_000


class Version(msgspec.Struct):
    """One reading of a side input, and how often it was used. Times are microseconds of the wall clock."""

    side: str
    version: str
    read_us: int
    keys: int
    rows: int = 0
    misses: int = 0


VERSION_SCHEMA = {
    "side": pl.String(),
    "version": pl.String(),
    "read_at": INSTANT,
    "keys": pl.Int64(),
    "rows": pl.Int64(),
    "misses": pl.Int64(),
}


@dataclass
class SideTable:
    """One side input. `table` has the keys by the names of the rows and the added columns by theirs."""

    step: Enrich
    clock: WallClock
    table: pl.DataFrame | None = None
    versions: list[Version] = field(default_factory=list)
    fingerprint: str = ""
    quiet_until_us: int = 0
    """Until then no server is asked."""
    refused: list[tuple[str, pl.DataFrame]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return ", ".join(one.source.name for one in self.step.side.inputs)

    def look_up(self, rows: pl.DataFrame, counted: bool) -> pl.DataFrame:
        """The rows with the side's columns, the version, and whether they were found (`_hit`)."""
        self._refresh()
        assert self.table is not None
        keys = [left for left, _ in self.step.on]
        table = self.table.with_columns(pl.col(key).cast(rows.schema[key], strict=False) for key in keys)
        names = added_columns(self.step, rows.columns)
        shown = table.select(*keys, *(pl.col(name).alias(new) for name, new in names.items()), pl.lit(True).alias(HIT))
        found = rows.join(shown, on=keys, how="left", maintain_order="left").with_columns(pl.col(HIT).fill_null(False))
        version = self.versions[-1]
        if counted:
            version.rows += found.height
            version.misses += found.height - int(found.get_column(HIT).sum())
        return (
            found if self.step.version is None else found.with_columns(pl.lit(version.version).alias(self.step.version))
        )

    def _refresh(self) -> None:
        """Read the side if it is not read yet, or if it is time to."""
        now_us = self.clock.now_us()
        try:
            if not self._is_due(now_us):
                return
            seen = self._fingerprint() if isinstance(self.step.refresh, EveryChange) else ""
            table = self._read()
        except SourceError:
            if self.table is None:
                raise
            self._leave_alone(now_us, _AWAY_US)
            return
        self.table, self.fingerprint = table, seen
        self._leave_alone(now_us)
        digest = hashlib.sha256(table.write_ndjson().encode()).hexdigest()[:12]
        if not self.versions or self.versions[-1].version != digest or isinstance(self.step.refresh, EveryInterval):
            self.versions.append(Version(self.name, digest, now_us, table.height))

    def _is_due(self, now_us: int) -> bool:
        """True when the side shall be read. A server is left alone for a while after each look and each failure."""
        if self.table is None:
            return True
        if self.step.refresh is None or now_us < self.quiet_until_us:
            return False
        if isinstance(self.step.refresh, EveryInterval):
            return now_us - self.versions[-1].read_us >= self.step.refresh.period_us
        self._leave_alone(now_us)
        return self._fingerprint() != self.fingerprint

    def _leave_alone(self, now_us: int, at_least_us: int = 0) -> None:
        """Ask no server again before some time has passed; files may be looked at all the time."""
        for one in self.step.side.inputs:
            if isinstance(one.source, Distant):
                pause_us = max(one.source.looks_every_us, at_least_us)
                self.quiet_until_us = max(self.quiet_until_us, now_us + pause_us)

    def _fingerprint(self) -> str:
        sources = [one.source for one in self.step.side.inputs]
        return " ".join(source.fingerprint() for source in sources if isinstance(source, Fingerprinted))

    def _read(self) -> pl.DataFrame:
        """The side's rows, the last of each key."""
        plan, keys = self.step.side, {right: left for left, right in self.step.on}
        parts = []
        for one in plan.inputs:
            context = ReadContext(self.clock)
            logs = one.source.open(context, {})
            try:
                for reader in logs.discover():
                    waits = 0
                    while not reader.finished:
                        batch = reader.read(_ROWS)
                        if batch is None:
                            waits = self._wait(context.wake, waits)
                            continue
                        waits = 0
                        if batch.refused.height:
                            self.refused.append((batch.log, batch.refused))
                        parts.append(shape(shape(batch.rows, one.steps), plan.before))
            finally:
                logs.close()
        whole = pl.concat(parts, how="diagonal_relaxed") if parts else pl.DataFrame(schema=rows_schema(plan))
        shown = whole.select(name for name in whole.columns if not name.startswith("_")).rename(keys)
        return shown.drop_nulls(list(keys.values())).unique(list(keys.values()), keep="last", maintain_order=True)

    def _wait(self, wake: threading.Event, waits: int) -> int:
        """Wait a little for a server; not for long where a version is in force."""
        if self.table is not None and waits >= _WAITS_MOST:
            raise SourceError(f"the side input {self.name} does not answer")
        wake.wait(_WAIT_S)
        wake.clear()
        return waits + 1


class SideTables:
    """The side inputs of a pipeline, by their steps, and what they have to give out beside rows."""

    def __init__(self, steps: Sequence[Enrich], clock: WallClock | None = None) -> None:
        wall = clock or SystemClock()
        self._tables: dict[int, SideTable] = {}
        for step in steps:
            if id(step) not in self._tables:
                self._tables[id(step)] = SideTable(step, wall)
        self._missed: Outputs = {}

    def enrich(self, log: str | None, rows: pl.DataFrame, step: Enrich, counted: bool = True) -> pl.DataFrame:
        """The rows that go on. Of a row that is looked up again for another output nothing is counted."""
        found = self._tables[id(step)].look_up(rows, counted)
        if step.misses is None:
            return found.drop(HIT)
        if counted and log is not None:
            missed = found.filter(~pl.col(HIT)).select(pl.lit(log).alias(LOG), OFFSET, *_shown(rows))
            put(self._missed, step.misses, missed)
        return found.filter(HIT).drop(HIT)

    def drain(self, outputs: Outputs) -> list[tuple[str, pl.DataFrame]]:
        """Put missed rows out; returns refused rows of the sides with their logs."""
        for name, frames in self._missed.items():
            for frame in frames:
                put(outputs, name, frame)
        self._missed = {}
        refused = [one for table in self._tables.values() for one in table.refused]
        for table in self._tables.values():
            table.refused = []
        return refused

    def versions(self) -> pl.DataFrame:
        """All versions used so far: side, version, when it was read, its keys, rows looked up and misses."""
        told = [one for table in self._tables.values() for one in table.versions]
        rows = [(one.side, one.version, one.read_us, one.keys, one.rows, one.misses) for one in told]
        schema = {name: pl.Int64() if name == "read_at" else kind for name, kind in VERSION_SCHEMA.items()}
        return pl.DataFrame(rows, schema=schema, orient="row").with_columns(pl.col("read_at").cast(INSTANT))

    def dump(self) -> tuple[list[Any], dict[str, pl.DataFrame]]:
        """Plain values and frames of what was read, by the order of steps."""
        tables = list(self._tables.values())
        values = [{"fingerprint": one.fingerprint, "versions": msgspec.to_builtins(one.versions)} for one in tables]
        return values, {str(n): one.table for n, one in enumerate(tables) if one.table is not None}

    def load(self, values: Sequence[Mapping[str, Any]], frames: Mapping[str, pl.DataFrame]) -> None:
        """Go on with the versions of a snapshot."""
        for number, (table, value) in enumerate(zip(self._tables.values(), values, strict=True)):
            table.table, table.fingerprint = frames.get(str(number)), value["fingerprint"]
            table.versions = msgspec.convert(value["versions"], list[Version])


def _shown(rows: pl.DataFrame) -> list[str]:
    return [name for name in rows.columns if not name.startswith("_")]
