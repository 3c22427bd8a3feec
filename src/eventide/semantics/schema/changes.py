"""Changes of a schema: what differs between two, and whether a plan that read the old one reads the new one rightly.

Law: a change fits when no value can come out wrong. Values that a rule of the plan refuses row by row do no harm; a
field that is gone, or whose unit is not declared any more, does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from eventide.semantics.schema.declared import Declaration, Declared, Kind
from eventide.semantics.schema.fields import DataType, Field, Schema

_READABLE: Mapping[DataType, frozenset[Kind]] = {
    "string": frozenset({"string", "integer", "float", "boolean", "instant", "anything"}),
    "integer": frozenset({"integer", "anything"}),
    "float": frozenset({"float", "integer", "anything"}),
    "boolean": frozenset({"boolean", "anything"}),
    "instant": frozenset({"instant", "integer", "float", "string", "anything"}),
    "list": frozenset({"list", "anything"}),
    "record": frozenset({"record", "anything"}),
}
"""What a column of each type can be read from without any value coming out wrong."""

_FITTING: frozenset[tuple[Kind, Kind]] = frozenset(
    {("integer", "float"), ("float", "integer"), ("integer", "instant"), ("float", "instant")}
)
"""Changes between kinds after which no value is taken for another: a number may be widened, and an instant says its
unit itself. A number where an instant was does not.
"""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference: at which path, what it is, and whether it fits."""

    path: str
    what: str
    fits: bool = True

    def __str__(self) -> str:
        return f"{self.path!r} {self.what}" if self.path else self.what


def diff(old: Declared, new: Declared) -> list[Change]:
    """Everything in which the new one differs, in the order of paths. Where the old one is a plan's, a change fits if
    the plan reads it; otherwise if whoever read the old one rightly reads the new one rightly.

    >>> from eventide.semantics.schema.declared import Declaration, Declared
    >>> before, after = (Declared({"n": Declaration("float", detail=word)}) for word in ("float", "double"))
    >>> [(str(one), one.fits) for one in diff(before, after)]
    [("'n' is double, was float", True)]
    """
    if new.fault is not None:
        return [Change("", new.fault, fits=False)]
    if old.rules is not None:
        return unreadable(old, new)
    found: list[Change] = []
    for path in sorted({*old.fields, *new.fields}):
        before, now = old.fields.get(path), new.fields.get(path)
        if before is None:
            assert now is not None
            found.append(Change(path, f"was added ({now}, {'optional' if now.optional else 'required'})"))
        elif now is None:
            found.append(Change(path, "was removed", fits=False))
        else:
            found += _of_one(path, before, now)
    return found


def _of_one(path: str, old: Declaration, new: Declaration) -> Iterator[Change]:
    if old.kind != new.kind:
        yield Change(path, f"is {new}, was {old}", (old.kind, new.kind) in _FITTING or old.kind == "anything")
    elif old.detail != new.detail:
        yield Change(path, f"is {new}, was {old}", fits=not _other_meaning(old, new))
    if old.optional != new.optional:
        yield Change(path, "may be missing now" if new.optional else "is required now")
    if old.symbols != new.symbols:
        added = [one for one in new.symbols if one not in old.symbols]
        gone = [one for one in old.symbols if one not in new.symbols]
        words = [f"allows {', '.join(added)}"] * bool(added) + [f"does not allow {', '.join(gone)}"] * bool(gone)
        yield Change(path, f"{' and '.join(words) or 'allows the same in another order'} now")


def _other_meaning(old: Declaration, new: Declaration) -> bool:
    """True for an instant that lost its time zone or got one."""
    return old.kind == "instant" and ("local" in old.detail) != ("local" in new.detail)


def unreadable(plan: Declared, new: Declared) -> list[Change]:
    """What a plan's columns find in a schema, of a writer or of another plan, that is not as they ask for it."""
    if plan.rules is None or new.rules is not None:
        return diff(Declared(plan.fields), Declared(new.fields))
    return judged(plan.rules, None, new, ())


def judged(schema: Schema, envelope: str | None, new: Declared, earlier: Sequence[Declared]) -> list[Change]:
    """What a plan with this schema finds in a writer's schema that is not as the plan asks for it. The paths of the
    plan's schema begin at the root; at `envelope` there must be a record. `earlier` are the writer's schemas before it,
    from the oldest on: a field that was there and is gone cannot be told from missing values, so it does not fit; one
    that was never there is null.
    """
    if new.fault is not None:
        return [Change("", new.fault, fits=False)]
    found = [_envelope(envelope, new)] if envelope else []
    found += [_column(rule.path or name, rule, new, earlier) for name, rule in schema.fields]
    return [one for one in found if one is not None]


def _envelope(envelope: str, new: Declared) -> Change | None:
    there = new.at(envelope)
    if there is None or there.kind not in ("record", "anything"):
        return Change(envelope, "is the envelope of the plan, and it is not a record here", fits=False)
    return None


def _column(path: str, rule: Field, new: Declared, earlier: Sequence[Declared]) -> Change | None:
    there = new.at(path)
    if there is None:
        if any(one.at(path) is not None for one in earlier):
            return Change(path, "was removed, and the plan reads it", fits=False)
        if not rule.nullable:
            return Change(path, "is not there, and the plan needs it (nullable=False)", fits=False)
        return Change(path, "is not there: null")
    if there.kind not in _READABLE[rule.type]:
        return Change(path, f"is {there}, which the plan cannot read as {rule.type}", fits=False)
    before = earlier[-1].at(path) if earlier else None
    if rule.type == "instant" and before is not None and before.kind == "instant" and there.kind != "instant":
        return Change(path, f"is {there}, was {before}: its unit is not declared any more", fits=False)
    if there.optional and not rule.nullable:
        return Change(path, "may be missing, and the plan needs it: rows without it become dead letters")
    return None
