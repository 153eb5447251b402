"""What the OPC UA tests stand on: a small packing line on an asyncua server, and an intake that keeps what it gets."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from asyncua import Server, ua
from asyncua.crypto.permission_rules import User, UserRole

from engine.clock import now_us
from engine.contracts import Delivery
from protocols.opcua.driver import Driver
from protocols.opcua.security import write_self_signed
from protocols.opcua.settings import Settings
from tests.peers import free_port

NAMESPACE = "urn:test:packing"
SERVER_URI = "urn:test:server"
WAIT_S = 60.0


class Kept:
    """An engine's front door that keeps everything, acknowledges at once, and lets a test wait for what comes."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.faults: list[tuple[str, bytes]] = []
        self.states: list[tuple[str, str]] = []
        self.positions: dict[str, tuple[int, int]] = {}
        self.acknowledge = True
        self.open = asyncio.Event()
        self.open.set()
        self.driver: asyncio.Task[None] | None = None

    async def put(self, delivery: Delivery) -> None:
        await self.open.wait()
        self.records += [json.loads(line) for line in delivery.lines]
        if delivery.ack is not None and self.acknowledge:
            delivery.ack()

    def fault(self, source: str, cause: str, sample: bytes, place: str = "") -> None:
        self.faults.append((cause, sample))

    def state(self, source: str, state: str, detail: str = "") -> None:
        self.states.append((state, detail))

    def position(self, src: str) -> tuple[int, int] | None:
        return self.positions.get(src)

    async def recent(self, src: str, most: int) -> Sequence[bytes]:
        return ()

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [record for record in self.records if record["kind"] == kind]

    async def until(self, happened: Callable[[], bool], seconds: float = WAIT_S) -> None:
        """Waits for a condition over what was kept; fails with all of it if it does not come."""
        try:
            async with asyncio.timeout(seconds):
                while not happened():
                    assert self.driver is None or not self.driver.done(), self.driver
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"{self.records}\n{self.faults}\n{self.states}") from None

    async def up(self, times: int = 1) -> None:
        await self.until(lambda: [state for state, _ in self.states].count("up") >= times)


class Users:
    """Lets one user in by name and password, others by their certificates (DER)."""

    def __init__(self) -> None:
        self.certificates: set[bytes] = set()

    def get_user(self, server: Any, username: Any = None, password: Any = None, certificate: Any = None) -> User | None:
        known = (username, password) == ("reader", "right") or certificate in self.certificates
        return User(role=UserRole.User) if known else None


