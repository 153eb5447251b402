"""`sortline check --probe` and `sortline tap` on real servers: they look, and the engine notices nothing."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from engine.clock import now_us
from tests import sparkplug as wire
from tests.commands import SORTLINE, Running, sortline
from tests.ending import ended
from tests.modbus import Plc, until
from tests.opcua import CARTONS, Line, line
from tests.peers import Peer, free_port, start_mosquitto

SITE = """
site = "dc1"
[engine]
data_dir = "{folder}/data"
[sources.floor]
protocol = "mqtt"
host = "127.0.0.1"
port = {broker}
client_id = "sortline-floor"
scope = ["dc1/"]
topics = [{{ filter = "floor/#rest", format = "canonical" }}]
[sources.packing]
protocol = "opcua"
url = "{packing}"
security = {{ policy = "None" }}
namespaces = {{ pack = "urn:test:packing" }}
publishing_ms = 50
[sources.packing.variables.cartons]
src = "dc1/pack/PK-01"
trigger = "counter"
nodes = {nodes}
record.kind = {{ path = "kind", table = {{ 1 = "carton.open", 2 = "carton.close" }} }}
record.lu = {{ path = "lu", required = true }}
record.seq = {{ path = "counter", wrap = 65536 }}
[sources.orders]
protocol = "redis_stream"
port = {closed}
stream = "wms.context"
"""
CLOSED = """
[sources.away]
protocol = "mqtt"
host = "127.0.0.1"
port = {closed}
scope = ["dc1/"]
topics = [{{ filter = "x", format = "canonical" }}]
"""


def site(folder: Path, broker: Peer, packing: Line, more: str = "") -> Path:
    nodes = "{ " + ", ".join(f"{name} = {json.dumps(node)}" for name, node in CARTONS["nodes"].items()) + " }"
    text = SITE + more
    file = folder / "site.toml"
    file.write_text(
        text.format(folder=folder, broker=broker.port, packing=packing.url, nodes=nodes, closed=free_port())
    )
    return file


@asynccontextmanager
async def floor(broker: Peer, packing: Line, **payload: Any) -> AsyncIterator[list[str]]:
    """An engine's own connection to the broker, and devices that say something again and again. Yields what the
    engine's connection got."""
    got: list[str] = []

    async def engine() -> None:
        async with aiomqtt.Client("127.0.0.1", broker.port, identifier="sortline-floor") as client:
            await client.subscribe("floor/#")
            async for message in client.messages:
                got.append(str(message.topic))

    async def devices() -> None:
        async with aiomqtt.Client("127.0.0.1", broker.port) as client:
            for number in range(1, 1_000):
                record = {"src": "dc1/a/A1", "kind": "telemetry", "t": now_us() - 2_000_000, "seq": number, **payload}
                await client.publish("floor/a", json.dumps(record))
                await packing.write(Kind=1, Lu=f"T-{number}", Counter=number)
                await asyncio.sleep(0.25)

    tasks = [asyncio.create_task(engine()), asyncio.create_task(devices())]
    try:
        yield got
        assert not any(task.done() for task in tasks), tasks
    finally:
        await ended(*tasks)


Done = subprocess.CompletedProcess[str]


async def looked(saw_all: Callable[[Done], bool], name: str, *arguments: str) -> Done:
    """The command, for longer and longer until it saw what there is to see: a floor is as slow as its computer."""
    for seconds in ("2", "6", "20"):
        done = await asyncio.to_thread(sortline, name, *arguments, "--seconds", seconds)
        if saw_all(done):
            break
    return done


def rows_of(done: Done) -> dict[str, str]:
    """Of a probe, by their sources."""
    return {row.split()[0]: row for row in done.stdout.splitlines()[1:]}


def test_a_probe_says_of_every_source_what_works_and_takes_nothing_away(mosquitto: Peer, tmp_path: Path) -> None:
    async def story() -> None:
        async with line() as packing, floor(mosquitto, packing) as got:
            file = site(tmp_path, mosquitto, packing)
            done = await looked(lambda done: done.stdout.count("works") == 2, "check", "--probe", str(file))
            rows = rows_of(done)
            assert done.returncode == 1, done.stdout + done.stderr
            assert "works" in rows["floor"]
            assert -20_000 < float(rows["floor"].split()[-2]) < -1_990
            assert "works" in rows["packing"], done.stdout
            assert float(rows["packing"].split()[2].removesuffix("/s")) > 0
            assert "down" in rows["orders"]
            await until(lambda: len(got) > 4)
            assert not (tmp_path / "data").exists()
            away = site(tmp_path, mosquitto, packing, CLOSED)
            done = await asyncio.to_thread(sortline, "check", "--probe", "--seconds", "1", str(away))
            assert done.returncode == 1
            assert "down" in next(row for row in done.stdout.splitlines() if row.startswith("away"))

    asyncio.run(story())


