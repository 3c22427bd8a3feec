"""The sentence the user writes: streams, the plan that they build, its check, its explanation and its text form.

Law: a plan is a value; writing it runs nothing.
"""

from eventide.plan.nodes import (
    DEAD_LETTERS,
    LATE,
    RESULTS,
    Branch,
    Filter,
    Input,
    MapBatches,
    Plan,
    Select,
    Step,
    WindowedAggregate,
    WithColumns,
    Write,
)
from eventide.plan.stream import Grouped, Stream, Windowed

__all__ = [
    "DEAD_LETTERS",
    "LATE",
    "RESULTS",
    "Branch",
    "Filter",
    "Grouped",
    "Input",
    "MapBatches",
    "Plan",
    "Select",
    "Step",
    "Stream",
    "Windowed",
    "WindowedAggregate",
    "WithColumns",
    "Write",
]
