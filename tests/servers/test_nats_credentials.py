"""NATS with a file of credentials: the right one, and those that cannot be used."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.js.api import StreamConfig
from tests.servers.nats_accounts import accounts

import eventide as et
from eventide.testing.services import running
from eventide.testing.services.nats import Nats

ROWS = et.from_rows([{"n": 1}, {"n": 2}], schema={"n": int}, name="rows")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Nats, Path]]:
    """A server that asks for tokens, and the path of credentials that it takes."""
    settings, credentials = accounts()
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "server").mkdir()
    path = folder / "air.creds"
    path.write_text(credentials)
    with running(Nats(folder / "server", more=settings)) as started:

        async def make() -> None:
            connection = await nats.connect(started.address, user_credentials=str(path))
            await connection.jetstream().add_stream(StreamConfig(name="AIR", subjects=["air"]))
            await connection.close()

        asyncio.run(make())
        yield started, path


def test_credentials_let_a_run_write_and_read(guarded: tuple[Nats, Path]) -> None:
    server, path = guarded
    where: dict[str, Any] = {"servers": server.address, "credentials": str(path)}
    ROWS.write(et.write_nats("air", **where)).run(show=False)
    read = et.read_nats("AIR", schema={"n": int}, follow=False, **where).run(show=False)
    assert read.results.get_column("n").to_list() == [1, 2]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: "", "is no file of credentials"),
        (lambda text: text.replace("USER NKEY SEED", "SEED"), "is no file of credentials"),
        (lambda text: re.sub(r"\nSU\w+", "\nSU" + "A" * 56, text), "does not let us in"),
        (
            lambda text: text.split("-----BEGIN USER")[0] + accounts()[1][accounts()[1].index("-----BEGIN USER") :],
            "does not let us in",
        ),
        (lambda text: accounts()[1], "does not let us in"),
    ],
    ids=["empty", "without-a-seed", "no-seed", "another-seed", "of-another-account"],
)
def test_credentials_that_cannot_be_used_are_told_at_once_and_not_repeated(
    guarded: tuple[Nats, Path], tmp_path: Path, change: object, told: str
) -> None:
    server, path = guarded
    wrong = tmp_path / "wrong.creds"
    assert callable(change)
    wrong.write_text(change(path.read_text()))
    seed = wrong.read_text()[-90:]
    with pytest.raises(et.SinkError, match=told) as caught:
        ROWS.write(et.write_nats("air", servers=server.address, credentials=str(wrong))).run(show=False)
    assert not seed or seed.split("\n")[1] not in str(caught.value)


def test_credentials_that_are_not_there_are_told_at_once(guarded: tuple[Nats, Path], tmp_path: Path) -> None:
    with pytest.raises(et.SourceError, match=r"cannot read credentials='.*none.creds' for NATS: No such file"):
        et.read_nats(
            "AIR", schema={"n": int}, servers=guarded[0].address, credentials=str(tmp_path / "none.creds")
        ).run(show=False)


def test_an_address_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="no address of NATS"):
        et.read_nats("AIR", schema={"n": int}, servers="http://127.0.0.1:4222")
