"""Time as whole microseconds since 1970-01-01 UTC, and durations as whole microseconds.

Law: inside Eventide an instant and a duration are `int` microseconds; `datetime`, `timedelta` and text such as
"5m" exist only at the face. Nothing here reads a clock.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

Duration: TypeAlias = str | timedelta
"""A length of time at the face: text such as "2s", "1h30m", "250ms", or a `timedelta`."""

When: TypeAlias = str | datetime
"""A point in time at the face: ISO 8601 text or a `datetime`. Without an offset it is UTC."""

NO_WATERMARK: Final = -(2**62)
"""The watermark of a clock before its first event: nothing is late yet."""

END_OF_TIME: Final = 2**63 - 1
"""Where every clock moves at the end of a bounded input: all windows close."""

EARLIEST: Final = -62_135_596_800_000_000
"""The smallest event time taken in, the beginning of year 1; earlier ones are refused."""

LONGEST: Final = 2**60
"""The longest duration taken as a setting (36,533 years)."""

_UNIT_US: Final = {
    "us": 1,
    "ms": 1_000,
    "s": 1_000_000,
    "m": 60_000_000,
    "h": 3_600_000_000,
    "d": 86_400_000_000,
    "w": 604_800_000_000,
}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h|d|w)")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Instant:
    """The type of a point in time, for schemas: `{"at": et.Instant}`. Values are microseconds UTC; it has no
    instances.
    """


def microseconds(duration: Duration, name: str = "duration") -> int:
    """The length of a duration in microseconds.

    `name` is the argument's name in the error. Raises `ValueError` when the text is not a duration or the length is
    not a whole number of microseconds.

    >>> microseconds("1h30m")
    5400000000
    >>> microseconds("0.5s")
    500000
    """
    if isinstance(duration, timedelta):
        return duration // timedelta(microseconds=1)
    if not isinstance(duration, str):
        raise ValueError(f'{name}={duration!r} is not a duration: write text such as "5m" or "250ms", or a timedelta')
    text = duration.strip().replace("_", "")
    sign = -1 if text.startswith("-") else 1
    body = text.lstrip("+-")
    if body == "0":
        return 0
    parts = _PART.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise ValueError(
            f'{name}={duration!r} is not a duration: write numbers with units us, ms, s, m, h, d or w, such as "1h30m"'
        )
    total_us = 0
    for number, unit in parts:
        whole, _, fraction = number.partition(".")
        scaled = int(whole + fraction) * _UNIT_US[unit]
        length, rest = divmod(scaled, 10 ** len(fraction))
        if rest:
            raise ValueError(f"{name}={duration!r} is finer than a microsecond: round it to whole microseconds")
        total_us += length
    return sign * total_us


def positive_us(duration: Duration, name: str) -> int:
    """The length of a duration that must be longer than zero, in microseconds."""
    length = non_negative_us(duration, name)
    if length == 0:
        raise ValueError(f'{name}={duration!r} must be longer than zero: for example {name}="5m"')
    return length


def non_negative_us(duration: Duration, name: str) -> int:
    """The length of a duration that must not be negative, in microseconds."""
    length = microseconds(duration, name)
    if not 0 <= length <= LONGEST:
        raise ValueError(f'{name}={duration!r} must lie between zero and 36,533 years: for example {name}="5m"')
    return length


def duration_text(length_us: int) -> str:
    """A duration as text that `microseconds` reads back to the same length.

    >>> duration_text(5_400_000_000)
    '1h30m'
    """
    if length_us == 0:
        return "0s"
    text, rest = "", abs(length_us)
    for unit in ("d", "h", "m", "s", "ms", "us"):
        count, rest = divmod(rest, _UNIT_US[unit])
        if count:
            text += f"{count}{unit}"
    return "-" + text if length_us < 0 else text


def length_text(length_us: float) -> str:
    """A length as people say it, to three digits.

    >>> length_text(4_373_000_000)
    '1.21 h'
    """
    for unit_us, name in ((86_400e6, "d"), (3_600e6, "h"), (60e6, "min"), (1e6, "s"), (1e3, "ms")):
        if abs(length_us) >= unit_us:
            return f"{length_us / unit_us:.3g} {name}"
    return f"{length_us:.3g} us" if length_us else "0 s"


def instant_us(when: When, name: str = "time") -> int:
    """A point in time as microseconds since 1970 UTC.

    >>> instant_us("1970-01-01T00:00:01Z")
    1000000
    """
    moment = when
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            raise ValueError(f'{name}={when!r} is not a time: write it as "2020-02-29T23:56:03Z"') from None
    if not isinstance(moment, datetime):
        raise ValueError(f'{name}={when!r} is not a time: give text such as "2020-02-29T23:56:03Z", or a datetime')
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def instant_text(instant: int | None) -> str:
    """An instant as people read it: ISO 8601 in UTC, without trailing zeros; words for the ends of time.

    >>> instant_text(1_000_000)
    '1970-01-01 00:00:01'
    """
    if instant is None or instant <= NO_WATERMARK:
        return "none"
    if instant == END_OF_TIME:
        return "end of time"
    try:
        moment = _EPOCH + timedelta(microseconds=instant)
    except OverflowError:
        return f"{instant} us"
    return moment.strftime("%Y-%m-%d %H:%M:%S") + (
        f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    )
