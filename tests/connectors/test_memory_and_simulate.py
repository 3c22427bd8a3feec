"""Python rows, feeds and the simulated network."""

from __future__ import annotations

import threading
from pathlib import Path

import polars as pl
import pytest

import eventide as et
from eventide import col
from eventide.connectors.simulate import ROLLOVER_US, simulate, write_simulated
from eventide.errors import SourceError

SCHEMA = et.schema({"k": str, "at": et.Instant, "x": float})


def test_a_feed_gives_live_rows_and_ends_when_closed() -> None:
    feed = et.Feed(SCHEMA)
    stream = (
        et.from_rows(feed).event_time("at", et.bounded("0s")).group_by("k").window(et.tumbling("1s")).agg(n=et.count())
    )
    first = threading.Event()
    outcomes: list[et.Outcome] = []
    job = stream.write(et.call(lambda frame: first.set()))
    thread = threading.Thread(target=lambda: outcomes.append(job.run(show=False, keep=["results"])))
    thread.start()
    feed.send([{"k": "a", "at": 0, "x": 1.0}, {"k": "a", "at": 1_500, "x": "bad"}])
    feed.send({"k": "a", "at": 2_000, "x": None})
    assert first.wait(30)
    feed.close()
    thread.join(30)
    assert outcomes[0].results["n"].to_list() == [1, 1]
    assert outcomes[0].dead_letters["reason"].to_list() == ['not a number: "bad"']
    with pytest.raises(SourceError, match="closed"):
        feed.send({"k": "a", "at": 0, "x": 1.0})


def test_an_iterable_that_fails_stops_the_run_with_its_name() -> None:
    def rows() -> object:
        yield {"k": "a", "at": 0, "x": 1.0}
        raise RuntimeError("the radio fell silent")

    with pytest.raises(SourceError, match="the radio fell silent"):
        et.from_rows(rows(), schema=SCHEMA).run(show=False)  # type: ignore[arg-type] # a generator


def test_the_simulated_network_has_the_facts_of_the_real_one() -> None:
    frame = simulate(devices=90).frame
    late_s = (frame["uploaded"] - frame["captured"]).dt.total_seconds()
    rolled = frame.filter(late_s > 100_000_000)
    usual = late_s.filter(late_s < 100_000_000)
    assert rolled["device"].unique().to_list() == ["tube-001"]
    assert ((rolled["uploaded"] - rolled["captured"]).dt.total_microseconds() - ROLLOVER_US).max() < 3 * 3_600_000_000  # type: ignore[operator]
    assert 300 < float(usual.median() or 0) < 600  # type: ignore[arg-type] # 432 s in the recording
    assert 3_000 < float(usual.quantile(0.99) or 0) < 7_000  # 4,315 s
    assert -34 <= int(usual.min() or 0) < 0  # type: ignore[arg-type] # clocks up to 34 s ahead
    assert 40 < frame.height - frame.unique().height < 180  # 93 in 26,212
    assert float(frame.filter(col_is("tube-000"))["dose"].median() or 0) > 1_000  # type: ignore[arg-type]
    assert frame["uploaded"].is_sorted()


def col_is(device: str) -> pl.Expr:
    return pl.col("device") == device


def test_the_same_seed_writes_the_same_file(tmp_path: Path) -> None:
    for name, seed in (("a.csv", 1), ("b.csv", 1), ("c.csv", 2)):
        write_simulated(simulate(devices=3, duration="6h", seed=seed), tmp_path / name)
    a, b, c = ((tmp_path / name).read_bytes() for name in ("a.csv", "b.csv", "c.csv"))
    assert a == b != c


def test_map_batches_may_drop_rows_and_they_count_as_filtered() -> None:
    rows = [{"k": "a", "at": n, "x": float(n)} for n in range(4)]
    out = et.from_rows(rows, schema=SCHEMA).map_batches(lambda frame: frame.filter(pl.col("x") > 1)).run(show=False)
    assert out.results["x"].to_list() == [2.0, 3.0]
    assert out.accounting.total.filtered == 2


def test_map_batches_that_loses_the_offset_is_refused() -> None:
    with pytest.raises(et.EventideError, match="_offset"):
        et.from_rows([{"k": "a", "at": 0, "x": 1.0}], schema=SCHEMA).map_batches(lambda f: f.select("x")).run(
            show=False
        )


def test_own_aggregates_work_in_windows() -> None:
    rows = [{"k": "a", "at": n, "x": x} for n, x in enumerate((1.0, 10.0, 100.0))]
    product = et.own_aggregate(
        col("x"),
        partial=lambda x: {"logs": x.log().sum(), "n": x.count()},
        merge=lambda parts: {"logs": parts["logs"].sum(), "n": parts["n"].sum()},
        result=lambda parts: (parts["logs"] / parts["n"]).exp(),
    )
    out = et.from_rows(rows, schema=SCHEMA).event_time("at", et.ascending()).window(et.tumbling("1s")).agg(g=product)
    assert out.run(show=False).results["g"].round(9).to_list() == [10.0]
