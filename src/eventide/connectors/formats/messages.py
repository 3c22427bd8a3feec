"""Messages of a broker as rows: many small values, each one record, parsed together.

Law: a message is one row or one refused row, under its own offset; which messages were parsed together shows nowhere.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import polars as pl

from eventide.connectors.formats.avro import Records
from eventide.connectors.formats.columns import check_arrival, conform, schema_columns
from eventide.connectors.formats.csv import Csv
from eventide.connectors.formats.encoded import Encoding, JsonFormat, MessageFormat, RawFormat, RegistryFormat, Word
from eventide.connectors.formats.json_record import path_of
from eventide.connectors.formats.ndjson import NdJson
from eventide.connectors.formats.text import NUMBER, RAW_MAX, Bad, Block, TextFormat, too_long
from eventide.connectors.formats.wire import Sorted, Wire, enveloped, payload
from eventide.flow import ARRIVAL, INSTANT, OFFSET, REFUSED_SCHEMA, Batch
from eventide.semantics.schema import Schema

_BLANK = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class Messages:
    """Messages of one log in their order. `extra` are columns beside the values; `faults` say by a message's number
    why it cannot be read, whatever its value is.
    """

    values: Sequence[bytes | None]
    offsets: Sequence[int]
    arrivals_us: Sequence[int | None] | pl.Series
    extra: Mapping[str, pl.Series] = field(default_factory=dict)
    faults: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MessageParser:
    """What values of messages mean: a JSON object, the values of a CSV record, text as it is, or a record whose schema
    is in a registry.

    `header` names the values of a CSV record in their order; without it they are the schema's. `extra` are the types of
    columns that come beside the schema's.
    """

    schema: Schema
    format: MessageFormat = "json"
    arrival: str | None = None
    record_max_bytes: int = 16 * 2**20
    header: tuple[str, ...] = ()
    extra: Mapping[str, pl.DataType] = field(default_factory=dict, hash=False)
    kind: str = field(init=False, default="json", compare=False, repr=False)
    rules: Schema = field(init=False, compare=False, repr=False)
    _lines: TextFormat | None = field(init=False, default=None, compare=False, repr=False)
    _records: Records | None = field(init=False, default=None, compare=False, repr=False)
    _wire: Wire | None = field(init=False, default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        kind, envelope = _kind(self.format)
        made: dict[str, object] = {"kind": kind, "rules": enveloped(self.schema, envelope)}
        if self.header and kind != "csv":
            raise ValueError(f'header= names the values of format="csv", not of {self.format!r}: leave it out')
        if self.record_max_bytes < 1:
            raise ValueError(f"record_max_bytes={self.record_max_bytes} must be at least 1: it is the longest record")
        check_arrival(self.arrival, self.schema)
        for name in self.extra:
            if name in self.schema.names:
                raise ValueError(f"the column {name!r} is in the schema already: give the message's part another name")
        rules, where = enveloped(self.schema, envelope), path_of(envelope) if envelope else ()
        match kind:
            case "json" | "json_schema":
                made["_lines"] = NdJson(rules, where)
            case "avro":
                paths = {name: path_of(rule.path) if rule.path else (name,) for name, rule in rules.fields}
                made["_records"] = Records(rules, paths, where, self.record_max_bytes)
            case "csv":
                names = self.header or tuple(rule.path or name for name, rule in self.schema.fields)
                made["_lines"] = Csv(self.schema).with_header(_line(names))
            case "raw":
                if [rule.type for _, rule in self.schema.fields] != ["string"]:
                    raise ValueError('format="raw" gives one column of text: write for example schema={"value": str}')
        if isinstance(self.format, RegistryFormat):
            made["_wire"] = Wire(self.format, rules, self.format.subject)
        for name, value in made.items():
            object.__setattr__(self, name, value)

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What keeps messages from being read and can be known without trying, each with its remedy."""
        return self.format.registry.problems if isinstance(self.format, RegistryFormat) else []

    def opened(self, subject: str | None = None) -> MessageParser:
        """The parser for a run. With a registry the newest version of its subject is looked at; `subject` is meant
        where the format names none. Raises `SourceError` when the plan cannot read it or the registry does not answer.
        """
        if not isinstance(self.format, RegistryFormat):
            return self
        made = replace(self)
        wire = Wire(self.format, self.rules, self.format.subject or subject)
        wire.check()
        object.__setattr__(made, "_wire", wire)
        return made

    @property
    def columns(self) -> dict[str, pl.DataType]:
        """The columns of rows."""
        return {**schema_columns(self.schema), **self.extra}

    def batch(self, log: str, messages: Messages) -> Batch:
        """The rows of messages."""
        return _Parsing(self, messages).batch(log)

    def parse(self, values: Sequence[bytes]) -> Iterator[tuple[int, Block]]:
        """Blocks with as many records as they have values, each with the number of its first value."""
        if self._lines is None:
            encoding = self.format.encoding if isinstance(self.format, RawFormat) else "utf8"
            yield 0, _raw(values, self.schema.names[0], self.record_max_bytes, encoding)
            return
        left = [(0, len(values))]
        while left:
            start, count = left.pop()
            data = b"\n".join(values[start : start + count]) + b"\n"
            block = self._lines.parse(data, self.record_max_bytes, last=True)
            if count in (block.records, 1):
                yield start, block
            else:
                # a record of CSV whose quote is open has taken the next one: look for it in the halves
                half = count // 2
                left += [(start + half, count - half), (start, half)]


