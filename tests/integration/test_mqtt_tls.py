"""MQTT over TLS: the broker's name is verified, our certificate is shown, and a bad one is a clear outage."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import msgspec
import pytest
import uvloop

from engine.clock import now_us
from protocols.mqtt.driver import Driver
from protocols.mqtt.settings import Settings
from tests.certificates import Authority
from tests.ledger import Ledger, running
from tests.peers import Peer, start_mosquitto

Broker = Callable[[str], Peer]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def broker(tmp_path: Path, authority: Authority) -> Iterator[Broker]:
    """Starts a broker whose certificate is for the given host, and that asks for ours."""
    started: list[Peer] = []

    def start(host: str) -> Peer:
        certificate, key = authority.issue("broker", host)
        tls = f"cafile {authority.ca}\ncertfile {certificate}\nkeyfile {key}\nrequire_certificate true"
        started.append(start_mosquitto(tmp_path, tls))
        return started[-1]

    yield start
    for peer in started:
        peer.stop()


def made(port: int, ledger: Ledger, tls: dict[str, Any]) -> Driver:
    topic = {"filter": "dc1/wms/main/ctx", "format": "canonical", "constants": {"src": "dc1/wms/main"}}
    table = {"host": "127.0.0.1", "port": port, "topics": [topic], "tls": tls, "reconnect_max_ms": 200}
    return Driver("floor", msgspec.convert(table, Settings), ledger, now_us)


def shown(authority: Authority) -> dict[str, Any]:
    certificate, key = authority.issue("sortline")
    return {"ca": str(authority.ca), "certificate": str(certificate), "private_key": str(key)}


@pytest.mark.parametrize("loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_messages_come_over_a_verified_connection(broker: Broker, authority: Authority, loop: Any) -> None:
    peer = broker("127.0.0.1")
    tls = shown(authority)

    async def story() -> None:
        ledger = Ledger()
        async with running(made(peer.port, ledger, tls)):
            await ledger.until(lambda: ledger.times("up"))
            context = ssl.create_default_context(cafile=tls["ca"])
            context.load_cert_chain(tls["certificate"], tls["private_key"])
            async with aiomqtt.Client("127.0.0.1", peer.port, tls_context=context) as client:
                for rev in range(1, 201):
                    order = {"kind": "order.cancelled", "order": "O-1", "rev": rev, "note": "x" * 1000}
                    await client.publish("dc1/wms/main/ctx", msgspec.json.encode(order), qos=1)
            await ledger.until(lambda: len(ledger.facts) == 200)
        assert [fact["rev"] for fact in ledger.facts] == list(range(1, 201))

    loop(story())


@pytest.mark.parametrize(
    ("host", "wrong", "told"),
    [
        ("broker.example", {}, "certificate"),
        ("127.0.0.1", {"ca": "other"}, "certificate"),
        ("127.0.0.1", {"certificate": None, "private_key": None}, ""),
    ],
    ids=["another name", "another authority", "no certificate of ours"],
)
def test_a_connection_that_cannot_be_trusted_never_comes_up(
    tmp_path: Path, broker: Broker, authority: Authority, host: str, wrong: dict[str, Any], told: str
) -> None:
    peer = broker(host)
    if "ca" in wrong:
        wrong = {"ca": str(Authority(tmp_path, "stranger").ca)}
    tls = {name: value for name, value in {**shown(authority), **wrong}.items() if value is not None}

    async def story() -> None:
        ledger = Ledger()
        async with running(made(peer.port, ledger, tls)):
            await ledger.until(lambda: ledger.times("down") >= 2)
        assert told in dict(ledger.states)["down"]
        assert not ledger.times("up")

    asyncio.run(story())


def test_a_certificate_file_that_cannot_be_read_is_told(tmp_path: Path, broker: Broker, authority: Authority) -> None:
    peer = broker("127.0.0.1")
    broken = tmp_path / "broken.pem"
    broken.write_text("not a certificate")

    async def story() -> None:
        ledger = Ledger()
        async with running(made(peer.port, ledger, {**shown(authority), "ca": str(broken)})):
            await ledger.until(lambda: ledger.times("down") >= 2)
            assert f"tls.ca {broken}" in dict(ledger.states)["down"]
            broken.write_bytes(authority.ca.read_bytes())
            await ledger.until(lambda: ledger.times("up"))

    asyncio.run(story())
