"""The MQTT driver behind mosquitto as it comes and as `deploy/` has it: sessions, limits, groups, wills, Sparkplug."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import aiomqtt
import msgspec
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from engine.clock import now_us
from ext.sparkplug import decode
from protocols.mqtt.driver import Driver
from protocols.mqtt.onlooker import payloads
from protocols.mqtt.settings import Settings
from tests import sparkplug as wire
from tests.fault_proxy import FaultProxy
from tests.ledger import Ledger, running
from tests.packets import Publish
from tests.peers import Peer, free_port, program

ROOT = Path(__file__).parents[2]
JAMS: dict[str, Any] = {
    "filter": "dc1/+device/jam",
    "record": {"src": {"template": "dc1/cv/{device}"}, "kind": {"const": "jam"}, "state": "s", "seq": "n"},
}
VERSIONS = pytest.mark.parametrize("version", ["5", "3.1.1"])


def made(port: int, ledger: Ledger, name: str = "floor", **more: Any) -> Driver:
    table = {"host": "127.0.0.1", "port": port, "topics": [JAMS], "reconnect_max_ms": 200, **more}
    return Driver(name, msgspec.convert(table, Settings), ledger, now_us)


async def publish(port: int, count: int, first: int = 0, user: str | None = None) -> None:
    """So many messages under QoS 1, as fast as the broker takes them, and its acknowledgement of the last."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    login = b"\0\x07machine\0\x06secret" if user else b""
    flags = b"\xc2" if user else b"\x02"
    writer.write(bytes([0x10, 14 + len(login) + 2]) + b"\0\x04MQTT\x04" + flags + b"\0\x3c\0\x04feed" + login)
    assert (await reader.readexactly(4))[3] == 0
    for number in range(first, first + count):
        payload = b'{"s":"set","n":%d}' % number
        writer.write(Publish(b"dc1/CV-01/jam", payload, 1, number % 60_000 + 1).wire(False))
        if number % 500 == 499:
            await writer.drain()
    for _ in range(count):
        await reader.readexactly(4)
    writer.close()


@pytest.fixture
def hardened(tmp_path: Path) -> Iterator[Peer]:
    """mosquitto with deploy/mosquitto.conf, only its paths and its port put elsewhere."""
    passwords, acl = tmp_path / "passwd", tmp_path / "acl"
    for number, user in enumerate(("sortline", "machine")):
        make = ["-b", *(["-c"] if number == 0 else []), str(passwords), user, "secret"]
        subprocess.run([program("mosquitto_passwd"), *make], check=True)
    acl.write_text("user sortline\ntopic read dc1/#\n\nuser machine\ntopic write dc1/#\n")
    for path in (passwords, acl):
        path.chmod(0o644)
    port = free_port()
    text = (ROOT / "deploy" / "mosquitto.conf").read_text()
    text = text.replace("/etc/mosquitto/passwd", str(passwords)).replace("/etc/mosquitto/acl", str(acl))
    text = text.replace("/var/lib/mosquitto/", f"{tmp_path}/").replace("listener 1883", f"listener {port}")
    config = tmp_path / "hardened.conf"
    config.write_text(f"{text}\nuser root\n")
    peer = Peer([program("mosquitto"), "-c", str(config)], port, tmp_path).start()
    yield peer
    peer.stop()


@VERSIONS
def test_the_hardened_profile_keeps_everything_for_us_over_restarts(
    hardened: Peer, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("TEST_MQTT_PASSWORD", "secret")
    login: dict[str, Any] = {"user": "sortline", "password": {"env": "TEST_MQTT_PASSWORD"}, "version": version}

    async def story() -> None:
        ledger = Ledger()
        async with running(made(hardened.port, ledger, **login)):
            await ledger.until(lambda: ledger.times("up"))
            await publish(hardened.port, 100, user="machine")
            await ledger.until(lambda: len(ledger.facts) == 100)
        await publish(hardened.port, 3_000, first=100, user="machine")
        hardened.stop()
        hardened.start()
        second = Ledger()
        async with running(made(hardened.port, second, **login)):
            await second.until(lambda: {fact["seq"] for fact in second.facts} >= set(range(100, 3_100)))
            # What it had restored mosquitto sends once more, and that of which our acknowledgement had not arrived when
            # we went; to the rules these are duplicates by their number.
            assert {fact["seq"] for fact in second.facts} <= set(range(3_100))
            assert second.faults == []

    asyncio.run(story())


@pytest.mark.parametrize(
    ("setting", "says"), [("retain_available false", "will.retained = false"), ("max_qos 0", "will.qos = 0")]
)
def test_a_broker_that_cannot_keep_our_will_is_told_of_with_the_setting_that_helps(
    tmp_path: Path, setting: str, says: str
) -> None:
    port = free_port()
    config = tmp_path / "less.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n{setting}\n")
    broker = Peer([program("mosquitto"), "-c", str(config)], port, tmp_path).start()

    async def story() -> None:
        ledger = Ledger()
        async with running(made(port, ledger, will={"topic": "dc1/engine"})):
            await ledger.until(lambda: any(says in detail for _, detail in ledger.states))
        assert not ledger.times("up")
        mended = Ledger()
        will = {"topic": "dc1/engine", "qos": 0, "retained": False}
        async with running(made(port, mended, will=will)):
            await mended.until(lambda: mended.times("up"))

    try:
        asyncio.run(story())
    finally:
        broker.stop()


