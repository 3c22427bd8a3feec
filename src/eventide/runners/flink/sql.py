"""Names, texts and types in Flink SQL.

Law: every name and text is quoted by building a sqlglot node; nothing from outside is put into a statement as it
stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eventide.errors import PlanError

_TYPES: Mapping[str, str] = {
    "boolean": "BOOLEAN",
    "float": "DOUBLE",
    "instant": "TIMESTAMP_LTZ(6)",
    "integer": "BIGINT",
    "string": "STRING",
}
"""How the types of columns are called in Flink."""


def name(column: str) -> str:
    """The name of a column or table.

    >>> name("a`b")
    '`a``b`'
    """
    from sqlglot import exp

    from eventide.expressions.dialect import EventideFlink

    return exp.to_identifier(column, quoted=True).sql(dialect=EventideFlink)


def text(value: str) -> str:
    """A text.

    >>> text("it's")
    "'it''s'"
    """
    from sqlglot import exp

    from eventide.expressions.dialect import EventideFlink

    if any(not mark.isprintable() for mark in value):
        raise PlanError.of(
            "flink", f"{value!r} holds a character that cannot stand in a setting", "Choose another text"
        )
    return exp.Literal.string(value).sql(dialect=EventideFlink)


def type_of(kind: str) -> str:
    """The type of a column there."""
    return _TYPES[kind]


def is_flat(kind: str) -> bool:
    """True for the types that cross into Flink."""
    return kind in _TYPES


def table(called: str, columns: Sequence[str], settings: Mapping[str, str]) -> str:
    """A statement that names a table outside.

    >>> print(table("t", ["`a` STRING"], {"connector": "filesystem"}))
    CREATE TEMPORARY TABLE `t` (
      `a` STRING
    ) WITH (
      'connector' = 'filesystem'
    )
    """
    given = ",\n".join(f"  {text(key)} = {text(value)}" for key, value in settings.items())
    listed = ",\n".join(f"  {column}" for column in columns)
    return f"CREATE TEMPORARY TABLE {name(called)} (\n{listed}\n) WITH (\n{given}\n)"
