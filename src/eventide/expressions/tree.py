"""Expressions: a small tree over the columns of a row, which prints as Polars, as SQL and as Python.

Law: a tree is immutable and says what is computed, never where. `==` builds a comparison; `same` compares trees.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeAlias

from eventide.errors import ExpressionError
from eventide.instants import Duration, Instant

if TYPE_CHECKING:
    from eventide.expressions.aggregation import Aggregation

Value: TypeAlias = None | bool | int | float | str | datetime | timedelta
"""What a literal can be. A `datetime` without an offset is UTC."""

Operand: TypeAlias = "Expr | Value"

_CASTS = {str: "to_string", int: "to_integer", float: "to_float", bool: "to_boolean", Instant: "to_instant"}


class Expr:
    """An expression over the columns of a row. Make one with `col`, `lit` or `when`, and combine them.

    >>> (col("dose") * 1000 > 2.5) & col("sensor").is_not_null()
    ((col('dose') * 1000) > 2.5) & col('sensor').is_not_null()
    """

    __slots__ = ()

    @property
    def key(self) -> tuple[object, ...]:
        """The structure of the tree as plain values: what `same` and `hash` go by."""
        raise NotImplementedError  # the three kinds below define it

    def __hash__(self) -> int:
        return hash(self.key)

    def __bool__(self) -> bool:
        raise ExpressionError(f"{self!r} has no truth of its own: combine conditions with & | ~ instead of and, or, not")

    def __eq__(self, other: object) -> Expr:  # type: ignore[override] # a comparison, as in every column library
        return call("eq", self, other)

    def __ne__(self, other: object) -> Expr:  # type: ignore[override]
        return call("ne", self, other)

    def __lt__(self, other: Operand) -> Expr:
        return call("lt", self, other)

    def __le__(self, other: Operand) -> Expr:
        return call("le", self, other)

    def __gt__(self, other: Operand) -> Expr:
        return call("gt", self, other)

    def __ge__(self, other: Operand) -> Expr:
        return call("ge", self, other)

    def __add__(self, other: Operand) -> Expr:
        return call("add", self, other)

    def __radd__(self, other: Operand) -> Expr:
        return call("add", other, self)

    def __sub__(self, other: Operand) -> Expr:
        return call("sub", self, other)

    def __rsub__(self, other: Operand) -> Expr:
        return call("sub", other, self)

    def __mul__(self, other: Operand) -> Expr:
        return call("mul", self, other)

    def __rmul__(self, other: Operand) -> Expr:
        return call("mul", other, self)

    def __truediv__(self, other: Operand) -> Expr:
        return call("div", self, other)

    def __rtruediv__(self, other: Operand) -> Expr:
        return call("div", other, self)

    def __floordiv__(self, other: Operand) -> Expr:
        return call("floordiv", self, other)

    def __mod__(self, other: Operand) -> Expr:
        return call("mod", self, other)

    def __pow__(self, other: Operand) -> Expr:
        return call("pow", self, other)

    def __neg__(self) -> Expr:
        return call("neg", self)

    def __and__(self, other: Operand) -> Expr:
        return call("and", self, other)

    def __rand__(self, other: Operand) -> Expr:
        return call("and", other, self)

    def __or__(self, other: Operand) -> Expr:
        return call("or", self, other)

    def __ror__(self, other: Operand) -> Expr:
        return call("or", other, self)

    def __invert__(self) -> Expr:
        return call("not", self)

    def is_null(self) -> Expr:
        """True where there is no value."""
        return call("is_null", self)

    def is_not_null(self) -> Expr:
        """True where there is a value."""
        return call("is_not_null", self)

    def is_in(self, values: Iterable[Value]) -> Expr:
        """True where the value is one of `values`."""
        return call("is_in", self, *values)

    def is_between(self, low: Operand, high: Operand) -> Expr:
        """True where `low <= value <= high`."""
        return (self >= low) & (self <= high)

    def fill_null(self, value: Operand) -> Expr:
        """`value` where there is none."""
        return call("coalesce", self, value)

    def cast(self, to: type) -> Expr:
        """The value as `str`, `int`, `float`, `bool` or `et.Instant`; null where that cannot be."""
        if to not in _CASTS:
            raise ExpressionError(f"cast({to!r}) is not possible: use str, int, float, bool or et.Instant")
        return call(_CASTS[to], self)

    def abs(self) -> Expr:
        """The size of a number."""
        return call("abs", self)

    def round(self, digits: int = 0) -> Expr:
        """Rounded to so many digits behind the point."""
        return call("round", self, digits)

    def floor(self) -> Expr:
        """The largest whole number not above."""
        return call("floor", self)

    def ceil(self) -> Expr:
        """The smallest whole number not below."""
        return call("ceil", self)

    def sqrt(self) -> Expr:
        """The square root."""
        return call("sqrt", self)

    def exp(self) -> Expr:
        """e to the power of the value."""
        return call("exp", self)

    def log(self) -> Expr:
        """The natural logarithm."""
        return call("log", self)

    def log10(self) -> Expr:
        """The logarithm to base 10."""
        return call("log10", self)

    def clip(self, low: Operand, high: Operand) -> Expr:
        """The value, but not below `low` and not above `high`."""
        return call("least", call("greatest", self, low), high)

    def lower(self) -> Expr:
        """The text in small letters."""
        return call("lower", self)

    def upper(self) -> Expr:
        """The text in capitals."""
        return call("upper", self)

    def strip(self) -> Expr:
        """The text without white space at its ends."""
        return call("strip", self)

    def length(self) -> Expr:
        """The number of characters of the text."""
        return call("length", self)

    def contains(self, text: str) -> Expr:
        """True where the text holds `text`, letter for letter."""
        return call("contains", self, text)

    def starts_with(self, text: str) -> Expr:
        """True where the text begins with `text`."""
        return call("starts_with", self, text)

    def ends_with(self, text: str) -> Expr:
        """True where the text ends with `text`."""
        return call("ends_with", self, text)

    def matches(self, pattern: str) -> Expr:
        """True where the regular expression is found in the text."""
        return call("matches", self, pattern)

    def replace(self, old: str, new: str) -> Expr:
        """The text with every `old` replaced by `new`."""
        return call("replace", self, old, new)

    def hour(self) -> Expr:
        """The hour of an instant, 0 to 23, UTC."""
        return call("hour", self)

    def weekday(self) -> Expr:
        """The day of the week of an instant, 1 (Monday) to 7, UTC."""
        return call("weekday", self)

    def _aggregation(self, function: str, **arguments: object) -> Aggregation:
        return aggregation(function, self, **arguments)


class Column(Expr):
    """A column of the row."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def key(self) -> tuple[object, ...]:
        return ("column", self.name)

    def __repr__(self) -> str:
        return f"col({self.name!r})"