def _line(names: Sequence[str]) -> bytes:
    return ",".join('"' + name.replace('"', '""') + '"' for name in names).encode()


def _kind(form: MessageFormat) -> tuple[str, str | None]:
    """The word for a format, and its envelope."""
    match form:
        case JsonFormat():
            return "json", form.envelope
        case RawFormat():
            return "raw", None
        case RegistryFormat():
            return form.language, form.envelope
        case "avro" | "json_schema":
            raise ValueError(f'format={form!r} needs a registry: write et.{form}_format("http://localhost:8081")')
        case _ if form in get_args(Word):
            return form, None
    raise ValueError(f'format={form!r} is not a format: use "json", "csv", "raw" or et.avro_format(...)')


def _raw(values: Sequence[bytes], name: str, record_max_bytes: int, encoding: Encoding) -> Block:
    texts, bad, kept = [], [], []
    for number, value in enumerate(values):
        match encoding:
            case "base64":
                text = b64encode(value).decode()
            case "hex":
                text = value.hex()
            case _:
                text = value.decode("utf-8", "replace")
        if len(value) > record_max_bytes:
            bad.append(Bad(number, too_long(record_max_bytes), text[:RAW_MAX]))
        elif encoding == "utf8" and "\ufffd" in text and text.encode() != value:
            bad.append(Bad(number, "not UTF-8 text", text[:RAW_MAX]))
        else:
            kept.append(number)
            texts.append(text)
    part = pl.DataFrame({name: pl.Series(texts, dtype=pl.String), NUMBER: pl.Series(kept, dtype=pl.Int64)})
    whole = pl.Series([value.decode("utf-8", "replace") for value in values], dtype=pl.String)
    return Block([part], bad, len(values), sum(map(len, values)), whole.gather)


