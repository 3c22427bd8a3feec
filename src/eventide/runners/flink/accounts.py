"""The accounting of a job: what its counters say, in the form of every run.

Law: a counter is named `eventide.account|log|field`; the job keeps it in its state, so restarts and savepoints do not
change the sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from eventide.engine.accounting import Account, Accounting
from eventide.instants import END_OF_TIME, NO_WATERMARK

_PREFIX = "eventide.account|"
_WATERMARK = "eventide.watermark_us"
_FIELDS = frozenset(one.name for one in fields(Account))


def accounting_of(counters: Mapping[str, int]) -> Accounting:
    """The accounting that counters stand for.

    >>> str(accounting_of({"eventide.account|a.csv|received": 2, "eventide.account|a.csv|late": 1}).of("a.csv").late)
    '1'
    """
    made = Accounting()
    for name, number in sorted(counters.items()):
        log, _, field = name.removeprefix(_PREFIX).rpartition("|")
        if name.startswith(_PREFIX) and field in _FIELDS:
            setattr(made.of(log), field, number)
    return made


def watermark_of(counters: Mapping[str, int]) -> int | None:
    """The stream watermark that the job told last; None when it has none yet."""
    found = counters.get(_WATERMARK)
    return None if found is None or found <= NO_WATERMARK else min(found, END_OF_TIME)
