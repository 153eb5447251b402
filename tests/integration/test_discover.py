"""`sortline discover`: what it finds on real servers, and that its drafts are good parts of a site file."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import itertools
import json
import re
import ssl
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import convert

from engine.cli import main
from engine.clock import now_us
from engine.config.load import load_site
from engine.errors import Refused
from protocols.discovery import Discovery, Seen
from protocols.discovery import head as drafted_head
from protocols.mqtt.discover import Heard, begin, draft, groups
from protocols.mqtt.sparkplug import draft as sparkplug
from protocols.opcua.connection import Connection
from protocols.opcua.settings import Settings
from protocols.registry import DISCOVERIES
from tests import sparkplug as wire
from tests.certificates import Authority
from tests.commands import publish, sortline
from tests.integration.test_opcua_models import jammed
from tests.modbus import Plc
from tests.modbus_rtu import RtuPlc, SerialPair
from tests.opcua import Line as Packing
from tests.opcua import line, settings
from tests.opcua import running as reading
from tests.packets import connack, suback
from tests.peers import Peer, free_port, program, start_mosquitto


def discovering(protocol: str, *argv: str) -> Any:
    module = importlib.import_module(DISCOVERIES[protocol])
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.discover(parser.parse_args(argv))


def site_of(found: Discovery, folder: Path) -> Any:
    """The one source of a site file that holds nothing but the draft; fails with every fault if it is not good."""
    file = folder / "site.toml"
    file.write_text('site = "dc1"\n' + found.draft)
    return load_site(file).sources[0]


def test_variables_of_an_opcua_server_with_their_rates_and_a_counter_as_trigger(tmp_path: Path) -> None:
    async def story() -> Discovery:
        async with line() as packing:

            async def work() -> None:
                for number in itertools.count(1):
                    await packing.write(Begun=number, Lu=f"T-{number}", Weight=2.5 if number % 2 else 1.5)
                    await packing.write(Counter=number)
                    await asyncio.sleep(0.05)

            working = asyncio.create_task(work())
            found: Discovery = await discovering("opcua", packing.url, "--seconds", "1.5", "--name", "packing")
            working.cancel()
            return found

    found = asyncio.run(story())
    source = site_of(found, tmp_path)
    (entry,) = source.settings.variables.values()
    assert (source.name, source.protocol) == ("packing", "opcua")
    # both count: one is written before the others, one after them
    assert (entry.trigger, entry.check) == ("counter", "begun")
    assert entry.nodes["lu"] == "ns=ns2;s=PK01.Lu"
    (counter,) = [row for row in found.report if "PK01/Counter" in row]
    assert 0 < float(counter.partition("/s")[0]) < 25
    assert re.search(r"the server's clock [+-][0-9.]+ ms", found.report[0])
    assert not any("ServerStatus" in row for row in found.report)


def test_events_of_an_opcua_server_are_drafted_by_their_types(tmp_path: Path) -> None:
    async def story() -> Discovery:
        async with line() as packing:

            async def work() -> None:
                for number in itertools.count(1):
                    await packing.tell(Carton=f"T-{number}", Result="OK", Number=number)
                    await asyncio.sleep(0.05)

            working = asyncio.create_task(work())
            found: Discovery = await discovering("opcua", packing.url, "--seconds", "1")
            working.cancel()
            return found

    found = asyncio.run(story())
    assert not site_of(found, tmp_path).settings.structures
    (entry,) = site_of(found, tmp_path).settings.events.values()
    assert entry.event_type == "ns2:LabelEventType"
    assert entry.fields == {
        "carton": "ns2:Carton",
        "result": "ns2:Result",
        "number": "ns2:Number",
        "message": "Message",
    }
    (row,) = (row.split() for row in found.report if "LabelEventType" in row)
    assert float(row[0].removesuffix("/s")) > 1


def test_an_alarm_that_stands_is_drafted_as_one_and_is_told_by_the_draft(tmp_path: Path) -> None:
    """It came long before anybody listened, and is of OPC UA's own type."""

    async def story() -> tuple[Discovery, list[tuple[str, str]]]:
        async with line() as packing:
            await jammed(packing)
            found: Discovery = await discovering("opcua", packing.url, "--seconds", "0.5")
            drafted = tomllib.loads(found.draft)["sources"]["opcua"]["events"]
            async with reading(settings(packing.url, events=drafted)) as kept:
                await kept.until(lambda: bool(kept.of("jam")))
                return found, [(record["code"], record["state"]) for record in kept.of("jam")]

    found, told = asyncio.run(story())
    (entry,) = site_of(found, tmp_path).settings.events.values()
    assert (entry.event_type, entry.conditions) == ("AlarmConditionType", True)
    assert told == [("JAM-7", "set")]
    assert [row for row in found.report if "Refresh" in row] == []


