"""A plan that was changed keeps the state of what is unchanged, or is refused before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.epochs.test_resume import Ticking, readings, stop_after

import eventide as et
from eventide import col
from eventide.engine.epochs import StateFolder
from eventide.testing import SimulatedDisk

FRAME = readings(120)
OUT = Path("/out/r.csv")


def job(  # the sentence with one part changed
    *,
    source: str = "readings",
    bound: str = "4s",
    clock: Any = "log",
    column: str = "at",
    keys: tuple[str, ...] = ("k",),
    window: Any = None,
    lateness: str = "0s",
    aggregates: dict[str, Any] | None = None,
    finish: Callable[[et.Stream], et.Stream] = lambda results: results,
    more: bool = False,
    frame: pl.DataFrame = FRAME,
) -> et.Stream:
    made = et.from_frame(frame, name=source, arrival="at")
    if more:
        made = made.union(et.from_frame(frame, name="more", arrival="at"))
    timed = made.event_time(column, et.bounded(bound), clock=clock, max_future=None)
    windowed = timed.group_by(*keys).window(window or et.tumbling("10s"), lateness=lateness)
    results = windowed.agg(**(aggregates or {"total": col("x").sum()}))
    return finish(results).write(et.write_csv(OUT))


def begun() -> StateFolder:
    state = StateFolder(Path("/state"), SimulatedDisk())
    job().run(show=False, state=state, checkpoint_every="1us", rows_max=20, clock=Ticking(), observe=stop_after(3))
    return state


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"window": et.tumbling("20s")}, "windows, window: was "),
        ({"keys": ("k", "x")}, "windows, group_by: was ['k'], is ['k', 'x']"),
        ({"lateness": "5s"}, "windows, lateness: was not there, is "),
        ({"aggregates": {"total": col("x").max()}}, "windows, aggregates: was "),
        ({"clock": et.per_key("k", cap="1m")}, "event time, clock: was not there, is {'key': 'k', 'cap': '1m'}"),
        ({"frame": FRAME.with_columns(other="at"), "column": "other"}, "event time, column: was at, is other"),
        ({"frame": FRAME.with_columns(pl.col("x").cast(pl.Int64))}, "type of total: was float64, is int64"),
        (
            {"finish": lambda results: results.with_columns(double=col("total") * 2)},
            "sink 'results to csv file /out/r.csv', column double: was not there, is float64",
        ),
    ],
)
def test_a_change_that_the_state_does_not_fit_is_refused_by_name(changes: dict[str, Any], told: str) -> None:
    state = begun()
    disk = state.disk
    assert isinstance(disk, SimulatedDisk)
    operations, output = disk.operations, disk.read(OUT)
    with pytest.raises(et.CheckpointError) as fault:
        job(**changes).run(show=False, state=state)
    assert told in str(fault.value)
    assert "Nothing was written" in str(fault.value)
    assert (disk.operations, disk.read(OUT)) == (operations, output)


@pytest.mark.parametrize("changes", [{"bound": "9s"}, {"finish": lambda results: results.filter(col("total") > 20)}])
def test_a_change_without_state_goes_on(changes: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    outcome = job(**changes).run(show=False, state=begun())
    assert outcome.finished
    assert outcome.accounting.total.received == 120
    assert "goes on behind epoch 3" in capsys.readouterr().err


def test_a_new_source_starts_at_its_beginning_and_another_is_forgotten(capsys: pytest.CaptureFixture[str]) -> None:
    state = begun()
    outcome = job(more=True).run(show=False, state=state)
    assert "source 'more' is new: it starts at its beginning" in capsys.readouterr().err
    assert {log: account.received for log, account in outcome.accounting.logs.items()} == {"readings": 120, "more": 120}
    job(source="more").run(show=False, state=state)
    assert "source 'readings' is not in the plan any more: its logs are forgotten" in capsys.readouterr().err


def test_a_new_sink_gets_what_comes_from_here_on() -> None:
    state = begun()
    job().write(et.write_csv("/out/second.csv")).run(show=False, state=state)
    first, second = (state.disk.read(path).splitlines() for path in (OUT, Path("/out/second.csv")))
    assert first[0] == second[0]
    assert 1 < len(second) < len(first)
    assert first[-len(second) + 1 :] == second[1:]


def test_a_source_of_another_kind_is_refused(tmp_path: Path) -> None:
    FRAME.write_csv(tmp_path / "r.csv")
    FRAME.write_parquet(tmp_path / "r.parquet")
    schema = et.schema({"k": str, "at": et.Instant, "x": float})
    state = StateFolder(Path("/state"), SimulatedDisk())
    et.read_csv(tmp_path / "r.csv", schema=schema, name="r").run(show=False, state=state)
    with pytest.raises(et.CheckpointError, match="source 'r': kind: was csv, is parquet"):
        et.read_parquet(tmp_path / "r.parquet", schema=schema, name="r").run(show=False, state=state)
