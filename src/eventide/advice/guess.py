"""Guesses about a plain file: which column holds the time, which the arrival, which the device, and how times read.

Law: a guess is shown with the words that override it; where nothing fits, the error names the columns.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from eventide.connectors import by_arrival, read_csv, read_ndjson, read_parquet
from eventide.errors import PlanError
from eventide.instants import Instant
from eventide.plan import Stream
from eventide.semantics.eventtime import bounded
from eventide.semantics.schema import Field, Unit, field

_TIMES: Final = (
    "event_time",
    "timestamp",
    "captured",
    "detect",
    "reported",
    "measured",
    "observed",
    "time",
    "date",
    "at",
    "ts",
)
_ARRIVALS: Final = ("arriv", "received", "upload", "ingest", "stored", "_timestamp", "server")
_KEYS: Final = (
    "device_urn",
    "device_id",
    "device.id",
    "deveui",
    "dev_eui",
    "devaddr",
    "device",
    "sensor",
    "station",
    "dev-id",
    "key",
    "id",
)
_FORMATS: Final = (
    "%b %d, %Y @ %H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M:%S%.f",
    "%d.%m.%Y %H:%M:%S%.f",
    "%d/%m/%Y %H:%M:%S%.f",
    "%m/%d/%Y %H:%M:%S%.f",
)
_SAMPLE_LINES = 200
_TEXT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")


@dataclass(frozen=True, slots=True)
class Guess:
    """What was told or guessed about a file. Paths are column names or, in nested rows, paths such as `a.b[0].c`; the
    stream's columns have the same names without leading underscores.
    """

    time: str
    arrival: str | None
    key: str | None
    order: str

    def __str__(self) -> str:
        told = [f"--time {self.time!r}", f"--order {self.order}"]
        told += [f"--arrival {self.arrival!r}"] if self.arrival else []
        told += [f"--key {self.key!r}"] if self.key else []
        return "read with " + " ".join(told)


def stream_of_file(  # noqa: PLR0913 - what a person may say about a file
    path: Path,
    *,
    time: str | None = None,
    arrival: str | None = None,
    key: str | None = None,
    order: str | None = None,
    time_format: str | None = None,
    max_age: str | None = None,
) -> tuple[Stream, Guess]:
    """A stream of a plain file with its event time set, and what was guessed for it.

    `order` is `as_is`, `reversed` or `arrival`. Raises `PlanError` with the columns where no time is found.
    """
    suffix = Path(path.name.removesuffix(".gz").removesuffix(".zst")).suffix
    if suffix == ".parquet":
        return _of_parquet(path, time, arrival, key, order, max_age)
    rows, separator = _sample(path, suffix)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    found = _columns(columns, rows, (time, arrival, key))
    fields = {column_of(name): _instant(name, rows, time_format) for name in found[:2] if name is not None}
    if found[2] is not None:
        fields[column_of(found[2])] = field(str, path=found[2])
    formats = () if found[1] is None else fields[column_of(found[1])].formats
    way = order or _order_of(rows, found[1], formats)
    guess = Guess(found[0], found[1], found[2], way)
    places = {"as_is": "as_is", "reversed": "reversed", "arrival": by_arrival(_tie(rows, found[1], formats))}
    if way not in places:
        raise ValueError(f"order={way!r} is not a choice: use {', '.join(places)}")
    arrived = None if found[1] is None else column_of(found[1])
    settings = {"schema": fields, "arrival": arrived, "order": places[way]}
    read = read_ndjson(path, **settings) if separator == "" else read_csv(path, separator=separator, **settings)  # type: ignore[arg-type] # settings by name
    return _timed(read, column_of(found[0]), max_age, arrived is not None), guess


def column_of(path: str) -> str:
    """The name that a column of a file has in the stream: names with an underscore in front are Eventide's own."""
    return path.lstrip("_") or path


def _timed(stream: Stream, column: str, max_age: str | None, has_arrival: bool) -> Stream:
    # without a recorded arrival every row arrives now: a guard against the future would judge the wrong thing
    return stream.event_time(column, bounded("0s"), max_age=max_age, max_future="1h" if has_arrival else None)


def _of_parquet(
    path: Path, time: str | None, arrival: str | None, key: str | None, order: str | None, max_age: str | None
) -> tuple[Stream, Guess]:
    if not path.exists():
        raise PlanError.of("advise", f"there is no file {path}", "Check the path")
    try:
        schema = pl.read_parquet_schema(path)
    except (pl.exceptions.PolarsError, OSError) as fault:
        raise PlanError.of("advise", f"{path} does not read as Parquet: {fault}", "Give a whole file") from None
    instants = [name for name, dtype in schema.items() if isinstance(dtype, pl.Datetime)]
    others = [name for name in schema if name not in instants]
    late = arrival or _named(instants, _ARRIVALS)
    when = time or _named([name for name in instants if name != late], _TIMES) or next(iter(instants), None)
    if when is None:
        raise PlanError.of("advise", f"{path} has no column of instants", f"Columns are {', '.join(schema)}")
    who = key or _named(others, _KEYS)
    way = order or ("arrival" if late else "as_is")
    read = read_parquet(path, arrival=late, order=by_arrival() if way == "arrival" else way)  # type: ignore[arg-type] # one of the words
    return _timed(read, when, max_age, late is not None), Guess(when, late, who, way)


