"""From each aggregate's name to the terms it needs and the expression that makes its result.

Law: one function an aggregate, named after it; the table at the end is the whole list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import polars as pl

from eventide.engine.aggregates.buckets import bucket_of, size_of
from eventide.engine.aggregates.exact import two_product, two_sum
from eventide.engine.aggregates.lowering import Lowering, Output
from eventide.engine.aggregates.terms import ORIGIN_US, Product
from eventide.expressions import Aggregation

_INT64 = (-(2**63), 2**63 - 1)


def output_of(lowering: Lowering, aggregation: Aggregation) -> Output:
    """The result expression of an aggregate; its terms are added to `lowering`."""
    return _OUTPUTS[aggregation.function](lowering, aggregation)


def _count(lowering: Lowering, aggregation: Aggregation) -> Output:
    term = lowering.rows() if aggregation.of is None else lowering.values(lowering.column(aggregation))
    return lambda states: pl.col(term.name).fill_null(0)


def _sum(lowering: Lowering, aggregation: Aggregation) -> Output:
    column = lowering.column(aggregation)
    seen = pl.col(lowering.values(column).name) > 0
    if lowering.types[column].is_float():
        exact = lowering.float_sum(column).exact
        return lambda states: pl.when(seen).then(exact.rounded(states))
    whole = lowering.whole_sum(column)
    return lambda states: pl.when(seen).then(pl.col(whole.name).clip(*_INT64).cast(pl.Int64))


def _mean(lowering: Lowering, aggregation: Aggregation) -> Output:
    column = lowering.column(aggregation)
    number = pl.col(lowering.values(column).name)
    if lowering.types[column].is_float():
        exact = lowering.float_sum(column).exact
        return lambda states: pl.when(number > 0).then(exact.rounded(states) / number)
    whole = lowering.whole_sum(column)
    return lambda states: pl.when(number > 0).then(pl.col(whole.name).cast(pl.Float64) / number)


def _min(lowering: Lowering, aggregation: Aggregation) -> Output:
    term = lowering.extreme(lowering.column(aggregation), "min")
    return lambda states: _one_zero(term.name, states)


def _max(lowering: Lowering, aggregation: Aggregation) -> Output:
    term = lowering.extreme(lowering.column(aggregation), "max")
    return lambda states: _one_zero(term.name, states)


def _one_zero(name: str, states: pl.DataFrame) -> pl.Expr:
    """The column with -0.0 as 0.0: they are equal, so which of them is the smaller depends on who came first."""
    column = pl.col(name)
    return pl.when(column == 0.0).then(0.0).otherwise(column) if states.schema[name].is_float() else column


def _range(lowering: Lowering, aggregation: Aggregation) -> Output:
    column = lowering.column(aggregation)
    least, most = lowering.extreme(column, "min"), lowering.extreme(column, "max")
    if lowering.types[column].is_float():
        return lambda states: _one_zero(most.name, states) - _one_zero(least.name, states)
    spread = pl.col(most.name).cast(pl.Int128) - pl.col(least.name).cast(pl.Int128)
    return lambda states: spread.clip(*_INT64).cast(pl.Int64)


def _var(lowering: Lowering, aggregation: Aggregation) -> Output:
    """(n Q - S^2) / (n (n - ddof)) with S and Q exact, so that no cancellation shows."""
    column = lowering.column(aggregation, pl.Float64())
    number = lowering.values(column).name
    total, squares = lowering.float_sum(column).exact, lowering.product(column, column)
    ddof = int(str(aggregation.argument("ddof")))

    def output(states: pl.DataFrame) -> pl.Series:
        n = states.get_column(number).cast(pl.Float64)
        high, low = total.parts(states)
        square, rest = _times(high, high, low)
        spread = _difference(_times(n, *_added(squares, states)), (square, rest + low * high))
        return (spread / (n * (n - ddof))).clip(lower_bound=0.0).set(~(n > ddof).fill_null(False), None)

    return output


def _std(lowering: Lowering, aggregation: Aggregation) -> Output:
    variance = _var(lowering, aggregation)
    return lambda states: variance(states).sqrt()


def _slope(lowering: Lowering, aggregation: Aggregation) -> Output:
    line = _line(lowering, aggregation)
    per_us = float(str(aggregation.argument("per")))
    return lambda states: line(states)[0] * per_us


def _projection(lowering: Lowering, aggregation: Aggregation) -> Output:
    line = _line(lowering, aggregation)
    ahead_us = int(str(aggregation.argument("ahead")))

    def output(states: pl.DataFrame) -> pl.Series:
        slope, centre, height = line(states)
        then_us = (states.get_column("window_end") + (ahead_us - ORIGIN_US)).cast(pl.Int128)
        return height + slope * (then_us - centre).cast(pl.Float64)

    return output


def _line(
    lowering: Lowering, aggregation: Aggregation
) -> Callable[[pl.DataFrame], tuple[pl.Series, pl.Series, pl.Series]]:
    """The least-squares line: slope per microsecond, a time in microseconds since 2020 and the line's height there.

    With u = t - c for a c near the mean time: slope = (n sum(ux) - sum(u) sum(x)) / (n sum(u^2) - sum(u)^2)
    (Draper and Smith, Applied Regression Analysis, chapter 1).
    """
    column = lowering.column(aggregation, pl.Float64())
    number = lowering.values(column).name
    times, total = lowering.time_sums(column), lowering.float_sum(column).exact
    products = lowering.product(column, lowering.time_column(column))

    def line(states: pl.DataFrame) -> tuple[pl.Series, pl.Series, pl.Series]:
        n = states.get_column(number).cast(pl.Int128)
        t, q = states.get_column(f"{times.name}t"), states.get_column(f"{times.name}q")
        centre = t // n.set((n == 0).fill_null(True), None)
        u = t - n * centre
        uu = q - centre * (t + u)
        high, low = total.parts(states)
        ux = _difference(_added(products, states), _times(centre.cast(pl.Float64), high, low))
        spread = (n * uu - u * u).cast(pl.Float64)
        counted, shift = n.cast(pl.Float64), u.cast(pl.Float64)
        slope = ((counted * ux - shift * high) / spread).set(~(spread > 0).fill_null(False), None)
        return slope, centre, (high - slope * shift) / counted

    return line


def _added(product: Product, states: pl.DataFrame) -> tuple[pl.Series, pl.Series]:
    """The sum of products as high + low, from the sums of the rounded products and of their errors."""
    rounded, errors = product.pieces
    high, low = rounded.parts(states)
    error_high, error_low = errors.parts(states)
    high, rest = two_sum(high, error_high)
    return high, rest + low + error_low


def _times(factor: pl.Series, high: pl.Series, low: pl.Series) -> tuple[pl.Series, pl.Series]:
    product, error = two_product(factor, high)
    return product, error + factor * low


def _difference(left: tuple[pl.Series, pl.Series], right: tuple[pl.Series, pl.Series]) -> pl.Series:
    high, error = two_sum(left[0], -right[0])
    return high + (error + left[1] - right[1])


def _first(lowering: Lowering, aggregation: Aggregation) -> Output:
    term = lowering.ordered(lowering.column(aggregation), 1)
    return lambda states: pl.col(term.name).list.first().struct.field("v")


def _last(lowering: Lowering, aggregation: Aggregation) -> Output:
    term = lowering.ordered(lowering.column(aggregation), 1, last=True)
    return lambda states: pl.col(term.name).list.first().struct.field("v")


def _collect(lowering: Lowering, aggregation: Aggregation) -> Output:
    term = lowering.ordered(lowering.column(aggregation), int(str(aggregation.argument("limit"))))
    return lambda states: _or_empty(pl.col(term.name).list.eval(pl.element().struct.field("v")))


def _time_weighted_mean(lowering: Lowering, aggregation: Aggregation) -> Output:
    """Each reading holds until the next one, the last until the window's end."""
    term = lowering.ordered(lowering.column(aggregation, pl.Float64()), None)

    def output(states: pl.DataFrame) -> pl.Expr:
        times = pl.col(term.name).list.eval(pl.element().struct.field("t"))
        values = pl.col(term.name).list.eval(pl.element().struct.field("v"))
        until = pl.concat_list(times, pl.col("window_end"))
        held = until.list.diff().list.slice(1).cast(pl.List(pl.Float64))
        length = (pl.col("window_end") - times.list.first()).cast(pl.Float64)
        return (values * held).list.sum() / length

    return output


