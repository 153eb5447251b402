"""The simulated machines over the wire: each server starts, tells what it is given, and keeps its own handshake."""

from __future__ import annotations

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator
from typing import Any

import aiomqtt
import pytest
import redis.asyncio
from asyncua import Client, ua
from pymodbus.client import AsyncModbusTcpClient

from simulators.broker import MqttBroker
from simulators.live import Live, live_story, tell_live
from simulators.servers import Servers
from simulators.settings import Troubles
from simulators.statements import Record
from simulators.telling import modbus
from simulators.telling.modbus import ModbusFloor
from simulators.telling.mqtt import MqttVoice, message
from simulators.telling.opcua import NAMESPACE, OpcuaLine
from simulators.telling.wms import RedisVoice
from simulators.truth import expected_events
from tests.ending import ended
from tests.peers import Peer, free_port

T = 1_795_420_812_345_678
PICK: Record = {
    "src": "dc1/pick/PTL-01",
    "kind": "pick.confirm",
    "t": T,
    "t_rx": T,
    "epoch": 9,
    "seq": 273,
    "task": "T-1001",
    "sku": "SKU-0042",
    "qty": 2,
    "loc": "B-07-01",
    "lu": "CTN-1",
}
ORDER: Record = {
    "src": "dc1/wms/main",
    "kind": "order.released",
    "t": T,
    "t_rx": T,
    "order": "O-1",
    "rev": 1,
    "lines": [{"line": 1, "sku": "A", "qty": 2}],
}
INDUCTED: Record = {"src": "dc1/sorter/SRT-01", "kind": "item.inducted", "t": T, "track": "17", "lu": "CTN-1"}
DIVERTED: Record = {
    "src": "dc1/sorter/SRT-01",
    "kind": "divert.confirmed",
    "t": T,
    "track": "17",
    "dest": "LANE-03",
    "dest_req": "LANE-04",
}


@contextlib.asynccontextmanager
async def speaking(*voices: Any) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(voice.run()) for voice in voices]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Any, seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


# ---- MQTT


def test_a_pick_reads_as_the_controller_would_send_it() -> None:
    topic, payload, qos = message(PICK)
    assert (topic, qos) == ("dc1/pick/PTL-01/evt", 1)
    assert json.loads(payload) == {
        "ty": "C",
        "n": 17,
        "boot": 9,
        "ts": T // 1000,
        "job": "T-1001",
        "sku": "SKU-0042",
        "q": 2,
        "bin": "B-07-01",
        "tote": "CTN-1",
    }
    assert json.loads(message(PICK | {"hist": True}).payload)["buf"] is True
    assert json.loads(message(PICK | {"seq": 255}).payload)["n"] == 255
    assert json.loads(message(PICK | {"seq": 256}).payload)["n"] == 0


def test_scans_states_and_context_have_their_own_form() -> None:
    scan = message({"src": "dc1/conveyor/SCN-01", "kind": "scan.read", "t": T, "lu": "CTN-1"})
    assert scan.topic == "dc1/conveyor/SCN-01/evt"
    assert json.loads(scan.payload) == {"e": "R", "bc": "CTN-1", "at": "2026-11-23T08:00:12.345678Z"}
    noread = message({"src": "dc1/conveyor/SCN-01", "kind": "scan.noread", "t": T, "track": "4711"})
    assert json.loads(noread.payload)["trk"] == "4711"
    eye = message({"src": "dc1/conveyor/PE-01", "kind": "photo_eye", "t": T, "state": "set"})
    assert (eye.topic, eye.qos, json.loads(eye.payload)["v"]) == ("dc1/conveyor/PE-01/state", 0, 1)
    assert json.loads(message(ORDER).payload) == {name: value for name, value in ORDER.items() if name != "t_rx"}


