"""Eventide: event-time stream processing for Python.

    import eventide as et

Law: the same events give the same answer - at any speed, any batch size - and no event disappears without a trace.
"""

from typing import TYPE_CHECKING

from eventide.connectors import (
    Feed,
    by_arrival,
    call,
    console,
    from_frame,
    from_rows,
    read_csv,
    read_ndjson,
    read_parquet,
    replay,
    write_csv,
    write_ndjson,
    write_parquet,
)
from eventide.errors import (
    CheckpointError,
    EventideError,
    ExpressionError,
    PlanError,
    SinkError,
    SourceError,
    TooManyBadRows,
)
from eventide.expressions import (
    Aggregation,
    Expr,
    OwnAggregate,
    coalesce,
    col,
    concat,
    count,
    greatest,
    least,
    lit,
    own_aggregate,
    rate,
    when,
)
from eventide.instants import Instant
from eventide.plan import Stream
from eventide.runners import Inspection, Outcome, inspect
from eventide.semantics.detection import ewma, half_space_trees, hampel, seasonal, zscore
from eventide.semantics.eventtime import (
    OwnStrategy,
    adaptive,
    ascending,
    bounded,
    per_key,
    perfect,
    punctuated,
)
from eventide.semantics.lateness import every, on_change
from eventide.semantics.schema import Schema, field, schema
from eventide.semantics.windows import count_window, global_window, session, sliding, tumbling

if TYPE_CHECKING:
    from eventide.advice import Advice, advise, what_if
    from eventide.connectors import (
        avro_format,
        json_format,
        json_schema_format,
        notify,
        raw_format,
        read_delta,
        read_duckdb,
        read_http,
        read_iceberg,
        read_kafka,
        read_mqtt,
        read_nats,
        read_postgres,
        read_rabbitmq,
        write_cassandra,
        write_delta,
        write_duckdb,
        write_iceberg,
        write_kafka,
        write_mongodb,
        write_mqtt,
        write_nats,
        write_postgres,
        write_rabbitmq,
        write_webhook,
        write_websocket,
    )

__version__ = "0.1.0"

__all__ = [
    "Advice",
    "Aggregation",
    "CheckpointError",
    "EventideError",
    "Expr",
    "ExpressionError",
    "Feed",
    "Inspection",
    "Instant",
    "Outcome",
    "OwnAggregate",
    "OwnStrategy",
    "PlanError",
    "Schema",
    "SinkError",
    "SourceError",
    "Stream",
    "TooManyBadRows",
    "adaptive",
    "advise",
    "ascending",
    "avro_format",
    "bounded",
    "by_arrival",
    "call",
    "coalesce",
    "col",
    "concat",
    "console",
    "count",
    "count_window",
    "every",
    "ewma",
    "field",
    "from_frame",
    "from_rows",
    "global_window",
    "greatest",
    "half_space_trees",
    "hampel",
    "inspect",
    "json_format",
    "json_schema_format",
    "least",
    "lit",
    "notify",
    "on_change",
    "own_aggregate",
    "per_key",
    "perfect",
    "punctuated",
    "rate",
    "raw_format",
    "read_csv",
    "read_delta",
    "read_duckdb",
    "read_http",
    "read_iceberg",
    "read_kafka",
    "read_mqtt",
    "read_nats",
    "read_ndjson",
    "read_parquet",
    "read_postgres",
    "read_rabbitmq",
    "replay",
    "schema",
    "seasonal",
    "session",
    "sliding",
    "tumbling",
    "what_if",
    "when",
    "write_cassandra",
    "write_csv",
    "write_delta",
    "write_duckdb",
    "write_iceberg",
    "write_kafka",
    "write_mongodb",
    "write_mqtt",
    "write_nats",
    "write_ndjson",
    "write_parquet",
    "write_postgres",
    "write_rabbitmq",
    "write_webhook",
    "write_websocket",
    "zscore",
]


def __getattr__(name: str) -> object:
    """Advice, and what belongs to other systems, is brought along when it is asked for first."""
    if name in ("Advice", "advise", "what_if"):
        from eventide import advice

        return getattr(advice, name)
    if name in __all__:
        from eventide import connectors

        return getattr(connectors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
