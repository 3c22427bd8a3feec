"""How a call is written in Python, from the texts of its arguments.

Law: different trees are written differently; the engine shares work between expressions that are written alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

INFIX: Final = {
    "add": "+", "and": "&", "div": "/", "eq": "==", "floordiv": "//", "ge": ">=", "gt": ">", "le": "<=", "lt": "<",
    "mod": "%", "mul": "*", "ne": "!=", "or": "|", "pow": "**", "sub": "-",
}  # fmt: skip
PREFIX: Final = {"neg": "-", "not": "~"}
FREE: Final = ("coalesce", "concat", "greatest", "least")
"""Functions that are written in front of their arguments: the others are methods or operators."""
CASTS: Final = {
    "to_boolean": "bool", "to_float": "float", "to_instant": "Instant", "to_integer": "int", "to_string": "str",
}  # fmt: skip

Kind: TypeAlias = Literal["value", "operation", "term"]
"""What an argument's text is: a plain value, an operation that needs parentheses, or a term that needs none."""

Written: TypeAlias = tuple[str, Kind]


def call_text(function: str, arguments: Sequence[Written]) -> str:
    """The call as Python source.

    >>> call_text("gt", [('col("dose")', "term"), ("2.5", "value")])
    'col("dose") > 2.5'
    """
    texts = [text for text, _ in arguments]
    if function in FREE:
        return f"{function}({', '.join(texts)})"
    if function == "when":
        return _choice(texts)
    if function in PREFIX:
        return f"{PREFIX[function]}{receiver(arguments[0])}"
    if function in INFIX:
        only_values = all(kind == "value" for _, kind in arguments)
        left = receiver(arguments[0]) if only_values else _operand(arguments[0])
        return f"{left} {INFIX[function]} {_operand(arguments[1])}"
    first = receiver(arguments[0])
    if function in CASTS:
        return f"{first}.cast({CASTS[function]})"
    rest = ", ".join(texts[1:])
    return f"{first}.is_in([{rest}])" if function == "is_in" else f"{first}.{function}({rest})"


def kind_of(function: str) -> Kind:
    """Whether a call of this function needs parentheses inside another."""
    return "operation" if function in INFIX or function in PREFIX else "term"


def receiver(argument: Written) -> str:
    """The text of what stands before a dot."""
    text, kind = argument
    return f"lit({text})" if kind == "value" else _operand(argument)


def _operand(argument: Written) -> str:
    text, kind = argument
    return f"({text})" if kind == "operation" else text


def _choice(texts: Sequence[str]) -> str:
    branches = [f"when({texts[place]}).then({texts[place + 1]})" for place in range(0, len(texts) - 1, 2)]
    return f"{'.'.join(branches)}.otherwise({texts[-1]})"