def test_our_broker_passes_on_and_keeps_a_session_for_a_client_that_is_away() -> None:
    async def run() -> list[tuple[str, bytes]]:
        port = free_port()
        broker = MqttBroker("127.0.0.1", port)
        await broker.start()
        voice = MqttVoice("127.0.0.1", port)
        got: list[tuple[str, bytes]] = []

        def client() -> aiomqtt.Client:
            return aiomqtt.Client("127.0.0.1", port, identifier="erp", clean_session=False, timeout=60)

        async def hear(client: aiomqtt.Client, count: int) -> None:
            async with asyncio.timeout(60):
                async for heard in client.messages:
                    got.append((str(heard.topic), bytes(heard.payload)))
                    if len(got) == count:
                        return

        try:
            async with speaking(voice):
                async with client() as first:
                    await first.subscribe("dc1/#", 1)
                    await until(lambda: broker.subscriptions() == 1)
                    voice.say(PICK)
                    await hear(first, 1)
                voice.say(ORDER)
                await until(lambda: voice.waiting() == 0)
                async with client() as again:
                    await hear(again, 2)
        finally:
            await broker.stop()
        return got

    assert asyncio.run(run()) == [message(PICK)[:2], message(ORDER)[:2]]


def test_a_voice_goes_on_when_its_broker_comes_late(mosquitto: Peer) -> None:
    async def run() -> bytes:
        mosquitto.stop()
        voice = MqttVoice("127.0.0.1", mosquitto.port)
        async with speaking(voice):
            voice.say(PICK)
            await asyncio.sleep(0.1)
            assert voice.waiting() == 1
            await asyncio.to_thread(mosquitto.start)
            async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
                await client.subscribe("dc1/#", 1)
                voice.say(ORDER)
                async with asyncio.timeout(60):
                    async for heard in client.messages:
                        if str(heard.topic) == "dc1/wms/main/ctx":
                            return bytes(heard.payload)
        raise AssertionError("the connection ended")

    assert asyncio.run(run()) == message(ORDER).payload


def test_a_voice_that_is_told_to_end_in_the_moment_of_an_answer_ends(
    mosquitto: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = aiomqtt.Client._on_publish

    async def run() -> None:
        voice = MqttVoice("127.0.0.1", mosquitto.port)
        task = asyncio.create_task(voice.run())

        def told_to_end(*answer: Any, **more: Any) -> None:
            published(*answer, **more)
            task.cancel()

        monkeypatch.setattr(aiomqtt.Client, "_on_publish", told_to_end)
        voice.say(PICK)
        await asyncio.wait({task}, timeout=60)
        assert task.cancelled()
        assert voice.waiting() == 0

    asyncio.run(run())


# ---- Redis


def test_context_goes_to_the_stream_as_it_stands(redis_server: Peer) -> None:
    async def run() -> list[Any]:
        url = f"redis://127.0.0.1:{redis_server.port}"
        voice = RedisVoice(url)
        async with speaking(voice):
            voice.say(ORDER)
            await until(lambda: voice.waiting() == 0)
        client = redis.asyncio.Redis.from_url(url)
        entries = await client.xrange("wms.context")
        await client.aclose()
        return list(entries or ())

    [(_, entry)] = asyncio.run(run())
    assert json.loads(entry[b"record"]) == {name: value for name, value in ORDER.items() if name != "t_rx"}


# ---- Modbus


@contextlib.asynccontextmanager
async def floor() -> AsyncIterator[tuple[ModbusFloor, AsyncModbusTcpClient]]:
    port = free_port()
    machines = ModbusFloor("127.0.0.1", port, restarts=70_000)
    await machines.start()
    client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=60)
    try:
        assert await client.connect()
        yield machines, client
    finally:
        client.close()
        await machines.stop()


async def registers(client: AsyncModbusTcpClient, unit: int, address: int, count: int) -> list[int]:
    answer = await client.read_holding_registers(address, count=count, device_id=unit)
    assert not answer.isError()
    return list(answer.registers)


async def mailbox(client: AsyncModbusTcpClient) -> list[int]:
    return await registers(client, modbus.SORTER, modbus.MAILBOX, modbus.SEQ2 - modbus.MAILBOX + 1)


