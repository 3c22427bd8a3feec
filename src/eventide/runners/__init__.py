"""Runners: the same plan at work somewhere.

Law: a runner may differ in speed and in what it needs, never in its answer.
"""

from eventide.runners.embedded import run
from eventide.runners.inspection import Inspection, inspect
from eventide.runners.outcome import Outcome

__all__ = ["Inspection", "Outcome", "inspect", "run"]
