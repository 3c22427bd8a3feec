"""Notifications: rows of an output as messages to people and to webhooks.

Law: a message never holds up the stream; one that is not delivered is counted and kept with its reason.
"""

from eventide.connectors.notifications.sink import NotifySink, notify

__all__ = ["NotifySink", "notify"]
