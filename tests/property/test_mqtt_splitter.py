"""Any cut of a broker's bytes gives the same packets; no bytes make it fail in another way than by saying so."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.mqtt_wire import TOPIC_ALIASES, Splitter, WireFault, properties_of
from tests.packets import Publish, connack, correlation, packet, suback, text, topic_alias, user_property
from tests.vectors import vectors

PAYLOAD_MAX = 200_000
HEAD_MAX = 81_920
SAMPLE_MAX = 4_096

Found = list[tuple[object, ...]]


def split(pieces: Iterable[bytes], newest: bool, payload_max: int = PAYLOAD_MAX) -> Found:
    """All packets of the pieces, each read as a socket would: into what room there is."""
    splitter = Splitter(newest=newest, payload_bytes_max=payload_max)
    found: Found = []
    for piece in pieces:
        while piece:
            room = splitter.room()
            count = min(len(room), len(piece))
            room[:count] = piece[:count]
            splitter.filled(count)
            found += splitter.packets()
            piece = piece[count:]
    return found


def byte_by_byte(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 1] for at in range(len(data)))


def cut(data: bytes, places: list[int]) -> list[bytes]:
    at = sorted({place % (len(data) + 1) for place in places})
    return [data[start:end] for start, end in zip([0, *at], [*at, len(data)], strict=True)]


def expected(message: Publish, payload_max: int = PAYLOAD_MAX) -> tuple[object, ...]:
    first = message.qos << 1 | message.retained
    return (
        *(3, first, message.topic, message.properties, message.payload, len(message.payload)),
        *(message.number, message.duplicate),
    )


PROPERTIES = st.lists(
    st.one_of(
        st.builds(user_property, st.binary(max_size=5), st.binary(max_size=5)),
        st.builds(correlation, st.binary(max_size=9)),
        st.sampled_from([b"\x01\x01", b"\x02\0\0\0\x3c", b"\x0b\x85\x01", b"\x03" + text(b"text/plain"), b"\x08\0\0"]),
    ),
    max_size=4,
).map(b"".join)
MESSAGES = st.builds(
    lambda topic, payload, qos, number, retained, duplicate, properties: Publish(
        topic, payload, qos, number if qos else 0, retained, duplicate, properties
    ),
    st.binary(min_size=1, max_size=30),
    st.binary(max_size=40) | st.integers(100, 20_000).map(bytes),
    st.sampled_from([0, 1, 2]),
    st.integers(1, 65_535),
    st.booleans(),
    st.booleans(),
    PROPERTIES,
)
CONTROL = st.sampled_from([(2, 0, b"\0\0\0"), (9, 0, b"\0\1\0\1"), (13, 0, b""), (4, 0, b"\0\7"), (14, 0, b"\x8b\0")])


@given(st.lists(MESSAGES | CONTROL, max_size=8), st.booleans(), st.lists(st.integers(0, 10**6), max_size=12))
def test_any_cut_gives_the_same_packets(
    traffic: list[Publish | tuple[int, int, bytes]], newest: bool, places: list[int]
) -> None:
    data, wanted = b"", []
    for each in traffic:
        if isinstance(each, Publish):
            message = each if newest else each._replace(properties=b"")
            data += message.wire(newest)
            wanted.append(expected(message))
        else:
            data += packet(each[0] << 4 | each[1], each[2])
            wanted.append(each)
    assert split([data], newest) == wanted
    assert split(byte_by_byte(data[:5_000]), newest) == split([data[:5_000]], newest)
    assert split(cut(data, places), newest) == wanted


@settings(max_examples=300)
@given(st.binary(max_size=300), st.booleans(), st.lists(st.integers(0, 10**6), max_size=6))
def test_any_bytes_are_packets_or_a_fault_wherever_they_are_cut(data: bytes, newest: bool, places: list[int]) -> None:
    def outcome(pieces: Iterable[bytes]) -> object:
        splitter = Splitter(newest=newest, payload_bytes_max=50)
        found: Found = []
        try:
            for piece in pieces:
                splitter.room()[: len(piece)] = piece
                splitter.filled(len(piece))
                # one at a time, so that what came before a fault counts wherever the cut is
                found += splitter.packets()
        except WireFault as fault:
            return str(fault)
        return found

    whole = outcome([data])
    assert outcome(byte_by_byte(data)) == whole
    assert outcome(cut(data, places)) == whole


@pytest.mark.parametrize("newest", [True, False])
@pytest.mark.parametrize("payload_max", [10, 5_000, PAYLOAD_MAX])
@pytest.mark.parametrize("over", [-1, 0, 1, 5_000, 400_000, 3_000_000])
def test_a_payload_that_is_too_long_is_cut_and_costs_no_memory(newest: bool, payload_max: int, over: int) -> None:
    topic = b"dc1/pick/PTL-01/evt"
    long = Publish(topic, bytes(max(0, payload_max + HEAD_MAX + over)), 1, 7)
    after = Publish(topic, b"after", 1, 8)
    splitter = Splitter(newest=newest, payload_bytes_max=payload_max)
    data = memoryview(after.wire(newest) + long.wire(newest) + after.wire(newest))
    found: Found = []
    while data:
        room = splitter.room()
        count = min(len(room), len(data), 60_000)
        room[:count] = data[:count]
        splitter.filled(count)
        found += splitter.packets()
        data = data[count:]
    assert splitter.capacity_bytes <= 2 * (payload_max + HEAD_MAX) + 524_288
    first, cut_one, last = found
    assert first == last == expected(after)
    payload = cut_one[4]
    assert isinstance(payload, bytes)
    assert cut_one[5] == len(long.payload)
    assert cut_one[6] == 7
    whole = len(long.payload) + len(topic) + 4 + newest <= payload_max + HEAD_MAX
    assert len(payload) == len(long.payload) if whole else SAMPLE_MAX <= len(payload) <= HEAD_MAX + SAMPLE_MAX


def test_properties_that_are_too_long_are_not_kept_and_cost_nobody_the_connection() -> None:
    much = user_property(b"n", b"v" * 60_000) * 3
    data = Publish(b"t", b"payload", 1, 3, properties=much).wire(True) + Publish(b"t", b"x").wire(True)
    (first, second) = split([data], newest=True, payload_max=100)
    assert first[2:4] == (b"t", None)
    assert first[6] == 3
    assert second == expected(Publish(b"t", b"x"))


def test_a_topic_alias_stands_for_the_topic_that_came_with_it() -> None:
    messages = [
        Publish(b"a/b", b"1", properties=topic_alias(1)),
        Publish(b"", b"2", properties=topic_alias(1)),
        Publish(b"c", b"3", properties=topic_alias(TOPIC_ALIASES)),
        Publish(b"d", b"4", properties=user_property(b"x", b"y") + topic_alias(1)),
        Publish(b"", b"5", properties=topic_alias(1)),
        Publish(b"t" * 2_000, b"6", properties=topic_alias(2)),
        Publish(b"", b"7", properties=topic_alias(2)),
    ]
    data = b"".join(message.wire(True) for message in messages)
    for pieces in ([data], list(byte_by_byte(data))):
        topics = [found[2] for found in split(pieces, newest=True)]
        assert topics == [b"a/b", b"a/b", b"c", b"d", b"d", b"t" * 2_000, None]


@pytest.mark.parametrize(
    ("data", "newest", "says"),
    [
        (b"\x30\xff\xff\xff\xff\x01", True, "length"),
        (b"\x36\x05\0\1a\0\1", False, "quality of service"),
        (b"\x30\x01\0", False, "without a topic"),
        (b"\x30\x02\0\0", False, "without a topic"),
        (b"\x30\x03\0\x05a", False, "over its end"),
        (b"\x32\x03\0\1a", False, "over its end"),
        (b"\x32\x05\0\1a\0\0", False, "without a number"),
        (b"\x30\x03\0\1a", True, "length of properties"),
        (b"\x30\x05\0\1a\x09\0", True, "length of properties"),
        (b"\x30\x06\0\1a\x02\x7f\0", True, "cannot be read"),
        (b"\x30\x06\0\1a\x02\x26\0", True, "cannot be read"),
        (Publish(b"", b"", properties=topic_alias(1)).wire(True), True, "never set"),
        (Publish(b"a", b"", properties=topic_alias(0)).wire(True), True, "alias"),
        (Publish(b"a", b"", properties=topic_alias(TOPIC_ALIASES + 1)).wire(True), True, "alias"),
        (Publish(b"a", b"", properties=topic_alias(1) * 2).wire(True), True, "two topic aliases"),
        (b"\x20\xff\xff\xff\x7f", True, "too long"),
    ],
)
def test_what_is_no_mqtt_is_named(data: bytes, newest: bool, says: str) -> None:
    with pytest.raises(WireFault, match=says):
        split([data], newest)
    with pytest.raises(WireFault, match=says):
        split(byte_by_byte(data), newest)


def test_more_than_there_was_room_for_is_refused() -> None:
    splitter = Splitter(newest=True, payload_bytes_max=10)
    room = len(splitter.room())
    with pytest.raises(ValueError, match="room"):
        splitter.filled(room + 1)


def test_properties_are_read_by_kind() -> None:
    block = user_property(b"line", b"L1") + correlation(b"\0\xff") + b"\x02\0\0\1\0" + b"\x0b\x80\x01" + b"\x01\x01"
    assert properties_of(block) == [(0x26, (b"line", b"L1")), (9, b"\0\xff"), (2, 256), (11, 128), (1, 1)]
    with pytest.raises(WireFault):
        properties_of(block[:-1])


def streams(path: Path) -> list[bytes]:
    """What each side of each TCP connection of a capture (pcap, Ethernet, IPv4) says, in the order of the capture."""
    data, at = path.read_bytes(), 24
    said: defaultdict[tuple[bytes, bytes], bytes] = defaultdict(bytes)
    while at < len(data):
        length = struct.unpack("<IIII", data[at : at + 16])[2]
        frame = data[at + 16 : at + 16 + length]
        at += 16 + length
        ip = frame[14:]
        tcp = ip[(ip[0] & 15) * 4 : int.from_bytes(ip[2:4], "big")]
        said[ip[12:20], tcp[:4]] += tcp[(tcp[12] >> 4) * 4 :]
    return list(said.values())


def test_a_real_capture_is_split_the_same_wherever_it_is_cut() -> None:
    captures = sorted(vectors("pcap", "mqtt").glob("*.pcap"))
    assert captures
    for path in captures:
        messages = []
        for stream in streams(path):
            whole = split([stream], newest=False)
            assert whole
            assert split(byte_by_byte(stream), newest=False) == whole
            for size in (2, 3, 7, 31):
                assert split([stream[at : at + size] for at in range(0, len(stream), size)], newest=False) == whole
            messages += [found[4] for found in whole if found[0] == 3]
        assert messages
        if path.name == "mqtt.pcap":
            assert messages.count(b"Hello MQTT") == 2
            assert b"Hello from the Paho blocking client" in messages


def test_answers_of_a_broker_come_through() -> None:
    data = connack(True, properties=b"\x13\0\x0a") + suback(True, b"\0\1", [1, 0x87])
    assert split([data], newest=True) == [(2, 0, b"\0\0\x03\x13\0\x0a"), (9, 0, b"\0\1\0\1\x87")]
