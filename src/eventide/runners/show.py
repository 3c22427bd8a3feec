"""What a run shows on the screen: windows as they close, then the accounting.

Law: showing reads frames and changes nothing; at most a screenful of rows is printed, the rest is counted.
"""

from __future__ import annotations

import sys

import polars as pl

from eventide.plan import DEAD_LETTERS, LATE, RESULTS
from eventide.runners.outcome import Outcome

_ROWS_SHOWN = 20


def say(text: str) -> None:
    """Tell the person in front of the screen."""
    print(f"eventide: {text}", file=sys.stderr)


class Show:
    """Prints the first result rows as they come, and counts the rest."""

    def __init__(self) -> None:
        self._printed = 0
        self._counts: dict[str, int] = {}

    def frame(self, output: str, frame: pl.DataFrame) -> None:
        """Look at a frame of an output."""
        self._counts[output] = self._counts.get(output, 0) + frame.height
        if output == RESULTS and self._printed < _ROWS_SHOWN:
            head = frame.head(_ROWS_SHOWN - self._printed)
            for row in head.iter_rows():
                print(self._line(frame.columns, row))
            self._printed += head.height

    def _line(self, columns: list[str], row: tuple[object, ...]) -> str:
        return "  ".join(f"{name}={_text(value)}" for name, value in zip(columns, row, strict=True))

    def end(self, outcome: Outcome) -> None:
        """Print how much more there was, and the accounting."""
        rest = self._counts.get(RESULTS, 0) - self._printed
        if rest:
            print(f"... and {rest:,} more rows of results")
        others = [(name, count) for name, count in self._counts.items() if name not in (RESULTS,)]
        for name, count in others:
            note = {LATE: "late events", DEAD_LETTERS: "dead letters"}.get(name, f"rows of {name}")
            print(f"{count:,} {note}")
        for target, fates in outcome.deliveries.items():
            print(f"notify {target}: {', '.join(f'{number:,} {fate}' for fate, number in fates.items())}")
        print(outcome)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return text.removesuffix("+00:00")
