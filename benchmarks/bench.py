"""`python -m benchmarks.bench`: speed against batch Polars, start-up and latency, as medians of alternating runs.

Law: the two sides take turns on the same input in one run, so that a noisy machine hits both.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

import eventide as et
from benchmarks import works
from eventide.engine.epochs import StateFolder
from eventide.engine.pipeline import Pipeline
from eventide.flow import ARRIVAL, INSTANT, OFFSET, Batch
from eventide.runners import run as run_plan
from eventide.runners.durable import Durable
from eventide.runners.embedded import Running

ROUNDS = 5


def rate(work: Callable[[], object], rows: int) -> float:
    """Million rows a second of one run."""
    began = time.perf_counter()
    work()
    return rows / (time.perf_counter() - began) / 1e6


def pace(work: Callable[[], object], rows: int) -> tuple[float, float]:
    """Million rows a second of one run, and a second of processor time."""
    used = time.process_time()
    wall = rate(work, rows)
    return wall, rows / (time.process_time() - used) / 1e6


def compare(
    name: str,
    target: float,
    rows: int,
    ours: Callable[[], object],
    batch: Callable[[], object],
    rounds: int = ROUNDS,
) -> None:
    """Print the medians of alternating runs and their ratios, in wall time and in processor time."""
    pairs = [(pace(ours, rows), pace(batch, rows)) for _ in range(rounds + 1)][1:]
    mine, theirs = (statistics.median(wall for wall, _ in side) for side in zip(*pairs, strict=True))
    ratio, used = (statistics.median(one[n] / two[n] for one, two in pairs) for n in (0, 1))
    print(
        f"{name:22s} Eventide {mine:6.2f} M/s   batch Polars {theirs:6.2f} M/s   "
        f"ratio {ratio:5.2f}, in processor time {used:5.2f}   target {target:4.2f}"
    )


def run(stream: et.Stream) -> object:
    return stream.run(show=False)


def speed(scale: int) -> None:
    """W1 to W4."""
    w1, w3 = works.readings(5_000_000 // scale), works.readings(2_000_000 // scale, apart_us=10_000)
    w4 = works.readings(5_000_000 // scale, sensors=1_000_000)
    tumbling, sliding, session = et.tumbling("10s"), et.sliding("60s", "5s"), et.session("5s")
    compare(
        "W1 memory",
        0.5,
        w1.height,
        lambda: run(works.windows(et.from_frame(w1), tumbling)),
        lambda: works.tumbling_in_batch(w1),
    )
    with tempfile.TemporaryDirectory() as folder:
        parquet, ndjson = Path(folder) / "w1.parquet", Path(folder) / "w1.ndjson"
        w1.write_parquet(parquet)
        w1.with_columns(pl.col("at").dt.epoch("ms")).write_ndjson(ndjson)
        schema = et.schema({"sensor": str, "at": et.Instant, "value": float})
        from_parquet = lambda: run(works.windows(et.read_parquet(parquet, schema=schema), tumbling))  # noqa: E731
        from_ndjson = lambda: run(works.windows(et.read_ndjson(ndjson, schema=schema), tumbling))  # noqa: E731
        compare("W1 Parquet", 0.5, w1.height, from_parquet, lambda: works.tumbling_in_batch(pl.read_parquet(parquet)))
        as_time = pl.from_epoch("at", time_unit="ms")
        compare(
            "W1 NDJSON",
            0.5,
            w1.height,
            from_ndjson,
            lambda: works.tumbling_in_batch(pl.read_ndjson(ndjson).with_columns(as_time)),
        )
    compare(
        "W2 memory",
        4.0,
        w1.height,
        lambda: run(works.windows(et.from_frame(w1), sliding)),
        lambda: works.sliding_in_batch(w1),
        rounds=3,
    )
    compare(
        "W3 memory",
        1.0,
        w3.height,
        lambda: run(works.windows(et.from_frame(w3), session)),
        lambda: works.sessions_in_batch(w3),
    )
    compare(
        "W4 memory",
        0.33,
        w4.height,
        lambda: run(works.windows(et.from_frame(w4), tumbling)),
        lambda: works.tumbling_in_batch(w4),
    )


def latency() -> None:
    """One event in, a window closed, its result out: 2,000 times over a state of 1,000 keys."""
    first = works.readings(1_000).with_columns(pl.format("sensor-{}", pl.int_range(pl.len())).alias("sensor"))
    pipeline = Pipeline.of(works.windows(et.from_frame(first), et.tumbling("10s")).plan)
    times: list[float] = []
    for number in range(2_100):
        at_us = works.START_US + number * 10_000_000
        columns = {
            "sensor": [f"sensor-{number % 1_000}"],
            "at": [at_us],
            "value": [1.0],
            OFFSET: [number],
            ARRIVAL: [at_us],
        }
        frame = pl.DataFrame(columns).with_columns(pl.col("at", ARRIVAL).cast(INSTANT))
        began = time.perf_counter()
        pipeline.process(Batch("live", frame))
        times.append((time.perf_counter() - began) * 1e3)
    ordered = sorted(times[100:])
    print(
        f"latency                median {statistics.median(ordered):.2f} ms (target 2)   p99 {ordered[int(len(ordered) * 0.99)]:.2f} ms (target 6)"
    )


def start() -> None:
    """A fresh process to its first result."""
    code = (
        "import eventide as et\n"
        "rows = [{'k': 'a', 'at': 0}]\n"
        "s = et.from_rows(rows, schema={'k': str, 'at': et.Instant}).event_time('at', et.bounded('1s'), max_future=None)\n"
        "s.group_by('k').window(et.tumbling('1s')).agg(n=et.count()).run(show=False)\n"
    )
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        times.append(time.perf_counter() - began)
    print(f"start to first result  {statistics.median(times):.2f} s (target 0.6)")


def memory(events: int) -> None:
    """Peak memory of a fresh process that streams a Parquet file, results only counted, late rows kept."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.parquet"
        write = "import sys; from benchmarks import works; works.readings(int(sys.argv[1])).write_parquet(sys.argv[2])"
        # another process writes it: a child's peak counts what its parent held when it was made
        subprocess.run([sys.executable, "-c", write, str(events), str(path)], check=True)
        code = (
            "import resource, sys; import eventide as et; from benchmarks import works\n"
            "schema = et.schema({'sensor': str, 'at': et.Instant, 'value': float})\n"
            "works.windows(et.read_parquet(sys.argv[1], schema=schema), et.tumbling('10s')).run(show=False)\n"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)\n"
        )
        done = subprocess.run([sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True)
    print(f"memory                 {done.stdout.strip()} MB for {events:,} events from Parquet (target 600)")


def monitor(scale: int) -> None:
    """What the monitor costs W1, measured twice: processor time of the least disturbed of alternating runs with and
    without it, and the share of processor time spent in it within one run (the median of runs), which noise hits alike.
    """
    plan = works.windows(et.from_frame(works.readings(5_000_000 // scale)), et.tumbling("10s")).plan
    shares: list[float] = []

    def seconds(watched: bool) -> float:
        spent = 0.0

        def observe(running: Running) -> Callable[[], None]:
            door = running.pipeline.door
            assert door is not None
            if not watched:
                door.monitor = None
                return lambda: None
            assert door.monitor is not None
            see = door.monitor.see

            def timed(*seen: Any) -> None:
                nonlocal spent
                began = time.process_time()
                see(*seen)
                spent += time.process_time() - began

            door.monitor.see = timed  # type: ignore[method-assign] # timed from outside
            return lambda: None

        used = time.process_time()
        run_plan(plan, show=False, observe=observe)
        if watched:
            shares.append(spent / (time.process_time() - used))
        return time.process_time() - used

    turns = [(True, False) if number % 2 else (False, True) for number in range(3 * ROUNDS + 1)]
    taken = [{watched: seconds(watched) for watched in turn} for turn in turns][1:]
    with_it, without = (min(one[watched] for one in taken) for watched in (True, False))
    within = statistics.median(shares)
    print(f"monitor                {with_it / without - 1:.1%} of W1's time, {within:.1%} within a run (target 3 %)")


def idle() -> None:
    """The share of a core that an open, silent feed uses over five seconds."""
    feed = et.Feed({"sensor": str, "at": et.Instant, "value": float})
    stream = works.windows(et.from_rows(feed), et.tumbling("10s"))
    running = threading.Thread(target=lambda: run(stream))
    running.start()
    time.sleep(1)
    began = time.process_time()
    time.sleep(5)
    print(f"idle                   {(time.process_time() - began) / 5:.2%} of a core (target 2 %)")
    feed.close()
    running.join()


def checkpoints(events: int) -> None:
    """W1 from Parquet with a checkpoint each second to local disk, against the same without state, in turns; and the
    share of its time that the run with state spent on epochs, which a noisy machine does not blur.
    """
    spent: list[float] = []

    def timed(self: Durable, *given: Any, **named: Any) -> None:
        began = time.perf_counter()
        decide(self, *given, **named)
        spent.append(time.perf_counter() - began)

    decide, Durable.decide = Durable.decide, timed  # type: ignore[method-assign] # timed from outside
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w1.parquet"
        works.readings(events).write_parquet(path)
        schema = et.schema({"sensor": str, "at": et.Instant, "value": float})
        job = works.windows(et.read_parquet(path, schema=schema), et.tumbling("10s"))
        pairs = []
        for number in range(ROUNDS + 1):
            kept = Path(folder) / f"state-{number}"
            plain = rate(lambda: run(job), events)
            spent.clear()
            durable = rate(lambda: job.run(show=False, state=kept, checkpoint_every="1s"), events)  # noqa: B023 - at once
            epochs = StateFolder(kept).epochs()[-1]
            pairs.append((plain, durable, epochs, sum(spent) / (events / durable / 1e6 - sum(spent))))
    Durable.decide = decide  # type: ignore[method-assign] # as it was
    plain, durable, epochs, share = (statistics.median(side) for side in zip(*pairs[1:], strict=True))
    cost = statistics.median(one / two - 1 for one, two, *_ in pairs[1:])
    print(
        f"checkpoints            without {plain:.2f} M/s   each second {durable:.2f} M/s ({epochs:.0f} epochs)   cost {cost:.1%}, time on epochs {share:.1%} (target 10 %)"
    )


def recovery(windows: int) -> None:
    """A checkpoint of so many open windows, one a sensor: how long it takes to write, and to be ready to go on."""
    first = works.readings(windows).with_columns(pl.format("sensor-{}", pl.int_range(pl.len())).alias("sensor"))
    at_once = first.with_columns(pl.lit(works.START_US).cast(pl.Datetime("us", "UTC")).alias("at"))
    job = works.windows(et.from_frame(at_once), et.tumbling("10s"))
    stop_behind = lambda running: lambda: running.stop.set() if running.pipeline.accounting.logs else None  # noqa: E731
    with tempfile.TemporaryDirectory() as folder:
        kept = StateFolder(Path(folder))
        job.run(show=False, state=kept, rows_max=windows, observe=stop_behind)
        found = kept.newest().checkpoint
        assert found is not None
        began = time.perf_counter()
        size = StateFolder(Path(folder) / "whole").write(
            found, et.__version__
        )  # in its own folder nothing would be new
        wrote = time.perf_counter() - began
        halted = threading.Event()
        halted.set()
        times = [rate(lambda: job.run(show=False, state=kept, stop=halted), 1) for _ in range(ROUNDS)]
    ready = statistics.median(1 / (one * 1e6) for one in times)
    rows = max(frame.height for frame in found.state.frames.values())
    print(
        f"recovery               {rows:,} open windows: written in {wrote:.2f} s ({size / 1e6:.0f} MB), ready to go on after {ready:.2f} s (target 10)"
    )


if __name__ == "__main__":
    scale = 10 if "--quick" in sys.argv else 1
    if "--speed" in sys.argv:
        speed(scale)
        latency()
        sys.exit()
    memory(5_000_000 // scale)
    memory(50_000_000 // scale)
    checkpoints(50_000_000 // scale)
    recovery(1_000_000 // scale)
    start()
    idle()
    speed(scale)
    monitor(scale)
    latency()
