"""What travels: batches of logs with offsets, and the contracts of sources, sinks and the wall clock.

Law: nothing here decides what an event means; it only carries it, in order and without loss.
"""

from eventide.flow.batch import (
    ARRIVAL,
    DEAD_LETTER_SCHEMA,
    INSTANT,
    LOG,
    OFFSET,
    RAW,
    REFUSED_SCHEMA,
    Batch,
    first_reason,
    no_refused,
    rows_as_text,
)
from eventide.flow.clock import SystemClock, WallClock
from eventide.flow.delivery import Promise
from eventide.flow.disk import Disk, GrowingDisk, Head, SystemDisk, publish_by_rename, store
from eventide.flow.places import Address, is_remote, place_of, remote_path
from eventide.flow.sink import Delivering, EpochSink, EpochWriter, Opening, Sink, Stand, Writer
from eventide.flow.source import (
    Acknowledged,
    Distant,
    Fingerprinted,
    GappedReader,
    LogReader,
    LogSet,
    Position,
    ReadContext,
    Source,
)

__all__ = [
    "ARRIVAL",
    "DEAD_LETTER_SCHEMA",
    "INSTANT",
    "LOG",
    "OFFSET",
    "RAW",
    "REFUSED_SCHEMA",
    "Acknowledged",
    "Address",
    "Batch",
    "Delivering",
    "Disk",
    "Distant",
    "EpochSink",
    "EpochWriter",
    "Fingerprinted",
    "GappedReader",
    "GrowingDisk",
    "Head",
    "LogReader",
    "LogSet",
    "Opening",
    "Position",
    "Promise",
    "ReadContext",
    "Sink",
    "Source",
    "Stand",
    "SystemClock",
    "SystemDisk",
    "WallClock",
    "Writer",
    "first_reason",
    "is_remote",
    "no_refused",
    "place_of",
    "publish_by_rename",
    "remote_path",
    "rows_as_text",
    "store",
]
