"""Services that the library Apprise knows: mail, chat, push.

Law: a service's own words never leave this file, because they may hold its secret.
"""

from __future__ import annotations

import logging
from typing import Any

from eventide.connectors.notifications.address import Failed, Refused, addresses
from eventide.connectors.notifications.message import Message
from eventide.errors import SinkError

_TYPES = {"critical": "failure", "warning": "warning"}
_GENERIC = ("json", "jsons", "xml", "xmls", "form", "forms")


class Service:
    """A target with an Apprise address."""

    def __init__(self, url: str, *, allow_private: bool) -> None:
        try:
            import apprise
        except ImportError:
            raise SinkError('mail and chat need the library Apprise: install "eventide[notify]"') from None
        if url.partition("://")[0].lower() in _GENERIC and not allow_private:
            raise Refused("plain web hooks are sent by an address that begins with https://, which is checked")
        logging.getLogger("apprise").disabled = True  # its messages show addresses
        asset = apprise.AppriseAsset(http_redirects=False, async_mode=False)
        self._service: Any = apprise.Apprise.instantiate(url, asset=asset)
        if self._service is None:
            raise Refused("Apprise does not know this kind of address")
        self._allow_private = allow_private

    def send(self, message: Message) -> None:
        """Deliver, or raise `Failed` or `Refused`."""
        for name in ("host", "smtp_host"):
            self._check(getattr(self._service, name, None))
        kind = _TYPES.get(message.severity, "info")
        try:
            delivered = self._service.notify(body=message.body, title=message.title, notify_type=kind)
        except Exception as fault:
            raise Failed(f"the service failed ({type(fault).__name__})") from None
        if not delivered:
            raise Failed("the service did not take the message")

    def _check(self, host: object) -> None:
        """A host of the user's own must be public; what is no host name (a token, a channel) leads nowhere."""
        if isinstance(host, str) and host and not self._allow_private:
            try:
                addresses(host, 443, allow_private=False)
            except Failed:
                return
