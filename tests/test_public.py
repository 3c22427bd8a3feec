"""The public face: what `import eventide` gives, how fast, and what it does not bring along."""

from __future__ import annotations

import subprocess
import sys

import eventide as et


def test_public_names_are_sorted_and_all_there() -> None:
    assert list(et.__all__) == sorted(et.__all__)
    assert [name for name in et.__all__ if not hasattr(et, name)] == []


def test_every_public_name_is_documented() -> None:
    assert [name for name in et.__all__ if not (getattr(et, name).__doc__ or "").strip()] == []


def test_import_brings_neither_numpy_nor_pyarrow_nor_slow_libraries() -> None:
    heavy = ("confluent_kafka", "numpy", "pyarrow", "duckdb", "matplotlib", "sqlglot", "typer", "rich", "hypothesis")
    code = f"import sys, eventide; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_import_takes_less_than_400_ms_of_processor_time_beyond_polars() -> None:
    code = "import time, polars; a = time.process_time(); import eventide; print(time.process_time() - a)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    ]
    assert min(times) < 0.4
