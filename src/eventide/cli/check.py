"""`eventide check`: every problem of a pipeline, at once, before anything is read.

Law: it opens no source and writes nothing.
"""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from eventide.cli.compile import check_flink
from eventide.cli.pipeline import Pipeline, load


def check(
    pipeline: Pipeline,
    on: Annotated[Literal["embedded", "flink"], typer.Option("--on", help="Where it shall run.")] = "embedded",
) -> None:
    """Look for everything that is wrong with a pipeline, without running it; with `--on flink` for what Flink cannot
    run of it too.
    """
    stream = load(pipeline)
    stream.check()
    if on == "flink":
        check_flink(stream.plan)
    typer.echo(f"{pipeline}: nothing wrong")
