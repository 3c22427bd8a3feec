"""MongoDB as a sink, against the stand-in of `eventide.testing.services.mongodb`, and a client that fails on purpose."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import polars as pl
import pytest
from bson import Decimal128
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect, DuplicateKeyError, OperationFailure

import eventide as et
from eventide.connectors.codec import sink_from, sink_to
from eventide.connectors.mongodb import sink as sink_module
from eventide.flow import EpochWriter, Opening
from eventide.testing.services.mongodb import MongoDb

INSTANT = pl.Datetime("us", "UTC")
COLUMNS = {"k": pl.String(), "n": pl.Int64()}
APPENDED = Opening("late", COLUMNS, (), "run")
UPSERTED = Opening(
    "results",
    {"k": pl.String(), "window_start": INSTANT, "n": pl.Int64(), "op": pl.String()},
    ("k", "window_start"),
    "run",
)
EPOCHS = [
    pl.DataFrame({"k": ["a", "ü\n\"'\0"], "n": [1, 2]}),
    pl.DataFrame(schema=COLUMNS),
    pl.DataFrame({"k": [None, "a"], "n": [3, None]}),
    pl.DataFrame({"k": ["", "b"], "n": [4, 5]}),
]


@pytest.fixture(scope="module")
def server(mongodb: MongoDb) -> MongoDb:
    return mongodb


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits between attempts are short."""
    monkeypatch.setattr(sink_module, "_WAITS_S", (0.01, 0.01))


@pytest.fixture
def air(request: pytest.FixtureRequest, server: MongoDb) -> Iterator[Collection[dict[str, Any]]]:
    """A collection that no other test has."""
    name = "".join(one if one.isalnum() else "_" for one in request.node.name)[-60:]
    with MongoClient[dict[str, Any]](server.address) as client:
        yield client["air"][name]


def sink(server: MongoDb, air: Collection[dict[str, Any]], **settings: Any) -> Any:
    return et.write_mongodb(air.name, database="air", address=server.address, **settings)


def opened(server: MongoDb, air: Collection[dict[str, Any]], opening: Opening) -> EpochWriter:
    writer: EpochWriter = sink(server, air).open_epochs(opening)
    writer.recover(0, pl.DataFrame(schema=dict(opening.columns)), {})
    return writer


