"""How many examples a law is asked on: so many at each change, and more where they are drawn anew."""

from __future__ import annotations

from hypothesis import settings

_AT_EACH_CHANGE = "ci"
_ANEW = 5


def examples(at_each_change: int) -> int:
    """For `max_examples`: `make laws` draws five times as many, and others each time."""
    return at_each_change if settings.get_current_profile_name() == _AT_EACH_CHANGE else _ANEW * at_each_change
