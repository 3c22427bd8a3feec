"""Plans with PostgreSQL: text without secrets, and what check says. No server is asked."""

from __future__ import annotations

import pytest

import eventide as et
from eventide.connectors.postgres import sink as sink_module
from eventide.plan import Stream


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://me:hush@host/db",
        "host=h password=hush",
        "host=h PASSWORD = 'hush'",
        "postgresql://h/db?password=hush",
    ],
)
def test_a_password_in_the_plan_is_refused_without_repeating_it(dsn: str) -> None:
    with pytest.raises(ValueError, match="PGPASSWORD") as caught:
        et.write_postgres("t", dsn=dsn)
    assert "hush" not in str(caught.value)


def test_plans_with_postgres_are_text_without_secrets() -> None:
    stream = (
        et.read_postgres("air.readings", env="AIR_DB", schema={"id": int}, order_by="id")
        .write(et.write_postgres("air.doses", env="AIR_DB", create=True), "late")
        .write(et.write_postgres("doses", dsn="host=h dbname=d"), "dead_letters")
    )
    assert Stream.from_yaml(stream.to_yaml()) == stream
    with pytest.raises(et.PlanError, match="Make a view"):
        et.read_postgres(query="SELECT 1 AS id", env="A", schema={"id": int}, order_by="id").to_yaml()


def test_check_names_the_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_module, "is_installed", lambda: False)
    stream = et.from_rows([], schema={"id": int}).write(et.write_postgres("t", env="A"))
    with pytest.raises(et.PlanError, match=r'pip install "eventide\[postgres\]"'):
        stream.check()
