"""Delivery: what a connector promises, by which means, and what it needs for that - as data.

Law: each connector states its own promise; no slogan covers all. The table in the documents is made from these values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Guarantee = Literal["exactly once", "at least once", "at most once"]


@dataclass(frozen=True, slots=True)
class Promise:
    """What a connector promises to a run with a state folder that is killed and started again."""

    connector: str
    role: Literal["source", "sink"]
    guarantee: Guarantee
    means: str
    needs: str
