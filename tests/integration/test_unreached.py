"""What is said where a source cannot be reached: what, where, and what to look at."""

from __future__ import annotations

import argparse
import asyncio
import importlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine.clock import now_us
from engine.errors import Refused
from protocols.discovery import Discovery
from protocols.mqtt.driver import Driver
from protocols.mqtt.settings import Settings
from protocols.opcua.failures import NotOpcUa
from protocols.opcua.transport import BoundedClient
from protocols.registry import DISCOVERIES
from tests.certificates import Authority
from tests.ledger import Ledger, running
from tests.modbus import Plc
from tests.opcua import line
from tests.peers import start_mosquitto

TOPIC = {"filter": "dc1/wms/main/ctx", "format": "canonical", "constants": {"src": "dc1/wms/main"}}


def parsed(protocol: str, *argv: str) -> tuple[Any, argparse.Namespace]:
    module = importlib.import_module(DISCOVERIES[protocol])
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module, parser.parse_args(argv)


async def refused(protocol: str, *argv: str) -> str:
    module, args = parsed(protocol, *argv)
    with pytest.raises(Refused) as caught:
        await module.discover(args)
    return str(caught.value)


async def down(port: int, **table: Any) -> str:
    """What the driver says of its first attempt."""
    ledger = Ledger()
    made = msgspec.convert({"host": "127.0.0.1", "port": port, "topics": [TOPIC], **table}, Settings)
    async with running(Driver("floor", made, ledger, now_us)):
        await ledger.until(lambda: ledger.times("down"))
    return dict(ledger.states)["down"]


async def with_server(
    answer: Callable[[asyncio.StreamWriter], None], story: Callable[[int], Awaitable[list[str]]]
) -> list[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        answer(writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        return await story(server.sockets[0].getsockname()[1])


def alerts(writer: asyncio.StreamWriter) -> None:
    """As a server that speaks TLS answers what is none."""
    writer.write(bytes.fromhex("15030300020246"))


def speaks_http(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def says_nothing(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@pytest.mark.parametrize("answer", [alerts, says_nothing])
def test_a_broker_that_may_want_tls_is_told_of(answer: Callable[[asyncio.StreamWriter], None]) -> None:
    async def story(port: int) -> list[str]:
        return [await down(port), await refused("mqtt", f"127.0.0.1:{port}", "--seconds", ".1")]

    for said in asyncio.run(with_server(answer, story)):
        assert said.endswith("does it want TLS? tls = {}"), said


def test_a_broker_without_tls_is_told_of() -> None:
    async def story(port: int) -> list[str]:
        return [await down(port, tls={}), await refused("mqtt", f"127.0.0.1:{port}", "--tls")]

    for said in asyncio.run(with_server(says_nothing, story)):
        assert "no TLS there" in said or said.endswith("does it speak TLS at this port?"), said


def test_a_certificate_of_somebody_unknown_names_the_key_to_set(tmp_path: Path) -> None:
    certificate, key = Authority(tmp_path).issue("broker", "127.0.0.1")
    peer = start_mosquitto(tmp_path, f"certfile {certificate}\nkeyfile {key}")
    try:
        told = [
            asyncio.run(down(peer.port, tls={})),
            asyncio.run(refused("mqtt", f"127.0.0.1:{peer.port}", "--tls")),
        ]
    finally:
        peer.stop()
    for said in told:
        assert "certificate is refused: " in said, said
        assert said.endswith("(tls.ca: who may have signed it)"), said


@pytest.mark.parametrize("name", [[], ["--user", "nobody"]])
def test_a_user_that_is_refused_is_told_of(tmp_path: Path, name: list[str]) -> None:
    (tmp_path / "passwords").touch()
    peer = start_mosquitto(tmp_path, f"allow_anonymous false\npassword_file {tmp_path / 'passwords'}")
    try:
        said = asyncio.run(refused("mqtt", f"127.0.0.1:{peer.port}", *name))
    finally:
        peer.stop()
    assert said == f"127.0.0.1:{peer.port}: Not authorized: the user is refused, or there is none: user and password"


def test_a_filter_that_is_none_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed("mqtt", "127.0.0.1", "--topics", "a/#/b")
    assert ended.value.code == 2
    assert "a/#/b: + stands for a whole level" in capsys.readouterr().err
    for wanted, wire in {"$SYS/#": "$SYS/#", "#": "#", "a/+b": "a/+"}.items():
        assert parsed("mqtt", "127.0.0.1", "--topics", wanted)[1].topics == wire


def test_an_address_of_opcua_needs_no_scheme_and_takes_no_other() -> None:
    said = [asyncio.run(refused("opcua", where)) for where in ("127.0.0.1:1", "http://127.0.0.1:1")]
    assert said == [
        "opc.tcp://127.0.0.1:1: Connection refused",
        "http://127.0.0.1:1: an address begins with opc.tcp://",
    ]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (says_nothing, "closed the connection without a word: does it"),
        (alerts, "not speak"),
        (speaks_http, "not speak"),
    ],
)
def test_what_is_no_opcua_is_told_by_what_it_does(answer: Callable[[asyncio.StreamWriter], None], said: str) -> None:
    async def story(port: int) -> list[str]:
        return [await refused("opcua", f"127.0.0.1:{port}")]

    (told,) = asyncio.run(with_server(answer, story))
    assert said in told
    assert "speak OPC UA (opc.tcp)" in told


def test_an_opcua_server_that_closes_before_the_hello_is_not_waited_for() -> None:
    """What has a proxy or a full server before it accepts and closes at once."""

    async def story() -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            client = BoundedClient(60, 1 << 20)
            await client.connect_socket("127.0.0.1", port)
            while not client.protocol.is_closed:
                await asyncio.sleep(0.01)
            async with asyncio.timeout(20):
                with pytest.raises(NotOpcUa, match="without a word"):
                    await client.send_hello(f"opc.tcp://127.0.0.1:{port}")

    asyncio.run(story())


@pytest.mark.parametrize(
    ("answer", "came"), [(says_nothing, "6 x closed by the server"), (speaks_http, "6 x wrong transaction")]
)
def test_what_is_no_modbus_is_told_with_what_was_tried(
    answer: Callable[[asyncio.StreamWriter], None], came: str
) -> None:
    async def story(port: int) -> list[str]:
        return [await refused("modbus", f"127.0.0.1:{port}", "--units", "1-2", "--registers", "0-9")]

    (told,) = asyncio.run(with_server(answer, story))
    assert f"nothing can be read of units 1-2, holding,input 0-9: {came}" in told
    assert told.endswith("or no Modbus?")


def test_a_device_that_has_none_of_the_registers_is_told_by_its_exception() -> None:
    async def story() -> str:
        async with Plc() as plc:
            plc.missing = {(table, at) for table in ("holding", "input") for at in range(4)}
            return await refused("modbus", f"127.0.0.1:{plc.port}", "--registers", "0-3")

    said = asyncio.run(story())
    assert "holding,input 0-3: 14 x exception 2 (illegal data address)" in said
    assert said.endswith("tables (--tables)?")


def test_a_list_says_what_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> list[str]:
        async with line() as packing:
            module, args = parsed("opcua", packing.url, "--seconds", ".1", "--variables", "3")
            found: Discovery = await module.discover(args)
            return found.report

    monkeypatch.setattr("protocols.opcua.discover.ROWS_MAX", 2)
    report = asyncio.run(story())
    assert "  only the first 3 variables: narrow --under, or raise --variables" in report
    assert report[-2:] == ["... and 1 more variables", "no events came"]
