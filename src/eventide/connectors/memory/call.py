"""A Python function as a sink.

Law: the function gets every frame once, in order; what it raises stops the run, in words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from eventide.errors import EventideError, SinkError, told
from eventide.plan.given import function_of


@dataclass(frozen=True, slots=True)
class Call:
    """Hands frames to a function."""

    function: Callable[[pl.DataFrame], object]

    @property
    def name(self) -> str:
        return f"function {getattr(self.function, '__name__', 'function')}"

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> CallWriter:
        return CallWriter(self.function)


@dataclass(frozen=True, slots=True)
class CallWriter:
    """Nothing is held back: a frame is visible when the function has had it."""

    function: Callable[[pl.DataFrame], object]

    def write(self, frame: pl.DataFrame) -> None:
        try:
            self.function(frame)
        except EventideError:
            raise
        except Exception as fault:
            name = getattr(self.function, "__name__", "function")
            raise SinkError(f"call({name}) failed: {told(fault)}") from fault

    def commit(self) -> None:
        """There is nothing to make visible."""

    def close(self) -> None:
        """There is nothing to release."""

    def abort(self) -> None:
        """There is nothing to take back."""


def call(function: Callable[[pl.DataFrame], object]) -> Call:
    """A sink that calls a function with each frame of an output."""
    return Call(function_of(function, "call"))
