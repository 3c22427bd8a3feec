"""What a pipeline remembers as a snapshot, and back.

Law: a restored pipeline goes on exactly where the saved one stood.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from eventide.engine.accounting import Account
from eventide.engine.clocks import dump_clocks, load_clocks
from eventide.engine.keys import dump_keys, load_keys
from eventide.engine.snapshot import Snapshot, under

if TYPE_CHECKING:
    from eventide.engine.pipeline import Pipeline


def save(pipeline: Pipeline, *, in_pieces: bool) -> Snapshot:
    """Everything that a pipeline remembers; what may lie on the disk comes `in_pieces` if that is wanted."""
    frames: dict[str, pl.DataFrame] = {}
    pieces: list[Iterator[dict[str, pl.DataFrame]]] = []
    for name, table in (("keys", pipeline.keys), ("clock_keys", pipeline.clock_keys)):
        if table is not None and table.names:
            frames[name] = dump_keys(table)
    parts = {"windows.": pipeline.windows, "steps.": pipeline.steps}
    parts["front."] = None if pipeline.front is None else pipeline.front.steps
    for prefix, part in parts.items():
        if part is not None and in_pieces and part.has_pieces:
            pieces.append(under(prefix, part.pieces()))
        elif part is not None:
            frames.update({f"{prefix}{name}": frame for name, frame in part.snapshot().items()})
    frames.update(pipeline.shapes.snapshot())
    clocks = monitor = None
    if pipeline.door is not None:
        clocks, key_fronts = dump_clocks(pipeline.door.clocks)
        frames.update({f"clocks.{name}": frame for name, frame in key_fronts.items()})
        if pipeline.door.monitor is not None:
            monitor, seen = pipeline.door.monitor.snapshot()
            frames.update({f"monitor.{name}": frame for name, frame in seen.items()})
    sides, tables = pipeline.lookups.dump()
    frames.update({f"sides.{name}": frame for name, frame in tables.items()})
    accounts = {log: asdict(account) for log, account in pipeline.accounting.logs.items()}
    trace = pipeline.trace.dump()
    frames.update({f"trace.{name}": frame for name, frame in pipeline.trace.frames().items()})
    values = {"clocks": clocks, "accounts": accounts, "monitor": monitor, "sides": sides, "trace": trace}
    return Snapshot(values, frames, chain(*pieces))


def load(pipeline: Pipeline, saved: Snapshot) -> None:
    """Give a fresh pipeline what another one of the same plan remembered."""
    for name, table in (("keys", pipeline.keys), ("clock_keys", pipeline.clock_keys)):
        if table is not None and name in saved.frames and not (name == "clock_keys" and table is pipeline.keys):
            load_keys(table, saved.frames[name])
    if pipeline.windows is not None:
        pipeline.windows.restore(saved.part("windows."))
    if pipeline.door is not None:
        load_clocks(pipeline.door.clocks, saved.values["clocks"], saved.part("clocks."))
        if pipeline.door.monitor is not None and saved.values.get("monitor") is not None:
            pipeline.door.monitor.restore(saved.values["monitor"], saved.part("monitor."))
    pipeline.steps.restore(saved.part("steps."))
    if pipeline.front is not None:
        pipeline.front.steps.restore(saved.part("front."))
    if saved.values.get("sides") is not None:
        pipeline.lookups.load(saved.values["sides"], saved.part("sides."))
    pipeline.shapes.restore(saved.frames)
    pipeline.accounting.logs = msgspec.convert(saved.values["accounts"], dict[str, Account])
    pipeline.trace.load(saved.values.get("trace", {}), saved.part("trace."))
