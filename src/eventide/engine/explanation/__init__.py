"""Explanations: what is the state of a window, who holds its watermark back, what became of an event and why.

Law: an explanation is made of the plan, a snapshot and the kept outputs; asking never changes an answer of a run.
"""

from eventide.engine.explanation.derived import explain_event, explain_window, find_event
from eventide.engine.explanation.events import EventExplanation
from eventide.engine.explanation.holding import Holding
from eventide.engine.explanation.moment import Moment
from eventide.engine.explanation.windows import WindowExplanation

__all__ = [
    "EventExplanation",
    "Holding",
    "Moment",
    "WindowExplanation",
    "explain_event",
    "explain_window",
    "find_event",
]
