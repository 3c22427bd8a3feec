"""What every function of the expression language takes and gives.

Law: the parser, the type check and the printers read this one table; a function that is not in it does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from eventide.expressions.tree import Expr
from eventide.expressions.tree import Literal as Value

ValueType = Literal["string", "integer", "float", "boolean", "instant", "duration", "list", "record", "null"]
"""The types of values. `null` is the type of a literal null and fits everywhere."""

VALUE_TYPES: Final[tuple[str, ...]] = get_args(ValueType)

Rule: TypeAlias = Callable[[Sequence[ValueType]], ValueType]
"""From the types of the arguments to the type of the value. Raises `Misfit`."""

NUMBERS: Final = ("integer", "float")


class Misfit(Exception):
    """Arguments whose types do not fit: what is wrong and the remedy, as one text."""


@dataclass(frozen=True, slots=True)
class Signature:
    """How many arguments a function takes at least and at most (None: any number), and its typing rule."""

    least: int
    most: int | None
    rule: Rule


def _fits(given: ValueType, wanted: Sequence[str]) -> bool:
    return given == "null" or given in wanted


def _expect(wanted: Sequence[str], given: ValueType) -> None:
    if not _fits(given, wanted):
        raise Misfit(f"{' or '.join(wanted)} is needed here, not {given}; {_remedy(wanted)}")


def _remedy(wanted: Sequence[str]) -> str:
    if "float" in wanted:
        return "cast it with .cast(float) if it holds numbers"
    if "string" in wanted:
        return "cast it with .cast(str)"
    if "boolean" in wanted:
        return "compare it with something, for example > 0"
    return "cast it with .cast(Instant) if it holds times"


def _takes(wanted: Sequence[Sequence[str]], gives: ValueType) -> Rule:
    def rule(types: Sequence[ValueType]) -> ValueType:
        for given, kinds in zip(types, wanted, strict=False):
            _expect(kinds, given)
        return gives

    return rule


def _each(wanted: Sequence[str], gives: ValueType) -> Rule:
    def rule(types: Sequence[ValueType]) -> ValueType:
        for given in types:
            _expect(wanted, given)
        return gives

    return rule


def _same_number(types: Sequence[ValueType]) -> ValueType:
    for given in types:
        _expect(NUMBERS, given)
    return joined(types)


def _same_size(types: Sequence[ValueType]) -> ValueType:
    _expect((*NUMBERS, "duration"), types[0])
    return types[0]


def joined(types: Sequence[ValueType]) -> ValueType:
    """The one type that holds values of all these types. Raises `Misfit`."""
    kinds = set(types) - {"null"}
    if not kinds:
        return "null"
    if kinds == {"integer", "float"}:
        return "float"
    if len(kinds) > 1:
        raise Misfit(f"{' and '.join(sorted(kinds))} do not fit together; cast them to one type")
    return kinds.pop()


def _compared(types: Sequence[ValueType]) -> ValueType:
    kind = joined(types)
    if kind in ("list", "record"):
        raise Misfit(f"a {kind} cannot be compared; take a value out of it with path= in the schema")
    return "boolean"


def _ordered(types: Sequence[ValueType]) -> ValueType:
    if joined(types) == "boolean":
        raise Misfit("true and false have no order; use them as they are, with & | ~")
    return _compared(types)


def _extreme(types: Sequence[ValueType]) -> ValueType:
    _ordered(types)
    return joined(types)


def _sum(types: Sequence[ValueType]) -> ValueType:
    match tuple(types):
        case ("instant", "duration") | ("duration", "instant"):
            return "instant"
        case ("duration", "duration"):
            return "duration"
    return _same_number(types)


def _difference(types: Sequence[ValueType]) -> ValueType:
    match tuple(types):
        case ("instant", "instant") | ("duration", "duration"):
            return "duration"
        case ("instant", "duration"):
            return "instant"
    return _same_number(types)


def _product(types: Sequence[ValueType]) -> ValueType:
    if sorted(types) in (["duration", "integer"], ["duration", "float"]):
        return "duration"
    return _same_number(types)


def _ratio(types: Sequence[ValueType]) -> ValueType:
    match tuple(types):
        case ("duration", "duration"):
            return "float"
        case ("duration", "integer" | "float"):
            return "duration"
    _same_number(types)
    return "float"


def _choice(types: Sequence[ValueType]) -> ValueType:
    if len(types) % 2 == 0:
        raise Misfit("a choice needs pairs of condition and value, then the value for otherwise")
    for condition in types[:-1:2]:
        _expect(("boolean",), condition)
    return joined([*types[1:-1:2], types[-1]])


_FLAT: Final = ("string", "integer", "float", "boolean", "instant", "duration")
_TEXT: Final = ("string",)
_TEXTS: Final = _each(_TEXT, "boolean")
_REAL: Final = Signature(1, 1, _each(NUMBERS, "float"))
_WHOLE: Final = Signature(2, 2, _same_number)
_EQUAL: Final = Signature(2, 2, _compared)
_ORDER: Final = Signature(2, 2, _ordered)
_LOGIC: Final = Signature(2, 2, _each(("boolean",), "boolean"))
_CASE: Final = Signature(1, 1, _each(_TEXT, "string"))
_FIND: Final = Signature(2, 2, _TEXTS)
_PART_OF_TIME: Final = Signature(1, 1, _each(("instant",), "integer"))
_PRESENCE: Final = Signature(1, 1, lambda types: "boolean")

SIGNATURES: Final[Mapping[str, Signature]] = {
    "abs": Signature(1, 1, _same_size),
    "add": Signature(2, 2, _sum),
    "and": _LOGIC,
    "ceil": Signature(1, 1, _same_number),
    "clip": Signature(3, 3, _same_number),
    "coalesce": Signature(1, None, joined),
    "concat": Signature(1, None, _each(_TEXT, "string")),
    "contains": _FIND,
    "div": Signature(2, 2, _ratio),
    "ends_with": _FIND,
    "eq": _EQUAL,
    "exp": _REAL,
    "floor": Signature(1, 1, _same_number),
    "floordiv": _WHOLE,
    "ge": _ORDER,
    "greatest": Signature(1, None, _extreme),
    "gt": _ORDER,
    "hour": _PART_OF_TIME,
    "is_in": Signature(2, None, _compared),
    "is_not_null": _PRESENCE,
    "is_null": _PRESENCE,
    "le": _ORDER,
    "least": Signature(1, None, _extreme),
    "length": Signature(1, 1, _each(_TEXT, "integer")),
    "log": _REAL,
    "log10": _REAL,
    "lower": _CASE,
    "lt": _ORDER,
    "matches": _FIND,
    "minute": _PART_OF_TIME,
    "mod": _WHOLE,
    "mul": Signature(2, 2, _product),
    "ne": _EQUAL,
    "neg": Signature(1, 1, _same_size),
    "not": Signature(1, 1, _each(("boolean",), "boolean")),
    "or": _LOGIC,
    "pow": Signature(2, 2, _each(NUMBERS, "float")),
    "replace": Signature(3, 3, _each(_TEXT, "string")),
    "round": Signature(2, 2, lambda types: _same_number(types[:1])),
    "sign": Signature(1, 1, _same_number),
    "sqrt": _REAL,
    "starts_with": _FIND,
    "strip": _CASE,
    "sub": Signature(2, 2, _difference),
    "to_boolean": Signature(1, 1, _takes([("string", "integer", "float", "boolean")], "boolean")),
    "to_float": Signature(1, 1, _takes([("string", "integer", "float", "boolean")], "float")),
    "to_instant": Signature(1, 1, _takes([("string", "integer", "instant")], "instant")),
    "to_integer": Signature(1, 1, _takes([_FLAT], "integer")),
    "to_string": Signature(1, 1, _takes([("string", "integer", "float", "boolean", "instant")], "string")),
    "upper": _CASE,
    "weekday": _PART_OF_TIME,
    "when": Signature(3, None, _choice),
}
"""Every function by its name in the tree. Operators have names too: `+` is `add`, `AND` is `and`."""

FIXED: Final[Mapping[str, Mapping[int, type]]] = {"matches": {1: str}, "replace": {1: str, 2: str}, "round": {1: int}}
"""Arguments that must be plain values, the same for every row, by their place from 0."""


def unfixed(function: str, arguments: Sequence[Expr]) -> str | None:
    """What is wrong with the arguments that must be plain values; None where nothing is."""
    for place, kind in FIXED.get(function, {}).items():
        given = arguments[place]
        if not isinstance(given, Value) or type(given.value) is not kind:
            return f"{function} needs a plain {'number' if kind is int else 'text'} as argument {place + 1}"
    if function == "replace" and isinstance(arguments[1], Value) and not arguments[1].value:
        return "replace has nothing to look for: give at least one letter"
    return None


LANGUAGE: Final = (
    "use columns, numbers, 'text', TRUE, FALSE, NULL, + - * / // % **, = <> < <= > >=, AND OR NOT, IS [NOT] NULL, IN, "
    "BETWEEN, CASE, CAST and functions"
)
"""What the language has, for messages."""
