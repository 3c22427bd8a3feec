"""What a pipeline holds in memory that cannot go to the disk, counted against the bound.

Law: it stops the run in words before it takes more than there is for states.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventide.engine.memory import Memory

if TYPE_CHECKING:
    from eventide.engine.pipeline import Pipeline


def hold(pipeline: Pipeline, memory: Memory) -> None:
    """Bring states to the disk, and count what stays. Raises `SpillError` when that is too much."""
    memory.settle()
    memory.hold("alerts and detection", pipeline.shapes.snapshot().values())
    hold_sides(pipeline, memory)


def hold_sides(pipeline: Pipeline, memory: Memory) -> None:
    """Count what was read of side inputs."""
    memory.hold("side inputs", pipeline.lookups.dump()[1].values())
