"""S3, as moto's server understands it: buckets and objects in memory.

Law: it answers conditional puts as S3 does; what it holds is gone when it stops.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import Request, urlopen

from eventide.testing.services.service import OneProcess, Process, free_port, is_listening, own_folder


@dataclass
class S3(OneProcess):
    """A server that takes any key; `environment` is what clients need to find it."""

    folder: Path = field(default_factory=lambda: own_folder("s3"))
    port: int = field(default_factory=free_port)
    name: str = "s3"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What the usual AWS environment says for it."""
        return {
            "AWS_ENDPOINT_URL": self.address,
            "AWS_ACCESS_KEY_ID": "eventide",
            "AWS_SECRET_ACCESS_KEY": "eventide-secret",
            "AWS_REGION": "us-east-1",
            "AWS_ALLOW_HTTP": "true",
        }

    def _prepared(self) -> Process:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        return Process(self.name, self.folder, command)

    def _answers(self) -> bool:
        return is_listening(self.port)

    def make_bucket(self, name: str) -> None:
        """Make a bucket that is not there yet."""
        with urlopen(Request(f"{self.address}/{name}", method="PUT"), timeout=30):  # noqa: S310 - an address of loopback
            return
