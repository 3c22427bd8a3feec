"""Delta, Iceberg and folders of Parquet files for the suites, in an object store behind a link."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

import fsspec  # type: ignore[import-untyped] # it has no types
import polars as pl
import pyiceberg.catalog
import pytest
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.utils.config import Config
from tests.servers.suite.distant_link import DistantLink
from tests.servers.suite.system import SCHEMA, Row, System

import eventide as et
import eventide.connectors.delta.sink
from eventide.flow import Sink
from eventide.testing.link import Link
from eventide.testing.services.s3 import S3

_PUT = pl.Schema({"id": pl.Int64(), "k": pl.String(), "x": pl.Float64(), "ok": pl.Boolean(), "at": pl.String()})
_TYPED = "a table has types of its own: what is no number cannot stand in a column of numbers"
_ANY = "the test's object store takes any key"


class ParquetSystem(System):
    """Folders of Parquet files. The store forgets all when it stops, so it is away when the link is cut."""

    follows = False
    cannot: ClassVar[Mapping[str, str]] = {
        "dead letters": _TYPED,
        "a wrong password": _ANY,
    }
    patient: ClassVar[Sequence[str]] = ("patience",)
    link_kind: type[Link | DistantLink] = Link

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        self._own = S3()
        self._own.start()
        self.put_behind_link(self._own, self.link_kind(self._own.port), shared=True)
        self.environment = pytest.MonkeyPatch()
        for name, value in self._own.environment.items():
            self.environment.setenv(name, value)
        self.environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{self.link.port}")
        self._numbers = itertools.count()

    def close(self) -> None:
        self.environment.undo()
        super().close()
        self._own.stop()

    def stop(self) -> None:
        self.link.cut()

    def kill(self) -> None:
        self.link.cut()

    def start(self) -> None:
        self.link.heal()

    def make(self, name: str) -> None:
        self._own.make_bucket(name)

    def address(self, place: str) -> str:
        return f"s3://{self.named(place)}/rows/"

    @property
    def straight(self) -> dict[str, str]:
        """What a client says that does not come by the link."""
        return {**self._own.environment, "AWS_ENDPOINT_URL": self._own.address}

    def put(self, place: str, rows: Sequence[Row]) -> None:
        self.put_frame(place, framed(rows))

    def put_frame(self, place: str, frame: pl.DataFrame) -> None:
        """Put a frame into one log."""
        frame.write_parquet(f"{self.address(place)}{next(self._numbers):08}.parquet", storage_options=self.straight)

    def stream(self, place: str, *, follow: bool = False) -> et.Stream:
        return et.read_parquet(self.address(place), schema=SCHEMA, one_log=True)

    def be_patient(self, monkeypatch: pytest.MonkeyPatch, waits_s: Sequence[float]) -> None:
        """Where stores are is in the environment: that of a test without patience names one where nobody listens."""
        super().be_patient(monkeypatch, waits_s)
        if len(waits_s) < 3:
            monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    def away_stream(self) -> et.Stream:
        return et.read_parquet("s3://nobody/rows/", schema=SCHEMA, one_log=True)

    def sink(self, place: str) -> Sink:
        return et.write_parquet(self.address(place))

    def away_sink(self) -> Sink:
        return et.write_parquet("s3://nobody/rows/")

    def rows(self, place: str) -> list[dict[str, Any]]:
        store = fsspec.filesystem(
            "s3",
            key="eventide",
            secret="eventide-secret",
            endpoint_url=self._own.address,
            skip_instance_cache=True,
        )
        names = sorted(store.find(self.address(place).removeprefix("s3://")))
        return shown([pl.read_parquet(f"s3://{name}", storage_options=self.straight) for name in names])


def framed(rows: Sequence[Row]) -> pl.DataFrame:
    """Rows as a table holds them."""
    made = [{**row, "at": row["at"] and datetime.fromisoformat(row["at"])} for row in rows]
    return pl.DataFrame(made, schema={**_PUT, "at": pl.Datetime("us", "UTC")})


def shown(frames: Sequence[pl.DataFrame]) -> list[dict[str, Any]]:
    """The rows of frames, as the suite compares them."""
    return [row for frame in frames for row in frame.select(_own(frame)).with_columns(_MICROS).to_dicts()]


def _own(frame: pl.DataFrame) -> list[str]:
    """The columns of what was written, without those by which a sink marks rows."""
    return [name for name in frame.columns if not name.startswith("_")]


_MICROS = pl.selectors.datetime().dt.cast_time_unit("us").cast(pl.Int64)


class DeltaSystem(ParquetSystem):
    """Delta tables in an object store. The library holds the interpreter's lock while it waits for the store."""

    link_kind = DistantLink

    def be_patient(self, monkeypatch: pytest.MonkeyPatch, waits_s: Sequence[float]) -> None:
        super().be_patient(monkeypatch, waits_s)
        if len(waits_s) < 3:
            monkeypatch.setattr(eventide.connectors.delta.sink, "_PATIENCE", "1s")

    def away_stream(self) -> et.Stream:
        return et.read_delta("s3://nobody/rows", schema=SCHEMA)

    def away_sink(self) -> Sink:
        return et.write_delta("s3://nobody/rows")

    def put_frame(self, place: str, frame: pl.DataFrame) -> None:
        frame.write_delta(self.address(place), mode="append", storage_options=self.straight)

    def stream(self, place: str, *, follow: bool = False) -> et.Stream:
        return et.read_delta(self.address(place), schema=SCHEMA)

    def sink(self, place: str) -> Sink:
        return et.write_delta(self.address(place))

    def rows(self, place: str) -> list[dict[str, Any]]:
        return shown([pl.read_delta(self.address(place), storage_options=self.straight)])


