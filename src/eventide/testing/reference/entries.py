"""What the reference reads and answers: entries of logs, a query, and an answer.

Law: plain Python values only; times are microseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from eventide.expressions import Aggregation, OwnAggregate
from eventide.semantics.eventtime import EventTime
from eventide.semantics.lateness import Early, Lateness
from eventide.semantics.windows import Window

Row: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Event:
    """A row of a log. `arrival_us` is None where nobody knows when it arrived."""

    log: str
    offset: int
    row: Row
    arrival_us: int | None = None


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The source of a log asserts a watermark."""

    log: str
    watermark: int


@dataclass(frozen=True, slots=True)
class Idle:
    """A log is declared silent."""

    log: str


@dataclass(frozen=True, slots=True)
class Finished:
    """A log has ended."""

    log: str


Entry: TypeAlias = Event | Heartbeat | Idle | Finished


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked of the events."""

    event_time: EventTime
    keys: tuple[str, ...]
    window: Window
    aggregates: tuple[tuple[str, Aggregation | OwnAggregate], ...]
    lateness: Lateness = field(default_factory=Lateness)
    early: Early | None = None
    fill_empty: bool = False


@dataclass(slots=True)
class Answer:
    """Result rows in the order in which they come out, late events, refused events, and how many were what."""

    results: list[dict[str, object]] = field(default_factory=list)
    late: list[dict[str, object]] = field(default_factory=list)
    dead_letters: list[dict[str, object]] = field(default_factory=list)
    received: int = 0
    on_time: int = 0
    corrected: int = 0
