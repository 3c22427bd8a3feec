"""Completeness: what share of its events a window holds when its row goes out, learnt from windows that came out."""

from eventide.engine.completeness.shares import Shares, shares_for

__all__ = ["Shares", "shares_for"]
