"""A schema: what every column of an event must be, as frozen values.

Law: a value that breaks its field's rule sends the row to dead letters with the field's name and the reason; nothing is
silently replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from eventide.instants import Instant

DataType = Literal["string", "integer", "float", "boolean", "instant", "list", "record"]
"""The types a column can have. `list` and `record` are kept as they stand (nested JSON)."""

Unit = Literal["s", "ms", "us", "ns"]
Unknown = Literal["drop", "keep", "refuse"]

UNKNOWN_FIELDS: Final = "unknown"
"""The column of a schema with `unknown="keep"` that holds what the schema does not name."""

_FACE_TYPES: Mapping[object, DataType] = {
    str: "string",
    int: "integer",
    float: "float",
    bool: "boolean",
    Instant: "instant",
    list: "list",
    dict: "record",
}


@dataclass(frozen=True, slots=True)
class Field:
    """The rule of one column.

    `path` says where in a nested row the value stands (`"rxInfo[0].time"`, `"decoded.payload.temperature"`); without
    it, under the column's own name. `minimum` and `maximum` are inclusive. `pattern` is a regular expression that the
    whole text must match. `thousands` is a separator taken out of numbers ("1,347"; it must group them in
    threes). `formats` are strptime patterns
    tried in turn for instants in text (without one: ISO 8601); `unit` is the unit of instants given as numbers;
    `timezone` is where texts without an offset were written.
    """

    type: DataType
    path: str | None = None
    nullable: bool = True
    minimum: float | None = None
    maximum: float | None = None
    pattern: str | None = None
    choices: tuple[str, ...] = ()
    thousands: str | None = None
    formats: tuple[str, ...] = ()
    unit: Unit = "ms"
    timezone: str = "UTC"

    def __post_init__(self) -> None:
        if self.type not in get_args(DataType):
            raise ValueError(
                f"type={self.type!r} is not a column type: use string, integer, float, boolean, instant, list or record"
            )
        self._check_kinds()
        numeric = self.type in ("integer", "float")
        for rule in ("minimum", "maximum", "thousands"):
            if getattr(self, rule) is not None and not numeric:
                raise ValueError(f"{rule}= is for numbers: leave it out of a field of type {self.type}")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"minimum={self.minimum} is above maximum={self.maximum}: no value could pass")
        if self.type != "string" and (self.pattern is not None or self.choices):
            raise ValueError(f"pattern= and choices= are for text: leave them out of a field of type {self.type}")
        if self.pattern is not None:
            _check_pattern(self.pattern)
        if self.formats and self.type != "instant":
            raise ValueError(f"formats= is for instants: leave it out of a field of type {self.type}")
        if self.unit not in get_args(Unit):
            raise ValueError(f"unit={self.unit!r} is unknown: use s, ms, us or ns")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, TypeError):
            raise ValueError(f'timezone={self.timezone!r} is unknown: use a name such as "Europe/Helsinki"') from None

    def _check_kinds(self) -> None:
        """Refuse values of a wrong kind, each with its name."""
        for name in ("minimum", "maximum"):
            limit: object = getattr(self, name)
            if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | float)):
                raise ValueError(f"{name}={limit!r} is not a number: write for example {name}=0")
        for name in ("path", "pattern", "thousands"):
            text: object = getattr(self, name)
            if text is not None and not isinstance(text, str):
                raise ValueError(f"{name}={text!r} is not text: leave it out or write text")
        given: object = self.nullable
        if not isinstance(given, bool):
            raise ValueError(f"nullable={given!r} is neither True nor False: write one of them")


FieldLike: TypeAlias = Field | type
"""What a schema takes for a column: a Python type, or a `Field` with rules."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The columns of an event, in order, and what happens to columns that are not named here.

    `unknown="drop"` leaves other columns out, `"keep"` keeps them as one JSON object in a text column `unknown` (null
    where there are none), `"refuse"` sends the row to dead letters. A field on the way of a path is not unknown.
    `bad_share_max` stops the run once more than that share of the rows read was refused (looked at from the 1,000th
    row on); None never stops.
    """

    fields: tuple[tuple[str, Field], ...]
    unknown: Unknown = "drop"
    bad_share_max: float | None = None

    def __post_init__(self) -> None:
        if not self.fields:
            raise ValueError('a schema needs at least one column: for example {"at": et.Instant, "value": float}')
        for name, _ in self.fields:
            if name.startswith("_"):
                raise ValueError(
                    f"column {name!r} begins with an underscore: those names are Eventide's own, rename it with path="
                )
        if self.unknown not in get_args(Unknown):
            raise ValueError(f"unknown={self.unknown!r} is not a choice: use drop, keep or refuse")
        if self.unknown == "keep" and UNKNOWN_FIELDS in self.names:
            raise ValueError(f'unknown="keep" makes a column {UNKNOWN_FIELDS!r}: name yours otherwise, with path=')
        if self.bad_share_max is not None and not 0 <= self.bad_share_max < 1:
            raise ValueError(
                f"bad_share_max={self.bad_share_max} must lie in [0, 1): 0.01 stops at one bad row in a hundred"
            )

    def __getitem__(self, name: str) -> Field:
        return dict(self.fields)[name]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.fields)


SchemaLike: TypeAlias = Schema | Mapping[str, FieldLike]
"""What a source takes as schema: a `Schema`, or a mapping from column to type or field."""


def field(  # noqa: PLR0913 - one keyword a rule; each stands alone
    type: type,
    *,
    path: str | None = None,
    nullable: bool = True,
    minimum: float | None = None,
    maximum: float | None = None,
    pattern: str | None = None,
    choices: Sequence[str] = (),
    thousands: str | None = None,
    formats: str | Sequence[str] = (),
    unit: Unit = "ms",
    timezone: str = "UTC",
) -> Field:
    """A column with rules, for a schema.

    >>> field(float, minimum=0, thousands=",").minimum
    0
    """
    return Field(
        type=_data_type(type),
        path=path,
        nullable=nullable,
        minimum=minimum,
        maximum=maximum,
        pattern=pattern,
        choices=_texts("choices", choices),
        thousands=thousands,
        formats=(formats,) if isinstance(formats, str) else _texts("formats", formats),
        unit=unit,
        timezone=timezone,
    )


def schema(
    columns: Mapping[str, FieldLike], *, unknown: Unknown = "drop", bad_share_max: float | None = None
) -> Schema:
    """A schema from a mapping of column names to types or fields.

    >>> schema({"sensor": str, "dose": field(float, minimum=0)}).names
    ('sensor', 'dose')
    """
    fields = tuple(
        (name, rule if isinstance(rule, Field) else Field(_data_type(rule, name))) for name, rule in columns.items()
    )
    return Schema(fields, unknown, bad_share_max)


def as_schema(given: SchemaLike) -> Schema:
    """The schema that a user's mapping or `Schema` stands for."""
    if isinstance(given, Schema):
        return given
    if not isinstance(given, Mapping):
        raise ValueError(
            f'schema={given!r} names no types: write for example schema={{"sensor": str, "at": et.Instant}}'
        )
    return schema(given)


def _texts(name: str, given: object) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Iterable) or not all(isinstance(one, str) for one in given):
        raise ValueError(f'{name}={given!r} is not a list of texts: write for example {name}=["on", "off"]')
    return tuple(given)


def _data_type(face: object, name: str = "field") -> DataType:
    try:
        return _FACE_TYPES[face]
    except (KeyError, TypeError):
        raise ValueError(
            f"{name}: {face!r} is not a column type: use str, int, float, bool, et.Instant, list or dict"
        ) from None


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as fault:
        raise ValueError(f"pattern={pattern!r} is not a regular expression: {fault}") from None
