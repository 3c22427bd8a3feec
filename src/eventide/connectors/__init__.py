"""Connectors: where events come from and where outputs go, one folder or file for each kind of system.

Law: a connector carries rows and judges nothing; what it cannot read becomes a refused row with its reason.
"""

from eventide.connectors.files.sinks import write_csv, write_ndjson, write_parquet
from eventide.connectors.kafka.read import read_kafka, write_kafka
from eventide.connectors.memory.call import call
from eventide.connectors.memory.rows import Feed
from eventide.connectors.nats.sink import write_nats
from eventide.connectors.nats.source import read_nats
from eventide.connectors.notify import notify
from eventide.connectors.order import by_arrival
from eventide.connectors.postgres.sink import write_postgres
from eventide.connectors.postgres.source import read_postgres
from eventide.connectors.read import from_frame, from_rows, read_csv, read_ndjson, read_parquet, replay
from eventide.connectors.screen import console
from eventide.connectors.tables.duckdb import write_duckdb
from eventide.connectors.tables.duckdb_rows import read_duckdb

__all__ = [
    "Feed",
    "by_arrival",
    "call",
    "console",
    "from_frame",
    "from_rows",
    "notify",
    "read_csv",
    "read_duckdb",
    "read_kafka",
    "read_nats",
    "read_ndjson",
    "read_parquet",
    "read_postgres",
    "replay",
    "write_csv",
    "write_duckdb",
    "write_kafka",
    "write_nats",
    "write_ndjson",
    "write_parquet",
    "write_postgres",
]
