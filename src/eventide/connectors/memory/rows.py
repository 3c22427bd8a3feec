"""Rows of Python as a source: a list, a generator that may never end, or a feed that other code sends to.

Law: a live row is handed out as soon as it is there; reading never blocks, whatever the iterable does.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from eventide.connectors.formats.columns import check_arrival, schema_columns
from eventide.connectors.memory.entries import Entries, size_of, taken
from eventide.errors import SourceError
from eventide.flow import ARRIVAL, Batch, LogReader, Position, ReadContext
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
        check_arrival(arrival, self.schema)
        self._items: deque[object] = deque()
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
        items = rows if isinstance(rows, Sequence) and not isinstance(rows, str | bytes) else [rows]
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
        return FeedLogs([FeedReader(self, context, int(positions.get(self.name, {}).get("offset") or 0))])

    def take(self, most: int) -> list[object]:
        """The next items, with at most so many rows in them."""
        with self._room:
            found = taken(self._items, most)
            self._room.notify_all()
        return found

    @property
    def ended(self) -> bool:
        """True when it is closed and empty. Raises what the iterable behind it raised."""
        if self._closed and not self._items and self._fault is not None:
            raise SourceError(f"{self.name} failed: {self._fault!r}") from self._fault
        return self._closed and not self._items


class FeedReader:
    """Reads what was sent."""

    def __init__(self, feed: Feed, context: ReadContext, start: int) -> None:
        self.log = feed.name
        self._feed = feed
        self._entries = Entries(feed.schema, feed.arrival, context)
        self._offset = start  # what was sent before a restart cannot be read again: offsets only go on

    @property
    def finished(self) -> bool:
        return self._feed.ended

    def read(self, rows_max: int) -> Batch | None:
        items = self._feed.take(rows_max)
        if not items:
            return None
        batch = self._entries.batch(self.log, items, self._offset)
        self._offset += batch.received
        return batch

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
    """Rows or frames from a Python iterable. A list is a bounded log; anything else is drawn by a thread of its own.

    Frames in a list may bring their arrival times in the hidden column `_arrival`.
    """

    items: Iterable[Row | pl.DataFrame] = field(hash=False)
    schema: Schema
    arrival: str | None = None
    name: str = "rows"
    single_log: bool = True

    def __post_init__(self) -> None:
        check_arrival(self.arrival, self.schema)

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return schema_columns(self.schema)

    @property
    def bounded(self) -> bool:
        return isinstance(self.items, Sequence)

    @property
    def records_arrivals(self) -> bool:
        """True when arrival times are part of the rows, not the moments of reading."""
        frames = self.items if isinstance(self.items, Sequence) else ()
        return self.arrival is not None or any(
            isinstance(item, pl.DataFrame) and ARRIVAL in item.columns for item in frames
        )

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
        self._items: deque[object] = deque(source.items)
        self._entries = Entries(source.schema, source.arrival, context)
        self._next = 0
        while self._items and self._next < start:
            self._next += sum(map(size_of, taken(self._items, start - self._next)))

    @property
    def finished(self) -> bool:
        return not self._items

    def read(self, rows_max: int) -> Batch | None:
        items = taken(self._items, rows_max)
        if not items:
            return None
        batch = self._entries.batch(self.log, items, self._next)
        self._next += batch.received
        return batch

    def position(self) -> Position:
        return {"offset": self._next}

    def close(self) -> None:
        self._items.clear()


def _draw(items: Iterable[Row | pl.DataFrame], feed: Feed) -> None:
    try:
        for item in items:
            feed.send(item)
    except Exception as fault:
        feed.close(fault)
    else:
        feed.close()
