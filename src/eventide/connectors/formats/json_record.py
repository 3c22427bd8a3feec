"""One JSON object, read carefully: duplicate keys, depth and text are looked at, numbers keep their spelling.

Law: whatever the text is, the answer is a record or a reason, and it does not depend on how deep the caller stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

DEPTH_MAX = 200
"""Deeper nested records are refused."""

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_BRACKETS = re.compile(r"[\[{\]}]")

Path = tuple[str | int, ...]
"""The steps from a record to a value: names of fields and places in lists."""


class Number(str):
    """A number as it is spelt in the record."""

    __slots__ = ()


class _Refused(ValueError):
    """A record with a fault that JSON's grammar lets pass."""


def decoded(text: str) -> tuple[dict[str, Any] | None, str]:
    """The record, or None and the reason."""
    if text.count("[") + text.count("{") > DEPTH_MAX and _depth(text) > DEPTH_MAX:
        return None, f"not JSON that can be read: nested deeper than {DEPTH_MAX} levels"
    try:
        row = json.loads(
            text.removeprefix("\ufeff"),
            object_pairs_hook=_record,
            parse_int=Number,
            parse_float=Number,
            parse_constant=_constant,
        )
    except _Refused as fault:
        return None, str(fault)
    except ValueError as fault:
        return None, f"not JSON: {fault}"
    if not isinstance(row, dict):
        return None, f"not a JSON object but {_kind(row)}"
    if "\\u" in text:
        try:
            written(row).encode()
        except UnicodeEncodeError:
            return None, "not Unicode text: half of a surrogate pair"
    return row, ""


def _record(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value] # None, so false
        raise _Refused(f'the key "{twice[:100]}" stands twice in one object')
    return row


def _constant(word: str) -> NoReturn:
    raise _Refused(f"not JSON: {word} is not a number of JSON")


def _kind(value: object) -> str:
    if isinstance(value, Number):
        return "a number"
    return {list: "a list", str: "a text", bool: "true or false"}.get(type(value), "null")


def _depth(text: str) -> int:
    depth = deepest = 0
    for found in _BRACKETS.finditer(_STRINGS.sub("", text)):
        depth += 1 if found[0] in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def path_of(text: str) -> Path:
    """The steps of a path.

    >>> path_of("rxInfo[0].time")
    ('rxInfo', 0, 'time')
    """
    steps: list[str | int] = []
    for part in text.split("."):
        name, *places = part.replace("]", "").split("[")
        steps.append(name)
        steps.extend(int(place) for place in places)
    return tuple(steps)


def path_text(path: Path) -> str:
    """A path as text again.

    >>> path_text(("rx", 0, "time"))
    'rx[0].time'
    """
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")


def no_envelope(envelope: Path) -> str:
    """The reason of a message that has nothing in its envelope."""
    return f"there is no record at {path_text(envelope)!r}, the envelope of the plan"


def value_at(row: object, path: Sequence[str | int]) -> Any:
    """The value at a path, None where there is none."""
    value: Any = row
    for step in path:
        if isinstance(step, str) and isinstance(value, dict | Mapping):
            value = value.get(step)
        elif isinstance(step, int) and isinstance(value, list | tuple):
            value = value[step] if -len(value) <= step < len(value) else None
        else:
            return None
    return value


def as_text(value: Any) -> str | None:
    """A value as the text of a column: texts and numbers as they stand, lists and records as JSON."""
    return value if value is None or isinstance(value, str) else written(value)


def written(value: Any) -> str:
    """A decoded value as compact JSON, numbers as they were spelt."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{written(key)}:{written(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(written, value)) + "]"
    if isinstance(value, Number):
        return str(value)
    return json.dumps(value, ensure_ascii=False, default=str)
