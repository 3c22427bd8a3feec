"""The same plan on Apache Flink: what it becomes there, and what Flink cannot run.

Law: nothing is silently different. What the job in `flink/` does not do as the embedded engine does is a gap, found
before anything runs.
"""

from eventide.runners.flink.compile import Compiled, compile_plan
from eventide.runners.flink.gaps import Gap, gaps_of

__all__ = ["Compiled", "Gap", "compile_plan", "gaps_of"]
