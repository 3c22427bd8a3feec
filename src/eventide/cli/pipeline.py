"""Pipelines from files: a Python file that makes a stream, or a plan as YAML or JSON.

Law: only a `.py` file, which the user names on the own command line, is ever run; a plan as text is only read.
"""

from __future__ import annotations

import runpy
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from eventide.engine.memory import bytes_of
from eventide.errors import EventideError, PlanError
from eventide.instants import non_negative_us, positive_us
from eventide.plan import Stream

Pipeline = Annotated[
    Path,
    typer.Argument(
        help="A .py file that makes a stream named `pipeline`, or a plan as .yaml or .json.", show_default=False
    ),
]


@contextmanager
def given(option: str) -> Iterator[None]:
    """Words that an option cannot mean are wrong usage, said with the option's name."""
    try:
        yield
    except ValueError as fault:
        raise typer.BadParameter(str(fault), param_hint=option) from None


def duration(text: str | None) -> str | None:
    """For an option that takes a duration: text that is none is wrong usage, as is one below zero."""
    if text is not None:
        try:
            non_negative_us(text, "duration")
        except ValueError as fault:
            raise typer.BadParameter(str(fault)) from None
    return text


def length(text: str | None) -> str | None:
    """For an option that takes a duration longer than zero."""
    if text is not None:
        try:
            positive_us(text, "duration")
        except ValueError as fault:
            raise typer.BadParameter(str(fault)) from None
    return text


def size(text: str | None) -> str | None:
    """For an option that takes a size: text that is none is wrong usage."""
    if text is not None:
        try:
            bytes_of(text, "--memory")
        except ValueError as fault:
            raise typer.BadParameter(str(fault)) from None
    return text


def load(path: Path) -> Stream:
    """The stream of a pipeline file."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there" if not path.exists() else "is no file"
        raise PlanError.of("pipeline", f"{path} {what}", "Give the path of a .py, .yaml or .json file")
    match path.suffix:
        case ".py":
            return _from_python(path)
        case ".yaml" | ".yml":
            return Stream.from_yaml(text_of(path))
        case ".json":
            return Stream.from_json(text_of(path))
        case other:
            raise PlanError.of("pipeline", f"{path} ends with {other!r}", "Give a .py, .yaml or .json file")


def text_of(path: Path) -> str:
    """What a file of text says. Raises `PlanError` where it cannot be read as such."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as fault:
        raise PlanError.of("pipeline", f"{path}: byte {fault.start} is no UTF-8", "Save it as UTF-8 text") from None
    except OSError as fault:
        raise PlanError.of("pipeline", f"cannot read {path}: {fault.strerror}", "Check its permissions") from None


def _from_python(path: Path) -> Stream:
    try:
        made = runpy.run_path(str(path), run_name="eventide_pipeline")
    except EventideError:
        raise
    except Exception as fault:
        lines = [frame.lineno for frame in traceback.extract_tb(fault.__traceback__) if frame.filename == str(path)]
        where = f"{path}, line {lines[-1]}" if lines else str(path)
        raise PlanError.of("pipeline", f"{where}: {type(fault).__name__}: {fault}", "Mend the file there") from fault
    streams = {name: value for name, value in made.items() if isinstance(value, Stream) and not name.startswith("_")}
    if "pipeline" in streams:
        return streams["pipeline"]
    if len(streams) == 1:
        return next(iter(streams.values()))
    found = f"it makes {', '.join(streams)}" if streams else "it makes no stream"
    raise PlanError.of("pipeline", f"{path}: {found}", "Name the stream to run `pipeline`")
