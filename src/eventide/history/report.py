"""A report as one HTML page: text, tables and pictures, nothing to load from elsewhere.

Law: everything that comes from data is escaped; the page holds no script.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from eventide.figures import png
from eventide.plan.html import table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
img { width: 100%; height: auto; background: white; border-radius: 4px; }
table { border-collapse: collapse; font-size: 0.85rem; display: block; overflow-x: auto; }
th, td { text-align: left; padding: 0.25rem 0.8rem 0.25rem 0; border-bottom: 1px solid #8884; white-space: nowrap; }
.account { font-size: 1.1rem; font-variant-numeric: tabular-nums; }
"""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report: a heading, a sentence, and a picture or a table."""

    heading: str
    text: str = ""
    picture: Figure | None = None
    table: pl.DataFrame | None = None


def write_report(path: Path, title: str, account: str, sections: Sequence[Section]) -> Path:
    """Write the page; returns its path."""
    parts = [f"<h1>{escape(title)}</h1>", f'<p class="account">{escape(account)}</p>']
    for section in sections:
        parts.append(f"<h2>{escape(section.heading)}</h2>")
        if section.text:
            parts.append(f"<p>{escape(section.text)}</p>")
        if section.picture is not None:
            image = b64encode(png(section.picture)).decode()
            parts.append(f'<img alt="{escape(section.heading)}" src="data:image/png;base64,{image}">')
        if section.table is not None:
            parts.append(table(section.table))
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
    body = "\n".join(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<!doctype html>\n<html lang="en"><head>{head}<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n'
    )
    return path
