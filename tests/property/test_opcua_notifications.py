"""The readers of OPC UA responses against asyncua's own encoding, against damage, and against real captures."""

from __future__ import annotations

import contextlib
import math
import random
import struct
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary
from hypothesis import given, settings
from hypothesis import strategies as st

from ext.opcua_notifications import (
    FIELDS_MAX,
    NOTIFICATIONS_MAX,
    Items,
    Malformed,
    ordered,
    read_publish,
    read_values,
)
from ext.opcua_values import ELEMENTS_MAX, STRUCTURE_BYTES_MAX, TEXT_BYTES_MAX, Reading
from protocols.opcua.structures import library_value
from tests.opcua_bodies import (
    Guarded,
    changes,
    data_value,
    publish_body,
    read_body,
    read_one,
    republish_body,
)
from tests.opcua_plain import microseconds, plain
from tests.vectors import vectors

NOW = datetime(2026, 11, 27, 8, tzinfo=UTC)
V = ua.VariantType

INTEGERS = {
    V.SByte: (8, True),
    V.Byte: (8, False),
    V.Int16: (16, True),
    V.UInt16: (16, False),
    V.Int32: (32, True),
    V.UInt32: (32, False),
    V.Int64: (64, True),
    V.UInt64: (64, False),
}


def integers(bits: int, signed: bool) -> st.SearchStrategy[int]:
    return st.integers(-(1 << bits - 1), (1 << bits - 1) - 1) if signed else st.integers(0, (1 << bits) - 1)


TEXT = st.text(max_size=12)
NODE_IDS = st.one_of(
    st.builds(ua.NodeId, st.integers(0, (1 << 32) - 1), st.integers(0, 65_535)),
    st.builds(ua.NodeId, st.text(min_size=1, max_size=8), st.integers(0, 9)),
    st.builds(ua.NodeId, st.uuids(), st.integers(0, 9)),
    st.builds(ua.NodeId, st.binary(min_size=1, max_size=8), st.integers(0, 9)),
)

SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    V.Boolean: st.booleans(),
    V.Float: st.floats(width=32),
    V.Double: st.floats(),
    V.String: st.none() | TEXT,
    V.DateTime: st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
    V.Guid: st.uuids(),
    V.ByteString: st.none() | st.binary(max_size=12),
    V.NodeId: NODE_IDS,
    V.StatusCode: st.builds(ua.StatusCode, st.builds(ua.UInt32, st.integers(0, (1 << 32) - 1))),
    V.QualifiedName: st.builds(ua.QualifiedName, TEXT, st.integers(0, 9)),
    V.LocalizedText: st.builds(ua.LocalizedText, st.none() | TEXT, st.none() | TEXT),
    **{kind: integers(*of) for kind, of in INTEGERS.items()},
}
VARIANTS = st.sampled_from(list(SCALARS)).flatmap(
    lambda kind: (
        st.builds(ua.Variant, SCALARS[kind], st.just(kind))
        | st.builds(ua.Variant, st.lists(SCALARS[kind], max_size=5), st.just(kind), is_array=st.just(True))
    )
)
TIMES = st.none() | st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))
STATUSES = st.sampled_from([0, 0, 0, 0x480, 0x40000000, 0x80340000])
DATA_VALUES = st.builds(data_value, st.none() | VARIANTS, STATUSES, TIMES, TIMES)


def expected_value(value: ua.DataValue) -> object:
    if value.StatusCode.value >> 31 or value.Value is None:
        return None
    return plain(value.Value.Value)


def same(got: object, wanted: object) -> bool:
    if isinstance(wanted, list):
        assert isinstance(got, list)
        return len(got) == len(wanted) and all(map(same, got, wanted))
    if isinstance(wanted, float) and math.isnan(wanted):
        return isinstance(got, float) and math.isnan(got)
    return type(got) is type(wanted) and got == wanted


