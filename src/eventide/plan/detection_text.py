"""Steps of detection as plain values and back.

Law: what is written is read back to the same step; conditions are text of our own dialect, durations are text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from eventide.expressions import parse_expression, to_sql
from eventide.instants import duration_text, non_negative_us, positive_us
from eventide.plan.detection import Absent, Alert, AlertRate, Anomaly, Peaks, Trend
from eventide.plan.given import known, names_of, number_of, part_of, whole_of
from eventide.plan.nodes import OrderedStep
from eventide.semantics.detection import Ewma, HalfSpaceTrees, Hampel, Method, Seasonal, ZScore

Tree = dict[str, Any]

_METHODS: Mapping[str, type[Method]] = {
    "zscore": ZScore,
    "hampel": Hampel,
    "ewma": Ewma,
    "seasonal": Seasonal,
    "half_space_trees": HalfSpaceTrees,
}
WORDS = ("alert", "absent", "anomaly", "mark_peaks", "trend")
"""The words that begin a step of detection."""


def ordered_to(step: OrderedStep) -> Tree:
    """A step of detection as plain values."""
    match step:
        case Alert(name, when, clear, severity, cooldown_us, by):
            tree: Tree = {"name": name, "when": to_sql(when)}
            tree |= {} if clear is None else {"clear": to_sql(clear)}
            tree |= {"severity": severity} | ({"cooldown": duration_text(cooldown_us)} if cooldown_us else {})
            return {"alert": tree | {"by": list(by)}}
        case Absent(name, for_us, severity, by, time):
            tree = {"name": name, "for": duration_text(for_us), "severity": severity, "time": time}
            return {"absent": tree | {"by": list(by)}}
        case Anomaly(column, method, by, prefix):
            return {"anomaly": {"column": column, "method": _method_to(method), "prefix": prefix, "by": list(by)}}
        case Peaks(column, jump, within_us, by, name):
            tree = {"column": column, "jump": jump, "within": duration_text(within_us), "name": name}
            return {"mark_peaks": tree | {"by": list(by)}}
        case Trend(column, to, rows, by, prefix):
            return {"trend": {"column": column, "to": to, "rows": rows, "prefix": prefix, "by": list(by)}}


def ordered_from(step: Mapping[str, Any]) -> OrderedStep:
    """A step of detection of plain values."""
    ((word, given),) = step.items()
    tree = part_of(given, word)
    by = names_of(tree.get("by", ()), "by")
    match word:
        case "alert":
            known(word, tree, "name", "when", "clear", "severity", "cooldown", "by")
            clear = parse_expression(tree["clear"]) if "clear" in tree else None
            cooldown_us = non_negative_us(tree.get("cooldown", "0s"), "cooldown")
            when = parse_expression(tree["when"])
            return Alert(tree["name"], when, clear, tree.get("severity", "warning"), cooldown_us, by)
        case "absent":
            known(word, tree, "name", "for", "severity", "time", "by")
            severity, time = tree.get("severity", "warning"), tree.get("time", "event")
            return Absent(tree.get("name", "absent"), positive_us(tree["for"], "for"), severity, by, time)
        case "anomaly":
            known(word, tree, "column", "method", "prefix", "by")
            return Anomaly(tree["column"], _method_from(tree["method"]), by, tree.get("prefix", ""))
        case "mark_peaks":
            known(word, tree, "column", "jump", "within", "name", "by")
            within_us = positive_us(tree["within"], "within")
            return Peaks(tree["column"], number_of(tree["jump"], "jump"), within_us, by, tree.get("name", "is_peak"))
        case _:
            known(word, tree, "column", "to", "rows", "prefix", "by")
            return Trend(tree["column"], number_of(tree["to"], "to"), tree.get("rows", 20), by, tree.get("prefix", ""))


def rate_to(rate: AlertRate) -> Tree:
    """A rate of alerts as plain values."""
    tree: Tree = {"name": rate.name, "count": rate.count, "within": duration_text(rate.within_us)}
    return tree | {"severity": rate.severity} | ({"of": list(rate.of)} if rate.of else {})


def rate_from(tree: Mapping[str, Any]) -> AlertRate:
    """A rate of alerts of plain values."""
    known("alert_rates", tree, "name", "count", "within", "severity", "of")
    within_us, of = positive_us(tree["within"], "within"), names_of(tree.get("of", ()), "of")
    return AlertRate(tree["name"], tree["count"], within_us, tree.get("severity", "critical"), of)


def _method_to(method: Method) -> Tree:
    word = next(word for word, kind in _METHODS.items() if isinstance(method, kind))
    return {word: dict(_setting_to(name, value) for name, value in asdict(method).items())}


def _setting_to(name: str, value: Any) -> tuple[str, Any]:
    return (name.removesuffix("_us"), duration_text(value)) if name.endswith("_us") else (name, value)


def _method_from(tree: Mapping[str, Any]) -> Method:
    if len(part_of(tree, "method")) != 1 or next(iter(tree)) not in _METHODS:
        raise ValueError(f"{dict(tree)!r} is not a method: write for example {{hampel: {{rows: 60, threshold: 4.0}}}}")
    ((word, settings),) = tree.items()
    kind = _METHODS[word]
    names = {field.name.removesuffix("_us"): field for field in fields(kind)}
    known(word, settings, *names)
    read = {}
    for name, value in settings.items():
        field = names[name]
        read[field.name] = positive_us(value, name) if field.name.endswith("_us") else _number(field.type, value, name)
    return kind(**read)


def _number(kind: object, value: Any, name: str) -> Any:
    return number_of(value, name) if kind == "float" else whole_of(value, name)
