"""How to reach a schema registry: its address, and who asks by the name of an environment variable.

Law: a secret stands nowhere but in the environment: not in a plan, its text, its `repr` or an error.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from urllib.parse import urlsplit

from eventide.errors import EventideError

_NEEDED = ("confluent_kafka", "fastavro", "authlib", "cachetools", "attr")


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry that speaks Confluent's protocol. `env` names the variable that holds `user:password`; how long an
    answer is waited for is `patience_us`.
    """

    url: str
    env: str | None = None
    patience_us: int = 30_000_000

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if "@" in parts.netloc:
            raise ValueError(
                "registry= holds a user or a password, which would stand in plans and logs: put user:password into an "
                "environment variable and name it with env="
            )
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise ValueError(
                f'registry={self.url!r} is no address of a registry: write for example "http://localhost:8081"'
            )

    def settings(self, fault: type[EventideError]) -> dict[str, object]:
        """The settings of the client."""
        made: dict[str, object] = {"url": self.url, "timeout": 10, "max.retries": 0}
        if self.env is not None:
            secret = os.environ.get(self.env, "")
            if not secret.partition(":")[2]:
                raise fault(f"{self}: the environment variable {self.env} is not set to user:password")
            made["basic.auth.user.info"] = secret
        return made

    @property
    def problems(self) -> list[tuple[str, str]]:
        """What keeps a run from reaching it and can be known without trying, each with its remedy."""
        found = []
        if not is_installed():
            found.append(("the client of schema registries is not installed", 'pip install "eventide[avro]"'))
        if self.env is not None and self.env not in os.environ:
            found.append((f"env= names the environment variable {self.env}, which is not set", f"Set {self.env}"))
        return found

    def __str__(self) -> str:
        return f"schema registry at {self.url}"


def is_installed() -> bool:
    """True when the client and what reads Avro are there."""
    return all(find_spec(name) is not None for name in _NEEDED)
