"""What a registry answers: schemas by id, and the versions of a subject.

Law: an id that the registry does not have is told apart from a registry that does not answer: the first is the
message's fault, for the second reading waits, then stops.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from eventide.connectors.formats.declarations import declared_avro, declared_json
from eventide.connectors.registry.config import Registry
from eventide.errors import EventideError, SourceError
from eventide.flow import SystemClock
from eventide.semantics.schema import Declared

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import Schema as Text
    from confluent_kafka.schema_registry import SchemaRegistryClient

T = TypeVar("T")

_WAIT_US = 200_000
_REFERENCES_MOST = 100
_TOLD = 200


@dataclass(frozen=True)
class Written:
    """A schema that messages are written with. `named` are the Avro types that it takes from others."""

    id: int
    text: str
    language: str
    declared: Declared
    named: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Version:
    """One version of a subject."""

    number: int
    schema: Written


def _of_http(name: str) -> type[Exception]:
    """An exception of the HTTP library that the client uses: httpx2 where it is there."""
    library = import_module("httpx" if find_spec("httpx2") is None else "httpx2")
    found: type[Exception] = getattr(library, name)
    return found


class Unknown(Exception):
    """The registry does not have it."""


@dataclass
class Answers:
    """Asks a registry; what it cannot be asked raises the given kind of error."""

    registry: Registry
    fault: type[EventideError] = SourceError

    def schema(self, number: int) -> Written:
        """The schema with an id. Raises `Unknown`."""
        return self._asked(lambda client: self._written(client, number, client.get_schema(number)))

    def versions(self, subject: str) -> list[Version]:
        """All versions of a subject, from the oldest on; none when the registry does not know the subject."""

        def asked(client: SchemaRegistryClient) -> list[Version]:
            found = []
            for number in sorted(client.get_versions(subject)):
                one = client.get_version(subject, number)
                found.append(Version(number, self._written(client, one.schema_id or 0, one.schema)))
            return found

        try:
            return self._asked(asked)
        except Unknown:
            return []

    def registered(self, subject: str, text: str, language: str, *, make: bool) -> int:
        """The id of a schema in a subject; it is registered where `make` says so. Raises `Unknown`."""
        from confluent_kafka.schema_registry import Schema

        def asked(client: SchemaRegistryClient) -> int:
            schema = Schema(text, language)
            if make:
                return client.register_schema(subject, schema)
            return client.lookup_schema(subject, schema).schema_id or 0

        return self._asked(asked)

    def _written(self, client: SchemaRegistryClient, number: int, given: Text) -> Written:
        text, language = given.schema_str or "", given.schema_type or "AVRO"
        if language == "AVRO":
            named = self._named(client, given)
            return Written(number, text, language, declared_avro(text, named), named)
        if language == "JSON":
            return Written(number, text, language, declared_json(text))
        return Written(number, text, language, Declared({}, f"is written in {language}, not in Avro or JSON Schema"))

    def _named(self, client: SchemaRegistryClient, given: Text) -> dict[str, Any]:
        """The Avro types of the schemas that a schema names."""
        found: dict[str, Any] = {}
        left = list(given.references or ())
        for _ in range(_REFERENCES_MOST):
            if not left:
                return found
            one = left.pop()
            if one.name is not None and one.name not in found and one.subject is not None:
                behind = client.get_version(one.subject, one.version or -1).schema
                found[one.name] = json.loads(behind.schema_str or "null")
                left += behind.references or ()
        return found

    def _asked(self, question: Callable[[SchemaRegistryClient], T]) -> T:
        from confluent_kafka.schema_registry import SchemaRegistryClient
        from confluent_kafka.schema_registry.error import SchemaRegistryError

        clock, never = SystemClock(), threading.Event()
        until_us = clock.now_us() + self.registry.patience_us
        while True:
            try:
                with SchemaRegistryClient(self.registry.settings(self.fault)) as client:
                    return question(client)
            except SchemaRegistryError as told:
                again = self._again(told)
            except (_of_http("TransportError"), OSError) as told:
                again = f"it does not answer ({type(told).__name__}). Does it run, and is its address right?"
            except _of_http("InvalidURL"):
                raise self.fault(f"{self.registry}: this is not an address. Mend registry=") from None
            if clock.now_us() > until_us:
                raise self.fault(f"{self.registry}: {again}") from None
            clock.wait(never, _WAIT_US)

    def _again(self, told: Any) -> str:
        """Why it is worth asking again. Raises what is not."""
        if told.http_status_code == 404:
            raise Unknown from None
        what = str(told.error_message)[:_TOLD]
        if told.http_status_code in (401, 403):
            raise self.fault(
                f"{self.registry}: it does not let us in (HTTP {told.http_status_code}). Check the variable that env= "
                "names, and its rights"
            ) from None
        if told.http_status_code == 409:
            raise self.fault(
                f"{self.registry}: this schema does not go with the versions before it ({what}). Change the output so "
                "that it does, name another subject=, or relax the subject's rule of compatibility"
            ) from None
        if told.http_status_code < 500 and told.http_status_code != 429:
            raise self.fault(f"{self.registry}: it refused (HTTP {told.http_status_code}): {what}") from None
        return f"it fails (HTTP {told.http_status_code}): {what}. Look at its log"
