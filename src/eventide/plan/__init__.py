"""The sentence the user writes: streams, the plan that they build, its check, its explanation and its text form.

Law: a plan is a value; writing it runs nothing.
"""

from eventide.plan.detection import ALERTS, Absent, Alert, AlertRate, Anomaly, Peaks, Trend
from eventide.plan.nodes import (
    DEAD_LETTERS,
    LATE,
    RESULTS,
    Branch,
    Filter,
    Input,
    MapBatches,
    OrderedStep,
    Plan,
    RowStep,
    Select,
    Step,
    WindowedAggregate,
    WithColumns,
    Write,
)
from eventide.plan.stream import Grouped, Stream, Windowed

__all__ = [
    "ALERTS",
    "DEAD_LETTERS",
    "LATE",
    "RESULTS",
    "Absent",
    "Alert",
    "AlertRate",
    "Anomaly",
    "Branch",
    "Filter",
    "Grouped",
    "Input",
    "MapBatches",
    "OrderedStep",
    "Peaks",
    "Plan",
    "RowStep",
    "Select",
    "Step",
    "Stream",
    "Trend",
    "Windowed",
    "WindowedAggregate",
    "WithColumns",
    "Write",
]
