"""The command line: `eventide run`, `check`, `compile`, `explain`, `advise`, `savepoint`, `state` and others.

Law: everything the command line does can be done in Python too. Exit codes: 0 done, 1 the run failed, 2 wrong usage
or a plan that cannot run, 130 stopped by Ctrl-C after closing in order.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from eventide.cli.advise import advise
from eventide.cli.check import check
from eventide.cli.compile import compile
from eventide.cli.connectors import connectors
from eventide.cli.demo import demo
from eventide.cli.explain import explain
from eventide.cli.flink import flink
from eventide.cli.run import run
from eventide.cli.savepoint import savepoint
from eventide.cli.schema import schema
from eventide.cli.simulate import simulate
from eventide.cli.state import state
from eventide.errors import EventideError, PlanError

app = typer.Typer(
    name="eventide",
    help="Event-time stream processing: right answers from late and disordered streams.\n\n"
    "Exit codes: 0 done; 1 the run failed; 2 wrong usage or a plan that cannot run; 130 stopped by Ctrl-C.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
_EXAMPLES: dict[Callable[..., None], str] = {
    run: "eventide run job.py\n\neventide run job.yaml --quiet --state state/job --checkpoint-every 5s\n\n"
    "eventide run job.py --on flink --parallelism 4",
    check: "eventide check job.py\n\neventide check job.py --on flink",
    compile: "eventide compile job.py --to flink",
    advise: "eventide advise readings.csv --time captured --key device --picture bounds.png\n\neventide advise job.py",
    savepoint: "eventide savepoint state/job kept/before-the-change",
    connectors: "eventide connectors",
    simulate: "eventide simulate readings.csv --devices 50 --duration 1d\n\n"
    "eventide simulate tags.ndjson --network zoo",
    demo: "eventide demo --threshold 120\n\neventide demo --input safecast.csv --output out/safecast",
}
for command, example in _EXAMPLES.items():
    app.command(epilog=f"For example:\n\n{example}")(command)
app.add_typer(explain, name="explain")
app.add_typer(schema, name="schema")
app.add_typer(state, name="state")
app.add_typer(flink, name="flink")


def _version(show: bool) -> None:
    if show:
        from eventide import __version__

        typer.echo(f"eventide {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Event-time stream processing: right answers from late and disordered streams."""


def main() -> None:
    """Run the command line; errors that Eventide raises on purpose are shown as one message, without a trace."""
    try:
        app()
    except PlanError as fault:
        _fail(fault, 2)
    except EventideError as fault:
        _fail(fault, 1)


def _fail(fault: EventideError, code: int) -> None:
    print(f"eventide: {fault}", file=sys.stderr)
    raise SystemExit(code)
