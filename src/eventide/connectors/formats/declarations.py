"""Avro and JSON Schema as declared schemas: what their texts say about fields.

Law: a text from outside is only read, never followed to where it points; one that decoding could not survive - a type
inside itself, lists of nothing - is a schema with a fault.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from eventide.semantics.schema import Declaration, Declared
from eventide.semantics.schema.declared import ANYTHING, Kind

_DEPTH_MAX = 32
_FIELDS_MAX = 10_000
_NESTING = ("array", "map", "enum")
_AVRO: Mapping[str, Kind] = {
    "boolean": "boolean",
    "int": "integer",
    "long": "integer",
    "float": "float",
    "double": "float",
    "bytes": "bytes",
    "fixed": "bytes",
    "string": "string",
    "enum": "string",
}
_LOGICAL: Mapping[str, Kind] = {
    "date": "instant",
    "decimal": "float",
    "time-millis": "string",
    "time-micros": "string",
    "uuid": "string",
}
_JSON: Mapping[str, Kind] = {
    "string": "string",
    "integer": "integer",
    "number": "float",
    "boolean": "boolean",
    "array": "list",
    "object": "record",
}


class Unreadable(ValueError):
    """A schema that cannot be read, with the reason."""


def declared_avro(text: str, named: Mapping[str, Any] | None = None) -> Declared:
    """What an Avro schema says. `named` are types that it may name without defining them.

    >>> found = declared_avro('{"type": "record", "name": "R", "fields": [{"name": "n", "type": ["null", "int"]}]}')
    >>> str(found.at("n")), found.at("n").optional
    ('int', True)
    """
    try:
        walk = _Avro(dict(named or {}))
        walk.value("", _loaded(text), "", ())
    except Unreadable as fault:
        return Declared({}, str(fault))
    except (KeyError, TypeError, AttributeError):
        return Declared({}, "is not an Avro schema")
    return Declared(walk.fields)


def declared_json(text: str) -> Declared:
    """What a JSON Schema says about the members of an object.

    >>> str(declared_json('{"type": "object", "properties": {"n": {"type": "number"}}}').at("n"))
    'number'
    """
    try:
        root = _loaded(text)
        walk = _JsonSchema(root)
        walk.value("", root, optional=False, depth=0)
    except Unreadable as fault:
        return Declared({}, str(fault))
    except (KeyError, TypeError, AttributeError):
        return Declared({}, "is not a JSON Schema")
    return Declared(walk.fields)


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.strip('"') if text.strip('"') in _AVRO else _refuse("is not JSON")


def _refuse(why: str) -> Any:
    raise Unreadable(why)


class _Avro:
    """Walks through an Avro schema."""

    def __init__(self, named: dict[str, Any]) -> None:
        self.fields: dict[str, Declaration] = {}
        self._named = named

    def value(self, path: str, given: Any, space: str, above: tuple[str, ...]) -> Declaration:
        """Note what stands at a path, with all that is below it."""
        if len(above) > _DEPTH_MAX or len(self.fields) > _FIELDS_MAX:
            _refuse(f"is nested deeper than {_DEPTH_MAX} levels or has more than {_FIELDS_MAX:,} fields")
        found = self._kind(path, given, space, above)
        self.fields[path] = found
        return found

    def _kind(self, path: str, given: Any, space: str, above: tuple[str, ...]) -> Declaration:
        if isinstance(given, list):
            return self._union(path, given, space, above)
        if isinstance(given, str):
            if given in _AVRO:
                return Declaration(_AVRO[given], detail=given)
            if given == "null":
                return Declaration("anything", optional=True, detail="null")
            name = given if given in self._named else f"{space}.{given}"
            if name in above:
                _refuse(f"contains the type {name} inside itself, which cannot be read")
            return self._kind(path, self._named[name], space, above)
        kind = given["type"]
        if isinstance(kind, dict | list):
            return self._kind(path, kind, space, above)
        if kind in ("record", "error", "enum", "fixed"):
            space, name = _full_name(given, space)
            self._named[name] = given
            above = (*above, name)
        made = {"record": self._record, "error": self._record, "array": self._list, "map": self._map}
        return made.get(kind, self._plain)(path, given, space, above)

    def _record(self, path: str, given: Mapping[str, Any], space: str, above: tuple[str, ...]) -> Declaration:
        for one in given["fields"]:
            self.value(f"{path}.{one['name']}" if path else one["name"], one["type"], space, above)
        return Declaration("record", detail="record")

    def _list(self, path: str, given: Mapping[str, Any], space: str, above: tuple[str, ...]) -> Declaration:
        self.value(f"{path}[]", given["items"], space, (*above, ""))
        if self._takes_nothing(given["items"], space):
            _refuse("has lists of values that take no bytes, which could be of any length")
        return Declaration("list", detail="array")

    def _map(self, path: str, given: Mapping[str, Any], space: str, above: tuple[str, ...]) -> Declaration:
        self._kind(f"{path}.*", given["values"], space, (*above, ""))
        return Declaration("record", detail="map", free=True)

    def _plain(self, path: str, given: Mapping[str, Any], space: str, above: tuple[str, ...]) -> Declaration:
        kind, logical = str(given["type"]), str(given.get("logicalType"))
        if kind == "enum":
            return Declaration("string", detail="enum", symbols=tuple(given["symbols"]))
        if logical.removeprefix("local-").startswith("timestamp-"):
            return Declaration("instant", detail=logical)
        if logical in _LOGICAL:
            return Declaration(_LOGICAL[logical], detail=logical)
        return self._kind(path, kind, space, above) if kind not in _AVRO else Declaration(_AVRO[kind], detail=kind)

    def _union(self, path: str, given: Sequence[Any], space: str, above: tuple[str, ...]) -> Declaration:
        some = [one for one in given if one != "null"]
        found = [self._kind(path, one, space, (*above, "")) for one in some]
        if len(found) == 1:
            return replace(found[0], optional=len(some) < len(given))
        kinds = {one.kind for one in found}
        if kinds == {"integer", "float"}:
            return Declaration("float", len(some) < len(given), "number")
        if len(kinds) == 1 and kinds <= {"integer", "float", "string"}:
            return Declaration(kinds.pop(), len(some) < len(given), " or ".join(map(str, found)))
        return replace(ANYTHING, optional=len(some) < len(given), detail=" or ".join(map(str, found)) or "null")

    def _takes_nothing(self, given: Any, space: str) -> bool:
        """True for a type whose values are written as no bytes at all."""
        if isinstance(given, str):
            given = self._named.get(given, self._named.get(f"{space}.{given}", given))
        if not isinstance(given, dict):
            return given in ("null", [])
        if given["type"] == "fixed":
            return bool(given["size"] == 0)
        if given["type"] == "record":
            return all(self._takes_nothing(one["type"], _full_name(given, space)[0]) for one in given["fields"])
        return given["type"] not in _NESTING and self._takes_nothing(given["type"], space)


def _full_name(given: Mapping[str, Any], space: str) -> tuple[str, str]:
    """The name space that holds inside a named type, and its full name."""
    name = given["name"]
    if "." in name:
        return name.rpartition(".")[0], name
    space = given.get("namespace", space)
    return space, f"{space}.{name}" if space else name


class _JsonSchema:
    """Walks through a JSON Schema; `$ref` within the document only."""

    def __init__(self, root: Any) -> None:
        self.fields: dict[str, Declaration] = {}
        self._root = root

    def value(self, path: str, given: Any, *, optional: bool, depth: int) -> None:
        """Note what stands at a path, with all that is below it."""
        if depth > _DEPTH_MAX or len(self.fields) > _FIELDS_MAX:
            self.fields[path] = ANYTHING  # a type inside itself: what is deeper is judged value by value
            return
        given = self._resolved(given)
        words = given.get("type") if isinstance(given, dict) else None
        words = words if isinstance(words, list) else [words]
        kinds = [_JSON.get(word, "anything") for word in words if word != "null"]
        optional = optional or "null" in words
        if len(kinds) != 1 or kinds[0] == "anything":
            self._choice(path, given, optional=optional, depth=depth)
            return
        kind, word = kinds[0], next(word for word in words if word != "null")
        if kind == "string" and given.get("format") == "date-time":
            kind, word = "instant", "date-time"
        inside = given.get("properties", {}) if kind == "record" else {}
        symbols = tuple(map(str, given.get("enum", ()))) if kind == "string" else ()
        open_to_all = not inside if kind == "record" else kind == "list" and not isinstance(given.get("items"), dict)
        self.fields[path] = Declaration(kind, optional, word, symbols, free=open_to_all)
        required = given.get("required", ())
        for name, one in inside.items():
            inner = f"{path}.{name}" if path else name
            self.value(inner, one, optional=name not in required, depth=depth + 1)
        if kind == "list" and isinstance(given.get("items"), dict):
            self.value(f"{path}[]", given["items"], optional=False, depth=depth + 1)

    def _choice(self, path: str, given: Any, *, optional: bool, depth: int) -> None:
        """A type that is one of several: `null` beside one other is that one, optional; more are anything."""
        ways = (given.get("oneOf") or given.get("anyOf") or []) if isinstance(given, dict) else []
        some = [one for one in ways if not (isinstance(one, dict) and one.get("type") == "null")]
        if len(some) == 1:
            self.value(path, some[0], optional=optional or len(some) < len(ways), depth=depth + 1)
        elif isinstance(given, dict) and "properties" in given:
            self.value(path, {**given, "type": "object"}, optional=optional, depth=depth + 1)
        else:
            self.fields[path] = replace(ANYTHING, optional=optional)

    def _resolved(self, given: Any) -> Any:
        for _ in range(_DEPTH_MAX):
            target = given.get("$ref") if isinstance(given, dict) else None
            if target is None:
                return given
            if not isinstance(target, str) or not target.startswith("#/"):
                return {}
            given = self._root
            for step in target[2:].split("/"):
                given = given[step.replace("~1", "/").replace("~0", "~")]
        return {}
