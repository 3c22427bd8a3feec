"""A sink or a source at work in a process of its own, whose memory can be measured whatever the test itself holds.

    python -m tests.servers.suite.apart write|read COUNT LINES < PLAN      LINES of plan; each epoch or share is said when it
                                                                            is done, and followed by the next when that was heard

Law: the peak is the system's own (VmHWM), so nothing is missed between two looks.
"""

from __future__ import annotations

import gc
import random
import re
import sys
from pathlib import Path

import polars as pl

import eventide as et
from eventide.flow import INSTANT, EpochSink, Opening, ReadContext

COLUMNS: dict[str, pl.DataType] = {
    "id": pl.Int64(),
    "k": pl.String(),
    "x": pl.Float64(),
    "ok": pl.Boolean(),
    "at": INSTANT,
}
ROWS, ROW_BYTES = 200, 20_000
EPOCH_BYTES = ROWS * ROW_BYTES
WARM = 8
"""So many epochs pass before memory is looked at: by then it has held one of them in each shape that it takes on its way,
and what a driver and the allocator keep at hand (Cassandra's takes six epochs)."""


def texts(number: int) -> list[str]:
    """The texts of an epoch, which no compression makes much smaller."""
    drawn = random.Random(number)
    return [drawn.randbytes(ROW_BYTES // 2).hex() for _ in range(ROWS)]


def epoch(number: int) -> pl.DataFrame:
    """Rows number `number * ROWS` and so on."""
    ids = range(number * ROWS, (number + 1) * ROWS)
    made = {"id": ids, "k": texts(number), "x": [0.5] * ROWS, "ok": [True] * ROWS, "at": ids}
    return pl.DataFrame(made, schema={**COLUMNS, "at": pl.Int64()}).with_columns(pl.col("at").cast(INSTANT))


def peak_bytes() -> int:
    """The most memory that this process has had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def write(stream: et.Stream, count: int) -> None:
    """Deliver so many epochs to the plan's sink."""
    sink = stream.plan.writes[0].sink
    assert isinstance(sink, EpochSink)
    writer = sink.open_epochs(Opening("late", COLUMNS, (), "apart"))
    writer.recover(0, pl.DataFrame(schema=COLUMNS), {})
    for number in range(count):
        writer.deliver(number + 1, epoch(number))
        said()
    writer.close()


def read(stream: et.Stream, count: int) -> None:
    """Read so many shares of `ROWS` rows of the plan's source."""
    context = ReadContext()
    logs = stream.plan.inputs[0].source.open(context, {})
    reader, seen = logs.discover()[0], set[int]()
    for share in range(count):
        while len(seen) < (share + 1) * ROWS:
            batch = reader.read(ROWS)
            if batch is None:
                assert not reader.finished, len(seen)
                context.wake.wait(0.05)
                context.wake.clear()
                continue
            seen.update(batch.rows.get_column("id"))
        said()
    logs.close()
    assert seen == set(range(count * ROWS))


def said() -> None:
    """Say how much memory it took so far; go on when that was heard. What nobody holds any more is collected first."""
    gc.collect()
    print(peak_bytes(), flush=True)
    sys.stdin.readline()


if __name__ == "__main__":
    how, count, lines = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    stream = et.Stream.from_yaml("".join(sys.stdin.readline() for _ in range(lines)))
    (write if how == "write" else read)(stream, count)