class IcebergSystem(ParquetSystem):
    """Iceberg tables in an object store, whose catalog is a file of this machine."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        super().__init__(request)
        folder = request.getfixturevalue("tmp_path_factory").mktemp("iceberg")
        self._own.make_bucket("warehouse")
        for name, value in {
            "PYICEBERG_CATALOG__SUITE__URI": f"sqlite:///{folder}/catalog.db",
            "PYICEBERG_CATALOG__SUITE__WAREHOUSE": "s3://warehouse",
            "PYICEBERG_CATALOG__SUITE__S3__ENDPOINT": f"http://127.0.0.1:{self.link.port}",
            "POLARS_ICEBERG_PLANNER": "pyiceberg",
        }.items():
            self.environment.setenv(name, value)
        # the library looks at its configuration once, when it is imported
        self.environment.setattr(pyiceberg.catalog, "_ENV_CONFIG", Config())

    def be_patient(self, monkeypatch: pytest.MonkeyPatch, waits_s: Sequence[float]) -> None:
        super().be_patient(monkeypatch, waits_s)
        if len(waits_s) < 3:
            self.put("away", [])
            monkeypatch.setenv("PYICEBERG_CATALOG__SUITE__S3__ENDPOINT", "http://127.0.0.1:9")
            impatient = "pyarrow.fs.AwsStandardS3RetryStrategy"
            monkeypatch.setenv("PYICEBERG_CATALOG__SUITE__S3__RETRY_STRATEGY_IMPL", impatient)
            monkeypatch.setattr(pyiceberg.catalog, "_ENV_CONFIG", Config())

    def away_stream(self) -> et.Stream:
        return self.stream("away")

    def away_sink(self) -> Sink:
        return self.sink("away")

    def make(self, name: str) -> None:
        self._catalog().create_namespace(name)

    def _catalog(self) -> Catalog:
        return load_catalog("suite", **{"s3.endpoint": self._own.address})

    def put_frame(self, place: str, frame: pl.DataFrame) -> None:
        name = f"{self.named(place)}.rows"
        rows = frame.to_arrow()
        self._catalog().create_table_if_not_exists(name, rows.schema).append(rows)

    def stream(self, place: str, *, follow: bool = False) -> et.Stream:
        return et.read_iceberg(f"{self.named(place)}.rows", catalog="suite", schema=SCHEMA)

    def sink(self, place: str) -> Sink:
        return et.write_iceberg(f"{self.named(place)}.rows", catalog="suite")

    def rows(self, place: str) -> list[dict[str, Any]]:
        found = self._catalog().load_table(f"{self.named(place)}.rows").scan().to_arrow()
        return shown([pl.DataFrame(found)])
