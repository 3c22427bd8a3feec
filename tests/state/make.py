"""Keeps the state of this version for ever: run once at a release, `python -m tests.state.make [FOLDER [pieces]]`.

Law: a folder that was kept is never written again; later versions must open it and come to the answer beside it.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import polars as pl

import eventide as et
from eventide.engine.epochs import MANIFEST, StateFolder
from eventide.engine.epochs.pieces import Pieces
from eventide.runners.embedded import Running
from eventide.testing import TestClock

HERE = Path(__file__).resolve().parent
PLANS = ("revised", "session", "sliding")


def sentence(name: str) -> et.Stream:
    """The plans that are kept: revised windows, sessions with key clocks, sliding windows behind a learnt bound."""
    readings = et.read_csv(
        "readings.csv", schema={"k": str, "at": et.Instant, "x": float}, arrival="at", name="readings"
    )
    x = et.col("x")
    aggregates = {"total": x.sum(), "mid": x.median(), "first": x.first(), "spread": x.std(), "n": et.count()}
    keys = et.per_key("k", cap="30s")
    match name:
        case "revised":
            timed = readings.event_time("at", et.bounded("3s"), max_future=None)
            made = timed.group_by("k").window(et.tumbling("10s"), lateness="8s").agg(**aggregates)
        case "session":
            timed = readings.event_time("at", et.bounded("3s"), max_future=None, clock=keys)
            made = timed.group_by("k").window(et.session("4s")).agg(**aggregates)
        case _:
            timed = readings.event_time("at", et.adaptive(min="0s", max="20s"), max_future=None)
            made = timed.group_by("k").window(et.sliding("20s", "5s")).agg(**aggregates)
    return made.write(et.write_csv("out.csv")).write(et.write_ndjson("late.ndjson"), "late")


def readings(count: int = 900) -> pl.DataFrame:
    """Four keys and a null, some far behind."""
    n = pl.col("n")
    behind = pl.when(n % 11 == 0).then(n * 7 % 23).otherwise(n % 3)
    key = pl.when(n % 5 < 4).then(pl.format("s{}", n % 5))
    at = ((n // 2 - behind + 1_000) * 1_000_000).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({"n": range(count)}).select(k=key, at=at, x=(n * 37 % 101) / 7)


def _half(running: Running) -> object:
    def beat() -> None:
        if running.pipeline.accounting.total.received >= 500:
            running.stop.set()

    return beat


class Ticking(TestClock):
    """A wall clock that moves whenever it is asked, so that each batch is an epoch."""

    def now_us(self) -> int:
        self.time_us += 1_000
        return self.time_us


def make(version: str, *, in_pieces: bool = False) -> None:
    """Run each plan to its half with a state folder, keep that, and what the whole run gives. `in_pieces` keeps it as
    large state is written, in files that checkpoints share.
    """
    target = HERE / version
    target.mkdir()
    for name in PLANS:
        folder = target / name
        folder.mkdir()
        os.chdir(folder)
        readings().write_csv("readings.csv", datetime_format="%Y-%m-%dT%H:%M:%SZ")
        Path("plan.yaml").write_text(sentence(name).to_yaml())
        sentence(name).run(show=False)
        Path("out.csv").rename("expected.csv")
        Path("late.ndjson").rename("expected.ndjson")
        pieces, clock = (Pieces(0), Ticking()) if in_pieces else (Pieces(), TestClock())
        state = StateFolder(Path("state"), kept=1, pieces=pieces)
        sentence(name).run(show=False, state=state, rows_max=100, clock=clock, checkpoint_every="10ms", observe=_half)
        epoch = state.epochs()[-1]
        assert bool(state.disk.names(state.shared)) is in_pieces
        assert (state.checkpoints / f"{epoch:08}" / MANIFEST).exists()
        (state.path / "lock").unlink()
    shutil.copyfile(target / "revised" / "readings.csv", target / "readings.csv")
    for name in PLANS:
        (target / name / "readings.csv").unlink()


if __name__ == "__main__":
    make(sys.argv[1] if len(sys.argv) > 1 else et.__version__, in_pieces=sys.argv[2:] == ["pieces"])
