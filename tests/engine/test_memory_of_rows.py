"""Rows that a join remembers go to the disk like windows; what cannot go stops the run in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import eventide as et
from eventide import col
from eventide.errors import SpillError
from eventide.runners.embedded import Running


def readings(name: str, count: int = 3_000, keys: int = 40, bound: str = "1s") -> et.Stream:
    """Readings of so many devices in turn, one every 10 ms."""
    n = pl.int_range(count, eager=True).alias("n")
    at = (pl.col("n") * 10_000).cast(pl.Datetime("us", "UTC"))
    frame = pl.DataFrame([n]).select(device=pl.format("device-{}", pl.col("n") % keys), at=at, x=pl.col("n"))
    return et.from_frame(frame, name=name, arrival="at").event_time("at", et.bounded(bound), max_future=None)


def files_of(folder: Path, seen: list[int]) -> Callable[[Running], Callable[[], None]]:
    """Notes how many files the run has on the disk behind each batch."""
    return lambda running: lambda: seen.append(len(list(folder.glob("eventide-spill-*/*.arrow"))))


JOINS: dict[str, Callable[[et.Stream], et.Stream]] = {
    "interval": lambda left: left.join_interval(readings("right"), on="device", lower="-5s", upper="5s", how="outer"),
    "asof": lambda left: left.join_asof(readings("right"), on="device"),
    "captures": lambda left: left.deduplicate("device", within="10s", merge=True),
}


@pytest.mark.parametrize("kind", JOINS)
def test_a_join_beyond_the_bound_gives_the_same_rows_from_the_disk(kind: str, tmp_path: Path) -> None:
    join, seen = JOINS[kind], list[int]()
    whole = join(readings("left")).run(show=False, rows_max=100)
    settings = {"memory": "20kB", "keys_most": 1_000, "spill": tmp_path, "rows_max": 100}
    bound = join(readings("left")).run(show=False, observe=files_of(tmp_path, seen), **settings)  # type: ignore[arg-type] # settings of several types
    assert max(seen) >= 1
    assert whole.results.height >= 40
    assert bound.results.equals(whole.results)
    assert bound.accounting == whole.accounting


def test_a_join_goes_on_from_its_state_with_and_without_a_bound(tmp_path: Path) -> None:
    whole = JOINS["interval"](readings("left")).run(show=False).results

    def stopping(running: Running) -> Callable[[], None]:
        def beat() -> None:
            if running.pipeline.accounting.total.received >= 2_000:
                running.stop.set()

        return beat

    frames = []
    for memory, observe in (("20kB", stopping), (None, None)):
        keys = 1_000 if memory else None
        run = JOINS["interval"](readings("left")).run(
            show=False, rows_max=200, state=tmp_path / "state", memory=memory, keys_most=keys, observe=observe
        )
        frames.append(run.results)
    together = pl.concat(frames)
    order = ["device", "at", "at_right"]
    assert frames[0].height * frames[1].height > 0
    assert together.sort(order).equals(whole.sort(order))


def test_detection_that_takes_more_than_the_bound_stops_the_run_in_words() -> None:
    high = {"name": "high", "by": "device", "cooldown": "1h"}
    seconds = readings("log", 20_000, 4_000).alert(col("x") > 1e9, **high)  # type: ignore[arg-type] # settings of several types
    assert seconds.run(show=False, memory="50MB", rows_max=1_000).accounting.total.on_time == 20_000
    watched = readings("log", 20_000, 4_000, bound="1h").alert(col("x") > 1e9, **high)  # type: ignore[arg-type] # as above
    with pytest.raises(SpillError, match=r"alerts and detection take [\d,]+ bytes; memory= leaves 200,000 bytes"):
        watched.run(show=False, memory="400kB", keys_most=10_000, rows_max=1_000)


def test_rows_that_wait_behind_a_join_stop_the_run_in_words() -> None:
    joined = readings("left").join_interval(readings("right"), on="device", lower="-1h", upper="1h", how="outer")
    windows = joined.group_by("device").window(et.tumbling("1s")).agg(n=et.count())
    with pytest.raises(SpillError, match="rows that wait behind a join take .* Give more memory="):
        windows.run(show=False, memory="1MB", keys_most=1_000, rows_max=500)
