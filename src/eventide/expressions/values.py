"""The plain values that can stand in an expression.

Law: a value is held in one form only, so that two literals are the same exactly when they print alike.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from eventide.errors import ExpressionError
from eventide.instants import LONGEST

Value: TypeAlias = bool | int | float | str | datetime | timedelta | None
"""What a literal can be. A `datetime` without an offset is UTC."""


def literal_value(value: object) -> Value:
    """The value as a literal holds it: instants in UTC, integers of 64 bits. Raises `ExpressionError`."""
    match value:
        case None | bool() | float() | str():
            return value
        case int() if -(2**63) <= value < 2**63:
            return value
        case int():
            raise ExpressionError(f"{value} is not a 64-bit integer: write it as a float, {value:.3e}")
        case datetime():
            return (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)).replace(fold=0)
        case timedelta() if abs(value) <= timedelta(microseconds=LONGEST):
            return value
    unfinished = getattr(value, "unfinished", None)
    if unfinished is not None:
        raise ExpressionError(f"{unfinished}: end it with .then(value).otherwise(value)")
    raise ExpressionError(
        f"{value!r} cannot stand in an expression: use numbers, text, True, False, None, datetime or timedelta"
    )


def quoted(text: str) -> str:
    """Text as it is written in Python source, in double quotes."""
    return json.dumps(text, ensure_ascii=False)
