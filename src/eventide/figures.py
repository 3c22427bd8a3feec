"""What all pictures share: the empty figure, its file, an axis of dates and one of lengths of time.

Law: only a call needs matplotlib; without it each says what to install.
"""

from __future__ import annotations

from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Final

from eventide.errors import EventideError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

_LENGTHS_S: Final = (
    (0.001, "1 ms"),
    (0.01, "10 ms"),
    (0.1, "100 ms"),
    (1.0, "1 s"),
    (10.0, "10 s"),
    (60.0, "1 min"),
    (600.0, "10 min"),
    (3_600.0, "1 h"),
    (21_600.0, "6 h"),
    (86_400.0, "1 d"),
    (864_000.0, "10 d"),
    (8_640_000.0, "100 d"),
    (86_400_000.0, "1,000 d"),
)


def figure(width: float = 9.0, height: float = 4.8) -> tuple[Figure, Axes]:
    """An empty picture. Raises `EventideError` when matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise EventideError('pictures need matplotlib: install "eventide[pictures]"') from None
    drawn = _picture(Figure)(figsize=(width, height), layout="constrained")
    axes = drawn.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    return drawn, axes


@cache
def _picture(figure: type[Figure]) -> type[Figure]:
    """A figure that notebooks show by itself, without pyplot."""

    class Picture(figure):  # type: ignore[valid-type, misc] # known only when matplotlib is there
        def _repr_png_(self) -> bytes:
            return png(self, dpi=60)

    return Picture


def png(picture: Figure, dpi: int = 130) -> bytes:
    """A picture as a PNG file, without the name of the program that drew it."""
    buffer = BytesIO()
    picture.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def date_axis(axis: Axis) -> None:
    """Write instants at an axis without saying twice what two ticks share."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axis.set_major_locator(locator)
    axis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def length_axis(axes: Axes, least_s: float, most_s: float) -> float:
    """Make the lower axis one of lengths of time from 0 to `most_s` seconds, logarithmic from the last tick that is no
    longer than `least_s` on. Returns where that is.
    """
    least = max((at for at, _ in _LENGTHS_S if at <= least_s), default=_LENGTHS_S[0][0])
    axes.set_xscale("symlog", linthresh=least)
    ticks = [(0.0, "0"), *((at, text) for at, text in _LENGTHS_S if least <= at <= most_s)]
    axes.set_xticks([at for at, _ in ticks], [text for _, text in ticks])
    axes.minorticks_off()
    return least
