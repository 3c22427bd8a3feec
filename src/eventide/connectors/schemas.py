"""Schemas as plain values and back, for plans as text.

Law: rules that are as usual are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import polars as pl

from eventide.plan.given import known, part_of
from eventide.semantics.schema import Field, Schema

Tree = dict[str, Any]
_FIELD = asdict(Field("string"))


def schema_to(schema: Schema) -> Tree:
    """A schema as plain values."""
    columns: Tree = {}
    for name, rule in schema.fields:
        own = {key: value for key, value in asdict(rule).items() if value != _FIELD[key] and key != "type"}
        columns[name] = {"type": rule.type, **own} if own else rule.type
    tree: Tree = {"columns": columns}
    if schema.unknown != "drop":
        tree["unknown"] = schema.unknown
    if schema.bad_share_max is not None:
        tree["bad_share_max"] = schema.bad_share_max
    return tree


def schema_from(tree: Mapping[str, Any]) -> Schema:
    """A schema of plain values."""
    known("schema", tree, "columns", "unknown", "bad_share_max")
    fields = tuple((name, _field(name, rule)) for name, rule in part_of(tree["columns"], "columns").items())
    return Schema(fields, tree.get("unknown", "drop"), tree.get("bad_share_max"))


def _field(name: str, rule: Any) -> Field:
    if isinstance(rule, str):
        return Field(rule)  # type: ignore[arg-type] # Field itself refuses other words
    unknown = sorted(set(part_of(rule, f"column {name!r}")) - set(_FIELD))
    if unknown:
        raise ValueError(
            f"column {name!r} has an unknown rule {', '.join(map(repr, unknown))}: rules are {', '.join(_FIELD)}"
        )
    given: Tree = {key: tuple(value) if isinstance(value, list) else value for key, value in rule.items()}
    return Field(**given)


def schema_of_columns(columns: Mapping[str, pl.DataType]) -> Schema:
    """The schema of typed columns."""
    fields = []
    for name, dtype in columns.items():
        if isinstance(dtype, pl.Datetime | pl.Date):
            fields.append((name, Field("instant")))
        elif dtype.is_integer():
            fields.append((name, Field("integer")))
        elif dtype.is_float() or dtype.is_decimal():
            fields.append((name, Field("float")))
        elif dtype == pl.Boolean:
            fields.append((name, Field("boolean")))
        else:
            fields.append((name, Field("string")))
    return Schema(tuple(fields))
