"""Runs with a state folder: stopped anywhere, at another number of workers, from a savepoint, the answer is the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import eventide as et
from eventide import col
from eventide.engine.epochs import StateFolder, save_to
from eventide.runners.embedded import Running
from eventide.testing import SimulatedDisk, TestClock


class Ticking(TestClock):
    """A wall clock that moves a millisecond whenever it is asked."""

    def now_us(self) -> int:
        self.time_us += 1_000
        return self.time_us


SCHEMA = et.schema({"k": str, "at": et.Instant, "x": float})


def readings(count: int = 400) -> pl.DataFrame:
    """Three keys and a null, a second apart, every fifth up to 12 s behind."""
    n = pl.int_range(count, eager=True)
    behind = pl.when(pl.col("n") % 5 == 0).then(pl.col("n") * 7 % 13).otherwise(0)
    key = pl.when(pl.col("n") % 4 < 3).then(pl.format("s{}", pl.col("n") % 4))
    at = ((pl.col("n") - behind + 1_000) * 1_000_000).cast(pl.Datetime("us", "UTC"))
    return pl.DataFrame({"n": n}).select(k=key, at=at, x=(pl.col("n") * 37 % 101) / 7)


def job(frame: pl.DataFrame, window: str = "tumbling", clock: str = "log") -> et.Stream:
    timed = et.from_frame(frame, name="readings", arrival="at").event_time(
        "at", et.bounded("4s"), max_future=None, clock="log" if clock == "log" else et.per_key("k", cap="30s")
    )
    made: dict[str, Callable[[], et.Stream]] = {
        "tumbling": lambda: _summed(timed.group_by("k").window(et.tumbling("10s"))),
        "empty": lambda: _summed(timed.group_by("k").window(et.tumbling("10s"), fill="empty")),
        "revised": lambda: _summed(timed.group_by("k").window(et.tumbling("10s"), lateness="8s")),
        "empty, revised": lambda: _summed(timed.group_by("k").window(et.tumbling("2s"), lateness="8s", fill="empty")),
        "sliding": lambda: _summed(timed.group_by("k").window(et.sliding("20s", "5s"))),
        "session": lambda: _summed(timed.group_by("k").window(et.session("4s"), lateness="5s")),
        "count": lambda: _summed(timed.group_by("k").window(et.count_window(7, timeout="20s"))),
        "none": lambda: timed.filter(col("x") > 3),
    }
    return made[window]()


def _summed(windowed: object) -> et.Stream:
    made: et.Stream = windowed.agg(total=col("x").sum(), mid=col("x").median(), n=et.count())  # type: ignore[attr-defined]
    return made


def stop_after(batches: int) -> Callable[[Running], Callable[[], None]]:
    """Stops a run after so many batches."""

    def observe(running: Running) -> Callable[[], None]:
        left = [batches]

        def beat() -> None:
            left[0] -= 1
            if left[0] <= 0:
                running.stop.set()

        return beat

    return observe


def in_pieces(stream: Callable[[], et.Stream], state: Path | StateFolder, batches: int = 3) -> et.Outcome:
    """Run, stopped again and again, each time with another number of workers and other batches."""
    for number in range(100):
        outcome: et.Outcome = stream().run(
            show=False,
            state=state,
            checkpoint_every="1us",
            rows_max=(17, 40, 9)[number % 3],
            workers=3 if number == 1 else 1,
            clock=Ticking(),
            observe=stop_after(batches),
        )
        if outcome.finished:
            assert number > 2
            return outcome
    raise AssertionError("the run does not end")


@pytest.mark.parametrize("clock", ["log", "key"])
@pytest.mark.parametrize(
    "window", ["tumbling", "empty", "empty, revised", "revised", "sliding", "session", "count", "none"]
)
def test_stopped_runs_write_what_one_run_writes(window: str, clock: str) -> None:
    frame = readings(280)
    whole = job(frame, window, clock).run(show=False)
    disk = SimulatedDisk()

    def stream() -> et.Stream:
        made = job(frame, window, clock).write(et.write_parquet("/out/r.parquet"))
        return made.write(et.write_parquet("/out/late.parquet"), "late")

    outcome = in_pieces(stream, StateFolder(Path("/state"), disk))
    assert pl.read_parquet(disk.read(Path("/out/r.parquet"))).equals(whole.results)
    assert pl.read_parquet(disk.read(Path("/out/late.parquet"))).equals(whole.late)
    assert outcome.accounting == whole.accounting
    assert window not in ("tumbling", "none") or whole.late.height > 0


def test_a_run_that_has_ended_has_nothing_left_to_do(tmp_path: Path) -> None:
    readings(100).write_csv(tmp_path / "r.csv")

    def run() -> et.Outcome:
        stream = et.read_csv(tmp_path / "r.csv", schema=SCHEMA, arrival="at").event_time(
            "at", et.bounded("4s"), max_future=None
        )
        done: et.Outcome = stream.write(et.write_csv(tmp_path / "out.csv")).run(show=False, state=tmp_path / "state")
        return done

    first = run()
    before = (tmp_path / "out.csv").read_bytes()
    again = run()
    assert (again.finished, again.accounting, again.received_before) == (True, first.accounting, 100)
    assert (tmp_path / "out.csv").read_bytes() == before


def test_a_followed_file_that_grows_while_nobody_reads_is_read_on(tmp_path: Path) -> None:
    frame = readings(100)
    frame.head(60).write_csv(tmp_path / "r.csv")

    def run() -> et.Outcome:
        stream = et.read_csv(tmp_path / "r.csv", schema=SCHEMA, arrival="at", follow=True)
        timed = stream.event_time("at", et.bounded("4s"), max_future=None)
        done: et.Outcome = timed.write(et.write_csv(tmp_path / "out.csv")).run(
            show=False, state=tmp_path / "state", observe=stop_after(2)
        )
        return done

    assert run().accounting.total.received == 60
    with (tmp_path / "r.csv").open("ab") as file:
        file.write(frame.slice(60).write_csv(include_header=False).encode())
    assert run().accounting.total.received == 100


def test_epochs_without_news_are_not_written(tmp_path: Path) -> None:
    state = StateFolder(tmp_path / "state")
    for _ in range(2):
        job(readings(50)).run(show=False, state=state, clock=Ticking())
    assert state.epochs() == [1]


def test_old_checkpoints_go(tmp_path: Path) -> None:
    job(readings()).run(
        show=False, state=tmp_path, checkpoints_kept=2, checkpoint_every="1us", rows_max=20, clock=Ticking()
    )
    epochs = StateFolder(tmp_path).epochs()
    assert len(epochs) == 2
    assert epochs[-1] - epochs[0] == 1


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    job_running = threading.Event()
    refusals: list[str] = []

    def second(frame: pl.DataFrame) -> None:
        if not job_running.is_set():
            job_running.set()
            with pytest.raises(et.CheckpointError) as fault:
                job(readings(10)).run(show=False, state=tmp_path)
            refusals.append(str(fault.value))

    job(readings(200)).write(et.call(second)).run(show=False, state=tmp_path)
    assert len(refusals) == 1
    assert "belongs to a run that is still going (process " in refusals[0]


def test_a_savepoint_starts_another_folder(tmp_path: Path) -> None:
    frame = readings()
    whole = job(frame).run(show=False)

    def stream() -> et.Stream:
        return job(frame).write(et.write_csv(tmp_path / "r.csv"))

    stream().run(show=False, state=tmp_path / "a", rows_max=50, clock=Ticking(), observe=stop_after(3))
    saved = save_to(StateFolder(tmp_path / "a"), StateFolder(tmp_path / "savepoint"))
    stream().run(show=False, state=tmp_path / "a")
    done = (tmp_path / "r.csv").read_bytes()
    outcome = stream().run(show=False, state=tmp_path / "b", start_from=tmp_path / "savepoint")
    assert saved.epoch == 1
    assert outcome.received_before == 150
    assert outcome.accounting == whole.accounting
    assert (tmp_path / "r.csv").read_bytes() == done, "what came behind the savepoint was taken back and came again"
    with pytest.raises(et.CheckpointError, match="holds a state already"):
        stream().run(show=False, state=tmp_path / "b", start_from=tmp_path / "savepoint")
    with pytest.raises(et.CheckpointError, match="is not empty"):
        save_to(StateFolder(tmp_path / "a"), StateFolder(tmp_path / "savepoint"))


def test_two_outputs_in_one_file_are_refused(tmp_path: Path) -> None:
    twice = job(readings(10)).write(et.write_csv(tmp_path / "r.csv")).write(et.write_csv(tmp_path / "r.csv"), "late")
    with pytest.raises(et.PlanError, match="results and late go to the same csv file"):
        twice.run(show=False, state=tmp_path / "state")


def test_a_state_folder_that_cannot_be_made_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(et.CheckpointError, match="cannot use .* as a state folder"):
        job(readings(10)).run(show=False, state=tmp_path / "file" / "state")


def test_start_from_needs_a_state_folder() -> None:
    with pytest.raises(ValueError, match="needs a state folder"):
        job(readings(10)).run(show=False, start_from="somewhere")


def test_a_perfect_watermark_looks_ahead_from_where_the_run_goes_on(tmp_path: Path) -> None:
    frame = readings(200)

    def stream() -> et.Stream:
        timed = et.from_frame(frame, arrival="at").event_time("at", et.perfect(), max_future=None)
        made = timed.group_by("k").window(et.tumbling("10s")).agg(n=et.count())
        return made.write(et.write_csv(tmp_path / "r.csv"))

    whole = stream().run(show=False)
    expected = (tmp_path / "r.csv").read_bytes()
    outcome = in_pieces(stream, tmp_path / "state")
    assert (tmp_path / "r.csv").read_bytes() == expected
    assert (outcome.accounting.total.late, outcome.accounting) == (0, whole.accounting)


def test_functions_get_every_row_at_least_once(tmp_path: Path) -> None:
    frame, seen = readings(200), list[pl.DataFrame]()
    whole = job(frame).run(show=False).results
    in_pieces(lambda: job(frame).write(et.call(seen.append)), tmp_path)
    assert pl.concat(seen).unique(maintain_order=True).equals(whole)


def test_a_full_disk_stops_the_run_and_loses_nothing() -> None:
    disk, frame = SimulatedDisk(full_at=60), readings()
    state = StateFolder(Path("/s"), disk)

    def stream() -> et.Stream:
        return job(frame).write(et.write_ndjson("/out/r.ndjson"))

    with pytest.raises((et.CheckpointError, et.SinkError), match="No space left"):
        stream().run(show=False, state=state, checkpoint_every="1us", rows_max=20, clock=Ticking())
    stream().run(show=False, state=state)
    rows = pl.read_ndjson(disk.read(Path("/out/r.ndjson")))
    assert rows["total"].to_list() == job(frame).run(show=False).results["total"].to_list()
