"""`eventide savepoint`: a copy of a run's newest checkpoint, to keep and to start from.

Law: it is checked bit by bit before and after copying; the run that it is taken from may be going on meanwhile.
"""

from __future__ import annotations

from typing import Annotated

import typer

from eventide.engine.epochs import StateFolder, save_to


def savepoint(
    folder: Annotated[str, typer.Argument(help="The state folder of a run, or its address.", show_default=False)],
    target: Annotated[str, typer.Argument(help="A new folder or address for the savepoint.", show_default=False)],
) -> None:
    """Copy the newest whole checkpoint to a folder of its own; `eventide run --from` begins there."""
    saved = save_to(StateFolder.at(folder), StateFolder.at(target))
    typer.echo(f"epoch {saved.epoch} of {folder} is kept in {target}")
