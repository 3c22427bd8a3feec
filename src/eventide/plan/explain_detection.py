"""Steps of detection in words.

Law: as in `explain`: nothing that changes an answer is left out.
"""

from __future__ import annotations

from dataclasses import asdict

from eventide.expressions import to_sql
from eventide.instants import duration_text
from eventide.plan.detection import Absent, Alert, AlertRate, Anomaly, Peaks, Trend
from eventide.plan.nodes import OrderedStep
from eventide.semantics.detection import Method


def ordered_line(step: OrderedStep) -> str:
    """A step of detection as one line."""
    whose = f"for each {', '.join(step.by)}" if step.by else "for the whole stream"
    match step:
        case Alert(name, when, clear, severity, cooldown_us):
            down = f"not {to_sql(when)}" if clear is None else to_sql(clear)
            rest = f", not again within {duration_text(cooldown_us)}" if cooldown_us else ""
            return f"alert       {name} ({severity}) {whose}: raised when {to_sql(when)}, cleared when {down}{rest}"
        case Absent(name, for_us, severity, _, time):
            by = "" if time == "event" else " by the wall clock, which no replay repeats"
            return f"absent      {name} ({severity}) {whose}: raised after {duration_text(for_us)} of silence{by}"
        case Anomaly(column, method):
            return f"anomaly     {column} {whose}, by {_method(method)}, in the order of event time"
        case Peaks(column, jump, within_us, _, name):
            near = duration_text(within_us)
            return f"peaks       {name}: {column} more than {jump:g} off both neighbours within {near}, {whose}"
        case Trend(column, to, rows):
            return f"trend       when {column} reaches {to:g}, from the last {rows} rows {whose}"


def rate_line(rate: AlertRate) -> str:
    """A rate of alerts as one line."""
    which = ", ".join(rate.of) or "any kind"
    often = f"{rate.count} alerts of {which} within {duration_text(rate.within_us)}"
    return f"output      {rate.name} ({rate.severity}): raised at {often}"


def _method(method: Method) -> str:
    settings = (
        f"{name.removesuffix('_us')} {duration_text(value) if name.endswith('_us') else f'{value:g}'}"
        for name, value in asdict(method).items()
    )
    return f"{type(method).__name__} ({', '.join(settings)})"
