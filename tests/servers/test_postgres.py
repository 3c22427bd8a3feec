"""PostgreSQL as sink and source, on a real server that is stopped, killed and started again."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest

import eventide as et
from eventide import col
from eventide.connectors.intake import Closed, Intake
from eventide.connectors.postgres import sink as sink_module
from eventide.connectors.postgres import source as source_module
from eventide.flow import Batch, EpochWriter, LogReader, Opening, ReadContext
from eventide.plan import Stream
from eventide.testing.services import running
from eventide.testing.services.postgres import Postgres

INSTANT = pl.Datetime("us", "UTC")
PASSWORD = "wind/and@rain"
SCHEMA: dict[str, Any] = {"id": int, "sensor": str, "at": et.field(et.Instant, formats=()), "dose": float}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with running(Postgres(tmp_path_factory.mktemp("pg"))) as started:
        yield started


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between attempts are short."""
    monkeypatch.setattr(sink_module, "_WAITS_S", (0.01, 0.01))
    monkeypatch.setattr(source_module, "_WAITS_S", (0.01, 0.01))


@pytest.fixture
def table(request: pytest.FixtureRequest, server: Postgres) -> str:
    """A name of a table that no other test has."""
    return f'air."{request.node.name[:50]}"' if asked(server, "CREATE SCHEMA IF NOT EXISTS air") == [] else ""