class _Parsing:
    """Some messages on their way to rows."""

    def __init__(self, parser: MessageParser, messages: Messages) -> None:
        self._parser = parser
        self._wire = Sorted()
        if parser._wire is not None:
            self._wire = parser._wire.sorted_out(messages.values)
            known = self._wire.schemas
            values = [payload(value) if value and n in known else value for n, value in enumerate(messages.values)]
            messages = replace(messages, values=values, faults={**self._wire.faults, **messages.faults})
        self._messages = messages
        self._offsets = pl.Series(messages.offsets, dtype=pl.Int64)
        self._arrivals = pl.Series(messages.arrivals_us, dtype=pl.Int64).cast(INSTANT)
        self._refused: list[tuple[int, str, str]] = []
        self._rows: list[pl.DataFrame] = []
        self._judged: list[pl.DataFrame] = []

    def batch(self, log: str) -> Batch:
        together, numbers, apart = self._sorted()
        if self._parser._records is not None:
            assert self._parser._wire is not None
            written = [self._wire.schemas[number] for number in numbers]
            self._take(self._parser._records.block(together, written, self._parser._wire.decoder), numbers)
            together = []
        for start, block in self._parser.parse(together) if together else ():
            mine = numbers.slice(start, block.records)
            if self._parser.kind == "csv" and block.bad and block.records > 1:
                # what is wrong with an open quote must not depend on the messages behind it
                apart += [(mine[bad.number], together[start + bad.number]) for bad in block.bad]
                self._take(replace(block, bad=()), mine)
            else:
                self._take(block, mine)
        for number, value in apart:
            blocks = [block for _, block in self._parser.parse([value])]
            if blocks[0].records == 1:
                self._take(blocks[0], pl.Series([number], dtype=pl.Int64))
            else:
                self._refuse(number, "not one record but several in one message", value)
        return Batch(log, self._all_rows(), self._all_refused(), notes=tuple(self._wire.notes))

    def _sorted(self) -> tuple[Sequence[bytes], pl.Series, list[tuple[int, bytes]]]:
        """Values that go into lines beside each other with their numbers, and those that must be parsed apart."""
        values = self._messages.values
        whole = pl.int_range(len(values), dtype=pl.Int64, eager=True)
        if self._parser.kind not in ("raw", "avro") and not self._messages.faults and self._are_short(values):
            lines = b"\n".join(values)  # type: ignore[arg-type] # there is no None
            if lines.count(b"\n") == len(values) - 1 and all(map(bytes.strip, values)):  # type: ignore[arg-type]
                return values, whole, []  # type: ignore[return-value]
        together: list[bytes] = []
        numbers: list[int] = []
        apart: list[tuple[int, bytes]] = []
        for number, value in enumerate(values):
            if (fault := self._fault(number, value)) is not None:
                self._refuse(number, fault, value)
                continue
            assert value is not None
            if b"\n" in value and self._parser.kind == "csv":
                apart.append((number, value))
                continue
            numbers.append(number)
            # between the tokens of JSON a line end is a space, within them it is a fault either way
            together.append(value.replace(b"\n", b" ") if self._parser.kind.startswith("json") else value)
        return together, pl.Series(numbers, dtype=pl.Int64), apart

    def _are_short(self, values: Sequence[bytes | None]) -> bool:
        """True when all have a value and none is so long that it must not be put beside others."""
        most = self._parser.record_max_bytes
        return None not in values and max(map(len, values), default=0) <= most  # type: ignore[arg-type] # there is no None

    def _fault(self, number: int, value: bytes | None) -> str | None:
        if number in self._messages.faults:
            return self._messages.faults[number]
        if value is None:
            return "the message has no value (a tombstone)"
        if len(value) > self._parser.record_max_bytes:
            return too_long(self._parser.record_max_bytes)
        if self._parser.kind not in ("raw", "avro") and not value.strip(_BLANK):
            return "the message is empty"
        return None

    def _refuse(self, number: int, reason: str, value: bytes | None) -> None:
        self._refused.append((number, reason, (value or b"")[: RAW_MAX * 4].decode("utf-8", "replace")[:RAW_MAX]))

    def _take(self, block: Block, numbers: pl.Series) -> None:
        for part in block.parts:
            good, bad = self._conform(part, numbers)
            if bad.height and block.slowly is not None:
                # judged again as it stands, so that reasons show it as it is written
                self._rows.append(good)
                good, bad = self._conform(block.slowly(self._within(bad, numbers)), numbers)
            if bad.height:
                texts = block.texts(self._within(bad, numbers)).str.slice(0, RAW_MAX)
                self._judged.append(bad.with_columns(texts.alias("raw")))
            self._rows.append(good)
        self._refused += [(numbers[bad.number], bad.reason, bad.raw) for bad in block.bad]

    def _conform(self, part: pl.DataFrame, numbers: pl.Series) -> tuple[pl.DataFrame, pl.DataFrame]:
        place = numbers.gather(part.get_column(NUMBER))
        own = [self._offsets.gather(place).alias(OFFSET), self._arrivals.gather(place).alias(ARRIVAL)]
        return conform(part.with_columns(own).drop(NUMBER), self._parser.rules, self._parser.arrival)

    def _within(self, rows: pl.DataFrame, numbers: pl.Series) -> pl.Series:
        """The numbers of rows within the block of these messages."""
        return numbers.search_sorted(self._places(rows)).cast(pl.Int64)

    def _places(self, rows: pl.DataFrame) -> pl.Series:
        return self._offsets.search_sorted(rows.get_column(OFFSET)).cast(pl.Int64)

    def _all_rows(self) -> pl.DataFrame:
        plain = schema_columns(self._parser.schema)
        rows = _in_order(self._rows, {**plain, OFFSET: pl.Int64(), ARRIVAL: INSTANT})
        if not self._parser.extra:
            return rows
        place = self._places(rows)
        extra = [self._messages.extra[name].gather(place).alias(name) for name in self._parser.extra]
        return rows.with_columns(extra).select(*self._parser.columns, OFFSET, ARRIVAL)

    def _all_refused(self) -> pl.DataFrame:
        self._refused.sort()
        place = pl.Series([number for number, _, _ in self._refused], dtype=pl.Int64)
        arrivals = self._arrivals.gather(place)
        columns = {
            OFFSET: self._offsets.gather(place),
            ARRIVAL: arrivals if self._parser.arrival is None else arrivals.clear(place.len()),
            "reason": [reason for _, reason, _ in self._refused],
            "field": [None] * len(self._refused),
            "raw": [raw for _, _, raw in self._refused],
        }
        return _in_order([pl.DataFrame(columns, schema=REFUSED_SCHEMA), *self._judged], REFUSED_SCHEMA)


def _in_order(frames: Sequence[pl.DataFrame], schema: Mapping[str, pl.DataType]) -> pl.DataFrame:
    filled = [frame for frame in frames if frame.height]
    if len(filled) > 1:
        return pl.concat(filled).sort(OFFSET)
    return filled[0] if filled else pl.DataFrame(schema=dict(schema))
