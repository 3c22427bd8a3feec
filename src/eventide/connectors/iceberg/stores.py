"""Patience with object stores: how often a request of PyIceberg's is made again.

Law: a store that is away or resets connections for some seconds costs an epoch time, not the run.
"""

from __future__ import annotations

from pyarrow.fs import AwsStandardS3RetryStrategy  # type: ignore[import-untyped]  # Arrow has no types

ATTEMPTS = 7


class Patient(AwsStandardS3RetryStrategy):  # type: ignore[misc]  # Arrow has no types
    """Waits of up to 1, 2, 4, 8, 16 and 20 s between attempts, drawn at random: about 25 s in all."""

    def __init__(self) -> None:
        super().__init__(max_attempts=ATTEMPTS)
