"""The main job from outside: a foreign program does something, the installed commands make the right record of it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from engine.recordings import read
from tests.commands import Publisher, Running, account, publish, queued, sortline
from tests.integration.test_opcua_node_opcua import node_server
from tests.libmodbus import SERVER_C, WRITER_C, compiled
from tests.opcua import NAMESPACE
from tests.peers import Peer, free_port

PICKS = """
site = "dc1"
[engine]
data_dir = "{folder}/data"

[sources.floor]
protocol = "mqtt"
host = "127.0.0.1"
port = {port}
client_id = "{name}"
covers = ["dc1/pick", "dc1/wms"]
scope = ["dc1/pick/", "dc1/wms/"]

[[sources.floor.topics]]
filter = "dc1/pick/+device/evt"
[sources.floor.topics.record]
src = {{ template = "dc1/pick/{{device}}" }}
kind = {{ path = "ty", table = {{ C = "pick.confirm", S = "pick.short", R = "pick.reverse" }} }}
seq = {{ path = "n", wrap = 256 }}
t = {{ path = "ts", time = "epoch_ms" }}
task = "job"
sku = "sku"
qty = "q"
loc = "bin"
lu = "tote"
code = "why"

[[sources.floor.topics]]
filter = "dc1/wms/main/ctx"
format = "canonical"
constants = {{ src = "dc1/wms/main" }}
"""

PLC = """
site = "dc1"
[sources.plc]
protocol = "modbus"
host = "127.0.0.1"
port = {port}
covers = ["dc1/pack/SCL-01", "dc1/sorter/SRT-01"]

[sources.plc.units.SCL-01]
unit = 1
src = "dc1/pack/SCL-01"
[sources.plc.units.SCL-01.holding]
stable = {{ address = 0, type = "bool" }}
weight = {{ address = 1, type = "int32", word_order = "little" }}
lu = {{ address = 3, type = "string", length_bytes = 6 }}
[sources.plc.units.SCL-01.groups.weighing]
poll_ms = 10
[[sources.plc.units.SCL-01.groups.weighing.triggers]]
on = "rising"
register = "stable"
record.kind = {{ const = "weigh" }}
record.lu = "lu"
record.weight_g = {{ path = "weight", scale = 0.1 }}

