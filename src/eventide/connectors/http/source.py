"""HTTP and WebSocket ingest as a source: one log, kept in a journal before anything is confirmed.

Law: offsets are those of the journal; rows arrive when they were accepted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import polars as pl

from eventide.connectors.formats.columns import schema_columns
from eventide.connectors.formats.encoded import MessageFormat
from eventide.connectors.formats.messages import MessageParser, Messages
from eventide.connectors.http.body import BodyFormat
from eventide.connectors.journal import JournalLogs, JournalSettings, Record, open_journal
from eventide.connectors.kinds import check_kinds
from eventide.connectors.serving import Address, Door, Serving, is_installed
from eventide.errors import SourceError
from eventide.flow import Batch, Position, ReadContext
from eventide.plan import Stream
from eventide.semantics.schema import Schema, SchemaLike, as_schema

BODY_BYTES_MOST = 4 * 2**20
_LARGEST = 64 * 2**20


@dataclass(frozen=True, slots=True)
class HttpIngest:
    """What is posted to a path, or sent there over WebSockets."""

    door: Door
    schema: Schema
    path: str = "/events"
    format: BodyFormat = "json"
    journal: str | None = None
    arrival: str | None = None
    header: tuple[str, ...] = ()
    body_bytes_most: int = BODY_BYTES_MOST
    journal_bytes_most: int = JournalSettings().most_bytes
    name: str = ""
    parser: MessageParser = field(init=False, compare=False, repr=False)
    single_log: bool = field(default=True, init=False)
    bounded: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.format not in ("json", "ndjson", "csv"):
            raise ValueError(f'format={self.format!r} is not a format: use "json", "ndjson" or "csv"')
        if not self.path.startswith("/") or self.path == "/health" or any(one in self.path for one in "{}?# "):
            raise ValueError(f'path={self.path!r} cannot be posted to: write for example "/events" (not "/health")')
        if not 1 <= self.body_bytes_most <= _LARGEST:
            raise ValueError(f"body_bytes_most={self.body_bytes_most} must lie between 1 and {_LARGEST:,}")
        if self.journal_bytes_most < 1:
            raise ValueError(f"journal_bytes_most={self.journal_bytes_most} must be at least 1")
        kind: MessageFormat = "csv" if self.format == "csv" else "json"
        parser = MessageParser(self.schema, kind, self.arrival, self.body_bytes_most, self.header)
        object.__setattr__(self, "parser", parser)
        if not self.name:
            object.__setattr__(self, "name", self.path.strip("/") or "http")

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return schema_columns(self.schema)

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return None if is_installed() else "http"

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> JournalLogs:
        token = self.door.token(SourceError)
        settings = JournalSettings(self.journal_bytes_most)
        logs = open_journal(self.name, self.journal, context, positions, self._batch, settings)
        with ExitStack() as held:
            held.callback(logs.close)
            serving = self._serve(logs, token)
            logs.held.callback(serving.close)
            logs.reader.watch = lambda: self._watch(serving)
            held.pop_all()
        return logs

    def _serve(self, logs: JournalLogs, token: bytes | None) -> Serving:
        from eventide.connectors.http.application import Ingest

        ingest = Ingest(logs.keeper, self.format, self.door, token, self.body_bytes_most)
        return Serving(ingest.application(self.path), self.door.address, self.body_bytes_most, SourceError)

    def _watch(self, serving: Serving) -> None:
        if not serving.is_alive:
            raise SourceError(f"the server at {self.door.address} has ended: start the run again, nothing is lost")

    def _batch(self, log: str, records: Sequence[Record]) -> Batch:
        offsets, arrivals_us, values = zip(*records, strict=True)
        return self.parser.batch(log, Messages(values, offsets, arrivals_us))


def read_http(  # noqa: PLR0913 - settings of a server, each with a default
    address: str = "127.0.0.1:8080",
    *,
    schema: SchemaLike,
    path: str = "/events",
    format: BodyFormat = "json",
    token_env: str | None = None,
    origins: Sequence[str] = (),
    journal: str | None = None,
    arrival: str | None = None,
    header: Sequence[str] = (),
    body_bytes_most: int = BODY_BYTES_MOST,
    journal_bytes_most: int = JournalSettings().most_bytes,
    name: str = "",
) -> Stream:
    """A stream of what others send: a server at `address` takes POST requests at `path`, and WebSockets there.

    `format` is `"json"` (an object, or an array of them; one object a line where the content type says NDJSON),
    `"ndjson"` (one object a line) or `"csv"` (one record a line without a header line; `header` names its values, else
    the schema does). Bodies may be packed with gzip. The answer 202 comes when the rows are on the disk, with their
    number and the first one's offset; each message of a WebSocket is answered in the same words. Everything else (400,
    401, 403, 408, 413, 415, 503) was not accepted. Records that do not fit the schema are accepted, and go to
    `dead_letters`. Rows arrive when they were accepted, or as the column `arrival` says.

    `journal` is the folder that holds what was accepted, by default one below the run's state folder; without either it
    lasts as long as the run. It holds at most `journal_bytes_most` bytes; then senders are asked to come again later.
    `token_env` names the environment variable that holds the token which senders must show; without it the server
    listens on this machine only. `origins` are the web pages that may send, such as `"https://example.org"`.

    >>> read_http("127.0.0.1:8080", schema={"sensor": str, "dose": float}).plan.inputs[0].source.name
    'events'
    """
    check_kinds(read_http, locals())
    door = Door(Address.of(address), token_env, tuple(origins))
    rest = (arrival, tuple(header), body_bytes_most, journal_bytes_most, name)
    return Stream.from_source(HttpIngest(door, as_schema(schema), path, format, journal, *rest))