def test_a_way_that_leads_nowhere_is_refused_with_what_there_is() -> None:
    async def story() -> list[str]:
        async with line() as packing:
            for under, why in (
                ("Line2/PK01", "nothing below Objects is called Line2; there is .*Line1"),
                ("Line1/PK01/Nowhere", "nothing below Line1/PK01 is called Nowhere; there is .*Counter"),
            ):
                with pytest.raises(Refused, match=why):
                    await discovering("opcua", packing.url, "--under", under)
            found: Discovery = await discovering(
                "opcua", packing.url, "--under", "Line1/PK01/Counter", "--seconds", "0.2"
            )
            return found.report

    assert [row.split()[1] for row in asyncio.run(story()) if row.startswith("- ")] == ["Line1/PK01/Counter"]


def test_a_server_tells_its_clock_to_the_tick() -> None:
    """Its variable CurrentTime is up to a second old."""

    async def story() -> None:
        async with line() as packing:
            settings = convert({"url": packing.url, "security": {"policy": "None"}, "variables": {}}, Settings)
            connection = Connection(settings, "packing")
            await connection.open()
            try:
                for _ in range(5):
                    before_us = now_us()
                    answered_us = await connection.clock_us()
                    assert answered_us is not None
                    assert before_us <= answered_us <= now_us()
            finally:
                await connection.close()

    asyncio.run(story())


async def heard(listening: asyncio.Task[Discovery], say: Callable[[], None]) -> Discovery:
    """Said until it has listened long enough: who listens has no way to say since when."""
    while not listening.done():
        await asyncio.to_thread(say)
        await asyncio.sleep(0.1)
    return await listening


def test_topics_of_a_broker_are_put_together_by_what_differs(mosquitto: Peer, tmp_path: Path) -> None:
    canonical = {"src": "dc1/wms/main", "kind": "order.cancelled", "order": "O-1", "rev": 1}

    async def story() -> Discovery:
        listening = asyncio.create_task(discovering("mqtt", f"127.0.0.1:{mosquitto.port}", "--seconds", "2"))

        def say() -> None:
            for device in ("PTL-01", "PTL-02", "PTL-03"):
                event = {"ty": "C", "job": {"id": "T-1"}, "n": 1}
                publish(mosquitto.port, f"dc1/pick/{device}/evt", json.dumps(event).encode())
            publish(mosquitto.port, "dc1/wms/orders", json.dumps(canonical).encode())
            publish(mosquitto.port, "dc1/door/7", b"open")

        return await heard(listening, say)

    found = asyncio.run(story())
    topics = {topic.filter: topic for topic in site_of(found, tmp_path).settings.topics}
    assert set(topics) == {"dc1/pick/+device/evt", "dc1/wms/orders", "dc1/door/7"}
    assert topics["dc1/wms/orders"].format == "canonical"
    assert topics["dc1/door/7"].format == "text"
    assert "#   job.id = " in found.draft
    assert "5 topics" in found.report[0]


