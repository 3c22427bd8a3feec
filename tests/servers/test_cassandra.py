"""Cassandra as a sink, on a real node that is killed and started again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest
from cassandra.auth import PlainTextAuthProvider  # type: ignore[import-untyped] # the driver has no types
from cassandra.cluster import Cluster, Session  # type: ignore[import-untyped] # as above

import eventide as et
from eventide.connectors.cassandra import sink as sink_module
from eventide.connectors.codec import sink_from, sink_to
from eventide.flow import EpochWriter, Opening
from eventide.testing.services.cassandra import USER, Cassandra

INSTANT = pl.Datetime("us", "UTC")
COLUMNS = {"k": pl.String(), "n": pl.Int64()}
UPSERTED = Opening(
    "results",
    {"k": pl.String(), "window_start": INSTANT, "n": pl.Int64(), "op": pl.String()},
    ("k", "window_start"),
    "run",
)


@pytest.fixture(scope="module")
def node(cassandra: Cassandra) -> Cassandra:
    return cassandra


@pytest.fixture(scope="module")
def session(node: Cassandra) -> Iterator[Session]:
    """A session of the tests' own, in a keyspace."""
    made = entered(node)
    made.execute(
        "CREATE KEYSPACE IF NOT EXISTS air WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
    )
    yield made
    made.cluster.shutdown()


def entered(node: Cassandra) -> Session:
    """A session."""
    auth = PlainTextAuthProvider(USER, USER)
    made = Cluster(
        [("127.0.0.1", node.port)], auth_provider=auth, connect_timeout=60, control_connection_timeout=60
    ).connect()
    made.default_timeout = 60
    return made


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, node: Cassandra) -> None:
    """Waits between attempts are short."""
    monkeypatch.setattr(sink_module, "_WAITS_S", (0.01, 0.01))
    monkeypatch.setenv("AIR_NODES", f"{USER}:{USER}@127.0.0.1:{node.port}")


@pytest.fixture
def table(request: pytest.FixtureRequest, session: Session) -> str:
    """A name of a table that no other test has."""
    return "t_" + "".join(one if one.isalnum() else "_" for one in request.node.name)[-40:]


def sink(table: str, **settings: Any) -> Any:
    return et.write_cassandra(table, keyspace="air", env="AIR_NODES", **{"create": True, **settings})


def opened(table: str, opening: Opening) -> EpochWriter:
    writer: EpochWriter = sink(table).open_epochs(opening)
    writer.recover(0, pl.DataFrame(schema=dict(opening.columns)), {})
    return writer


def rows_of(session: Session, table: str, columns: str = "k, n") -> list[tuple[Any, ...]]:
    return [tuple(row) for row in session.execute(f"SELECT {columns} FROM air.{table}")]


def windows(*rows: tuple[str | None, int, int, str]) -> pl.DataFrame:
    columns = {"k": pl.String(), "window_start": pl.Int64(), "n": pl.Int64(), "op": pl.String()}
    return pl.DataFrame(rows, schema=columns, orient="row").cast({"window_start": INSTANT})


def test_rows_are_upserted_by_their_identity_with_nulls_as_keys_and_retracted_ones_go(
    session: Session, table: str
) -> None:
    writer = opened(table, UPSERTED)
    writer.deliver(
        1, windows(("a", 1, 1, "upsert"), (None, 1, 2, "upsert"), ("", 1, 3, "upsert"), ("␀", 1, 4, "upsert"))
    )
    assert sorted(row[0] for row in rows_of(session, table, '"_nulls"')) == ["", "", "k", "k="]
    second = windows(("a", 1, 1, "retract"), (None, 1, 2, "upsert"), ("a", 2, 6, "upsert"), (None, 1, 7, "upsert"))
    writer.deliver(2, second)
    found = sorted(rows_of(session, table, '"_nulls", k, window_start, n'))
    assert found == [("", "a", 2, 6), ("", "␀", 1, 4), ("k", "␀", 1, 7), ("k=", "␀", 1, 3)]
    writer.deliver(
        3, windows((None, 1, 7, "retract"), ("a", 2, 6, "retract"), ("a", 2, 9, "upsert"), ("", 1, 3, "retract"))
    )
    writer.close()
    assert sorted(rows_of(session, table, "k, window_start, n")) == [("a", 2, 9), ("␀", 1, 4)]
    notes = session.execute('SELECT epoch, whole FROM air."_eventide_epochs" WHERE target = %s', (table,))
    assert [tuple(row) for row in notes] == [(3, 3)]


