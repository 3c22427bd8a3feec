"""Which runners there are: a table from the word in `run(on=...)` to the function that runs a plan.

Law: a plan does not know its runners; they are found by name when one is asked for, so that the arrows keep running
down.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

RUNNERS = {"embedded": "eventide.runners.embedded:run", "flink": "eventide.runners.flink.run:run"}


def runner(name: str) -> Callable[..., Any]:
    """The function that runs a plan on the named runner."""
    try:
        module, function = RUNNERS[name].split(":")
    except KeyError:
        raise ValueError(f"on={name!r} is not a runner: use {', '.join(sorted(RUNNERS))}") from None
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found
