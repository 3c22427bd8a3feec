"""Text to trees: the small SQL of `dialect`, as plans in YAML and JSON hold it.

Law: `parse_expression(to_sql(tree))` is the same tree, for every tree. Nothing but the words, operators and
functions of the language is taken, so a text can compute with the columns of a row and do nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from eventide.errors import ExpressionError
from eventide.expressions.aggregation import aggregation
from eventide.expressions.signatures import LANGUAGE
from eventide.expressions.tree import Aggregation, Expr

if TYPE_CHECKING:
    from sqlglot import exp

T = TypeVar("T")

_TEXT_MAX = 20_000


def parse_expression(sql: str) -> Expr:
    """The expression that a text says.

    A column whose name is not a plain word stands in double quotes, text in single quotes. Instants are
    `instant('2020-02-29T12:00:00Z')`, durations `duration('5m')`. The methods of expressions are functions:
    `lower(name)`, `round(dose, 2)`. Raises `ExpressionError` that says what cannot be read and where.

    >>> parse_expression("dose * 1000 > 2.5 AND sensor IS NOT NULL")
    ((col("dose") * 1000) > 2.5) & col("sensor").is_not_null()
    """
    from eventide.expressions.reading import read_expression

    return _read(sql, read_expression)


def parse_aggregation(sql: str) -> Aggregation:
    """The aggregation that a text says: `function(expression, setting => value, ...)`.

    Settings may also be given by place, in the order of `settings.SETTINGS`; durations are text, histogram edges
    `[0, 1, 10]`. `count()` and `rate(per => '1m')` count events. Raises `ExpressionError`.

    >>> parse_aggregation("quantile(dose, 0.99)")
    col("dose").quantile(q=0.99)
    >>> parse_aggregation("slope(level, per => '1h')").argument("per")
    3600000000
    """
    from eventide.expressions.reading import read_aggregation

    function, of, settings = _read(sql, read_aggregation)
    try:
        return aggregation(function, of, **settings)
    except ValueError as fault:
        raise ExpressionError(f"cannot read {sql!r}: {fault}") from None


def _read(sql: str, read: Callable[[exp.Expr], T]) -> T:
    if type(sql) is not str or not sql.strip():
        raise ExpressionError(f"cannot read {sql!r}: an expression is a text such as 'dose > 2.5'")
    if len(sql) > _TEXT_MAX:
        raise ExpressionError(f"cannot read {sql[:40]!r}...: it has {len(sql)} characters, and {_TEXT_MAX} are allowed")
    try:
        return read(_parsed(sql))
    except ExpressionError as fault:
        raise ExpressionError(f"cannot read {sql!r}: {fault}") from None
    except RecursionError:
        raise ExpressionError(
            f"cannot read {sql[:40]!r}...: it is nested too deeply; split it over several columns"
        ) from None


def _parsed(sql: str) -> exp.Expr:
    import sqlglot
    from sqlglot.errors import ParseError, TokenError

    from eventide.expressions.dialect import EventideDialect

    try:
        return sqlglot.parse_one(sql, read=EventideDialect)
    except ParseError as fault:
        where = fault.errors[0] if fault.errors else {}
        near = f"near {where.get('highlight')!r} (line {where.get('line')}, column {where.get('col')})"
        raise ExpressionError(f"it cannot be understood {near}; {LANGUAGE}") from None
    except TokenError:
        raise ExpressionError("a quote is opened and not closed; text stands in single quotes, 'like this'") from None
