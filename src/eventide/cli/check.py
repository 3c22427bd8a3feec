"""`eventide check`: every problem of a pipeline, at once, before anything is read.

Law: it opens no source and writes nothing.
"""

from __future__ import annotations

import typer

from eventide.cli.pipeline import Pipeline, load


def check(pipeline: Pipeline) -> None:
    """Look for everything that is wrong with a pipeline, without running it."""
    load(pipeline).check()
    typer.echo(f"{pipeline}: nothing wrong")
