"""Clocks: fronts, watermarks and the progress of the closing watermark, as column operations.

Law: everything here depends on the logs alone, never on where they were cut into batches.
"""

from eventide.engine.clocks.clock import Clock
from eventide.engine.clocks.clocks import Clocks, Observation, clocks_for
from eventide.engine.clocks.progress import CommonProgress, KeyedProgress, MappedProgress, Progress
from eventide.engine.clocks.saved import dump_clocks, load_clocks

__all__ = [
    "Clock",
    "Clocks",
    "CommonProgress",
    "KeyedProgress",
    "MappedProgress",
    "Observation",
    "Progress",
    "clocks_for",
    "dump_clocks",
    "load_clocks",
]
