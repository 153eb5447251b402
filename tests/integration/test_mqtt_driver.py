"""The MQTT driver against a real broker: nothing that was not acknowledged is lost, nothing stops it."""

from __future__ import annotations

import asyncio
import subprocess
from typing import Any

import aiomqtt
import msgspec
import pytest
import uvloop

from engine.clock import now_us
from protocols.mqtt.driver import Driver
from protocols.mqtt.settings import Settings
from tests.fault_proxy import FaultProxy
from tests.ledger import Ledger, running
from tests.peers import Peer, program, start_mosquitto

PICKS = {
    "filter": "dc1/pick/+device/evt",
    "record": {
        "src": {"template": "dc1/pick/{device}"},
        "kind": {"path": "ty", "table": {"C": "pick.confirm", "S": "pick.short"}},
        "seq": {"path": "n", "wrap": 256},
        "t": {"path": "ts", "time": "epoch_ms"},
        "task": "job",
        "sku": "sku",
        "qty": "q",
        "code": "why",
    },
}
ORDERS = {"filter": "dc1/wms/main/ctx", "format": "canonical", "constants": {"src": "dc1/wms/main"}}
VERSIONS = pytest.mark.parametrize("version", ["5", "3.1.1"])


def made(port: int, ledger: Ledger, **more: Any) -> Driver:
    table = {"host": "127.0.0.1", "port": port, "topics": [PICKS, ORDERS], "reconnect_max_ms": 200, **more}
    return Driver("floor", msgspec.convert(table, Settings), ledger, now_us)


def press(number: int) -> bytes:
    return msgspec.json.encode({"ty": "C", "n": number, "ts": 1_700_000_000_000, "job": "T-1", "sku": "A", "q": 1})


async def publish(port: int, *payloads: bytes, topic: str = "dc1/pick/PTL-01/evt", qos: int = 1) -> None:
    async with aiomqtt.Client("127.0.0.1", port) as client:
        for payload in payloads:
            await client.publish(topic, payload, qos=qos)


@VERSIONS
@pytest.mark.parametrize("qos", [0, 1])
def test_a_published_payload_is_the_canonical_record(mosquitto: Peer, version: str, qos: int) -> None:
    async def story() -> None:
        ledger = Ledger()
        before = now_us()
        async with running(made(mosquitto.port, ledger, version=version)):
            await ledger.until(lambda: ledger.times("up"))
            await publish(mosquitto.port, press(255), press(0), qos=qos)
            await ledger.until(lambda: len(ledger.facts) == 2)
        for fact in ledger.facts:
            assert before <= fact.pop("t_rx") <= now_us()
        base = {
            "src": "dc1/pick/PTL-01",
            "kind": "pick.confirm",
            "t": 1_700_000_000_000_000,
            "task": "T-1",
            "sku": "A",
            "qty": 1,
        }
        found = [{name: value for name, value in fact.items() if name != "t_rx"} for fact in ledger.facts]
        assert found == [{**base, "seq": 255}, {**base, "seq": 256}]
        assert ledger.faults == []

    uvloop.run(story())


@VERSIONS
def test_a_message_is_acknowledged_only_after_the_engine_has_it(mosquitto: Peer, version: str) -> None:
    async def story() -> None:
        ledger = Ledger(durable=False)
        async with FaultProxy(mosquitto.port) as proxy, running(made(proxy.port, ledger, version=version)):
            await ledger.until(lambda: ledger.times("up") == 1)
            await publish(mosquitto.port, press(1), press(2))
            await ledger.until(lambda: len(ledger.facts) == 2)
            stale = list(ledger.owed)
            proxy.cut()
            await ledger.until(lambda: len(ledger.facts) == 4, "the second coming")
            assert [fact["seq"] for fact in ledger.facts] == [1, 2, 1, 2]
            # the numbers of a lost connection mean nothing to this one
            for ack in stale:
                ack()
            # what the broker holds comes before its answer to our subscription
            await ledger.until(lambda: ledger.times("up") == 2)
            proxy.cut()
            await ledger.until(lambda: len(ledger.facts) == 6, "the third coming")
            await ledger.until(lambda: ledger.times("up") == 3)
            ledger.acknowledge()
            await publish(mosquitto.port, press(3))
            await ledger.until(lambda: len(ledger.facts) == 7)
            sent_bytes = proxy.sent_bytes
            ledger.acknowledge()
            await ledger.until(lambda: proxy.sent_bytes > sent_bytes)
            await asyncio.sleep(0.5)  # a reset would take from the broker what it has not read yet
            proxy.cut()
            await ledger.until(lambda: ledger.times("up") == 4)
            await publish(mosquitto.port, press(4))
            await ledger.until(lambda: len(ledger.facts) == 8)
            assert [fact["seq"] for fact in ledger.facts[6:]] == [3, 4]

    asyncio.run(story())


