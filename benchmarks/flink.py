"""W1, W2 and W3 on three engines: embedded, ours on Flink, and hand-written Flink SQL; from files and from Kafka.

Run as `python -m benchmarks.flink [--events N] [--rounds N] [--work w1] [--source kafka]`. CPU seconds are those of the
processes that do the work (the cluster's JobManager and TaskManager; the embedded run's own process), memory is their
largest resident size during the run. The broker's share is not counted. Every run writes its results: files to files,
Kafka to Kafka. The engines take turns, round by round, each on a cluster of its own that stays up; figures are medians.
Start-up is the wall time of the same run over three events: of a process for the embedded engine, of a job on a cluster
that is up already for the others. The engine "ours" has our job in the cluster's class path, as `eventide flink up`
puts it there; "sent" brings it with each job, as to a cluster that knows nothing of us.
"""

from __future__ import annotations

import argparse
import base64
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import polars as pl

import eventide as et
from benchmarks.works import readings
from eventide import col
from eventide.runners.flink.cluster import Cluster
from eventide.runners.flink.distribution import Memory, library
from eventide.runners.flink.remote import ENDED, Job, Start, begin
from eventide.runners.flink.rest import Rest
from eventide.runners.flink.run import submit
from eventide.servers.process import free_port
from eventide.testing.services import running
from eventide.testing.services.kafka import Kafka

SCHEMA = {"sensor": str, "at": et.field(et.Instant, unit="ms"), "value": float}
WINDOWS = {"w1": et.tumbling("10s"), "w2": et.sliding("60s", "5s"), "w3": et.session("5s")}
APART_US = {"w1": 1_000, "w2": 1_000, "w3": 10_000}
_SETTINGS = {
    "pipeline.object-reuse": "true",
    "execution.checkpointing.interval": "5 s",
    "execution.checkpointing.mode": "EXACTLY_ONCE",
}
_SOURCE = {
    "files": "'connector' = 'filesystem', 'path' = '{path}', 'format' = 'json'",
    "kafka": "'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{servers}',"
    " 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', 'format' = 'json'",
}
_SINK = {
    "files": "'connector' = 'filesystem', 'path' = '{out}', 'format' = 'json'",
    "kafka": "'connector' = 'kafka', 'topic' = '{out}', 'properties.bootstrap.servers' = '{servers}',"
    " 'format' = 'json', 'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = '{out}',"
    " 'properties.transaction.timeout.ms' = '600000'",
}
_WINDOW = {
    "w1": "TUMBLE(TABLE ev, DESCRIPTOR(rt), INTERVAL '10' SECOND)",
    "w2": "HOP(TABLE ev, DESCRIPTOR(rt), INTERVAL '5' SECOND, INTERVAL '60' SECOND)",
    "w3": "SESSION(TABLE ev PARTITION BY sensor, DESCRIPTOR(rt), INTERVAL '5' SECOND)",
}
_SCRIPT = """CREATE TABLE ev (sensor STRING, `at` BIGINT, `value` DOUBLE, rt AS TO_TIMESTAMP_LTZ(`at`, 3),
  WATERMARK FOR rt AS rt - INTERVAL '2' SECOND) WITH ({source});
CREATE TABLE results (sensor STRING, window_start TIMESTAMP(3), window_end TIMESTAMP(3), mean DOUBLE, low DOUBLE,
  high DOUBLE, n BIGINT) WITH ({sink});
INSERT INTO results SELECT sensor, window_start, window_end, AVG(`value`), MIN(`value`), MAX(`value`), COUNT(*)
  FROM TABLE({window}) GROUP BY sensor, window_start, window_end;
"""


@dataclass(frozen=True)
class Cost:
    """What a run took: seconds of wall and processor time, megabytes."""

    wall_s: float
    cpu_s: float
    rss_mb: float


@dataclass(frozen=True)
class Input:
    """Where the events of a work are: files and a topic."""

    work: str
    folder: Path
    topic: str
    servers: str


def stream(work: str, source: str, given: Input, out: str) -> et.Stream:
    """Our sentence."""
    read = (
        et.read_ndjson(f"{given.folder}/*.ndjson", schema=SCHEMA)
        if source == "files"
        else et.read_kafka(given.topic, servers=given.servers, schema=SCHEMA, bounded=True)
    )
    timed = read.event_time("at", et.bounded("2s"), max_future=None).group_by("sensor").window(WINDOWS[work])
    value = col("value")
    made = timed.agg(mean=value.mean(), low=value.min(), high=value.max(), n=et.count())
    return made.write(et.write_ndjson(f"{out}/") if source == "files" else et.write_kafka(out, servers=given.servers))


def by_hand(work: str, source: str, given: Input, out: str) -> str:
    """What a person would write in Flink SQL; late rows vanish there."""
    place = {"path": given.folder, "topic": given.topic, "servers": given.servers, "out": out}
    ends = {"source": _SOURCE[source].format(**place), "sink": _SINK[source].format(**place)}
    return _SCRIPT.format(window=_WINDOW[work], **ends)


