"""NATS JetStream as a source: a stream, or its messages of some subjects, as one log.

Law: a message's offset is its sequence in the stream. Reading goes on by sequence, so nobody has to acknowledge, and
what is missing between two messages is asked for again; what the server has thrown away stops the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from eventide.connectors.formats.columns import schema_columns
from eventide.connectors.formats.encoded import MessageFormat
from eventide.connectors.formats.messages import MessageParser, Messages
from eventide.connectors.intake import Intake
from eventide.connectors.kinds import check_kinds
from eventide.connectors.nats.config import Server, closed, driver, is_installed, plain
from eventide.connectors.one_log import OneLog
from eventide.errors import SourceError
from eventide.flow import Batch, Position, ReadContext
from eventide.plan import Stream
from eventide.semantics.schema import Schema, SchemaLike, as_schema

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.js.api import StreamInfo

Start = Literal["earliest", "latest"] | int | datetime

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FETCH_MOST = 1_000
_FETCH_BYTES = 4 * 2**20
_FETCH_S = 0.5
_WAITS_S = (0.1, 0.2, 0.5, 1, 2, 4, 8, 8, 8)


@dataclass(frozen=True, slots=True)
class NatsStream:
    """The messages of a stream whose subject fits `subject`."""

    server: Server
    stream: str
    schema: Schema
    subject: str = ">"
    format: MessageFormat = "json"
    start: Start = "earliest"
    follow: bool = True
    arrival: str | None = None
    name: str = ""
    parser: MessageParser = field(init=False, compare=False, repr=False)
    single_log: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        if isinstance(self.start, datetime) and self.start.tzinfo is None:
            raise ValueError(f"start={self.start} has no time zone: give it one, such as datetime.UTC")
        if not isinstance(self.start, int | datetime) and self.start not in ("earliest", "latest"):
            raise ValueError(f'start={self.start!r} is no place: use "earliest", "latest", a sequence or a datetime')
        object.__setattr__(self, "parser", MessageParser(self.schema, self.format, self.arrival))
        if not self.name:
            own = self.stream if self.subject == ">" else f"{self.stream} {self.subject}"
            object.__setattr__(self, "name", own)

    @property
    def bounded(self) -> bool:
        return not self.follow

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return schema_columns(self.schema)

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What is wrong before anything is opened, each with its remedy."""
        return self.parser.problems

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return None if is_installed() else "nats"

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> OneLog:
        driver(SourceError)
        return OneLog(NatsReader(self, context, int(positions.get(self.name, {}).get("offset") or 0)))


@dataclass(frozen=True, slots=True)
class _Got:
    """Messages in a row, and the sequence at which reading goes on behind them."""

    messages: Messages
    next: int


class NatsReader:
    """Reads what a thread has fetched."""

    def __init__(self, source: NatsStream, context: ReadContext, start: int) -> None:
        self.log = source.name
        self._parser = source.parser.opened()
        self._next = start
        self._left: _Got | None = None
        self._intake: Intake[_Got] = Intake(context.wake)
        draw = Draw(source, self._intake, start)
        self._intake.start(lambda: asyncio.run(draw.run()), source.name)

    @property
    def finished(self) -> bool:
        return self._left is None and self._intake.finished

    def read(self, rows_max: int) -> Batch | None:
        got, self._left = self._left or self._intake.take(), None
        while got is not None and not got.messages.values:
            self._next = got.next
            got = self._intake.take()
        if got is None:
            return None
        if len(got.messages.values) > rows_max:
            got, self._left = _cut(got, rows_max)
        self._next = got.next
        return self._parser.batch(self.log, got.messages)

    def position(self) -> Position:
        return {"offset": self._next}

    def close(self) -> None:
        self._intake.close()


def _cut(got: _Got, rows: int) -> tuple[_Got, _Got]:
    one = got.messages
    first = Messages(one.values[:rows], one.offsets[:rows], one.arrivals_us[:rows])
    rest = Messages(one.values[rows:], one.offsets[rows:], one.arrivals_us[rows:])
    return _Got(first, first.offsets[-1] + 1), _Got(rest, got.next)


class _Broken(Exception):
    """A message is missing between two that came: fetch again from there."""


