"""The promises of all connectors, and the table that documents and the command line show.

Law: a connector that is not in the table is not one of ours.
"""

from __future__ import annotations

from eventide.flow import Promise

PROMISES: tuple[Promise, ...] = (
    Promise(
        "CSV, NDJSON file",
        "source",
        "exactly once",
        "a position is a byte and an offset; reading goes on there",
        "the file keeps its name and what was read of it; with follow=True it may grow",
    ),
    Promise(
        "CSV, NDJSON, compressed",
        "source",
        "exactly once",
        "the file is unpacked again up to the position",
        "as a plain file",
    ),
    Promise(
        "several files as one log",
        "source",
        "exactly once",
        "a position is a file and a place in it",
        "the files keep their names, order and contents",
    ),
    Promise("Parquet file", "source", "exactly once", "a position is a row number", "the file stays as it is"),
    Promise(
        "frame, list of rows",
        "source",
        "exactly once",
        "a position is a row number",
        "the program makes the same rows again, under the same name",
    ),
    Promise(
        "stdin, generator, feed",
        "source",
        "at most once",
        "what was read but not yet decided when the run was killed cannot be read again",
        "nothing",
    ),
    Promise(
        "CSV, NDJSON, Parquet file",
        "sink",
        "exactly once",
        "each epoch puts a longer file in the old one's place: written beside it, fsync, rename, fsync of the folder; "
        "costs as much as the file is long (a Parquet file is read and written whole)",
        "a local disk that keeps what fsync has confirmed; nobody else writes the file",
    ),
    Promise(
        "folder of CSV, NDJSON, Parquet",
        "sink",
        "exactly once",
        "a part file for each epoch, named by its number, put in place by fsync and rename",
        "as a file; readers take only names that begin with part-",
    ),
    Promise(
        "DuckDB table",
        "sink",
        "exactly once",
        "rows and epoch number in one transaction (table `_eventide_epochs`)",
        "DuckDB 2.0 or later; no other process holds the file",
    ),
    Promise(
        "Kafka topic",
        "source",
        "exactly once",
        "a position is a partition's next offset, kept in the state folder; nothing is committed to a group",
        "the topic keeps messages until they are read; with compaction, what was overwritten meanwhile is not seen",
    ),
    Promise(
        "Kafka topic",
        "sink",
        "exactly once",
        "an epoch is a transaction, which also holds the epoch's number (topic `eventide-epochs`); without a state "
        "folder at least once",
        "consumers with isolation.level=read_committed; the right to transactions and to the topic `eventide-epochs`; "
        "if the newest checkpoint is damaged, what came behind the one before is sent again",
    ),
    Promise(
        "NATS JetStream stream",
        "source",
        "exactly once",
        "a position is a sequence of the stream; nothing is acknowledged",
        "a stream that keeps messages until they are read (limits, not workqueue or interest); a gap stops the run",
    ),
    Promise(
        "NATS JetStream subject",
        "sink",
        "exactly once",
        "each message has an id of run, output, epoch, its place and row; after a kill the stream is read from where "
        "the epoch began, and what is missing is sent. Readers may see part of an epoch for a while",
        "a stream that keeps an epoch's messages until the next epoch; nobody deletes them",
    ),
    Promise(
        "PostgreSQL table, query",
        "source",
        "exactly once",
        "a position is a row number and the ordering values of the row in front of it, which are looked at again",
        "an order that is unique; no row changes or appears in front of what was read",
    ),
    Promise(
        "PostgreSQL table",
        "sink",
        "exactly once",
        "rows and epoch number in one transaction (table `_eventide_epochs`); retried while the server is away",
        "PostgreSQL 15 or later; a unique index on keys and window, or create=True",
    ),
    Promise(
        "Python function",
        "sink",
        "at least once",
        "called with each frame as it comes out; after a kill, frames since the last checkpoint come again",
        "a function that does not mind",
    ),
    Promise(
        "console",
        "sink",
        "at least once",
        "printed as it comes out; after a kill, rows since the last checkpoint are printed again",
        "nothing",
    ),
)


def promises_as_markdown() -> str:
    """The table of promises for the documents."""
    heads = ("connector", "as", "promise", "by which means", "what it needs")
    rows = [(one.connector, one.role, one.guarantee, one.means, one.needs) for one in PROMISES]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ("---",) * 5, *rows)) + "\n"
