"""An MQTT broker of our own (amqtt), for a demo on a machine that has none. Needs the extra `sim`."""

from __future__ import annotations

from typing import Any

from amqtt.broker import Broker  # type: ignore[import-untyped]
from amqtt.errors import BrokerError  # type: ignore[import-untyped]
from amqtt.plugins.base import BaseAuthPlugin  # type: ignore[import-untyped]
from amqtt.session import Session  # type: ignore[import-untyped]


class EverybodyByName(BaseAuthPlugin):  # type: ignore[misc]
    """Lets everybody in, as amqtt's own anonymous plugin does, but does not forget the session of a client that asked
    to keep it: without that, nobody could be away for a moment."""

    async def authenticate(self, *, session: Session) -> bool:
        return True


class MqttBroker:
    """An MQTT 3.1.1 broker without a password. Kept sessions live as long as the process."""

    def __init__(self, host: str, port: int) -> None:
        self._address = f"{host}:{port}"
        self._broker: Any = None

    async def start(self) -> None:
        """Raises OSError where the port is not free."""
        broker = Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": self._address}},
                "plugins": {f"{EverybodyByName.__module__}.{EverybodyByName.__qualname__}": {}},
            }
        )
        try:
            await broker.start()
        except BrokerError as error:
            raise OSError(f"cannot be a broker at {self._address}: {error}") from error
        self._broker = broker

    async def stop(self) -> None:
        if self._broker is not None:
            await self._broker.shutdown()
            self._broker = None

    def subscriptions(self) -> int:
        """How many topic filters clients have subscribed to."""
        return len(self._broker._subscriptions) if self._broker is not None else 0
