"""Detection: how a value is judged against its own past, as values.

Law: a method says what is expected of the next value from the values before it, never from the value itself.
"""

from eventide.semantics.detection.methods import (
    Ewma,
    HalfSpaceTrees,
    Hampel,
    Method,
    Seasonal,
    ZScore,
    ewma,
    half_space_trees,
    hampel,
    seasonal,
    zscore,
)

__all__ = [
    "Ewma",
    "HalfSpaceTrees",
    "Hampel",
    "Method",
    "Seasonal",
    "ZScore",
    "ewma",
    "half_space_trees",
    "hampel",
    "seasonal",
    "zscore",
]