@settings(max_examples=300, deadline=None)
@given(values=st.lists(DATA_VALUES, max_size=6))
def test_values_are_read_as_asyncua_wrote_them(values: list[ua.DataValue]) -> None:
    publish = read_publish(publish_body(changes(*values), subscription=7, number=9, more=True), library_value)
    assert (publish.subscription_id, publish.number, publish.more, publish.numbered) == (7, 9, True, True)
    assert publish.count == len(values)
    _, read = read_values(read_body(*values), library_value)
    for index, (value, (handle, got), again) in enumerate(zip(values, publish.readings(), read, strict=True)):
        assert handle == index + 1
        assert same(got.value, expected_value(value)), (got, value)
        assert same(again.value, got.value)
        assert got.status == value.StatusCode.value
        assert (got.source_us, got.server_us) == (
            microseconds(value.SourceTimestamp),
            microseconds(value.ServerTimestamp),
        )
        assert got.fault is None


@settings(max_examples=60, deadline=None)
@given(fields=st.lists(VARIANTS, max_size=6))
def test_events_are_read_as_asyncua_wrote_them(fields: list[ua.Variant]) -> None:
    event = ua.EventFieldList(ClientHandle=ua.UInt32(3), EventFields=fields)
    publish = read_publish(publish_body(ua.EventNotificationList(Events=[event, event])), library_value)
    for handle, values, fault in publish.events:
        assert (handle, fault) == (3, None)
        assert all(map(same, values, [plain(field.Value) for field in fields]))
    assert len(publish.events) == 2


def test_columns_hold_what_was_sent() -> None:
    sent = [
        data_value(ua.Variant(-5, V.Int16), source=NOW),
        data_value(ua.Variant("abc", V.String), status=0x480),
        data_value(ua.Variant([1, 2, 3], V.UInt32)),
        data_value(None),
    ]
    columns = read_publish(publish_body(changes(*sent, first_handle=7)), library_value).columns()
    assert columns["handle"].tolist() == [7, 8, 9, 10]
    assert columns["status"].tolist() == [0, 0x480, 0, 0]
    assert columns["type"].tolist() == [4, 12, 7, 0]
    assert columns["form"].tolist() == [0, 0, 1, 0]
    assert columns["count"].tolist() == [0, 3, 3, 0]
    assert columns["number"][0] == -5
    assert columns["source_us"].tolist()[:2] == [microseconds(NOW), -(1 << 63)]


def test_a_message_says_what_else_it_is() -> None:
    ended = ua.StatusChangeNotification(Status=ua.StatusCode(ua.UInt32(ua.StatusCodes.BadTimeout)))
    publish = read_publish(publish_body(ended, number=4), library_value)
    assert (publish.ended, publish.count, publish.events) == (ua.StatusCodes.BadTimeout, 0, [])
    keep_alive = read_publish(publish_body(number=5, available=[3, 4]), library_value)
    assert (keep_alive.numbered, keep_alive.number, keep_alive.ended) == (False, 5, None)
    again = read_publish(republish_body(changes(data_value(ua.Variant(1, V.Byte))), number=3), library_value, True)
    assert (again.number, again.count) == (3, 1)


@pytest.mark.parametrize(
    "type_id",
    [
        lambda body: ua.NodeId(811, 5),
        lambda body: ua.NodeId(811, 300),
        lambda body: ua.NodeId(811 + 65_536, 0),
        lambda body: ua.NodeId((b"\1" + struct.pack("<i", len(body)) + body).ljust(811, b"\0"), 0),
    ],
    ids=["namespace", "large namespace", "large number", "bytes of such a length that read like one"],
)
def test_what_only_looks_like_a_known_notification_is_refused(type_id: Callable[[bytes], ua.NodeId]) -> None:
    """811 of namespace 0 is the number of a DataChangeNotification."""
    known = changes(data_value(ua.Variant(1, V.Byte)))
    body = bytes(struct_to_binary(known))
    assert read_publish(publish_body(known), library_value).count == 1
    strange = ua.ExtensionObject(TypeId=type_id(body), Body=body)
    with pytest.raises(Malformed, match="a type or encoding that there is not"):
        read_publish(publish_body(strange), library_value)


