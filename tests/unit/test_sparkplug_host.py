"""A Sparkplug host: births, aliases, deaths, the order of messages, and what of it becomes a record."""

from __future__ import annotations

import base64
import csv
import json
import zlib
from typing import Any

import msgspec
import pytest

from engine.config.walk import check
from ext.sparkplug import SparkplugFault, decode
from protocols.mapping.sequence import Sequences
from protocols.mqtt.settings import Settings
from protocols.mqtt.sparkplug import host
from protocols.mqtt.sparkplug.host import Host
from protocols.mqtt.sparkplug.settings import Sparkplug
from tests import sparkplug as wire
from tests.sparkplug_floor import HEAT, MS, PICKS, T0, Floor, picked
from tests.vectors import vectors


def test_data_is_read_by_the_aliases_and_datatypes_of_the_births_and_remembers_what_was_not_sent() -> None:
    floor = Floor()
    floor.born()
    assert floor.pick(251, "T-1", 2) == [picked(251, "T-1", 2)]
    assert floor.pick(252, "T-2") == [picked(252, "T-2", 2)]
    assert floor.say("NDATA", wire.metric(None, 22.5, alias=100, kind=wire.DOUBLE)) == [
        {"src": "dc1/nodes/L1", "kind": "telemetry", "qty": 225, "t": 1_750_000_000_000_000}
    ]
    assert floor.say("DDATA", wire.metric(None, 9, alias=4, kind=wire.INT32), device="PTL") == []
    assert floor.pick(253, "T-3") == [picked(253, "T-3", 9)]
    assert floor.causes == []
    assert floor.requests() == []


def test_a_birth_says_that_a_device_sees_again_and_a_death_that_it_does_not() -> None:
    floor = Floor()
    up = floor.say("NBIRTH", wire.metric("bdSeq", 3, wire.UINT64))
    assert up == [{"kind": "link.up", "src": "dc1/nodes/L1"}]
    assert floor.say("DBIRTH", device="PTL") == [{"kind": "link.up", "src": "dc1/L1/PTL"}]
    assert floor.say("DDEATH", device="PTL") == [{"kind": "link.down", "src": "dc1/L1/PTL"}]
    assert floor.say("DDEATH", device="PTL") == []
    floor.say("DBIRTH", device="PTL")
    assert floor.say("NDEATH", wire.metric("bdSeq", 2, wire.UINT64)) == [], "an earlier life's"
    down = floor.say("NDEATH", wire.metric("bdSeq", 3, wire.UINT64))
    assert down == [{"kind": "link.down", "src": src} for src in ("dc1/nodes/L1", "dc1/L1/PTL")]
    assert floor.pick(1, "T") == []
    assert floor.causes == []
    assert floor.requests() == ["spBv1.0/Plant1/NCMD/L1"]


def test_another_life_whose_beginning_is_the_first_that_is_heard_of_it_has_cut_the_devices_off() -> None:
    """The death was lost: a device that does not come back in the new life would pass for one that is there."""
    floor = Floor()
    floor.born(bd_seq=7)
    told_again = floor.say("NBIRTH", wire.metric("bdSeq", 7, wire.INT64))
    assert told_again == [{"kind": "link.up", "src": "dc1/nodes/L1"}], "the same life"
    floor.born(bd_seq=7)
    anew = floor.say("NBIRTH", wire.metric("bdSeq", 8, wire.INT64))
    assert [(record["kind"], record["src"]) for record in anew] == [
        ("link.down", "dc1/nodes/L1"),
        ("link.down", "dc1/L1/PTL"),
        ("link.up", "dc1/nodes/L1"),
    ]


def test_messages_out_of_order_are_put_in_order_over_the_node_and_its_devices() -> None:
    floor = Floor()
    floor.born()
    assert floor.pick(253, "T-3", seq=4) == []
    assert floor.say("NDATA", wire.metric(None, 1.0, alias=100, kind=wire.DOUBLE), seq=5) == []
    assert floor.pick(251, "T-1", seq=2) == [picked(251, "T-1")]
    assert [record.get("seq") for record in floor.pick(252, "T-2", seq=3)] == [252, 253, None]
    assert floor.causes == []
    assert floor.pick(254, "T-4", seq=6) == [picked(254, "T-4")]


