"""The servers that a demo needs, all on loopback: MQTT broker (amqtt), Modbus server (pymodbus) and OPC UA server
(asyncua). The last two *are* the machines, so they run wherever the story is told; the broker only where there is no
other.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from simulators.telling.modbus import ModbusFloor
from simulators.telling.opcua import OpcuaLine

if TYPE_CHECKING:
    from simulators.broker import MqttBroker

_CHATTY = ("amqtt", "transitions", "pymodbus", "asyncua")


def _broker(host: str, port: int) -> MqttBroker:
    # Here, so that a machine with a broker of its own needs no amqtt.
    from simulators.broker import MqttBroker

    return MqttBroker(host, port)


class Servers:
    """Broker (where `mqtt_port` is given), Modbus server and OPC UA server; `async with` starts and stops them."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        *,
        mqtt_port: int | None = None,
        modbus_port: int | None = None,
        opcua_port: int | None = None,
        restarts: int = 0,
    ) -> None:
        self.broker = _broker(host, mqtt_port) if mqtt_port is not None else None
        self.modbus = ModbusFloor(host, modbus_port, restarts) if modbus_port is not None else None
        self.opcua = OpcuaLine(host, opcua_port, restarts) if opcua_port is not None else None

    async def __aenter__(self) -> Servers:
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        try:
            for server in (self.broker, self.modbus, self.opcua):
                if server is not None:
                    await server.start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._stop()

    async def _stop(self) -> None:
        for server in (self.opcua, self.modbus, self.broker):
            if server is not None:
                await server.stop()

    def heard(self) -> bool:
        """Whether somebody listens to every one of these servers."""
        return (
            (self.broker is None or self.broker.subscriptions() > 0)
            and (self.modbus is None or self.modbus.reads > 0)
            and (self.opcua is None or self.opcua.subscriptions() > 0)
        )