def asked(server: Postgres, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(server.address, autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []


def opened(server: Postgres, table: str, opening: Opening) -> EpochWriter:
    writer = et.write_postgres(table, dsn=server.address, create=True).open_epochs(opening)
    writer.recover(0, pl.DataFrame(schema=dict(opening.columns)), {})
    return writer


COLUMNS = {"k": pl.String(), "n": pl.Int64()}
EPOCHS = [
    pl.DataFrame({"k": ["a", "ü\n\"'\t\\N"], "n": [1, 2]}),
    pl.DataFrame(schema=COLUMNS),
    pl.DataFrame({"k": [None, "a"], "n": [3, None]}),
    pl.DataFrame({"k": ["", "\\.\n\\.\r"], "n": [4, 5]}),
]
APPENDED = Opening("late", COLUMNS, (), "run")
UPSERTED = Opening("results", {**COLUMNS, "op": pl.String()}, ("k",), "run")


@pytest.mark.parametrize("shown", [0, 1, 2, 3, 4])
def test_every_epoch_is_appended_once_wherever_a_run_was_killed(server: Postgres, table: str, shown: int) -> None:
    """Epoch 3 was decided when the run was killed; `shown` epochs were in the table."""
    writer = opened(server, table, APPENDED)
    for number in range(shown):
        writer.deliver(number + 1, EPOCHS[number])
    writer.close()
    for _ in range(2):
        writer = et.write_postgres(table, dsn=server.address).open_epochs(APPENDED)
        if shown >= 2:
            writer.recover(3, EPOCHS[2], {})
        else:
            for number in range(shown, 3):
                writer.recover(number + 1, EPOCHS[number], {})
        rows = asked(server, f"SELECT k, n FROM {table} ORDER BY _epoch, n")
        assert rows == [("a", 1), ("ü\n\"'\t\\N", 2), (None, 3), ("a", None)]
        writer.close()
    writer.deliver(4, EPOCHS[3])
    writer.close()
    assert asked(server, f"SELECT k, n FROM {table} WHERE _epoch = 4 ORDER BY n") == [("", 4), ("\\.\n\\.\r", 5)]


def test_rows_are_upserted_by_their_identity_with_nulls_as_keys_and_retracted_ones_go(
    server: Postgres, table: str
) -> None:
    writer = opened(server, table, UPSERTED)
    writer.deliver(1, pl.DataFrame({"k": ["a", None, "c"], "n": [1, 2, 3], "op": "upsert"}))
    second = {"k": ["a", None, "b", None], "n": [1, 5, 6, 7], "op": ["retract", "upsert", "upsert", "upsert"]}
    writer.deliver(2, pl.DataFrame(second))
    assert asked(server, f"SELECT k, n FROM {table} ORDER BY k") == [("b", 6), ("c", 3), (None, 7)]
    writer.deliver(3, pl.DataFrame({"k": [None, "c"], "n": [7, 3], "op": "retract"}))
    writer.close()
    assert asked(server, f"SELECT k, n FROM {table} ORDER BY k") == [("b", 6)]


def test_types_survive(server: Postgres, table: str) -> None:
    rows = pl.DataFrame(
        {
            "at": pl.Series([0, 1_767_225_600_123_456, -62_135_596_800_000_001, None]).cast(INSTANT),
            "whole": [2**63 - 1, -(2**63), 0, None],
            "real": [0.1, float("nan"), float("-inf"), None],
            "small": pl.Series([1, -1, 0, None], dtype=pl.Int32),
            "yes": [True, False, None, None],
            "length": pl.Series([1, -86_400_000_000, 0, None]).cast(pl.Duration("us")),
            "day": pl.Series([0, 20_454, -1, None], dtype=pl.Int32).cast(pl.Date),
            "list": [[1, 2], [], [None], None],
            "text": ["a\0b", "x" * 3_000_000, "\U0001f30d", None],
        }
    )
    writer = opened(server, table, Opening("late", rows.schema, (), "run"))
    writer.deliver(1, rows)
    writer.close()
    columns = 'extract(epoch from at)::text, whole, "real", small, yes, length, day::text, list::text, text'
    found = asked(server, f"SELECT {columns} FROM {table}")
    assert found[0] == ("0.000000", 2**63 - 1, 0.1, 1, True, 1, "1970-01-01", "[1,2]", "a\u2400b")
    assert found[1][:2] == ("1767225600.123456", -(2**63))
    assert str(found[1][2]) == "nan"
    assert found[1][3:8] == (-1, False, -86_400_000_000, "2026-01-01", "[]")
    assert len(found[1][8]) == 3_000_000
    assert found[2] == ("-62135596800.000001", 0, float("-inf"), 0, None, 0, "1969-12-31", "[null]", "\U0001f30d")
    assert found[3] == (None,) * 9
    kinds = "SELECT string_agg(format_type(atttypid, -1), ',' ORDER BY attnum) FROM pg_attribute WHERE attnum > 0"
    assert asked(server, f"{kinds} AND attrelid = '{table}'::regclass") == [
        ("timestamp with time zone,bigint,double precision,integer,boolean,bigint,date,json,text,text,bigint",)
    ]


def test_a_server_that_is_killed_and_comes_back_gets_every_epoch_once(server: Postgres, table: str) -> None:
    writer = opened(server, table, APPENDED)
    for number in range(1, 7):
        writer.deliver(number, pl.DataFrame({"k": ["a"], "n": [number]}))
        if number % 2:
            server.stop(how=signal.SIGQUIT)
            server.start()
    writer.close()
    assert asked(server, f"SELECT n FROM {table} ORDER BY n") == [(number,) for number in range(1, 7)]


def test_a_commit_whose_answer_was_lost_is_not_done_again(
    server: Postgres, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = opened(server, table, APPENDED)
    once, lost = sink_module.Session._once, [True]

    def losing(session: Any, work: Any) -> Any:
        done = once(session, work)
        if lost:
            lost.clear()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return done

    monkeypatch.setattr(sink_module.Session, "_once", losing)
    writer.deliver(1, EPOCHS[0])
    writer.close()
    assert lost == []
    assert asked(server, f"SELECT count(*) FROM {table}") == [(2,)]


def test_a_wrong_password_is_told_without_it(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(server, f"DROP ROLE IF EXISTS keeper; CREATE ROLE keeper LOGIN PASSWORD '{PASSWORD}'")
    address = f"postgresql://keeper:{{}}@127.0.0.1:{server.port}/postgres"
    monkeypatch.setenv("AIR_DB", address.format("hush%2Fhush"))
    sink = et.write_postgres("t", env="AIR_DB", create=True)
    with pytest.raises(et.SinkError, match="password authentication failed") as caught:
        sink.open("late", COLUMNS, ())
    assert "hush" not in f"{caught.value!r} {sink!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    monkeypatch.setenv("AIR_DB", address.format(PASSWORD))  # with / and @ not escaped: not a connection string
    with pytest.raises(et.SinkError, match=r"AIR_DB cannot be read.*%40") as caught:
        sink.open("late", COLUMNS, ())
    assert "wind" not in str(caught.value)
    assert "rain" not in str(caught.value)


def test_a_table_that_does_not_fit_is_refused_before_anything_is_written(server: Postgres, table: str) -> None:
    writer = et.write_postgres(table, dsn=server.address).open_epochs(UPSERTED)
    nothing = pl.DataFrame(schema=dict(UPSERTED.columns))
    with pytest.raises(et.SinkError, match="there is no table.*create=True"):
        writer.recover(0, nothing, {})
    asked(server, f"CREATE TABLE {table} (k text)")
    with pytest.raises(et.SinkError, match='lacks columns of this output: add "n" bigint'):
        writer.recover(0, nothing, {})
    asked(server, f"ALTER TABLE {table} ADD COLUMN n bigint")
    with pytest.raises(et.SinkError, match=r"no unique index on \(k\)"):
        writer.recover(0, nothing, {})
    asked(server, f"ALTER TABLE {table} ADD PRIMARY KEY (k)")
    writer.recover(0, nothing, {})
    writer.deliver(1, pl.DataFrame({"k": ["a"], "n": [1], "op": "upsert"}))
    writer.close()
    assert asked(server, f"SELECT * FROM {table}") == [("a", 1)]


def test_names_are_names_whatever_is_in_them(server: Postgres) -> None:
    evil = 'x"; DROP TABLE safe; --'
    asked(server, "CREATE TABLE safe (a int)")
    columns = {evil: pl.String(), "%s": pl.Int64()}
    quoted = evil.replace('"', '""')
    writer = opened(server, f'air."{quoted}"', Opening("results", columns, (evil,), "run"))
    writer.deliver(1, pl.DataFrame({evil: ["a"], "%s": [1]}))
    writer.close()
    assert asked(server, f'SELECT * FROM air."{quoted}"') == [("a", 1)]
    assert asked(server, "SELECT * FROM safe") == []


READINGS = [(n, "ab"[n % 2], n * 1_000, n / 4) for n in range(1_000)]


def filled(server: Postgres, table: str) -> str:
    asked(server, f"CREATE TABLE {table} (id bigint, sensor text, at timestamptz, dose double precision)")
    with psycopg.connect(server.address) as connection:
        with connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO {table} VALUES (%s, %s, 'epoch'::timestamptz + %s * interval '1 ms', %s)",
                READINGS,
            )
        connection.commit()
    return table


def read_all(reader: LogReader, rows_max: int = 97, rows: int | None = None) -> list[Batch]:
    wake = reader._context.wake  # type: ignore[attr-defined]
    found: list[Batch] = []
    while not reader.finished and (rows is None or sum(batch.received for batch in found) < rows):
        batch = reader.read(rows_max)
        if batch is not None:
            found.append(batch)
        else:
            wake.wait(10)
            wake.clear()
    return found


def doses(server: Postgres, table: str, **settings: Any) -> Stream:
    return et.read_postgres(table, dsn=server.address, schema=SCHEMA, order_by="id", **settings)


def reader_of(stream: Stream, position: dict[str, Any] | None = None) -> LogReader:
    source = stream.plan.inputs[0].source
    return source.open(ReadContext(), {source.name: position or {}}).discover()[0]


def test_a_table_that_changed_in_front_of_the_position_stops_the_run(server: Postgres, table: str) -> None:
    stream = doses(server, filled(server, table))
    asked(server, f"DELETE FROM {table} WHERE id = 3")
    reader = reader_of(stream, {"offset": 500, "last": '["499"]'})
    with pytest.raises(et.SourceError, match=r"has changed in front of the 500 rows that were read: row 500 was"):
        read_all(reader)
    reader.close()
    reader = reader_of(stream, {"offset": 1_000, "last": '["999"]'})
    with pytest.raises(et.SourceError, match="there are fewer rows now"):
        read_all(reader)
    reader.close()


@pytest.mark.parametrize("tie", [0, 255, 256, 998])
def test_an_order_with_ties_is_refused(server: Postgres, table: str, tie: int) -> None:
    filled(server, table)
    asked(server, f"UPDATE {table} SET id = {tie + 1} WHERE id = {tie}")
    reader = reader_of(doses(server, table))
    told = f"rows {tie + 1:,} and {tie + 2:,} of .* have the same id"
    with pytest.raises(et.SourceError, match=told):
        read_all(reader)
    reader.close()


def test_values_that_break_the_schema_become_dead_letters(server: Postgres, table: str) -> None:
    asked(
        server,
        f"CREATE TABLE {table} (id int, sensor text, at text, dose numeric, tags int[], more jsonb, t timestamptz)",
    )
    rows = "(1, 'ü', '2026-01-01T00:00:00Z', 'NaN', '{1,2}', '{\"a\": [1]}', 'infinity')"
    asked(server, f"INSERT INTO {table} VALUES {rows}, (2, NULL, 'soon', 1.5, NULL, NULL, '0044-03-15 BC')")
    schema: dict[str, Any] = {
        "id": int,
        "at": et.Instant,
        "dose": float,
        "tags": list,
        "more": dict,
        "when": et.field(str, path="t"),
    }
    reader = reader_of(et.read_postgres(table, dsn=server.address, schema=schema, order_by=["id", "dose"]))
    batches = read_all(reader)
    batch = pl.concat([one.rows for one in batches])
    refused = pl.concat([one.refused for one in batches])
    reader.close()
    assert batch.select("id", "tags", "more", "when").rows() == [(1, "[1,2]", '{"a": [1]}', "infinity")]
    assert refused.select("_offset", "reason", "field").rows() == [(1, 'not a time: "soon"', "at")]


def test_a_query_and_an_unknown_column(server: Postgres, table: str) -> None:
    query = f"SELECT id * 2 AS id, sensor, at, dose FROM {filled(server, table)} WHERE id % 2 = 1; "
    reader = reader_of(et.read_postgres(query=query, dsn=server.address, schema=SCHEMA, order_by="id"))
    assert sum(batch.received for batch in read_all(reader)) == 500
    reader.close()
    reader = reader_of(et.read_postgres(query=query, dsn=server.address, schema=SCHEMA, order_by="number"))
    with pytest.raises(et.SourceError, match="no column 'number': it has id, sensor, at, dose"):
        read_all(reader)
    reader.close()


def test_reading_goes_on_when_the_server_was_killed_in_the_middle(
    server: Postgres, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "_WAITS_S", (0.05,) * 2_000)
    filled(server, table)
    asked(server, f"UPDATE {table} SET sensor = repeat('x', 200000)")
    reader = reader_of(doses(server, table))
    found = read_all(reader, 10, 50)
    assert reader._intake._bytes < 2 * 64 * 2**20  # type: ignore[attr-defined] # 200 MB are there, few of them here
    server.stop(how=signal.SIGQUIT)
    server.start()
    found += read_all(reader)
    reader.close()
    assert [number for batch in found for number in batch.rows.get_column("id")] == list(range(1_000))


def test_a_connection_that_breaks_while_its_rows_are_closed_leaves_nothing_open(
    server: Postgres, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[tuple[Any, ...]] = []

    def put(intake: Intake[object], *_: object) -> None:
        ended.extend(
            asked(
                server,
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE state = 'idle in transaction'",
            )
        )
        intake.close()
        raise Closed

    monkeypatch.setattr(Intake, "put", put)
    reader = reader_of(doses(server, filled(server, table)))
    assert read_all(reader) == []
    reader.close()
    assert ended == [(True,)]
    gc.collect()  # a cursor that was left open warns now, and a warning fails the test


def test_a_run_that_is_stopped_and_goes_on_gives_the_answer_of_one_that_was_not(
    server: Postgres, table: str, tmp_path: Path
) -> None:
    filled(server, table)
    made = table.replace('"', "")[:40]

    def job(name: str) -> Stream:
        sink = et.write_postgres(f'air."{name}"', dsn=server.address, create=True)
        stream = doses(server, table).event_time("at", et.bounded("2s")).group_by("sensor")
        return stream.window(et.tumbling("1m")).agg(n=et.count(), mean=col("dose").mean()).write(sink)

    job(f"{made} whole").run(show=False, state=tmp_path / "whole")
    for _ in range(20):
        stop = threading.Event()

        def observe(running: Any, stop: threading.Event = stop) -> Any:
            until = running.pipeline.accounting.total.received + 300
            return lambda: stop.set() if running.pipeline.accounting.total.received >= until else None

        outcome = job(f"{made} cut").run(
            show=False, state=tmp_path / "cut", rows_max=150, stop=stop, observe=observe, checkpoint_every="1us"
        )
        if outcome.finished:
            break
    assert outcome.finished
    columns = "sensor, window_start, n, mean"
    whole, cut = (asked(server, f'SELECT {columns} FROM air."{made} {one}" ORDER BY 1, 2') for one in ("whole", "cut"))
    assert whole == cut
    assert sum(row[2] for row in whole) == 1_000