def text(words: list[int]) -> str:
    return struct.pack(f">{len(words)}H", *words).rstrip(b"\0").decode()


def test_the_mailbox_waits_for_its_acknowledgement() -> None:
    async def run() -> None:
        async with floor() as (machines, client), speaking(machines.sorter):
            assert set(await mailbox(client)) == {0}
            machines.sorter.say(INDUCTED)
            machines.sorter.say(DIVERTED)
            await asyncio.sleep(0.2)
            first = await mailbox(client)
            assert (first[0], first[-1], first[1:5], text(first[5:15])) == (1, 1, [1, 17, 0, 0], "CTN-1")
            await client.write_register(modbus.ACK, 9, device_id=modbus.SORTER)
            await asyncio.sleep(0.1)
            assert await mailbox(client) == first, "a wrong number acknowledges nothing"
            assert machines.sorter.waiting() == 2
            await client.write_register(modbus.ACK, 1, device_id=modbus.SORTER)
            await asyncio.sleep(0.1)
            second = await mailbox(client)
            assert (second[0], second[-1], second[1:5], text(second[5:15])) == (2, 2, [6, 17, 3, 4], "")
            await client.write_registers(modbus.ACK, [2], device_id=modbus.SORTER)
            await until(lambda: machines.sorter.waiting() == 0)

    asyncio.run(run())


