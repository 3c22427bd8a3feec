"""Files and DuckDB for the suite of sinks: nothing that could be away."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import duckdb
from tests.servers.suite.system import SCHEMA, micros

import eventide as et
from eventide.flow import Sink


class FilesSystem:
    """NDJSON files in a folder of their own."""

    remote = False

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="eventide-files-")

    def stop(self) -> None:
        raise AssertionError("files are never away")

    start = stop

    def close(self) -> None:
        self._folder.cleanup()

    def _path(self, place: str) -> Path:
        return Path(self._folder.name) / "".join(one if one.isalnum() else "-" for one in place)

    def sink(self, place: str) -> Sink:
        return et.write_ndjson(self._path(place))

    def rows(self, place: str) -> list[dict[str, Any]]:
        lines = self._path(place).read_text().splitlines()
        return [{**row, "at": micros(row["at"])} for row in map(json.loads, lines)]

    def refused(self) -> Sink:
        raise AssertionError("files ask for no password")

    away = refused


class DuckDbSystem(FilesSystem):
    """A table in a database of each place."""

    def sink(self, place: str) -> Sink:
        return et.write_duckdb(self._path(place), table="t")

    def rows(self, place: str) -> list[dict[str, Any]]:
        with duckdb.connect(str(self._path(place))) as connection:
            found = connection.sql('SELECT id, k, x, ok, epoch_us("at") FROM t').fetchall()
        return [dict(zip(SCHEMA, row, strict=True)) for row in found]
