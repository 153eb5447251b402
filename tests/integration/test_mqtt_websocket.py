"""MQTT inside WebSockets: behind mosquitto plain and encrypted, and before servers that do what they should not."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import msgspec
import pytest
import uvloop

from engine.clock import now_us
from protocols.mqtt.driver import Driver
from protocols.mqtt.onlooker import onlooker, payloads
from protocols.mqtt.settings import Settings
from tests.certificates import Authority
from tests.integration.test_discover import discovering, site_of
from tests.ledger import Ledger, running
from tests.packets import Publish, connack, suback
from tests.peers import Peer, free_port, listening, start_mosquitto

COUNT = 3_000
JAMS: dict[str, Any] = {
    "filter": "dc1/+device/jam",
    "record": {"src": {"template": "dc1/cv/{device}"}, "kind": {"const": "jam"}, "state": "s", "seq": "n"},
}


def configured(port: int, **more: Any) -> Settings:
    table = {"host": "127.0.0.1", "port": port, "topics": [JAMS], "websocket": {}, "reconnect_max_ms": 200, **more}
    found = msgspec.convert(table, Settings)
    assert list(found.faults()) == []
    return found


async def publish(port: int, first: int = 0, filler: str = "") -> None:
    async with aiomqtt.Client("127.0.0.1", port, identifier="feed") as client:
        for number in range(first, first + COUNT):
            payload = msgspec.json.encode({"s": "set", "n": number, "x": filler})
            await client.publish("dc1/CV-01/jam", payload, qos=1)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def broker(tmp_path: Path, authority: Authority) -> Iterator[tuple[Peer, int, int]]:
    """A mosquitto, and its ports for WebSockets, plain and encrypted."""
    plain, encrypted = free_port(), free_port()
    certificate, key = authority.issue("broker", "127.0.0.1")
    extra = (
        f"persistence true\npersistence_location {tmp_path}/\nlistener {plain} 127.0.0.1\nprotocol websockets\n"
        f"listener {encrypted} 127.0.0.1\nprotocol websockets\ncertfile {certificate}\nkeyfile {key}"
    )
    peer = start_mosquitto(tmp_path, extra)
    while not (listening(plain) and listening(encrypted)):  # it listens there a moment later
        time.sleep(0.02)
    yield peer, plain, encrypted
    peer.stop()


@pytest.mark.parametrize("loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("secure", [False, True], ids=["ws", "wss"])
def test_nothing_is_lost_behind_mosquitto_also_over_its_restart(
    broker: tuple[Peer, int, int], authority: Authority, loop: Any, secure: bool
) -> None:
    peer, plain, encrypted = broker
    more = {"tls": {"ca": str(authority.ca)}} if secure else {}
    settings = configured(encrypted if secure else plain, **more)

    async def story() -> None:
        ledger = Ledger()
        async with running(Driver("floor", settings, ledger, now_us)):
            await ledger.until(lambda: ledger.times("up"))
            await publish(peer.port)
            await ledger.until(lambda: len(ledger.facts) == COUNT)
            peer.stop()
            await ledger.until(lambda: ledger.times("down"))
            peer.start()
            await ledger.until(lambda: ledger.times("up") == 2)
            await publish(peer.port, COUNT, "x" * 500)
            await ledger.until(lambda: len(ledger.facts) == 2 * COUNT)
        assert [fact["seq"] for fact in ledger.facts] == list(range(2 * COUNT))
        assert ledger.faults == []

    loop(story())


def test_tap_and_discover_listen_there_too(broker: tuple[Peer, int, int], tmp_path: Path) -> None:
    peer, plain, _ = broker

    async def story() -> None:
        found = payloads(onlooker(configured(plain)))
        first = asyncio.ensure_future(anext(found))
        draft = asyncio.ensure_future(
            discovering("mqtt", f"127.0.0.1:{plain}", "--websocket", "/mqtt", "--seconds", "1")
        )
        async with aiomqtt.Client("127.0.0.1", peer.port, identifier="feed") as client:
            while not (first.done() and draft.done()):
                await client.publish("dc1/CV-01/jam", b"here", qos=1)
                await asyncio.sleep(0.05)
        assert await first == ("dc1/CV-01/jam", b"here")
        await found.aclose()  # type: ignore[attr-defined]
        source = site_of(await draft, tmp_path)
        assert source.settings.websocket.path == "/mqtt"
        assert [topic.filter for topic in source.settings.topics] == ["dc1/CV-01/jam"]

    asyncio.run(story())


Answer = Callable[[str], bytes]


def agreeing(key: str, protocol: str = "mqtt") -> bytes:
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode(), usedforsecurity=False).digest()
    accept = base64.b64encode(digest).decode()
    return (
        f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nconnection: keep-alive, Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
    ).encode()


def framed(payload: bytes, opcode: int = 2) -> bytes:
    assert len(payload) < 126
    return bytes([0x80 | opcode, len(payload)]) + payload


@contextlib.asynccontextmanager
async def server(answer: Answer, heard: bytearray) -> AsyncIterator[int]:
    """Says `answer` to the key of the upgrade, what is short in single bytes, and keeps what it hears."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            key = next(line[18:].strip() for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key:"))
            said = answer(key.decode())
            step = 1 if len(said) < 1_000 else 1_000
            for at in range(0, len(said), step):
                writer.write(said[at : at + step])
                await writer.drain()
                await asyncio.sleep(0)
            while data := await reader.read(65_536):
                heard.extend(data)
        writer.close()

    port = free_port()
    async with await asyncio.start_server(serve, "127.0.0.1", port):
        yield port


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda key: b"HTTP/1.1 404 Not Found\r\n\r\n", "no WebSocket there: HTTP/1.1 404 Not Found"),
        (lambda key: b"SSH-2.0-OpenSSH\r\n\r\n", "no WebSocket there: SSH-2.0-OpenSSH"),
        (lambda key: agreeing("another"), "another upgrade than ours"),
        (lambda key: agreeing(key, "chat"), "does not speak MQTT"),
        (lambda key: agreeing(key).replace(b"Upgrade: WebSocket", b"X: y"), "does not upgrade"),
        (lambda key: b"HTTP/1.1 101 " + b"x" * 9_000, "more than 8 KB"),
        (lambda key: agreeing(key) + framed(b"hello", 1), "malformed WebSocket: a frame of type 1"),
        (lambda key: agreeing(key) + framed(b"\x03\xf3", 8), "closed the WebSocket, code 1011"),
        (lambda key: agreeing(key) + framed(b"\xf0\x00"), "type 15"),
        (lambda key: agreeing(key), "no answer within 500 ms"),
    ],
)
def test_a_server_that_is_none_is_told_of(answer: Answer, told: str) -> None:
    async def story() -> None:
        ledger = Ledger()
        async with server(answer, bytearray()) as port:
            driver = Driver("floor", configured(port, connect_ms=500), ledger, now_us)
            async with running(driver):
                # where the computer stands still it is late, and told of at the next attempt
                await ledger.until(lambda: any(name == "down" and told in why for name, why in ledger.states))

    asyncio.run(story())


def test_messages_in_pieces_and_between_pings_are_taken_and_pings_are_answered() -> None:
    message = Publish(b"dc1/CV-01/jam", b'{"s":"set","n":7}', 0, 0).wire(True)
    frames = (
        framed(connack(True) + suback(True, b"\0\x01", [1]))
        + bytes([0x02, 5])
        + message[:5]
        + framed(b"are you there", 9)
        + bytes([0x80, len(message) - 5])
        + message[5:]
    )

    async def story() -> None:
        ledger, heard = Ledger(), bytearray()
        async with (
            server(lambda key: agreeing(key) + frames, heard) as port,
            running(Driver("floor", configured(port), ledger, now_us)),
        ):
            await ledger.until(lambda: ledger.facts)
            await ledger.until(lambda: b"\x8a\x8d" in heard)
        assert [fact["seq"] for fact in ledger.facts] == [7]
        at = heard.index(b"\x8a\x8d") + 2
        key, masked = heard[at : at + 4], heard[at + 4 : at + 17]
        assert bytes(byte ^ key[place & 3] for place, byte in enumerate(masked)) == b"are you there"

    asyncio.run(story())