@VERSIONS
def test_what_is_published_while_we_are_away_comes_later(mosquitto: Peer, version: str) -> None:
    async def story() -> None:
        first, second = Ledger(), Ledger()
        async with running(made(mosquitto.port, first, version=version)):
            await first.until(lambda: first.times("up"))
            await publish(mosquitto.port, press(254))
            await first.until(lambda: first.facts)
        await publish(mosquitto.port, *(press(number % 256) for number in range(255, 275)))
        second.positions["dc1/pick/PTL-01"] = (0, 254)
        async with running(made(mosquitto.port, second, version=version)):
            await second.until(lambda: len(second.facts) == 20)
        assert [fact["seq"] for fact in second.facts] == list(range(255, 275))

    asyncio.run(story())


@VERSIONS
def test_a_broker_that_restarts_is_an_outage_and_nothing_more(mosquitto: Peer, version: str) -> None:
    async def story() -> None:
        ledger = Ledger()
        async with running(made(mosquitto.port, ledger, version=version)):
            await ledger.until(lambda: ledger.times("up") == 1)
            mosquitto.kill()
            await ledger.until(lambda: ledger.times("down") >= 1)
            mosquitto.start()
            await ledger.until(lambda: ledger.times("up") == 2)
            await publish(mosquitto.port, press(1))
            await ledger.until(lambda: ledger.facts)
        links = [(record["kind"], record["scope"]) for record in ledger.records if "scope" in record]
        once = [(kind, scope) for kind in ("link.down", "link.up") for scope in ("dc1/pick/", "dc1/wms/main")]
        assert links == once * 2

    asyncio.run(story())


@VERSIONS
def test_a_payload_that_does_not_fit_is_told_and_leaves_the_broker(mosquitto: Peer, version: str) -> None:
    bad = {
        b"{": "payload: not JSON",
        b'"\xff"': "payload: not UTF-8",
        b"[" * 5000: "payload: JSON is too deep",
        b'{"ty":"X"}': "kind: not in its table",
        b'{"ty":"C","q":"many"}': "qty: not a number",
        b'{"ty":"C","q":1.5}': "qty: not a whole number",
        b'{"ty":"S"}': "code, task: missing in pick.short",
        b"x" * 10_000_000: "payload: longer than 262144 bytes",
        b'"%s"' % (b"y" * 262_143): "payload: longer than 262144 bytes",
    }

    async def story() -> None:
        ledger = Ledger()
        async with FaultProxy(mosquitto.port) as proxy, running(made(proxy.port, ledger, version=version)):
            await ledger.until(lambda: ledger.times("up") == 1)
            await publish(mosquitto.port, *bad, press(7))
            await ledger.until(lambda: ledger.facts)
            assert [cause for cause, _ in ledger.faults] == [f"dc1/pick/+/evt: {cause}" for cause in bad.values()]
            kept = [sample for _, sample in ledger.faults]
            assert all(payload.startswith(sample) for payload, sample in zip(bad, kept, strict=True))
            assert [len(sample) for sample in kept if len(sample) < 20_000] == [1, 3, 5_000, 10, 21, 18, 10]
            assert all(len(sample) >= 4_096 for sample in kept[7:])
            await asyncio.sleep(0.5)
            proxy.cut()
            await ledger.until(lambda: ledger.times("up") == 2)
            await publish(mosquitto.port, press(8))
            await ledger.until(lambda: len(ledger.facts) == 2)
            assert len(ledger.faults) == len(bad), "poison came back"

    asyncio.run(story())