@pytest.mark.parametrize(
    ("payloads", "filters", "has_nodes"),
    [
        # stations that leave out what they have not
        (
            {"pick/1": {"n": 1, "lu": "T", "lot": "L"}, "pick/2": {"n": 1, "lu": "T"}, "pick/3": {"n": 1, "q": 2}},
            {"pick/+device"},
            False,
        ),
        # what has nothing in common stands apart, until its filters overlap
        ({"pick/1/evt": {"n": 1}, "pick/1/state": {"v": 2}}, {"pick/1/evt", "pick/1/state"}, False),
        ({"pick/1": {"n": 1}, "pick/2": {"n": 1}, "pick/3": "jam", "pick/4": [{"a": 1}]}, {"pick/+device"}, False),
        (
            {"a/1/x": {"n": 1}, "a/2/x": {"n": 1}, "a/2/y": "1", "a/2/z": "2", "a/2": {"n": 1}},
            {"a/+level1/+level2", "a/2"},
            False,
        ),
        # a name of any kind at the front would take the nodes in
        ({"a/x": {"n": 1}, "b/x": {"n": 1}}, {"+device/x"}, False),
        ({"a/x": {"n": 1}, "b/x": {"n": 1}}, {"a/x", "b/x"}, True),
    ],
)
def test_what_is_drafted_of_topics_is_a_good_source_whatever_they_carry(
    payloads: dict[str, object], filters: set[str], has_nodes: bool, tmp_path: Path
) -> None:
    topics = {topic: Heard(Seen(), json.dumps(payload).encode(), 0) for topic, payload in payloads.items()}
    above = begin("floor", {"host": "127.0.0.1", "plaintext": True}, "5")
    text = draft("floor", above, groups(topics, has_nodes), has_nodes)
    if has_nodes:
        births = {"spBv1.0/G/NBIRTH/L1": wire.payload(wire.metric("Count", 1, wire.UINT8), seq=0)}
        text += "\n".join([*sparkplug.draft("floor", sparkplug.devices(births)), ""])
    assert {topic.filter for topic in site_of(Discovery([], text), tmp_path).settings.topics} == filters


def test_devices_that_report_by_one_metric_are_one_entry_of_the_draft() -> None:
    def birth(name: str) -> bytes:
        return wire.payload(wire.metric("Count", 1, wire.UINT8), wire.metric(name, 2.5, wire.FLOAT), seq=0)

    births = {f"spBv1.0/G/DBIRTH/L1/{name}": birth(f"only of {name}") for name in ("A", "B")}
    text = "\n".join(sparkplug.draft("floor", sparkplug.devices(births)))
    assert text.count('filter = "G/+node/+device"') == 1
    assert "only of A" in text
    assert "only of B" in text


def test_a_broker_that_speaks_no_mqtt_5_is_drafted_so(tmp_path: Path) -> None:
    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            asked = await reader.read(4_096)
            is_refused = asked[8] == 5
            writer.write(connack(False, code=int(is_refused)))
            while not is_refused and (asked := await reader.read(4_096)):
                if asked[0] == 0x82:
                    writer.write(suback(False, asked[2:4], [0]))
            writer.close()

    async def story() -> Discovery:
        async with await asyncio.start_server(old, "127.0.0.1", port := free_port()):
            found: Discovery = await discovering("mqtt", f"127.0.0.1:{port}", "--seconds", "0.2")
            return found

    assert site_of(asyncio.run(story()), tmp_path).settings.version == "3.1.1"