def appended(air: Collection[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [(one["k"], one["n"]) for one in air.find().sort("_id")]


def windows(*rows: tuple[str | None, int, int, str]) -> pl.DataFrame:
    columns = {"k": pl.String(), "window_start": pl.Int64(), "n": pl.Int64(), "op": pl.String()}
    return pl.DataFrame(rows, schema=columns, orient="row").cast({"window_start": INSTANT})


def shown(air: Collection[dict[str, Any]]) -> list[tuple[Any, ...]]:
    found = [(one["_id"]["k"], one["_id"]["window_start"], one["n"]) for one in air.find()]
    return sorted(found, key=str)


def test_rows_are_replaced_by_their_identity_with_nulls_as_keys_and_retracted_ones_go(
    server: MongoDb, air: Collection[dict[str, Any]]
) -> None:
    writer = opened(server, air, UPSERTED)
    writer.deliver(
        1, windows(("a", 1, 1, "upsert"), (None, 1, 2, "upsert"), ("", 1, 3, "upsert"), ("a", 2, 4, "upsert"))
    )
    writer.deliver(
        2, windows(("a", 1, 1, "retract"), (None, 1, 5, "upsert"), ("c", 1, 6, "upsert"), (None, 1, 7, "upsert"))
    )
    assert shown(air) == [("", 1, 3), ("a", 2, 4), ("c", 1, 6), (None, 1, 7)]
    writer.deliver(
        3, windows((None, 1, 7, "retract"), ("a", 2, 4, "retract"), ("a", 2, 9, "upsert"), ("", 1, 3, "retract"))
    )
    writer.close()
    assert shown(air) == [("a", 2, 9), ("c", 1, 6)]
    notes = air.database["_eventide_epochs"].find_one({"_id.target": air.name})
    assert notes is not None
    assert (notes["epoch"], notes["whole"]) == (3, 3)


def test_a_replacement_that_comes_late_from_before_a_kill_does_not_win(
    server: MongoDb, air: Collection[dict[str, Any]]
) -> None:
    old, new = opened(server, air, UPSERTED), opened(server, air, UPSERTED)
    first = windows(("a", 1, 1, "upsert"), ("b", 1, 1, "retract"))
    old.deliver(1, first)
    late = old._stamp  # type: ignore[attr-defined] # the stamp of what is on its way
    new.recover(1, first, {})
    new.deliver(2, windows(("a", 1, 5, "upsert"), ("b", 1, 6, "upsert")))
    old.store.put(old._changes(1, first), late)  # type: ignore[attr-defined] # as above
    assert shown(air) == [("a", 1, 5), ("b", 1, 6)]
    old.close()
    new.close()


def test_types_survive(server: MongoDb, air: Collection[dict[str, Any]]) -> None:
    rows = pl.DataFrame(
        {
            "at": pl.Series([0, 1_767_225_600_123_456, -62_135_596_800_000_000, None]).cast(INSTANT),
            "whole": [2**63 - 1, -(2**63), 0, None],
            "vast": pl.Series([2**64 - 1, 0, 1, None], dtype=pl.UInt64),
            "real": [0.1, float("nan"), float("-inf"), None],
            "small": pl.Series([1, -1, 0, None], dtype=pl.Int32),
            "yes": [True, False, None, None],
            "length": pl.Series([1, -86_400_000_000, 0, None]).cast(pl.Duration("us")),
            "day": pl.Series([0, 20_454, -1, None], dtype=pl.Int32).cast(pl.Date),
            "list": [[{"a": 1}], [], [None], None],
            "text": ["a\0b", "x" * 3_000_000, "\U0001f30d", None],
        }
    )
    writer = opened(server, air, Opening("late", rows.schema, (), "run"))
    writer.deliver(1, rows)
    writer.close()
    found = list(air.find().sort("_id"))
    assert [one["at"] for one in found] == [
        datetime(1970, 1, 1),
        datetime(2026, 1, 1, 0, 0, 0, 123_000),
        datetime(1, 1, 1),
        None,
    ]
    assert [one["vast"] for one in found] == [Decimal128(str(2**64 - 1)), Decimal128("0"), Decimal128("1"), None]
    assert [one["day"] for one in found] == [datetime(1970, 1, 1), datetime(2026, 1, 1), datetime(1969, 12, 31), None]
    assert str(found[1]["real"]) == "nan"
    assert found[2]["real"] == float("-inf")
    assert [one["list"] for one in found] == [[{"a": 1}], [], [None], None]
    for name in ("whole", "small", "yes", "text"):
        assert [one[name] for one in found] == rows[name].to_list()
    assert [one["length"] for one in found] == [1, -86_400_000_000, 0, None]
    exact = sink(server, air, instants="microseconds").open_epochs(Opening("late", {"at": INSTANT}, (), "exact"))
    exact.recover(1, rows.select("at"), {})
    exact.close()
    assert [one["at"] for one in air.find({"_run": "exact"}).sort("_id")] == [
        0,
        1_767_225_600_123_456,
        -62_135_596_800_000_000,
        None,
    ]


def test_names_that_mean_something_to_the_server_are_refused(server: MongoDb, air: Collection[dict[str, Any]]) -> None:
    for name in ("$where", "a.b", "_id", "_stamp", ""):
        with pytest.raises(et.SinkError, match="cannot be a field of MongoDB.*with select"):
            sink(server, air).open("late", {name: pl.Int64()}, ())
    for name in ("", "a$b", "system.users", 'a"b', "a b"):
        with pytest.raises(ValueError, match="no name in MongoDB"):
            et.write_mongodb(name, database="air", address="mongodb://h")
    with pytest.raises(ValueError, match="leave out the dot"):
        et.write_mongodb("t", database="a.b", address="mongodb://h")


def test_a_row_that_is_too_large_stops_the_run_with_words(server: MongoDb, air: Collection[dict[str, Any]]) -> None:
    writer = opened(server, air, APPENDED)
    with pytest.raises(et.SinkError, match="larger than 16 MiB"):
        writer.deliver(1, pl.DataFrame({"k": ["x" * 17 * 2**20], "n": [1]}))
    writer.close()


def test_a_server_that_stops_and_comes_back_gets_every_epoch_once(
    server: MongoDb, air: Collection[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventide.connectors.mongodb.config._SETTINGS", {"serverselectiontimeoutms": 200})
    writer = opened(server, air, APPENDED)
    writer.deliver(1, EPOCHS[0])
    server.stop()
    try:
        with pytest.raises(et.SinkError, match=r"cannot write to mongodb collection air\..*Check that the server runs"):
            writer.deliver(2, EPOCHS[2])
    finally:
        server.start()
    writer.close()
    writer = sink(server, air).open_epochs(APPENDED)
    writer.recover(2, EPOCHS[2], {})
    writer.close()
    assert appended(air) == [("a", 1), ("ü\n\"'\0", 2), (None, 3), ("a", None)]


def test_an_answer_that_was_lost_is_asked_for_again_and_other_faults_stop_the_run(
    server: MongoDb, air: Collection[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the stand-in never says: a write concern that was not met, and a duplicate in an index of the user's own."""
    writer = opened(server, air, APPENDED)
    write, faults = Collection.bulk_write, [AutoReconnect("connection closed")]

    def losing(self: Any, *given: Any, **settings: Any) -> Any:
        done = write(self, *given, **settings)
        if faults:
            raise faults.pop()
        return done

    monkeypatch.setattr(Collection, "bulk_write", losing)
    writer.deliver(1, EPOCHS[0])
    assert faults == []
    assert appended(air) == [("a", 1), ("ü\n\"'\0", 2)]
    writer.close()
    see = sink_module._see_that_only_newer_stayed
    see({"writeErrors": [{"code": 11000, "keyPattern": {"_id": 1}, "errmsg": "E11000"}]})
    with pytest.raises(OperationFailure, match="index: k_1"):
        see({"writeErrors": [{"code": 11000, "keyPattern": {"k": 1}, "errmsg": "E11000 index: k_1"}]})
    with pytest.raises(OperationFailure, match="timed out"):
        see({"writeErrors": [], "writeConcernErrors": [{"code": 64, "errmsg": "waiting for replication timed out"}]})


def test_a_note_that_meets_itself_is_written(
    server: MongoDb, air: Collection[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client asks again when an answer is lost; the first attempt may come to its end meanwhile."""
    update, met = Collection.update_one, list[bool]()

    def meeting(where: Collection[Any], *given: Any, **named: Any) -> Any:
        done = update(where, *given, **named)
        if not met:
            met.append(True)
            raise DuplicateKeyError("E11000 duplicate key error", 11000)
        return done

    writer = opened(server, air, APPENDED)
    monkeypatch.setattr(Collection, "update_one", meeting)
    writer.deliver(1, EPOCHS[0])
    writer.close()
    assert met == [True]
    assert appended(air) == [("a", 1), ("ü\n\"'\0", 2)]


def test_passwords_are_in_no_message(server: MongoDb, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("mongodb://me:hush@h", "mongodb://h/?tlsCertificateKeyFilePassword=hush"):
        with pytest.raises(ValueError, match="name it with env=") as refused:
            et.write_mongodb("t", database="air", address=address)
        assert "hush" not in str(refused.value)
    made = et.write_mongodb("t", database="air", env="AIR_MONGO")
    for text in ("mongodb://me:hu/sh@h", "mongodb://me:pw@h:hush", "mongodb://me@hush@h"):
        monkeypatch.setenv("AIR_MONGO", text)
        with pytest.raises(et.SinkError, match="AIR_MONGO cannot be read.*%40") as caught:
            made.open("late", COLUMNS, ())
        assert "hu" not in str(caught.value).replace("such", "")
    monkeypatch.delenv("AIR_MONGO")
    with pytest.raises(et.SinkError, match="AIR_MONGO is not set"):
        made.open("late", COLUMNS, ())


def test_a_user_who_is_not_let_in_is_told_at_once(
    server: MongoDb, air: Collection[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stand-in lets in everybody, so the refusal is said in its place, with MongoDB's code for it."""

    def refused(self: Any, name: Any) -> Any:
        raise OperationFailure("Authentication failed for hush", 18)

    made = sink(server, air)
    monkeypatch.setattr(MongoClient, "__getitem__", refused)
    with pytest.raises(et.SinkError, match="does not let us in") as caught:
        made.open("late", COLUMNS, ())
    assert "hush" not in str(caught.value)


def test_a_server_that_is_away_at_the_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventide.connectors.mongodb.config._SETTINGS", {"serverselectiontimeoutms": 100})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        made = et.write_mongodb("t", database="air", address=f"mongodb://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(et.SinkError, match="Connection refused.*Check that the server runs"):
            made.open("late", COLUMNS, ())


def test_plans_with_mongodb_are_text() -> None:
    for made in (
        et.write_mongodb("a", database="air", env="AIR"),
        et.write_mongodb("b", database="air", address="mongodb://h", instants="microseconds"),
    ):
        assert sink_from(sink_to(made)) == made
