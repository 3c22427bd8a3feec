"""A link in a process of its own, for clients that hold the interpreter's lock while they wait for a server.

python -m tests.servers.suite.distant_link PORT < commands      says its own port, then a line for each command
"""

from __future__ import annotations

import json
import subprocess
import sys

from eventide.testing.link import Link


class DistantLink:
    """As `Link`."""

    def __init__(self, server_port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.suite.distant_link", str(server_port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._answer())

    @property
    def passed_bytes(self) -> int:
        return int(self._ask("passed"))

    def cut(self) -> None:
        self._ask("cut")

    def hold(self, *, answers_only: bool = False) -> None:
        self._ask("hold", answers_only=answers_only)

    def reset(self) -> None:
        self._ask("reset")

    def slow(self, bytes_per_s: float) -> None:
        self._ask("slow", bytes_per_s=bytes_per_s)

    def heal(self) -> None:
        self._ask("heal")

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _ask(self, what: str, **settings: float) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([what, settings]) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def main() -> None:
    """Do what is asked, until nobody asks any more."""
    with Link(int(sys.argv[1])) as link:
        print(link.port, flush=True)
        for line in sys.stdin:
            what, settings = json.loads(line)
            if what != "passed":
                getattr(link, what)(**settings)
            print(link.passed_bytes, flush=True)


if __name__ == "__main__":
    main()
