"""Simulated runs: a stream, a disk that forgets, a clock that jumps, and crashes, all drawn from one seed.

    python -m tests.simulation.simulate [--seeds FIRST:BEHIND] [--seed N]

Law: whatever the seed does to a run, in the end each sink holds what one undisturbed run gives: nothing lost, nothing
twice. The same seed does the same.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from random import Random

import polars as pl
from tests.simulation.threads import threads_for_processes

import eventide as et
from eventide import col
from eventide.engine.epochs import StateFolder
from eventide.engine.epochs.pieces import LARGE_BYTES, Pieces
from eventide.errors import CheckpointError, SinkError
from eventide.flow import (
    Batch,
    Disk,
    EpochWriter,
    LogReader,
    LogSet,
    Opening,
    Position,
    ReadContext,
    Source,
    Stand,
    Writer,
)
from eventide.plan import Plan
from eventide.runners import run
from eventide.runners.embedded import Running
from eventide.testing import Crash, SimulatedDisk, TestClock

OUT, STATE = Path("/simulated/out"), Path("/simulated/state")
LOST = (CheckpointError, SinkError)
"""How a run ends that finds the disk full."""


@dataclass(frozen=True)
class Stalling:
    """A source whose logs have nothing to give now and then, and less than was asked for."""

    source: Source
    random: Random = field(hash=False)

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return self.source.columns

    @property
    def single_log(self) -> bool:
        return True

    @property
    def bounded(self) -> bool:
        return True

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> LogSet:
        return StallingLogs(self.source.open(context, positions), self.random)


@dataclass
class StallingLogs:
    inner: LogSet
    random: Random
    may_grow: bool = False

    def discover(self) -> Sequence[LogReader]:
        return [StallingReader(reader, self.random) for reader in self.inner.discover()]

    def close(self) -> None:
        self.inner.close()


class StallingReader:
    def __init__(self, inner: LogReader, random: Random) -> None:
        self.log = inner.log
        self._inner = inner
        self._random = random

    @property
    def finished(self) -> bool:
        return self._inner.finished

    def read(self, rows_max: int) -> Batch | None:
        if not self.finished and self._random.random() < 0.3:
            return None
        return self._inner.read(self._random.randint(1, rows_max))

    def position(self) -> Position:
        return self._inner.position()

    def close(self) -> None:
        self._inner.close()


@dataclass
class Ledger:
    """A sink with transactions: epoch and rows change together, and the machine may stop before or after that."""

    disk: SimulatedDisk
    name: str = "ledger"
    epoch: int = 0
    rows: list[tuple[int, pl.DataFrame]] = field(default_factory=list)

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> Writer:
        raise AssertionError("a ledger takes epochs")

    def open_epochs(self, opening: Opening) -> EpochWriter:
        return self

    def stand(self) -> Stand:
        return {}

    def deliver(self, epoch: int, rows: pl.DataFrame) -> None:
        self._touch()
        assert epoch > self.epoch, f"epoch {epoch} comes behind {self.epoch}"
        self.epoch, self.rows = epoch, [*self.rows, (epoch, rows)]
        self._touch()

    def recover(self, epoch: int, rows: pl.DataFrame, stand: Stand) -> None:
        self._touch()
        if self.epoch < epoch:
            self.epoch, self.rows = epoch, [*self.rows, (epoch, rows)]
        elif self.epoch > epoch:
            self.epoch, self.rows = epoch, [(number, frame) for number, frame in self.rows if number <= epoch]

    def _touch(self) -> None:
        self.disk.make_folder(OUT / f"touched-{self.disk.operations}")

    def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class Story:
    """What a seed draws: rows of one or two logs, and a sentence over them."""

    frames: Sequence[pl.DataFrame]
    window: str
    keyed: bool

    def stream(self, random: Random | None) -> et.Stream:
        """The sentence, on sources that stall if there is chance in it."""
        made = []
        for number, frame in enumerate(self.frames):
            source: Source = et.from_frame(frame, name=f"log-{number}", arrival="arrived").plan.inputs[0].source
            made.append(et.Stream.from_source(source if random is None else Stalling(source, random)))
        readings = made[0] if len(made) == 1 else made[0].union(made[1])
        bound, keys = et.bounded("4s"), et.per_key("k", cap="20s")
        timed = (
            readings.event_time("at", bound, clock=keys, max_future=None)
            if self.keyed
            else readings.event_time("at", bound, max_future=None)
        )
        total, n = col("x").sum(), et.count()
        match self.window:
            case "none":
                return timed.filter(col("x") > 2)
            case "tumbling":
                return timed.group_by("k").window(et.tumbling("10s")).agg(total=total, n=n)
            case "sliding":
                return timed.group_by("k").window(et.sliding("10s", "5s")).agg(total=total, n=n)
            case "session":
                return timed.group_by("k").window(et.session("3s")).agg(total=total, n=n)
            case "revised":
                return timed.group_by("k").window(et.tumbling("10s"), lateness="9s").agg(total=total, n=n)
            case "revised session":
                return timed.group_by("k").window(et.session("3s"), lateness="9s").agg(total=total, n=n)
            case _:
                return timed.group_by("k").window(et.tumbling("10s"), early=et.on_change()).agg(total=total, n=n)


def story(random: Random) -> Story:
    """Draw rows and a sentence. Revisions depend on how logs are interleaved, so they come with one log only."""
    logs = random.choice([1, 1, 2])
    windows = ["none", "tumbling", "sliding", "session"]
    frames = [_frame(random) for _ in range(logs)]
    choice = random.choice(windows if logs == 2 else [*windows, "revised", "revised session", "early"])
    return Story(frames, choice, choice in ("tumbling", "session") and logs == 1 and random.random() < 0.3)


def _frame(random: Random) -> pl.DataFrame:
    rows, now = [], 0
    for _ in range(random.randint(1, 90)):
        now += random.randint(0, 3)
        behind = random.choice([0, 0, 0, random.randint(0, 6), random.randint(0, 25)])
        rows.append(
            (random.choice(["a", "b", None]), (now - behind) * 1_000_000, random.randint(0, 9), now * 1_000_000)
        )
    frame = pl.DataFrame(
        rows, schema={"k": pl.String, "at": pl.Int64, "x": pl.Float64, "arrived": pl.Int64}, orient="row"
    )
    return frame.with_columns(pl.col("at", "arrived").cast(pl.Datetime("us", "UTC")))


def with_sinks(stream: et.Stream, ledger: Ledger) -> Plan:
    """The sentence with a file, a folder of parts and a ledger for its results, and another folder for late rows."""
    made = stream.write(et.write_csv(OUT / "r.csv")).write(et.write_ndjson(f"{OUT}/parts/")).write(ledger)
    return made.write(et.write_parquet(OUT / "r.parquet")).write(et.write_parquet(f"{OUT}/late/"), "late").plan


def simulate(seed: int) -> str | None:
    """Run a seed's story to its end through crashes; what is wrong with what the sinks hold then. Of twenty seeds, one has
    processes for workers, and the others have threads.
    """
    with threads_for_processes() if seed % 20 else nullcontext():
        return _simulate(seed)


def _simulate(seed: int) -> str | None:
    random = Random(seed)
    drawn = story(random)
    expected = run(drawn.stream(None).plan, show=False)
    disk = SimulatedDisk(seed)
    ledger = Ledger(disk)
    # drawn by itself, so that the stories of seeds stay as they are
    pieces_from, pieces_most = Random(f"pieces {seed}").choice([(0, 1), (0, 3), (LARGE_BYTES, 9)])
    for left in reversed(range(random.randint(1, 5))):
        disk.crash_at = (
            disk.operations + int(random.expovariate(1 / random.choice([60, 150, 500]))) + 1 if left else None
        )
        disk.full_at = disk.operations + random.randint(1, 60) if left and random.random() < 0.2 else None
        if left and random.random() < 0.2:
            _damage(StateFolder(STATE, disk), random)
        try:
            outcome = run(
                with_sinks(drawn.stream(random), ledger),
                show=False,
                state=StateFolder(STATE, disk, random.randint(1, 3), Pieces(pieces_from, pieces_most)),
                checkpoint_every=f"{random.choice([1, 60, 150, 400])}ms",
                rows_max=random.randint(1, 40),
                workers=random.randint(1, 3),
                clock=TestClock(random.randint(0, 10**15)),
                observe=_stopping(random.randint(1, 30)) if left and random.random() < 0.3 else None,
            )
        except Crash:
            disk.crash()
            decided = max(StateFolder(STATE, disk).epochs(), default=0)
            if ledger.epoch > decided:
                return f"epoch {ledger.epoch} was shown, {decided} was decided"
        except LOST as fault:
            if not left or "No space" not in str(fault):
                return f"{type(fault).__name__}: {fault}".replace("\n", " ")
            disk.crash_at = disk.full_at = None
            if random.random() < 0.5:
                disk.crash()
    total, wanted = outcome.accounting.total, expected.accounting.total
    if total != wanted:
        return f"accounting: {total} instead of {wanted}"
    return _wrong(disk, ledger, expected)


def _damage(state: StateFolder, random: Random) -> None:
    """Flip a byte of the newest checkpoint, if there is one before it."""
    epochs = state.epochs()
    if len(epochs) > 1:
        folder = state.checkpoints / f"{epochs[-1]:08}"
        path = folder / random.choice(state.disk.names(folder))
        data, place = bytearray(state.disk.read(path)), random.random()
        data[int(place * len(data))] ^= 1
        state.disk.write(path, bytes(data))
        state.disk.sync(path)


def _stopping(batches: int) -> Callable[[Running], Callable[[], None]]:
    """Stops a run in order after so many batches."""

    def observe(running: Running) -> Callable[[], None]:
        beats = iter(range(batches))

        def beat() -> None:
            if next(beats, None) is None:
                running.stop.set()

        return beat

    return observe


def _wrong(disk: SimulatedDisk, ledger: Ledger, expected: et.Outcome) -> str | None:
    """The first sink that does not hold what an undisturbed run gives."""
    results = _rows(expected.results)
    found = {
        "the Parquet file": _rows(pl.read_parquet(BytesIO(disk.read(OUT / "r.parquet")))),
        "the ledger": _rows(pl.concat([expected.results.clear(), *(frame for _, frame in ledger.rows)])),
    }
    for name, rows in found.items():
        if rows != results:
            return f"{name} lacks {results - rows} and has {rows - results} too much"
    late = Counter[str]()
    for name in _parts(disk, OUT / "late"):
        late += _rows(pl.read_parquet(BytesIO(disk.read(OUT / "late" / name))))
    if late != _rows(expected.late):
        return f"the late parts lack {_rows(expected.late) - late} and have {late - _rows(expected.late)} too much"
    lines = disk.read(OUT / "r.csv").count(b"\n") - 1
    parts = sum(disk.read(OUT / "parts" / name).count(b"\n") for name in _parts(disk, OUT / "parts"))
    if lines != expected.results.height or parts != expected.results.height:
        return f"{lines} lines of CSV, {parts} of parts, {expected.results.height} results"
    return None


def _parts(disk: Disk, folder: Path) -> list[str]:
    return [name for name in disk.names(folder) if name.startswith("part-")]


def _rows(frame: pl.DataFrame) -> Counter[str]:
    return Counter(repr(row) for row in frame.iter_rows())


def _told(seed: int) -> str | None:
    """As `simulate`; what a run raises is wrong too."""
    try:
        return simulate(seed)
    except Exception as fault:
        return f"{type(fault).__name__}: {fault}".replace("\n", " ")


def main() -> int:
    """The command."""
    words = argparse.ArgumentParser()
    words.add_argument("--seeds", default="0:2000")
    words.add_argument("--seed", type=int)
    given = words.parse_args()
    first, behind = (given.seed, given.seed + 1) if given.seed is not None else map(int, given.seeds.split(":"))
    sys.stderr = open("/dev/null", "w") if given.seed is None else sys.stderr  # noqa: SIM115 - until the process ends
    began, wrong = time.monotonic(), 0
    for seed in range(first, behind):
        fault = _told(seed) if given.seed is None else simulate(seed)
        if fault is not None:
            wrong += 1
            print(f"python -m tests.simulation.simulate --seed {seed}    # {fault}", flush=True)
    print(f"{behind - first} seeds, {wrong} wrong, {time.monotonic() - began:.0f} s")
    return bool(wrong)


if __name__ == "__main__":
    raise SystemExit(main())
