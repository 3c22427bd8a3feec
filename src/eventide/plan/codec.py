"""Plans as text: YAML or JSON and back, without loss.

Law: reading gives the plan that was written; expressions are SQL text of our own dialect, durations are text such as
"5m", and nothing in the text is ever run as code. What lives in Python only (functions, frames, own strategies) is
refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import msgspec
import yaml

from eventide.errors import ExpressionError, PlanError
from eventide.expressions import (
    Aggregation,
    OwnAggregate,
    own_from_mapping,
    own_to_mapping,
    parse_aggregation,
    parse_expression,
    to_sql,
)
from eventide.instants import duration_text, positive_us
from eventide.plan.derived import Enrich
from eventide.plan.derived_codec import derived_from, derived_to, enrich_from, enrich_to
from eventide.plan.detection_text import WORDS, ordered_from, ordered_to, rate_from, rate_to
from eventide.plan.given import list_of, name_of, names_of, part_of
from eventide.plan.nodes import (
    Branch,
    Deduplicate,
    Filter,
    Input,
    MapBatches,
    OrderedStep,
    Plan,
    Select,
    Step,
    WindowedAggregate,
    WithColumns,
    Write,
)
from eventide.plan.settings import (
    early_from,
    early_to,
    event_time_from,
    event_time_to,
    lateness_from,
    lateness_to,
    window_from,
    window_to,
)

VERSION = 1
_CONNECTORS = "eventide.connectors.codec"
"""Where sources and sinks are written and read; found by name, so that a plan does not depend on connectors."""

Tree = dict[str, Any]


def to_json(plan: Plan) -> str:
    """The plan as JSON text."""
    return msgspec.json.format(msgspec.json.encode(plan_to(plan)), indent=2).decode()


def to_yaml(plan: Plan) -> str:
    """The plan as YAML text."""
    return msgspec.yaml.encode(plan_to(plan)).decode()


def from_json(text: str) -> Plan:
    """The plan of a JSON text."""
    return _read(text, msgspec.json.decode)


def from_yaml(text: str) -> Plan:
    """The plan of a YAML text."""
    return _read(text, _yaml)


def _yaml(text: str) -> Any:
    tree = msgspec.yaml.decode(text)
    twice = _twice(yaml.compose(text, Loader=yaml.SafeLoader))
    if twice is not None:
        raise msgspec.DecodeError(f"{twice.value!r} stands twice in one place, line {twice.start_mark.line + 1}")
    return tree


def _twice(root: Any) -> Any:
    """A name that a mapping of the text has twice, of which one would be left out silently."""
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen or not isinstance(node, yaml.CollectionNode):
            continue  # an alias stands for what was looked at already
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            names = [key.value for key, _ in node.value]
            again = [key for place, (key, _) in enumerate(node.value) if key.value in names[:place]]
            if again:
                return again[0]
            waiting += [value for _, value in node.value]
        else:
            waiting += node.value
    return None


def _read(text: str, decode: Any) -> Plan:
    try:
        tree = decode(text)
    except RecursionError:
        raise PlanError.of("plan", "the text nests too deeply", "A plan has a few levels only") from None
    except TypeError:
        raise PlanError.of("plan", f"{text!r} is no text", "Give what to_yaml or to_json wrote") from None
    except msgspec.DecodeError as fault:
        raise PlanError.of("plan", f"the text cannot be read: {fault}", "Mend it at that place") from None
    if not isinstance(tree, dict) or tree.get("eventide") != VERSION:
        raise PlanError.of(
            "plan", f'it does not begin with "eventide: {VERSION}"', "Write that line first; it names the plan's format"
        )
    try:
        return plan_from(tree)
    except KeyError as fault:
        raise PlanError.of(
            "plan", f"{fault.args[0]!r} is missing", "Add it; `eventide explain` shows what a plan holds"
        ) from None
    except (ValueError, TypeError, ExpressionError) as fault:
        raise PlanError.of("plan", str(fault), "Mend it in the text") from None


def plan_to(plan: Plan) -> Tree:
    """The plan as plain values."""
    connectors = import_module(_CONNECTORS)
    tree: Tree = {"eventide": VERSION}
    if plan.derived is None:
        tree["sources"] = [
            connectors.source_to(one.source) | _optional("steps", _steps_to(one.steps)) for one in plan.inputs
        ]
    else:
        tree["derived"] = derived_to(plan.derived, plan_to)
    tree |= _optional("before", _steps_to(plan.before))
    if plan.event_time is not None:
        tree["event_time"] = event_time_to(plan.event_time)
    tree |= _optional("after", _steps_to(plan.after))
    if plan.aggregate is not None:
        tree |= aggregate_to(plan.aggregate)
    tree |= _optional("finish", _steps_to(plan.finish))
    tree |= _optional("alert_rates", [rate_to(rate) for rate in plan.rates])
    tree |= _optional("outputs", [{"name": branch.name, "steps": _steps_to(branch.steps)} for branch in plan.branches])
    tree |= _optional("write", [connectors.sink_to(write.sink) | {"output": write.output} for write in plan.writes])
    return tree


def plan_from(tree: Mapping[str, Any]) -> Plan:
    """The plan of plain values."""
    connectors = import_module(_CONNECTORS)
    known = {
        "eventide",
        "sources",
        "derived",
        "before",
        "event_time",
        "after",
        "group_by",
        "window",
        "aggregates",
        "finish",
        "outputs",
        "write",
    }
    known |= {"lateness", "early", "fill", "completeness", "alert_rates"}
    unknown = sorted(set(tree) - known)
    if unknown:
        raise ValueError(f"unknown part {', '.join(map(repr, unknown))}: a plan has {', '.join(sorted(known))}")
    derived = derived_from(tree["derived"], plan_from) if "derived" in tree else None
    if derived is None and not _parts(tree["sources"], "sources"):
        raise ValueError("sources: there is none: a plan reads at least one")
    return Plan(
        tuple(
            Input(connectors.source_from(one), _steps_from(one.get("steps", ())))
            for one in _parts(tree["sources"], "sources")
        )
        if derived is None
        else tuple(one for side in derived.sides for one in side.inputs),
        _steps_from(tree.get("before", ())),
        event_time_from(tree["event_time"]) if "event_time" in tree else None,
        _steps_from(tree.get("after", ())),
        aggregate_from(tree) if "window" in tree else None,
        _steps_from(tree.get("finish", ())),
        tuple(
            Branch(name_of(one["name"], "name"), _steps_from(one["steps"]))
            for one in _parts(tree.get("outputs", ()), "outputs")
        ),
        tuple(
            Write(name_of(one.get("output", "results"), "output"), connectors.sink_from(one))
            for one in _parts(tree.get("write", ()), "write")
        ),
        derived,
        tuple(rate_from(one) for one in _parts(tree.get("alert_rates", ()), "alert_rates")),
    )


def aggregate_to(query: WindowedAggregate) -> Tree:
    """Keys, window and aggregates as plain values."""
    tree: Tree = {"group_by": list(query.keys), "window": window_to(query.window)}
    tree |= _optional("lateness", lateness_to(query.lateness))
    tree |= _optional("early", early_to(query.early))
    tree |= _optional("fill", "empty" if query.fill_empty else None)
    tree |= _optional("completeness", query.completeness)
    tree["aggregates"] = {
        name: own_to_mapping(one) if isinstance(one, OwnAggregate) else to_sql(one) for name, one in query.aggregates
    }
    return tree


def aggregate_from(tree: Mapping[str, Any]) -> WindowedAggregate:
    """Keys, window and aggregates of plain values."""
    if tree.get("fill") not in (None, "empty"):
        raise ValueError(f"fill: {tree['fill']!r} is not a choice: write empty, or leave it out")
    return WindowedAggregate(
        names_of(tree.get("group_by", ()), "group_by"),
        window_from(tree["window"]),
        tuple((name, _aggregation(one)) for name, one in part_of(tree["aggregates"], "aggregates").items()),
        lateness_from(tree.get("lateness", {})),
        early_from(tree.get("early")),
        tree.get("fill") == "empty",
        bool(tree.get("completeness", False)),
    )


def _aggregation(given: str | Mapping[str, Any]) -> Aggregation | OwnAggregate:
    return parse_aggregation(given) if isinstance(given, str) else own_from_mapping(part_of(given, "aggregates"))


def _steps_to(steps: Sequence[Step]) -> list[Tree]:
    return [_step_to(step) for step in steps]


def _step_to(step: Step) -> Tree:
    match step:
        case Filter(predicate):
            return {"filter": to_sql(predicate)}
        case Select(columns):
            return {"select": {name: to_sql(value) for name, value in columns}}
        case WithColumns(columns):
            return {"with_columns": {name: to_sql(value) for name, value in columns}}
        case Enrich():
            return enrich_to(step, plan_to)
        case Deduplicate(by, within_us):
            return {"deduplicate": list(by), "within": duration_text(within_us)}
        case MapBatches(function, _):
            name = getattr(function, "__name__", "function")
            raise PlanError.of(
                "map_batches",
                f"{name} is a Python function",
                "Plans as text hold expressions only: use with_columns or filter",
            )
        case _ if isinstance(step, OrderedStep):
            return ordered_to(step)


def _parts(given: object, where: str) -> list[Mapping[str, Any]]:
    return [part_of(one, where) for one in list_of(given, where)]


def _steps_from(steps: object) -> tuple[Step, ...]:
    return tuple(_step_from(step) for step in _parts(steps, "steps"))


def _step_from(step: Mapping[str, Any]) -> Step:
    match dict(step):
        case {"filter": str(text)}:
            return Filter(parse_expression(text))
        case {"select": dict(columns)}:
            return Select(tuple((name, parse_expression(text)) for name, text in columns.items()))
        case {"with_columns": dict(columns)}:
            return WithColumns(tuple((name, parse_expression(text)) for name, text in columns.items()))
        case {"enrich": dict(), **rest}:
            return enrich_from(step["enrich"], rest, plan_from)
        case {"deduplicate": list(by), "within": str(within)}:
            return Deduplicate(names_of(by, "deduplicate"), positive_us(within, "within"))
        case one if len(one) == 1 and next(iter(one)) in WORDS:
            return ordered_from(one)
        case _:
            words = ("filter", "select", "with_columns", "deduplicate", "enrich", *WORDS)
            raise ValueError(f"{dict(step)!r} is not a step: write one of {', '.join(words)}")


def _optional(name: str, value: Any) -> Tree:
    return {name: value} if value else {}
