"""From raw columns to the columns of a schema: types, ranges, patterns, missing values - the same for every format.

Law: a row that breaks a rule becomes one refused row that names its first bad field; the rows beside it are not
touched.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from eventide.flow import ARRIVAL, INSTANT, OFFSET, REFUSED_SCHEMA, first_reason, rows_as_text
from eventide.semantics.schema import Field, Schema

TYPES: Mapping[str, pl.DataType] = {
    "string": pl.String(),
    "integer": pl.Int64(),
    "float": pl.Float64(),
    "boolean": pl.Boolean(),
    "instant": INSTANT,
    "list": pl.String(),
    "record": pl.String(),
}
"""The Polars type of each field type; lists and records of text formats are kept as JSON text."""

_ISO = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f%:z", "%Y-%m-%dT%H:%M", "%Y-%m-%d")
_UNITS = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 1}
_SHOWN = 80


def schema_columns(schema: Schema) -> dict[str, pl.DataType]:
    """The columns that a schema gives, with their types."""
    return {name: TYPES[rule.type] for name, rule in schema.fields}


def conform(raw: pl.DataFrame, schema: Schema) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows with the schema's columns, and refused rows.

    `raw` has `_offset`, `_arrival` and any columns; columns that the schema does not name are dropped, kept as text
    or a reason to refuse, as `schema.unknown` says.
    """
    made: list[pl.Series] = []
    reasons: list[pl.Series] = []
    for name, rule in schema.fields:
        column = raw.get_column(name) if name in raw.columns else pl.Series(name, [None] * raw.height, dtype=pl.String)
        value, reason = _field(column.alias(name), rule)
        made.append(value)
        if reason.null_count() < raw.height:
            reasons.append(reason.alias(name))
    others = [name for name in raw.columns if name not in schema.names and not name.startswith("_")]
    if others and schema.unknown == "refuse":
        found = raw.select(
            pl.when(pl.col(other).is_not_null()).then(pl.lit(f'unknown field "{other}"')) for other in others
        )
        reasons.append(found.select(pl.coalesce(pl.all())).to_series().alias(others[0]))
    kept = [raw.get_column(name).cast(pl.String) for name in others] if schema.unknown == "keep" else []
    rows = pl.DataFrame([*made, *kept, raw.get_column(OFFSET), raw.get_column(ARRIVAL)])
    reasons = [reason for reason in reasons if reason.null_count() < raw.height]
    if not reasons:
        return rows, pl.DataFrame(schema=REFUSED_SCHEMA)
    return _split(raw, rows, reasons)


def _split(raw: pl.DataFrame, rows: pl.DataFrame, reasons: list[pl.Series]) -> tuple[pl.DataFrame, pl.DataFrame]:
    faults = pl.DataFrame(reasons)
    named = pl.coalesce(pl.when(pl.col(name).is_not_null()).then(pl.lit(name)) for name in faults.columns)
    judged = faults.select(pl.coalesce(pl.all()).alias("reason"), named.alias("field"))
    bad = judged.get_column("reason").is_not_null()
    text = rows_as_text(raw).to_frame()
    refused = pl.concat([raw.select(OFFSET, ARRIVAL), judged, text], how="horizontal").filter(bad)
    return rows.filter(~bad), refused.select(list(REFUSED_SCHEMA)).cast(REFUSED_SCHEMA)  # type: ignore[arg-type]


def _field(column: pl.Series, rule: Field) -> tuple[pl.Series, pl.Series]:
    """The typed column, and a reason for each value that is refused (null where it is good)."""
    value = _typed(column, rule)
    plain = Field(
        rule.type, rule.path, thousands=rule.thousands, formats=rule.formats, unit=rule.unit, timezone=rule.timezone
    )
    if rule == plain and column.null_count() == value.null_count():
        return value, pl.Series([None], dtype=pl.String).new_from_index(0, column.len())
    frame = pl.DataFrame([column.alias("raw"), value.alias("value")])
    shown = pl.lit('"') + pl.col("raw").cast(pl.String).str.slice(0, _SHOWN) + pl.lit('"')
    what = {"integer": "a whole number", "float": "a number", "boolean": "true or false", "instant": "a time"}.get(
        rule.type, "text"
    )
    present, got = pl.col("raw").is_not_null(), pl.col("value")
    reasons = [(present & got.is_null(), pl.lit(f"not {what}: ") + shown)]
    if not rule.nullable:
        reasons.append((~present, pl.lit("missing")))
    if rule.minimum is not None:
        reasons.append((got < rule.minimum, pl.lit(f"below minimum {rule.minimum}: ") + shown))
    if rule.maximum is not None:
        reasons.append((got > rule.maximum, pl.lit(f"above maximum {rule.maximum}: ") + shown))
    if rule.pattern is not None:
        reasons.append((~got.str.contains(f"^(?:{rule.pattern})$"), pl.lit("does not match the pattern: ") + shown))
    if rule.choices:
        reasons.append((~got.is_in(list(rule.choices)), pl.lit("not one of the choices: ") + shown))
    return value, frame.select(first_reason(reasons).alias("reason")).to_series()


