"""Files and DuckDB for the suite of sinks: nothing that could be away."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pytest
from tests.servers.suite.system import SCHEMA, System, micros

import eventide as et
from eventide.flow import Sink

_LOCAL = "it lies in files of this machine, which are never away and ask for no password"


class FilesSystem(System):
    """NDJSON files in a folder of their own."""

    cannot: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("a wrong password", "away at the start", "write through a restart", "write through faults"), _LOCAL
    )

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self._folder = tempfile.TemporaryDirectory(prefix="eventide-files-")

    def close(self) -> None:
        self._folder.cleanup()

    def _path(self, place: str) -> Path:
        return Path(self._folder.name) / self.named(place)

    def sink(self, place: str) -> Sink:
        return et.write_ndjson(self._path(place))

    def rows(self, place: str) -> list[dict[str, Any]]:
        lines = self._path(place).read_text().splitlines()
        return [{**row, "at": micros(row["at"])} for row in map(json.loads, lines)]


class DuckDbSystem(FilesSystem):
    """A table in a database of each place."""

    def sink(self, place: str) -> Sink:
        return et.write_duckdb(self._path(place), table="t")

    def rows(self, place: str) -> list[dict[str, Any]]:
        with duckdb.connect(str(self._path(place))) as connection:
            found = connection.sql('SELECT id, k, x, ok, epoch_us("at") FROM t').fetchall()
        return [dict(zip(SCHEMA, row, strict=True)) for row in found]
