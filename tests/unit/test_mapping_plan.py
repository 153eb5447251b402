"""From a payload to canonical lines, by a description in TOML."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DecodeError
from engine.model import KINDS
from protocols.mapping.lines import encode_line
from protocols.mapping.paths import PathFault, Scope, parse_path, parse_template
from protocols.mapping.plan import (
    CanonicalPlan,
    Lines,
    Plan,
    RecordPlan,
    Selection,
    canonical_lines,
    compile_record,
)
from protocols.mapping.settings import RecordSettings

T_RX = 1_795_420_812_400_000


def settings(text: str) -> RecordSettings:
    return msgspec.convert(tomllib.loads(text), RecordSettings)


def plan(text: str, **more: Any) -> RecordPlan:
    return compile_record(settings('src = { const = "dc1/x/1" }\n' + text), **more)


def lines(made: Plan, payload: object, **captures: str) -> Lines:
    return canonical_lines(made, payload, captures, T_RX)


def only(found: Lines) -> dict[str, Any]:
    assert found.causes == []
    (line,) = found.lines
    record: dict[str, Any] = json.loads(line)
    assert record.pop("t_rx") == T_RX
    return record


PTL = """
src = { template = "{site}/pick/{device}" }
kind = { path = "ty", table = { C = "pick.confirm", S = "pick.short", R = "pick.reverse" } }
seq = { path = "n", wrap = 256 }
t = { path = "ts", time = "epoch_ms" }
task = "job"
sku = "sku"
qty = "q"
loc = "bin"
lu = "tote"
code = "why"
"""


def test_a_pick_station() -> None:
    made = compile_record(settings(PTL))
    payload = {
        "ty": "C",
        "n": 17,
        "ts": 1795420812345,
        "job": "T-1001",
        "sku": "SKU-42",
        "q": 2,
        "bin": "",
        "tote": "CTN-1 ",
    }
    found = canonical_lines(made, payload, {"site": "dc1", "device": "PTL-01"}, T_RX)
    assert found == Lines(
        [
            b'{"kind":"pick.confirm","lu":"CTN-1","qty":2,"seq":17,"sku":"SKU-42","src":"dc1/pick/PTL-01",'
            b'"t":1795420812345000,"t_rx":1795420812400000,"task":"T-1001"}'
        ],
        [],
    )


def test_the_counter_of_a_device_goes_on_over_its_wrap() -> None:
    made = compile_record(settings(PTL))
    payload = {"ty": "S", "job": "T-1", "why": "EMPTY"}
    found = [
        made.records({**payload, "n": raw}, {"site": "dc1", "device": "A"}, T_RX)[0]["seq"] for raw in (255, 0, 0, 255)
    ]
    assert found == [255, 256, 256, 255]


@pytest.mark.parametrize(
    ("text", "payload", "expected"),
    [
        ('lu = "a.b[1].c"', {"a": {"b": [0, {"c": "X"}]}}, "X"),
        ('lu = "a.b"', {"a.b": "flat", "a": {"b": "nested"}}, "flat"),
        ('lu = { path = "a", absent = ["NOREAD"], default = "none" }', {"a": "NOREAD"}, "none"),
        ('lu = { path = "a", default = "none" }', {"a": None}, "none"),
        ('lu = { path = "a", trim = false }', {"a": " X "}, " X "),
        ('lu = { template = "{.zone}-{.nr}" }', {"zone": "Z", "nr": 7}, "Z-7"),
        ('lu = { path = "a", table = { true = "yes", 7 = "seven" } }', {"a": True}, "yes"),
        ('lu = { path = "a", table = { 7 = "seven" } }', {"a": 7.0}, "seven"),
        ('lu = { path = "a", table = { 7 = "seven" }, other = "many" }', {"a": 8}, "many"),
        ('lu = { path = "a", bit = 4, bits = 3, table = { 5 = "five" } }', {"a": 0b101_0000}, "five"),
        ('lu = "[0]"', ["first"], "first"),
        ('lu = "."', "bare", "bare"),
        ('lu = "."', 42, "42"),
    ],
)
def test_where_a_value_comes_from(text: str, payload: object, expected: str) -> None:
    made = plan('kind = { const = "carton.open" }\n' + text)
    assert only(lines(made, payload))["lu"] == expected


@pytest.mark.parametrize(
    ("text", "payload", "cause"),
    [
        ('lu = { path = "a", required = true }', {}, "lu: missing"),
        ('lu = "a"', {}, "lu: missing in carton.open"),
        ('lu = "a"', {"a": [1]}, "lu: not a text"),
        ('lu = "a"', {"a": "x" * 4097}, "lu: longer than 4096 bytes"),
        ('lu = "a"\nqty = "q"', {"a": "X", "q": 1.5}, "qty: not a whole number"),
        ('lu = "a"\nqty = "q"', {"a": "X", "q": -1}, "qty: out of range"),
        ('lu = "a"\nqty = "q"', {"a": "X", "q": 2**63}, "qty: out of range"),
        ('lu = "a"\nt = { path = "q", time = "rfc3339" }', {"a": "X", "q": 5}, "t: not an RFC 3339 time"),
        ('lu = { path = "a", table = { 1 = "one" } }', {"a": 2}, "lu: not in its table"),
        ('lu = { path = "a", table = { 1 = "one" } }', {"a": [2]}, "lu: not in its table"),
        ('lu = "a"\nseq = { path = "n", wrap = 256 }', {"a": "X", "n": 256}, "seq: not below wrap"),
        ('lu = "a"\nhist = "h"', {"a": "X", "h": "perhaps"}, "hist: not true or false"),
    ],
)
def test_what_does_not_fit_is_named_without_its_content(text: str, payload: object, cause: str) -> None:
    made = plan('kind = { const = "carton.open" }\n' + text)
    assert lines(made, payload) == Lines([], [cause])


def test_several_records_in_one_message() -> None:
    made = plan(
        'kind = { path = "k", table = { o = "carton.open", c = "carton.close" } }\nlu = "lu"\nt = "$.at"\nseq = "$.n"',
        each="head.events",
        when={"use": True},
    )
    payload = {
        "at": 5,
        "n": 9,
        "head": {
            "events": [
                {"use": True, "k": "o", "lu": "A"},
                {"use": False, "k": "o", "lu": "B"},
                {"use": True, "k": "?", "lu": "C"},
                {"use": True, "k": "c", "lu": "D"},
            ]
        },
    }
    found = lines(made, payload)
    records = [json.loads(line) for line in found.lines]
    assert [(record["lu"], record.get("sub", 0), record["t"], record["seq"]) for record in records] == [
        ("A", 0, 5, 9),
        ("D", 3, 5, 9),
    ]
    assert found.causes == ["kind: not in its table"]
    assert lines(made, {"head": {}}) == Lines([], [])
    assert lines(made, {"head": {"events": "none"}}) == Lines([], ["each: not a list"])


def test_the_other_kinds_of_a_device_are_not_meant() -> None:
    made = plan('kind = { const = "carton.open" }\nlu = "lu"', when={"ty": ["O", 7], "on": True})
    assert len(lines(made, {"ty": "O", "on": True, "lu": "A"}).lines) == 1
    assert len(lines(made, {"ty": 7, "on": True, "lu": "A"}).lines) == 1
    others: list[object] = [{"ty": "X", "on": True}, {"ty": "O"}, {"ty": "O", "on": False}, {}, [], "text", None]
    for other in others:
        assert lines(made, other) == Lines([], [])


def test_codes_of_a_scanner_that_sends_them_in_one_text() -> None:
    made = plan('kind = { const = "scan.multiread" }\ncodes = { path = "bc", split = ";" }')
    assert only(lines(made, {"bc": "A; B;;C"}))["codes"] == ["A", "B", "C"]
    assert only(lines(made, {"bc": ["A", "B"]}))["codes"] == ["A", "B"]
    assert lines(made, {"bc": ";;"}) == Lines([], ["codes: missing in scan.multiread"])


def test_constants_stand_behind_what_is_mapped() -> None:
    made = plan('kind = { path = "k", default = "jam" }\nstate = "s"', constants={"state": "set", "code": "E-STOP"})
    assert only(lines(made, {"s": "clear"})) == {"kind": "jam", "state": "clear", "code": "E-STOP", "src": "dc1/x/1"}


def test_an_eventual_count_means_two_things() -> None:
    made = plan('kind = "k"\ncount = "c"\nt_from = "a"\nt_to = "b"\nloc = "l"\nsku = "s"\nqty = "q"')
    gap = {"k": "source.gap", "c": 5, "a": 1, "b": 2}
    counted = {"k": "count.reported", "c": 5, "l": "A-1", "s": "S", "q": 1}
    assert only(lines(made, gap))["count"] == 5
    assert only(lines(made, counted))["count"] == "5"


def test_canonical_json_passes_as_it_is() -> None:
    made = CanonicalPlan({"src": "dc1/wms/main"}, Selection())
    order = {
        "kind": "order.released",
        "order": "O-77",
        "rev": 1,
        "lines": [{"line": 1, "sku": "S", "qty": 4}],
        "note": None,
        "customer": {"vip": True},
        "t_rx": 1,
    }
    assert only(lines(made, order)) == {
        "src": "dc1/wms/main",
        "kind": "order.released",
        "order": "O-77",
        "rev": 1,
        "lines": [{"line": 1, "sku": "S", "qty": 4}],
        "customer": {"vip": True},
    }
    assert only(lines(made, {**order, "src": "dc1/wms/2"}))["src"] == "dc1/wms/2"


@pytest.mark.parametrize(
    ("record", "cause"),
    [
        ([], "record: not an object"),
        ("text", "record: not an object"),
        ({}, "kind: missing"),
        ({"kind": "pick.confirmed"}, "kind: unknown"),
        ({"kind": 7}, "kind: unknown"),
        ({"kind": ["jam"]}, "kind: unknown"),
        ({"kind": "clock.tick"}, "kind: clock.tick is the engine's own"),
        ({"kind": "jam"}, "state: missing in jam"),
        ({"kind": "jam", "state": "set", "src": ""}, "src: empty"),
        ({"kind": "jam", "state": "set", "src": "x" * 129}, "src: longer than 128 bytes"),
        ({"kind": "jam", "state": "set", "hist": 1}, "hist: not true or false"),
        ({"kind": "jam", "state": "set", "seq": True}, "seq: not an integer"),
        ({"kind": "scan.multiread", "codes": "A"}, "codes: not a list"),
        ({"kind": "scan.multiread", "codes": ["A", 1]}, "codes[]: not a text"),
        ({"kind": "order.released", "order": "O", "rev": 1, "lines": {}}, "lines: not a list"),
        ({"kind": "order.released", "order": "O", "rev": 1, "lines": [{"qty": 1.5}]}, "lines[]: not an integer"),
        ({"kind": "jam", "state": "set", **{f"k{n}": 1 for n in range(300)}}, "record: too many fields"),
    ],
)
def test_canonical_json_that_does_not_fit_the_model_is_refused(record: object, cause: str) -> None:
    assert lines(CanonicalPlan({"src": "dc1/x/1"}), record) == Lines([], [cause])


@pytest.mark.parametrize(
    "text", ["", ".", "$", "a", "a.b", "$.a", "a[0]", "a[0][1].b", "[0]", "[0].a", "a b.c-d", ".a"]
)
def test_paths_that_can_be_read(text: str) -> None:
    if text:
        parse_path(text)


@pytest.mark.parametrize("text", ["", "a.", "a..b", "a[", "a[x]", "a[-1]", "$a", "a]", "{a}", "a." + "b." * 40 + "c"])
def test_paths_that_cannot(text: str) -> None:
    with pytest.raises(PathFault):
        parse_path(text)


@pytest.mark.parametrize("text", ["{", "}", "a{", "{}", "{a", "{.}x{", "{{a}}", "{.a..b}", ""])
def test_templates_that_cannot_be_read(text: str) -> None:
    with pytest.raises(PathFault):
        parse_template(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcdk") | st.text(max_size=3), inner),
    max_leaves=12,
)
HARD = """
kind = { path = "k", default = "scan.multiread" }
lu = { template = "{x}{.a}{$.b}" }
codes = { path = "c", split = "," }
qty = { path = "a[0]", scale = 0.5 }
weight_g = { path = "b.c", unit = "lb" }
t = { path = "d", time = "rfc3339" }
deadline = { path = "c", time = "epoch_s" }
state = { path = "a", bit = 3, table = { 0 = "clear", 1 = "set" } }
hist = "b"
lines = "."
seq = { path = "a", wrap = 16 }
"""


@given(JSON, st.sampled_from([None, "a", "$", "a.b"]))
def test_any_payload_makes_lines_or_causes_and_nothing_else(payload: object, each: str | None) -> None:
    for made in (plan(HARD, each=each), CanonicalPlan({"src": "dc1/x/1"}, Selection(each=each))):
        found = lines(made, payload, x="X")
        for line in found.lines:
            record = json.loads(line)
            assert record["kind"] in KINDS
            assert encode_line(record) == line
        assert all(len(cause) < 80 for cause in found.causes)


def test_paths_are_followed_into_what_is_not_there() -> None:
    scope = Scope({"a": [1, "text", None]}, {}, {})
    for text in ("a[3]", "a[1].b", "a[0][0]", "a.b", "b", "a[2].x"):
        assert parse_path(text).follow(scope) is None


def test_build_raises_for_drivers_that_have_one_record() -> None:
    made = plan('kind = { const = "weigh" }\nlu = "lu"\nweight_g = { path = "w", scale = 0.1 }')
    assert made.build({"lu": "A", "w": 125}, {}, T_RX)["weight_g"] == 12
    with pytest.raises(DecodeError, match="weight_g: not a number"):
        made.build({"lu": "A", "w": "heavy"}, {}, T_RX)