def test_a_service_that_failed_says_so_and_nothing_else_is_read() -> None:
    body = bytearray(publish_body())
    struct.pack_into("<I", body, 4 + 8 + 4, 0x80790000)
    assert read_publish(bytes(body), library_value).result == 0x80790000


BODIES = [
    publish_body(
        changes(
            *(data_value(ua.Variant(value, kind), 0, NOW, NOW) for kind, value in ((V.Int32, 5), (V.String, "abc"))),
            data_value(ua.Variant([1.5, 2.5], V.Double)),
            data_value(ua.Variant(ua.NodeId("x", 2), V.NodeId)),
            data_value(ua.Variant(ua.LocalizedText("text", "en"), V.LocalizedText)),
            data_value(ua.Variant([[1, 2], [3, 4]], V.Int16)),
            data_value(ua.Variant(ua.EUInformation(NamespaceUri="urn:x", UnitId=4), V.ExtensionObject)),
            data_value(ua.Variant([ua.Variant(1), ua.Variant("x")], V.Variant)),
        ),
        ua.EventNotificationList(
            Events=[ua.EventFieldList(ClientHandle=ua.UInt32(3), EventFields=[ua.Variant(1), ua.Variant("x")])]
        ),
        available=[1, 2],
    ),
    read_body(data_value(ua.Variant("abc")), data_value(ua.Variant([uuid.UUID(int=5)], V.Guid), 0, NOW)),
]


def read_any(body: Any) -> None:
    """Reads a body with every reader, down to plain values; only a refusal is allowed."""
    for again in (False, True):
        try:
            publish = read_publish(body, library_value, again)
        except Malformed:
            continue
        publish.readings()
        publish.columns()
    with contextlib.suppress(Malformed):
        read_values(body, library_value)


@pytest.mark.parametrize("body", BODIES, ids=["publish", "read"])
def test_a_body_that_is_cut_anywhere_is_refused_and_no_byte_behind_it_is_touched(body: bytes) -> None:
    guarded = Guarded(len(body))
    for length in range(len(body)):
        cut = guarded.holding(body[:length])
        read_any(cut)
        if body is BODIES[0] and length < len(body) - 12:  # what follows the notifications is not looked at
            with pytest.raises(Malformed):
                read_publish(cut, library_value)


def test_damaged_bodies_are_refused_or_read_and_no_byte_behind_them_is_touched() -> None:
    rng = random.Random(5)
    guarded = Guarded(1 << 12)
    for _ in range(6_000):
        body = bytearray(rng.choice(BODIES))
        for _ in range(rng.choice((1, 1, 2, 8))):
            at = rng.randrange(len(body))
            choice = rng.random()
            if choice < 0.5:
                body[at] = rng.randrange(256)
            elif choice < 0.7:
                body[at : at + 4] = struct.pack("<i", rng.choice((-1, 0, 1 << 30, -(1 << 31), 4096, 65_536)))
            elif choice < 0.85:
                del body[at : at + rng.randrange(9)]
            else:
                body[at:at] = rng.randbytes(rng.randrange(9))
            body = body or bytearray(b"\0")
        read_any(guarded.holding(bytes(body[: 1 << 12])))


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (ua.Variant("x" * TEXT_BYTES_MAX, V.String), None),
        (ua.Variant("x" * (TEXT_BYTES_MAX + 1), V.String), "value: text too long"),
        (ua.Variant(b"x" * (TEXT_BYTES_MAX + 1), V.ByteString), "value: byte string too long"),
        (ua.Variant([0] * ELEMENTS_MAX, V.Byte), None),
        (ua.Variant([0] * (ELEMENTS_MAX + 1), V.Byte), f"value: more than {ELEMENTS_MAX} elements"),
        (
            ua.Variant(ua.ExtensionObject(TypeId=ua.NodeId(1, 1), Body=b"x"), V.ExtensionObject),
            "value: a structure whose type is not known; set structures = true",
        ),
        (
            ua.Variant(ua.ExtensionObject(TypeId=ua.NodeId(1, 1), Body=b"x" * STRUCTURE_BYTES_MAX), V.ExtensionObject),
            "value: structure too large",
        ),
    ],
)
def test_a_value_without_a_plain_form_is_a_bad_one_and_costs_the_others_nothing(
    value: ua.Variant, fault: str | None
) -> None:
    other = data_value(ua.Variant(7, V.Int32))
    publish = read_publish(publish_body(changes(data_value(value), other)), library_value)
    (_, got), (_, after) = publish.readings()
    assert (got.fault, got.bad) == (fault, fault is not None)
    assert after.value == 7