def prepare(work: str, events: int, folder: Path, servers: str, called: str = "") -> Input:
    """Write the events to two files and to a topic of two partitions."""
    frame = readings(events, apart_us=APART_US[work]).with_columns(pl.col("at").dt.epoch("ms"))
    topic = called or work
    place = folder / topic
    place.mkdir()
    halves = [frame.gather_every(2), frame.gather_every(2, 1)]
    from confluent_kafka import Producer

    make_topic(servers, topic, 2)
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
    for number, half in enumerate(halves):
        half.write_ndjson(place / f"part-{number}.ndjson")
        for line in half.write_ndjson().splitlines():
            while True:
                try:
                    producer.produce(topic, line, partition=number)
                    break
                except BufferError:
                    producer.poll(0.1)
    producer.flush(120)
    return Input(work, place, topic, servers)


def make_topic(servers: str, name: str, partitions: int) -> None:
    """A new topic, once the broker knows all its partitions."""
    from confluent_kafka.admin import AdminClient
    from confluent_kafka.cimpl import NewTopic

    admin = AdminClient({"bootstrap.servers": servers})
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result()
    while len(admin.list_topics(name).topics[name].partitions) < partitions:
        time.sleep(0.1)


def embedded(work: str, source: str, given: Input, out: str) -> Cost:
    """A run of the embedded engine in a process of its own, from its start to its end."""
    words = [work, source, str(given.folder), given.topic, given.servers, out]
    code = (
        "import sys; from pathlib import Path; from benchmarks.flink import Input, stream; "
        "w, s, f, t, k, o = sys.argv[1:]; stream(w, s, Input(w, Path(f), t, k), o).run(show=False); "
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    resident_kb = child.stdout.read()
    _, state, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(state)
    assert child.returncode == 0
    return Cost(time.perf_counter() - began, used.ru_utime + used.ru_stime, int(resident_kb) / 1024)


def on_cluster(cluster: Cluster, started: Callable[[], Job]) -> Cost:
    """A job, from its submission to its end."""
    before = cpu_s(cluster)
    forget_peaks(cluster)
    began = time.perf_counter()
    job = started()
    job.wait_until(lambda: job.state() in ENDED)
    wall_s = time.perf_counter() - began
    assert job.state() == "FINISHED", job.failure()
    return Cost(wall_s, cpu_s(cluster) - before, rss_mb(cluster))


def cpu_s(cluster: Cluster) -> float:
    """The processor time of a cluster's processes so far."""
    ticks = 0
    for process in cluster.processes.values():
        fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def forget_peaks(cluster: Cluster) -> None:
    """Let the largest resident size of each process begin anew."""
    for process in cluster.processes.values():
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")


def rss_mb(cluster: Cluster) -> float:
    """The largest resident size of each process of a cluster, summed."""
    lines = [Path(f"/proc/{process.pid}/status").read_text().splitlines() for process in cluster.processes.values()]
    return sum(int(line.split()[1]) for one in lines for line in one if line.startswith("VmHWM")) / 1024


def sql_jar(folder: Path) -> Path:
    """The program that runs hand-written statements, compiled."""
    classes = folder / "classes"
    source = Path(__file__).with_name("SqlJob.java")
    subprocess.run(["javac", "-cp", f"{library()}/*", "-d", str(classes), str(source)], check=True)
    jar = folder / "sql-job.jar"
    subprocess.run(["jar", "cf", str(jar), "-C", str(classes), "."], check=True)
    return jar


@contextmanager
def cluster_in(folder: Path, holds_job: bool) -> Iterator[Cluster]:
    """A cluster with one TaskManager: a new one for each engine, so that memory and compiled code are its own."""
    made = Cluster(folder, free_port(), 1, 4, Memory(task=1536), holds_job=holds_job)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def events_of(source: str, out: str, servers: str) -> int:
    """How many events are in the windows that came out: what is missing was dropped as late."""
    schema = et.schema({"n": int})
    if source == "files":
        files = [path for path in Path(out).rglob("*") if path.is_file() and not path.name.startswith((".", "_"))]
        return sum(int(pl.read_ndjson(path, schema={"n": pl.Int64}).get_column("n").sum()) for path in files)
    found = et.read_kafka(out, servers=servers, schema=schema, bounded=True).run(show=False)
    return int(found.results.get_column("n").sum())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", nargs="*", default=list(WINDOWS), choices=list(WINDOWS))
    parser.add_argument("--source", nargs="*", default=["files", "kafka"], choices=["files", "kafka"])
    parser.add_argument("--parallelism", type=int, nargs="*", default=[2])
    parser.add_argument(
        "--engine", nargs="*", default=["embedded", "ours", "hand"], choices=["embedded", "ours", "hand"]
    )
    settings = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="eventide-bench-"))
    try:
        with running(Kafka()) as kafka, ExitStack() as stack:
            bench = Bench(
                folder, kafka.address, settings.events, settings.rounds, settings.engine, sql_jar(folder), stack
            )
            bench.run(settings.work, settings.source, settings.parallelism)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


