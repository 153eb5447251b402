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
from protocols.registry import DISCOVERIES
from tests.certificates import Authority
from tests.ledger import Ledger, running
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


def test_a_list_says_what_it_leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> list[str]:
        async with line() as packing:
            module, args = parsed("opcua", packing.url, "--seconds", ".1", "--variables", "3")
            found: Discovery = await module.discover(args)
            return found.report

    monkeypatch.setattr("protocols.opcua.discover.ROWS_MAX", 2)
    report = asyncio.run(story())
    assert "  only the first 3 variables: narrow --under, or raise --variables" in report
    assert report[-1] == "... and 1 more variables"