def _sample(path: Path, suffix: str) -> tuple[list[dict[str, str]], str]:
    """The first rows of a file as texts by column, and the separator ("" for JSON)."""
    if not path.exists():
        raise PlanError.of("advise", f"there is no file {path}", "Check the path")
    if path.name.endswith(".zst"):
        raise PlanError.of("advise", f"{path} is compressed with zstd", "Unpack it, or give a pipeline that reads it")
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8")
            if path.name.endswith(".gz")
            else path.open(encoding="utf-8") as file
        ):
            lines = [line for _, line in zip(range(_SAMPLE_LINES), file, strict=False)]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as fault:
        raise PlanError.of(
            "advise", f"{path} cannot be read: {fault}", "Give a file of UTF-8 text, packed or not"
        ) from None
    if not lines:
        raise PlanError.of("advise", f"{path} is empty", "Give a file with rows")
    if suffix in (".ndjson", ".jsonl", ".json"):
        return [_flat(_row(line, path)) for line in lines if line.strip()], ""
    separator = max(",;\t|", key=lines[0].count)
    try:
        frame = pl.read_csv(
            "".join(lines).encode(), separator=separator, infer_schema=False, truncate_ragged_lines=True
        )
    except pl.exceptions.PolarsError:
        remedy = "Give a .csv, .ndjson or .parquet file, or a pipeline that reads it"
        raise PlanError.of("advise", f"{path} does not read as a table with a header", remedy) from None
    return [{name: value for name, value in row.items() if value} for row in frame.iter_rows(named=True)], separator


def _row(line: str, path: Path) -> object:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        remedy = "Give a file with one JSON object on each line, or a pipeline that reads it"
        raise PlanError.of("advise", f"{path} has a line that is no JSON: {line[:60].strip()!r}", remedy) from None


def _flat(value: object, path: str = "") -> dict[str, str]:
    """A nested row as texts by path; of a list the first element only."""
    if isinstance(value, dict):
        parts = [_flat(inner, f"{path}.{name}" if path else str(name)) for name, inner in value.items()]
        return {name: text for part in parts for name, text in part.items()}
    if isinstance(value, list):
        return _flat(value[0], f"{path}[0]") if value else {}
    return {} if value is None or not path else {path: str(value)}


def _columns(
    columns: Sequence[str], rows: Sequence[Mapping[str, str]], told: tuple[str | None, str | None, str | None]
) -> tuple[str, str | None, str | None]:
    instants = [name for name in columns if _is_instant(name, rows)]
    arrival = told[1] or _named([name for name in instants if name != told[0]], _ARRIVALS)
    time = told[0] or _named([name for name in instants if name != arrival], _TIMES)
    time = time or next((name for name in instants if name != arrival), None)
    if time is None:
        raise PlanError.of(
            "advise", "no column looks like a time", f"Say which: --time ... of {', '.join(columns) or 'its columns'}"
        )
    rest = [name for name in columns if name not in instants]
    return time, arrival, told[2] or _named(rest, _KEYS)


def _named(columns: Sequence[str], words: Sequence[str]) -> str | None:
    """The column whose name fits the first word that fits any; among equals the shortest path."""
    for word in words:
        exact = [name for name in columns if name.lower().split(".")[-1] == word or name.lower() == word]
        within = [name for name in columns if word in name.lower() and len(word) > 2]
        if exact or within:
            return min(exact or within, key=lambda name: (name.count(".") + name.count("["), columns.index(name)))
    return None


def _is_instant(name: str, rows: Sequence[Mapping[str, str]]) -> bool:
    texts = [row[name] for row in rows if name in row][:20]
    return bool(texts) and all(_TEXT.match(text) or _unit(text) or _format(text) for text in texts)


def _unit(text: str) -> Unit | None:
    """The unit of a number that is an instant between 2001 and 2100."""
    number = re.fullmatch(r"(\d+)(\.\d*)?", text)
    if number is None:
        return None
    units: tuple[tuple[Unit, float], ...] = (("s", 1.0), ("ms", 1e3), ("us", 1e6), ("ns", 1e9))
    return next((unit for unit, scale in units if 1e9 * scale <= int(number[1]) < 4.1e9 * scale), None)


def _format(text: str) -> str | None:
    for pattern in _FORMATS:
        if pl.Series([text]).str.to_datetime(pattern, strict=False, time_unit="us").null_count() == 0:
            return pattern
    return None


def _instant(name: str, rows: Sequence[Mapping[str, str]], time_format: str | None) -> Field:
    text = next((row[name] for row in rows if name in row), "")
    if _unit(text) is not None:
        return field(Instant, path=name, unit=_unit(text) or "ms")
    if _TEXT.match(text) and "T" in text:
        return field(Instant, path=name)
    known = time_format or _format(text)
    return field(Instant, path=name) if known is None else field(Instant, path=name, formats=known)


def _arrivals(rows: Sequence[Mapping[str, str]], arrival: str, formats: Sequence[str]) -> pl.Series:
    texts = pl.Series([row[arrival] for row in rows if arrival in row], dtype=pl.String)
    if formats:
        return texts.str.to_datetime(formats[0], strict=False, time_unit="us").drop_nulls()
    return texts if texts.str.contains("T").any() else texts.cast(pl.Float64, strict=False).drop_nulls()


def _order_of(rows: Sequence[Mapping[str, str]], arrival: str | None, formats: Sequence[str]) -> str:
    if arrival is None:
        return "as_is"
    return "as_is" if _arrivals(rows, arrival, formats).is_sorted() else "arrival"


def _tie(rows: Sequence[Mapping[str, str]], arrival: str | None, formats: Sequence[str]) -> str:
    """Rows of one arrival stand as in the file; in a file that runs backwards, the other way round."""
    if arrival is None:
        return "offset"
    return "reversed" if _arrivals(rows, arrival, formats).is_sorted(descending=True) else "offset"
