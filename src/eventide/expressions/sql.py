"""Trees to SQL text: in Eventide's own words, which `parse` reads back, or in those of Flink and Spark.

Law: names and texts are quoted by building sqlglot nodes, never by putting strings together. What a dialect cannot say
with the same meaning is refused with the reason.
"""

from __future__ import annotations

from typing import Literal as Choice
from typing import TypeAlias

from eventide.errors import ExpressionError
from eventide.expressions.tree import Aggregation, Expr

SqlDialect: TypeAlias = Choice["eventide", "flink", "spark"]


def to_sql(node: Expr | Aggregation, dialect: SqlDialect = "eventide") -> str:
    """The text of an expression or, in Eventide's own words, of an aggregation.

    Flink and Spark must run in the time zone UTC. Raises `ExpressionError` for what the dialect cannot say.

    >>> from eventide.expressions import col
    >>> to_sql((col("dose") > 2.5) & col("sensor").is_in(["a", "b"]))
    "dose > 2.5 AND sensor IN ('a', 'b')"
    >>> to_sql(col("level").slope(per="1h"))
    "slope(level, per => '1h')"
    >>> to_sql(col("a") / col("b"), "flink")
    'CAST(`a` AS DOUBLE) / CAST(`b` AS DOUBLE)'
    """
    from eventide.expressions.writing import written_aggregation, written_expression

    try:
        if isinstance(node, Expr):
            return written_expression(node, dialect)
    except RecursionError:
        raise ExpressionError("the expression is nested too deeply to print; split it over several columns") from None
    if dialect != "eventide":
        raise ExpressionError(f"{node!r} cannot be printed for {dialect}: aggregations are printed for eventide only")
    return written_aggregation(node)
