"""Completeness: what share of its events a window holds when its row goes out, learnt from windows that came out.

Law: it is a function of the stream up to a place in it, never of cuts, restarts or workers.
"""

from eventide.engine.completeness.shares import Shares, shares_for

__all__ = ["Shares", "shares_for"]
