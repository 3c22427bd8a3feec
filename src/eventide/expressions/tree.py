"""Expressions: a small tree over the columns of a row, which prints as Polars, as SQL and as Python.

Law: a tree is immutable and says what is computed, never where. `==` builds a comparison; `same` compares trees.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from eventide.errors import ExpressionError
from eventide.expressions.aggregates import Aggregates
from eventide.expressions.notation import Written, call_text, kind_of, receiver
from eventide.expressions.settings import OF_EVENTS, settled
from eventide.expressions.values import Value, literal_value, quoted
from eventide.instants import Instant

Operand: TypeAlias = "Expr | Value"

_CASTS = {str: "to_string", int: "to_integer", float: "to_float", bool: "to_boolean", Instant: "to_instant"}


class Expr(Aggregates["Aggregation"]):
    """An expression over the columns of a row. Make one with `col`, `lit` or `when`, and combine them.

    >>> (col("dose") * 1000 > 2.5) & col("sensor").is_not_null()
    ((col("dose") * 1000) > 2.5) & col("sensor").is_not_null()
    """

    __slots__ = ()

    @property
    def key(self) -> tuple[object, ...]:
        """The structure of the tree as plain values: what `same` and `hash` go by."""
        raise NotImplementedError  # the three kinds below define it

    def __hash__(self) -> int:
        return hash(self.key)

    def __bool__(self) -> bool:
        raise ExpressionError(
            f"{self!r} has no truth of its own: combine conditions with & | ~ instead of and, or, not"
        )

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

    def __rfloordiv__(self, other: Operand) -> Expr:
        return call("floordiv", other, self)

    def __mod__(self, other: Operand) -> Expr:
        return call("mod", self, other)

    def __rmod__(self, other: Operand) -> Expr:
        return call("mod", other, self)

    def __pow__(self, other: Operand) -> Expr:
        return call("pow", self, other)

    def __rpow__(self, other: Operand) -> Expr:
        return call("pow", other, self)

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
        """True where the value is one of `values`; null where it is not and one of them is null."""
        if isinstance(values, str):
            raise ValueError(f"is_in({values!r}) would compare with each letter: give a list, such as [{values!r}]")
        listed = tuple(values)
        if not listed:
            raise ValueError("is_in([]) can never be true: give at least one value")
        return call("is_in", self, *listed)

    def is_between(self, low: Operand, high: Operand) -> Expr:
        """True where `low <= value <= high`."""
        return (self >= low) & (self <= high)

    def fill_null(self, value: Operand) -> Expr:
        """`value` where there is none."""
        return call("coalesce", self, value)

    def cast(self, to: type) -> Expr:
        """The value as `str`, `int`, `float`, `bool` or `et.Instant`; null where that cannot be.

        Integers become instants, and instants and durations become integers, as microseconds. Floats are cut towards
        zero.
        """
        if to not in _CASTS:
            raise ExpressionError(f"cast({to!r}) is not possible: use str, int, float, bool or et.Instant")
        return call(_CASTS[to], self)

    def abs(self) -> Expr:
        """The size of a number."""
        return call("abs", self)

    def round(self, digits: int = 0) -> Expr:
        """Rounded to so many digits behind the point, halves away from zero."""
        if type(digits) is not int or not 0 <= digits <= 15:
            raise ValueError(f"round(digits={digits!r}): digits must be a whole number from 0 to 15")
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

    def sign(self) -> Expr:
        """1 above zero, -1 below, 0 at zero."""
        return call("sign", self)

    def clip(self, low: Operand, high: Operand) -> Expr:
        """The value, but not below `low` and not above `high`; null stays null and NaN stays NaN."""
        return call("clip", self, low, high)

    def lower(self) -> Expr:
        """The text in small letters."""
        return call("lower", self)

    def upper(self) -> Expr:
        """The text in capitals."""
        return call("upper", self)

    def strip(self) -> Expr:
        """The text without spaces, tabs and line ends around it."""
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
        """True where the regular expression is found in the text; write `^...$` for the whole text.

        The language is that of Rust's regex crate: no look-around and no references back.
        """
        return call("matches", self, pattern)

    def replace(self, old: str, new: str) -> Expr:
        """The text with every `old` replaced by `new`, letter for letter."""
        if not old:
            raise ValueError('replace(old="") has nothing to look for: give at least one letter')
        return call("replace", self, old, new)

    def hour(self) -> Expr:
        """The hour of an instant, 0 to 23, UTC."""
        return call("hour", self)

    def minute(self) -> Expr:
        """The minute of an instant, 0 to 59, UTC."""
        return call("minute", self)

    def weekday(self) -> Expr:
        """The day of the week of an instant, 1 (Monday) to 7, UTC."""
        return call("weekday", self)

    def _aggregation(self, function: str, **arguments: object) -> Aggregation:
        return Aggregation(function, self, settled(function, arguments))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Column(Expr):
    """A column of the row."""

    name: str

    def __post_init__(self) -> None:
        if type(self.name) is not str or not self.name:
            raise ValueError(f'col({self.name!r}): a column has a name, such as col("dose")')

    @property
    def key(self) -> tuple[object, ...]:
        return ("column", self.name)

    def __repr__(self) -> str:
        return f"col({quoted(self.name)})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Literal(Expr):
    """A value that stands in the text of the expression. Instants are held in UTC."""

    value: Value

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", literal_value(self.value))

    @property
    def key(self) -> tuple[object, ...]:
        # the type's name keeps 1, 1.0 and True apart; the text keeps -0.0 and NaN apart from their equals
        return ("literal", type(self.value).__name__, repr(self.value))

    def __repr__(self) -> str:
        return quoted(self.value) if isinstance(self.value, str) else repr(self.value)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Call(Expr):
    """A function of other expressions. `function` is one of the names in `signatures.SIGNATURES`."""

    function: str
    arguments: tuple[Expr, ...]

    @property
    def key(self) -> tuple[object, ...]:
        return (self.function, *(argument.key for argument in self.arguments))

    def __repr__(self) -> str:
        return call_text(self.function, [_written(argument) for argument in self.arguments])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Aggregation:
    """An aggregation: its function, its expression (None: the events themselves) and its settings.

    Settings are those of `settings.SETTINGS`, complete and in that order, durations in microseconds. Make one with a
    method of an expression, with `count()` or `rate()`; `aggregation()` makes one by name.
    """

    function: str
    of: Expr | None
    arguments: tuple[tuple[str, object], ...] = ()

    def __post_init__(self) -> None:
        if self.of is None and self.function not in OF_EVENTS:
            raise ValueError(f'{self.function} needs an expression: for example col("dose").{self.function}(...)')

    def argument(self, name: str) -> object:
        """The setting of this name. Raises `KeyError` when the aggregation has no such setting."""
        return dict(self.arguments)[name]

    @property
    def key(self) -> tuple[object, ...]:
        """The structure as plain values."""
        return ("aggregation", self.function, None if self.of is None else self.of.key, self.arguments)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Aggregation) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.arguments)
        before = "" if self.of is None else f"{receiver(_written(self.of))}."
        return f"{before}{self.function}({settings})"


def call(function: str, *arguments: object) -> Call:
    """A call whose plain values become literals."""
    return Call(function, tuple(as_expr(argument) for argument in arguments))


def as_expr(value: object) -> Expr:
    """The expression itself, or the literal of a plain value. Raises `ExpressionError` for what is neither."""
    return value if isinstance(value, Expr) else Literal(value)  # type: ignore[arg-type] # Literal refuses the rest


def _written(expression: Expr) -> Written:
    if isinstance(expression, Call):
        return repr(expression), kind_of(expression.function)
    return repr(expression), "value" if isinstance(expression, Literal) else "term"


def same(left: Expr | Aggregation, right: Expr | Aggregation) -> bool:
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
    return Literal(value)