TITLES = {
    "embedded": "embedded",
    "ours": "ours on Flink",
    "sent": "ours on Flink, jar sent",
    "hand": "Flink SQL by hand",
}


@dataclass
class Bench:
    """All runs of one call; results are printed as rows of a table in Markdown."""

    folder: Path
    servers: str
    events: int
    rounds: int
    engines: list[str]
    jar: Path
    stack: ExitStack
    clusters: dict[str, Cluster] = field(default_factory=dict)
    number: int = 0

    def run(self, works: list[str], sources: list[str], parallelisms: list[int]) -> None:
        """Every work from every source on every engine in turn; each engine keeps its cluster."""
        print(
            "| engine | work | source | wall s | CPU s | CPU s of each run | RSS MB | start-up s | events in results |"
        )
        print("|---|---|---|---|---|---|---|---|---|")
        for work in works:
            given = prepare(work, self.events, self.folder, self.servers)
            few = prepare(work, 3, self.folder, self.servers, f"{work}-few")
            for source in sources:
                for parallelism in parallelisms:
                    self._turns(given, few, source, parallelism)

    def _turns(self, given: Input, few: Input, source: str, parallelism: int) -> None:
        costs: dict[str, list[Cost]] = {engine: [] for engine in self.engines}
        first: dict[str, list[float]] = {engine: [] for engine in self.engines}
        found = dict.fromkeys(self.engines, 0)
        for _ in range(self.rounds):
            for engine in self.engines:
                cost, found[engine] = self._once(engine, given, source, parallelism)
                costs[engine].append(cost)
                first[engine].append(self._once(engine, few, source, parallelism)[0].wall_s)
        for engine in self.engines:
            self._row(f"{TITLES[engine]}, {parallelism}", given, source, costs[engine], first[engine], found[engine])
        if {"ours", "hand"} <= set(self.engines):
            ours, hand = (statistics.median(cost.cpu_s for cost in costs[engine]) for engine in ("ours", "hand"))
            print(
                f"{given.work} {source}: ours takes {ours / hand:.2f} of hand-written SQL", file=sys.stderr, flush=True
            )

    def _once(self, engine: str, given: Input, source: str, parallelism: int) -> tuple[Cost, int]:
        """What a run took, and how many events are in its results."""
        self.number += 1
        out = f"out-{self.number}" if source == "kafka" else str(self.folder / f"out-{self.number}")
        if source == "kafka":
            make_topic(self.servers, out, 2)
        if engine == "embedded":
            cost = embedded(given.work, source, given, out)
        elif engine in ("ours", "sent"):
            cost = self._ours(self._cluster(engine), parallelism, source, given, out)
        else:
            cost = self._hand(self._cluster(engine), parallelism, source, given, out)
        return cost, events_of(source, out, self.servers)

    def _cluster(self, engine: str) -> Cluster:
        if engine not in self.clusters:
            began = time.perf_counter()
            self.clusters[engine] = self.stack.enter_context(
                cluster_in(self.folder / f"cluster-{engine}", holds_job=engine != "sent")
            )
            took = time.perf_counter() - began
            print(f"cluster for {TITLES[engine]} ready after {took:.1f} s", file=sys.stderr, flush=True)
        return self.clusters[engine]

    def _ours(self, cluster: Cluster, parallelism: int, source: str, given: Input, out: str) -> Cost:
        plan = stream(given.work, source, given, out).plan
        settings = partial(submit, plan, flink_url=cluster.url, parallelism=parallelism, checkpoint_every="5s")
        return on_cluster(cluster, lambda: settings().job)

    def _hand(self, cluster: Cluster, parallelism: int, source: str, given: Input, out: str) -> Cost:
        text = base64.urlsafe_b64encode(by_hand(given.work, source, given, out).encode()).decode()
        start = Start((text,), parallelism, _SETTINGS, main="SqlJob")
        return on_cluster(cluster, lambda: begin(Rest(cluster.url), self.jar, start))

    def _row(self, engine: str, given: Input, source: str, costs: list[Cost], first: list[float], found: int) -> None:
        middle = {one: statistics.median(getattr(cost, one) for cost in costs) for one in ("wall_s", "cpu_s", "rss_mb")}
        each = ", ".join(f"{cost.cpu_s:.1f}" for cost in costs)
        print(
            f"| {engine} | {given.work.upper()} | {source} | {middle['wall_s']:.1f} | {middle['cpu_s']:.1f} | {each} "
            f"| {middle['rss_mb']:,.0f} | {statistics.median(first):.1f} | {found:,} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