def test_what_mosquitto_holds_by_default_is_not_lost_while_the_disk_is_slow(mosquitto: Peer) -> None:
    """1 000 messages queue; the rest of a burst has to be on its way to us, which is what `inflight_max` is for."""

    async def story() -> None:
        ledger = Ledger(durable=False)
        async with running(made(mosquitto.port, ledger)):
            await ledger.until(lambda: ledger.times("up"))
            await publish(mosquitto.port, 5_000)
            await ledger.until(lambda: len(ledger.facts) == 4_096)
            ledger.durable = True
            ledger.acknowledge()
            await ledger.until(lambda: len(ledger.facts) == 5_000)
        assert [fact["seq"] for fact in ledger.facts] == list(range(5_000))

    asyncio.run(story())


def test_what_another_client_left_in_our_session_under_qos_2_is_taken(mosquitto: Peer) -> None:
    """A gateway that was replaced had our name: its subscription and what came meanwhile are the session's."""
    kept = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    kept.SessionExpiryInterval = 3_600
    before: dict[str, Any] = {"protocol": aiomqtt.ProtocolVersion.V5, "clean_start": False, "properties": kept}

    async def tell(numbers: range) -> None:
        async with aiomqtt.Client("127.0.0.1", mosquitto.port, identifier="feed") as client:
            for number in numbers:
                await client.publish("dc1/CV-01/jam", json.dumps({"s": "set", "n": number}), qos=2)

    async def story() -> None:
        async with aiomqtt.Client("127.0.0.1", mosquitto.port, identifier="sortline-floor", **before) as client:
            await client.subscribe("dc1/+/jam", qos=2)
        await tell(range(100))
        ledger = Ledger()
        async with running(made(mosquitto.port, ledger)):
            await ledger.until(lambda: len(ledger.facts) == 100)
            await tell(range(100, 200))
            await ledger.until(lambda: len(ledger.facts) == 200)
        again = Ledger()
        async with running(made(mosquitto.port, again)):
            await again.until(lambda: again.times("up"))
            await tell(range(200, 201))
            await again.until(lambda: again.facts)
        assert [fact["seq"] for fact in ledger.facts + again.facts] == list(range(201))
        assert ledger.times("down") == 0

    asyncio.run(story())


@VERSIONS
def test_a_group_of_engines_divides_the_messages(mosquitto: Peer, version: str) -> None:
    async def story() -> None:
        one, other = Ledger(), Ledger()
        group: dict[str, Any] = {"share": "engines", "version": version}
        async with (
            running(made(mosquitto.port, one, "one", **group)),
            running(made(mosquitto.port, other, "other", **group)),
        ):
            await one.until(lambda: one.times("up") and other.times("up"))
            await publish(mosquitto.port, 200)
            await one.until(lambda: len(one.facts) + len(other.facts) == 200)
            assert one.facts
            assert other.facts
            assert sorted(fact["seq"] for fact in one.facts + other.facts) == list(range(200))

    asyncio.run(story())


@VERSIONS
def test_a_flood_of_retained_messages_is_passed_over(mosquitto: Peer, version: str) -> None:
    async def story() -> None:
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
            for number in range(2_000):
                await client.publish(f"dc1/CV-{number}/jam", b'{"s":"set"}', qos=0, retain=True)
            await client.publish("dc1/CV-0/jam", b'{"s":"set"}', qos=1, retain=True)
        ledger = Ledger()
        async with running(made(mosquitto.port, ledger, version=version)):
            await ledger.until(lambda: ledger.times("up"))
            await publish(mosquitto.port, 1)
            await ledger.until(lambda: ledger.facts)
            await asyncio.sleep(0.1)
        assert len(ledger.facts) == 1
        assert ledger.faults == []

    asyncio.run(story())