def test_a_repetition_is_one_message() -> None:
    floor = Floor()
    floor.born()
    assert len(floor.pick(251, "T-1", seq=2)) == 1
    assert floor.pick(251, "T-1", seq=2) == []
    assert len(floor.pick(252, "T-2", seq=3)) == 1


@pytest.mark.parametrize("missing", [1, 64, 127, 128, 150, 254])
def test_however_many_are_missing_it_is_a_gap_and_an_older_message_is_none(missing: int) -> None:
    floor = Floor(reorder_ms=2_000, commands=False)
    floor.born()
    at_ms = 1_750_000_000_000
    floor.pick(251, "T-1", seq=2, timestamp=at_ms)
    assert floor.pick(0, "T-0", seq=200, timestamp=at_ms - 1) == [{**picked(256, "T-0"), "t": at_ms * MS - MS}]
    assert floor.pick(252, "T-2", seq=(3 + missing) % 256, timestamp=at_ms + 5) == []
    found = floor.read(floor.host.tick(floor.now_us + 2_000 * MS))
    assert [record["kind"] for record in found] == ["source.gap", "source.gap", "pick.confirm"]
    assert floor.causes == ["sparkplug: messages are missing"]


@pytest.mark.parametrize("wbits", [zlib.MAX_WBITS, 16 + zlib.MAX_WBITS], ids=["DEFLATE", "GZIP"])
def test_payloads_are_read_that_eclipse_tahu_compresses(wbits: int) -> None:
    def compressed(payload: bytes) -> bytes:
        packer = zlib.compressobj(wbits=wbits)
        body = packer.compress(payload) + packer.flush()
        return (
            wire.part(4, b"SPBV1.0_COMPRESSED") + wire.part(5, body) + wire.part(2, wire.metric("algorithm", "X", 12))
        )

    birth = wire.payload(wire.metric("n", 7, wire.UINT8), seq=3)
    assert decode(compressed(birth)) == decode(birth)
    long = wire.payload(wire.metric("s", "x" * 300_000, wire.STRING))
    for body, why in [
        (compressed(long), "longer than 262144 bytes"),
        (compressed(compressed(birth)), "inside of a compressed one"),
        (wire.part(4, b"SPBV1.0_COMPRESSED"), "does not end"),
        (wire.part(4, b"SPBV1.0_COMPRESSED") + wire.part(5, b"no zip"), "cannot be read"),
    ]:
        with pytest.raises(SparkplugFault, match=why):
            decode(body)
    assert len(decode(compressed(long), len(long))[2]) == 1
    with pytest.raises(SparkplugFault, match="longer"):
        decode(compressed(long), len(long) - 1)


@pytest.mark.parametrize("end", ["NBIRTH", "NDEATH", "the connection's"])
def test_what_waits_when_a_life_ends_is_taken_with_a_gap_before_it(end: str) -> None:
    floor = Floor()
    floor.born()
    floor.pick(251, "T-1", seq=2)
    heard = floor.now_us
    assert floor.pick(253, "T-3", seq=4) == []
    assert floor.pick(255, "T-5", seq=6) == []
    if end == "the connection's":
        found = floor.read(floor.host.cut_off(floor.now_us))
    else:
        found = floor.say(end, wire.metric("bdSeq", 8 if end == "NBIRTH" else 7, wire.INT64))
    assert [record["kind"] for record in found[:6]] == ["source.gap", "source.gap", "pick.confirm"] * 2
    assert found[0]["t_from"] == heard
    assert [found[2], found[5]] == [picked(253, "T-3"), picked(255, "T-5")]
    assert floor.causes == ["sparkplug: messages are missing"] * 2
    ends = {"NBIRTH": ["link.down"] * 2 + ["link.up"], "NDEATH": ["link.down"] * 2, "the connection's": []}
    assert [record["kind"] for record in found[6:]] == ends[end]
    assert floor.requests() == (["spBv1.0/Plant1/NCMD/L1"] if end == "the connection's" else [])
    assert floor.read(floor.host.tick(floor.now_us + 10_000 * MS)) == []


def test_the_number_goes_round_without_a_gap() -> None:
    floor = Floor()
    floor.born()
    for turn in range(600):
        assert len(floor.pick((251 + turn) % 256, f"T-{turn}")) == 1
    assert floor.causes == []


