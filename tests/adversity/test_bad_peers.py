"""One `sortline run` among hosts, servers and certificates that are all wrong in their own way: each is named, and the
one good source goes on, and so does the one good sink."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from protocols.opcua.security import write_self_signed
from tests.adversity.test_modbus_faulty_servers import noise
from tests.commands import Publisher, Running, queued
from tests.modbus import Plc
from tests.opcua import NAMESPACE, SERVER_URI, Line
from tests.peers import Peer, free_port, start_mosquitto

SITE = """
site = "dc1"
[engine]
data_dir = "{folder}/data"

[sinks.queue]
[sinks.erp]
kind = "redis"
port = {closed}
[[routes]]
types = ["*"]
sinks = ["queue"]

[sources.good]
protocol = "mqtt"
host = "127.0.0.1"
port = {broker}
covers = ["dc1/wms"]
scope = ["dc1/wms/"]
topics = [{{ filter = "canonical", format = "canonical", constants = {{ src = "dc1/wms/main" }} }}]

[sources.mqtt_closed]
protocol = "mqtt"
host = "127.0.0.1"
port = {closed}
scope = ["dc1/a/"]
topics = [{{ filter = "canonical", format = "canonical" }}]

[sources.mqtt_no_name]
protocol = "mqtt"
host = "nowhere.invalid"
plaintext = true
scope = ["dc1/b/"]
topics = [{{ filter = "canonical", format = "canonical" }}]

[sources.redis_closed]
protocol = "redis_stream"
port = {closed}
stream = "wms.context"

[sources.modbus_closed]
protocol = "modbus"
host = "127.0.0.1"
port = {closed}
[sources.modbus_closed.units.U]
unit = 1
src = "dc1/c/U"
holding = {{ n = 0 }}
[sources.modbus_closed.units.U.groups.g]
poll_ms = 20
triggers = [{{ on = "change", register = "n", record = {{ kind = {{ const = "telemetry" }} }} }}]

[sources.modbus_missing]
protocol = "modbus"
host = "127.0.0.1"
port = {plc}
[sources.modbus_missing.units.U]
unit = 1
src = "dc1/d/U"
holding = {{ there = 0, absent = 500 }}
[sources.modbus_missing.units.U.groups.g]
poll_ms = 20
triggers = [{{ on = "change", register = "there", record = {{ kind = {{ const = "telemetry" }} }} }}]

[sources.modbus_noise]
protocol = "modbus"
host = "127.0.0.1"
port = {noise}
timeout_ms = 200
recovery_ms = 200
[sources.modbus_noise.units.U]
unit = 1
src = "dc1/e/U"
holding = {{ n = 0 }}
[sources.modbus_noise.units.U.groups.g]
poll_ms = 20
triggers = [{{ on = "change", register = "n", record = {{ kind = {{ const = "telemetry" }} }} }}]

[sources.opcua_closed]
protocol = "opcua"
url = "opc.tcp://127.0.0.1:{closed}/"
security = {{ policy = "None" }}
[sources.opcua_closed.variables.v]
src = "dc1/f/V"
trigger = "n"
nodes = {{ n = "i=1" }}
record.kind = {{ const = "telemetry" }}

[sources.opcua_missing]
protocol = "opcua"
url = "{packing}"
namespaces = {{ pack = "{namespace}" }}
security = {{ policy = "None" }}
[sources.opcua_missing.variables.absent]
src = "dc1/g/V"
trigger = "n"
nodes = {{ n = "ns=pack;s=PK01.Nothing" }}
record.kind = {{ const = "telemetry" }}

[sources.opcua_stranger]
protocol = "opcua"
url = "{bank}"
[sources.opcua_stranger.security]
policy = "Basic256Sha256"
certificate = "{folder}/client.der"
private_key = "{folder}/client.pem"
self_signed = true
server_certificate = "{folder}/other.der"
[sources.opcua_stranger.variables.v]
src = "dc1/h/V"
trigger = "n"
nodes = {{ n = "i=1" }}
record.kind = {{ const = "telemetry" }}
"""

SAID = {
    "mqtt_closed": "source mqtt_closed: down (cannot connect: Connection refused)",
    "mqtt_no_name": "source mqtt_no_name: down (cannot connect: ",
    "redis_closed": "source redis_closed: down (Error 111 connecting to 127.0.0.1:",
    "modbus_closed": "source modbus_closed: down (cannot connect: Connection refused)",
    "modbus_missing": (
        "source modbus_missing: a payload was refused: "
        "units.U.groups.g: absent (holding 500): exception 2 (illegal data address)"
    ),
    "modbus_noise": "source modbus_noise: a payload was refused: units.U.groups.g: ",
    "opcua_closed": "source opcua_closed: down (Connection refused)",
    "opcua_missing": "opcua_missing: variables.absent.n: cannot be monitored: BadNodeIdUnknown; tried again",
    "opcua_stranger": "other.der (sha256 ",
    "sink": "sink erp: retrying unknown outcome: ConnectionError: Error 111 connecting to 127.0.0.1:",
}


class Machines:
    """The wrong machines, on an event loop in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        self.missing, self.noise = Plc(), Plc()
        self.packing, self.bank = Line(), Line()
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._do(self._start())

    def stop(self) -> None:
        self._do(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: object) -> None:
        future: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)  # type: ignore[arg-type]
        future.result(30)

    async def _start(self) -> None:
        self.missing.missing = {("holding", 500)}
        self.noise.answer = noise
        await self.missing.start()
        await self.noise.start()
        await self.packing.start()
        await self.bank.prepare()
        await self.bank.secure(self._folder)
        await self.bank.build()
        await self.bank.server.start()

    async def _stop(self) -> None:
        for plc in (self.missing, self.noise):
            await plc.stop()
        for line in (self.packing, self.bank):
            await line.stop()


class Site:
    def __init__(self, folder: Path, broker: Peer, engine: Running) -> None:
        self.folder = folder
        self.broker = broker
        self.engine = engine


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("bad_peers")
    broker = start_mosquitto(folder)
    write_self_signed(folder / "other.der", folder / "other.pem", SERVER_URI, "127.0.0.1")
    machines = Machines(folder)
    path = folder / "site.toml"
    ports = {"closed": free_port(), "broker": broker.port, "plc": machines.missing.port, "noise": machines.noise.port}
    urls = {"packing": machines.packing.url, "bank": machines.bank.url}
    path.write_text(SITE.format(folder=folder, namespace=NAMESPACE, **ports, **urls))
    try:
        with Running(folder, "run", str(path)) as engine:
            engine.until_said("source good: up")
            yield Site(folder, broker, engine)
            engine.stop()
    finally:
        machines.stop()
        broker.stop()


@pytest.mark.peer("mosquitto")
@pytest.mark.parametrize("name", SAID)
def test_what_is_wrong_is_named(site: Site, name: str) -> None:
    site.engine.until_said(SAID[name])


@pytest.mark.peer("mosquitto")
def test_the_good_source_and_the_good_sink_go_on(site: Site) -> None:
    for text in SAID.values():
        site.engine.until_said(text)
    with Publisher(site.broker.port, "canonical") as wms:
        wms.say(kind="order.released", order="O-1", rev=1, lines=[{"line": 1, "sku": "S", "qty": 1}])
        wms.say(kind="pick.task", task="T-1", rev=1, order="O-1", line=1, sku="S", qty=1)
        wms.say(kind="pick.confirm", task="T-1", sku="S", qty=1)
    queue = site.folder / "data" / "queue.sqlite"
    site.engine.until(lambda: [event["subject"] for event in queued(queue)] == ["task/T-1"], "to queue the pick")
