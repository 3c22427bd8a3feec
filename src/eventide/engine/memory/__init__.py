"""Memory: a bound on what a run remembers in memory, the files that take what is beyond it, and the limit on keys.

Law: where a state lies changes no answer; only the limit on keys does, and says so (decision 0026).
"""

from eventide.engine.memory.keys import KEYS_MOST, KeyLimit, limit_of
from eventide.engine.memory.memory import Memory, Spillable, bytes_of
from eventide.engine.memory.spill import ColdFile

__all__ = ["KEYS_MOST", "ColdFile", "KeyLimit", "Memory", "Spillable", "bytes_of", "limit_of"]
