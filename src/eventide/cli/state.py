"""`eventide state`: what a run remembers - its checkpoints as a list, one of them as tables, its frames by SQL.

Law: it reads and never writes; the run that the state belongs to may be going on meanwhile.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer

from eventide.engine.epochs import Checkpoint, StateFolder, read_checkpoint, read_manifest
from eventide.errors import CheckpointError, EventideError
from eventide.flow import INSTANT, Disk
from eventide.instants import END_OF_TIME, NO_WATERMARK, instant_text

if TYPE_CHECKING:
    import duckdb

state = typer.Typer(help="Look into a state folder: list, show, query.", no_args_is_help=True)

Folder = Annotated[str, typer.Argument(help="A state folder or a savepoint, or its address.", show_default=False)]
Epoch = Annotated[int | None, typer.Option(help="The epoch to look at; without it the newest.")]


@state.command("list")
def listed(folder: Folder) -> None:
    """The checkpoints of a folder: epoch, when written, events received, watermark, size, whole or damaged."""
    kept = StateFolder.at(folder)
    rows = [_line(name, path, kept.disk) for name, path in _all(kept)]
    _print(["epoch", "written", "received", "watermark", "bytes", "state"], rows)


def _line(name: str, path: Path, disk: Disk) -> list[str]:
    try:
        found = read_checkpoint(path, disk)
        size = sum(part.bytes for part in read_manifest(path, disk).files.values())
    except CheckpointError as fault:
        return [name, "", "", "", "", f"damaged: {fault}"]
    received = sum(account["received"] for account in found.state.values["accounts"].values())
    whole = "whole, input ended" if found.finished else "whole"
    return [str(found.epoch), instant_text(found.written_us), f"{received:,}", _watermark(found), f"{size:,}", whole]


def _all(kept: StateFolder) -> list[tuple[str, Path]]:
    """The checkpoints of a state folder, or the one that a savepoint is."""
    with _named(kept):
        found = [(str(epoch), kept.checkpoints / f"{epoch:08}") for epoch in kept.epochs()]
        if not found:
            return [(str(read_manifest(kept.path, kept.disk).epoch), kept.path)]
    return found


@contextmanager
def _named(kept: StateFolder) -> Iterator[None]:
    """Faults of a folder that has no checkpoints, with its path."""
    try:
        yield
    except CheckpointError as fault:
        if str(kept.path) in str(fault):
            raise
        raise CheckpointError(f"{kept.path} is no savepoint that can be used: {fault}") from None


def _checkpoint(folder: str, epoch: int | None) -> Checkpoint:
    kept = StateFolder.at(folder)
    with _named(kept):
        if not kept.epochs():
            return read_checkpoint(kept.path, kept.disk)
    if epoch is not None:
        return kept.read(epoch)
    found = kept.newest().checkpoint
    assert found is not None
    return found


@state.command()
def show(folder: Folder, epoch: Epoch = None) -> None:
    """One checkpoint: the range of each log, where clocks stand, the accounting, and the frames it keeps."""
    found = _checkpoint(folder, epoch)
    typer.echo(f"run {found.run}, epoch {found.epoch}, watermark {_watermark(found)}\n")
    for title, frame in _tables(found).items():
        if not title.startswith(("state.", "rows.")):
            typer.echo(title)
            _print(frame.columns, [["" if value is None else str(value) for value in row] for row in frame.iter_rows()])
    sizes = [(name, frame) for name, frame in _tables(found).items() if name.startswith(("state.", "rows."))]
    typer.echo("frames")
    _print(
        ["name", "rows", "columns"], [[name, f"{frame.height:,}", ", ".join(frame.columns)] for name, frame in sizes]
    )


@state.command()
def query(
    folder: Folder,
    sql: Annotated[str | None, typer.Argument(help="A query; without it the tables are listed.")] = None,
    epoch: Epoch = None,
) -> None:
    """Ask a checkpoint by SQL, with DuckDB: tables logs, clocks, accounts, and the frames, such as state_keys."""
    try:
        import duckdb
    except ImportError:
        raise EventideError('DuckDB is not installed: install "eventide[duckdb]"') from None
    tables = _tables(_checkpoint(folder, epoch))
    with tempfile.TemporaryDirectory(prefix="eventide-") as place, duckdb.connect(":memory:") as connection:
        for number, (name, frame) in enumerate(tables.items()):
            _view(connection, name, frame, Path(place) / f"{number}.parquet")
        try:
            typer.echo(
                connection.sql(sql or "SELECT table_name, column_name, data_type FROM information_schema.columns")
            )
        except duckdb.Error as fault:
            known = ", ".join(sorted(name.replace(".", "_") for name in tables))
            raise EventideError(f"the query does not run: {fault}. Tables: {known}") from None


def _view(connection: duckdb.DuckDBPyConnection, name: str, frame: pl.DataFrame, path: Path) -> None:
    """A frame as a table; whole numbers of more than 64 bits as floats, since Parquet has none."""
    wide = [column for column, dtype in frame.schema.items() if dtype == pl.Int128]
    frame.with_columns(pl.col(wide).cast(pl.Float64)).write_parquet(path)
    quoted = name.replace(".", "_").replace('"', '""')
    where = str(path).replace("'", "''")
    connection.execute(f"CREATE VIEW \"{quoted}\" AS SELECT * FROM read_parquet('{where}')")  # noqa: S608 - quoted


def _tables(found: Checkpoint) -> dict[str, pl.DataFrame]:
    """What a checkpoint holds, as frames by name."""
    logs = [
        {
            "source": source,
            "log": log,
            "from": int(span.start.get("offset") or 0),
            "to": int(span.end.get("offset") or 0),
        }
        for source, logs in found.logs.items()
        for log, span in logs.items()
    ]
    clocks = [
        {"log": log, "front": _instant(one["front"]), "watermark": _instant(one["watermark"])}
        | {"idle": one["idle"], "finished": one["finished"]}
        for log, one in ((found.state.values.get("clocks") or {}).get("logs") or {}).items()
    ]
    accounts = [{"log": log, **account} for log, account in found.state.values["accounts"].items()]
    frames = {f"state.{name}": frame for name, frame in found.state.frames.items()}
    frames |= {f"rows.{name}": frame for name, frame in found.rows.items()}
    moments = {"front": INSTANT, "watermark": INSTANT}
    tables = {"logs": pl.DataFrame(logs), "clocks": pl.DataFrame(clocks, schema_overrides=moments if clocks else None)}
    return {
        name: frame for name, frame in (tables | {"accounts": pl.DataFrame(accounts)} | frames).items() if frame.width
    }


def _instant(value_us: int) -> Any:
    inside = NO_WATERMARK < value_us < END_OF_TIME
    return pl.Series([value_us if inside else None], dtype=pl.Int64).cast(INSTANT)[0]


def _watermark(found: Checkpoint) -> str:
    clocks = found.state.values.get("clocks")
    return instant_text(clocks["stream"]) if clocks else ""


def _print(heads: list[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(show_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)
    typer.echo()
