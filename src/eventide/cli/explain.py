"""`eventide explain`: what a run of a pipeline would do, in words.

Law: it opens no source and writes nothing.
"""

from __future__ import annotations

import typer

from eventide.cli.pipeline import Pipeline, load


def explain(pipeline: Pipeline) -> None:
    """Say in words what a pipeline does, stage by stage."""
    stream = load(pipeline)
    stream.check()
    typer.echo(stream.explain())