@pytest.mark.parametrize("moment", ["_on_connect", "_on_subscribe"])
def test_who_looks_and_is_told_to_end_in_the_moment_of_an_answer_ends(
    mosquitto: Peer, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiomqtt waits for it in asyncio.wait_for: see engine.cancellation."""
    answered = getattr(aiomqtt.Client, moment)

    async def look() -> None:
        table = {"host": "127.0.0.1", "port": mosquitto.port, "topics": [JAMS]}
        async for _ in payloads(msgspec.convert(table, Settings)):
            pass

    async def story() -> None:
        looking = asyncio.create_task(look())

        def told_to_end(*answer: Any, **more: Any) -> None:
            answered(*answer, **more)
            looking.cancel()

        monkeypatch.setattr(aiomqtt.Client, moment, told_to_end)
        await asyncio.wait({looking}, timeout=60)
        assert looking.cancelled()

    asyncio.run(story())


@asynccontextmanager
async def listening(port: int, topic: str) -> AsyncIterator[list[tuple[str, bytes, bool]]]:
    """What is said under a filter: (topic, payload, was it retained)."""
    heard: list[tuple[str, bytes, bool]] = []
    async with aiomqtt.Client("127.0.0.1", port) as client:
        await client.subscribe(topic, qos=1)

        async def listen() -> None:
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                heard.append((str(message.topic), message.payload, bool(message.retain)))

        task = asyncio.ensure_future(listen())
        yield heard
        task.cancel()
        await asyncio.wait([task])


@VERSIONS
def test_a_topic_that_an_access_list_refuses_keeps_the_others_from_nothing(tmp_path: Path, version: str) -> None:
    plugin = next(Path("/usr/lib").glob("**/mosquitto_dynamic_security.so"), None)
    if plugin is None:
        pytest.skip("mosquitto's dynamic security plugin is not installed")
    anybody = dict.fromkeys(("publishClientSend", "publishClientReceive", "subscribe", "unsubscribe"), True)
    secret = {"acltype": "subscribePattern", "topic": "dc1/+/secret", "priority": 1, "allow": False}
    access = {
        "defaultACLAccess": anybody,
        "anonymousGroup": "all",
        "groups": [{"groupname": "all", "roles": [{"rolename": "all"}]}],
        "roles": [{"rolename": "all", "acls": [secret]}],
        "clients": [],
    }
    (tmp_path / "access.json").write_text(json.dumps(access))
    port = free_port()
    config = f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n"
    (tmp_path / "m.conf").write_text(f"{config}plugin {plugin}\nplugin_opt_config_file {tmp_path}/access.json\n")
    peer = Peer([program("mosquitto"), "-c", str(tmp_path / "m.conf")], port, tmp_path).start()

    async def story() -> None:
        ledger = Ledger()
        async with running(
            made(port, ledger, version=version, topics=[JAMS, {**JAMS, "filter": "dc1/+device/secret"}])
        ):
            await ledger.until(lambda: ledger.times("up"))
            await publish(port, 10)
            await ledger.until(lambda: len(ledger.facts) == 10)
        told = "not authorized" if version == "5" else "unspecified error"
        assert ledger.states[-1][1] == f"the broker refuses dc1/+/secret ({told})"
        assert [cause for cause, _ in ledger.faults] == [f"dc1/+/secret: the broker refuses the subscription: {told}"]

    try:
        asyncio.run(story())
    finally:
        peer.stop()


@VERSIONS
def test_the_floor_is_told_whether_we_are_there(mosquitto: Peer, version: str) -> None:
    will = {"topic": "dc1/engine/state"}

    async def story() -> None:
        ledger = Ledger()
        async with listening(mosquitto.port, "dc1/engine/#") as heard, FaultProxy(mosquitto.port) as proxy:
            async with running(made(proxy.port, ledger, version=version, will=will)):
                await ledger.until(lambda: [payload for _, payload, _ in heard] == [b"online"])
                proxy.cut()
                await ledger.until(lambda: [payload for _, payload, _ in heard][1:] == [b"offline", b"online"])
            await ledger.until(lambda: heard[-1][1] == b"offline", "a goodbye")
        async with listening(mosquitto.port, "dc1/engine/#") as heard:
            await ledger.until(lambda: heard == [("dc1/engine/state", b"offline", True)])

    asyncio.run(story())


SPARKPLUG: dict[str, Any] = {
    "groups": ["Plant1"],
    "host_id": "sortline",
    "records": [
        {
            "filter": "Plant1/+line/+device",
            "trigger": "Pick/Count",
            "record": {
                "src": {"template": "dc1/{line}/{device}"},
                "kind": {"const": "pick.confirm"},
                "seq": "Pick/Count",
                "task": "Pick/Task",
                "sku": {"const": "S"},
                "qty": "Pick/Qty",
            },
        }
    ],
}


@VERSIONS
def test_a_node_of_sparkplug_2_2_hears_whether_we_are_there(mosquitto: Peer, version: str) -> None:
    async def story() -> None:
        ledger = Ledger()
        more: dict[str, Any] = {"topics": [], "sparkplug": SPARKPLUG | {"host_version": "2.2"}, "version": version}
        async with listening(mosquitto.port, "#") as heard, FaultProxy(mosquitto.port) as proxy:

            def told() -> list[tuple[str, bytes]]:
                return [
                    each for each, _ in groupby((topic, payload) for topic, payload, _ in heard if "STATE" in topic)
                ]

            there, away = ("STATE/sortline", b"ONLINE"), ("STATE/sortline", b"OFFLINE")
            async with running(made(proxy.port, ledger, **more)):
                await ledger.until(lambda: told() == [there])
                ups = ledger.times("up")
                proxy.cut()
                await ledger.until(lambda: ledger.times("up") > ups)
            await ledger.until(lambda: told() == [there, away, there, away])
        assert ledger.faults == []

    asyncio.run(story())


@VERSIONS
def test_a_sparkplug_node_is_asked_for_its_birth_and_then_read(mosquitto: Peer, version: str) -> None:
    births = [
        ("NBIRTH/L1", wire.payload(wire.metric("bdSeq", 1, wire.UINT64), seq=0)),
        (
            "DBIRTH/L1/PTL",
            wire.payload(
                wire.metric("Pick/Count", 8, wire.UINT32, alias=1),
                wire.metric("Pick/Task", "T-8", wire.STRING, alias=2),
                wire.metric("Pick/Qty", 2, wire.INT32, alias=3),
                seq=1,
            ),
        ),
    ]

    def pick(count: int, seq: int) -> bytes:
        task = wire.metric(None, f"T-{count}", alias=2, kind=wire.STRING)
        return wire.payload(wire.metric(None, count, alias=1, kind=wire.UINT32), task, seq=seq)

    async def story() -> None:
        ledger = Ledger()
        more: dict[str, Any] = {"topics": [], "sparkplug": SPARKPLUG, "version": version}
        async with listening(mosquitto.port, "spBv1.0/#") as heard, FaultProxy(mosquitto.port) as proxy:

            def states() -> list[dict[str, Any]]:
                return [json.loads(payload) for topic, payload, _ in heard if topic == "spBv1.0/STATE/sortline"]

            async with running(made(proxy.port, ledger, **more)), aiomqtt.Client("127.0.0.1", mosquitto.port) as node:
                await ledger.until(lambda: ledger.times("up"))
                await node.publish("spBv1.0/Plant1/DDATA/L1/PTL", pick(8, seq=40), qos=0)
                await ledger.until(lambda: [each for each in heard if each[0] == "spBv1.0/Plant1/NCMD/L1"])
                (command,) = [payload for topic, payload, _ in heard if topic.endswith("NCMD/L1")][:1]
                assert decode(command)[2][0][0] == "Node Control/Rebirth"
                for topic, payload in births:
                    await node.publish(f"spBv1.0/Plant1/{topic}", payload, qos=0)
                await node.publish("spBv1.0/Plant1/DDATA/L1/PTL", pick(9, seq=2), qos=0)

                def picks() -> list[tuple[Any, ...]]:
                    facts = [fact for fact in ledger.facts if fact["kind"] == "pick.confirm"]
                    return [(fact["src"], fact["seq"], fact["task"], fact["qty"]) for fact in facts]

                await ledger.until(lambda: len(picks()) >= 2)
                assert picks() == [("dc1/L1/PTL", 8, "T-8", 2), ("dc1/L1/PTL", 9, "T-9", 2)]
                assert [state["online"] for state in states()] == [True]
                ups = ledger.times("up")
                proxy.cut()
                await ledger.until(lambda: ledger.times("up") > ups)

            def told() -> list[bool]:
                # a connection that ends before the goodbye is through lets the broker say it once more, for us
                return [online for online, _ in groupby(state["online"] for state in states())]

            await ledger.until(lambda: told() == [True, False, True, False], "offline")
            birth, will, *later = states()
            again = next(state for state in later if state["online"])
            assert will["timestamp"] == birth["timestamp"] < again["timestamp"]
        assert ledger.faults == []

    asyncio.run(story())