[sources.plc.units.SRT-01]
unit = 2
src = "dc1/sorter/SRT-01"
[sources.plc.units.SRT-01.mailboxes.events]
poll_ms = 10
seq = 100
seq2 = 103
ack = 110
[sources.plc.units.SRT-01.mailboxes.events.registers]
track = 101
dest = 102
[sources.plc.units.SRT-01.mailboxes.events.record]
kind = {{ const = "divert.confirmed" }}
track = "track"
dest = {{ path = "dest", table = {{ 7 = "LANE-7" }} }}
"""

PACKING = """
site = "dc1"
[sources.packing]
protocol = "opcua"
url = "{url}"
namespaces = {{ pack = "{namespace}" }}
publishing_ms = 20
security = {{ policy = "None" }}
[sources.packing.variables.cartons]
src = "dc1/pack/PK-01"
trigger = "counter"
[sources.packing.variables.cartons.nodes]
counter = "ns=pack;s=PK01.Counter"
kind = "/pack:Line1/pack:PK01/pack:Kind"
lu = "ns=pack;s=PK01.Lu"
[sources.packing.variables.cartons.record]
seq = {{ path = "counter", wrap = 65536 }}
kind = {{ path = "kind", table = {{ 1 = "carton.open", 2 = "carton.close" }} }}
lu = {{ path = "lu", required = true }}
"""


def written(folder: Path, text: str, **values: object) -> Path:
    """The site file; `check` finds it good."""
    path = folder / f"{values.get('name', 'site')}.toml"
    path.write_text(text.format(folder=folder, **values))
    checked = sortline("check", str(path))
    assert checked.returncode == 0, checked.stderr
    return path


def records(path: Path) -> list[dict[str, Any]]:
    """What stands in a recording, without what speaks of connections and clocks."""
    if not path.exists():
        return []
    lines = b"".join(chunk.data for chunk in read(str(path))).splitlines()
    found = [json.loads(line) for line in lines]
    return [record for record in found if record["kind"] not in ("link.up", "link.down", "clock.tick")]


def now_us() -> int:
    return time.time_ns() // 1_000


def only(found: list[dict[str, Any]], since_us: int) -> dict[str, Any]:
    """The one record there is, without `t_rx`, which lies between then and now, and without an `epoch` of 0."""
    (record,) = found
    assert record.pop("epoch", 0) == 0
    assert since_us <= record.pop("t_rx") <= now_us()
    return record


@pytest.mark.peer("mosquitto")
def test_json_typed_by_hand_into_mosquitto_pub_is_the_right_record_and_the_right_event(
    tmp_path: Path, mosquitto: Peer
) -> None:
    port, out, queue = mosquitto.port, tmp_path / "out.ndjson", tmp_path / "data" / "queue.sqlite"
    began = now_us()
    at_ms = began // 1_000
    pick = {"ty": "C", "n": 17, "ts": at_ms, "job": "T-1001", "sku": "SKU-42", "q": 2, "bin": "B-07", "tote": "TOTE-1"}
    record, run = (written(tmp_path, PICKS, port=port, name=name) for name in ("recorder", "engine"))
    with (
        Running(tmp_path, "record", str(record), "--out", str(out)) as recorder,
        Running(tmp_path, "run", str(run)) as engine,
    ):
        recorder.until_said("source floor: up")
        engine.until_said("source floor: up")
        with Publisher(port, "dc1/wms/main/ctx") as wms:
            lines = [{"line": 1, "sku": "SKU-42", "qty": 2}]
            wms.say(kind="order.released", t=began, order="O-77", rev=1, lines=lines)
            wms.say(kind="pick.task", t=began, task="T-1001", rev=1, order="O-77", line=1, sku="SKU-42", qty=2)
        publish(port, "dc1/pick/PTL-01/evt", json.dumps(pick).encode())
        recorder.until(lambda: len(records(out)) == 3, "to record three")
        engine.until(lambda: queued(queue), "to queue an event")
        recorder.stop()
        counted = account(engine.stop())
    found = records(out)
    assert [each["kind"] for each in found[:2]] == ["order.released", "pick.task"]
    assert only(found[2:], began) == {
        "src": "dc1/pick/PTL-01",
        "kind": "pick.confirm",
        "seq": 17,
        "t": at_ms * 1_000,
        "task": "T-1001",
        "sku": "SKU-42",
        "qty": 2,
        "loc": "B-07",
        "lu": "TOTE-1",
    }
    (event,) = queued(queue)
    assert event["type"] == "io.sortline.pick.confirmed.v1"
    assert (event["source"], event["subject"], event["partitionkey"]) == ("/sites/dc1", "task/T-1001", "O-77")
    # id: the example of the contract, which a program of its own made
    assert event["id"] == "pc1.mc6cfej273pfqdqk3ooddnndvv:r0"
    assert event["causationid"] == "dc1/pick/PTL-01/0/17/0"
    told = {name: event["data"][name] for name in ("task", "order", "line", "sku", "qty", "qty_task", "lu", "loc")}
    assert told == {
        "task": "T-1001",
        "order": "O-77",
        "line": 1,
        "sku": "SKU-42",
        "qty": 2,
        "qty_task": 2,
        "lu": "TOTE-1",
        "loc": "B-07",
    }
    assert counted["rejected"] == counted["late"] == counted["duplicate"] == 0


@pytest.mark.peer("libmodbus")
def test_registers_that_a_foreign_tool_writes_into_a_foreign_server_are_the_right_records(tmp_path: Path) -> None:
    plc, writer = compiled("plc", SERVER_C, tmp_path), compiled("writer", WRITER_C, tmp_path)
    port, out = free_port(), tmp_path / "out.ndjson"
    site = written(tmp_path, PLC, port=port)

    def write(unit: int, address: int, *values: int) -> None:
        subprocess.run([writer, *map(str, (port, unit, address, *values))], check=True, timeout=60)

    def ack() -> int:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(b"? 110\n")
        server.stdin.flush()
        return int(server.stdout.readline())

    pipe = subprocess.PIPE
    with subprocess.Popen([plc, str(port)], stdin=pipe, stdout=pipe) as server:
        try:
            with Running(tmp_path, "record", str(site), "--out", str(out)) as recorder:
                recorder.until(lambda: out.exists() and out.read_bytes().count(b"link.up") == 2, "to reach both units")
                began = now_us()
                write(1, 1, 23_455, 0, 0x542D, 0x3737, 0)
                write(1, 0, 1)
                recorder.until(lambda: len(records(out)) == 1, "to record the weight")
                assert only(records(out), began) == {
                    "src": "dc1/pack/SCL-01",
                    "kind": "weigh",
                    "lu": "T-77",
                    "weight_g": 2_346,
                }
                write(2, 100, 1, 42, 7, 1)
                recorder.until(lambda: ack() == 1, "to acknowledge the mailbox")
                assert only(records(out)[1:], began) == {
                    "src": "dc1/sorter/SRT-01",
                    "kind": "divert.confirmed",
                    "seq": 1,
                    "track": "42",
                    "dest": "LANE-7",
                }
                recorder.stop()
        finally:
            server.kill()


@pytest.mark.peer("node-opcua")
def test_a_variable_that_changes_in_a_foreign_server_is_the_right_record(tmp_path: Path) -> None:
    out = tmp_path / "out.ndjson"

    async def story() -> None:
        async with node_server(tmp_path) as server:
            site = written(tmp_path, PACKING, url=server.url, namespace=NAMESPACE)
            with Running(tmp_path, "record", str(site), "--out", str(out)) as recorder:
                await asyncio.to_thread(recorder.until_said, "source packing: up")
                began = now_us()
                await server.tell(write={"Kind": 2, "Lu": "CTN-1", "Counter": 7})
                await asyncio.to_thread(recorder.until, lambda: records(out), "to record the carton")
                recorder.stop()
        record = only(records(out), began)
        assert began - 1_000_000 <= record.pop("t") <= now_us() + 1_000_000  # the server's own clock
        assert record == {"src": "dc1/pack/PK-01", "kind": "carton.close", "seq": 7, "lu": "CTN-1"}

    asyncio.run(story())
