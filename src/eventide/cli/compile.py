"""`eventide compile`: what a plan becomes on another engine.

Law: it opens no source and writes nothing but the files that it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from eventide.cli.pipeline import Pipeline, load
from eventide.errors import PlanError, Problem
from eventide.plan import Plan

if TYPE_CHECKING:
    from eventide.runners.flink import Gap


def compile(
    pipeline: Pipeline,
    to: Annotated[Literal["flink"], typer.Option("--to", help="The engine.")] = "flink",
    parallelism: Annotated[int, typer.Option("--parallelism", min=1, help="How many of each operator run.")] = 1,
    job: Annotated[
        Path | None, typer.Option("--job", help="Write the job's plan (JSON) to this file too.", show_default=False)
    ] = None,
) -> None:
    """Write out the SQL of a pipeline for Apache Flink, or what Flink cannot run of it."""
    from eventide.runners.flink import compile_plan

    compiled = compile_plan(load(pipeline).plan, parallelism=parallelism)
    refuse(compiled.gaps)
    if job is not None:
        job.write_text(compiled.job)
    typer.echo(compiled.sql, nl=False)


def check_flink(plan: Plan) -> None:
    """Raise `PlanError` with everything of a plan that Flink cannot run."""
    from eventide.runners.flink import gaps_of

    refuse(gaps_of(plan))


def refuse(gaps: Sequence[Gap]) -> None:
    """Raise `PlanError` with the gaps, if there are any."""
    remedy = "Run it embedded, or change that part"
    problems = [Problem(f"on Flink, {gap.where}", gap.why, remedy) for gap in gaps]
    if problems:
        raise PlanError(problems)
