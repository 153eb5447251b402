"""Whatever a device, an order system or an operator gets wrong: named, and nothing else stops for it.

Payloads go by mosquitto_pub to one `sortline run`; after each bad one a good one has to become a record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.commands import Publisher, Running, account, publish, queued
from tests.peers import Peer, start_mosquitto

PICK: dict[str, Any] = {"ty": "C", "n": 1, "job": "BAD", "sku": "S", "q": 1}
ORDER: dict[str, Any] = {"kind": "order.released", "order": "BAD", "rev": 1}


def pick(**changes: Any) -> bytes:
    return json.dumps({**PICK, **changes}).encode()


def order(lines: object, **changes: Any) -> bytes:
    return json.dumps({**ORDER, "lines": lines, **changes}).encode()


def lacking(*names: str) -> bytes:
    return json.dumps({name: value for name, value in PICK.items() if name not in names}).encode()


MAPPED = {
    "broken_json": (b'{"ty":"C","n":1', "payload: not JSON"),
    "no_json_at_all": (b"OK\r\n", "payload: not JSON"),
    "empty": (b"", "payload: not JSON"),
    "nul_bytes": (b"\0\0\0\0", "payload: not JSON"),
    "nan": (b'{"ty":"C","q":NaN}', "payload: not JSON"),
    "invalid_utf8": (b'{"ty":"C","job":"\xff\xfe"}', "payload: not UTF-8"),
    "ten_megabytes": (pick(job="x" * 10_000_000), "payload: longer than 262144 bytes"),
    "deep_nesting": (b"[" * 100_000, "payload: JSON is too deep"),
    "deep_nesting_that_ends": (b"[" * 33 + b"]" * 33, "payload: JSON is too deep"),
    "a_thousand_keys": (pick(**{f"k{n}": n for n in range(1_000)}), "payload: an object with more than 256 keys"),
    "a_long_text": (pick(job="x" * 5_000), "payload: a text longer than 4096 bytes"),
    "a_number_of_5000_digits": (pick().replace(b'"q": 1', b'"q": ' + b"1" * 5_000), "payload: not JSON"),
    "not_an_object": (b"[1, 2, 3]", "kind: missing"),
    "null": (b"null", "kind: missing"),
    "wrong_type": (pick(q="two"), "qty: not a number"),
    "object_for_a_text": (pick(job={"a": 1}), "task: not a text"),
    "boolean_for_a_number": (pick(q=True), "qty: not a number"),
    "float_quantity": (pick(q=1.5), "qty: not a whole number"),
    "negative_quantity": (pick(q=-1), "qty: out of range"),
    "quantity_beyond_64_bits": (pick(q=2**70), "qty: out of range"),
    "exponent_of_a_billion": (pick().replace(b'"q": 1', b'"q": 1e999999999'), "qty: out of range"),
    "missing_field": (lacking("sku"), "sku: missing in pick.confirm"),
    "missing_kind": (lacking("ty"), "kind: missing"),
    "unknown_kind": (pick(ty="Z"), "kind: not in its table"),
    "counter_beyond_its_wrap": (pick(n=256), "seq: not below wrap"),
    "time_no_number": (pick(ts="noon"), "t: not a number"),
    "time_negative": (pick(ts=-1), "t: out of range"),
    "time_in_2300": (pick(ts=10_413_792_000_000), "t: out of range"),
    "time_without_end": (pick().replace(b"}", b', "ts": 1e400}'), "t: out of range"),
}
CANONICAL = {
    "canonical_unknown_kind": (order([], kind="order.realeased"), "kind: unknown"),
    "canonical_wrong_type": (order([], order=77), "order: not a text"),
    "canonical_missing_rev": (order([], rev=None), "rev: missing in order.released"),
    "canonical_lines_no_list": (order("all"), "lines: not a list"),
    "canonical_float_in_a_line": (order([{"line": 1, "sku": "S", "qty": 0.5}]), "lines[]: not an integer"),
    "canonical_long_src": (order([], src="s" * 129), "src: longer than 128 bytes"),
    "canonical_empty_src": (order([], src=""), "src: empty"),
}
CASES = {**MAPPED, **CANONICAL}

SITE = """
site = "dc1"
[engine]
data_dir = "{folder}/data"
[sources.floor]
protocol = "mqtt"
host = "127.0.0.1"
port = {port}
covers = ["dc1/pick", "dc1/wms"]
scope = ["dc1/pick/", "dc1/wms/"]
"""
MAPPED_TOPIC = """
[[sources.floor.topics]]
filter = "{case}/+device"
[sources.floor.topics.record]
src = {{ template = "dc1/pick/{{device}}" }}
kind = {{ path = "ty", table = {{ C = "pick.confirm", S = "pick.short" }} }}
seq = {{ path = "n", wrap = 256 }}
t = {{ path = "ts", time = "epoch_ms" }}
task = "job"
sku = "sku"
qty = "q"
"""
CANONICAL_TOPIC = """
[[sources.floor.topics]]
filter = "{case}/+device"
format = "canonical"
constants = {{ src = "dc1/wms/main" }}
"""


class Site(NamedTuple):
    """A running engine with one topic a case, and its broker."""

    folder: Path
    broker: Peer
    engine: Running

    def publish(self, topic: str, payload: bytes) -> None:
        publish(self.broker.port, topic, payload)

    def journal(self) -> bytes:
        """Every record that was accepted stands in there as it is."""
        (segment,) = (self.folder / "data" / "journal").glob("*.journal")
        return segment.read_bytes()

    def until_accepted(self, name: str) -> None:
        needle = f'"task":"{name}"'.encode()
        self.engine.until(lambda: needle in self.journal(), f"to accept {name}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("bad_input")
    broker = start_mosquitto(folder)
    path = folder / "site.toml"
    topics = [MAPPED_TOPIC.format(case=case) for case in (*MAPPED, "good", "year_1970")]
    topics += [CANONICAL_TOPIC.format(case=case) for case in (*CANONICAL, "context")]
    path.write_text(SITE.format(folder=folder, port=broker.port) + "".join(topics))
    try:
        with Running(folder, "run", str(path)) as engine:
            engine.until_said("source floor: up")
            yield Site(folder, broker, engine)
            counted = account(engine.stop())
            assert counted["rejected"] == 0, "what does not fit is refused before the journal"
    finally:
        broker.stop()


@pytest.mark.peer("mosquitto")
@pytest.mark.parametrize("case", CASES)
def test_a_payload_that_does_not_fit_is_named_and_the_next_one_is_a_record(site: Site, case: str) -> None:
    payload, cause = CASES[case]
    site.publish(f"{case}/PTL-1", payload)
    site.publish("good/PTL-1", pick(job=f"GOOD-{case}", n=list(CASES).index(case)))
    site.until_accepted(f"GOOD-{case}")
    site.engine.until_said(f"source floor: a payload was refused: {case}/+: {cause}")
    assert b"BAD" not in site.journal()


@pytest.mark.peer("mosquitto")
def test_a_clock_that_stands_in_1970_is_not_believed_and_the_pick_counts(site: Site) -> None:
    site.publish("year_1970/PTL-70", pick(job="GOOD-1970", ts=0))
    site.until_accepted("GOOD-1970")

    def raised() -> set[str]:
        events = queued(site.folder / "data" / "queue.sqlite", "ops.exceptions")
        return {f"{event['data']['code']} {event['subject']}" for event in events}

    site.engine.until(lambda: "TIME_SKEW dc1/pick/PTL-70" in raised(), "to raise TIME_SKEW")


@pytest.mark.peer("mosquitto")
def test_control_characters_of_a_device_never_reach_the_log_as_they_are(site: Site) -> None:
    evil = "O-\x1b[2J\x9b31m\u202e\nroot: all is well\x07"
    what = {"order": evil, "line": 1, "sku": "S", "qty": 1}
    with Publisher(site.broker.port, "context/wms") as wms:
        wms.say(kind="order.released", order=evil, rev=1, lines=[{"line": 1, "sku": "S", "qty": 1}])
        wms.say(kind="pick.task", task="T-evil", rev=1, **what)
    site.publish("good/PTL-2", pick(job="T-evil", n=0))
    # the live view names the newest events
    site.engine.until_said(r"pick.confirmed O-\x1b[2J\x9b31m\u202e\nroot: all is well\x07 pc1.")
    lines = site.engine.said().splitlines()
    assert all(line.isprintable() for line in lines)
    assert not [line for line in lines if line.startswith("root")]


@pytest.mark.peer("mosquitto")
def test_no_payload_stands_in_the_log(site: Site) -> None:
    site.publish("no_json_at_all/PTL-1", b"S3CRET is no JSON")
    site.publish("good/PTL-3", pick(job="GOOD-secret", n=0))
    site.until_accepted("GOOD-secret")
    assert "S3CRET" not in site.engine.said()