def _textual(column: pl.Series) -> bool:
    return column.dtype in (pl.String, pl.Categorical, pl.Null)


def _typed(column: pl.Series, rule: Field) -> pl.Series:
    if rule.type == "instant":
        return _instants(column, rule)
    wanted = TYPES[rule.type]
    if column.dtype == wanted or (rule.type in ("list", "record") and column.dtype.is_nested()):
        return column
    if rule.type in ("integer", "float"):
        return _numbers(column, rule)
    if rule.type == "boolean" and _textual(column):
        text = column.cast(pl.String).str.to_lowercase()
        words = {"true": True, "1": True, "false": False, "0": False}
        return text.replace_strict(words, default=None, return_dtype=pl.Boolean)
    return column.cast(wanted, strict=False)


def _numbers(column: pl.Series, rule: Field) -> pl.Series:
    if _textual(column):
        text = column.cast(pl.String).str.strip_chars()
        if rule.thousands is not None:
            text = text.str.replace_all(rule.thousands, "", literal=True)
        return text.cast(TYPES[rule.type], strict=False)
    if column.dtype.is_float() and rule.type == "integer":
        whole = column.cast(pl.Int64, strict=False)
        return whole.set(whole.cast(pl.Float64) != column, None)
    return column.cast(TYPES[rule.type], strict=False)


def _instants(column: pl.Series, rule: Field) -> pl.Series:
    if isinstance(column.dtype, pl.Datetime):
        moment = (
            column
            if column.dtype.time_zone
            else column.dt.replace_time_zone(rule.timezone, ambiguous="earliest", non_existent="null")
        )
        return moment.cast(INSTANT)
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC").cast(INSTANT)
    if column.dtype.is_numeric():
        return _since_epoch(column, rule)
    text = column.cast(pl.String)
    digits = text.str.contains(r"^-?\d+(\.\d+)?$")
    if not rule.formats and digits.any():
        numbers = _since_epoch(text.cast(pl.Float64 if rule.unit == "s" else pl.Int64, strict=False), rule)
        return numbers if digits.all() else numbers.zip_with(digits.fill_null(False), _texts(text, rule))
    return _texts(text, rule)


def _since_epoch(numbers: pl.Series, rule: Field) -> pl.Series:
    scale = _UNITS[rule.unit]
    if numbers.dtype.is_float():
        whole = (numbers * scale).round().cast(pl.Int64, strict=False)
    else:
        whole = numbers.cast(pl.Int64, strict=False)
        fits = whole.abs() < (2**62) // scale
        whole = (whole * scale).set(~fits, None)
    return (whole // 1_000 if rule.unit == "ns" else whole).cast(INSTANT)


def _texts(text: pl.Series, rule: Field) -> pl.Series:
    """Texts by each format in turn, until none is left unread."""
    result = pl.Series(text.name, [None], dtype=INSTANT).new_from_index(0, text.len())
    plain = text
    if not rule.formats:
        plain = text.str.replace(" ", "T", literal=True).str.replace(r"[zZ]$", "+00:00")
        if (utc := plain.str.ends_with("+00:00")).all():
            naive = plain.str.strip_suffix("+00:00").str.to_datetime(_ISO[0], time_unit="us", strict=False)
            result = naive.dt.replace_time_zone("UTC").cast(INSTANT).zip_with(utc.fill_null(True), result)
    for pattern in rule.formats or _ISO:
        left = result.is_null() & text.is_not_null()
        if not left.any():
            break
        result = result.zip_with(~left, _by_format(plain, pattern, rule.timezone))
    return result


def _by_format(text: pl.Series, pattern: str, timezone: str) -> pl.Series:
    if pattern.endswith(("%z", "%:z", "%#z")):
        return text.str.to_datetime(pattern, time_unit="us", time_zone="UTC", strict=False).cast(INSTANT)
    if not any(part in pattern for part in ("%H", "%T", "%I", "%s")):
        found = text.str.to_date(pattern, strict=False).cast(pl.Datetime("us"))
    else:
        found = text.str.to_datetime(pattern, time_unit="us", strict=False)
    return found.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null").cast(INSTANT)
