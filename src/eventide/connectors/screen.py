"""The screen as a sink: rows as tables.

Law: every row is printed; for a glance at many rows use the run's own `show`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Screen:
    """Prints an output as tables."""

    name: str = "console"

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> ScreenWriter:
        from rich.console import Console

        return ScreenWriter(output, Console())


@dataclass(frozen=True, slots=True)
class ScreenWriter:
    """Prints each frame as it comes."""

    output: str
    screen: Console

    def write(self, frame: pl.DataFrame) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(title=self.output, title_justify="left")
        for name, dtype in frame.schema.items():
            table.add_column(name, justify="right" if dtype.is_numeric() else "left")
        for row in frame.iter_rows():
            table.add_row(*(Text("" if value is None else str(value).removesuffix("+00:00")) for value in row))
        self.screen.print(table)

    def commit(self) -> None:
        """What is printed is visible."""

    def close(self) -> None:
        """There is nothing to release."""

    def abort(self) -> None:
        """What is printed stays."""


def console() -> Screen:
    """A sink that prints tables."""
    return Screen()
