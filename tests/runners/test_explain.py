"""Explanations: each reason why a window is open and each fate of an event, on a scenario of its own."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

import eventide as et
from eventide import col
from eventide.engine.pipeline import Pipeline
from eventide.engine.snapshot import Snapshot
from eventide.errors import EventideError, PlanError
from eventide.flow import LogReader, ReadContext
from eventide.instants import instant_us
from eventide.runners.embedded import Running
from eventide.testing import TestClock

Row = tuple[str, str, str, float]
"""Device, event time, arrival (both as minutes and seconds behind 10:00), value."""

SCHEMA = {"device": str, "at": et.Instant, "came": et.Instant, "x": float}
START = datetime(2026, 1, 1, 10, tzinfo=UTC)


def moment_of(text: str) -> datetime:
    minutes, seconds = text.split(":")
    return START + timedelta(minutes=int(minutes), seconds=int(seconds))


def us(text: str) -> int:
    return instant_us(moment_of(text))


def source(rows: Sequence[Row], name: str = "log") -> et.Stream:
    made = [{"device": d, "at": moment_of(t), "came": moment_of(a), "x": x} for d, t, a, x in rows]
    return et.from_rows(made, schema=SCHEMA, arrival="came", name=name)


def sums(stream: et.Stream, strategy: object = None, *, lateness: str = "0s", **settings: object) -> et.Stream:
    timed = stream.event_time("at", strategy or et.bounded("10s"), **settings)  # type: ignore[arg-type]
    return timed.group_by("device").window(et.tumbling("5m"), lateness=lateness).agg(n=et.count(), s=col("x").sum())


class Hand:
    """A pipeline whose logs are read by hand, so that a test stops where it wants to."""

    def __init__(self, stream: et.Stream) -> None:
        self.stream, self.pipeline = stream, Pipeline.of(stream.plan)
        self.readers: dict[str, tuple[int, LogReader]] = {}
        for number, one in enumerate(stream.plan.inputs):
            for reader in one.source.open(ReadContext(), {}).discover():
                self.readers[reader.log] = (number, reader)
                assert self.pipeline.clocks is not None
                self.pipeline.clocks.add(reader.log)

    def read(self, log: str, rows: int = 1_000) -> Hand:
        number, reader = self.readers[log]
        batch = reader.read(rows)
        assert batch is not None
        self.pipeline.process(batch, number)
        return self

    def asked(self) -> et.Inspection:
        files = self.pipeline.snapshot().to_files()
        return et.inspect(self.stream, Snapshot.from_files(files))


def test_an_open_window_shows_its_content_and_what_it_waits_for() -> None:
    rows: list[Row] = [("a", "0:10", "0:12", 1.0), ("a", "1:00", "1:02", 2.5), ("b", "2:00", "2:02", 4.0)]
    found = Hand(sums(source(rows))).read("log").asked().explain(key="a", at=START)
    assert found.state == "open"
    assert found.content == {"n": 2, "s": 3.5}
    assert found.watermark_us == us("1:50")
    assert found.holding is not None
    assert (found.holding.log, found.holding.why) == ("log", "alone")
    assert found.holding.since is not None
    assert (found.holding.since.offset, found.holding.since.time_us) == (2, us("2:00"))
    assert "it waits for an event in log 'log' of 2026-01-01 10:05:10 or later" in str(found)
    assert "arrived at 2026-01-01 10:02:02" in str(found)


def test_the_present_pace_says_when_a_window_will_close() -> None:
    # ten seconds of event time in every second of arrivals: 300 s - 110 s are to come, in 19 s
    rows: list[Row] = [("a", f"{n // 6}:{n % 6}0", f"0:{n:02d}", 1.0) for n in range(13)]
    found = Hand(sums(source(rows))).read("log").asked().explain(key="a", at=START)
    assert found.watermark_us == us("1:50")
    assert found.closes_us == us("0:12") + 19_000_000


def test_a_quiet_key_holds_its_own_windows_until_the_cap() -> None:
    rows: list[Row] = [("quiet", "0:10", "0:10", 1.0)]
    rows += [("loud", f"{n}:00", f"{n}:00", 1.0) for n in range(1, 12)]
    stream = sums(source(rows), clock=et.per_key("device", cap="2h"))
    found = Hand(stream).read("log").asked().explain(key="quiet", at=START)
    assert found.state == "open"
    assert found.holding is not None
    assert found.holding.why == "quiet key"
    assert found.watermark_us == us("0:00")
    assert found.holding.since is not None
    assert found.holding.since.offset == 0
    assert "it stands there since event 0 of log 'log' (time 2026-01-01 10:00:10)" in str(found)
    assert "held back by the clock of device='quiet' in log 'log'" in str(found)
    assert "or any event there of 2026-01-01 12:05:00 or later (cap)" in str(found)
    # the front moves at the pace of arrivals, so the cap ends it when they reach 12:05
    assert found.closes_us == us("125:00")
    loud = Hand(stream).read("log").asked().explain(key="loud", at=START)
    assert loud.state == "past"  # a snapshot has no results: it closed, that is all that can be said
    assert "log itself has gone on to event 11 of log 'log' (time 2026-01-01 10:11:00)" in str(found)


def test_a_short_cap_lets_the_window_of_a_quiet_key_close() -> None:
    rows: list[Row] = [("quiet", "0:10", "0:10", 1.0), ("loud", "6:00", "6:00", 1.0), ("loud", "7:00", "7:00", 1.0)]
    stream = sums(source(rows), clock=et.per_key("device", cap="1m"))
    found = stream.run(show=False).explain(key="quiet", at=START)
    assert found.state == "closed"
    assert "reached its end with event 1 (time 2026-01-01 10:06:00" in str(found)


def test_one_slow_log_is_named_with_its_distance_to_the_others() -> None:
    fast: list[Row] = [("a", f"{n}:00", f"{n}:00", 1.0) for n in range(20)]
    slow: list[Row] = [("a", f"{n // 4}:00", f"{n}:00", 1.0) for n in range(20)]
    stream = sums(source(fast, "one").union(source(slow, "slow"), source(fast, "two")))
    found = Hand(stream).read("one").read("slow").read("two").asked().explain(key="a", at=START)
    assert found.holding is not None
    assert (found.holding.log, found.holding.why) == ("slow", "slow")
    assert found.holding.watermark_us == us("3:50")
    assert "every other log is at least 15m further" in str(found)
    assert found.closes_us is not None


def test_a_silent_log_is_named_with_its_last_entry_and_idleness_frees_the_others() -> None:
    stays: list[Row] = [("a", f"{n // 6}:{n % 6}0", f"{n // 6}:{n % 6}0", 1.0) for n in range(80)]
    stops: list[Row] = stays[:5]
    stream = sums(source(stays, "stays").union(source(stops, "stops")), idle_after="30s")
    hand = Hand(stream).read("stops").read("stays")
    found = hand.asked().explain(key="a", at=START)
    assert found.holding is not None
    assert (found.holding.log, found.holding.why) == ("stops", "silent")
    assert found.holding.since is not None
    assert found.holding.since.offset == 4
    assert "its last entry (offset 4) came 12m30s before the newest one of the others" in str(found)
    assert "at the present pace never" in str(found)
    hand.pipeline.declare_idle("stops")
    after = hand.asked()
    assert after.explain(key="a", at=START).state == "past"
    open_one = after.explain(key="a", at=START + timedelta(minutes=10))
    assert open_one.holding is not None
    assert open_one.holding.log == "stays"
    assert "idle, so not holding anything back: 'stops'" in str(open_one)


def test_a_log_without_events_holds_everything() -> None:
    stream = sums(source([("a", "9:00", "9:00", 1.0)], "one").union(source([], "never")))
    found = Hand(stream).read("one").asked().explain(key="a", at=START + timedelta(minutes=5))
    assert found.holding is not None
    assert (found.holding.log, found.holding.why) == ("never", "no event")
    assert "which has not sent any event" in str(found)


def test_an_empty_stream_says_so() -> None:
    out = sums(source([])).run(show=False)
    found = out.explain(key="a", at=START)
    assert (found.state, found.content) == ("empty", None)
    assert "the stream had no event at all" in str(found)
    before = Hand(sums(source([]))).asked().explain(key="a", at=START)
    assert before.state == "open"
    assert "no clock has a watermark" in str(before)
    assert out.results.height == 0


def test_a_window_that_was_never_filled_names_its_neighbours() -> None:
    out = sums(source([("a", "1:00", "1:00", 1.0), ("a", "12:00", "12:00", 1.0)])).run(show=False)
    found = out.explain(key="a", at=START + timedelta(minutes=7))
    assert found.state == "empty"
    assert "before it that had events begins at 2026-01-01 10:00:00" in str(found)
    assert "next window with events begins at 2026-01-01 10:10:00" in str(found)
    assert "no event of this key was ever accepted" in str(out.explain(key="nobody", at=START))


def test_a_corrected_window_counts_its_corrections_and_names_what_closed_it() -> None:
    rows: list[Row] = [
        ("a", "1:00", "1:00", 1.0),
        ("b", "5:09", "5:09", 1.0),
        ("b", "5:11", "5:11", 1.0),
        ("a", "2:00", "5:12", 2.0),
        ("a", "3:00", "5:13", 4.0),
    ]
    out = sums(source(rows), lateness="1h").run(show=False)
    found = out.explain(key="a", at=START)
    assert (found.state, found.corrections, found.content) == ("corrected", 2, {"n": 3, "s": 7.0})
    assert "reached its end with event 2 (time 2026-01-01 10:05:11" in str(found)
    hand = Hand(sums(source(rows), lateness="1h")).read("log").asked().explain(key="a", at=START)
    assert (hand.state, hand.corrections, hand.content) == ("corrected", 2, {"n": 3, "s": 7.0})
    assert "it takes corrections until the watermark reaches 2026-01-01 11:05:00" in str(hand)


def test_an_empty_window_that_may_still_be_corrected_says_so() -> None:
    timed = source([("a", "1:00", "1:00", 1.0), ("b", "16:00", "16:00", 1.0)]).event_time("at", et.bounded("10s"))
    windows = timed.group_by("device").window(et.tumbling("5m"), lateness="1h", fill="empty")
    hand = Hand(windows.agg(n=et.count(), s=col("x").sum())).read("log").asked()
    found = hand.explain(key="a", at=START + timedelta(minutes=5))
    assert (found.state, found.corrections, found.content) == ("closed", 0, {"n": 0, "s": None})
    assert "no event has come into it so far: its row shows it empty" in str(found)
    assert "it takes corrections until the watermark reaches 2026-01-01 11:10:00" in str(found)
    full = hand.explain(key="a", at=START)
    assert (full.state, full.content) == ("closed", {"n": 1, "s": 1.0})
    assert "so far" not in str(full)
    unknown = hand.explain(key="b", at=START)
    assert unknown.state != "closed"


LATE: list[Row] = [
    ("a", "1:00", "1:00", 1.0),
    ("b", "5:30", "5:30", 1.0),
    ("b", "5:20", "5:31", 1.0),
    ("a", "4:00", "5:40", 2.0),
]


def test_a_late_event_names_the_earlier_event_and_the_rule() -> None:
    found = sums(source(LATE)).run(show=False).explain_event(offset=3)
    assert (found.fate, found.watermark_us) == ("late", us("5:20"))
    assert found.mover is not None
    assert (found.mover.offset, found.mover.time_us, found.mover.arrival_us) == (1, us("5:30"), us("5:30"))
    assert found.rule == "watermark = largest event time - 10s"
    assert "late: it had ended 20s before" in str(found)
    assert "it would have counted with a lateness of more than 20s or a bound of more than 30s" in str(found)


def test_what_would_have_helped_does_help() -> None:
    assert sums(source(LATE), et.bounded("30s")).run(show=False).accounting.total.late == 1
    assert sums(source(LATE), et.bounded("31s")).run(show=False).accounting.total.late == 0
    assert sums(source(LATE), lateness="20s").run(show=False).accounting.total.late == 1
    assert sums(source(LATE), lateness="21s").run(show=False).accounting.total.late == 0


def test_fates_beside_late() -> None:
    out = sums(source(LATE), lateness="1h").run(show=False)
    assert [out.explain_event(offset=n).fate for n in range(4)] == ["on time", "on time", "on time", "corrected"]
    assert "a correction: it had ended 20s before" in str(out.explain_event(offset=3))
    assert "no earlier event had moved its clock" in str(out.explain_event(offset=0))
    assert out.explain_event(values={"device": "a", "x": 2.0}).offset == 3


def test_the_cap_makes_an_event_late_by_another_key() -> None:
    rows: list[Row] = [("a", "1:00", "1:00", 1.0), ("b", "20:00", "20:00", 1.0), ("a", "2:00", "20:05", 2.0)]
    found = sums(source(rows), clock=et.per_key("device", cap="10m")).run(show=False).explain_event(offset=2)
    assert (found.fate, found.watermark_us) == ("late", us("10:00"))
    assert found.mover is not None
    assert found.mover.offset == 1
    assert found.rule.startswith("cap: no device stays more than 10m")
    own = sums(source(rows), clock=et.per_key("device", cap="10m")).run(show=False).explain_event(offset=1)
    assert (own.fate, own.watermark_us, own.rule[:3]) == ("on time", us("-9:00"), "cap")


def test_a_future_timestamp_is_refused_by_the_guard_and_moves_no_clock() -> None:
    rows: list[Row] = [("a", "1:00", "1:00", 1.0), ("a", "200:00", "2:00", 1.0), ("a", "3:00", "3:00", 1.0)]
    out = sums(source(rows)).run(show=False)
    found = out.explain_event(offset=1)
    assert (found.fate, found.mover) == ("refused", None)
    assert "event time is too far in the future" in found.rule
    assert "3h18m ahead of its arrival (2026-01-01 10:02:00); max_future allows 1h" in str(found)
    assert out.explain_event(offset=2).fate == "on time"
    assert out.explain_event(offset=2).watermark_us == us("0:50")


def test_a_row_that_breaks_the_schema_and_one_that_is_filtered() -> None:
    rows = [{"device": "a", "at": "nonsense", "x": 1.0}, {"device": "a", "at": "2026-01-01T10:00:00Z", "x": -1.0}]
    stream = et.from_rows(rows, schema={"device": str, "at": et.Instant, "x": float}).filter(col("x") > 0)
    out = sums(stream).run(show=False)
    assert out.explain_event(offset=0).fate == "refused"
    filtered = out.explain_event(offset=1)
    assert filtered.fate == "filtered"
    assert "left out by filter(x > 0), in front of the clocks: it moved none" in str(filtered)


def test_an_event_behind_a_floor_is_late_because_of_idleness() -> None:
    stays: list[Row] = [("a", f"{n}:00", f"{n}:00", 1.0) for n in range(20)]
    away: list[Row] = [("b", "0:00", "0:00", 1.0), ("b", "1:00", "19:30", 1.0)]
    stream = sums(source(stays, "stays").union(source(away, "away")))
    hand = Hand(stream).read("away", 1)
    hand.pipeline.declare_idle("away")
    hand.read("stays").read("away")
    found = hand.asked().explain_event(log="away", offset=1)
    assert (found.fate, found.watermark_us, found.mover) == ("late", us("18:50"), None)
    assert found.rule.startswith("idleness")


def test_a_running_run_answers_between_batches_from_any_thread() -> None:
    feed = et.Feed(SCHEMA, name="feed", arrival="came")
    runs: list[Running] = []
    begun, moved = threading.Event(), threading.Event()

    def observe(running: Running) -> object:
        runs.append(running)
        begun.set()

        def beat() -> None:
            if running.pipeline.accounting.total.received == 2:
                moved.set()

        return beat

    stream = sums(et.from_rows(feed), max_future=None)
    thread = threading.Thread(target=lambda: stream.run(show=False, observe=observe))
    thread.start()
    assert begun.wait(20)
    feed.send({"device": "a", "at": "2026-01-01T10:00:10Z", "came": "2026-01-01T10:00:10Z", "x": 1.0})
    feed.send({"device": "a", "at": "2026-01-01T10:01:10Z", "came": "2026-01-01T10:01:10Z", "x": 2.0})
    assert moved.wait(20)
    found = runs[0].explain(key="a", at=START)
    assert (found.state, found.content, found.watermark_us) == ("open", {"n": 2, "s": 3.0}, us("1:00"))
    with pytest.raises(EventideError, match="cannot be read again"):
        runs[0].explain_event(offset=0)
    feed.close()
    thread.join(20)
    assert runs[0].explain(key="a", at=START).state == "closed"


def test_an_observer_may_ask_from_the_run_itself() -> None:
    states: list[str] = []

    def observe(running: Running) -> object:
        return lambda: states.append(running.explain(key="a", at=START).state)

    sums(source(LATE)).run(show=False, rows_max=1, observe=observe)
    assert states[:4] == ["open", "closed", "closed", "closed"]


def test_sliding_windows_are_named_by_their_start_and_sessions_by_what_they_hold() -> None:
    timed = source([("a", "1:00", "1:00", 1.0), ("a", "1:30", "1:30", 1.0)]).event_time("at", et.bounded("10s"))
    sliding = timed.group_by("device").window(et.sliding("1m", "20s")).agg(n=et.count()).run(show=False)
    first = sliding.explain(key="a", at=START + timedelta(seconds=70))
    assert (first.start_us, first.end_us) == (us("0:20"), us("1:20"))
    assert "the earliest of 3 windows that cover 2026-01-01 10:01:10" in str(first)
    assert sliding.explain(key="a", at=START + timedelta(seconds=60)).content == {"n": 2}
    sessions = timed.group_by("device").window(et.session("1m")).agg(n=et.count()).run(show=False)
    found = sessions.explain(key="a", at=START + timedelta(seconds=100))
    assert (found.start_us, found.end_us, found.content) == (us("1:00"), us("2:30"), {"n": 2})
    none = sessions.explain(key="a", at=START + timedelta(minutes=30))
    assert none.state == "empty"
    assert "no session of this key holds 2026-01-01 10:30:00; the nearest is" in str(none)


def test_dropped_late_events_and_filtered_results_are_told_apart() -> None:
    timed = source(LATE).event_time("at", et.bounded("10s")).group_by("device")
    dropped = timed.window(et.tumbling("5m"), late="drop").agg(n=et.count()).run(show=False)
    assert 'it was counted and not kept (late="drop")' in str(dropped.explain_event(offset=3))
    some = sums(source(LATE)).filter(col("n") > 1).run(show=False)
    assert some.explain(key="a", at=START).state == "past"
    assert "a filter behind the windows left its result out" in str(some.explain(key="a", at=START))


def test_questions_that_make_no_sense_say_what_to_do() -> None:
    out = sums(source(LATE)).run(show=False)
    with pytest.raises(ValueError, match="does not name a window's key"):
        out.explain(key={"sensor": "a"}, at=START)
    with pytest.raises(EventideError, match="no event at offset 99"):
        out.explain_event(offset=99)
    with pytest.raises(EventideError, match="no event with device='zz'"):
        out.explain_event(values={"device": "zz"})
    with pytest.raises(ValueError, match="there is no column 'devise'"):
        out.explain_event(values={"devise": "a"})
    with pytest.raises(PlanError, match="no windows"):
        source(LATE).event_time("at", et.ascending()).run(show=False).explain(at=START)


def test_a_replay_without_arrivals_refuses_what_the_run_refused_whatever_the_time_is_now() -> None:
    clock = TestClock(us("0:00"))
    rows: list[Mapping[str, object]] = [{"device": "a", "at": "2026-01-01T12:00:00Z", "x": 1.0}]
    stream = et.from_rows(rows, schema={"device": str, "at": et.Instant, "x": float})
    out = sums(stream).run(show=False, clock=clock)
    assert out.explain_event(offset=0).fate == "refused"
    shut = replace(out, outputs={name: frame for name, frame in out.outputs.items() if name == "results"})
    assert shut.explain_event(offset=0).fate == "refused"


def test_the_sample_is_bounded_and_the_same_for_every_cut() -> None:
    rows = pl.DataFrame({"device": "a", "at": pl.int_range(5_000, eager=True) * 1_000_000, "x": 1.0}).with_columns(
        pl.col("at").cast(pl.Datetime("us", "UTC"))
    )
    stream = sums(et.from_frame(rows, arrival="at"))
    whole, pieces = stream.run(show=False).sample, stream.run(show=False, rows_max=777).sample
    assert whole.equals(pieces)
    assert 512 <= whole.height <= 1_024
    assert whole["_offset"].diff().drop_nulls().unique().to_list() == [8]