def _rate(lowering: Lowering, aggregation: Aggregation) -> Output:
    count = _count(lowering, aggregation)
    per_us = float(str(aggregation.argument("per")))
    length = (pl.col("window_end") - pl.col("window_start")).cast(pl.Float64)
    return lambda states: count(states) * per_us / length


def _any(lowering: Lowering, aggregation: Aggregation) -> Output:
    return _max(lowering, aggregation)


def _all(lowering: Lowering, aggregation: Aggregation) -> Output:
    return _min(lowering, aggregation)


def _count_distinct(lowering: Lowering, aggregation: Aggregation) -> Output:
    """Exact while at most `exact_up_to` hashes were seen; beyond, so many lie below the next one, theta, as all of them
    lie below 2^63 (Dasgupta et al., A Framework for Estimating Stream Expression Cardinalities, ICDT 2016).
    """
    exact_up_to = int(str(aggregation.argument("exact_up_to")))
    term = lowering.smallest_hashes(lowering.column(aggregation), exact_up_to + 1)
    kept = pl.col(term.name).list.len().cast(pl.Int64)
    estimate = exact_up_to * 2.0**63 / pl.col(term.name).list.last().cast(pl.Float64)
    nearly = estimate.round(mode="half_to_even").cast(pl.Int64)
    return lambda states: pl.when(kept > exact_up_to).then(nearly).otherwise(kept).fill_null(0)


