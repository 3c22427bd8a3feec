"""Worker processes: any number of them gives the same bits, and one that dies stops the run with a message."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.testing.test_laws_of_streams import MORE, OF_TIME, PLAIN, QUIET, possible

import eventide as et
from eventide import col
from eventide.engine.workers import Crew
from eventide.errors import WorkerError
from eventide.expressions import Aggregation
from eventide.runners.embedded import Running
from eventide.semantics.eventtime import EventTime
from eventide.semantics.lateness import Early, Lateness
from eventide.semantics.windows import Window
from eventide.testing import laws, streams
from eventide.testing.reference import Query

THREE = Crew(3)


@pytest.fixture(scope="module", autouse=True)
def crew() -> Iterator[None]:
    """Three processes for all streams of this file: a pipeline begins anew in them."""
    with THREE:
        yield


@settings(QUIET, max_examples=examples(6))
@given(
    streams.windows(),
    streams.event_times(),
    streams.latenesses(),
    streams.earlies(),
    st.booleans(),
    st.sampled_from([PLAIN, MORE, OF_TIME]),
    st.data(),
)
def test_processes_answer_as_one_does_and_states_move_between_both(
    window: Window,
    event_time: EventTime,
    lateness: Lateness,
    early: Early | None,
    fill: bool,
    aggregates: tuple[tuple[str, Aggregation], ...],
    data: st.DataObject,
) -> None:
    assume(possible(window, lateness, early, fill))
    drawn = data.draw(streams.entries(("one", "two"), most=20))
    query = Query(event_time, ("key",), window, aggregates, lateness, early, fill)
    manners = (
        laws.Manner((5,)),
        laws.Manner((3,), crews=(THREE,)),
        laws.Manner((4,), crews=(THREE,), memory=1),
        laws.Manner((2, 5), restarts=frozenset({1, 4}), crews=(THREE,)),
        laws.Manner((4,), restarts=frozenset({2}), crews=(THREE, None)),
        laws.Manner((4,), restarts=frozenset({2}), crews=(None, THREE)),
    )
    laws.law_same_in_every_manner(query, drawn, streams.COLUMNS, ("one", "two"), manners)


def job(state: Path | None = None) -> et.Stream:
    n = pl.int_range(4_000, eager=True).alias("n")
    at = (pl.col("n") - pl.col("n") * 7 % 13) * 100_000
    frame = pl.DataFrame([n]).select(
        k=pl.format("s{}", pl.col("n") * 31 % 17), at=at.cast(pl.Datetime("us", "UTC")), x=pl.col("n") / 7
    )
    timed = et.from_frame(frame, name="readings", arrival="at").event_time("at", et.bounded("500ms"), max_future=None)
    stream = (
        timed.group_by("k")
        .window(et.session("1700ms"), lateness="2s")
        .agg(total=col("x").sum(), mid=col("x").median(), last=col("x").last())
    )
    return stream if state is None else stream.write(et.write_csv(state / "out.csv"))


def test_a_run_over_processes_gives_what_one_process_gives() -> None:
    one, three = job().run(show=False), job().run(show=False, workers=3)
    assert one.results.height > 100
    assert three.results.equals(one.results)
    assert three.late.equals(one.late)
    assert three.accounting == one.accounting
    assert three.explain(key="s3", at="1970-01-01T00:01:00Z", reread=False) == one.explain(
        key="s3", at="1970-01-01T00:01:00Z", reread=False
    )


def kill_a_worker(batch: int) -> Callable[[Running], Callable[[], None]]:
    """Kills the second process behind a batch."""

    def observe(running: Running) -> Callable[[], None]:
        seen = [0]

        def beat() -> None:
            seen[0] += 1
            if seen[0] == batch:
                os.kill(running.workers[0].process_id, signal.SIGKILL)

        return beat

    return observe


def test_a_worker_that_is_killed_stops_the_run_which_goes_on_from_its_state(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    job(tmp_path / "whole").run(show=False)
    whole = (tmp_path / "whole" / "out.csv").read_text()
    kept: dict[str, Any] = {"show": False, "rows_max": 500, "state": tmp_path / "state", "checkpoint_every": "1us"}
    with pytest.raises(WorkerError, match=r"worker 2 of 2 \(process \d+\) was killed by SIGKILL .* run it again"):
        job(tmp_path).run(**kept, workers=2, observe=kill_a_worker(3))
    shown = (tmp_path / "out.csv").read_text()
    outcome = job(tmp_path).run(**kept, workers=3)
    assert 0 < outcome.received_before < outcome.accounting.total.received == 4_000
    assert shown != whole
    assert whole.startswith(shown)
    assert (tmp_path / "out.csv").read_text() == whole


def test_workers_end_with_their_run() -> None:
    started: list[int] = []

    def observe(running: Running) -> Callable[[], None]:
        started.extend(worker.process_id for worker in running.workers)
        return lambda: None

    job().run(show=False, workers=2, observe=observe)
    assert len(started) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


def test_a_plan_without_windows_starts_no_process(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pl.DataFrame({"x": [1, 2, 3]})
    seen: list[int] = []

    def observe(running: Running) -> Callable[[], None]:
        seen.append(len(running.workers))
        return lambda: None

    outcome = et.from_frame(frame).filter(col("x") > 1).run(show=False, workers=4, observe=observe)
    assert (outcome.results.height, seen) == (2, [0])
    assert "workers=4 has nothing to spread" in capsys.readouterr().err


def test_no_worker_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match="workers=0 must be at least 1"):
        job().run(show=False, workers=0)
