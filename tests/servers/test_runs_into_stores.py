"""Whole runs into Cassandra and MongoDB: killed while an epoch is written, and gone on with, they leave the same rows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cassandra.auth import PlainTextAuthProvider  # type: ignore[import-untyped] # the driver has no types
from cassandra.cluster import Cluster  # type: ignore[import-untyped] # as above
from pymongo import MongoClient

from eventide.testing.services.cassandra import USER, Cassandra
from eventide.testing.services.mongodb import MongoDb

ROWS = 300
JOB = """
import os, signal, sys
import eventide as et
from eventide import col
from eventide.connectors import stores
from eventide.testing import TestClock

store, name, folder, kill_at = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
if store == "cassandra":
    sink = lambda what: et.write_cassandra(name + what, keyspace="runs", env="NODES", create=True)
else:
    sink = lambda what: et.write_mongodb(name + what, database="runs", env="MONGO")
epochs, notes = [0], stores.StoreEpochs.deliver

def deliver(self, epoch, rows):
    epochs[0] += bool(rows.height)
    if kill_at and epochs[0] == kill_at:  # half of the rows are there, and the note that they are coming
        self.store.begin(epoch, self._next_stamp())
        self.store.put(self._changes(epoch, rows.head(rows.height // 2)), self._stamp)
        os.kill(os.getpid(), signal.SIGKILL)
    notes(self, epoch, rows)

stores.StoreEpochs.deliver = deliver
readings = et.read_csv(folder + "/in.csv", schema={"k": str, "at": et.field(et.Instant, unit="us"), "x": float})
timed = readings.event_time("at", et.bounded("4s"), max_future=None).group_by("k")
sums = timed.window(et.session("4s"), lateness="8s").agg(n=et.count(), total=col("x").sum())
job = sums.write(sink("_sums")).write(sink("_late"), "late").write(sink("_bad"), "dead_letters")
job.run(show=False, state=folder + "/state", rows_max=20, checkpoint_every="1us")
"""


def write_input(folder: Path) -> None:
    """Four keys, one of them null; sessions that grow, merge and are taken back; rows that are late or bad."""
    lines = []
    for n in range(ROWS):
        behind = n * 7 % 13 if n % 5 == 0 else 0
        at = (n - behind + 1_000) * 1_000_000 if n % 50 else (n - 40 + 1_000) * 1_000_000
        lines.append(f"{['a', 'b', 'ü', ''][n % 4]},{at},{'?' if n % 97 == 5 else n}")
    (folder / "in.csv").write_text("\n".join(["k,at,x", *lines, ""]))


def run(store: str, name: str, folder: Path, kill_at: int) -> int:
    folder.mkdir(exist_ok=True)
    write_input(folder)
    given = [sys.executable, "-c", JOB, store, name, str(folder), str(kill_at)]
    done = subprocess.run(given, capture_output=True, text=True, timeout=120, check=False, env=os.environ.copy())
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode


def plain(rows: list[dict[str, Any]]) -> list[str]:
    """Rows without what differs from run to run, in an order of their own."""
    own = ("_run", "_epoch", "_row", "_stamp", "_id", "_arrival")
    return sorted(str({name: value for name, value in sorted(row.items()) if name not in own}) for row in rows)


def compare(store: str, folder: Path, rows_of: Callable[[str], list[dict[str, Any]]]) -> None:
    assert run(store, "whole", folder / "whole", 0) == 0
    for number, kill_at in enumerate((2, 7, 11)):
        assert run(store, "cut", folder / "cut", kill_at) == -signal.SIGKILL, number
    assert run(store, "cut", folder / "cut", 0) == 0
    for what, least in (("_sums", 20), ("_late", 3), ("_bad", 3)):
        whole, cut = plain(rows_of(f"whole{what}")), plain(rows_of(f"cut{what}"))
        assert len(whole) >= least
        assert cut == whole


def test_cassandra(cassandra: Cassandra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODES", f"{USER}:{USER}@127.0.0.1:{cassandra.port}")
    auth = PlainTextAuthProvider(USER, USER)
    with Cluster(
        [("127.0.0.1", cassandra.port)], auth_provider=auth, connect_timeout=60, control_connection_timeout=60
    ) as cluster:
        session = cluster.connect()
        session.default_timeout = 60
        session.execute("CREATE KEYSPACE runs WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")

        def rows_of(table: str) -> list[dict[str, Any]]:
            found = session.execute(f"SELECT JSON * FROM runs.{table}")
            return [json.loads(row[0]) for row in found]

        compare("cassandra", tmp_path, rows_of)


def test_mongodb(mongodb: MongoDb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGO", mongodb.address)
    with MongoClient[dict[str, Any]](mongodb.address) as client:
        compare("mongodb", tmp_path, lambda name: list(client["runs"][name].find()))
