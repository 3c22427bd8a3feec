"""Apache Iceberg as a source: the rows of one snapshot of a table, read once.

Law: the snapshot is chosen when reading begins and kept in the position, so that what is committed meanwhile changes
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from eventide.connectors.formats.columns import check_arrival, schema_columns
from eventide.connectors.iceberg.config import Place, is_installed
from eventide.connectors.kinds import check_kinds
from eventide.connectors.one_log import OneLog
from eventide.connectors.patience import source_fault
from eventide.connectors.scans import Scanned, ScanReader, first_line, own_columns
from eventide.connectors.schemas import schema_of_columns
from eventide.errors import SourceError
from eventide.flow import Position, ReadContext
from eventide.plan import Stream
from eventide.semantics.schema import Schema, SchemaLike, as_schema


@dataclass(frozen=True, slots=True)
class IcebergTableRows:
    """The rows of an Iceberg table, as one log: of `snapshot`, or of the newest one when the run begins."""

    place: Place
    schema: Schema
    snapshot: int | None = None
    arrival: str | None = None
    name: str = ""
    single_log: bool = True
    bounded: bool = True

    def __post_init__(self) -> None:
        check_arrival(self.arrival, self.schema)
        if not self.name:
            object.__setattr__(self, "name", self.place.table)

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return schema_columns(self.schema)

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return None if is_installed() else "iceberg"

    def fingerprint(self) -> str:
        return f"{self.place.name}:{self.snapshot if self.snapshot is not None else newest(self.place)}"

    def open(self, context: ReadContext, positions: Mapping[str, Position]) -> OneLog:
        position = dict(positions.get(self.name, {}))
        if position.get("version") is None:
            position["version"] = self.snapshot
        table = Scanned(f"the {self.place.name}", lambda version: scan(self.place, version), lambda: newest(self.place))
        return OneLog(ScanReader(self.name, table, self.schema, context, position, self.arrival))


def newest(place: Place) -> int | None:
    """The newest snapshot of a table; None when nothing was ever written. Raises `SourceError` when there is no table,
    or its store does not answer.
    """
    from pyiceberg.exceptions import NoSuchTableError

    try:
        found = place.load(SourceError).load_table(place.table).current_snapshot()
    except NoSuchTableError:
        raise SourceError(f"there is no {place.name}: check the name") from None
    except OSError as fault:
        text = f"cannot read the {place.name}: {first_line(fault)}. Check the store, and the rights there"
        raise source_fault(text, fault) from None
    return None if found is None else found.snapshot_id


def scan(place: Place, snapshot: int | None) -> pl.LazyFrame:
    """The rows of a snapshot."""
    table = place.load(SourceError).load_table(place.table)
    return pl.scan_iceberg(table, snapshot_id=snapshot)


def read_iceberg(
    table: str,
    *,
    catalog: str = "default",
    schema: SchemaLike | None = None,
    snapshot: int | None = None,
    arrival: str | None = None,
    name: str = "",
) -> Stream:
    """A stream of the rows of an Iceberg table, `"namespace.table"` of a catalog that PyIceberg's configuration has.

    Read is one snapshot: `snapshot`, or the newest one when the run begins; a run that goes on from its state reads
    the same one on. Without `schema` the table's own is taken. The order of rows is that of the table's files.
    """
    check_kinds(read_iceberg, locals())
    place = Place(table, catalog)
    if schema is not None:
        rules = as_schema(schema)
    else:
        rules = schema_of_columns(own_columns(scan(place, newest(place) if snapshot is None else snapshot)))
    return Stream.from_source(IcebergTableRows(place, rules, snapshot, arrival, name))