def test_a_change_that_comes_late_from_before_a_kill_does_not_win(session: Session, table: str) -> None:
    """Between the note and the rows a second start takes over; then the first one's rows come, and go."""
    old, new = opened(table, UPSERTED), opened(table, UPSERTED)
    old.deliver(1, windows(("a", 1, 1, "upsert"), ("b", 1, 1, "upsert")))
    late = old._stamp  # type: ignore[attr-defined] # the stamp of what is on its way
    new.recover(1, windows(("a", 1, 1, "upsert"), ("b", 1, 1, "upsert")), {})
    new.deliver(2, windows(("a", 1, 5, "upsert"), ("b", 1, 1, "retract")))
    old.store.put(old._changes(1, windows(("a", 1, 1, "upsert"), ("b", 1, 1, "upsert"))), late)  # type: ignore[attr-defined] # as above
    assert rows_of(session, table) == [("a", 5)]
    old.close()
    new.close()


def test_a_run_that_begins_anew_wins_over_the_rows_of_an_earlier_one(session: Session, table: str) -> None:
    writer = opened(table, UPSERTED)
    for epoch in (1, 2, 3):
        writer.deliver(epoch, windows(("a", 1, epoch, "upsert")))
    writer.clock = type("Ahead", (), {"now_us": lambda self: 4_000_000_000_000_000})()  # type: ignore[attr-defined] # a clock an age ahead
    writer.deliver(4, windows(("a", 1, 4, "upsert"), ("b", 1, 4, "upsert")))
    writer.close()
    again = opened(table, Opening("results", UPSERTED.columns, UPSERTED.identity, "another run"))
    again.deliver(1, windows(("a", 1, 10, "upsert"), ("b", 1, 4, "retract")))
    again.close()
    assert rows_of(session, table) == [("a", 10)]


def test_types_survive(session: Session, table: str) -> None:
    rows = pl.DataFrame(
        {
            "at": pl.Series([0, 1_767_225_600_123_456, -62_135_596_800_000_001, None]).cast(INSTANT),
            "whole": [2**63 - 1, -(2**63), 0, None],
            "vast": pl.Series([2**64 - 1, 0, 1, None], dtype=pl.UInt64),
            "real": [0.1, float("nan"), float("-inf"), None],
            "small": pl.Series([1, -1, 0, None], dtype=pl.Int32),
            "yes": [True, False, None, None],
            "length": pl.Series([1, -86_400_000_000, 0, None]).cast(pl.Duration("us")),
            "day": pl.Series([0, 20_454, -1, None], dtype=pl.Int32).cast(pl.Date),
            "list": [[1, 2], [], [None], None],
            "text": ["a\0b", "x" * 3_000_000, "\U0001f30d", None],
        }
    )
    writer = opened(table, Opening("late", rows.schema, (), "run"))
    writer.deliver(1, rows)
    writer.close()
    found = [
        row[1:]
        for row in sorted(
            rows_of(session, table, '"_row", at, whole, vast, "real", small, yes, length, day, list, text')
        )
    ]
    assert str(found[1][3]) == "nan"
    days = [None if row[7] is None else str(row[7]) for row in found]
    assert days == ["1970-01-01", "2026-01-01", "1969-12-31", None]
    assert [row[:3] + row[4:7] + row[8:9] for row in found] == [
        (0, 2**63 - 1, 2**64 - 1, 1, True, 1, "[1,2]"),
        (1_767_225_600_123_456, -(2**63), 0, -1, False, -86_400_000_000, "[]"),
        (-62_135_596_800_000_001, 0, 1, 0, None, 0, "[null]"),
        (None,) * 7,
    ]
    assert [row[9] for row in found] == rows["text"].to_list()