def test_a_probe_of_a_server_that_says_nothing_tells_so_also_while_it_tries_again(tmp_path: Path) -> None:
    source = CLOSED.replace("away", "{name}") + "connect_ms = {ms}\nreconnect_max_ms = 100\n"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        file = tmp_path / "site.toml"
        sources = [source.format(name=name, ms=ms, closed=port) for name, ms in (("slow", 60_000), ("quick", 100))]
        file.write_text('site = "dc1"\n' + "".join(sources))
        done = asyncio.run(looked(lambda done: "within 100 ms" in done.stdout, "check", "--probe", str(file)))
    rows = rows_of(done)
    assert done.returncode == 1
    assert f"no answer in {done.args[-1]} s" in rows["slow"], done.stdout
    assert "no answer within 100 ms" in rows["quick"], done.stdout


def test_a_tap_shows_what_came_beside_what_became_of_it(mosquitto: Peer, tmp_path: Path) -> None:
    async def story() -> None:
        async with line() as packing, floor(mosquitto, packing, lu="T-7\x1b[31m") as got:
            file = site(tmp_path, mosquitto, packing)

            def all_of(place: str, done: Done) -> bool:
                lines = done.stdout.splitlines()
                return (
                    "= up" in lines
                    and any(one.startswith(f"< {place} ") for one in lines)
                    and any(one.startswith("> {") and '"seq":' in one for one in lines)
                )

            for source, place in (
                ("floor", "floor/a"),
                ("packing", "variables.cartons.counter"),
                ("packing", "variables.cartons.lu (read)"),
            ):
                done = await looked(partial(all_of, place), "tap", str(file), source)
                assert done.returncode == 0, done.stderr
                assert all_of(place, done), done.stdout
                assert "\x1b" not in done.stdout
            await until(lambda: len(got) > 4)
            unknown = await asyncio.to_thread(sortline, "tap", str(file), "nobody")
            assert (unknown.returncode, "there are floor, packing, orders" in unknown.stderr) == (1, True)
            orders = await asyncio.to_thread(sortline, "tap", str(file), "orders")
            assert (orders.returncode, "without taking something" in orders.stderr) == (1, True)

    asyncio.run(story())


SPEAKS = """
site = "dc1"
[sources.floor]
protocol = "mqtt"
host = "127.0.0.1"
port = {port}
scope = ["dc1/"]
will = {{ topic = "dc1/engine/state" }}
[[sources.floor.topics]]
filter = "floor/#rest"
format = "canonical"
[sources.nodes]
protocol = "mqtt"
host = "127.0.0.1"
port = {port}
scope = ["dc1/"]
[sources.nodes.sparkplug]
groups = ["G"]
host_id = "H"
[[sources.nodes.sparkplug.records]]
filter = "G/+node"
trigger = "n"
record = {{ src = {{ template = "dc1/{{node}}" }}, kind = {{ const = "telemetry" }} }}
"""


@pytest.mark.parametrize("command", ["check --probe", "tap floor", "tap nodes"])
def test_nobody_on_the_floor_is_told_that_somebody_looks(mosquitto: Peer, tmp_path: Path, command: str) -> None:
    def is_there(done: Done) -> bool:
        return "= up" in done.stdout or done.stdout.count("works") == 2

    async def story() -> None:
        file = tmp_path / "site.toml"
        file.write_text(SPEAKS.format(port=mosquitto.port))
        name, argument = command.split()
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
            await client.subscribe("#")
            done = await looked(is_there, name, str(file), argument)
            assert done.returncode == 0, done.stdout + done.stderr
            assert is_there(done)
            await client.publish("the/end", b"")
            assert str((await anext(client.messages)).topic) == "the/end"

    asyncio.run(story())