def _quantile(lowering: Lowering, aggregation: Aggregation) -> Output:
    """The value of rank ceil(q n), within 1 %, from counts by logarithmic bucket (Masson et al., VLDB 2019)."""
    column = lowering.column(aggregation, pl.Float64())
    tally = lowering.tally(("buckets", column), bucket_of(pl.col(column)))
    least, most = lowering.extreme(column, "min"), lowering.extreme(column, "max")
    q = float(str(aggregation.argument("q"))) if aggregation.function == "quantile" else 0.5

    def output(states: pl.DataFrame) -> pl.Expr:
        counts = pl.col(tally.name).list.eval(pl.element().struct.field("n"))
        rank = (counts.list.sum() * q).ceil().clip(lower_bound=1).cast(pl.Int64)
        behind = counts.list.eval(pl.element().cum_sum()) - rank
        place = behind.list.eval((pl.element() < 0).sum()).list.first()
        found = pl.col(tally.name).list.get(place, null_on_oob=True).struct.field("item")
        return size_of(found).clip(pl.col(least.name), pl.col(most.name))

    return output


def _top_k(lowering: Lowering, aggregation: Aggregation) -> Output:
    column = lowering.column(aggregation)
    tally = lowering.tally(("values", column), pl.col(column))
    k = int(str(aggregation.argument("k")))
    n, item = pl.element().struct.field("n"), pl.element().struct.field("item")
    best = pl.element().sort_by(-n, item).head(k)
    shaped = pl.struct(best.struct.field("item").alias("value"), best.struct.field("n").alias("count"))
    return lambda states: _or_empty(pl.col(tally.name).list.eval(shaped))


def _histogram(lowering: Lowering, aggregation: Aggregation) -> Output:
    column = lowering.column(aggregation, pl.Float64())
    given = aggregation.argument("edges")
    assert isinstance(given, tuple)
    edges = [float(edge) for edge in given]
    x = pl.col(column)
    bins = pl.lit(None, dtype=pl.Int32)
    for place in range(len(edges) - 1):
        last = place == len(edges) - 2
        below = x <= edges[place + 1] if last else x < edges[place + 1]
        bins = pl.when((x >= edges[place]) & below).then(place).otherwise(bins)
    tally = lowering.tally(("bins", column, tuple(edges)), bins)

    def output(states: pl.DataFrame) -> pl.Expr:
        item, n = pl.element().struct.field("item"), pl.element().struct.field("n")
        counts = [
            pl.col(tally.name).list.eval(n.filter(item == place).sum()).list.first().fill_null(0)
            for place in range(len(edges) - 1)
        ]
        return pl.concat_list(counts)

    return output


def _or_empty(lists: pl.Expr) -> pl.Expr:
    return pl.when(lists.is_null()).then(lists.list.head(0)).otherwise(lists).fill_null([])


_OUTPUTS: Mapping[str, Callable[[Lowering, Aggregation], Output]] = {
    "all": _all,
    "any": _any,
    "collect": _collect,
    "count": _count,
    "count_distinct": _count_distinct,
    "first": _first,
    "histogram": _histogram,
    "last": _last,
    "max": _max,
    "mean": _mean,
    "median": _quantile,
    "min": _min,
    "projection": _projection,
    "quantile": _quantile,
    "range": _range,
    "rate": _rate,
    "slope": _slope,
    "std": _std,
    "sum": _sum,
    "time_weighted_mean": _time_weighted_mean,
    "top_k": _top_k,
    "var": _var,
}
