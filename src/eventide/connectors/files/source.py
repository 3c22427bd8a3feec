"""Text files as a source: one path or many, plain or compressed, read to their end or followed while they grow.

Law: bytes are read in blocks of whole records, so memory does not grow with the file nor with a line of it; a position
is a byte and an offset; where reads were cut shows nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from eventide.connectors.files.content import Compression, check_compression, missing_extra, open_content
from eventide.connectors.files.logs import FileLogs, check_settings, files_of, stands_for_many
from eventide.connectors.files.window import Window
from eventide.connectors.fingerprints import fingerprint_of
from eventide.connectors.formats.columns import check_arrival, conform, schema_columns
from eventide.connectors.formats.csv import Csv
from eventide.connectors.formats.text import NUMBER, RAW_MAX, RECORD_MAX_BYTES, Bad, Block, TextFormat, too_long
from eventide.errors import SourceError
from eventide.flow import ARRIVAL, INSTANT, OFFSET, REFUSED_SCHEMA, Batch, Position, ReadContext, is_remote
from eventide.semantics.schema import Schema

_BYTES_A_ROW = 64
_BLOCK_BYTES_LEAST = 64 * 1024
_BLOCK_BYTES_MOST = 32 * 2**20


@dataclass(frozen=True, slots=True)
class TextFiles:
    """Files of a text format. `arrival` names the column of arrival times; `one_log` reads all files as one log."""

    path: str
    format: TextFormat
    schema: Schema
    arrival: str | None = None
    follow: bool = False
    one_log: bool = False
    name: str = ""
    compression: Compression = "by_name"
    record_max_bytes: int = RECORD_MAX_BYTES

    def __post_init__(self) -> None:
        check_arrival(self.arrival, self.schema)
        check_settings(follow=self.follow, one_log=self.one_log)
        check_compression(self.compression)
        if is_remote(self.path):
            raise ValueError(f"{self.path} is not a file of this machine: only Parquet is read from elsewhere")
        if self.record_max_bytes < 1:
            raise ValueError(f"record_max_bytes={self.record_max_bytes} must be at least 1: it is the longest record")
        if not self.name:
            object.__setattr__(self, "name", "stdin" if self.path == "-" else Path(self.path).name)

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return schema_columns(self.schema)

    @property
    def single_log(self) -> bool:
        return self.one_log or not stands_for_many(self.path)

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return missing_extra(self.path, self.compression)

    def fingerprint(self) -> str:
        return fingerprint_of(files_of(self.path))

    @property
    def bounded(self) -> bool:
        return not self.follow and self.path != "-"

    @property
    def readable_again(self) -> bool:
        """True when a second reading gives the same rows: files that grow do, standard input does not."""
        return self.path != "-"

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> FileLogs:
        return FileLogs(self, context, positions)

    def reader(self, path: Path, log: str, context: ReadContext, position: Position) -> TextReader:
        return TextReader(self, path, log, context, position)


class TextReader:
    """Reads one text file in order."""

    def __init__(self, source: TextFiles, path: Path, log: str, context: ReadContext, position: Position) -> None:
        self.log = log
        self._source = source
        self._context = context
        self._path = path
        self._offset = int(position.get("offset") or 0)
        self._note: str | None = None
        self._over = bool(position.get("over"))
        self._resume: Position | None = position if int(position.get("byte") or 0) else None
        self._bytes_a_row = float(_BYTES_A_ROW)
        self._format: TextFormat | None = None if source.format.has_header else source.format
        self._content = open_content(str(path), source.compression, follow=source.follow, arrived=context.wake)
        self._window = Window(self._content)
        try:
            self._is_ready()
        except SourceError:
            self.close()
            raise

    @property
    def finished(self) -> bool:
        return self._over

    def read(self, rows_max: int) -> Batch | None:
        if self._over:
            return None
        try:
            batch = self._next(rows_max) if self._is_ready() else self._end()
            note, self._note = (self._note, None) if batch is not None else (None, self._note)
            return batch if batch is None or note is None else replace(batch, notes=(note,))
        except OSError as fault:
            raise SourceError(f"cannot read {self._path}: {fault.strerror or fault}") from None

    def _is_ready(self) -> bool:
        """True once the header was read and the position to go on from was found."""
        if self._format is None and not self._header():
            return False
        if self._resume is not None:
            byte, mark = int(self._resume.get("byte") or 0), self._resume.get("mark")
            marked = self._window.go_to(max(byte, self._window.byte))
            self._window.fill(marked)
            if self._window.size < marked and not self._window.ended:
                return False
            self._window.take(min(marked, self._window.size))
            if self._window.byte < byte or (mark is not None and self._window.mark != mark):
                raise SourceError(f"{self._path} is not the file that was read up to byte {byte:,}: it was replaced")
            self._resume = None
        return True

    def _header(self) -> bool:
        window = self._window
        while not window.has_line_behind(0) and window.fill(window.size + _BLOCK_BYTES_LEAST):
            if window.size > self._source.record_max_bytes + 1 and not window.has_line_behind(0):
                raise SourceError(f"{self._path}: the header is {too_long(self._source.record_max_bytes)}")
        line = window.begin()
        if line:
            try:
                self._format = self._source.format.with_header(line)
                self._note = self._format.note if isinstance(self._format, Csv) else None
            except SourceError as fault:
                raise SourceError(f"{self._path}: {fault}") from None
        return bool(line)

    def _next(self, rows_max: int) -> Batch | None:
        """The records of the next whole lines that have any."""
        window, limit = self._window, self._source.record_max_bytes
        if window.in_long_line:
            return self._long_line()
        lines, size = rows_max, self._block_bytes(rows_max)
        while True:
            window.fill(size)
            data = window.lines(size, lines)
            if data:
                block = self._parse(data)
                if block.consumed:
                    if block.records > rows_max:  # as behind a quote that is not closed, or a record of many lines
                        block = block.first(rows_max, data)
                    window.take(block.consumed)
                    if block.records:
                        return self._batch(block)
                    continue
            elif window.ended:
                return self._end()
            elif window.size > limit + 1:
                return self._long_line()
            if window.size < size and self._covers(data):
                return None
            lines, size = lines * 2, max(size, window.size) * 2

    def _block_bytes(self, rows: int) -> int:
        return min(max(int(rows * self._bytes_a_row * 0.98), _BLOCK_BYTES_LEAST), _BLOCK_BYTES_MOST)

    def _parse(self, data: bytes) -> Block:
        assert self._format is not None
        limit, window = self._source.record_max_bytes, self._window
        never_whole = window.ended or window.size > limit + 1
        return self._format.parse(data, limit, last=never_whole and self._covers(data))

    def _covers(self, data: bytes) -> bool:
        """True when no line that may be read stands behind `data` in the window."""
        if self._window.ended and self._content.fault is None:
            return len(data) == self._window.size
        return not self._window.has_line_behind(len(data))

    def _long_line(self) -> Batch | None:
        text = self._window.pass_long_line()
        return None if text is None else self._letter(too_long(self._source.record_max_bytes), text)

    def _end(self) -> Batch | None:
        """The end of the content: nothing, or why it came too early."""
        if not self._window.ended:
            return None
        self._over = True
        if self._content.fault is None:
            return None
        text = self._window.text()
        self._window.take(self._window.size)
        return self._letter(self._content.fault, text)

    def _letter(self, reason: str, raw: str) -> Batch:
        self._offset += 1
        return Batch(self.log, self._no_rows(), self._refused([Bad(self._offset - 1, reason, raw)], 0))

    def _batch(self, block: Block) -> Batch:
        start, self._offset = self._offset, self._offset + block.records
        self._bytes_a_row = block.consumed / block.records
        rows, refused = [], []
        for part in block.parts:
            good, bad = self._conform(part, start)
            if bad.height and block.slowly is not None:
                # refused by what was read at once: judged again as it stands, so that reasons show it as it is written
                rows.append(good)
                good, bad = self._conform(block.slowly(bad.get_column(OFFSET) - start), start)
            if bad.height:
                texts = block.texts(bad.get_column(OFFSET) - start).str.slice(0, RAW_MAX)
                refused.append(bad.with_columns(texts.alias("raw")))
            rows.append(good)
        if block.bad:
            refused.append(self._refused(block.bad, start))
        return Batch(self.log, _in_order(rows, self._no_rows()), _in_order(refused, self._refused([], 0)))

    def _conform(self, part: pl.DataFrame, start: int) -> tuple[pl.DataFrame, pl.DataFrame]:
        arrived = pl.lit(self._context.clock.now_us()).cast(INSTANT).alias(ARRIVAL)
        raw = part.with_columns((pl.col(NUMBER) + start).alias(OFFSET), arrived).drop(NUMBER)
        return conform(raw, self._source.schema, self._source.arrival)

    def _no_rows(self) -> pl.DataFrame:
        return pl.DataFrame(schema={**self._source.columns, OFFSET: pl.Int64(), ARRIVAL: INSTANT})

    def _refused(self, bad: Sequence[Bad], start: int) -> pl.DataFrame:
        arrived_us = None if self._source.arrival is not None else self._context.clock.now_us()
        columns = {
            OFFSET: [start + one.number for one in bad],
            ARRIVAL: pl.Series([arrived_us] * len(bad), dtype=pl.Int64).cast(INSTANT),
            "reason": [one.reason for one in bad],
            "field": [None] * len(bad),
            "raw": [one.raw for one in bad],
        }
        return pl.DataFrame(columns, schema=REFUSED_SCHEMA)

    def position(self) -> Position:
        if self._resume is not None:
            return self._resume
        where = {"offset": self._offset, "byte": self._window.byte, "mark": self._window.mark}
        return where | ({"over": 1} if self._over else {})

    def close(self) -> None:
        self._content.close()


def _in_order(frames: Sequence[pl.DataFrame], empty: pl.DataFrame) -> pl.DataFrame:
    if len(frames) > 1:
        return pl.concat(frames).sort(OFFSET)
    return frames[0] if frames else empty
