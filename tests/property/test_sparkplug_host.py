"""A Sparkplug host under any disorder within its patience says what it would have said in order; under anything else
it says faults, and never fails."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from engine.model import KINDS
from protocols.mapping.sequence import Sequences
from protocols.mqtt.sparkplug.host import Host
from protocols.mqtt.sparkplug.settings import Sparkplug
from tests import sparkplug as wire

T0 = 1_795_420_000_000_000
RECORD = {
    "src": {"template": "dc1/{node}/{device}"},
    "kind": {"const": "telemetry"},
    "seq": {"path": "n", "wrap": 256},
    "qty": {"path": "m", "required": True},
}
TABLE: dict[str, Any] = {
    "groups": ["G"],
    "records": [{"filter": "G/+node/+device", "trigger": "n", "record": RECORD}],
    "reorder_ms": 1_000,
    "nodes_max": 2,
    "metrics_max": 20,
}


def host() -> Host:
    return Host(msgspec.convert(TABLE, Sparkplug), Sequences(lambda src: None))


def messages(count: int) -> list[tuple[str, bytes]]:
    """A birth of a node and of two devices, then numbered data of both in turns."""
    told = [("NBIRTH/N", wire.payload(wire.metric("bdSeq", 1, wire.UINT64), seq=0))]
    for number, device in enumerate("AB", 1):
        metrics = (
            wire.metric("n", 0, wire.UINT8, alias=10 * number),
            wire.metric("m", 0, wire.INT32, alias=10 * number + 1),
        )
        told.append((f"DBIRTH/N/{device}", wire.payload(*metrics, seq=number)))
    for number in range(count):
        alias = 10 * (1 + number % 2)
        data = [wire.metric(None, (1 + number // 2) % 256, alias=alias, kind=wire.UINT8)]
        if number % 5 == 0:
            data.append(wire.metric(None, number, alias=alias + 1, kind=wire.INT32))
        told.append((f"DDATA/N/{'AB'[number % 2]}", wire.payload(*data, seq=(3 + number) % 256)))
    return told


def heard(told: list[tuple[str, bytes]]) -> tuple[list[Any], list[str]]:
    """What a host makes of them, a millisecond apart, without when it heard them."""
    subject, found, causes = host(), [], []
    for at, (topic, payload) in enumerate(told):
        group, _, place = topic.partition("/")
        lines = subject.message(f"spBv1.0/G/{group}/{place}", payload, T0 + 1_000 * at)
        found += [json.loads(line) for line in lines.lines]
        causes += lines.causes
    for record in found:
        del record["t_rx"]
    return found, causes


@given(st.integers(0, 600), st.integers(1, 40), st.integers())
def test_disorder_that_is_waited_for_changes_nothing(count: int, distance: int, seed: int) -> None:
    told = messages(count)
    shuffle = random.Random(seed)
    later = [(at + shuffle.uniform(0, distance), each) for at, each in enumerate(told[3:])]
    disordered = told[:3] + [each for _, each in sorted(later, key=lambda pair: pair[0])]
    in_order, causes = heard(told)
    assert causes == []
    assert len([record for record in in_order if record["kind"] == "telemetry"]) == count
    assert heard(disordered) == (in_order, [])


@given(st.integers(1, 80), st.integers(0, 80), st.integers(1, 40), st.integers())
def test_a_host_that_came_too_late_for_the_births_says_what_one_says_that_was_there(
    count: int, missed: int, distance: int, seed: int
) -> None:
    """Or, where a value was told before it came and again after, that it does not know: never another record."""
    told = messages(count)
    births = [("NBIRTH/N", wire.payload(wire.metric("bdSeq", 1, wire.UINT64), seq=0))]
    for number, device in enumerate("AB", 1):
        of_device = range(number - 1, count, 2)
        n = len(of_device) % 256
        m = max((each for each in of_device if each % 5 == 0), default=0)
        metrics = (
            wire.metric("n", n, wire.UINT8, alias=10 * number),
            wire.metric("m", m, wire.INT32, alias=10 * number + 1),
        )
        births.append((f"DBIRTH/N/{device}", wire.payload(*metrics, seq=number)))
    shuffle = random.Random(seed)
    later = [(at + shuffle.uniform(0, distance), each) for at, each in enumerate(told[3 + missed :])]
    heard_late, causes = heard([each for _, each in sorted(later, key=lambda pair: pair[0])] + births)
    records = [record for record in heard_late if record["kind"] == "telemetry"]
    there = [record for record in heard(told)[0] if record["kind"] == "telemetry"][missed:]
    assert all(record in there for record in records)
    assert set(causes) <= {"sparkplug: qty: missing"}
    assert len(records) + len(causes) == len(there)


TYPES = st.sampled_from(["NBIRTH", "NDEATH", "DBIRTH", "DDEATH", "NDATA", "DDATA", "NCMD", "X"])
METRICS = st.builds(
    wire.metric,
    st.sampled_from([None, "n", "m", "bdSeq", "other", ""]),
    st.none() | st.integers(0, 255),
    st.sampled_from([wire.UINT8, wire.UINT64, wire.INT8]),
    alias=st.none() | st.integers(0, 5),
    timestamp=st.none() | st.integers(0, 2**64 - 1),
    historical=st.booleans(),
)
PAYLOADS = st.binary(max_size=20) | st.builds(
    lambda metrics, seq, time: wire.payload(*metrics, seq=seq, timestamp=time),
    *(st.lists(METRICS, max_size=4), st.none() | st.integers(0, 257), st.none() | st.integers(0, 2**63)),
)
TRAFFIC = st.lists(
    st.tuples(
        TYPES, st.sampled_from(["G/{}/N", "G/{}/N/A", "G/{}/M/B", "H/{}/N", "G/{}/L", "{}"]), PAYLOADS, st.booleans()
    ),
    max_size=30,
)


@given(TRAFFIC)
def test_whatever_nodes_say_is_records_or_faults(traffic: list[tuple[str, str, bytes, bool]]) -> None:
    subject, now = host(), T0
    for type_, place, payload, patient in traffic:
        now += 100 if patient else 2_000_000
        if (type_, place) == ("X", "{}"):
            subject.reconnected(now)
            subject.session_lost(now)
        for found in (subject.message(f"spBv1.0/{place.format(type_)}", payload, now), subject.tick(now)):
            for line in found.lines:
                assert json.loads(line)["kind"] in KINDS
            assert all(cause.startswith("sparkplug: ") for cause in found.causes)
        assert len(subject.requests(now)) <= 2
    subject.reconnected(now)
