"""A file of credentials for NATS, looked at before the client reads it.

Law: what stands in the file is in no message. The client would look for its parts without end.
"""

from __future__ import annotations

import re

from eventide.errors import EventideError

_PARTS = re.compile(
    rb"-+BEGIN NATS USER JWT-+\r?\n[\w.-]+\r?\n-+END NATS USER JWT-+.*-+BEGIN USER NKEY SEED-+\r?\n[A-Z2-7]+\r?\n",
    re.DOTALL,
)
_MOST_BYTES = 2**20


def check_credentials(path: str, fault: type[EventideError]) -> None:
    """Raises the given error when the file cannot be read, or does not hold a user and a seed."""
    try:
        with open(path, "rb") as file:
            found = file.read(_MOST_BYTES)
    except OSError as told:
        raise fault(
            f"cannot read credentials={path!r} for NATS: {told.strerror or told}. Mend the path or its rights"
        ) from None
    if _PARTS.search(found) is None:
        raise fault(
            f"credentials={path!r} is no file of credentials for NATS: it must hold the user's JWT and the seed, as "
            "`nsc generate creds` writes them"
        )
