"""From raw columns to the columns of a schema: types, ranges, patterns, missing values - the same for every format.

Law: a row that breaks a rule becomes one refused row that names its first bad field; the rows beside it are not
touched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import polars as pl

from eventide.connectors.formats.text import NUMBER, UNKNOWN
from eventide.flow import ARRIVAL, INSTANT, OFFSET, REFUSED_SCHEMA, first_reason, rows_as_text
from eventide.flow.batch import writable
from eventide.semantics.schema import UNKNOWN_FIELDS, DataType, Field, Schema

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
_NUMBER = r"^-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$"
_DAY_AND_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ])[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?([zZ]|\+00:00)?", re.ASCII
)


def reads_as(values: pl.Series, kind: DataType) -> bool:
    """True when every value reads as this type."""
    return _typed(values, Field(kind)).null_count() == values.null_count()


def schema_columns(schema: Schema) -> dict[str, pl.DataType]:
    """The columns that a schema gives, with their types."""
    columns = {name: TYPES[rule.type] for name, rule in schema.fields}
    return columns | ({UNKNOWN_FIELDS: pl.String()} if schema.unknown == "keep" else {})


def check_arrival(arrival: str | None, schema: Schema) -> None:
    """Refuse a column of arrival times that the schema does not have or that holds no instants."""
    if arrival is None:
        return
    if arrival not in schema.names:
        raise ValueError(f"arrival={arrival!r} is not a column of the schema: add it, or leave arrival= out")
    if schema[arrival].type != "instant":
        raise ValueError(f"arrival={arrival!r} is a column of type {schema[arrival].type}: give it the type et.Instant")


def conform(raw: pl.DataFrame, schema: Schema, arrival: str | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows with the schema's columns, and refused rows.

    `raw` has `_offset`, `_arrival` and any columns. Where `arrival` names a column, rows arrive when it says, refused
    ones too if it can be read. Columns that the schema does not name (or `_unknown`, where the format has gathered
    them) are left out, kept as JSON in the column `unknown` or a reason to refuse, as `schema.unknown` says.
    """
    made: list[pl.Series] = []
    reasons: list[pl.Series] = []
    for name, rule in schema.fields:
        column = raw.get_column(name) if name in raw.columns else pl.Series(name, [None] * raw.height, dtype=pl.String)
        value, reason = _field(column.alias(name), rule)
        made.append(value)
        if reason.null_count() < raw.height:
            reasons.append(reason.alias(name))
    if schema.unknown != "drop":
        others = _others(raw, schema)
        if schema.unknown == "keep":
            made.append(others.alias(UNKNOWN_FIELDS))
        elif others.null_count() < raw.height:
            reasons.append(_unknown_field(others))
    rows = pl.DataFrame([*made, raw.get_column(OFFSET), raw.get_column(ARRIVAL)])
    if arrival is not None:
        rows = rows.with_columns(pl.col(arrival).alias(ARRIVAL))
    if not reasons:
        return rows, pl.DataFrame(schema=REFUSED_SCHEMA)
    return _split(raw, rows, reasons)


def _split(raw: pl.DataFrame, rows: pl.DataFrame, reasons: list[pl.Series]) -> tuple[pl.DataFrame, pl.DataFrame]:
    faults = pl.DataFrame(reasons)
    named = pl.coalesce(pl.when(pl.col(name).is_not_null()).then(pl.lit(name)) for name in faults.columns)
    judged = faults.select(pl.coalesce(pl.all()).alias("reason"), named.alias("field"))
    bad = judged.get_column("reason").is_not_null()
    text = rows_as_text(raw.filter(bad)).to_frame()
    refused = pl.concat([rows.select(OFFSET, ARRIVAL).filter(bad), judged.filter(bad), text], how="horizontal")
    return rows.filter(~bad), refused.select(list(REFUSED_SCHEMA)).cast(REFUSED_SCHEMA)  # type: ignore[arg-type] # names to types


def _others(raw: pl.DataFrame, schema: Schema) -> pl.Series:
    """What the schema does not name of each row, as a JSON object."""
    if UNKNOWN in raw.columns:
        return raw.get_column(UNKNOWN)
    known = {*schema.names, OFFSET, ARRIVAL, NUMBER}
    others = {name: name for name in raw.columns if name not in known}
    return raw.select(as_json(others, raw.schema).alias(UNKNOWN)).to_series()


def as_json(names: Mapping[str, str], types: Mapping[str, pl.DataType]) -> pl.Expr:
    """Columns under the names given as one JSON object, without those that are null; null where all are."""
    if not names:
        return pl.lit(None, dtype=pl.String)
    members = [
        pl.when(pl.col(column).is_not_null()).then(
            pl.struct(writable(column, types[column]).alias(name)).struct.json_encode().str.slice(1).str.head(-1)
        )
        for column, name in names.items()
    ]
    inside = pl.concat_str(members, separator=",", ignore_nulls=True)
    return pl.when(inside != "").then(pl.lit("{") + inside + pl.lit("}"))