def test_a_full_engine_stops_the_reading_and_loses_nothing(mosquitto: Peer) -> None:
    async def story() -> None:
        ledger = Ledger()
        async with running(made(mosquitto.port, ledger, queue_messages=50, batch_messages=10, inflight_max=20)):
            await ledger.until(lambda: ledger.times("up"))
            ledger.open.clear()
            await publish(mosquitto.port, *(press(number % 256) for number in range(300)))
            await publish(mosquitto.port, *(press(number % 256) for number in range(300, 900)), qos=0)
            ledger.open.set()
            await ledger.until(lambda: len(ledger.facts) == 900)
            assert max(len(delivery.lines) for delivery in ledger.deliveries) <= 10

    uvloop.run(story())


@VERSIONS
def test_what_the_broker_kept_is_no_event_unless_the_site_says_so(mosquitto: Peer, version: str) -> None:
    order = {"kind": "order.released", "order": "O-1", "rev": 1, "lines": [{"line": 1, "sku": "A", "qty": 2}]}

    async def story() -> None:
        async with aiomqtt.Client("127.0.0.1", mosquitto.port) as client:
            await client.publish("dc1/pick/PTL-01/evt", press(9), qos=1, retain=True)
            await client.publish("dc1/wms/main/ctx", msgspec.json.encode(order), qos=1, retain=True)
        ledger = Ledger()
        topics = [PICKS, {**ORDERS, "retained": "accept"}]
        async with running(made(mosquitto.port, ledger, version=version, topics=topics)):
            await ledger.until(lambda: ledger.facts)
            await publish(mosquitto.port, press(10))
            await ledger.until(lambda: len(ledger.facts) == 2)
        assert [fact["kind"] for fact in ledger.facts] == ["order.released", "pick.confirm"]
        assert ledger.facts[0]["lines"] == order["lines"]
        assert ledger.facts[0]["src"] == "dc1/wms/main"

    asyncio.run(story())


def test_a_stranger_publishes_json_written_by_hand(mosquitto: Peer) -> None:
    tool = program("mosquitto_pub")
    payload = '{ "ty": "S", "n": 3, "job": "T-9", "why": "EMPTY" }'

    async def story() -> None:
        ledger = Ledger()
        async with running(made(mosquitto.port, ledger)):
            await ledger.until(lambda: ledger.times("up"))
            argv = [tool, "-p", str(mosquitto.port), "-q", "1", "-t", "dc1/pick/PTL-02/evt", "-m", payload]
            await asyncio.to_thread(subprocess.run, argv, check=True, timeout=60)
            await ledger.until(lambda: ledger.facts)
        fact = ledger.facts[0]
        fact.pop("t_rx")
        assert fact == {"src": "dc1/pick/PTL-02", "kind": "pick.short", "seq": 3, "task": "T-9", "code": "EMPTY"}

    asyncio.run(story())


@VERSIONS
def test_a_wrong_password_is_told_and_tried_again(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    passwords = tmp_path / "passwords"
    subprocess.run([program("mosquitto_passwd"), "-b", "-c", str(passwords), "sortline", "right"], check=True)
    broker = start_mosquitto(tmp_path, f"allow_anonymous false\npassword_file {passwords}")
    monkeypatch.setenv("TEST_MQTT_PASSWORD", "wrong-one")

    async def story() -> None:
        ledger = Ledger()
        driver = made(broker.port, ledger, version=version, user="sortline", password={"env": "TEST_MQTT_PASSWORD"})
        async with running(driver):
            await ledger.until(lambda: ledger.times("down") >= 2)
            detail = dict(ledger.states)["down"]
            assert "authori" in detail.lower() or "password" in detail.lower()
            assert "wrong-one" not in repr(ledger.states)
            monkeypatch.setenv("TEST_MQTT_PASSWORD", "right")
            await ledger.until(lambda: ledger.times("up"))

    try:
        asyncio.run(story())
    finally:
        broker.stop()


def test_a_broker_that_freezes_is_noticed(mosquitto: Peer) -> None:
    async def story() -> None:
        ledger = Ledger()
        async with running(made(mosquitto.port, ledger, keepalive_s=1, connect_ms=500)):
            await ledger.until(lambda: ledger.times("up") == 1)
            mosquitto.pause()
            await ledger.until(lambda: ledger.times("down") >= 2)
            mosquitto.resume()
            await ledger.until(lambda: ledger.times("up") >= 2)

    asyncio.run(story())
