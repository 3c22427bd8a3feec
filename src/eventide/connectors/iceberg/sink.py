"""Apache Iceberg as a sink: rows and the epoch's number in one commit.

Law: a property of the table says for each run and output which epoch is in it; it changes in the same commit as the
rows. On a disk of this machine files are synced before the catalog hears of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

import polars as pl

from eventide.connectors.iceberg.config import Place, is_installed
from eventide.connectors.iceberg.filters import any_of, later_rows, within
from eventide.connectors.iceberg.local import synced
from eventide.connectors.kinds import check_kinds
from eventide.connectors.lakes import RETRACT, LakeEpochs, LakeWriter, Shape, told
from eventide.errors import SinkError
from eventide.flow import EpochWriter, Opening, Stand, Writer

if TYPE_CHECKING:
    from pyiceberg.expressions import BooleanExpression
    from pyiceberg.table import Table


@dataclass(frozen=True, slots=True)
class Iceberg:
    """A table of an Iceberg catalog."""

    place: Place

    @property
    def name(self) -> str:
        return self.place.name

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return None if is_installed() else "iceberg"

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> Writer:
        return LakeWriter(IcebergRows(self.place, Shape(columns, tuple(identity))))

    def open_epochs(self, opening: Opening) -> EpochWriter:
        return LakeEpochs(IcebergRows(self.place, Shape.of(opening)))


class IcebergRows:
    """The rows of an output in an Iceberg table, which is made when the first rows come."""

    def __init__(self, place: Place, shape: Shape) -> None:
        self._place = place
        self._shape = shape
        self._catalog = synced(place.load(SinkError))
        # PyIceberg gives up after three attempts, within a second or two
        self._catalog.properties.setdefault("s3.retry-strategy-impl", "eventide.connectors.iceberg.stores.Patient")
        self._property = f"eventide.epoch.{shape.run}.{shape.output}"

    def stand(self) -> Stand:
        return {}

    def mend(self, stand: Stand) -> None:
        """Files are synced before the catalog hears of them."""

    def epoch(self) -> int:
        found: list[int] = []
        self._told(lambda: found.append(self._noted()))
        return found[0]

    def put(self, rows: pl.DataFrame, epoch: int | None) -> None:
        self._told(lambda: self._put(self._shape.rows(rows, epoch), epoch))

    def take_back(self, epoch: int) -> None:
        self._told(lambda: self._take_back(epoch))

    def _noted(self) -> int:
        table = self._table()
        return -1 if table is None else int(table.properties.get(self._property, "-1"))

    def _table(self) -> Table | None:
        return self._catalog.load_table(self._place.table) if self._catalog.table_exists(self._place.table) else None

    def _made(self, rows: pl.DataFrame) -> Table:
        found = self._table()
        if found is not None:
            return found
        self._catalog.create_namespace_if_not_exists(self._place.namespace)
        return self._catalog.create_table_if_not_exists(self._place.table, schema=rows.to_arrow().schema)

    def _put(self, rows: pl.DataFrame, epoch: int | None) -> None:
        table = self._made(rows)
        replaced = self._held(table, rows) if self._shape.identity else None
        kept = rows.filter(pl.col("op") != RETRACT) if self._shape.identity and "op" in rows.columns else rows
        marks = {} if epoch is None else {"eventide.run": self._shape.run, "eventide.epoch": str(epoch)}
        with table.transaction() as change:
            if replaced is not None:
                change.delete(replaced, snapshot_properties=marks)
            if kept.height:
                change.append(kept.to_arrow(), snapshot_properties=marks)
            if epoch is not None:
                change.set_properties({self._property: str(epoch)})

    def _held(self, table: Table, rows: pl.DataFrame) -> BooleanExpression | None:
        """What finds the rows of the table that have the identity of one of these; None when there is none."""
        names = list(self._shape.identity)
        scan = table.scan(row_filter=within(rows, names), selected_fields=tuple(names))
        there = pl.DataFrame(scan.to_arrow()).select(pl.col(name).cast(rows.schema[name]) for name in names)
        found = there.unique().join(rows.select(names), on=names, how="semi", nulls_equal=True)
        return any_of(found, names) if found.height else None

    def _take_back(self, epoch: int) -> None:
        table = self._table()
        if table is None:
            return
        later = later_rows(self._shape.run, epoch)
        found = 0 if self._shape.identity else table.scan(row_filter=later).count()
        with table.transaction() as change:
            if found:
                change.delete(later)
            change.set_properties({self._property: str(epoch)})

    def _told(self, work: Callable[[], object]) -> None:
        from pyarrow import ArrowException  # type: ignore[import-untyped]  # Arrow has no types
        from pyiceberg import exceptions

        kinds = [kind for kind in vars(exceptions).values() if isinstance(kind, type) and issubclass(kind, Exception)]
        if find_spec("sqlalchemy"):  # what catalogs in a database are made with
            kinds.append(import_module("sqlalchemy.exc").SQLAlchemyError)
        told(self._place.name, work, (*kinds, ArrowException, OSError, ValueError))


def write_iceberg(table: str, *, catalog: str = "default") -> Iceberg:
    """A sink that keeps the last row of each window in an Iceberg table, `"namespace.table"`.

    `catalog` is a name that PyIceberg's configuration has: PYICEBERG_CATALOG__LAKE__URI and others beside it for
    `catalog="lake"`, or ~/.pyiceberg.yaml. Results replace rows with the same keys and window, retracted rows go;
    outputs without identity (`late`, `dead_letters`) are appended, with a state folder with the columns `_run` and
    `_epoch`. A table that is not there is made. `docs/connectors/iceberg.md` has the types.

    >>> write_iceberg("air.doses", catalog="lake").name
    'iceberg table air.doses of catalog lake'
    """
    check_kinds(write_iceberg, locals())
    return Iceberg(Place(table, catalog))