class Line:
    """A packing line: variables under Objects/Line1/PK01 and an event type, on a free port of loopback."""

    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"opc.tcp://127.0.0.1:{self.port}/"
        self.server = Server()
        self.index = 0
        self.nodes: dict[str, Any] = {}
        self.users = Users()

    async def prepare(self) -> None:
        gc.disable()  # it would look through the standard's thousands of nodes again and again: most of the time
        self.server.iserver.bind_condition_methods = True
        try:
            await self.server.init()
        finally:
            gc.enable()
        self.server.set_endpoint(self.url)
        self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])

    async def secure(self, folder: Path) -> None:
        """After `prepare`: only signed and encrypted, with a certificate and key made in `folder`."""
        certificate, key = folder / "server.der", folder / "server.pem"
        write_self_signed(certificate, key, SERVER_URI, "127.0.0.1")
        await self.server.set_application_uri(SERVER_URI)
        await self.server.load_certificate(certificate)
        await self.server.load_private_key(key)
        self.server.set_security_policy(
            [
                ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
                ua.SecurityPolicyType.Aes128Sha256RsaOaep_Sign,
                ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
            ]
        )
        self.server.set_identity_tokens([ua.UserNameIdentityToken, ua.X509IdentityToken])
        self.server.iserver.user_manager = self.users

    async def build(self) -> None:
        self.index = await self.server.register_namespace(NAMESPACE)
        line = await self.server.nodes.objects.add_object(self.index, "Line1")
        machine = await line.add_object(f"ns={self.index};s=PK01", f"{self.index}:PK01")
        for name, value, kind in (
            ("Begun", 0, ua.VariantType.UInt16),
            ("Counter", 0, ua.VariantType.UInt16),
            ("Kind", 0, ua.VariantType.Int16),
            ("Lu", "", ua.VariantType.String),
            ("Weight", 0.0, ua.VariantType.Double),
            ("Door", False, ua.VariantType.Boolean),
            ("Codes", ["", ""], ua.VariantType.String),
        ):
            node_id = f"ns={self.index};s=PK01.{name}"
            self.nodes[name] = await machine.add_variable(node_id, f"{self.index}:{name}", value, kind)
        fields = [
            ("Carton", ua.VariantType.String),
            ("Result", ua.VariantType.String),
            ("Number", ua.VariantType.UInt32),
        ]
        self.nodes["Event"] = await self.server.create_custom_event_type(
            self.index, "LabelEventType", properties=fields
        )

    async def start(self) -> Line:
        await self.prepare()
        await self.build()
        await self.server.start()
        return self

    async def stop(self) -> None:
        # asyncua waits a second for its clock to notice
        clock, self.server.iserver.time_task = self.server.iserver.time_task, None
        if clock is not None:
            clock.cancel()
            await self.server.stop()

    async def write(self, **values: Any) -> None:
        """Writes variables one after the other, in the order given."""
        for name, value in values.items():
            node = self.nodes[name]
            if isinstance(value, ua.DataValue):
                await self.server.write_attribute_value(node.nodeid, value)
            else:
                kind = await node.read_data_type_as_variant_type()
                await node.write_value(ua.Variant(value, kind))

    async def tell(self, **fields: Any) -> None:
        """Sends one event of the line's type."""
        generator = await self.server.get_event_generator(self.nodes["Event"])
        for name, value in fields.items():
            setattr(generator.event, name, value)
        await generator.trigger()


@contextlib.asynccontextmanager
async def line(port: int | None = None) -> AsyncIterator[Line]:
    served = await Line(port).start()
    try:
        yield served
    finally:
        await served.stop()


CARTONS: dict[str, Any] = {
    "src": "dc1/pack/PK-01",
    "nodes": {
        "counter": f"nsu={NAMESPACE};s=PK01.Counter",
        "kind": "/pack:Line1/pack:PK01/pack:Kind",
        "lu": f"nsu={NAMESPACE};s=PK01.Lu",
    },
    "trigger": "counter",
    "record": {
        "kind": {"path": "kind", "table": {"1": "carton.open", "2": "carton.close"}},
        "lu": {"path": "lu", "required": True},
        "seq": {"path": "counter", "wrap": 65536},
    },
}
LABELS: dict[str, Any] = {
    "src": "dc1/pack/PK-01",
    "event_type": "pack:LabelEventType",
    "fields": {"carton": "pack:Carton", "result": "pack:Result", "text": "Message"},
    "record": {"kind": {"const": "label.verified"}, "lu": "carton", "result": "result"},
}


def settings(url: str, **changes: Any) -> Settings:
    """Settings with short times, without security unless `changes` say otherwise."""
    table: dict[str, Any] = {
        "url": url,
        "security": {"policy": "None"},
        "namespaces": {"pack": NAMESPACE},
        "publishing_ms": 20,
        "keep_alive_ms": 200,
        "lifetime_ms": 10_000,
        "reconnect_min_ms": 20,
        "reconnect_max_ms": 100,
        "retry_ms": 100,
    }
    converted = msgspec.convert(table | changes, Settings)
    assert list(converted.faults()) == []
    return converted


@contextlib.asynccontextmanager
async def running(configured: Settings, kept: Kept | None = None) -> AsyncIterator[Kept]:
    """A driver at work; its task must not end by itself."""
    kept = kept or Kept()
    task = kept.driver = asyncio.create_task(Driver("packing", configured, kept, now_us).run())
    try:
        yield kept
        assert not task.done(), task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
