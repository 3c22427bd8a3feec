"""`eventide connectors`: every source and sink with what it promises.

Law: the table is the one in docs/delivery.md.
"""

from __future__ import annotations


def connectors() -> None:
    """What each source and sink promises to a run with --state: exactly, at least or at most once, by which means,
    and what it needs.
    """
    from rich.console import Console
    from rich.table import Table

    from eventide.connectors.promises import promises

    table = Table(show_edge=False)
    for head in ("connector", "as", "promise", "by which means", "what it needs"):
        table.add_column(head, overflow="fold")
    for one in promises():
        table.add_row(one.connector, one.role, one.guarantee, one.means, one.needs)
    Console().print(table)
