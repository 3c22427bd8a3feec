"""An S3 server for the tests of object stores, started once a session on loopback; and kinds of lake tables."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pyiceberg.catalog
import pytest
from pyiceberg.utils.config import Config
from tests.lakes.tables import Lake

from eventide.testing.services import running
from eventide.testing.services.s3 import S3

_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    """A server that all tests share."""
    with running(S3(tmp_path_factory.mktemp("s3"))) as started:
        yield started


@pytest.fixture
def s3(server: S3, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The shared server, found by the usual AWS environment."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture
def bucket(s3: S3) -> str:
    """The address of a new bucket."""
    name = f"bucket-{next(_NUMBERS)}"
    s3.make_bucket(name)
    return f"s3://{name}"


@pytest.fixture
def names(s3: S3) -> Callable[[str], list[str]]:
    """The names of all objects below an address, as another client lists them."""
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]  # fsspec has no types

    def listed(address: str) -> list[str]:
        objects, path = url_to_fs(address, skip_instance_cache=True)
        return sorted(name.removeprefix(path).lstrip("/") for name in objects.find(path))

    return listed


@pytest.fixture
def iceberg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The configuration of a catalog of its own."""
    monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__URI", f"sqlite:///{tmp_path}/catalog.db")
    monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__WAREHOUSE", f"file://{tmp_path}/warehouse")
    monkeypatch.setenv("POLARS_ICEBERG_PLANNER", "pyiceberg")
    # the library looks at its configuration once, when it is imported
    monkeypatch.setattr(pyiceberg.catalog, "_ENV_CONFIG", Config())


@pytest.fixture(params=["delta", "iceberg"])
def lake(request: pytest.FixtureRequest, tmp_path: Path, iceberg: None) -> Lake:
    return Lake(request.param, tmp_path)
