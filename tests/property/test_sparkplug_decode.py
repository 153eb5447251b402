"""Sparkplug payloads: every type comes back as it was written, and no bytes do more than be refused."""

from __future__ import annotations

import base64
import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ext.sparkplug import SparkplugFault, decode, rows, typed
from tests import sparkplug as wire
from tests.vectors import vectors

BITS = {wire.INT8: 8, wire.INT16: 16, wire.INT32: 32, wire.INT64: 64}
WIDTHS = {wire.UINT8: 8, wire.UINT16: 16, wire.UINT32: 32, wire.UINT64: 64, wire.DATETIME: 64}
SIGNED = st.sampled_from(list(BITS)).flatmap(
    lambda kind: st.tuples(st.just(kind), st.integers(-(2 ** (BITS[kind] - 1)), 2 ** (BITS[kind] - 1) - 1))
)
UNSIGNED = st.sampled_from(list(WIDTHS)).flatmap(
    lambda kind: st.tuples(st.just(kind), st.integers(0, 2 ** WIDTHS[kind] - 1))
)
OTHERS = st.one_of(
    st.tuples(st.just(wire.DOUBLE), st.floats(allow_nan=False)),
    st.tuples(st.just(wire.FLOAT), st.floats(width=32, allow_nan=False)),
    st.tuples(st.just(wire.BOOLEAN), st.booleans()),
    st.tuples(st.just(wire.STRING), st.text(max_size=20)),
    st.tuples(st.just(17), st.binary(max_size=20)),
)
OPTIONAL = st.none() | st.integers(0, 2**63)


@given(
    st.lists(st.tuples(SIGNED | UNSIGNED | OTHERS, st.none() | st.text(max_size=5), OPTIONAL, OPTIONAL, st.booleans())),
    st.none() | st.integers(0, 300),
    OPTIONAL,
)
def test_what_is_written_is_read(
    told: list[tuple[tuple[int, object], str | None, int | None, int | None, bool]],
    seq: int | None,
    timestamp: int | None,
) -> None:
    metrics = [
        wire.metric(name, value, kind, alias=alias, timestamp=time, historical=historical)
        for (kind, value), name, alias, time, historical in told
    ]
    found_time, found_seq, found = decode(wire.payload(*metrics, seq=seq, timestamp=timestamp))
    assert (found_time, found_seq) == (timestamp, seq)
    for metric, ((kind, value), name, alias, time, historical) in zip(found, told, strict=True):
        assert metric[:6] == (name or None, alias, time, kind, historical, False)
        read = typed(metric[6], metric[7], kind)
        if kind == wire.FLOAT and isinstance(read, float) and isinstance(value, float) and math.isfinite(value):
            assert struct.pack("<f", read) == struct.pack("<f", value)
        else:
            assert read == value
            assert type(read) is type(value)


@pytest.mark.parametrize("value", [0.1, 21.5, 1e-7, 3.4e38, 16777217.0, 0.3333333])
def test_a_float_is_the_shortest_decimal_that_it_is(value: float) -> None:
    (raw,) = struct.unpack("<f", struct.pack("<f", value))
    read = typed(12, raw, wire.FLOAT)
    assert isinstance(read, float)
    assert struct.pack("<f", read) == struct.pack("<f", value)
    assert len(repr(read)) <= len(repr(value)) + 1


def test_null_is_null_and_what_has_no_value_is_too() -> None:
    _, _, metrics = decode(wire.payload(wire.metric("a", None, wire.INT32), wire.part(1, b"b")))
    assert [(metric[0], metric[5]) for metric in metrics] == [("a", True), ("b", True)]


def test_unknown_fields_are_passed_over_and_the_last_of_two_counts() -> None:
    metric = wire.metric("a", 1, wire.UINT8) + wire.part(9, b"properties") + wire.number(99, 5) + wire.number(10, 7)
    data = wire.payload(metric, seq=1) + wire.part(4, b"uuid") + wire.part(5, b"body") + wire.number(3, 2)
    assert decode(data)[1:] == (2, [("a", None, None, wire.UINT8, False, False, 10, 7)])


def test_a_dataset_is_rows_of_its_columns() -> None:
    element = wire.part(1, wire.number(1, 0xFFFFFFFF)), wire.part(1, wire.part(6, b"x")), wire.part(1, b"")
    data = wire.number(1, 2) + wire.part(2, b"count") + wire.part(2, b"name") + wire.part(3, bytes([wire.INT32, 12]))
    data += wire.part(4, element[0] + element[1]) + wire.part(4, element[2] + element[1])
    assert rows(data) == [{"count": -1, "name": "x"}, {"count": None, "name": "x"}]
    with pytest.raises(SparkplugFault, match="types"):
        rows(wire.part(2, b"a"))


@given(st.binary(max_size=80))
def test_any_bytes_are_a_payload_or_a_fault(data: bytes) -> None:
    for read in (decode, rows):
        try:
            read(data)
        except SparkplugFault as fault:
            assert str(fault)


@given(st.data())
def test_a_payload_that_is_cut_is_read_as_far_as_it_goes_or_refused(data: st.DataObject) -> None:
    whole = wire.payload(wire.metric("Temperature", 21.5, wire.DOUBLE, alias=3), seq=200)
    try:
        decode(whole[: data.draw(st.integers(0, len(whole)))])
    except SparkplugFault as fault:
        assert "end" in str(fault) or "read" in str(fault)


def test_payloads_of_others_are_read() -> None:
    told = json.loads(vectors("sparkplug", "payloads_base64.json").read_text())
    read = {name: decode(base64.b64decode(each["base64"])) for name, each in told.items()}
    for name, each in told.items():
        assert len(read[name][2]) == each["metrics"]
        assert read[name][0] == 1_750_855_643_474
    assert [(m[0], m[1], typed(m[6], m[7], m[3])) for m in read["NBIRTH_V1"][2]] == [
        ("bdSeq", 1, 88),
        ("Node Control/Rebirth", 2, False),
        ("Temperature", 100, 21.5),
    ]
    assert read["NDATA_V1"][1] == 1
    assert read["NDATA_GAP"][1] == 5
