"""The packing line PK-01 as an OPC UA server (`opc.tcp://host:port/packing`, no security: a simulator).

Namespace `urn:simulated:packing`; below Objects a folder `PackingLine` with the object `PK01`:

    Writing    UInt32   incremented before the other variables are written
    Counter    UInt32   incremented after: the trigger. Writing = Counter means that nothing is half written
    Event      Byte     1 carton opened, 2 closed, 3 reopened
    LoadUnit   String
    Restarts   UInt32   changes at each start of the line

The line keeps the values until its next event, at least 500 ms. Node ids are strings: `PK01.Counter` and so on.

Labels are events: type `LabelVerifiedEventType` (below BaseEventType) with the fields `LoadUnit` (String), `Result`
(String: OK, NOREAD) and `Sscc` (String, empty if not read), notified by the Server object.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from asyncua import Server, ua

from simulators.statements import Record
from simulators.telling.voice import Queued

NAMESPACE = "urn:simulated:packing"
EVENTS = {"carton.open": 1, "carton.close": 2, "carton.reopen": 3}
_KEEPS_S = 0.5


class OpcuaLine(Queued):
    """The server and the line. `restarts`: shown in its variable."""

    def __init__(self, host: str, port: int, restarts: int) -> None:
        super().__init__()
        self.url = f"opc.tcp://{host}:{port}/packing"
        self._restarts = restarts
        self._count = 0
        self._server: Any = None
        self._nodes: dict[str, Any] = {}
        self._labels: Any = None

    async def start(self) -> None:
        """Raises OSError where the port is not free."""
        server = Server()
        await server.init()
        server.set_endpoint(self.url)
        server.set_server_name("Simulated packing line")
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        space = await server.register_namespace(NAMESPACE)
        folder = await server.nodes.objects.add_folder(ua.NodeId("PackingLine", space), f"{space}:PackingLine")
        line = await folder.add_object(ua.NodeId("PK01", space), f"{space}:PK01")
        for name, kind, value in (
            ("Writing", ua.VariantType.UInt32, 0),
            ("Counter", ua.VariantType.UInt32, 0),
            ("Event", ua.VariantType.Byte, 0),
            ("LoadUnit", ua.VariantType.String, ""),
            ("Restarts", ua.VariantType.UInt32, self._restarts),
        ):
            node = ua.NodeId(f"PK01.{name}", space)
            self._nodes[name] = await line.add_variable(node, f"{space}:{name}", ua.Variant(value, kind))
        text = ua.VariantType.String
        fields = [("LoadUnit", text), ("Result", text), ("Sscc", text)]
        label_type = await server.create_custom_event_type(
            space, "LabelVerifiedEventType", ua.ObjectIds.BaseEventType, fields
        )
        self._labels = await server.get_event_generator(label_type, server.nodes.server)
        try:
            await server.start()
        except OSError as error:
            raise OSError(f"cannot be an OPC UA server at {self.url}: {error}") from error
        self._server = server

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop()
            self._server = None

    def subscriptions(self) -> int:
        """How many subscriptions clients have made: whether somebody listens."""
        return len(self._server.iserver.subscription_service.subscriptions) if self._server is not None else 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            record = await self.next()
            if record["kind"] == "label.verified":
                await self._label(record)
            else:
                await self._carton(record)
            self.said()

    async def _label(self, record: Record) -> None:
        event = self._labels.event
        event.LoadUnit, event.Result, event.Sscc = record["lu"], record["result"], record.get("sscc", "")
        event.Time = datetime.now(UTC)
        await self._labels.trigger(message=f"label of {record['lu']}: {record['result']}")

    async def _carton(self, record: Record) -> None:
        self._count = (self._count + 1) % 2**32
        await self._write("Writing", self._count, ua.VariantType.UInt32)
        await self._write("Event", EVENTS[record["kind"]], ua.VariantType.Byte)
        await self._write("LoadUnit", record["lu"], ua.VariantType.String)
        await self._write("Counter", self._count, ua.VariantType.UInt32)
        await asyncio.sleep(_KEEPS_S)

    async def _write(self, name: str, value: object, kind: Any) -> None:
        now = datetime.now(UTC)
        written = ua.DataValue(ua.Variant(value, kind), SourceTimestamp=now, ServerTimestamp=now)
        await self._nodes[name].write_value(written)
