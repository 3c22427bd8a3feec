"""Formats of messages with settings of their own: envelopes, raw bytes as text, Avro and JSON Schema with a registry.

Law: a format is a value that a plan's text can hold; a bare word such as `"json"` is the same format as usual.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

from eventide.connectors.kinds import check_kinds
from eventide.connectors.registry.config import Registry
from eventide.instants import Duration, duration_text, positive_us

Word = Literal["json", "csv", "raw"]
Encoding = Literal["utf8", "base64", "hex"]
Policy = Literal["dead_letters", "stop"]
_PATIENCE_US = 30_000_000


@dataclass(frozen=True, slots=True)
class JsonFormat:
    """A JSON object in each message; the plan's fields stand in the object at `envelope`."""

    envelope: str

    def __post_init__(self) -> None:
        _check_envelope(self.envelope)

    def __str__(self) -> str:
        return f"json in {self.envelope}"


@dataclass(frozen=True, slots=True)
class RawFormat:
    """The bytes of each message as text."""

    encoding: Encoding = "utf8"

    def __post_init__(self) -> None:
        if self.encoding not in get_args(Encoding):
            raise ValueError(f'encoding={self.encoding!r} is not a choice: use "utf8", "base64" or "hex"')

    def __str__(self) -> str:
        return f"raw as {self.encoding}"


@dataclass(frozen=True, slots=True)
class RegistryFormat:
    """Messages that begin with the id of their schema in a registry."""

    language: Literal["avro", "json_schema"]
    registry: Registry
    subject: str | None = None
    envelope: str | None = None
    on_schema_change: Policy = "dead_letters"

    def __post_init__(self) -> None:
        if self.on_schema_change not in get_args(Policy):
            raise ValueError(
                f'on_schema_change={self.on_schema_change!r} is not a choice: use "dead_letters" or "stop"'
            )
        if self.envelope is not None:
            _check_envelope(self.envelope)

    def __str__(self) -> str:
        where = f" in {self.envelope}" if self.envelope else ""
        return f"{self.language}{where} with the {self.registry}"


MessageFormat: TypeAlias = Word | JsonFormat | RawFormat | RegistryFormat
"""What sources of messages take as format."""


def json_format(*, envelope: str) -> JsonFormat:
    """JSON whose fields stand in an object inside of the message, as change data has them.

    `envelope` is the path of that object (`"payload"`, `"payload.after"`). A field whose `path=` begins with `$.` is
    looked for from the message's root. A message without that object goes to dead letters.

    >>> json_format(envelope="payload.after").envelope
    'payload.after'
    """
    check_kinds(json_format, locals())
    return JsonFormat(envelope)


def raw_format(encoding: Encoding = "base64") -> RawFormat:
    """The bytes of a message as one column of text: UTF-8 as it is (`"utf8"`), in `"base64"` or in `"hex"`.

    >>> raw_format("hex").encoding
    'hex'
    """
    check_kinds(raw_format, locals())
    return RawFormat(encoding)


def avro_format(
    registry: str,
    *,
    env: str | None = None,
    subject: str | None = None,
    envelope: str | None = None,
    on_schema_change: Policy = "dead_letters",
    patience: Duration = "30s",
) -> RegistryFormat:
    """Avro, each message with the id of its schema in a Confluent-compatible registry in front.

    `registry` is the registry's address; `env` names the environment variable with `user:password`. `subject` is where
    the versions of the schema are: of Kafka's topics it is `TOPIC-value` without saying so. A version that the plan
    cannot read rightly sends its messages to dead letters, or stops the run (`on_schema_change="stop"`); one that it
    can read is announced once. `patience` is how long a registry that is away is waited for. `envelope` is as in
    `json_format`.

    >>> avro_format("http://localhost:8081").language
    'avro'
    """
    check_kinds(avro_format, locals())
    return RegistryFormat("avro", _registry(registry, env, patience), subject, envelope, on_schema_change)


def json_schema_format(
    registry: str,
    *,
    env: str | None = None,
    subject: str | None = None,
    envelope: str | None = None,
    on_schema_change: Policy = "dead_letters",
    patience: Duration = "30s",
) -> RegistryFormat:
    """JSON, each message with the id of its JSON Schema in a registry in front. Arguments as in `avro_format`.

    The schema says what may change; values are judged by the plan's own rules.

    >>> json_schema_format("http://localhost:8081").language
    'json_schema'
    """
    check_kinds(json_schema_format, locals())
    return RegistryFormat("json_schema", _registry(registry, env, patience), subject, envelope, on_schema_change)


def _registry(url: str, env: str | None, patience: Duration) -> Registry:
    return Registry(url, env, positive_us(patience, "patience"))


def _check_envelope(envelope: str) -> None:
    if not envelope or not all(envelope.split(".")):
        raise ValueError(f'envelope={envelope!r} is no path: write for example "payload" or "payload.after"')


def format_to(form: Any) -> Any:
    """A format as plain values: a word, or a mapping."""
    match form:
        case JsonFormat(envelope):
            return {"kind": "json", "envelope": envelope}
        case RawFormat(encoding):
            return {"kind": "raw", "encoding": encoding}
        case RegistryFormat():
            given = {
                "kind": form.language,
                "registry": form.registry.url,
                "env": form.registry.env,
                "subject": form.subject,
                "envelope": form.envelope,
                "on_schema_change": form.on_schema_change,
                "patience": duration_text(form.registry.patience_us),
            }
            usual = {"on_schema_change": "dead_letters", "patience": duration_text(_PATIENCE_US)}
            return {name: value for name, value in given.items() if value is not None and value != usual.get(name)}
    return form


def format_from(tree: Any) -> Any:
    """A format of plain values."""
    if not isinstance(tree, Mapping):
        return tree
    rest = {name: value for name, value in tree.items() if name != "kind"}
    makers: Mapping[object, Any] = {
        "json": json_format,
        "raw": raw_format,
        "avro": avro_format,
        "json_schema": json_schema_format,
    }
    maker = makers.get(tree.get("kind"))
    if maker is None:
        raise ValueError(f"format kind {tree.get('kind')!r} is unknown: write json, raw, avro or json_schema")
    try:
        return maker(**rest)
    except TypeError:
        raise ValueError(f"format {tree.get('kind')}: {', '.join(rest)} are not all settings of it") from None
