"""Means: what a pipeline may use of the machine - processes, memory, keys.

Law: means change how fast a run is and where its state lies; of all of them only the limit on keys can change an
answer, and then it says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventide.engine.memory import Memory
    from eventide.engine.workers import Crew


@dataclass(frozen=True, slots=True)
class Means:
    """The processes of a run (None: this one), the bound on state in memory (None: there is none), how many keys it may
    know (None: any number), and how it tells people.
    """

    crew: Crew | None = None
    memory: Memory | None = None
    keys_most: int | None = None
    tell: Callable[[str], None] = lambda text: None


ALL_OF_IT = Means()
"""This process, without any bound."""