class Draw:
    """Fetches messages from a sequence on (0: where the source says), in a thread of its own."""

    def __init__(self, source: NatsStream, intake: Intake[_Got], start: int) -> None:
        self._source = source
        self._intake = intake
        self._next = start
        self._last: int | None = None

    async def run(self) -> None:
        """Fetch until the end or until nobody reads. When the connection breaks it goes on behind the last message."""
        errors = driver(SourceError).errors
        waits = iter(_WAITS_S)
        while not self._intake.closed:
            before = self._next
            try:
                await self._session()
                return
            except (errors.Error, OSError, TimeoutError, _Broken) as fault:
                waits = iter(_WAITS_S) if self._next != before else waits
                wait_s = next(waits, None)
                if wait_s is None:
                    raise SourceError(
                        f"cannot read stream {self._source.stream} of NATS: {plain(fault, self._source.server.env)}. "
                        "Check that the server runs, its address, and that the stream may be read"
                    ) from None
            await asyncio.to_thread(self._intake.wait_closed, wait_s)

    async def _session(self) -> None:
        connection = await self._source.server.connect(SourceError)
        try:
            jetstream = connection.jetstream()
            self._place(await self._info(jetstream))
            await self._fetch_all(jetstream)
        finally:
            await closed(connection)

    async def _info(self, jetstream: Any) -> StreamInfo:
        missing = driver(SourceError).js.errors.NotFoundError
        try:
            found: StreamInfo = await jetstream.stream_info(self._source.stream)
        except missing:
            raise SourceError(f"there is no stream {self._source.stream!r} in NATS: make it, or mend stream=") from None
        return found

    def _place(self, info: StreamInfo) -> None:
        """Find out where to begin, and see that what is to come is still there."""
        first, last = max(info.state.first_seq, 1), info.state.last_seq
        if self._last is None and not self._source.follow:
            self._last = last
        if not self._next and not isinstance(self._source.start, datetime):
            match self._source.start:
                case "earliest":
                    self._next = first
                case "latest":
                    self._next = last + 1
                case sequence:
                    self._next = max(int(sequence), first)
            self._intake.put(_Got(Messages([], [], []), self._next), 0, 0)
        elif self._next > last + 1:
            raise SourceError(
                f"stream {self._source.stream} of NATS ends at {last:,}, but was read up to {self._next - 1:,}: it was "
                "made anew. Begin anew with another state folder"
            )
        elif 0 < self._next < first:
            raise SourceError(
                f"NATS has thrown away what stream {self._source.stream} held from {self._next:,} to {first - 1:,}, "
                "which was not read yet: give the stream longer limits. To go on behind the gap, begin with "
                "another state folder"
            )

    async def _fetch_all(self, jetstream: Any) -> None:
        from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

        by_time = not self._next
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            deliver_policy=DeliverPolicy.BY_START_TIME if by_time else DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=None if by_time else self._next,
            opt_start_time=self._source.start if isinstance(self._source.start, datetime) and by_time else None,
            inactive_threshold=60,
        )
        pulled = await jetstream.pull_subscribe(self._source.subject, stream=self._source.stream, config=config)
        expected, wanted = 1, 16
        while not self._intake.closed:
            if self._intake.has_room:
                found = await self._fetch(pulled, wanted)
                expected = await self._take(found, expected)
                size = sum(len(one.data) for one in found)
                wanted = max(1, min(_FETCH_MOST, wanted * 2, len(found) * _FETCH_BYTES // max(size, 1) or wanted))
                if await self._at_end(found, pulled):
                    return
            else:
                await asyncio.sleep(0.01)

    async def _fetch(self, pulled: Any, wanted: int) -> list[Msg]:
        try:
            found: list[Msg] = await pulled.fetch(wanted, timeout=_FETCH_S)
        except TimeoutError:
            if not pulled._js._nc.is_connected:
                raise ConnectionError("the connection broke off") from None
            return []
        return found

    async def _take(self, found: Sequence[Msg], expected: int) -> int:
        metas = [one.metadata for one in found]
        whole = next((n for n, one in enumerate(metas) if one.sequence.consumer != expected + n), len(metas))
        kept = [(one, meta) for one, meta in zip(found[:whole], metas, strict=False) if self._is_wanted(meta)]
        if kept:
            times = [(meta.timestamp - _EPOCH) // _MICROSECOND for _, meta in kept]
            values = [one.data for one, _ in kept]
            self._next = kept[-1][1].sequence.stream + 1
            messages = Messages(values, [meta.sequence.stream for _, meta in kept], times)
            self._intake.put(_Got(messages, self._next), len(kept), sum(map(len, values)))
        if whole < len(metas):
            raise _Broken("messages are missing")
        return expected + whole

    def _is_wanted(self, meta: Msg.Metadata) -> bool:
        return self._last is None or meta.sequence.stream <= self._last

    async def _at_end(self, found: Sequence[Msg], pulled: Any) -> bool:
        """True when all that was there at the start was read."""
        if self._last is None:
            return False
        if self._next > self._last or (found and found[-1].metadata.num_pending == 0):
            return True
        return not found and (await pulled.consumer_info()).num_pending == 0


def read_nats(  # noqa: PLR0913 - settings of a stream, each with a default
    stream: str,
    *,
    schema: SchemaLike,
    servers: str | None = None,
    env: str | None = None,
    credentials: str | None = None,
    subject: str = ">",
    format: MessageFormat = "json",
    start: Start = "earliest",
    follow: bool = True,
    arrival: str | None = None,
    name: str = "",
) -> Stream:
    """A stream of the messages of a JetStream stream; `subject` is a filter such as `"air.*.dose"`.

    The server is named by `servers`, addresses without users, or by `env`, the environment variable that holds them;
    `credentials` is the path of a `.creds` file. `start` is `"earliest"`, `"latest"`, a sequence or a datetime; a
    run with a state folder goes on at its position. `follow=False` ends with what is there when the run begins. A
    message arrives when the server has stored it, or when the column `arrival` says. `format` is `"json"`, `"csv"`,
    `"raw"` or what `avro_format` and its like make. What cannot be read goes to `dead_letters`.

    >>> read_nats("AIR", schema={"dose": float}, servers="nats://127.0.0.1:4222").plan.inputs[0].source.name
    'AIR'
    """
    check_kinds(read_nats, locals())
    server = Server(servers, env, credentials)
    return Stream.from_source(
        NatsStream(server, stream, as_schema(schema), subject, format, start, follow, arrival, name)
    )
