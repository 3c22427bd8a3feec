"""Clocks as plain values and frames, and back.

Law: a restored clock goes on exactly where it stood; nothing of it lies outside this form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import polars as pl

from eventide.engine.clocks.clock import Clock, KeyFronts
from eventide.engine.clocks.clocks import Clocks
from eventide.engine.clocks.strategies import StrategyState

_CLOSED = "closed"


class SavedClock(msgspec.Struct):
    """The plain values of a clock."""

    front: int
    watermark: int
    floor: int
    idle: bool
    finished: bool
    strategy: StrategyState


class SavedClocks(msgspec.Struct):
    """The plain values of all clocks."""

    stream: int
    started: bool
    logs: dict[str, SavedClock]


def dump_clocks(clocks: Clocks) -> tuple[Any, dict[str, pl.DataFrame]]:
    """Plain values, and the fronts of keys by log number, with what windows have closed by where no log lives."""
    logs = {
        log: SavedClock(clock.front, clock.watermark, clock.floor, clock.idle, clock.finished, clock.strategy)
        for log, clock in clocks.logs.items()
    }
    fronts = {
        str(number): pl.DataFrame({"front": clock.keys.fronts, "watermark": clock.keys.watermarks})
        for number, clock in enumerate(clocks.logs.values())
        if clocks.keys is not None
    }
    if clocks.closed is not None:
        fronts[_CLOSED] = clocks.closed.to_frame(_CLOSED)
    return msgspec.to_builtins(SavedClocks(clocks.stream, clocks.started, logs), str_keys=True), fronts


def load_clocks(clocks: Clocks, values: object, fronts: Mapping[str, pl.DataFrame]) -> None:
    """Put saved clocks into a fresh set of clocks."""
    saved = msgspec.convert(values, SavedClocks, strict=False)
    clocks.stream, clocks.started = saved.stream, saved.started
    for number, (log, one) in enumerate(saved.logs.items()):
        clock = Clock(clocks.settings, one.front, one.watermark, one.floor, one.idle, one.finished, one.strategy)
        if str(number) in fronts:
            frame = fronts[str(number)]
            clock.keys = KeyFronts(frame.get_column("front"), frame.get_column("watermark"))
        clocks.logs[log] = clock
    if clocks.closes_by_key and clocks.all_idle:
        clocks.closed = fronts[_CLOSED].to_series() if _CLOSED in fronts else clocks.least_of_idle()
