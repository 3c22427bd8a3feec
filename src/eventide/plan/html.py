"""Values as HTML for notebooks and reports: tables, lists of steps, lines of text.

Law: everything that comes from data or from the user is escaped; nothing is loaded from elsewhere and no script runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

import polars as pl

_CELL_MOST = 120
_LEFT = ' style="text-align:left"'


def table(rows: pl.DataFrame, most: int | None = None) -> str:
    """A frame as a table; with `most`, its first rows and how many more there are."""
    if not rows.height:
        return "<p>None.</p>"
    shown = rows if most is None else rows.head(most)
    made = pairs_or_rows(shown.columns, shown.iter_rows())
    more = rows.height - shown.height
    return made + (f"<p>and {more:,} more rows</p>" if more else "")


def pairs_or_rows(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Rows of any values as a table with a head."""
    cells = "".join(f"<th{_LEFT}>{escape(name)}</th>" for name in head)
    body = "".join(
        "<tr>" + "".join(f"<td{_LEFT}>{escape(cell(value))}</td>" for value in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"


def lines(title: str, texts: Iterable[str]) -> str:
    """A title and sentences below it."""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<p><strong>{escape(title)}</strong></p><ul>{items}</ul>"


def heading(text: str) -> str:
    """A line above what follows."""
    return f"<p><strong>{escape(text)}</strong></p>"


def cell(value: object) -> str:
    """A value as a cell shows it: six digits, no offset of UTC, long texts cut."""
    if value is None:
        return ""
    text = f"{value:.6g}" if isinstance(value, float) else str(value).removesuffix("+00:00")
    return text if len(text) <= _CELL_MOST else text[: _CELL_MOST - 1] + "…"
