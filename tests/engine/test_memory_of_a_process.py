"""What a process takes: with a bound it does not grow with the keys that explode, nor with the windows that are open."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import polars as pl

_RUN = """
import sys
import eventide as et

path, memory, bound = sys.argv[1:]
rows = [0]
def take(frame):
    rows[0] += frame.height
stream = et.read_parquet(path, schema=et.schema({"who": str, "at": et.Instant}), arrival="at")
results = stream.event_time("at", et.bounded(bound), max_future=None).group_by("who").window(et.tumbling("10s")).agg(n=et.count())
for output in ("results", "dead_letters", "late"):
    results = results.write(et.call(take), output)
keys = 20_000 if "visitor" in path else None
outcome = results.run(show=False, rows_max=50_000, memory=memory or None, keys_most=keys)
assert outcome.accounting.total.closes
with open("/proc/self/status") as status:  # the peak that getrusage gives includes that of the parent
    peak_kb = next(line.split()[1] for line in status if line.startswith("VmHWM"))
print(int(peak_kb) * 1024, rows[0])
"""


def peak(path: Path, memory: str, bound: str) -> tuple[int, int]:
    """The most bytes that a process has taken, and how many rows it gave out."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(path), memory, bound], capture_output=True, text=True, check=True
    )
    taken, rows = done.stdout.split()
    return int(taken), int(rows)


def stream(folder: Path, name: str, count: int, keys: int) -> Path:
    """So many events in 400 s, by the keys in turn."""
    n = pl.int_range(count, eager=True).alias("n")
    at = (pl.col("n") * 400_000_000 // count).cast(pl.Datetime("us", "UTC"))
    frame = pl.DataFrame([n]).select(who=pl.format(f"{name}-number-{{}}", pl.col("n") % keys), at=at)
    path = folder / f"{name}-{count}.parquet"
    frame.write_parquet(path, row_group_size=50_000)
    return path


def test_keys_that_explode_fill_no_memory(tmp_path: Path) -> None:
    few, many = (stream(tmp_path, "visitor", count, count) for count in (300_000, 1_500_000))
    small, large = peak(few, "", "1s"), peak(many, "", "1s")
    assert (small[1], large[1]) == (300_000, 1_500_000)
    assert large[0] - small[0] < 80_000_000  # 33 MB were measured, and 155 MB without the limit


def test_open_windows_beyond_the_bound_take_no_memory(tmp_path: Path) -> None:
    few, many = (stream(tmp_path, "device", count, 20_000) for count in (100_000, 1_600_000))
    small, large = peak(few, "16MB", "1h"), peak(many, "16MB", "1h")
    assert (small[1], large[1]) == (100_000, 20_000 * 40)
    assert large[0] - small[0] < 90_000_000  # 37 MB were measured, and 193 MB without the bound