def test_sparkplug_nodes_of_a_broker_are_drafted_by_their_births(mosquitto: Peer, tmp_path: Path) -> None:
    def birth(count: int) -> bytes:
        metrics = [wire.metric("Pick/Task", "T-1", wire.STRING), wire.metric("Pick/Count", count, wire.UINT8, alias=4)]
        return wire.payload(*metrics, seq=1)

    async def story() -> Discovery:
        listening = asyncio.create_task(discovering("mqtt", f"127.0.0.1:{mosquitto.port}", "--seconds", "2"))

        def say() -> None:
            node = wire.payload(wire.metric("bdSeq", 1, wire.UINT64), wire.metric("Temp", 21.5, wire.FLOAT), seq=0)
            publish(mosquitto.port, "spBv1.0/Plant1/NBIRTH/L1", node)
            for device in ("PTL-01", "PTL-02"):
                publish(mosquitto.port, f"spBv1.0/Plant1/DBIRTH/L1/{device}", birth(7))
            data = wire.payload(wire.metric(None, 8, alias=4, kind=wire.UINT8), seq=2)
            publish(mosquitto.port, "spBv1.0/Plant1/DDATA/L1/PTL-01", data)

        return await heard(listening, say)

    found = asyncio.run(story())
    settings = site_of(found, tmp_path).settings
    assert settings.topics == []
    assert settings.sparkplug.groups == ["Plant1"]
    assert [(each.filter, each.trigger) for each in settings.sparkplug.records] == [
        ("Plant1/+node", "Temp"),
        ("Plant1/+node/+device", "Pick/Count"),
    ]
    assert '#   Pick/Task = "T-1"' in found.draft
    assert any("DDATA" in row and '"alias 4": 8' in row for row in found.report)


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (("opcua", "opc.tcp://127.0.0.1:{port}/"), "Connection refused"),
        (("mqtt", "127.0.0.1:{port}"), "refused"),
        (("modbus", "127.0.0.1:{port}"), "refused"),
        (("modbus", "127.0.0.1:{port}", "--units", "1-999"), "not a range"),
        (("modbus", "[::1]:{port}"), "refused"),
        (("modbus", "127.0.0.1:port"), "no address"),
        (("opcua", "http://127.0.0.1/"), "begins with opc.tcp"),
    ],
)
def test_what_cannot_be_reached_is_refused_with_the_reason(argv: tuple[str, ...], why: str) -> None:
    port = free_port()
    with pytest.raises(Refused, match=why):
        asyncio.run(discovering(*(part.format(port=port) for part in argv)))


def discovered(folder: Path, protocol: str, table: dict[str, Any], *more: str) -> tuple[Any, str]:
    """What the command drafts that connects as the only source of a site file does, as a source; and what it said."""
    (folder / "connect.toml").write_text("\n".join(drafted_head("there", protocol, table)))
    done = sortline("discover", protocol, "--from", str(folder / "connect.toml"), "--seconds", "0.5", *more)
    assert done.returncode == 0, done.stderr
    return site_of(Discovery([], done.stdout), folder), done.stderr