def test_rebirths_are_asked_for_at_most_so_often() -> None:
    floor = Floor(rebirth_ms=10_000)
    for _ in range(20):
        floor.pick(1, "T")
        floor.requests()
    assert floor.requests() == []
    floor.now_us += 10_000 * MS
    assert floor.requests() == ["spBv1.0/Plant1/NCMD/L1"]
    floor.now_us += 10_000 * MS
    floor.born()
    assert floor.requests() == []
    mute = Floor(commands=False)
    mute.pick(1, "T")
    assert mute.requests() == []


def test_the_command_is_what_the_specification_says() -> None:
    floor = Floor()
    floor.pick(1, "T")
    (request,) = floor.host.requests(floor.now_us)
    timestamp, seq, metrics = decode(request.payload)
    assert (timestamp, seq) == (floor.now_us // MS, None)
    assert metrics == [("Node Control/Rebirth", None, floor.now_us // MS, wire.BOOLEAN, False, False, 14, True)]
    assert (request.qos, request.retained) == (0, False)


def test_an_unknown_alias_or_device_asks_for_a_birth() -> None:
    floor = Floor()
    floor.born()
    assert floor.say("DDATA", wire.metric(None, 1, alias=77, kind=wire.UINT8), device="PTL") == []
    assert floor.say("DDATA", wire.metric(None, 1.0, alias=100, kind=wire.DOUBLE), device="PTL") == []
    assert floor.say("DDATA", wire.metric("X", 1, wire.UINT8), device="OTHER") == []
    assert floor.causes == [
        "sparkplug: an alias without a birth",
        "sparkplug: an alias without a birth",
    ]
    assert floor.requests() == ["spBv1.0/Plant1/NCMD/L1"]


def test_a_metric_that_is_named_needs_no_birth() -> None:
    """Some nodes name in their data what their births leave out, or call otherwise: nothing else of the message is lost
    for that. They are asked once what else there is, and not again after births that leave it out again."""
    floor = Floor()
    floor.born()
    told = (wire.metric("Pick/Count", 251, wire.UINT8), wire.metric("Pick/Task", "T-1", wire.STRING))
    news = wire.metric("New", -1, wire.INT8)
    assert floor.say("DDATA", *told, news, device="PTL") == [picked(251, "T-1", 1)]
    assert floor.requests() == ["spBv1.0/Plant1/NCMD/L1"]
    floor.born()
    floor.now_us += 3_600_000 * MS
    floor.say("DDATA", news, device="PTL")
    assert (floor.requests(), floor.causes) == ([], [])
    no_name = wire.part(1, b"") + wire.metric(None, 252, alias=1, kind=wire.UINT8)
    assert floor.say("DDATA", no_name, device="PTL") == [picked(252, "T-0", 1)], "an empty name beside an alias is none"


def test_what_is_named_without_a_birth_is_bounded_too() -> None:
    floor = Floor(metrics_max=20)
    floor.born()
    for number in range(100):
        floor.say("DDATA", wire.metric(f"New {number}", 1, wire.UINT8), device="PTL")
    assert "sparkplug: more than 20 metrics" in floor.causes
    device = floor.host._nodes["Plant1", "L1"].devices["PTL"]
    assert len(device.types) <= 20 and len(device.values) <= 20
    floor.causes.clear()
    floor.born()
    floor.say("DDATA", wire.metric("New", 1, wire.UINT8), device="PTL")
    assert floor.causes == [], "a birth forgets them"


def test_devices_of_a_node_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "DEVICES_MAX", 3)
    floor = Floor()
    floor.born()
    for number in range(5):
        floor.say("DBIRTH", wire.metric("m", 1, wire.UINT8), device=f"D-{number}")
    assert floor.causes, "it is said"
    assert set(floor.causes) == {"sparkplug: more than 3 devices of one node"}
    assert len(floor.host._nodes["Plant1", "L1"].devices) == 3


def test_aliases_are_those_of_the_last_birth_and_one_of_a_metric() -> None:
    floor = Floor()
    floor.born()
    for birth in range(1, 9):
        metrics = [
            wire.metric(f"m{n}", 1, wire.UINT8, alias=1_000 * birth + 10 * n + m) for n in range(5) for m in (0, 1)
        ]
        floor.say("DBIRTH", *metrics, device="PTL")
    assert len(floor.host._nodes["Plant1", "L1"].devices["PTL"].aliases) == 5
    for alias in (1, 7_001, 8_000):
        floor.say("DDATA", wire.metric(None, 1, alias=alias, kind=wire.UINT8), device="PTL")
    assert floor.causes == ["sparkplug: an alias without a birth"] * 3
    floor.say("DDATA", wire.metric(None, 1, alias=8_001, kind=wire.UINT8), device="PTL")
    assert len(floor.causes) == 3


def test_several_values_of_a_metric_in_one_message_are_several_records() -> None:
    floor = Floor()
    floor.born()
    metrics = []
    for count, task in ((251, "T-1"), (252, "T-2"), (253, "T-3")):
        time = 1_750_000_000_000 + count
        metrics.append(wire.metric(None, count, alias=1, kind=wire.UINT8, timestamp=time))
        metrics.append(wire.metric(None, task, alias=2, kind=wire.STRING, timestamp=time))
    found = floor.say("DDATA", *metrics, device="PTL")
    assert [(each["seq"], each["task"], each.get("sub", 0), each["t"] % 1_000_000) for each in found] == [
        (251, "T-1", 0, 251_000),
        (252, "T-2", 1, 252_000),
        (253, "T-3", 2, 253_000),
    ]


def test_values_out_of_a_buffer_are_history_and_do_not_say_how_things_stand() -> None:
    floor = Floor()
    floor.born()
    old = [
        wire.metric(None, 251, alias=1, kind=wire.UINT8, historical=True, timestamp=5),
        wire.metric(None, 8, alias=4, kind=wire.INT32, historical=True, timestamp=5),
    ]
    assert floor.say("DDATA", *old, device="PTL") == [picked(251, "T-0", 8, hist=True, t=5_000)]
    assert floor.pick(252, "T-2") == [picked(252, "T-2", 1)]


def test_a_birth_tells_what_changed_meanwhile_and_repeats_nothing() -> None:
    floor = Floor()
    floor.born()
    floor.pick(251, "T-1")
    floor.born()
    assert floor.causes == []
    again = floor.say(
        "DBIRTH",
        wire.metric("Pick/Count", 252, wire.UINT8, alias=9),
        wire.metric("Pick/Task", "T-9", wire.STRING),
        wire.metric("Pick/SKU", "S", wire.STRING),
        wire.metric("Pick/Qty", 3, wire.INT32),
        device="PTL",
    )
    assert again[1:] == [picked(252, "T-9", 3)]


def test_null_and_missing_timestamps_are_tolerated() -> None:
    floor = Floor()
    floor.born()
    assert floor.say("NDATA", wire.metric(None, None, alias=100)) == []
    (record,) = floor.say("NDATA", wire.metric(None, 3.0, alias=100, kind=wire.DOUBLE), timestamp=None)
    assert "t" not in record


def dataset(column: str, value: int, datatype: int) -> bytes:
    """One column, one row."""
    columns = wire.number(1, 1) + wire.part(2, column.encode()) + wire.number(3, datatype)
    return columns + wire.part(4, wire.part(1, wire.number(1, value)))


TABLED = {**HEAT, "record": {"src": {"const": "n"}, "qty": "Temperature", "task": "Rows[0].a"}}


def test_a_path_leads_into_a_dataset() -> None:
    floor = Floor(TABLED)
    table = wire.metric("Rows", dataset("a", 5, wire.UINT8), 16)
    floor.say("NBIRTH", wire.metric("Temperature", 1, wire.UINT8), table)
    (record,) = floor.say("NDATA", wire.metric("Temperature", 7, wire.UINT8))
    assert (record["qty"], record["task"]) == (7, "5")


@pytest.mark.parametrize("datatype", [0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
def test_datatypes_that_there_are_not_leave_a_value_as_it_stands(datatype: int) -> None:
    floor = Floor(TABLED)
    strange = wire.metric("Temperature", 1, kind=wire.UINT8) + wire.number(4, datatype)
    floor.say("NBIRTH", strange, wire.metric("Rows", dataset("a", 5, datatype), 16))
    (record,) = floor.say("NDATA", wire.metric("Temperature", 7, kind=wire.UINT8))
    assert (record["qty"], record["task"], floor.causes) == (7, "5", [])


@pytest.mark.parametrize(
    ("topic", "raw", "cause"),
    [
        ("spBv1.0/Plant1/NDATA/L1/PTL", b"", "sparkplug: not a topic of the namespace"),
        ("spBv1.0/Plant1/DDATA/L1", b"", "sparkplug: not a topic of the namespace"),
        ("spBv1.0/Plant1/NONSENSE/L1", b"", "sparkplug: not a topic of the namespace"),
        ("spBv1.0/Plant1/NBIRTH/L1", b"\xff", "sparkplug: a field that cannot be read"),
        ("spBv1.0/Plant1/NBIRTH/L1", wire.payload(seq=256), "sparkplug: a sequence number above 255"),
        ("spBv1.0/Plant1/NBIRTH/L9", wire.payload(seq=0), "sparkplug: more than 1 nodes"),
        (
            "spBv1.0/Plant1/NBIRTH/L1",
            wire.payload(*(wire.metric(f"m{n}", 1, wire.UINT8) for n in range(20)), seq=0),
            "sparkplug: more than 10 metrics",
        ),
    ],
)
def test_what_cannot_be_followed_is_a_fault(topic: str, raw: bytes, cause: str) -> None:
    floor = Floor(nodes_max=1, metrics_max=10)
    floor.say("NBIRTH")
    assert floor.host.message(topic, raw, T0) == ([], [cause])


def test_what_hosts_say_is_passed_over() -> None:
    floor = Floor()
    for topic in ("spBv1.0/Plant1/NCMD/L1", "spBv1.0/Plant1/DCMD/L1/PTL", "spBv1.0/STATE/other"):
        assert floor.host.message(topic, b"", T0) == ([], [])


def test_our_own_state_is_told_again_where_somebody_says_otherwise() -> None:
    floor = Floor(host_id="sortline")
    floor.host.opening(T0)
    assert floor.host.state(False) == (
        "spBv1.0/STATE/sortline",
        b'{"online":false,"timestamp":%d}' % (T0 // MS),
        1,
        True,
    )
    for harmless in (floor.host.state(True).payload, b'{"online":false,"timestamp":1}'):
        floor.host.message("spBv1.0/STATE/sortline", harmless, T0)
        assert floor.host.requests(T0) == []
    for wrong in (floor.host.state(False).payload, b"OFFLINE", b"\xff"):
        floor.host.message("spBv1.0/STATE/sortline", wrong, T0)
        assert floor.host.requests(T0) == [floor.host.state(True)]
        assert floor.host.requests(T0) == []


def test_nodes_of_sparkplug_2_2_are_told_in_their_words() -> None:
    floor = Floor(host_id="sortline", host_version="2.2")
    floor.host.opening(T0)
    assert floor.host.state(True) == ("STATE/sortline", b"ONLINE", 1, True)
    assert floor.host.state(False) == ("STATE/sortline", b"OFFLINE", 1, True)
    assert floor.host.message("STATE/sortline", b"ONLINE", T0) == ([], [])
    assert floor.host.requests(T0) == []
    floor.host.message("STATE/sortline", b"OFFLINE", T0)
    assert floor.host.requests(T0) == [floor.host.state(True)]


def test_after_an_outage_of_ours_every_node_is_asked_and_the_dead_stay_dead() -> None:
    floor = Floor()
    floor.born()
    assert floor.read(floor.host.reconnected(floor.now_us)) == []
    assert floor.requests() == ["spBv1.0/Plant1/NCMD/L1"]
    assert floor.pick(251, "T-1", seq=200) == [picked(251, "T-1")], "we do not know what we did not hear"
    floor.say("NDEATH", wire.metric("bdSeq", 7, wire.INT64))
    down = floor.read(floor.host.reconnected(floor.now_us))
    assert [(record["kind"], record["src"]) for record in down] == [
        ("link.down", "dc1/nodes/L1"),
        ("link.down", "dc1/L1/PTL"),
    ]


def test_payloads_of_another_implementation() -> None:
    told = json.loads(vectors("sparkplug", "payloads_base64.json").read_text())
    raw = {name: base64.b64decode(each["base64"]) for name, each in told.items()}
    floor = Floor(HEAT, reorder_ms=1_000, rebirth_ms=1_000)

    def hear(name: str, type_: str) -> list[Any]:
        floor.now_us += 100_000
        return floor.read(floor.host.message(f"spBv1.0/Plant1/{type_}/L1", raw[name], floor.now_us))

    assert hear("NDATA_BEFORE_BIRTH", "NDATA") == []
    assert floor.causes == []
    assert floor.requests() == ["spBv1.0/Plant1/NCMD/L1"]
    assert [record["kind"] for record in hear("NBIRTH_V1", "NBIRTH")] == ["link.up", "telemetry", "telemetry"]
    assert [record["qty"] for record in hear("NDATA_V1", "NDATA")] == [225]
    assert hear("NDATA_GAP", "NDATA") == []
    floor.now_us += 1_000_000
    assert [record["kind"] for record in floor.read(floor.host.tick(floor.now_us))] == ["source.gap"]
    assert floor.requests() == ["spBv1.0/Plant1/NCMD/L1"]
    late = floor.read(floor.host.tick(floor.now_us + 1_000_000))
    assert [record["qty"] for record in late] == [270], "no birth is told"
    assert hear("NDEATH_V1", "NDEATH") == [], "of another life: its bdSeq is 0, the birth's 88"
    assert [record["kind"] for record in hear("NBIRTH_LARGE", "NBIRTH")] == ["link.up"]


def test_a_production_trace_loses_nothing_but_what_is_missing() -> None:
    """Every message of the trace, with its real number: a birth before, then what a host makes of the order."""
    text = vectors("sparkplug", "production_sequence.csv").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    told = [row for row in csv.DictReader(lines) if row["seq"]]
    nodes = {row["edge_node_id"] for row in told}
    record = {"src": {"template": "dc1/{node}/{device}"}, "kind": {"const": "telemetry"}}
    entries = [
        {"filter": "org_A/+node/+device", "trigger": "m", "record": record},
        {"filter": "org_A/+node", "trigger": "m", "record": {**record, "src": {"template": "dc1/{node}"}}},
    ]
    table: dict[str, Any] = {"groups": ["org_A"], "records": entries, "reorder_ms": 500, "commands": False}
    host = Host(msgspec.convert(table, Sparkplug), Sequences(lambda src: None))
    metric = wire.metric("m", 1, wire.UINT8)
    for node in sorted(nodes):
        first = next(row for row in told if row["edge_node_id"] == node)
        before = {row["device_id"] for row in told if row["edge_node_id"] == node and row["device_id"]}
        seq = (int(first["seq"]) - len(before) - 1) % 256
        host.message(f"spBv1.0/org_A/NBIRTH/{node}", wire.payload(metric, seq=seq), T0)
        for number, device in enumerate(sorted(before), seq + 1):
            host.message(f"spBv1.0/org_A/DBIRTH/{node}/{device}", wire.payload(metric, seq=number % 256), T0)
    found, causes = 0, []
    for row in told:
        now = T0 + int(float(row["timestamp"]) * 1_000_000)
        more = [host.tick(now), host.message(row["topic"], wire.payload(metric, seq=int(row["seq"])), now)]
        for each in more:
            found += sum(json.loads(line)["kind"] == "telemetry" for line in each.lines)
            causes += each.causes
    last = host.tick(now + 10_000_000)
    found += sum(json.loads(line)["kind"] == "telemetry" for line in last.lines)
    causes += last.causes
    assert found == len(told)
    assert set(causes) <= {"sparkplug: messages are missing"}
    assert len(causes) == 16


@pytest.mark.parametrize(
    ("table", "where", "says"),
    [
        ({"records": [{**PICKS, "filter": "Plant1/#all"}]}, "records[0].filter", "group/node"),
        ({"records": [{**PICKS, "filter": "Plant2/+line/+device"}]}, "records[0].filter", "groups"),
        ({"records": [{**PICKS, "filter": "Plant1/+x/+device"}]}, "records[0].record.src.template", "line"),
        ({"groups": ["a/b"]}, "groups[0]", ""),
        ({"nodes": ["Plant2/L1"]}, "nodes[0]", "groups"),
    ],
)
def test_faults_of_a_section(table: dict[str, Any], where: str, says: str) -> None:
    full = {"host": "localhost", "sparkplug": {"groups": ["Plant1"], "records": [PICKS], **table}}
    found = {fault.path: fault.message for fault in check(full, Settings)}
    assert says in found[f"sparkplug.{where}"]


def test_a_source_may_have_sparkplug_alone_and_says_what_goes_blind() -> None:
    table = {"host": "localhost", "sparkplug": {"groups": ["Plant1"], "records": [HEAT]}}
    assert check(table, Settings) == []
    assert msgspec.convert(table, Settings).scopes() == ["dc1/nodes/"]
    assert [fault.path for fault in check({"host": "localhost"}, Settings)] == ["topics"]
    topic = {"filter": "#all", "format": "canonical", "constants": {"src": "a"}}
    assert [fault.path for fault in check({**table, "topics": [topic]}, Settings)] == ["topics[0].filter"]
