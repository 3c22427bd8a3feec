"""Compressed files as sources of the job: the same rows, late rows and account as embedded."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest
from tests.flink.feed import SCHEMA, partitions, same, windows

import eventide as et
from eventide.testing.services.flink import Flink


@pytest.mark.parametrize("form", ["csv", "ndjson"])
def test_files_in_gzip_are_read_to_their_last_record(flink: Flink, tmp_path: Path, form: str) -> None:
    """What is packed is a small part of what is read, and one file has several members."""
    for number, rows in enumerate(partitions(6_000, 2)):
        frame = pl.DataFrame(rows)
        text = (frame.write_csv() if form == "csv" else frame.write_ndjson()).encode()
        half = len(text) // 2
        packed = gzip.compress(text) if number else gzip.compress(text[:half]) + gzip.compress(text[half:])
        assert len(packed) * 3 < len(text)
        (tmp_path / f"part-{number}.{form}.gz").write_bytes(packed)
    read = et.read_csv if form == "csv" else et.read_ndjson
    stream = windows(read(f"{tmp_path}/*.gz", schema=SCHEMA))
    expected = stream.run(show=False)
    found = stream.run(on="flink", flink_url=flink.address, parallelism=2, show=False)
    same(found.final(), expected.final())
    same(found.late.select("sensor", "at", "dose"), expected.late.select("sensor", "at", "dose"))
    assert found.accounting == expected.accounting
    assert expected.accounting.total.received == 6_000
