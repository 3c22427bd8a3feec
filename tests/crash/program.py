"""The program that is killed: three epochs from a CSV file or a topic to sinks, as often as asked for, each time in a
process of its own. Imports are done once, then it forks, so that a run takes milliseconds.

    python program.py < commands        each line: JOB FOLDER plain|traced|BYTES; answers: a line with the child's number,
                                        then one with its exit code. With BYTES a write past so many bytes of a file is
                                        cut short there, and the next one refused.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

os.environ.setdefault("POLARS_MAX_THREADS", "1")

import duckdb
from tests.crash.tracer import let_be_traced

import eventide as et
from eventide import cli, col  # noqa: F401 - the command line brings in much of what a run imports
from eventide.connectors.kafka.partitions import PartitionReader
from eventide.engine.epochs import StateFolder
from eventide.engine.epochs.pieces import Pieces
from eventide.errors import EventideError
from eventide.flow import Batch

_IMPORTED = (
    *("sqlglot", "sqlglot.dialects", "sqlglot.optimizer.scope", "polars._utils.parquet", "eventide.connectors.codec"),
    *("eventide.expressions.writing", "eventide.plan.codec", "eventide.runners.durable"),
    *("eventide.engine.aggregates.outputs", "eventide.engine.saving"),
)
_IMPORTED_FOR = {
    "avro": ("confluent_kafka.schema_registry.avro", "eventide.connectors.registry.client"),
    "delta": ("deltalake", "eventide.connectors.delta.sink"),
    "duckdb": ("eventide.connectors.tables.duckdb",),
    "iceberg": (
        *("pyiceberg.catalog.sql", "pyiceberg.io.pyarrow", "eventide.connectors.iceberg.sink", "pyarrow.acero"),
        *("rich.console", "rich.table", "sqlalchemy.dialects.sqlite", "sqlite3"),
    ),
    "kafka": ("eventide.connectors.kafka.sink",),
    "postgres": ("psycopg", "eventide.connectors.postgres.sink"),
}
"""What takes longer to import than a run takes, for all jobs and by sink."""

_TOPICS = ("results", "late")

ROWS = 60
EPOCH_ROWS = 20


@dataclass
class Ticking:
    """A clock that moves when it is asked."""

    time_us: int = 1_767_225_600_000_000

    def now_us(self) -> int:
        self.time_us += 1_000
        return self.time_us

    def wait(self, signal: threading.Event, timeout_us: int) -> None:
        self.time_us += timeout_us
        signal.wait(min(timeout_us / 1e6, 0.05))  # a server's answer takes real time


SCHEMA = {"k": str, "at": et.Instant, "x": float}


def lines() -> list[str]:
    """Sixty readings of three sensors, a second apart, some behind, some too late, one that cannot be read."""
    behind = [0, 0, 3, 0, 1, 0, 0, 9, 0, 2]
    return [f"s{n % 3},{(100 + n - behind[n % 10]) * 1_000},{'?' if n == 33 else n * 0.5}" for n in range(ROWS)]


def write_input(folder: Path) -> None:
    (folder / "in.csv").write_text("\n".join(["k,at,x", *lines(), ""]))


def job(name: str, folder: Path) -> et.Stream:
    """A stream with its sinks, those that are files below `folder`/out. A name is SINK or SOURCE-SINK; where servers and
    what belongs to this folder are there stands in `folder`/names.json.
    """
    out, (source, _, sink) = folder / "out", name.rpartition("-")
    places = json.loads((folder / "names.json").read_text())
    if source == "kafka":
        readings = et.read_kafka(
            places["input"], servers=places["kafka"], schema=SCHEMA, format="csv", bounded=True, arrival="at"
        )
    else:
        readings = et.read_csv(folder / "in.csv", schema=SCHEMA, arrival="at")
    timed = readings.event_time("at", et.bounded("2s"), max_future=None).group_by("k")
    doses = timed.window(et.tumbling("5s"), lateness="2s").agg(total=col("x").sum(), n=et.count())
    match sink:
        case "csv":
            made = doses.write(et.write_csv(out / "r.csv")).write(et.write_csv(out / "late.csv"), "late")
            return made.write(et.write_csv(f"{out}/parts/"))
        case "parquet":
            made = doses.write(et.write_parquet(out / "r.parquet")).write(et.write_parquet(f"{out}/late/"), "late")
            return made.output(
                "high", lambda rows: rows.filter(col("total") > 20).write(et.write_ndjson(out / "h.ndjson"))
            )
        case "duckdb":
            made = doses.write(et.write_duckdb(out / "r.duckdb", "r"))
            return made.write(et.write_duckdb(out / "r.duckdb", "late"), "late")
        case "postgres":
            tables = (f"{places['schema']}.{table}" for table in ("r", "late"))
            tabled = [et.write_postgres(table, dsn=places["postgres"], create=True) for table in tables]
            return doses.write(tabled[0]).write(tabled[1], "late")
        case "delta":
            return doses.write(et.write_delta(f"{out}/r")).write(et.write_delta(f"{out}/late"), "late")
        case "iceberg":
            lake = [et.write_iceberg(f"air.{table}", catalog="lake") for table in ("r", "late")]
            return doses.write(lake[0]).write(lake[1], "late")
        case "avro":
            form = et.avro_format(places["registry"])
            topics = [et.write_kafka(places[topic], servers=places["kafka"], format=form) for topic in _TOPICS]
            return doses.write(topics[0]).write(topics[1], "late")
        case "kafka":
            topics = [et.write_kafka(places[topic], servers=places["kafka"]) for topic in _TOPICS]
            return doses.write(topics[0]).write(topics[1], "late")
        case _:
            raise ValueError(name)


def run(name: str, folder: Path) -> int:
    """One run of the job; 1 when it failed in words."""
    # one of the jobs keeps all its state in files that checkpoints share, begun anew with each second one
    state = StateFolder(folder / "state", pieces=Pieces(0, 1) if name == "parquet" else Pieces())
    try:
        job(name, folder).run(show=False, state=state, checkpoint_every="1us", rows_max=EPOCH_ROWS, clock=Ticking())
    except EventideError as fault:
        resource.setrlimit(
            resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        )  # standard error too
        print(f"eventide: {fault}", file=sys.stderr)
        return 1
    return 0


def child(name: str, folder: Path, manner: str) -> None:
    """What a forked process does: wait until it is watched, run, leave without any tidying up."""
    with open(folder / "stderr", "a") as said:
        os.dup2(said.fileno(), 2)
    deadline = time.monotonic() + 120
    while manner == "traced" and "TracerPid:\t0" in Path("/proc/self/status").read_text():
        if time.monotonic() > deadline:
            os._exit(99)
        time.sleep(0.001)
    code = 98
    try:
        if manner == "traced":
            let_be_traced()
        if manner.isdigit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (int(manner), resource.RLIM_INFINITY))
        code = run(name, folder)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def full(read: Callable[[PartitionReader, int], Batch | None]) -> Callable[[PartitionReader, int], Batch | None]:
    """Reads of a partition that wait for all the rows that they may have: epochs are cut by rows, in each run alike."""

    def wait_and_read(reader: PartitionReader, rows_max: int) -> Batch | None:
        left = (reader.end or 0) - int(reader.position()["offset"] or 0)
        deadline = time.monotonic() + 60
        while sum(len(held) for held in list(reader._held) if isinstance(held, list)) < min(rows_max, left):
            reader._poller.check()
            assert time.monotonic() < deadline, "the topic's rows do not come"
            time.sleep(0.001)
        return read(reader, rows_max)

    return wait_and_read


def main() -> None:
    """Take commands until there are no more."""
    # fewer threads, more runs that are alike
    duckdb.connect = partial(duckdb.connect, config={"threads": 1})
    PartitionReader.read = full(PartitionReader.read)  # type: ignore[method-assign, assignment] # brokers cut anywhere
    for line in sys.stdin:
        name, folder, manner = line.split()
        for module in (*_IMPORTED, *_IMPORTED_FOR.get(name.rpartition("-")[2], ())):
            import_module(module)
        number = os.fork()
        if not number:
            child(name, Path(folder), manner)
        print(number, flush=True)
        _, status = os.waitpid(number, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