class Literal(Expr):
    """A value that stands in the text of the expression."""

    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        self.value = value

    @property
    def key(self) -> tuple[object, ...]:
        # the type's name keeps 1, 1.0 and True apart; the text keeps -0.0 and NaN apart from their equals
        return ("literal", type(self.value).__name__, repr(self.value))

    def __repr__(self) -> str:
        return repr(self.value)


class Call(Expr):
    """A function of other expressions. `function` is one of the names that `infer.SIGNATURES` lists."""

    __slots__ = ("arguments", "function")

    def __init__(self, function: str, arguments: tuple[Expr, ...]) -> None:
        self.function = function
        self.arguments = arguments

    @property
    def key(self) -> tuple[object, ...]:
        return (self.function, *(argument.key for argument in self.arguments))

    def __repr__(self) -> str:
        inside = [f"({one!r})" if isinstance(one, Call) and one.function in INFIX else repr(one) for one in self.arguments]
        if self.function in INFIX:
            return f" {INFIX[self.function]} ".join(inside)
        if self.function in PREFIX:
            return f"{PREFIX[self.function]}{inside[0]}"
        if self.function in FREE:
            return f"{self.function}({', '.join(inside)})"
        return f"{inside[0]}.{self.function}({', '.join(inside[1:])})"


INFIX = {
    "add": "+", "and": "&", "div": "/", "eq": "==", "floordiv": "//", "ge": ">=", "gt": ">", "le": "<=", "lt": "<",
    "mod": "%", "mul": "*", "ne": "!=", "or": "|", "pow": "**", "sub": "-",
}  # fmt: skip
PREFIX = {"neg": "-", "not": "~"}
FREE = ("coalesce", "concat", "greatest", "least", "when")


def call(function: str, *arguments: object) -> Call:
    """A call whose plain values become literals."""
    return Call(function, tuple(as_expr(argument) for argument in arguments))


def as_expr(value: object) -> Expr:
    """The expression itself, or the literal of a plain value."""
    if isinstance(value, Expr):
        return value
    if value is None or isinstance(value, bool | int | float | str | datetime | timedelta):
        return Literal(value)
    raise ExpressionError(f"{value!r} cannot stand in an expression: use numbers, text, True, False, None, datetime or timedelta")


def same(left: Expr, right: Expr) -> bool:
    """True when two trees are alike to the last literal.

    >>> same(col("a") + 1, col("a") + 1)
    True
    """
    return left.key == right.key


def col(name: str) -> Column:
    """The column of this name."""
    return Column(name)


def lit(value: Value) -> Literal:
    """A literal value."""
    made = as_expr(value)
    if not isinstance(made, Literal):
        raise ExpressionError(f"lit({value!r}) is an expression already: use it as it is")
    return made


def concat(*parts: Operand) -> Expr:
    """Texts one behind the other; null when one of them is."""
    return call("concat", *parts)


def least(*values: Operand) -> Expr:
    """The smallest of several values of a row; nulls are passed over."""
    return call("least", *values)


def greatest(*values: Operand) -> Expr:
    """The largest of several values of a row; nulls are passed over."""
    return call("greatest", *values)
