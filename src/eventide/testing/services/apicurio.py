"""Apicurio, a schema registry that speaks Confluent's protocol, from Maven. It needs Java 17.

Law: it keeps schemas in memory: started again it knows none of those before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from eventide.servers.maven import unpacked
from eventide.testing.services.service import OneProcess, Process, free_port, own_folder, program

_VERSION = "2.6.13.Final"
_ARTIFACT = f"io.apicurio:apicurio-registry-app:{_VERSION}:tar.gz:all"
_JAVA = ("-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dquarkus.http.host=127.0.0.1")


@dataclass
class Apicurio(OneProcess):
    """A registry without any rule of compatibility."""

    folder: Path = field(default_factory=lambda: own_folder("apicurio"))
    port: int = field(default_factory=free_port)
    name: str = "apicurio"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/apis/ccompat/v7"

    def _prepared(self) -> Process:
        jar = unpacked(f"apicurio-{_VERSION}", _ARTIFACT) / f"apicurio-registry-app-{_VERSION}-runner.jar"
        java = program("java", "openjdk-17-jre-headless")
        command = [java, *_JAVA, f"-Dquarkus.http.port={self.port}", "-jar", str(jar)]
        return Process(self.name, self.folder, command)

    def _answers(self) -> bool:
        try:
            with urlopen(f"{self.address}/subjects", timeout=2) as answer:  # noqa: S310 - our own address
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False