def test_a_tap_shows_what_sparkplug_nodes_say_beside_its_records(mosquitto: Peer, tmp_path: Path) -> None:
    shown = (
        '< spBv1.0/G/NBIRTH/L1 {"timestamp":1750000000000,"seq":0,"metrics":[{"name":"bdSeq","value":1},'
        '{"name":"n","alias":1,"value":7}]}',
        '"metrics":[{"alias":1,"value":8}]}',
        "< spBv1.0/G/NDATA/L2 ffff",
        '> {"kind":"telemetry","src":"dc1/L1"',
    )

    async def node() -> None:
        birth = wire.metric("bdSeq", 1, wire.UINT64), wire.metric("n", 7, wire.UINT32, alias=1)
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
            while True:
                await client.publish("spBv1.0/G/NBIRTH/L1", wire.payload(*birth, seq=0))
                report = wire.metric(None, 8, alias=1, kind=wire.UINT32)
                await client.publish("spBv1.0/G/NDATA/L1", wire.payload(report, seq=1))
                await client.publish("spBv1.0/G/NDATA/L2", b"\xff\xff")
                await asyncio.sleep(0.1)

    async def story() -> None:
        file = tmp_path / "site.toml"
        file.write_text(SPEAKS.format(port=mosquitto.port))
        speaking = asyncio.create_task(node())
        done = await looked(lambda done: all(each in done.stdout for each in shown), "tap", str(file), "nodes")
        await ended(speaking)
        for each in shown:
            assert each in done.stdout, done.stdout[-4_000:] + done.stderr

    asyncio.run(story())


NUMBERED = """
site = "dc1"
[sources.floor]
protocol = "mqtt"
host = "127.0.0.1"
port = {port}
version = "{version}"
scope = ["dc1/"]
[[sources.floor.topics]]
filter = "floor/+device"
record.src = {{ template = "dc1/{{device}}" }}
record.kind = {{ const = "telemetry" }}
record.seq = {{ path = "n", wrap = 256 }}
"""


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_tap_shows_all_that_comes_and_leaves_nothing_at_the_broker(tmp_path: Path, version: str) -> None:
    file = tmp_path / "site.toml"

    def came(done: Done) -> bool:
        return done.stdout.count('"telemetry"') > 100

    async def story(port: int) -> tuple[Done, str]:
        async with aiomqtt.Client("127.0.0.1", port) as client:
            done = asyncio.create_task(looked(came, "tap", str(file), "floor"))
            number = 0
            while not done.done():
                number += 1
                await client.publish("floor/a", json.dumps({"n": number % 256}), qos=1)
                await asyncio.sleep(0.003)
            await client.subscribe("$SYS/broker/clients/total")  # told once a second, if it has changed
            clients = ""
            with suppress(TimeoutError):
                async with asyncio.timeout(60):
                    async for message in client.messages:
                        clients = str(bytes(message.payload), "ascii")
                        if clients == "1":
                            break
            return await done, clients

    broker = start_mosquitto(tmp_path, "sys_interval 1")
    try:
        file.write_text(NUMBERED.format(port=broker.port, version=version))
        shown, clients = asyncio.run(story(broker.port))
    finally:
        broker.stop()
    assert came(shown), "more than a broker sends to somebody who acknowledges nothing"
    assert clients == "1", "we ourselves"


@pytest.mark.parametrize("in_background", [False, True])
def test_a_tap_that_is_told_to_end_takes_its_leave(mosquitto: Peer, tmp_path: Path, in_background: bool) -> None:
    """`timeout 10 sortline tap ...`: a server that is left without a word keeps the session of who has gone. What a
    shell starts with & ignores SIGINT."""
    file = tmp_path / "site.toml"
    file.write_text('site = "dc1"\n' + CLOSED.format(closed=mosquitto.port))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if in_background else signal.default_int_handler)
    try:
        started = Running(tmp_path, "tap", str(file), "away")
    finally:
        signal.signal(signal.SIGINT, before)

    with started as tapping:
        tapping.until_said("= up")
        tapping.process.terminate()
        assert tapping.process.wait(60) == 130, "as by SIGINT, not killed"
        assert "Traceback" not in tapping.said()


