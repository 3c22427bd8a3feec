"""A NATS server whose users show a signed token: an operator, an account and a user, each signed by the one before."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping

import nkeys  # type: ignore[import-untyped] # it has no types

_ALL = dict.fromkeys(("subs", "data", "payload"), -1)
_ROOM = dict.fromkeys(("imports", "exports", "conn", "leaf", "mem_storage", "disk_storage", "streams", "consumer"), -1)


class _Holder:
    """Somebody with a seed, by which others are signed."""

    def __init__(self, kind: int) -> None:
        self.seed = nkeys.encode_seed(os.urandom(32), kind)
        self.name = nkeys.from_seed(bytearray(self.seed)).public_key.decode()

    def signs(self, other: _Holder, nats: Mapping[str, object]) -> str:
        """A token that says what another may do."""
        claims = {"iss": self.name, "sub": other.name, "iat": 0, "jti": other.name, "nats": {"version": 2, **nats}}
        body = ".".join(_text(json.dumps(one).encode()) for one in ({"typ": "JWT", "alg": "ed25519-nkey"}, claims))
        return f"{body}.{_text(nkeys.from_seed(bytearray(self.seed)).sign(body.encode()))}"


def accounts() -> tuple[str, str]:
    """The settings of a server that lets in one user, and that user's file of credentials."""
    operator, user = _Holder(nkeys.PREFIX_BYTE_OPERATOR), _Holder(nkeys.PREFIX_BYTE_USER)
    account, servers_own = _Holder(nkeys.PREFIX_BYTE_ACCOUNT), _Holder(nkeys.PREFIX_BYTE_ACCOUNT)
    top = operator.signs(operator, {"type": "operator", "system_account": servers_own.name})
    limits = {"type": "account", "limits": {**_ALL, **_ROOM, "wildcards": True}}
    bare = {
        "type": "account",
        "limits": {**_ALL, "imports": -1, "exports": -1, "conn": -1, "leaf": -1, "wildcards": True},
    }
    rooms = {account.name: operator.signs(account, limits), servers_own.name: operator.signs(servers_own, bare)}
    preload = "\n".join(f"{name}: {room}" for name, room in rooms.items())
    own = account.signs(user, {"type": "user", "pub": {}, "sub": {}, **_ALL})
    settings = f"operator: {top}\nresolver: MEMORY\nresolver_preload: {{\n{preload}\n}}\n"
    credentials = (
        f"-----BEGIN NATS USER JWT-----\n{own}\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
    )
    return settings, credentials


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
