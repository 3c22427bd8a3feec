"""Rows of Python as a source: a list, a generator that may never end, or a feed that other code sends to.

Law: a live row is handed out as soon as it is there; reading never blocks, whatever the iterable does.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from eventide.connectors.formats.columns import conform, schema_columns
from eventide.errors import SourceError
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch, LogReader, Position, ReadContext
from eventide.semantics.schema import Schema, SchemaLike, as_schema

Row = Mapping[str, object]
_QUEUED_MOST = 100_000


class Feed:
    """A source that other code sends rows to, from any thread. Close it to end the log.

    >>> feed = Feed({"sensor": str, "dose": float})
    >>> feed.send({"sensor": "a", "dose": 1.5})
    >>> feed.close()
    """

    bounded = False
    single_log = True

    def __init__(self, schema: SchemaLike, *, name: str = "feed", arrival: str | None = None) -> None:
        self.schema: Schema = as_schema(schema)
        self.name = name
        self.arrival = arrival
        self._items: deque[pl.DataFrame | Row] = deque()
        self._closed = False
        self._fault: BaseException | None = None
        self._room = threading.Condition()
        self._wake: threading.Event | None = None
        self._taken = 0

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return schema_columns(self.schema)

    def send(self, rows: Row | Sequence[Row] | pl.DataFrame) -> None:
        """Send a row, several rows or a frame. Waits while 100,000 sent items are not yet read."""
        items = rows if isinstance(rows, Sequence) else [rows]
        with self._room:
            for item in items:
                self._room.wait_for(lambda: len(self._items) < _QUEUED_MOST or self._closed)
                if self._closed:
                    raise SourceError(f"feed {self.name!r} is closed: send before close()")
                self._items.append(item)
        if self._wake is not None:
            self._wake.set()

    def close(self, fault: BaseException | None = None) -> None:
        """End the log; what was sent before is still read."""
        with self._room:
            self._closed, self._fault = True, fault
            self._room.notify_all()
        if self._wake is not None:
            self._wake.set()

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> FeedLogs:
        self._wake = context.wake
        return FeedLogs([FeedReader(self, context)])

    def take(self, most: int) -> list[pl.DataFrame | Row]:
        """The next items, at most so many."""
        with self._room:
            taken = [self._items.popleft() for _ in range(min(most, len(self._items)))]
            self._room.notify_all()
        return taken

    @property
    def ended(self) -> bool:
        """True when it is closed and empty. Raises what the iterable behind it raised."""
        if self._closed and not self._items and self._fault is not None:
            raise SourceError(f"{self.name} failed: {self._fault!r}") from self._fault
        return self._closed and not self._items


class FeedReader:
    """Reads what was sent."""

    def __init__(self, feed: Feed, context: ReadContext) -> None:
        self.log = feed.name
        self._feed = feed
        self._context = context
        self._offset = 0

    @property
    def finished(self) -> bool:
        return self._feed.ended

    def read(self, rows_max: int) -> Batch | None:
        items = self._feed.take(rows_max)
        if not items:
            return None
        return batch_of(self.log, _frames(items), self._feed.schema, self._feed.arrival, self._place)

    def _place(self, frame: pl.DataFrame) -> pl.DataFrame:
        offsets = pl.int_range(self._offset, self._offset + frame.height, dtype=pl.Int64).alias(OFFSET)
        self._offset += frame.height
        return frame.with_columns(offsets, pl.lit(self._context.clock.now_us()).cast(INSTANT).alias(ARRIVAL))

    def position(self) -> Position:
        return {"offset": self._offset}

    def close(self) -> None:
        self._feed.close()


@dataclass
class FeedLogs:
    """The one log of a feed."""

    readers: list[LogReader]
    may_grow: bool = False

    def discover(self) -> Sequence[LogReader]:
        given, self.readers = self.readers, []
        return given

    def close(self) -> None:
        """A feed outlives the run that reads it."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows or frames from a Python iterable. A list is a bounded log; anything else is drawn by a thread of its own."""

    items: Iterable[Row | pl.DataFrame] = field(hash=False)
    schema: Schema
    arrival: str | None = None
    name: str = "rows"
    single_log: bool = True

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return schema_columns(self.schema)

    @property
    def bounded(self) -> bool:
        return isinstance(self.items, Sequence)

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> FeedLogs:
        feed = Feed(self.schema, name=self.name, arrival=self.arrival)
        logs = feed.open(context, positions)
        if isinstance(self.items, Sequence):
            reader = ListReader(self, context, int(positions.get(self.name, {}).get("offset") or 0))
            return FeedLogs([reader])
        threading.Thread(target=_draw, args=(self.items, feed), daemon=True, name=f"eventide-{self.name}").start()
        return logs


class ListReader:
    """Reads a list of rows or frames."""

    def __init__(self, source: Rows, context: ReadContext, start: int) -> None:
        self.log = source.name
        self._source = source
        self._context = context
        self._frame = _joined(list(source.items), source.schema)
        self._next = start

    @property
    def finished(self) -> bool:
        return self._next >= self._frame.height

    def read(self, rows_max: int) -> Batch | None:
        if self.finished:
            return None
        part = self._frame.slice(self._next, rows_max)
        return batch_of(self.log, [part], self._source.schema, self._source.arrival, self._place)

    def _place(self, frame: pl.DataFrame) -> pl.DataFrame:
        offsets = pl.int_range(self._next, self._next + frame.height, dtype=pl.Int64).alias(OFFSET)
        self._next += frame.height
        return frame.with_columns(offsets, pl.lit(self._context.clock.now_us()).cast(INSTANT).alias(ARRIVAL))

    def position(self) -> Position:
        return {"offset": self._next}

    def close(self) -> None:
        self._next = self._frame.height


def _draw(items: Iterable[Row | pl.DataFrame], feed: Feed) -> None:
    try:
        for item in items:
            feed.send(item)
    except Exception as fault:
        feed.close(fault)
    else:
        feed.close()


def batch_of(log: str, frames: list[pl.DataFrame], schema: Schema, arrival: str | None, place: object) -> Batch:
    """A batch of raw frames; `place` gives them offsets and arrival times."""
    raw = pl.concat(frames, how="diagonal_relaxed") if len(frames) > 1 else frames[0]
    rows, refused = conform(place(raw), schema)  # type: ignore[operator] # a method of the reader
    if arrival is not None:
        rows = rows.with_columns(pl.col(arrival).alias(ARRIVAL))
    return Batch(log, rows, refused)


def _joined(items: list[Row | pl.DataFrame], schema: Schema) -> pl.DataFrame:
    frames = _frames(items)
    empty = pl.DataFrame(schema=schema_columns(schema))
    return pl.concat(frames, how="diagonal_relaxed") if frames else empty


def _frames(items: list[pl.DataFrame | Row]) -> list[pl.DataFrame]:
    """Frames of the items; runs of rows become one frame, column by column, texts where values are of several types."""
    frames: list[pl.DataFrame] = []
    run: list[Row] = []
    for item in [*items, None]:
        if isinstance(item, Mapping):
            run.append(item)
            continue
        if run:
            names = dict.fromkeys(name for row in run for name in row)
            frames.append(pl.DataFrame([_column(name, [row.get(name) for row in run]) for name in names]))
            run = []
        if isinstance(item, pl.DataFrame):
            frames.append(item)
    return frames


def _column(name: str, values: list[object]) -> pl.Series:
    try:
        return pl.Series(name, values, strict=True)
    except (TypeError, pl.exceptions.PolarsError, OverflowError):
        return pl.Series(name, [None if value is None else str(value) for value in values], dtype=pl.String)