def test_a_table_of_the_users_own_may_hold_timestamps_unless_they_would_make_one_row_of_two(
    session: Session, table: str
) -> None:
    session.execute(
        f'CREATE TABLE air.{table} (k text, window_start timestamp, "_nulls" text, n bigint, '
        'PRIMARY KEY ((k), window_start, "_nulls"))'
    )
    writer = opened(table, UPSERTED)
    writer.deliver(1, windows(("a", 60_000_000, 1, "upsert")))
    assert [row[0].minute for row in rows_of(session, table, "window_start")] == [1]
    with pytest.raises(et.SinkError, match="window_start identifies rows.*make the column bigint"):
        writer.deliver(2, windows(("a", 60_000_001, 1, "upsert")))
    writer.close()


def test_a_table_that_does_not_fit_is_refused_before_anything_is_written(session: Session, table: str) -> None:
    nothing = pl.DataFrame(schema=dict(UPSERTED.columns))

    def refused(words: str) -> None:
        writer = sink(table, create=False).open_epochs(UPSERTED)
        with pytest.raises(et.SinkError, match=words):
            writer.recover(0, nothing, {})
        writer.close()

    refused(r"there is no table.*CREATE TABLE.*PRIMARY KEY \(\(\"k\"\), \"window_start\", \"_nulls\"\)")
    session.execute(f"CREATE TABLE air.{table} (k text, window_start bigint, n text, PRIMARY KEY (k, window_start))")
    refused('it needs "n" bigint, "_nulls" text')
    session.execute(f"DROP TABLE air.{table}")
    session.execute(f'CREATE TABLE air.{table} (k text PRIMARY KEY, window_start bigint, n bigint, "_nulls" text)')
    refused("does not identify a row")
    with pytest.raises(et.SinkError, match="no keyspace water in Cassandra"):
        et.write_cassandra("t", keyspace="water", env="AIR_NODES").open("late", COLUMNS, ())


def test_names_are_names_whatever_is_in_them(session: Session, table: str) -> None:
    evil = 'x"; DROP TABLE safe; --'
    columns = {evil: pl.String(), "%s": pl.Int64(), "{}": pl.Int64()}
    writer = opened(table, Opening("results", columns, (evil,), "run"))
    writer.deliver(1, pl.DataFrame({evil: ["a"], "%s": [1], "{}": [2]}))
    writer.close()
    found = session.execute(f"SELECT * FROM air.{table}").one()
    assert sorted(map(str, found)) == ["", "1", "2", "a"]
    for name in ("a b", 'a"b', "", "x" * 49):
        with pytest.raises(ValueError, match="no name in Cassandra"):
            et.write_cassandra(name, keyspace="air", hosts="h")


def test_a_wrong_password_is_told_without_it(node: Cassandra, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIR_NODES", f"{USER}:hush%40hush@127.0.0.1:{node.port}")
    made = sink("t")
    with pytest.raises(et.SinkError, match="does not let us in: check user and password") as caught:
        made.open("late", COLUMNS, ())
    assert "hush" not in f"{caught.value!r} {made!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    monkeypatch.setenv("AIR_NODES", f"{USER}:hu/sh@h@127.0.0.1:port")
    with pytest.raises(et.SinkError, match="AIR_NODES cannot be read as addresses.*%40") as caught:
        made.open("late", COLUMNS, ())
    assert "hu/sh" not in str(caught.value)
    with pytest.raises(ValueError, match="name it with env=") as refused:
        et.write_cassandra("t", keyspace="air", hosts="me:hush@h")
    assert "hush" not in str(refused.value)


def test_plans_with_cassandra_are_text_without_secrets() -> None:
    stream = (
        et.from_rows([], schema={"id": int}, name="x")
        .write(et.write_cassandra("a", keyspace="air", env="AIR", create=True), "late")
        .write(et.write_cassandra("b", keyspace="air", hosts="n1,n2:9043", consistency="ONE"), "dead_letters")
    )
    for write in stream.plan.writes:
        assert sink_from(sink_to(write.sink)) == write.sink


def test_check_names_the_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_module, "is_installed", lambda: False)
    stream = et.from_rows([], schema={"id": int}).write(et.write_cassandra("t", keyspace="air", env="A"))
    with pytest.raises(et.PlanError, match=r'pip install "eventide\[cassandra\]"'):
        stream.check()
