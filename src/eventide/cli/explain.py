"""`eventide explain`: a plan in words, the state of a window, what became of an event.

Law: no sink is opened and nothing is written; a window or an event is explained from a run of the pipeline in memory,
or from a saved snapshot.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import msgspec
import typer
from typer.core import TyperGroup

from eventide.cli.pipeline import Pipeline, given, load
from eventide.cli.run import run_until_stopped
from eventide.engine.epochs import MANIFEST, StateFolder, read_checkpoint
from eventide.engine.explanation import Moment
from eventide.engine.snapshot import Snapshot
from eventide.errors import CheckpointError
from eventide.instants import instant_us
from eventide.plan import Stream
from eventide.runners import Inspection, inspect
from eventide.runners.flink import gaps_of

_SnapshotFolder = Annotated[
    str | None,
    typer.Option(
        "--snapshot",
        help="A state folder, a savepoint or a saved snapshot; without it the pipeline is run, and nothing is written.",
    ),
]


class PlanFirst(TyperGroup):
    """`eventide explain PIPELINE` is short for `eventide explain plan PIPELINE`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override] # typer's group has its own types
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["plan", *args]
        return super().parse_args(ctx, args)


explain = typer.Typer(
    cls=PlanFirst,
    help="Explain a plan (the default), a window or an event.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@explain.command()
def plan(
    pipeline: Pipeline,
    on: Annotated[Literal["embedded", "flink"], typer.Option("--on", help="Where it shall run.")] = "embedded",
) -> None:
    """Say in words what a pipeline does, stage by stage; with `--on flink` what Flink cannot run of it too. No source
    is opened.
    """
    stream = load(pipeline)
    stream.check()
    typer.echo(stream.explain())
    if on == "flink":
        for gap in gaps_of(stream.plan):
            typer.echo(f"not on Flink  {gap}")


@explain.command()
def window(
    pipeline: Pipeline,
    at: Annotated[str, typer.Option(help="The window's start, or an instant in it: 2026-01-01T10:05.")],
    key: Annotated[
        list[str] | None, typer.Option(help="The key: a value, or name=value for each column of group_by.")
    ] = None,
    snapshot: _SnapshotFolder = None,
) -> None:
    """State of a window, who holds it open, what it waits for and when it will close.

    Ctrl-C stops a run that does not end by itself; the answer is that of the moment.
    """
    with given("--at"):
        instant_us(at, "at")
    asked = _inspection(load(pipeline), snapshot)
    with given("--key"):
        told = asked.explain(key=_key(asked.moment, key or []), at=at)
    typer.echo(str(told))


@explain.command()
def event(
    pipeline: Pipeline,
    log: Annotated[str | None, typer.Option(help="The event's log; not needed where there is only one.")] = None,
    offset: Annotated[int | None, typer.Option(help="The event's offset in its log.")] = None,
    value: Annotated[
        list[str] | None, typer.Option(help="column=value; the first event with all of them is explained.")
    ] = None,
    snapshot: _SnapshotFolder = None,
) -> None:
    """What became of an event - on time, corrected, late, filtered or refused - and by which earlier event and rule."""
    if offset is None and not value:
        raise typer.BadParameter("name the event by --offset or by --value column=value", param_hint="--offset")
    asked = _inspection(load(pipeline), snapshot)
    values = dict(_split(text, "--value") for text in value) if value else None
    with given("--value" if values else "--log"):
        told = asked.explain_event(log=log, offset=offset, values=values)
    typer.echo(str(told))


def _inspection(stream: Stream, folder: str | None) -> Inspection:
    """The saved moment, or the end of a run whose outputs all stay in memory."""
    if folder is not None:
        return inspect(stream, _saved(folder))
    outcome = run_until_stopped(replace(stream.plan, writes=()), show=False)
    assert outcome.pipeline is not None
    return Inspection(Moment(stream.plan, outcome.snapshot(), outcome.outputs, over=True))


def _saved(folder: str) -> Snapshot:
    """What a state folder's newest checkpoint, a savepoint or the files of a snapshot hold."""
    kept = StateFolder.at(folder)
    if kept.epochs():
        newest = kept.newest().checkpoint
        assert newest is not None
        return newest.state
    names = kept.disk.names(kept.path)
    if MANIFEST not in names:
        raise CheckpointError(f"there is no snapshot in {folder}: give a state folder, or one that holds {MANIFEST}")
    if "epoch" in msgspec.json.decode(kept.disk.read(kept.path / MANIFEST)):
        return read_checkpoint(kept.path, kept.disk).state
    return Snapshot.from_files({name: kept.disk.read(kept.path / name) for name in names})


def _key(moment: Moment, texts: list[str]) -> object:
    names = moment.query.keys
    if len(texts) == 1 and len(names) == 1 and not texts[0].startswith(f"{names[0]}="):
        return texts[0]
    return dict(_split(text, "--key") for text in texts) or None


def _split(text: str, option: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found:
        raise typer.BadParameter(f"{text!r} is not name=value", param_hint=option)
    return name, value
