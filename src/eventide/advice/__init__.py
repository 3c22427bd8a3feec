"""Advice: which bound buys which completeness at which delay, and what would have changed.

Law: it counts on recorded arrivals, event by event; it never changes a stream.
"""

from eventide.advice.advice import Advice, advise
from eventide.advice.bounds import Bounds
from eventide.advice.whatif import WhatIf, what_if

__all__ = ["Advice", "Bounds", "WhatIf", "advise", "what_if"]
