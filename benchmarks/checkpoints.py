"""What a checkpoint costs with many keys, written whole and as what changed: `python -m benchmarks.checkpoints [KEYS]`.

Law: both runs do the same work on the same rows; what differs is how their checkpoints are written.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

import eventide as et
from eventide import col
from eventide.engine.epochs import Checkpoint, StateFolder
from eventide.engine.epochs.pieces import Pieces
from eventide.runners.embedded import Running
from eventide.testing import TestClock

EPOCHS = 12
SHARES = (0.01, 0.1, 1.0)


@dataclass
class Measured(StateFolder):
    """A folder that notes what each checkpoint costs: bytes, and seconds of the processor."""

    costs: list[tuple[int, float]] = field(default_factory=list)

    def write(self, checkpoint: Checkpoint, version: str) -> int:
        began = time.process_time()
        size = super().write(checkpoint, version)
        self.costs.append((size, time.process_time() - began))
        return size


def rows(keys: int, changed: int) -> pl.DataFrame:
    """Every key once, then in each epoch so many rows of keys all over the place, a second for each epoch."""
    first = pl.DataFrame({"k": range(keys), "s": 0})
    drawn = [
        pl.DataFrame({"k": [(n * 2654435761 + epoch * 40503) % keys for n in range(changed)], "s": epoch})
        for epoch in range(1, EPOCHS)
    ]
    at = (pl.col("s") * 1_000_000).cast(pl.Datetime("us", "UTC"))
    return pl.concat([first, *drawn]).select("k", at=at, x=pl.col("k") % 101 / 7)


def windows(name: str, frame: pl.DataFrame) -> et.Stream:
    """The sentences that are measured."""
    timed = et.from_frame(frame, name="rows", arrival="at").event_time("at", et.bounded("1h"), max_future=None)
    made: Mapping[str, object] = {"tumbling": et.tumbling("1h"), "session": et.session("10m")}
    grouped = timed.group_by("k").window(made[name])  # type: ignore[arg-type]  # both are windows
    return grouped.agg(total=col("x").sum(), peak=col("x").max(), n=et.count())


def measured(name: str, keys: int, changed: int, pieces: Pieces) -> list[tuple[int, float]]:
    """The costs of the checkpoints behind the first ones."""
    clock = TestClock(0)

    def observe(running: Running) -> Callable[[], None]:
        def beat() -> None:
            # every key is there: from here on each batch is an epoch
            if running.pipeline.accounting.total.received >= keys:
                clock.advance("1s")

        return beat

    with tempfile.TemporaryDirectory(prefix="eventide-") as place:
        folder = Measured(Path(place) / "state", pieces=pieces)
        stream = windows(name, rows(keys, changed)).write(et.write_csv(f"{place}/out/"))
        stream.run(show=False, state=folder, checkpoint_every="1s", rows_max=changed, clock=clock, observe=observe)
        return folder.costs


def main(keys: int) -> None:
    """Print the table."""
    print("windows | keys changed | whole: MB, CPU ms | as what changed: MB, CPU ms")
    for name in ("tumbling", "session"):
        for share in SHARES:
            changed = int(keys * share)
            costs = [measured(name, keys, changed, pieces) for pieces in (Pieces(1 << 62), Pieces())]
            print(name, f"{share:.1%}", *(f"{_mean(one)}" for one in costs), sep=" | ", flush=True)


def _mean(costs: list[tuple[int, float]]) -> str:
    """Of ten checkpoints, one of which is whole; the last ones, where windows close, are left out."""
    last = costs[:10]
    return f"{sum(size for size, _ in last) / len(last) / 1e6:.2f}, {sum(s for _, s in last) / len(last) * 1e3:.0f}"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
