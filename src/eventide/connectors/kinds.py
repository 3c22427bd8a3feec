"""Values of a wrong kind, told by name: what a function says is text, a number or a list must be that.

Law: the value is not repeated, it could be a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import NoneType

_KINDS: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "str | Sequence[str]": (str, Sequence),
    "Servers": (str, Sequence),
    "Sequence[str]": (Sequence,),
    "Mapping[str, Setting]": (Mapping,),
}
_WORDS: Mapping[type, str] = {
    str: "text",
    int: "a whole number",
    bool: "True or False",
    Sequence: "a list of texts",
    Mapping: "a dict",
}


def check_kinds(function: Callable[..., object], given: Mapping[str, object]) -> None:
    """Refuse arguments that are not of the kinds in a function's signature. Raises `ValueError`.

    >>> def read(path: str, header: Sequence[str]) -> None:
    ...     check_kinds(read, locals())
    >>> read("a.csv", header="sensor,dose")
    Traceback (most recent call last):
    ...
    ValueError: header= must be a list of texts, not a value of the kind str
    """
    for name, text in function.__annotations__.items():
        kinds = _KINDS.get(text.removesuffix(" | None"))
        if kinds is None or name not in given or _fits(given[name], kinds, text):
            continue
        wanted = " or ".join(_WORDS[kind] for kind in kinds)
        raise ValueError(f"{name}= must be {wanted}, not a value of the kind {type(given[name]).__name__}")


def _fits(value: object, kinds: tuple[type, ...], text: str) -> bool:
    if isinstance(value, NoneType):
        return text.endswith(" | None")
    if Sequence in kinds and not isinstance(value, str):
        return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)
    return isinstance(value, tuple(kind for kind in kinds if kind is not Sequence))