def _unknown_field(others: pl.Series) -> pl.Series:
    """The reason to refuse rows that have something unknown; the column is named for the first of them."""
    first = others.str.extract(r'^\{"((?:[^"\\]|\\.)*)"')
    name = str(first.drop_nulls()[0])
    reason = pl.Series(others.name, ['unknown field "'], dtype=pl.String).new_from_index(0, others.len()) + first + '"'
    return reason.alias(name)


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
    if column.dtype == wanted:
        return column
    if column.dtype.is_nested():
        json = pl.struct(v=pl.col(column.name)).struct.json_encode().str.slice(5).str.head(-1)
        return column.to_frame().select(pl.when(pl.col(column.name).is_not_null()).then(json)).to_series()
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
        if rule.thousands is not None and (grouped := text.str.contains(rule.thousands, literal=True)).any():
            mark = re.escape(rule.thousands)
            right = text.str.contains(rf"^[+-]?[0-9]{{1,3}}(?:{mark}[0-9]{{3}})+(?:\.[0-9]+)?$")
            text = text.str.replace_all(rule.thousands, "", literal=True).set(grouped & ~right, None)
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
    if column.dtype.is_numeric() and not rule.formats:
        return _since_epoch(column, rule)
    text = column.cast(pl.String)
    if rule.formats or not (numeric := text.str.contains(_NUMBER)).any():
        return _texts(text, rule)
    whole = numeric & ~text.str.contains("[.eE]")
    found = _since_epoch(text.set(~whole, None).cast(pl.Int64, strict=False), rule)
    if whole.sum() < numeric.sum():
        broken = _since_epoch(text.set(~numeric, None).cast(pl.Float64, strict=False), rule)
        found = found.zip_with(whole.fill_null(True), broken)
    return found if numeric.all() else found.zip_with(numeric.fill_null(False), _texts(text.set(numeric, None), rule))


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
    if not rule.formats:
        result = _like_the_first(text, rule.timezone)
        if result.null_count() == text.null_count():
            return result
        text = text.str.replace(" ", "T", literal=True).str.replace(r"[zZ]$", "+00:00")
    for pattern in rule.formats or _ISO:
        left = result.is_null() & text.is_not_null()
        if not left.any():
            break
        result = result.zip_with(~left, _by_format(text.set(~left, None), pattern, rule.timezone))
    return result


def _like_the_first(text: pl.Series, timezone: str) -> pl.Series:
    """Texts written as exactly as the first one, if that is the usual ISO 8601; null where they are not.

    Digits in fixed places are read several times as fast as by a pattern of strptime.
    """
    unread = pl.Series(text.name, [None], dtype=INSTANT).new_from_index(0, text.len())
    sample = text.first(ignore_nulls=True)
    found = _DAY_AND_TIME.fullmatch(sample) if isinstance(sample, str) else None
    if found is None:
        return unread
    day, fraction, zone = found[1], len(found[2] or ".") - 1, found[3] or ""
    pattern = (
        rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}{day}(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
        + (rf"\.[0-9]{{{fraction}}}" if fraction else "")
        + re.escape(zone)
        + "$"
    )
    alike = pl.when(pl.col("text").str.contains(pattern)).then(pl.col("text"))
    frame = pl.DataFrame([text.alias("text")]).select(alike)
    written = pl.col("text").str

    def digits(place: int, many: int) -> pl.Expr:
        return written.slice(place, many).cast(pl.Int64, strict=False)

    time_us = (digits(11, 2) * 3_600 + digits(14, 2) * 60 + digits(17, 2)) * 1_000_000
    if fraction:
        time_us += digits(20, fraction) * 10 ** (6 - fraction)
    date = written.slice(0, 10).str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("us")).cast(pl.Int64)
    local = frame.select((date + time_us).cast(pl.Datetime("us"))).to_series().alias(text.name)
    if zone:
        return local.dt.replace_time_zone("UTC")
    return local.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null").cast(INSTANT)


def _by_format(text: pl.Series, pattern: str, timezone: str) -> pl.Series:
    if pattern.endswith(("%z", "%:z", "%#z")):
        return text.str.to_datetime(pattern, time_unit="us", time_zone="UTC", strict=False).cast(INSTANT)
    if not any(part in pattern for part in ("%H", "%T", "%I", "%s")):
        found = text.str.to_date(pattern, strict=False).cast(pl.Datetime("us"))
    else:
        found = text.str.to_datetime(pattern, time_unit="us", strict=False)
    return found.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null").cast(INSTANT)