def test_a_tap_whose_reader_has_gone_ends_as_if_it_were_told_to(tmp_path: Path) -> None:
    """`sortline tap SITE.toml SOURCE | head`: what cannot be written is no trouble of the source's."""
    file = tmp_path / "site.toml"
    file.write_text('site = "dc1"\n' + CLOSED.format(closed=free_port()))
    with subprocess.Popen([SORTLINE, "tap", str(file), "away"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as tap:
        assert tap.stdout is not None
        assert tap.stderr is not None
        assert tap.stdout.readline().startswith(b">")
        tap.stdout.close()
        try:
            assert tap.wait(60) == 3
        finally:
            tap.kill()
        assert tap.stderr.read() == b""


FLEET = """
site = "dc1"
[sources.plc]
protocol = "modbus"
host = "127.0.0.1"
port = {port}
timeout_ms = 200
recovery_ms = 100
[sources.plc.units.p1]
unit = 1
src = "dc1/pack/PK-01"
[sources.plc.units.p1.mailboxes.cartons]
seq = 100
seq2 = 102
ack = 200
poll_ms = 20
registers = {{ lu = {{ address = 101, type = "uint16" }} }}
record = {{ kind = {{ const = "carton.open" }}, lu = {{ template = "C-{{.lu}}" }} }}
"""
MORE = """
[sources.plc.units.p2]
unit = 2
src = "dc1/pack/PK-02"
[sources.plc.units.p2.groups.values]
poll_ms = 50
triggers = [{ on = "poll", record = { kind = { const = "telemetry" } } }]
[sources.plc.units.p2.holding]
n = 1
"""


@pytest.mark.parametrize("command", ["check --probe {site}", "tap {site} plc"])
def test_whoever_looks_writes_no_acknowledgement_whatever_the_machine_does(tmp_path: Path, command: str) -> None:
    async def story() -> None:
        async with Plc() as plc:
            plc.set(100, 7, 1007, 7)
            plc.set(200, 7)
            file = tmp_path / "site.toml"
            file.write_text(FLEET.format(port=plc.port).replace("timeout_ms = 200", "timeout_ms = 2000"))
            name, *arguments = command.format(site=file).split()
            looking = asyncio.create_task(asyncio.to_thread(sortline, name, "--seconds", "4", *arguments))
            await until(lambda: len(plc.requests) > 10)
            plc.set(200, 0)  # the machine has forgotten that it was acknowledged
            await asyncio.sleep(1.0)
            plc.set(101, 1008)
            plc.set(100, 8, 1008, 8)
            plc.set(200, 0)
            done = await looking
            assert done.returncode == 0, done.stdout + done.stderr
            assert plc.writes == []

    asyncio.run(story())


def test_a_unit_that_does_not_answer_is_not_passed_over(tmp_path: Path) -> None:
    async def story() -> None:
        async with Plc() as plc:
            plc.dead.add(2)
            file = tmp_path / "site.toml"
            file.write_text(FLEET.format(port=plc.port) + MORE)
            done = await looked(lambda done: "no answer from p2" in done.stdout, "check", "--probe", str(file))
            row = done.stdout.splitlines()[-1]
            assert (done.returncode, "in part" in row, "no answer from p2" in row) == (1, True, True), done.stdout

    asyncio.run(story())


NODES = """
site = "dc1"
[sources.nodes]
protocol = "mqtt"
host = "127.0.0.1"
port = {port}
[sources.nodes.sparkplug]
groups = ["Plant1"]
rebirth_ms = 300
commands = {commands}
[[sources.nodes.sparkplug.records]]
filter = "Plant1/+node"
trigger = "n"
constants = {{ kind = "telemetry" }}
record = {{ src = {{ template = "dc1/nodes/{{node}}" }}, seq = "n" }}
"""


@pytest.mark.parametrize(
    ("commands", "answering", "code", "verdict"),
    [("true", {"L1"}, 0, "works"), ("true", set(), 1, "in part"), ("false", {"L1"}, 1, "in part")],
)
def test_a_probe_of_sparkplug_nodes_asks_for_their_births_and_says_who_gives_none(
    mosquitto: Peer, tmp_path: Path, commands: str, answering: set[str], code: int, verdict: str
) -> None:
    async def node(name: str) -> None:
        numbers, seqs = itertools.count(1), itertools.count(5)
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
            await client.subscribe(f"spBv1.0/Plant1/NCMD/{name}")

            async def reborn() -> None:
                nonlocal seqs
                async for _ in client.messages:
                    metrics = (
                        wire.metric("bdSeq", 1, wire.UINT64),
                        wire.metric("n", next(numbers), wire.UINT32, alias=1),
                    )
                    if name in answering:
                        seqs = itertools.count(1)
                        await client.publish(f"spBv1.0/Plant1/NBIRTH/{name}", wire.payload(*metrics, seq=0))

            answers = asyncio.create_task(reborn())
            try:
                while True:
                    metric = wire.metric(None, next(numbers), alias=1, kind=wire.UINT32)
                    await client.publish(f"spBv1.0/Plant1/NDATA/{name}", wire.payload(metric, seq=next(seqs) % 256))
                    await asyncio.sleep(0.1)
            finally:
                answers.cancel()

    async def story() -> None:
        file = tmp_path / "site.toml"
        file.write_text(NODES.format(port=mosquitto.port, commands=commands))
        speaking = asyncio.create_task(node("L1"))

        def judged(done: Done) -> bool:
            row = done.stdout.splitlines()[-1]
            waits = "waits for the birth of Plant1/L1" in row
            return (done.returncode, verdict in row, waits) == (code, True, bool(code))

        done = await looked(judged, "check", "--probe", str(file))
        await ended(speaking)
        assert judged(done), done.stdout + done.stderr

    asyncio.run(story())