def test_a_broker_with_users_and_certificates_is_listened_to_as_a_site_file_says(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("broker", "127.0.0.1")
    mine, my_key = authority.issue("sortline")
    secret = tmp_path / "secret"
    secret.write_text("right")
    secret.chmod(0o600)
    passwords = tmp_path / "passwords"
    subprocess.run([program("mosquitto_passwd"), "-b", "-c", str(passwords), "floor", "right"], check=True)
    hardened = (
        f"cafile {authority.ca}\ncertfile {certificate}\nkeyfile {key}\nrequire_certificate true\n"
        f"password_file {passwords}\nallow_anonymous false"
    )
    peer = start_mosquitto(tmp_path, hardened)
    table = {
        "host": "127.0.0.1",
        "port": peer.port,
        "user": "floor",
        "password": {"file": str(secret)},
        "tls": {"ca": str(authority.ca), "certificate": str(mine), "private_key": str(my_key)},
        "topics": [],
    }
    try:
        source, said = discovered(tmp_path, "mqtt", table, "--topics", "none")
    finally:
        peer.stop()
    assert f"127.0.0.1:{peer.port}: 0 topics" in said
    assert (source.settings.user, source.settings.tls.private_key) == ("floor", str(my_key))


def test_an_opcua_server_with_certificates_is_browsed_as_a_site_file_says(tmp_path: Path) -> None:
    secure = {
        "policy": "Basic256Sha256",
        "certificate": str(tmp_path / "client.der"),
        "private_key": str(tmp_path / "client.pem"),
        "self_signed": True,
        "server_certificate": str(tmp_path / "server.der"),
    }
    secret = tmp_path / "secret"
    secret.write_text("right")
    secret.chmod(0o600)

    async def story() -> tuple[Any, str]:
        packing = Packing()
        await packing.prepare()
        await packing.secure(tmp_path)
        await packing.build()
        async with packing.server:
            user = {"user": "reader", "password": {"file": str(secret)}}
            table = {"url": packing.url, "security": secure, **user}
            return await asyncio.to_thread(discovered, tmp_path, "opcua", table, "--under", "Line1/PK01")

    source, said = asyncio.run(story())
    assert "variables, the server's clock" in said
    assert source.settings.security.policy == "Basic256Sha256"


def test_modbus_inside_tls_is_scanned_as_a_site_file_says(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("plc", "127.0.0.1"))

    async def story() -> tuple[Any, str]:
        async with Plc(context) as plc:
            plc.set(3, 7)
            table = {"host": "127.0.0.1", "port": plc.port, "tls": {"ca": str(authority.ca)}}
            return await asyncio.to_thread(discovered, tmp_path, "modbus", table, "--registers", "0-9")

    source, said = asyncio.run(story())
    assert "1 of 1 units answer" in said
    assert source.settings.tls.ca == str(authority.ca)


def test_a_serial_line_is_scanned_as_a_site_file_says(tmp_path: Path) -> None:
    async def story() -> tuple[Any, str]:
        with SerialPair(RtuPlc()) as pair:
            table = {"transport": "rtu", "serial": {"device": pair.device}}
            more = ("--registers", "0-9", "--tables", "holding")
            return await asyncio.to_thread(discovered, tmp_path, "modbus", table, *more)

    source, said = asyncio.run(story())
    assert "1 of 1 units answer" in said
    assert source.settings.serial.device.startswith("/dev/pts/")


@pytest.mark.parametrize(
    ("file", "more", "why"),
    [
        ("", (), "no source of protocol modbus"),
        ('[sources.a]\nprotocol = "mqtt"', (), "no source of protocol modbus"),
        ('[sources.a]\nprotocol = "modbus"', (), "host: where is it?"),
        ('[sources.a]\nprotocol = "modbus"\nhost = 3', (), "host"),
        ('[sources.a]\nprotocol = "modbus"\n[sources.b]\nprotocol = "modbus"', (), "--source, one of a, b"),
        ('[sources.a]\nprotocol = "modbus"', ("--source", "b"), "no source b"),
        ('[sources.a]\nprotocol = "modbus"\ntransport = "rtu"', (), "serial"),
        ("sources = 3", (), "no source"),
        ("", ("127.0.0.1",), "either 127.0.0.1 or --from"),
    ],
)
def test_a_site_file_that_does_not_say_where_is_refused(
    file: str, more: tuple[str, ...], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "site.toml").write_text(file)
    assert main(["discover", "modbus", "--from", str(tmp_path / "site.toml"), *more]) == 1
    assert why in capsys.readouterr().err


def test_without_a_place_nothing_is_looked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["discover", "opcua"]) == 1
    assert "where is it?" in capsys.readouterr().err


def test_the_draft_goes_to_a_new_file_and_never_over_an_old_one(mosquitto: Peer, tmp_path: Path) -> None:
    out = tmp_path / "draft.toml"
    arguments = ("discover", "mqtt", f"127.0.0.1:{mosquitto.port}", "--seconds", "0.2", "--out", str(out))
    assert sortline(*arguments).returncode == 0
    assert "[sources.mqtt]" in out.read_text()
    again = sortline(*arguments)
    assert (again.returncode, "File exists" in again.stderr) == (1, True)
