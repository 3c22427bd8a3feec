"""Drawn plans as text: YAML and JSON give the same plan back, and `check` has the same answer to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from tests.plan.drawn_plans import plans, structure

import eventide as et
from eventide.plan import Plan
from eventide.plan.codec import from_json, from_yaml, to_json, to_yaml

QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)


def answer(plan: Plan) -> str:
    """What `check` says."""
    try:
        et.Stream(plan).check()
    except et.PlanError as fault:
        return str(fault)
    return "sound"


@pytest.mark.parametrize(("write", "read"), [(to_yaml, from_yaml), (to_json, from_json)], ids=["yaml", "json"])
@settings(QUIET, max_examples=150)
@given(plan=plans())
def test_a_plan_of_any_shape_is_read_back_as_it_was_written(
    write: Callable[[Plan], str], read: Callable[[str], Plan], plan: Plan
) -> None:
    again = read(write(plan))
    assert structure(again) == structure(plan)
    assert answer(again) == answer(plan)
