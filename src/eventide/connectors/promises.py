"""The promises of all connectors, and the table that documents and the command line show.

Law: a connector that is not in the table is not one of ours.
"""

from __future__ import annotations

from eventide.connectors.systems import kinds, system_named
from eventide.flow import Promise

_OWN: tuple[Promise, ...] = (
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
        "folder of CSV, NDJSON, Parquet on S3",
        "sink",
        "exactly once",
        "a part object for each epoch, named by its number, put whole",
        "the right to put, list and delete; one run at a time with a state folder",
    ),
    Promise(
        "Parquet on S3",
        "source",
        "exactly once",
        "a position is a row number, or an object and a row number in it",
        "the objects stay as they are",
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


def promises() -> tuple[Promise, ...]:
    """What every connector promises, in the order of the table."""
    systems = [system for kind in kinds() if (system := system_named(kind))]
    return _OWN + tuple(one for system in systems for one in system.PROMISES)


def promises_as_markdown() -> str:
    """The table of promises for the documents."""
    heads = ("connector", "as", "promise", "by which means", "what it needs")
    rows = [(one.connector, one.role, one.guarantee, one.means, one.needs) for one in promises()]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ("---",) * 5, *rows)) + "\n"
