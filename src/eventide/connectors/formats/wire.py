"""Messages with the id of their schema in front: what each version of the schema means for a plan.

Law: a version is judged before the first of its messages becomes a row; what is said about it depends on the versions
before it in its subject, not on the messages that came.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from eventide.connectors.formats.avro import Decoder
from eventide.connectors.formats.encoded import RegistryFormat
from eventide.connectors.registry.client import Answers, Unknown, Version, Written
from eventide.errors import SourceError
from eventide.semantics.schema import Change, Schema, diff, judged

_HEAD_BYTES = 5
_KEPT_MOST = 10_000
_SHOWN = 5
_LANGUAGES = {"avro": "AVRO", "json_schema": "JSON"}


@dataclass(frozen=True)
class Verdict:
    """What a schema means for a plan: the schema if it can be read, else why not; and what there is to announce."""

    written: Written | None
    fault: str | None = None
    note: str | None = None


@dataclass
class Wire:
    """The schemas of messages of one subject, as a plan reads them."""

    form: RegistryFormat
    schema: Schema
    subject: str | None
    _verdicts: dict[int, Verdict] = field(default_factory=dict)
    _decoders: dict[int, Decoder] = field(default_factory=dict)

    def check(self) -> None:
        """See that the plan reads the newest version. Raises `SourceError` when it cannot be read, or the registry does
        not answer.
        """
        versions = self._answers.versions(self.subject) if self.subject is not None else []
        if not versions:
            return
        verdict = self._judged(versions[-1].schema, versions)
        self._verdicts[versions[-1].schema.id] = verdict
        if verdict.fault is not None:
            raise SourceError(f"{verdict.fault}. Change the plan's schema, or mend the writer's")

    def verdict(self, number: int) -> Verdict:
        """What the schema with an id means. Raises `SourceError` when the registry does not answer, or when the policy
        is to stop and the plan cannot read the schema.
        """
        found = self._verdicts.get(number)
        if found is None:
            found = self._asked(number)
            if len(self._verdicts) < _KEPT_MOST and found.written is not None:
                self._verdicts[number] = found
        if found.fault is not None and self.form.on_schema_change == "stop" and found.written is not None:
            raise SourceError(
                f'{found.fault}. on_schema_change="stop" stops here, before its first row; change the plan\'s schema, '
                'or have such messages in dead_letters with on_schema_change="dead_letters"'
            )
        return found

    @property
    def _answers(self) -> Answers:
        return Answers(self.form.registry)

    def _asked(self, number: int) -> Verdict:
        try:
            written = self._answers.schema(number)
        except Unknown:
            return Verdict(None, f"the {self.form.registry} has no schema {number}")
        return self._judged(written, self._answers.versions(self.subject) if self.subject else [])

    def _judged(self, written: Written, versions: Sequence[Version]) -> Verdict:
        name, earlier = self._placed(written, versions)
        if written.language != _LANGUAGES[self.form.language]:
            return Verdict(written, f"{name} is of kind {written.language}, the plan asks for {self.form.language}")
        before = [one.schema.declared for one in earlier]
        changes = judged(self.schema, self.form.envelope, written.declared, before)
        if unfit := [one for one in changes if not one.fits]:
            return Verdict(written, f"{name} cannot be read by this plan: {_listed(unfit)}")
        told = [*(diff(before[-1], written.declared) if before else []), *changes]
        if self.form.language == "avro" and (fault := self._decodable(written)):
            return Verdict(written, f"{name} cannot be read: {fault}")
        return Verdict(written, None, f"{name} is read: {_listed(told)}" if told else None)

    def _placed(self, written: Written, versions: Sequence[Version]) -> tuple[str, list[Version]]:
        """The schema's name for people, and the versions before it."""
        here = next((one for one in versions if one.schema.id == written.id), None)
        if here is None:
            return f"schema {written.id}", list(versions)
        name = f"schema {written.id} (version {here.number} of {self.subject})"
        return name, [one for one in versions if one.number < here.number]

    def _decodable(self, written: Written) -> str | None:
        try:
            self._decoders[written.id] = Decoder(written)
        except Exception as fault:  # a schema that the registry took and the library does not
            return " ".join(str(fault).split())[:200] or type(fault).__name__
        return None

    def decoder(self, written: Written) -> Decoder:
        """The decoder of a schema that can be read."""
        found = self._decoders.get(written.id)
        if found is None:
            found = self._decoders[written.id] = Decoder(written)
        return found

    def sorted_out(self, values: Sequence[bytes | None]) -> Sorted:
        """Which schema each message is written with; why one cannot be read; what there is to announce."""
        asked: dict[bytes, Verdict] = {}
        found = Sorted()
        for place, value in enumerate(values):
            if value is None:
                continue
            head = value[:_HEAD_BYTES]
            if len(head) < _HEAD_BYTES or head[0]:
                found.faults[place] = "not in the wire format of a schema registry: it begins with no schema's id"
                continue
            verdict = asked.get(head)
            if verdict is None:
                verdict = asked[head] = self.verdict(int.from_bytes(head[1:], "big"))
                found.notes += [verdict.note] if verdict.note else []
                found.notes += [f"{verdict.fault}: its messages become dead letters"] if verdict.fault else []
            if verdict.fault is not None or verdict.written is None:
                found.faults[place] = verdict.fault or ""
            else:
                found.schemas[place] = verdict.written
        return found


@dataclass
class Sorted:
    """What of some messages can be read, by their places."""

    schemas: dict[int, Written] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def payload(value: bytes) -> bytes:
    """A message without the id in front."""
    return value[_HEAD_BYTES:]


def enveloped(schema: Schema, envelope: str | None) -> Schema:
    """The schema with each field's path from the root of a message."""
    if envelope is None:
        return schema
    if schema.unknown != "drop":
        raise ValueError(f'envelope= does not go with unknown="{schema.unknown}": use unknown="drop"')
    fields = []
    for name, rule in schema.fields:
        path = rule.path or name
        if rule.path is None and ("." in name or "[" in name):
            raise ValueError(f"column {name!r}: with envelope= say where it stands with path=")
        fields.append((name, replace(rule, path=path[2:] if path.startswith("$.") else f"{envelope}.{path}")))
    return replace(schema, fields=tuple(fields))


def _listed(changes: Sequence[Change]) -> str:
    shown = [str(one) for one in changes[:_SHOWN]]
    rest = len(changes) - len(shown)
    return "; ".join(shown) + (f"; and {rest} more" if rest else "")
