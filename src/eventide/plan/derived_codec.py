"""Derived streams as plain values and back.

Law: as plans: reading gives what was written; each side is a plan of its own inside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from eventide.instants import duration_text, microseconds, non_negative_us, positive_us
from eventide.plan.derived import AsofJoin, Derived, Enrich, IntervalJoin, Merge, Pairs
from eventide.plan.given import names_of, part_of
from eventide.plan.settings import early_from, early_to

if TYPE_CHECKING:
    from eventide.plan.nodes import Plan

Tree = dict[str, Any]


def derived_to(derived: Derived, plan_to: Callable[[Plan], Tree]) -> Tree:
    """A derived stream as plain values."""
    match derived:
        case Merge(of, by, within_us):
            return {"merge": list(by), "within": duration_text(within_us), "of": plan_to(of)}
        case IntervalJoin(_, _, on, lower_us, upper_us, how, _):
            bounds = {"lower": duration_text(lower_us), "upper": duration_text(upper_us)}
            return {"join_interval": dict(on), **bounds, "how": how, **_sides_to(derived, plan_to)}
        case AsofJoin(_, _, on, tolerance_us, how, _):
            tolerance = {} if tolerance_us is None else {"tolerance": duration_text(tolerance_us)}
            return {"join_asof": dict(on), **tolerance, "how": how, **_sides_to(derived, plan_to)}


def _sides_to(derived: IntervalJoin | AsofJoin, plan_to: Callable[[Plan], Tree]) -> Tree:
    return {"suffix": derived.suffix, "left": plan_to(derived.left), "right": plan_to(derived.right)}


def derived_from(tree: Mapping[str, Any], plan_from: Callable[[Mapping[str, Any]], Plan]) -> Derived:
    """A derived stream of plain values."""
    match dict(part_of(tree, "derived")):
        case {"merge": list(by), "within": str(within), "of": dict(of), **rest} if not rest:
            return Merge(plan_from(of), names_of(by, "merge"), positive_us(within, "within"))
        case {"join_interval": on, "lower": str(lower), "upper": str(upper), "left": dict(), "right": dict(), **rest}:
            left, right, how, suffix = _sides_from(tree, rest, "inner", plan_from)
            bounds = (microseconds(lower, "lower"), microseconds(upper, "upper"))
            return IntervalJoin(left, right, _on(on), *bounds, how, suffix)
        case {"join_asof": on, "left": dict(), "right": dict(), **rest}:
            tolerance = rest.pop("tolerance", None)
            left, right, how, suffix = _sides_from(tree, rest, "left", plan_from)
            tolerance_us = None if tolerance is None else non_negative_us(tolerance, "tolerance")
            return AsofJoin(left, right, _on(on), tolerance_us, how, suffix)
        case _:
            raise ValueError(
                f"derived holds {', '.join(tree)}: write merge, within, of; "
                "or join_interval, lower, upper, left, right; or join_asof, left, right"
            )


def _sides_from(
    tree: Mapping[str, Any], rest: Mapping[str, Any], how: str, plan_from: Callable[[Mapping[str, Any]], Plan]
) -> tuple[Plan, Plan, Any, str]:
    unknown = sorted(set(rest) - {"how", "suffix"})
    if unknown:
        raise ValueError(f"a join has an unknown setting {', '.join(map(repr, unknown))}: it takes how and suffix too")
    return plan_from(tree["left"]), plan_from(tree["right"]), rest.get("how", how), rest.get("suffix", "_right")


def _on(on: Any) -> Pairs:
    if not isinstance(on, Mapping):
        raise ValueError(f"{on!r} are no keys of a join: write each as left: right, such as {{device: device}}")
    return tuple((str(left), str(right)) for left, right in on.items())


def enrich_to(step: Enrich, plan_to: Callable[[Plan], Tree]) -> Tree:
    """An `enrich` as plain values."""
    given = {"misses": step.misses, "refresh": early_to(step.refresh), "version": step.version}
    settings = {name: value for name, value in given.items() if value is not None}
    return {"enrich": dict(step.on), **settings, "suffix": step.suffix, "side": plan_to(step.side)}


def enrich_from(on: Any, rest: Mapping[str, Any], plan_from: Callable[[Mapping[str, Any]], Plan]) -> Enrich:
    """An `enrich` of plain values."""
    unknown = sorted(set(rest) - {"side", "misses", "refresh", "version", "suffix"})
    if unknown:
        raise ValueError(f"enrich has an unknown setting {', '.join(map(repr, unknown))}: see `Stream.enrich`")
    refresh = early_from(rest.get("refresh"))
    suffix = rest.get("suffix", "_right")
    return Enrich(
        plan_from(part_of(rest["side"], "side")), _on(on), rest.get("misses"), refresh, rest.get("version"), suffix
    )
