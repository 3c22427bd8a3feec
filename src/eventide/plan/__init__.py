"""The sentence the user writes: streams, the plan that they build, its check, its explanation and its text form.

Law: a plan is a value; writing it runs nothing.
"""

from eventide.plan.derived import AsofJoin, Derived, Enrich, IntervalJoin, Merge, right_names
from eventide.plan.detection import ALERTS, Absent, Alert, AlertRate, Anomaly, Peaks, Trend
from eventide.plan.nodes import (
    DEAD_LETTERS,
    LATE,
    RESULTS,
    Branch,
    Deduplicate,
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
    "AsofJoin",
    "Branch",
    "Deduplicate",
    "Derived",
    "Enrich",
    "Filter",
    "Grouped",
    "Input",
    "IntervalJoin",
    "MapBatches",
    "Merge",
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
    "right_names",
]
