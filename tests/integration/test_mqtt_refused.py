"""Subscriptions that a broker does not grant, or not as they were asked for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from protocols.mqtt import driver
from tests.integration import test_mqtt_mosquitto as mosquitto
from tests.integration.test_mqtt_connection import JAMS, jam, made
from tests.ledger import Ledger, running
from tests.peers import Peer, free_port, program
from tests.raw_broker import raw_broker


def test_a_subscription_with_less_than_was_asked_for_is_told() -> None:
    async def story() -> None:
        ledger = Ledger()
        async with raw_broker() as broker:
            broker.grants = 0
            async with running(made(broker, ledger)):
                await ledger.until(lambda: ledger.times("up"))
            assert ledger.faults == [("dc1/+/jam: the broker grants QoS 0 only, and keeps nothing for us", b"")]
            broker.grants = 0x87
            refused = Ledger()
            async with running(made(broker, refused)):
                await refused.until(lambda: refused.times("down"))
            assert dict(refused.states)["down"] == "the broker refuses the subscription to dc1/+/jam: not authorized"
            assert [record["kind"] for record in refused.records] == ["link.down"]
            broker.grants = None
            ignored = Ledger()
            async with running(made(broker, ignored, connect_ms=1_000)):
                await ignored.until(lambda: ignored.times("down"))
            assert dict(ignored.states)["down"] == "no answer to the subscription within 1000 ms"

    asyncio.run(story())


def test_one_topic_that_is_refused_is_asked_for_again_and_keeps_the_others_from_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(driver, "SUBSCRIBE_AGAIN_S", 0.2)
    scale = {**JAMS["record"], "src": {"template": "dc1/scales/{device}"}}
    weights = {**JAMS, "filter": "dc1/+device/w", "record": scale}

    async def story() -> None:
        ledger = Ledger()
        async with raw_broker() as broker:
            broker.grants = [1, 0x87]
            async with running(made(broker, ledger, True, JAMS, weights)):
                await broker.send(jam(1).wire(True))
                await ledger.until(lambda: ledger.facts and ledger.times("up"))
                assert ledger.states[-1] == ("up", "the broker refuses dc1/+/w (not authorized)")
                ups = [record["scope"] for record in ledger.records if record["kind"] == "link.up"]
                assert ups == ["dc1/conveyor/"], "nothing is seen of the others"
                assert ledger.faults[0] == ("dc1/+/w: the broker refuses the subscription: not authorized", b"")
                broker.grants = 1
                await ledger.until(lambda: ledger.states[-1] == ("up", ""))
                ups = [record["scope"] for record in ledger.records if record["kind"] == "link.up"]
                assert ups[-1] == "dc1/scales/"
        assert len(broker.connects) == 1

    asyncio.run(story())


def test_what_we_may_not_publish_is_told_with_the_brokers_reason(tmp_path: Path) -> None:
    """The floor would never hear that we are there: a Sparkplug node keeps what it has until its host is."""
    port = free_port()
    (tmp_path / "access").write_text("topic read #\n")
    (tmp_path / "m.conf").write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\nacl_file {tmp_path}/access\n"
    )
    peer = Peer([program("mosquitto"), "-c", str(tmp_path / "m.conf")], port, tmp_path).start()

    async def story() -> None:
        ledger = Ledger()
        async with running(mosquitto.made(port, ledger, topics=[JAMS], will={"topic": "dc1/engine/state"})):
            await ledger.until(lambda: ledger.times("up"))
            await ledger.until(lambda: ledger.faults)
        told = "dc1/engine/state: the broker refuses what we publish: not authorized"
        assert ledger.faults == [(told, b"")]
        assert ledger.times("up") == 1

    try:
        asyncio.run(story())
    finally:
        peer.stop()
