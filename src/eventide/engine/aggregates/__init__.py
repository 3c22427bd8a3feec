"""Aggregates as the engine runs them: terms in Polars columns, their states, and the results made of them.

Law: states merge in any order to the same bits (decisions 0001 and 0002).
"""

from eventide.engine.aggregates.hashes import hashes_of
from eventide.engine.aggregates.lowering import Aggregates, lower
from eventide.engine.aggregates.state import AggregateState, stack
from eventide.engine.aggregates.terms import LOG_NAME, ROW_OFFSET, TIME

__all__ = ["LOG_NAME", "ROW_OFFSET", "TIME", "AggregateState", "Aggregates", "hashes_of", "lower", "stack"]