def test_a_text_that_is_not_utf8_is_a_bad_value() -> None:
    body = publish_body(changes(data_value(ua.Variant("abcd", V.String)))).replace(b"abcd", b"ab\xff\xfe")
    ((_, got),) = read_publish(body, library_value).readings()
    assert got.fault == "value: a text that is not UTF-8"


def test_an_event_with_more_fields_than_can_have_been_asked_for_is_refused() -> None:
    fields = [ua.Variant(None)] * (FIELDS_MAX + 1)
    event = ua.EventNotificationList(Events=[ua.EventFieldList(ClientHandle=ua.UInt32(1), EventFields=fields)])
    with pytest.raises(Malformed, match="more notifications"):
        read_publish(publish_body(event), library_value)


def test_more_notifications_than_can_have_been_asked_for_are_refused() -> None:
    empty = struct.pack("<IB", 1, 0)
    for count, good in ((NOTIFICATIONS_MAX, True), (NOTIFICATIONS_MAX + 1, False)):
        inside = struct.pack("<i", count) + empty * count + struct.pack("<i", -1)
        marker = publish_body(changes())
        head = marker[: marker.index(b"\x01\x00\x2b\x03\x01")]
        body = head + b"\x01\x00\x2b\x03\x01" + struct.pack("<i", len(inside)) + inside
        if good:
            assert read_publish(body, library_value).count == count
        else:
            with pytest.raises(Malformed, match="more notifications than were asked for"):
                read_publish(body, library_value)


def nested(levels: int) -> bytes:
    """A Variant that holds an array of one Variant, and so on."""
    return (b"\x98" + struct.pack("<i", 1)) * levels + b"\x01\x01"


def test_values_inside_values_are_followed_only_so_deep() -> None:
    for levels, good in ((8, True), (40, False), (10_000, False)):
        body = read_body()[:-8] + struct.pack("<i", 1) + b"\x01" + nested(levels) + struct.pack("<i", -1)
        if good:
            assert read_values(body, library_value)[1][0].fault is None
        else:
            with pytest.raises(Malformed):
                read_values(body, library_value)


def test_items_sort_values_by_owner_and_pass_over_strangers() -> None:
    items = Items()
    handles = [items.add(owner, name) for owner, name in ((0, "a"), (1, "b"), (0, "c"))]
    assert handles == [1, 2, 3]
    assert (len(items), items.owner(2), items.owner(0), items.owner(4)) == (3, 1, None, None)
    values = [data_value(ua.Variant(number, V.Int32)) for number in range(5)]
    publish = read_publish(publish_body(changes(*values, first_handle=0)), library_value)
    sorted_values = items.sort([publish, publish])
    assert [(owner, [(name, got.value) for name, got in notes]) for owner, notes in sorted_values] == [
        (0, [("a", 1), ("c", 3), ("a", 1), ("c", 3)]),
        (1, [("b", 2), ("b", 2)]),
    ]


