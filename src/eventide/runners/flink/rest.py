"""The REST API of a Flink cluster, over HTTP with the standard library.

Law: a cluster that does not answer, refuses or fails is a `FlinkError` with what it said and what to do about it; no
trace of Java reaches the user.
"""

from __future__ import annotations

import http.client
import json
import re
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from eventide.errors import FlinkError

DEFAULT_URL = "http://127.0.0.1:8081"
_TIMEOUT_S = 60
_CAUSE = re.compile(r"^(?:Caused by: )?(?:[\w$]+\.)+[\w$]*(?:Exception|Error|Throwable)(?:: (.*))?$")
_SUBMITTED = re.compile(r"/jars/[^/]+/run")
_REMEDY = "Start one here with `eventide flink up`, or give its address: --flink-url (flink_url= in Python)"

Tree = dict[str, Any]


class NotFound(FlinkError):
    """The cluster does not know a job, a jar or a request."""


@dataclass(frozen=True, slots=True)
class Rest:
    """The door of a cluster's JobManager."""

    url: str = DEFAULT_URL

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise FlinkError(f"flink_url={self.url!r} is not an address: write for example {DEFAULT_URL}")
        if parts.username or parts.password:
            raise FlinkError("flink_url has a user in it, which logs would show: use a tunnel or a proxy that signs in")

    def get(self, path: str, *, timeout_s: float = _TIMEOUT_S) -> Tree:
        """What the cluster answers to a question."""
        return self._ask("GET", path, None, {}, timeout_s)

    def metric(self, path: str, name: str) -> float | None:
        """The value of a metric; None when the cluster does not have it (yet)."""
        found = self._json("GET", f"{path}?get={quote(name)}", None, {}, _TIMEOUT_S)
        values = [one.get("value") for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        try:
            return float(str(values[0])) if values else None
        except ValueError:
            return None

    def post(self, path: str, body: Tree, *, timeout_s: float = _TIMEOUT_S) -> Tree:
        """Ask the cluster to do something."""
        return self._ask("POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"}, timeout_s)

    def patch(self, path: str) -> None:
        """Change the state of something."""
        self._ask("PATCH", path, b"{}", {"Content-Type": "application/json"}, _TIMEOUT_S)

    def delete(self, path: str) -> None:
        """Take something away."""
        self._ask("DELETE", path, None, {}, _TIMEOUT_S)

    def text(self, path: str) -> str:
        """A file of the cluster, such as a log."""
        return self._read("GET", path, None, {}, _TIMEOUT_S).decode(errors="replace")

    def upload(self, name: str, content: bytes) -> Tree:
        """Bring a jar to the cluster under a name."""
        edge = secrets.token_hex(16)
        head = f'--{edge}\r\nContent-Disposition: form-data; name="jarfile"; filename="{quote(name)}"\r\n'
        kind = "Content-Type: application/x-java-archive\r\n\r\n"
        body = (head + kind).encode() + content + f"\r\n--{edge}--\r\n".encode()
        return self._ask("POST", "/jars/upload", body, {"Content-Type": f"multipart/form-data; boundary={edge}"}, 600)

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str], timeout_s: float) -> Tree:
        answer = self._json(method, path, body, headers, timeout_s)
        if not isinstance(answer, dict):
            raise self._stranger()
        return answer

    def _json(self, method: str, path: str, body: bytes | None, headers: dict[str, str], timeout_s: float) -> Any:
        said = self._read(method, path, body, headers, timeout_s)
        try:
            return json.loads(said) if said else {}
        except ValueError:
            raise self._stranger() from None

    def _stranger(self) -> FlinkError:
        return FlinkError(f"what listens at {self.url} is not Flink: it does not answer as Flink does. {_REMEDY}")

    def _read(self, method: str, path: str, body: bytes | None, headers: dict[str, str], timeout_s: float) -> bytes:
        asked = Request(self.url.rstrip("/") + path, body, headers, method=method)  # noqa: S310 - http or https only
        try:
            with urlopen(asked, timeout=timeout_s) as answer:  # noqa: S310 - see above
                return bytes(answer.read())
        except HTTPError as refused:
            said = cause(refused.read().decode(errors="replace"))
            kind = NotFound if refused.code == 404 else FlinkError
            what = "the job" if _SUBMITTED.fullmatch(path) else f"{method} {path}"
            raise kind(f"Flink at {self.url} refuses {what}: {said}") from None
        except (URLError, http.client.HTTPException, OSError) as fault:
            reason = getattr(fault, "reason", None) or str(fault) or type(fault).__name__
            raise FlinkError(f"no Flink cluster answers at {self.url} ({reason}). {_REMEDY}") from None


def cause(said: str) -> str:
    """The innermost reason in what Flink says when it refuses: the last `Caused by`, or the text itself.

    >>> cause('{"errors": ["Not found: the job x"]}')
    'Not found: the job x'
    """
    try:
        errors = json.loads(said)["errors"]
        text = "\n".join(map(str, errors))
    except (ValueError, KeyError, TypeError):
        text = said
    return innermost(text)


def _message(line: str, said: str | None) -> str:
    """What an exception says; a word alone, such as a class that is not there, with the exception's name."""
    name = line.split(":", 1)[0].rsplit(".", 1)[-1]
    if not said:
        return name
    return said if " " in said else f"{name}: {said}"


def innermost(trace: str) -> str:
    """The message of the innermost exception of a Java stack trace; its first line when there is none."""
    found: list[str] = []
    open_ = False
    for line in map(str.strip, trace.splitlines()):
        match = _CAUSE.match(line)
        if match is not None:
            found, open_ = [_message(line.removeprefix("Caused by: "), match[1])], True
        elif line.startswith(("at ", "...", "Suppressed:")):
            open_ = False
        elif open_ and line:
            found.append(line)
    lines = [line.strip() for line in trace.splitlines() if line.strip()]
    return " ".join(found) or (lines[0] if lines else "it gives no reason")
