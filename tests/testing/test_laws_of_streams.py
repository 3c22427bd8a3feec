"""The laws on drawn streams: the engine answers what the reference answers, in every manner of running."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from tests.examples import examples

from eventide.expressions import Aggregation, col, count, own_aggregate, rate
from eventide.semantics.eventtime import EventTime
from eventide.semantics.lateness import Early, EveryInterval, Lateness
from eventide.semantics.windows import Calendar, Count, Session, Sliding, Window
from eventide.testing import laws, streams
from eventide.testing.reference import Entry, Query

X, N, FLAG = col("x"), col("n"), col("flag")
PLAIN = (("n", count()), ("sum", X.sum()), ("mean", X.mean()), ("low", X.min()), ("high", X.max()))
MORE = (
    ("first", N.first()),
    ("last", N.last()),
    ("total", N.sum()),
    ("distinct", N.count_distinct()),
    ("nearly", N.count_distinct(2)),
    ("some", N.collect(3)),
    ("top", N.top_k(2)),
    ("bins", N.histogram([-5, 0, 5])),
    ("range", N.range()),
    ("any", FLAG.any()),
    ("all", FLAG.all()),
)
OF_TIME = (
    ("rate", rate("1s")),
    ("held", N.time_weighted_mean()),
    ("ahead", N.projection("1s")),
    ("slope", N.slope("1s")),
    ("std", N.std()),
    ("median", N.median()),
)
QUIET = settings(
    max_examples=examples(15),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate),  # a failing stream is small already; shrinking it takes minutes
)
MANNERS = (
    laws.Manner(),
    laws.Manner((1,)),
    laws.Manner((2, 5), 1, frozenset({1, 4})),
    laws.Manner((4, 1), 3),
)


def possible(window: Window, lateness: Lateness, early: Early | None, fill: bool) -> bool:
    """Whether a plan may ask for this together (`check` refuses the rest)."""
    revised = bool(lateness.allowed_us) or early is not None
    if isinstance(window, Count) and revised:
        return False
    if isinstance(window, Session) and isinstance(early, EveryInterval):
        return False
    return not fill or isinstance(window, Sliding | Calendar)


@QUIET
@given(
    streams.windows(),
    streams.event_times(),
    streams.latenesses(),
    streams.earlies(),
    st.booleans(),
    st.sampled_from([("one",), ("one", "two")]),
    st.data(),
)
def test_every_kind_of_window_answers_as_the_reference_in_every_manner(
    window: Window,
    event_time: EventTime,
    lateness: Lateness,
    early: Early | None,
    fill: bool,
    logs: tuple[str, ...],
    data: st.DataObject,
) -> None:
    assume(possible(window, lateness, early, fill))
    drawn = data.draw(streams.entries(logs, most=20))
    query = Query(event_time, ("key",), window, PLAIN, lateness, early, fill)
    cut = data.draw(st.sampled_from([(1,), (3,), (7, 2), (1_000,)]))
    laws.law_equal_to_reference(query, drawn, streams.COLUMNS, logs, laws.Manner(cut))
    laws.law_same_in_every_manner(query, drawn, streams.COLUMNS, logs, MANNERS)


@QUIET
@given(st.sampled_from([MORE, OF_TIME]), st.sampled_from([0, 6]), st.booleans(), st.data())
def test_every_aggregate_answers_as_the_reference_in_every_manner(
    aggregates: tuple[tuple[str, Aggregation], ...], allowed_us: int, fill: bool, data: st.DataObject
) -> None:
    kinds: list[Window] = [Sliding(9, 9), Sliding(9, 3), Session(4)]
    window = data.draw(st.sampled_from(kinds))
    drawn = data.draw(streams.entries(("one",), marks=False, most=20))
    lateness = Lateness("update", allowed_us) if allowed_us else Lateness()
    fill = fill and isinstance(window, Sliding)
    query = Query(data.draw(streams.event_times()), ("key",), window, aggregates, lateness, fill_empty=fill)
    laws.law_equal_to_reference(query, drawn, streams.COLUMNS, ("one",), laws.Manner((5,)))
    laws.law_same_in_every_manner(query, drawn, streams.COLUMNS, ("one",), MANNERS)


SPREAD = own_aggregate(
    X,
    partial=lambda x: {"low": x.min(), "high": x.max(), "total": x.sum(), "n": x.count()},
    merge=lambda p: {"low": p["low"].min(), "high": p["high"].max(), "total": p["total"].sum(), "n": p["n"].sum()},
    result=lambda p: (p["high"] - p["low"]) * p["n"] + p["total"],
)


@QUIET
@given(st.sampled_from([Sliding(9, 9), Sliding(9, 3), Session(4)]), st.sampled_from([0, 6]), st.data())
def test_an_aggregate_of_ones_own_answers_as_the_reference_in_every_manner(
    window: Window, allowed_us: int, data: st.DataObject
) -> None:
    drawn = data.draw(streams.entries(("one",), marks=False, most=20))
    lateness = Lateness("update", allowed_us) if allowed_us else Lateness()
    query = Query(data.draw(streams.event_times()), ("key",), window, (("spread", SPREAD),), lateness)
    laws.law_equal_to_reference(query, drawn, streams.COLUMNS, ("one",), laws.Manner((5,)))
    laws.law_same_in_every_manner(query, drawn, streams.COLUMNS, ("one",), MANNERS)


@QUIET
@given(streams.windows(), streams.event_times(), st.data())
def test_interleaving_of_logs_does_not_show(window: Window, event_time: EventTime, data: st.DataObject) -> None:
    logs = ("one", "two")
    first = data.draw(streams.entries(logs, marks=False, most=15))
    query = Query(event_time, ("key",), window, PLAIN)
    laws.law_interleaving_free(query, [first, one_after_the_other(first)], streams.COLUMNS, logs)


def one_after_the_other(entries: list[Entry]) -> list[Entry]:
    """The same logs, the second one read when the first has ended."""
    return [entry for log in ("two", "one") for entry in entries if entry.log == log]
