"""Topics and payloads of MQTT, without any network; and what `check` says about an MQTT source."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config.walk import check
from engine.errors import Refused
from engine.tls import Tls, is_loopback
from protocols.file_lines.decode import Decoder as LineDecoder
from protocols.file_lines.settings import Settings as LineSettings
from protocols.mapping.sequence import Sequences
from protocols.mqtt.decode import Decoder
from protocols.mqtt.settings import Settings
from protocols.mqtt.sparkplug.host import Host
from protocols.mqtt.sparkplug.settings import Sparkplug
from protocols.mqtt.topics import TopicFault, overlap, parse_filter
from protocols.redis_stream.decode import Decoder as EntryDecoder
from protocols.redis_stream.settings import Settings as EntrySettings
from tests import sparkplug as wire

T_RX = 1_795_420_812_400_000
JAMS: dict[str, Any] = {
    "filter": "dc1/+area/+device/jam",
    "record": {
        "src": {"template": "dc1/{area}/{device}"},
        "kind": {"const": "jam"},
        "state": {"path": "on", "table": {"true": "set", "false": "clear"}},
    },
}
LAMPS: dict[str, Any] = {
    "filter": "lamps/#lamp",
    "format": "text",
    "constants": {"kind": "machine.state"},
    "record": {"src": {"template": "dc1/lamps/{lamp}"}, "state": "."},
}


def decoder(*topics: dict[str, Any], **more: Any) -> Decoder:
    settings = msgspec.convert({"host": "localhost", "topics": list(topics), **more}, Settings)
    return Decoder(settings, Sequences(lambda src: None))


def faults(*topics: dict[str, Any], **more: Any) -> dict[str, str]:
    table = {"host": "localhost", "topics": list(topics), **more}
    return {fault.path: fault.message for fault in check(table, Settings)}


@pytest.mark.parametrize(
    ("text", "topic", "captures"),
    [
        ("dc1/+area/+device/evt", "dc1/pick/A/evt", {"area": "pick", "device": "A"}),
        ("dc1/+area/+device/evt", "dc1/pick//evt", {"area": "pick", "device": ""}),
        ("dc1/+area/+device/evt", "dc1/pick/evt", None),
        ("dc1/+area/+device/evt", "dc1/pick/A/evt/x", None),
        ("dc1/+/+device", "dc1/pick/A", {"device": "A"}),
        ("dc1/#rest", "dc1/a/b/c", {"rest": "a/b/c"}),
        ("dc1/#rest", "dc1", {"rest": ""}),
        ("#", "a/b", {}),
        ("#all", "$SYS/broker/uptime", None),
        ("+a/broker/uptime", "$SYS/broker/uptime", None),
        ("a/b", "a/b", {}),
        ("a/b", "a/B", None),
    ],
)
def test_a_filter_matches_and_captures(text: str, topic: str, captures: dict[str, str] | None) -> None:
    assert parse_filter(text).match(topic) == captures


@pytest.mark.parametrize(
    "text", ["a/#/b", "a/b+", "a+", "a/#b/c", "$SYS/#", "$share/g/a", "+x/+x", "+a-b", "a\0", "a/" * 70]
)
def test_filters_that_cannot_be(text: str) -> None:
    with pytest.raises(TopicFault):
        parse_filter(text)


def test_the_wire_has_no_names() -> None:
    assert parse_filter("dc1/+area/x/+/#rest").wire == "dc1/+/x/+/#"


LEVELS = st.lists(st.sampled_from(["a", "b", "+"]), min_size=1, max_size=3)
FILTERS = st.builds(lambda levels, end: "/".join([*levels, "#"] if end else levels), LEVELS, st.booleans())


@given(FILTERS, FILTERS)
def test_overlap_is_a_topic_that_both_match(one: str, other: str) -> None:
    left, right = parse_filter(one), parse_filter(other)
    topics = ("/".join(levels) for count in range(1, 5) for levels in product("abc", repeat=count))
    both = any(left.match(topic) is not None and right.match(topic) is not None for topic in topics)
    assert overlap(left, right) == overlap(right, left) == both


def test_a_message_becomes_a_line_by_its_topic() -> None:
    made = decoder(JAMS, LAMPS)
    found = made.decode("dc1/conveyor/CV-01/jam", b'{"on":true}', T_RX)
    assert found.causes == []
    assert found.lines == [b'{"kind":"jam","src":"dc1/conveyor/CV-01","state":"set","t_rx":1795420812400000}']
    (line,) = made.decode("lamps/a/b", b" on\n", T_RX).lines
    assert json.loads(line) == {"kind": "machine.state", "src": "dc1/lamps/a/b", "state": "on", "t_rx": T_RX}


def test_the_same_filter_may_have_two_meanings() -> None:
    other = {**JAMS, "when": {"x": 1}, "record": {**JAMS["record"], "kind": {"const": "fault"}}}
    found = decoder(JAMS, other).decode("dc1/a/b/jam", b'{"on":false,"x":1}', T_RX)
    assert [json.loads(line)["kind"] for line in found.lines] == ["jam", "fault"]


def test_a_topic_that_nothing_describes_is_named() -> None:
    assert decoder(JAMS).decode("dc1/x", b"{}", T_RX).causes == ["topic: no filter matches"]
    assert decoder(JAMS).decode("x" * 1025, b"{}", T_RX).causes == ["topic: longer than 1024 bytes"]


def test_a_canonical_record_with_a_key_twice_is_refused_whoever_brings_it() -> None:
    """As the core refuses such a line: a parser that keeps the last of the two would hide that there were two."""
    twice = b'{"kind":"order.released","order":"O-1","rev":1,"src":"wms","lines":[{"line":1,"qty":1,"qty":2}]}'
    cause = "payload: a key twice in one object"
    of_mqtt = decoder({"filter": "wms", "format": "canonical"}).decode("wms", twice, T_RX)
    assert (of_mqtt.lines, of_mqtt.causes) == ([], [f"wms: {cause}"])
    of_lines = LineDecoder(LineSettings(path="-"), Sequences(lambda src: None)).decode(twice, T_RX)
    assert (of_lines.lines, of_lines.causes) == ([], [cause])
    of_redis = EntryDecoder(EntrySettings(stream="wms"), Sequences(lambda src: None))
    assert of_redis.decode({b"record": twice}, T_RX) == ([], [cause])


def test_retained_messages_are_passed_over_unless_accepted() -> None:
    assert decoder(JAMS).decode("dc1/a/b/jam", b'{"on":true}', T_RX, retained=True) == ([], [])
    accepting = decoder({**JAMS, "retained": "accept"})
    assert len(accepting.decode("dc1/a/b/jam", b'{"on":true}', T_RX, retained=True).lines) == 1


def test_what_the_broker_kept_of_a_sparkplug_node_is_of_the_past_and_our_own_state_is_not() -> None:
    record = {"src": {"template": "dc1/{node}"}, "kind": {"const": "telemetry"}}
    table = {"groups": ["G"], "host_id": "H", "records": [{"filter": "G/+node", "trigger": "n", "record": record}]}
    host = Host(msgspec.convert(table, Sparkplug), Sequences(lambda src: None))
    host.opening(1_000)
    subject = Decoder(msgspec.convert({"host": "localhost", "topics": []}, Settings), Sequences(lambda src: None), host)

    def said(topic: bytes, payload: bytes, retained: bool) -> list[str]:
        found = subject.spell_out(topic, payload, len(payload), retained, b"", 1, False)
        assert found.causes == []
        return [json.loads(line)["kind"] for line in found.lines]

    birth = wire.payload(wire.metric("n", 1, wire.UINT8), seq=0)
    assert said(b"spBv1.0/G/NBIRTH/N", birth, retained=True) == []
    assert said(b"spBv1.0/G/NBIRTH/N", birth, retained=False) == ["link.up"]
    assert said(b"spBv1.0/STATE/H", b'{"online":false,"timestamp":9}', retained=True) == []
    assert [request.topic for request in host.requests(1)] == ["spBv1.0/STATE/H"], "said again that we are there"


def test_the_payload_limit_holds_at_its_edge() -> None:
    made = decoder(JAMS, payload_bytes_max=11)
    assert len(made.decode("dc1/a/b/jam", b'{"on":true}', T_RX).lines) == 1
    assert made.decode("dc1/a/b/jam", b'{"on":true} ', T_RX).causes == ["dc1/+/+/jam: payload: longer than 11 bytes"]


@given(st.text(max_size=30), st.binary(max_size=60), st.booleans())
def test_any_message_is_lines_or_causes(topic: str, payload: bytes, retained: bool) -> None:
    made = decoder({**JAMS, "filter": "+area/#device"}, payload_bytes_max=50)
    for name in (topic, "a/b"):
        found = made.decode(name, payload, T_RX, retained)
        assert all(json.loads(line)["kind"] == "jam" for line in found.lines)


def test_a_good_source_has_no_faults_and_knows_what_goes_blind() -> None:
    assert faults(JAMS, LAMPS) == {}
    picks = {"filter": "a", "record": {**JAMS["record"], "src": {"template": "dc1/pick/{.dev}"}}}
    scale = {"filter": "b", "record": {**JAMS["record"], "src": {"const": "dc1/pack/SCL-01"}}}
    settings = msgspec.convert({"host": "localhost", "topics": [picks, picks, scale]}, Settings)
    assert settings.scopes() == ["dc1/pick/", "dc1/pack/SCL-01"]


@pytest.mark.parametrize(
    ("topics", "more", "where", "says"),
    [
        ([{**JAMS, "filter": "dc1/+area/x+device"}], {}, "topics[0].filter", "whole level"),
        ([{**JAMS, "filter": "dc1/+area/x"}], {}, "topics[0].record.src.template", "'device'"),
        ([JAMS, {**JAMS, "filter": "dc1/+area/#device"}], {}, "topics[1].filter", "twice"),
        ([{"filter": "a", "format": "canonical"}], {}, "scope", "src prefixes"),
        ([{**JAMS, "format": "canonical"}], {"scope": ["dc1/"]}, "topics[0].record", "no meaning"),
        ([{**JAMS, "when": {"a..b": 1}}], {}, "topics[0].when.a..b", "not a path"),
        ([JAMS], {"host": "10.0.0.7"}, "tls", "plaintext"),
        ([{**JAMS, "properties": {"area": "user:area"}}], {}, "topics[0].properties.area", "already"),
        ([{**JAMS, "properties": {"x": "user:x"}}], {"version": "3.1.1"}, "topics[0].properties", "MQTT 5"),
        ([{**JAMS, "properties": {"x": "colour"}}], {}, "topics[0].properties.x", "must"),
        ([JAMS], {"share": "a/b"}, "share", "must"),
        ([JAMS], {"will": {"topic": "a/+"}}, "will.topic", "must"),
        ([{**JAMS, "record": {**JAMS["record"], "seq": {"path": "n", "wrap": 256}}}], {"share": "g"}, "share", "wrap"),
        ([JAMS], {"password": {"env": "HOME"}}, "user", "without a user"),
        ([JAMS], {"reconnect_min_ms": 500, "reconnect_max_ms": 100}, "reconnect_max_ms", "500"),
        ([JAMS], {"tls": {"ca": "/nowhere/ca.pem"}}, "tls.ca", "no file"),
        ([JAMS], {"tls": {"private_key": "/nowhere/key.pem"}}, "tls.private_key", "certificate"),
        (
            [{**JAMS, "record": {**JAMS["record"], "seq": {"path": "n", "wrap": 64}}}],
            {"inflight_max": 64},
            "inflight_max",
            "at most 16",
        ),
    ],
)
def test_faults_of_a_source(topics: list[dict[str, Any]], more: dict[str, Any], where: str, says: str) -> None:
    found = faults(*topics, **more)
    assert list(found) == [where]
    assert says in found[where]


@pytest.mark.parametrize(("wraps", "expected"), [([], 4_096), ([256], 64), ([65_536, 100], 25), ([1 << 20], 4_096)])
def test_how_many_messages_may_be_on_their_way(wraps: list[int], expected: int) -> None:
    topics = [{**JAMS, "record": {**JAMS["record"], "seq": {"path": "n", "wrap": wrap}}} for wrap in wraps]
    settings = msgspec.convert({"host": "localhost", "topics": topics or [JAMS]}, Settings)
    assert settings.receive_maximum() == expected
    quiet = [{**topic, "qos": 0} for topic in topics] or [JAMS]
    assert msgspec.convert({"host": "localhost", "topics": quiet}, Settings).receive_maximum() == 4_096
    assert msgspec.convert({"host": "localhost", "topics": [JAMS], "inflight_max": 9}, Settings).receive_maximum() == 9


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    with pytest.raises(Refused, match=r"tls\.ca .*broken\.pem"):
        Tls(ca=str(broken)).context()
    with pytest.raises(Refused, match=r"tls\.certificate .*broken\.pem"):
        Tls(certificate=str(broken)).context()


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False), ("broker", False)],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
