"""`eventide advise`: which bound buys which completeness at which delay, on a file or on a pipeline's input.

Law: it reads its input and writes nothing but the picture it is asked for; what it guessed about a file is shown.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from eventide.cli.pipeline import duration as duration_option
from eventide.cli.pipeline import given, length, load
from eventide.errors import EventideError
from eventide.plan import Stream

if TYPE_CHECKING:
    from eventide.advice.guess import Guess

_PIPELINES = (".py", ".yaml", ".yml")


def advise(  # noqa: PLR0913, PLR0917 - options of a command
    input: Annotated[
        Path, typer.Argument(help="A pipeline (.py, .yaml, a plan as .json) or a .csv, .ndjson, .parquet file.")
    ],
    time: Annotated[str | None, typer.Option(help="Of a file: the column (or path) of event times.")] = None,
    arrival: Annotated[str | None, typer.Option(help="Of a file: the column of arrival times.")] = None,
    key: Annotated[str | None, typer.Option(help="The column that names the devices.")] = None,
    order: Annotated[
        Literal["as_is", "reversed", "arrival"] | None, typer.Option(help="Of a file: how its rows stand.")
    ] = None,
    time_format: Annotated[
        str | None, typer.Option(help="Of a file: how times read, such as '%d.%m.%Y %H:%M'.")
    ] = None,
    max_age: Annotated[
        str | None, typer.Option(callback=duration_option, help="Of a file: refuse events older than this at arrival.")
    ] = None,
    window: Annotated[
        str | None, typer.Option(callback=length, help="Tumbling windows of this size, whose ends decide.")
    ] = None,
    late_rate: Annotated[float, typer.Option(help="The share of events that may be late.")] = 0.01,
    cap: Annotated[
        str | None,
        typer.Option(callback=length, help="How far a silent device holds its windows back at most."),
    ] = None,
    picture: Annotated[Path | None, typer.Option(help="Write completeness against delay to this .png file.")] = None,
    if_bound: Annotated[str | None, typer.Option(callback=duration_option, help="What if: this bound instead.")] = None,
    if_window: Annotated[
        str | None, typer.Option(callback=length, help="What if: tumbling windows of this size instead.")
    ] = None,
    if_lateness: Annotated[
        str | None, typer.Option(callback=duration_option, help="What if: this allowed lateness instead.")
    ] = None,
) -> None:
    """Say which bound to choose, what it costs, who costs most, and what other settings would have changed."""
    from eventide import advice
    from eventide.advice.guess import column_of
    from eventide.semantics.windows import tumbling

    if picture is not None:
        _can_hold(picture)
    stream, told = _stream(input, (time, arrival, key, order, time_format, max_age))
    name = key
    if told is not None:
        typer.echo(str(told))
        name = None if told.key is None else column_of(told.key)
    if window is not None:
        stream = _windows(stream, name, window)
    with given("--late-rate"):
        found = advice.advise(stream, key=name, late_rate=late_rate, cap=cap)
    typer.echo(str(found))
    if picture is not None:
        found.figure().savefig(picture, dpi=130)
        typer.echo(f"picture in {picture}")
    if if_bound or if_window or if_lateness:
        chosen = tumbling(if_window) if if_window else None
        with given("--if-..."):
            played = advice.what_if(stream, bound=if_bound, window=chosen, lateness=if_lateness)
        typer.echo(f"\n{'what if':>26s}  {'as it is':>10s}  {'then':>10s}\n{played}")


def _can_hold(picture: Path) -> None:
    """A picture that cannot be written is told before the work."""
    if picture.suffix != ".png":
        raise typer.BadParameter(f"{picture} does not end with .png", param_hint="--picture")
    if not picture.absolute().parent.is_dir():
        raise EventideError(f"there is no folder {picture.parent} for the picture: make it first")


def _stream(input: Path, told: tuple[str | None, ...]) -> tuple[Stream, Guess | None]:
    from eventide.advice.guess import stream_of_file

    if input.suffix in _PIPELINES or (input.suffix == ".json" and _is_plan(input)):
        return load(input), None
    time, arrival, key, order, time_format, max_age = told
    return stream_of_file(
        input, time=time, arrival=arrival, key=key, order=order, time_format=time_format, max_age=max_age
    )


def _is_plan(path: Path) -> bool:
    return path.is_file() and b'"eventide"' in path.read_bytes()[:200]


def _windows(stream: Stream, key: str | None, window: str) -> Stream:
    from eventide.expressions import count
    from eventide.semantics.windows import tumbling

    if stream.plan.aggregate is not None:
        raise typer.BadParameter("the pipeline has windows of its own: use --if-window", param_hint="--window")
    return stream.group_by(*([key] if key else [])).window(tumbling(window)).agg(events=count())