@given(
    notes=st.lists(
        st.tuples(
            st.sampled_from(["n", "lu"]),
            st.builds(Reading, st.just(1), st.just(0), st.none() | st.integers(1, 4)),
        )
    )
)
def test_values_are_ordered_by_source_time_and_one_name_comes_last_of_each(notes: list[tuple[str, Reading]]) -> None:
    timed = all(reading.source_us is not None for _, reading in notes)
    by_time = sorted(notes, key=lambda note: (note[1].source_us or 0, note[0] == "n"))
    as_sent = sorted(notes, key=lambda note: note[0] == "n")
    assert ordered(notes, "n") == (by_time if timed else as_sent)
    assert ordered(notes, "n", by_time=False) == as_sent


def test_times_that_are_none_and_limits_of_what_is_one() -> None:
    for moment in (datetime(1601, 1, 1), datetime(9999, 12, 31), datetime(1970, 1, 1)):
        assert read_one(data_value(ua.Variant(1), source=moment.replace(tzinfo=UTC))).source_us is None
    last = datetime(9998, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert read_one(data_value(ua.Variant(1), source=last)).source_us == microseconds(last)
    first = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=1)
    assert read_one(data_value(ua.Variant(1), source=first)).source_us == 1
    assert read_one(data_value(ua.Variant(datetime(1601, 1, 1, tzinfo=UTC), V.DateTime))).value == 0


# ---- captures


def packets(capture: bytes) -> list[bytes]:
    """The IP packets of a pcap file (classic format), Ethernet or loopback."""
    order = "<" if capture[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    (link,) = struct.unpack_from(order + "I", capture, 20)
    skipped = {0: 4, 1: 14, 101: 0, 113: 16}[link]
    found, at = [], 24
    while at + 16 <= len(capture):
        _, _, length, _ = struct.unpack_from(order + "IIII", capture, at)
        found.append(capture[at + 16 + skipped : at + 16 + length])
        at += 16 + length
    return found


def streams(capture: bytes) -> list[bytes]:
    """What was sent in each direction of each TCP connection, in order of sequence number."""
    parts: dict[bytes, dict[int, bytes]] = {}
    for packet in packets(capture):
        if packet[0] >> 4 != 4 or packet[9] != 6:
            continue
        header = (packet[0] & 15) * 4
        (length,) = struct.unpack_from(">H", packet, 2)
        segment = packet[header:length]
        payload = segment[(segment[12] >> 4) * 4 :]
        if payload:
            key = packet[12:20] + segment[:4]
            parts.setdefault(key, {})[struct.unpack_from(">I", segment, 4)[0]] = payload
    return [b"".join(payload for _, payload in sorted(of.items())) for of in parts.values()]


def bodies(stream: bytes) -> list[bytes]:
    """The bodies of the messages without security that came in one chunk (OPC 10000-6 section 6.7.2)."""
    found = []
    while len(stream) >= 8:
        (size,) = struct.unpack_from("<I", stream, 4)
        if stream[:4] == b"MSGF":
            found.append(stream[24:size])
        stream = stream[max(size, 8) :]
    return found


def test_answers_of_a_real_server_are_read_as_asyncua_reads_them() -> None:
    """open62541 answering Reads of every type as scalar, array and matrix: 86 answers."""
    capture = vectors("pcap", "opcua", "open62541_read_service_test_data.pcap").read_bytes()
    compared = 0
    for body in [body for stream in streams(capture) for body in bodies(stream)]:
        if int.from_bytes(body[2:4], "little") != ua.ObjectIds.ReadResponse_Encoding_DefaultBinary:
            continue
        status, (got,) = read_values(body, library_value)
        assert status == 0
        assert got.source_us is not None
        compared += 1
        try:
            (theirs,) = struct_from_binary(ua.ReadResponse, Buffer(body)).Results
        except ValueError:
            # one inside another's additional information: asyncua loses its place, and the whole answer with it
            assert isinstance(got.value, dict | list)
            continue
        if got.fault is not None:
            assert got.fault == "value: a matrix of other dimensions than it has elements"  # asyncua fills it up
            continue
        if "SourcePicoseconds" in str(got.value):
            continue  # asyncua has the times inside in another order than they are sent
        assert same(got.value, expected_value(theirs)), (got, theirs)
    assert compared == 86
