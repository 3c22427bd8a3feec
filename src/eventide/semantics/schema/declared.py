"""A declared schema: what a schema text, a file or a plan says about fields, by path, whatever language it stands in.

Law: it holds what decides whether values can be read and what they mean, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from eventide.semantics.schema.fields import Schema

Kind = Literal["string", "integer", "float", "boolean", "instant", "bytes", "list", "record", "anything"]


@dataclass(frozen=True, slots=True)
class Declaration:
    """What is said about one field.

    `optional` is true when it may be null or missing. `detail` is the type's own word (`"timestamp-millis"`, `"int"`).
    `symbols` are the texts that an enumeration allows. `free` marks a record whose fields nobody declares.
    """

    kind: Kind
    optional: bool = False
    detail: str = ""
    symbols: tuple[str, ...] = ()
    free: bool = False

    def __str__(self) -> str:
        return self.detail or self.kind


ANYTHING = Declaration("anything", optional=True)


@dataclass(frozen=True, slots=True)
class Declared:
    """Fields by path: `"a.b"` in a record `a`, `"a[].b"` in the records of a list `a`.

    `fault` says why nothing of it can be read at all. `rules` are those of a plan, when it is one's.
    """

    fields: Mapping[str, Declaration]
    fault: str | None = None
    rules: Schema | None = None

    def at(self, path: str) -> Declaration | None:
        """What is said about a path such as `"a[0].b"`; None when there is no such field."""
        path = without_places(path)
        found = self.fields.get(path)
        while found is None and path:
            path = path[:-2] if path.endswith("[]") else path.rpartition(".")[0]
            above = self.fields.get(path)
            if above is not None and (above.free or above.kind == "anything"):
                return ANYTHING
        return found


def without_places(path: str) -> str:
    """A path whose places in lists are left open.

    >>> without_places("rx[0].time")
    'rx[].time'
    """
    return re.sub(r"\[-?[0-9]+\]", "[]", path)


def declared_by_plan(schema: Schema) -> Declared:
    """What a plan says about the fields that it reads.

    >>> from eventide.semantics.schema import schema
    >>> str(declared_by_plan(schema({"dose": float})).at("dose"))
    'float'
    """
    fields = {
        without_places(rule.path or name): Declaration(
            rule.type, rule.nullable, symbols=rule.choices, free=rule.type == "record"
        )
        for name, rule in schema.fields
    }
    return Declared(fields, rules=schema)
