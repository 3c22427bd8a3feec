"""Which Iceberg table: its name, and the name of the catalog that knows it.

Law: where a catalog is and how it is entered stands in PyIceberg's own configuration (PYICEBERG_CATALOG__NAME__URI or
~/.pyiceberg.yaml), never in a plan.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from eventide.connectors.patience import source_fault
from eventide.errors import EventideError, SourceError

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

_PART = re.compile(r"[^.\s]+")
_CATALOG = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Place:
    """A table of a catalog."""

    table: str
    catalog: str = "default"

    def __post_init__(self) -> None:
        parts = self.table.split(".")
        if len(parts) < 2 or not all(_PART.fullmatch(part) for part in parts):
            raise ValueError(f'table={self.table!r} is not the name of a table: write "namespace.table"')
        if not _CATALOG.fullmatch(self.catalog):
            raise ValueError(
                f"catalog={self.catalog!r} is not the name of a catalog: name one that PyIceberg's configuration has, "
                'such as PYICEBERG_CATALOG__LAKE__URI for catalog="lake"'
            )

    @property
    def name(self) -> str:
        """For messages."""
        return f"iceberg table {self.table} of catalog {self.catalog}"

    @property
    def namespace(self) -> tuple[str, ...]:
        """The table's namespace."""
        return tuple(self.table.split(".")[:-1])

    def load(self, fault: type[EventideError]) -> Catalog:
        """The catalog. Raises `fault` when it cannot be had."""
        try:
            from pyiceberg.catalog import load_catalog
        except ImportError:
            raise fault("the library of Iceberg is not installed: pip install eventide[iceberg]") from None
        try:
            return load_catalog(self.catalog)
        except Exception as told:
            # catalogs are many, each with exceptions of its own; their texts may hold the address with a password
            text = (
                f"cannot open the Iceberg catalog {self.catalog!r} ({type(told).__name__}): check PyIceberg's "
                f"configuration, PYICEBERG_CATALOG__{self.catalog.upper()}__URI or ~/.pyiceberg.yaml"
            )
            raise (source_fault(text, told) if fault is SourceError else fault(text)) from None


def is_installed() -> bool:
    """True when the library is there."""
    return find_spec("pyiceberg") is not None
