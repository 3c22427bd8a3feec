"""What a run may use of the machine, from the settings of `run`.

Law: settings that make no sense are refused before anything is started; processes and files end with the run.
"""

from __future__ import annotations

from contextlib import ExitStack
from os import PathLike
from pathlib import Path

from eventide.engine.means import Means
from eventide.engine.memory import KEYS_MOST, Memory, bytes_of
from eventide.engine.memory.keys import KEY_BYTES
from eventide.runners.show import say


def means_of(
    held: ExitStack,
    *,
    workers: int = 1,
    memory: int | str | None = None,
    keys_most: int | None = None,
    spill: str | PathLike[str] | None = None,
) -> Means:
    """The means of a run, held until the end of the context. Half of `memory` is for states, half for keys."""
    given: object = workers
    if not isinstance(given, int) or given < 1:
        raise ValueError(f"workers={workers!r} must be at least 1: the number of processes that hold windows")
    if keys_most is not None and keys_most < 1:
        raise ValueError(f"keys_most={keys_most} must be at least 1: how many different keys a run knows")
    bytes_most = None if memory is None else bytes_of(memory, "memory")
    room = KEYS_MOST if bytes_most is None else max(min(KEYS_MOST, bytes_most // 2 // KEY_BYTES), 1)
    bound = None
    if bytes_most is not None:
        half = max(bytes_most // 2, 1)
        bound = Memory(max(half // workers, 1), None if spill is None else Path(spill), half)
    elif spill is not None:
        raise ValueError(f"spill={str(spill)!r} is where state beyond memory= goes: give memory= too")
    if workers == 1:
        return Means(None, bound, room if keys_most is None else keys_most, say)
    from eventide.engine.workers import Crew

    return Means(held.enter_context(Crew(workers)), bound, room if keys_most is None else keys_most, say)