def test_the_ring_overwrites_what_nobody_read() -> None:
    async def run() -> None:
        async with floor() as (machines, client), speaking(machines.crane):
            for number in range(modbus.RING_SIZE + 3):
                machines.crane.say(
                    {
                        "src": "dc1/asrs/CRN-01",
                        "kind": "store.confirmed",
                        "t": T + number * 1000,
                        "lu": f"PAL-{number}",
                        "loc": "R1-01-01",
                    }
                )
            await until(lambda: machines.crane.waiting() == 0)
            head, size, restarts = await registers(client, modbus.CRANE, modbus.HEAD, 3)
            assert (head, size, restarts) == (modbus.RING_SIZE + 3, modbus.RING_SIZE, 70_000 % 65_536)
            slots = [
                await registers(client, modbus.CRANE, modbus.SLOTS + n * modbus.SLOT_REGISTERS, modbus.SLOT_REGISTERS)
                for n in (2, 3)
            ]
            assert [text(slot[7:17]) for slot in slots] == [f"PAL-{modbus.RING_SIZE + 2}", "PAL-3"]
            assert (slots[0][0], text(slots[0][1:7])) == (1, "R1-01-01")
            assert struct.unpack(">Q", struct.pack(">4H", *slots[1][17:21])) == (T // 1000 + 3,)

    asyncio.run(run())


def test_the_scale_raises_its_bit_once_a_weighing() -> None:
    async def run() -> list[tuple[int, str]]:
        weighings = []
        async with floor() as (machines, client), speaking(machines.scale):
            for weight_g in (70_000, 900):
                machines.scale.say({"kind": "weigh", "lu": "CTN-1", "weight_g": weight_g})
            stable = 0
            while machines.scale.waiting():
                words = await registers(client, modbus.SCALE, 0, 13)
                if words[0] and not stable:
                    weighings.append(((words[1] << 16) + words[2], text(words[3:13])))
                stable = words[0]
                await asyncio.sleep(0.05)
        return weighings

    assert asyncio.run(run()) == [(70_000, "CTN-1"), (900, "CTN-1")]


# ---- OPC UA


def test_the_packing_line_shows_cartons_as_variables_and_labels_as_events() -> None:
    class Listener:
        def __init__(self) -> None:
            self.counters: list[int] = []
            self.labels: list[tuple[str, str, str]] = []

        def datachange_notification(self, _node: Any, value: int, _data: Any) -> None:
            self.counters.append(value)

        def event_notification(self, event: Any) -> None:
            self.labels.append((event.LoadUnit, event.Result, event.Sscc))

        def status_change_notification(self, _status: ua.StatusChangeNotification) -> None:
            return

    async def run() -> tuple[list[int], list[Any], list[tuple[str, str, str]]]:
        line = OpcuaLine("127.0.0.1", free_port(), restarts=7)
        await line.start()
        listener = Listener()
        try:
            async with Client(line.url) as client, speaking(line):
                space = await client.get_namespace_index(NAMESPACE)
                nodes = [
                    client.get_node(f"ns={space};s=PK01.{name}")
                    for name in ("Writing", "Counter", "Event", "LoadUnit", "Restarts")
                ]
                subscription = await client.create_subscription(50, listener)
                await subscription.subscribe_data_change(nodes[1])
                label_type = await client.nodes.base_event_type.get_child(f"{space}:LabelVerifiedEventType")
                await subscription.subscribe_events(evtypes=label_type)
                assert line.subscriptions() == 1
                line.say({"kind": "carton.close", "lu": "CTN-1"})
                line.say({"kind": "label.verified", "lu": "CTN-1", "result": "OK", "sscc": "340123450000000012"})
                await until(lambda: listener.labels and listener.counters[-1:] == [1])
                values = [await node.read_value() for node in nodes]
                return listener.counters, values, listener.labels
        finally:
            await line.stop()

    counters, values, labels = asyncio.run(run())
    assert counters == [0, 1]
    assert values == [1, 1, 2, "CTN-1", 7]
    assert labels == [("CTN-1", "OK", "340123450000000012")]


# ---- all together


def test_a_live_story_keeps_its_truth_and_tells_registers_once() -> None:
    live = Live(orders=40, seed=3, speed=2.0, troubles=Troubles(duplicates=0.3, disorder_ms=900))
    story, telling = live_story(live, restarts=1_800_000_000)
    assert list(expected_events(story, telling.dev_ids, times=False))
    machines = [one for one in telling.said if one.record["src"].split("/")[1] in ("sorter", "asrs", "pack")]
    assert len({id(one.record) for one in machines}) == len(machines)
    assert all(one.t_rx == one.record["t"] for one in machines)
    assert all(len(one.record.get("lu", "")) <= modbus.LU_CHARACTERS for one in machines)
    assert any(one.t_rx - one.record["t"] > 500_000 for one in telling.said)
    other, _ = live_story(live, restarts=1_800_000_001)
    assert story.shipments[0].id != other.shipments[0].id, "two runs never share a name"


def test_live_waits_for_a_listener_tells_and_breaks_off() -> None:
    async def run() -> tuple[int, int, list[str]]:
        ports = [free_port() for _ in range(3)]
        live = Live(
            orders=20,
            speed=20.0,
            seconds=2.0,
            mqtt=("127.0.0.1", ports[0]),
            own_broker=True,
            modbus_port=ports[1],
            opcua_port=ports[2],
            listener_wait_s=1.0,
            drain_s=0.1,
        )
        heard = 0
        lines: list[str] = []

        async def listen() -> None:
            nonlocal heard
            while True:
                with contextlib.suppress(aiomqtt.MqttError):
                    async with aiomqtt.Client("127.0.0.1", ports[0]) as client:
                        await client.subscribe("dc1/#", 1)
                        async for _ in client.messages:
                            heard += 1
                await asyncio.sleep(0.05)

        listener = asyncio.create_task(listen())
        told = await tell_live(live, lines.append)
        await ended(listener)
        return told, heard, lines

    told, heard, lines = asyncio.run(run())
    assert 0 < heard <= told
    assert lines[0] == "waiting for somebody to listen"
    assert lines[-1] == f"{told} records told"


def test_a_port_that_is_taken_is_refused_by_name() -> None:
    async def run(servers: Servers) -> None:
        async with servers:
            pass

    with contextlib.closing(asyncio.new_event_loop()) as loop:
        server = loop.run_until_complete(asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0))
        taken = server.sockets[0].getsockname()[1]
        for servers in (Servers(mqtt_port=taken), Servers(modbus_port=taken), Servers(opcua_port=taken)):
            with pytest.raises(OSError, match=str(taken)):
                loop.run_until_complete(run(servers))
        server.close()
