"""A kind of lake table, and the epochs that tests put into one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb
import polars as pl

import eventide as et
from eventide.flow import EpochWriter, Opening, Sink

COLUMNS = {"k": pl.String(), "n": pl.Int64()}
EPOCHS = [
    pl.DataFrame({"k": ["a", "ü\n\"'"], "n": [1, 2]}),
    pl.DataFrame(schema=COLUMNS),
    pl.DataFrame({"k": [None, "a"], "n": [3, None]}),
    pl.DataFrame({"k": ["b"], "n": [4]}),
]


class Lake:
    """A kind of table: its sink, and what another reader finds in it."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder

    def sink(self) -> Sink:
        return (
            et.write_delta(self.folder / "table")
            if self.kind == "delta"
            else et.write_iceberg("air.doses", catalog="lake")
        )

    def read(self) -> pl.DataFrame:
        if self.kind == "delta":
            from deltalake import DeltaTable

            if not DeltaTable.is_deltatable(str(self.folder / "table")):
                return pl.DataFrame()
            files = DeltaTable(str(self.folder / "table")).file_uris()
            with duckdb.connect() as connection:
                return (
                    pl.DataFrame(connection.sql(f"SELECT * FROM read_parquet({files!r})")) if files else pl.DataFrame()
                )
        from pyiceberg.catalog import load_catalog

        catalog = load_catalog("lake")
        return (
            pl.DataFrame(catalog.load_table("air.doses").scan().to_arrow())
            if catalog.table_exists("air.doses")
            else pl.DataFrame()
        )

    def rows(self, *names: str) -> list[tuple[object, ...]]:
        found = self.read()
        return sorted(found.select(names).rows(), key=str) if found.width else []

    def opened(self, identity: tuple[str, ...] = (), columns: Mapping[str, pl.DataType] | None = None) -> EpochWriter:
        sink = self.sink()
        made: EpochWriter = sink.open_epochs(Opening("late", columns or COLUMNS, identity, "run"))  # type: ignore[attr-defined]  # both take epochs
        return made


def expected(count: int) -> list[tuple[object, ...]]:
    return sorted((row for frame in EPOCHS[:count] for row in frame.rows()), key=str)
