"""A session with a broker that takes messages in: each goes to the journal, and is acknowledged when it is there.

Law: a message that is not acknowledged stays with the broker, in the session that bears the journal's name, and comes
again. No more than a bounded number wait for their acknowledgement.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from eventide.connectors.journal import Keeper
from eventide.connectors.journal.keeper import Ended
from eventide.connectors.mqtt.config import Made, is_stranger
from eventide.connectors.mqtt.kept import record_of
from eventide.errors import SourceError
from eventide.flow import WallClock

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

_UNACKNOWLEDGED_MOST = 200


class Session:
    """Subscribes and takes in until it is closed."""

    def __init__(
        self,
        made: Made,
        topics: Sequence[str],
        keeper: Keeper,
        clock: WallClock,
        record_max_bytes: int,
        *,
        retained: bool,
    ) -> None:
        self._made = made
        self._topics = topics
        self._keeper = keeper
        self._clock = clock
        self._record_max_bytes = record_max_bytes
        self._retained = retained
        self._away_since_us: int | None = clock.now_us()
        self._why = "nobody answers"
        self._fault: SourceError | None = None
        client = made.client
        client.on_connect = self._connected
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_message = self._came

    def start(self, session_s: int) -> None:
        """Connect and subscribe; the broker keeps the session for so long when we are away."""
        self._made.start(clean=session_s == 0, session_s=session_s, receive_most=_UNACKNOWLEDGED_MOST)

    def watch(self, patience_us: int) -> None:
        """Raise what stops the run: a lasting refusal, or a broker that was away for longer than that."""
        if self._fault is not None:
            raise self._fault
        away_since_us = self._away_since_us
        if away_since_us is not None and self._clock.now_us() - away_since_us > patience_us:
            raise SourceError(
                f"no MQTT broker to read {', '.join(self._topics)} from: {self._why}. Check its address, or start it"
            )

    def close(self) -> None:
        """Take nothing more in; what came is kept and acknowledged first."""
        self._keeper.close()
        self._made.end()

    def _connected(self, client: Client, userdata: object, flags: object, code: Any, properties: object) -> None:
        from paho.mqtt.subscribeoptions import SubscribeOptions

        if code.is_failure:
            self._why = f"the broker answers {str(code).lower()}"
            if is_stranger(code.value):
                self._fail(f"the MQTT broker does not let us in ({str(code).lower()}): check user and password")
            return
        self._away_since_us = None
        handling = SubscribeOptions.RETAIN_SEND_IF_NEW_SUB if self._retained else SubscribeOptions.RETAIN_DO_NOT_SEND
        client.subscribe([(topic, SubscribeOptions(qos=1, retainHandling=handling)) for topic in self._topics])

    def _disconnected(self, client: Client, userdata: object, flags: object, code: object, properties: object) -> None:
        if self._away_since_us is None:
            self._away_since_us, self._why = self._clock.now_us(), "the connection broke off"

    def _subscribed(self, client: Client, userdata: object, mid: int, codes: Sequence[Any], properties: object) -> None:
        for topic, code in zip(self._topics, codes, strict=False):
            if code.is_failure:
                self._fail(
                    f"the MQTT broker does not let us read {topic}: {str(code).lower()}. Check the topic and rights"
                )

    def _came(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        """Hand a message over; the client waits meanwhile, and with it the broker."""

        def done(answer: int | OSError) -> None:
            if isinstance(answer, int):
                client.ack(message.mid, message.qos)
            else:
                self._fail(f"cannot write to the journal in {self._keeper.journal.folder}: {answer.strerror or answer}")

        try:
            self._keeper.hand([record_of(message, self._record_max_bytes)], done, wait=True)
        except Ended:
            return  # it was not acknowledged, and comes again

    def _fail(self, why: str) -> None:
        self._fault = SourceError(f"{why}. What was acknowledged is kept: mend that and start again")
