"""What a user gives where a plan wants a name, names, a number or a part with settings, in Python or as text.

Law: a value of a wrong kind is refused where it stands, with its name, the value and the remedy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike, fspath
from typing import Any, TypeVar

C = TypeVar("C", bound=Callable[..., object])


def name_of(given: object, where: str) -> str:
    """A name: text."""
    if not isinstance(given, str):
        raise ValueError(f'{where}={given!r} is not a name: write text, such as {where}="device"')
    return given


def names_of(given: object, where: str) -> tuple[str, ...]:
    """Names: text for one, or several."""
    several = (given,) if isinstance(given, str) else given
    if isinstance(several, Iterable):
        names = tuple(several)
        if all(isinstance(name, str) for name in names):
            return names
    raise ValueError(f'{where}={given!r} are no names of columns: write text, or several such as ["device", "site"]')


def number_of(given: object, where: str) -> float:
    """A finite number."""
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise ValueError(f"{where}={given!r} is not a finite number: write for example {where}=4.0")
    return float(given)


def whole_of(given: object, where: str) -> int:
    """A whole number."""
    if isinstance(given, bool) or not isinstance(given, int):
        raise ValueError(f"{where}={given!r} is not a whole number: write for example {where}=20")
    return given


def part_of(given: object, where: str) -> Mapping[str, Any]:
    """A part of a plan as text: names with their values."""
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise ValueError(f"{where}: {given!r} does not name its settings: write each as name: value")
    return given


def list_of(given: object, where: str) -> Sequence[Any]:
    """A part of a plan as text that holds several others."""
    if not isinstance(given, list | tuple):
        raise ValueError(f"{where}: {given!r} is not a list: write each entry behind a dash")
    return given


def known(where: str, given: object, *names: str) -> Mapping[str, Any]:
    """A part of a plan as text that has no other settings than these."""
    part = part_of(given, where)
    unknown = sorted(set(part) - set(names))
    if unknown:
        raise ValueError(f"{where} has an unknown setting {', '.join(map(repr, unknown))}: it takes {', '.join(names)}")
    return part


def flag_of(given: object, where: str) -> bool:
    """True or False."""
    if not isinstance(given, bool):
        raise ValueError(f"{where}={given!r} is neither true nor false: write one of them")
    return given


def path_of(given: object, where: str = "path") -> str:
    """One path of a file or folder, or a pattern that stands for many files."""
    if not isinstance(given, str | PathLike):
        raise ValueError(
            f'{where}={given!r} is not a path: write text such as {where}="readings.csv"; for many files a folder, a '
            'pattern such as "data/*.csv", or a union'
        )
    path = fspath(given)
    if not isinstance(path, str) or not path:
        raise ValueError(f'{where}={given!r} is not a path: write text such as {where}="readings.csv"')
    return path


def function_of(given: C, where: str) -> C:
    """A function that can be called."""
    if not callable(given):
        raise ValueError(f"{where}({given!r}) is not a function: give the name of one, without brackets behind it")
    return given
