"""Lateness: the policies, the allowed lateness and early results, as values.

Law: no event disappears without a trace; the policy only chooses which trace.
"""

from eventide.semantics.lateness.specs import (
    Early,
    EveryChange,
    EveryInterval,
    Lateness,
    LatePolicy,
    every,
    on_change,
)

__all__ = ["Early", "EveryChange", "EveryInterval", "LatePolicy", "Lateness", "every", "on_change"]
