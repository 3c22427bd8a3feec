"""Half-space trees of the library River: a model for each key, which scores a row and then learns it.

Law: what is remembered is the values that the model still knows, less than two of its windows, and a model that learns
them again is the same model, because its trees depend on the seed alone. This is the one place where rows are looped
over in Python, because the model takes them so.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from eventide.engine.detection.stage import Frames
from eventide.engine.keys import CODE
from eventide.errors import EventideError
from eventide.semantics.detection import HalfSpaceTrees

_KNOWN = {CODE: pl.Int64(), "x": pl.Float64()}


class Trees:
    """The models of all keys."""

    def __init__(self, method: HalfSpaceTrees) -> None:
        self._method = method
        self._models: dict[int, _Model] = {}

    def score(self, new: pl.DataFrame) -> pl.DataFrame:
        """Score each row by what its key's model learnt before it; null in the first window."""
        scores: list[float | None] = []
        for code, x in zip(new.get_column(CODE).to_list(), new.get_column("x").to_list(), strict=True):
            if code not in self._models:
                self._models[code] = _Model(self._method)
            scores.append(self._models[code].take(x))
        nothing = pl.lit(None, dtype=pl.Float64).alias("expected")
        return new.select("pos", nothing, pl.Series("score", scores, dtype=pl.Float64))

    def snapshot(self) -> Frames:
        known = [
            pl.DataFrame({CODE: [code] * len(model.known), "x": model.known}, schema=_KNOWN)
            for code, model in self._models.items()
        ]
        return {"known": pl.concat([pl.DataFrame(schema=_KNOWN), *known])}

    def restore(self, frames: Frames) -> None:
        for code, x in frames["known"].iter_rows():
            if code not in self._models:
                self._models[code] = _Model(self._method)
            self._models[code].learn(x)


class _Model:
    """River's model of one key, and the values that it still knows: the reference window and the one being learnt."""

    def __init__(self, method: HalfSpaceTrees) -> None:
        self._trees = _half_space_trees(method)
        self._window = method.window
        self.known: list[float] = []

    def take(self, x: float) -> float | None:
        score = float(self._trees.score_one({"x": x})) if len(self.known) >= self._window else None
        self.learn(x)
        return score

    def learn(self, x: float) -> None:
        self._trees.learn_one({"x": x})
        self.known.append(x)
        if len(self.known) == 2 * self._window:
            del self.known[: self._window]


def _half_space_trees(method: HalfSpaceTrees) -> Any:
    try:
        from river import anomaly
    except ImportError:
        raise EventideError('half_space_trees needs the library River: install "eventide[river]"') from None
    return anomaly.HalfSpaceTrees(
        n_trees=method.trees,
        height=method.height,
        window_size=method.window,
        limits={"x": (method.low, method.high)},
        seed=method.seed,
    )
