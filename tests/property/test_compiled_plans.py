"""A compiled plan makes the same of a payload as the plan that it was compiled from, and takes what is ordinary."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import DecodeError
from engine.records import make_decoder
from ext.batch import Batch
from ext.line_block import LineBlock
from ext.line_plan import LinePlan
from ext.texts import Texts
from protocols.mapping.compiled import compile_canonical, compile_lines
from protocols.mapping.meaning import Meaning
from protocols.mapping.payload import parse_json, parse_text
from protocols.mapping.plan import CanonicalPlan, Lines, Plan, Selection, canonical_lines, compile_record
from protocols.mapping.sequence import Sequences
from protocols.mapping.settings import FieldSettings, RecordSettings
from protocols.mqtt.settings import Topic

T_RX = 1_795_420_812_400_000
NAMES = ["x", "y"]


def block_of(plan: LinePlan, payload: bytes, captures: list[bytes], t_rx: int = T_RX) -> list[bytes] | None:
    block = LineBlock()
    block.append(b"before")
    taken = plan.lines(payload, captures, t_rx, block)
    data, count = block.take()
    lines = data.split(b"\n")
    assert lines[0] == b"before"
    assert lines[-1] == b""
    assert len(lines) == count + 1
    assert taken or count == 1, "left something behind"
    return lines[1:-1] if taken else None


def spelled_out(plan: Plan, payload: bytes, captures: list[bytes], of_text: bool = False) -> Lines:
    try:
        values = parse_text(payload) if of_text else parse_json(payload)
    except DecodeError as error:
        return Lines([], [error.cause])
    named = {name: value.decode() for name, value in zip(NAMES, captures, strict=True)}
    return canonical_lines(plan, values, named, T_RX)


KEYS = st.sampled_from(["a", "b", "c", "a.b", "at", "list", 'say "b"', "é"])
TEXTS = st.one_of(
    st.sampled_from(
        ["C", "S", "X", "1", "17.50", "0.0", "true", "", " T 1\r\n", "\u00a0z\ufeff", "007", "é\u2028", 'q"q', "a\\b"]
    ),
    st.sampled_from(["2026-11-23T08:00:12.345678Z", "2026-02-30T08:00:12Z", "2024-02-29t23:59:59.1234565+05:30"]),
    st.text(max_size=8),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(0, 300),
    st.sampled_from([-1, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 10**18, 1_795_420_812_345]),
    st.decimals(0, 100, places=3).map(float),
    st.floats(allow_nan=False, allow_infinity=False),
    TEXTS,
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=8
)
# most of what is generated has to be what machines send, or the two would only agree on refusing it
ORDINARY = st.one_of(
    st.integers(0, 300),
    st.sampled_from(
        ["C", "S", "1", "17", "17.50", "0.125", " T 1\r\n", "2026-11-23T08:00:12.3456785Z", "\u00a0é\ufeff"]
    ),
    st.sampled_from([0.5, 2.35, 0.0125, 17.0, 1e3, 1_795_420_812_345]),
    st.booleans(),
)
ELEMENTS = st.fixed_dictionaries({"a": ORDINARY, "b": ORDINARY, "c": st.integers(0, 15)}, optional={"at": ORDINARY})
PAYLOADS = st.one_of(
    *[ELEMENTS] * 5,
    st.fixed_dictionaries({"a": ORDINARY, "at": ORDINARY, "list": st.lists(ELEMENTS, max_size=3)}),
    st.dictionaries(KEYS, VALUES, max_size=6) | VALUES,
)
PATHS = st.sampled_from(
    [
        *("a", "b", "c", "a.b", "$.a", "$.at", ".", "list[0]", "list[1].a", "b.a.c"),
        *('"a".b', 'b."a.b"', 'a."say \\"b\\"".c', '"é"'),
    ]
)
CAPTURES = st.lists(
    st.sampled_from(["PTL-01", "é", " x "])
    | st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='"\\\x7f'), max_size=6),
    min_size=2,
    max_size=2,
).map(lambda texts: [text.encode() for text in texts])


def fields(wanted: str) -> st.SearchStrategy[FieldSettings]:
    """Settings of a field of this type."""
    maybe = st.none()
    options: dict[str, Any] = {
        "absent": st.lists(st.sampled_from(["X", 0, 17, True, "NOREAD", 300]), max_size=2),
        "trim": st.booleans(),
        "required": st.booleans(),
        "bit": maybe | st.integers(0, 63),
        "bits": st.integers(1, 64),
    }
    table = st.dictionaries(st.sampled_from(["C", "S", "1", "true", "0", "17"]), TABLE_VALUES[wanted], min_size=1)
    options["table"] = maybe | table
    options["other"] = maybe | TABLE_VALUES[wanted]
    if wanted == "int":
        options["scale"] = maybe | st.sampled_from([0.1, 1000, 0.5, 2.5, 1e-9])
        options["time"] = maybe | st.sampled_from(["rfc3339", "epoch_ms", "epoch_s", "epoch_us"])
    options["default"] = maybe | DEFAULTS[wanted]
    origin = st.one_of(
        st.fixed_dictionaries({"path": PATHS}),
        st.fixed_dictionaries({"path": PATHS}),
        st.fixed_dictionaries({"capture": st.sampled_from(NAMES)}),
        st.fixed_dictionaries({"template": st.sampled_from(["{x}", "p/{x}/{.a}", "{$.b}-{y}", "{.c} "])}),
        st.fixed_dictionaries({"const": TABLE_VALUES[wanted]}),
    )
    chosen = st.fixed_dictionaries({}, optional=options)
    return st.builds(lambda one, more: FieldSettings(**{**more, **one}), origin, chosen)


TABLE_VALUES: dict[str, Any] = {
    "text": st.sampled_from(["set", "clear", " padded ", "", 7, True]),
    "int": st.sampled_from([0, 5, "12", "12.5", True, -1, 2**63]),
    "bool": st.sampled_from([True, False, "true", 1, 2]),
}
DEFAULTS: dict[str, Any] = {"text": st.just("none"), "int": st.just(9), "bool": st.booleans()}
KINDS = st.one_of(
    st.sampled_from(["jam", "telemetry", "weigh", "carton.open"]).map(lambda kind: FieldSettings(const=kind)),
    st.just(FieldSettings(path="a", table={"C": "pick.confirm", "S": "pick.short"}, default="carton.open")),
    st.just(FieldSettings(path="b", default="jam")),
)
OTHERS: dict[str, Any] = {
    **{name: fields("text") for name in ("lu", "state", "task", "sku", "code")},
    **{name: fields("int") for name in ("qty", "weight_g", "t", "epoch", "line")},
    "hist": fields("bool"),
    "seq": st.just(FieldSettings(path="c", wrap=16)) | fields("int"),
}
RECORDS = st.lists(st.sampled_from(sorted(OTHERS)), max_size=2, unique=True).flatmap(
    lambda names: st.fixed_dictionaries(
        {
            "kind": st.one_of([st.just(FieldSettings(const="telemetry"))] * 3 + [KINDS]),
            "src": st.one_of([st.just(FieldSettings(template="dc1/{x}"))] * 4 + [fields("text")]),
            **{name: OTHERS[name] for name in names},
        }
    )
)


@settings(max_examples=200, deadline=None)
@given(
    RECORDS,
    st.lists(PAYLOADS, min_size=1, max_size=4),
    CAPTURES,
    st.sampled_from([None, None, None, "list", "list", "$", "a.b"]),
    st.sampled_from([None, None, None, {"a": ["C", "S"]}, {"b": [1, True, "X"], "c": 7}]),
    st.sampled_from([None, 2]),
)
def test_a_compiled_record_table_is_the_table(
    record: RecordSettings, payloads: list[object], captures: list[bytes], each: Any, when: Any, indent: int | None
) -> None:
    named: dict[str, Any] = {"each": each, "when": when}
    slow = compile_record(record, sequences=Sequences(lambda src: None), **named)
    fast = compile_lines(record, sequences=Sequences(lambda src: None), captures=NAMES, **named)
    if fast is None:
        return
    for payload in payloads:
        raw = json.dumps(payload, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
        lines = block_of(fast, raw, captures)
        expected = spelled_out(slow, raw, captures)
        if lines is not None:
            assert Lines(lines, []) == expected
        else:
            # what the other one counted on, this one has to have counted on as well
            fast = compile_lines(record, captures=NAMES, **named)
            slow = compile_record(record, **named)
            assert fast is not None


@given(RECORDS, st.binary(max_size=12) | TEXTS.map(str.encode), CAPTURES)
def test_a_compiled_record_of_a_text_is_the_record(
    record: RecordSettings, payload: bytes, captures: list[bytes]
) -> None:
    fast = compile_lines(record, captures=NAMES, of_text=True)
    lines = block_of(fast, payload, captures) if fast is not None else None
    if lines is not None:
        assert Lines(lines, []) == spelled_out(compile_record(record), payload, captures, of_text=True)


GOOD: dict[str, Any] = {
    "kind": st.sampled_from(["jam", "telemetry", "carton.open", "link.up"]),
    "src": st.just("dc1/a/b"),
    "state": st.sampled_from(["set", "clear", "é"]),
    "lu": st.text(min_size=1, max_size=5),
    "qty": st.integers(0, 2**63 - 1),
    "t_rx": st.integers(0, 2**40) | st.just("text"),
    "sub": st.integers(0, 5),
    "epoch": st.integers(0, 5),
    "hist": st.booleans(),
    "t": st.sampled_from([0, T_RX]),
    "unknown": SCALARS.filter(lambda value: value is not None),
    "an_unknown_name_of_some_length": ORDINARY,
}
WILD: dict[str, Any] = {
    **GOOD,
    "kind": st.sampled_from(["jam", "pick.confirm", "telemetry", "clock.tick", "order.cancelled", "nonsense", ""]),
    "src": st.sampled_from(["dc1/a/b", "x" * 129, ""]),
    "t_rx": SCALARS,
    "state": SCALARS,
    "qty": SCALARS,
    "lines": st.lists(st.integers(0, 3), max_size=2),
    "t": st.sampled_from([0, T_RX, 7_258_118_400_000_001]),
    "unknown": VALUES,
}


def good(*names: str) -> st.SearchStrategy[dict[str, object]]:
    """Records that have these fields, and perhaps others."""
    others = {name: values for name, values in GOOD.items() if name not in names}
    return st.fixed_dictionaries({name: GOOD[name] for name in names}, optional=others)


CANONICAL = good("kind", "state", "lu") | good("kind", "src", "state", "lu") | st.fixed_dictionaries({}, optional=WILD)
CONSTANTS: list[dict[str, Any]] = [{}, {"src": "dc1/wms/main"}, {"src": "d", "kind": "jam", "state": "set", "line": 3}]


@settings(max_examples=200, deadline=None)
@given(
    CANONICAL | st.lists(CANONICAL, max_size=3),
    st.sampled_from(CONSTANTS),
    st.sampled_from([None, None, {"kind": "jam"}]),
    st.sampled_from([None, 1]),
)
def test_a_canonical_payload_passes_as_the_record_that_it_is(
    payload: object, constants: dict[str, Any], when: Any, indent: int | None
) -> None:
    each = "$" if isinstance(payload, list) else None
    fast = compile_canonical(constants, when, each)
    assert fast is not None
    raw = json.dumps(payload, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    lines = block_of(fast, raw, [])
    if lines is None:
        return
    expected = spelled_out(CanonicalPlan(constants, Selection(when, each)), raw, [b"", b""])
    assert expected.causes == []
    assert [json.loads(line) for line in lines] == [json.loads(line) for line in expected.lines]
    texts = Texts()
    assert make_decoder(texts).decode(b"".join(line + b"\n" for line in lines), Batch(texts)) == []


NUMBERS = st.sampled_from([0, 1, 7, 999_999_999_999_999_999, 2**60, 2**64, -1, 0.5, 1e3])
LINES = st.fixed_dictionaries(
    {"line": st.integers(0, 9), "sku": st.sampled_from(["A", "1e5", "-1.5", 'q"\\', "é"]), "qty": st.integers(0, 99)},
    optional={"lot": st.just("L"), "note": NUMBERS | st.lists(NUMBERS | st.none(), max_size=2), "rate": SCALARS},
)
CONTEXT: dict[str, dict[str, Any]] = {
    "order.released": {"order": st.just("O-1"), "lines": st.lists(LINES, max_size=4)},
    "order.cancelled": {"order": st.just("O-1"), "lines": st.lists(st.integers(0, 9) | NUMBERS, max_size=3)},
    "wave.released": {"wave": st.just("W"), "orders": st.lists(st.sampled_from(["O-1", ""]) | SCALARS, max_size=3)},
    "manifest.result": {
        "shipment": st.just("S"),
        "manifest_no": st.just("M"),
        "tracking": st.lists(st.fixed_dictionaries({"carton": TEXTS, "tracking_no": TEXTS}), max_size=2),
        "freight": VALUES,
    },
}


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(CONTEXT)).flatmap(
        lambda kind: st.fixed_dictionaries({"kind": st.just(kind), "rev": st.integers(1, 3), **CONTEXT[kind]})
    ),
    st.sampled_from([None, 1]),
)
def test_a_record_with_lists_passes_as_the_record_that_it_is(record: dict[str, Any], indent: int | None) -> None:
    fast = compile_canonical({"src": "dc1/wms/main"})
    assert fast is not None
    raw = json.dumps(record, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")
    lines = block_of(fast, raw, [])
    if lines is None:
        return
    expected = spelled_out(CanonicalPlan({"src": "dc1/wms/main"}, Selection(None, None)), raw, [b"", b""])
    assert expected.causes == []
    assert [json.loads(line) for line in lines] == [json.loads(line) for line in expected.lines]
    texts = Texts()
    assert make_decoder(texts).decode(b"".join(line + b"\n" for line in lines), Batch(texts)) == []


@given(st.lists(LINES.map(lambda line: {name: line[name] for name in ("line", "sku", "qty")}), max_size=9))
def test_an_ordinary_order_is_for_the_compiled_plan(lines: list[dict[str, Any]]) -> None:
    fast = compile_canonical({"src": "dc1/wms/main"})
    assert fast is not None
    record = {"kind": "order.released", "order": "O-1", "rev": 1, "lines": lines}
    assert block_of(fast, msgspec.json.encode(record), []) is not None


@pytest.mark.parametrize(
    "lines",
    [
        '[{"line":1,"sku":"A","qty":1.0}]',
        '[{"line":1,"sku":"A","qty":1,"note":[1e3]}]',
        '[{"line":1,"sku":"A","qty":-1}]',
        '[{"line":1,"sku":"A"}]',
        '[{"line":1,"line":2,"sku":"A","qty":1}]',
        '[{"line":1,"sku":"A","qty":9999999999999999999}]',
        "[1]",
        "{}",
        '[{"line":1,"sku":"","qty":1}]',
    ],
)
def test_a_list_that_is_not_as_the_kind_wants_it_is_not_for_the_compiled_plan(lines: str) -> None:
    fast = compile_canonical({"src": "dc1/wms/main"})
    assert fast is not None
    payload = '{"kind":"order.released","order":"O-1","rev":1,"lines":' + lines + "}"
    assert block_of(fast, payload.encode(), []) is None


@settings(max_examples=100, deadline=None)
@given(CANONICAL | st.builds(lambda lines: {"kind": "order.released", "order": "O", "rev": 1, "lines": lines}, VALUES))
def test_a_meaning_is_what_the_plan_in_python_says(payload: dict[str, Any]) -> None:
    topic = Topic(filter="dc1/#rest", format="canonical", constants={"src": "dc1/wms/main"})
    raw = json.dumps(payload).encode()
    found = Meaning(topic, Sequences(lambda src: None), len(raw)).lines(raw, T_RX)
    expected = spelled_out(CanonicalPlan({"src": "dc1/wms/main"}, Selection(None, None)), raw, [b"", b""])
    assert [json.loads(line) for line in found.lines] == [json.loads(line) for line in expected.lines]
    assert found.causes == expected.causes


@given(st.binary(max_size=40) | VALUES.map(lambda value: msgspec.json.encode(value)), st.data())
def test_any_bytes_are_taken_whole_or_not_at_all(payload: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(payload)))
    for plan in (
        compile_canonical({"src": "a"}),
        compile_lines({"kind": FieldSettings(const="jam"), "src": "a", "state": "b"}),
    ):
        assert plan is not None
        for part in (payload, payload[:cut]):
            lines = block_of(plan, part, [])
            if lines is not None:
                json.loads(part)


PICKS: RecordSettings = {
    "src": FieldSettings(template="dc1/pick/{x}"),
    "kind": FieldSettings(path="ty", table={"C": "pick.confirm", "S": "pick.short", "R": "pick.reverse"}),
    "seq": FieldSettings(path="n", wrap=256),
    "t": FieldSettings(path="ts", time="epoch_ms"),
    "task": "job",
    "sku": "sku",
    "qty": "q",
    "loc": "bin",
    "lu": "tote",
    "code": "why",
}
READS: RecordSettings = {
    "src": FieldSettings(template="dc1/conveyor/{x}"),
    "kind": FieldSettings(const="weigh"),
    "lu": FieldSettings(path="bc", absent=["NOREAD"], required=True),
    "weight_g": FieldSettings(path="kg", unit="kg"),
    "t": FieldSettings(path="$.head.at", time="rfc3339"),
}


@pytest.mark.parametrize(
    ("record", "named", "payload", "count"),
    [
        (PICKS, {}, b'{"ty":"C","n":17,"ts":1795420812345,"job":"T-1","sku":"S","q":2,"bin":"B-07","tote":"T"}', 1),
        (PICKS, {}, b'{ "ty": "S",\r\n "n": 255, "job": "T-1", "why": " EMPTY\\u0000" }', 0),
        (PICKS, {}, b'{ "ty": "S",\r\n "n": 255, "job": "T-1", "why": " EMPTY " }', 1),
        (PICKS, {"when": {"ty": ["C", "S"]}}, b'{"ty":"HELLO","uptime":[1,2,{"a":null}]}', -1),
        (
            READS,
            {"each": "reads", "when": {"ok": 1}},
            b'{"head":{"at":"2026-11-23T08:00:12.345678Z"},"reads":[{"bc":"T1","ok":1,"kg":2.35},{"ok":0},{"bc":"T2","ok":1,"kg":0.0125}]}',
            2,
        ),
    ],
)
def test_what_is_ordinary_is_taken(record: RecordSettings, named: dict[str, Any], payload: bytes, count: int) -> None:
    fast = compile_lines(record, captures=NAMES, **named)
    assert fast is not None
    lines = block_of(fast, payload, [b"PTL-01", b""])
    if count == 0:
        assert lines is None
    else:
        assert lines is not None
        assert len(lines) == max(count, 0)
        assert lines == spelled_out(compile_record(record, **named), payload, [b"PTL-01", b""]).lines


@pytest.mark.parametrize("payload", [b"RUN", b" RUN\r\n", b"17", "Spur 3, gr\u00fcn".encode()])
def test_ordinary_bare_texts_are_taken(payload: bytes) -> None:
    state = FieldSettings(path=".", table={"RUN": "set", "17": "clear", "Spur 3, gr\u00fcn": "clear"})
    lights, jam = FieldSettings(const="dc1/lights/1"), FieldSettings(const="jam")
    record: RecordSettings = {"src": lights, "kind": jam, "state": state}
    fast = compile_lines(record, captures=NAMES, of_text=True)
    assert fast is not None
    expected = spelled_out(compile_record(record), payload, [b"", b""], of_text=True).lines
    assert len(expected) == 1
    assert block_of(fast, payload, [b"", b""]) == expected


def test_ordinary_canonical_records_are_taken() -> None:
    plan = compile_canonical({"src": "dc1/wms/main"})
    assert plan is not None
    pick = b'{"kind":"pick.confirm","task":"T","sku":"S","qty":1,"t_rx":5,"note":1.5}'
    assert block_of(plan, pick, []) == [
        b'{"src":"dc1/wms/main","kind":"pick.confirm","task":"T","sku":"S","qty":1,"t_rx":%d,"note":1.5}' % T_RX
    ]
    jam = b'{"src":"a","state":"set","kind":"jam"}'
    assert block_of(plan, jam, []) == [jam[:-1] + b',"t_rx":%d}' % T_RX]


LIKE_PICKS = st.sampled_from(
    [
        b'{"kind":"pick.confirm","task":"T","sku":"S","qty":1,"t":5}',
        b'{"kind":"pick.confirm","task":"T","sku":"S","t":5,"qty":1}',
        b'{"kind" : "pick.confirm", "task": "T","sku":"S","qty":1}',
        b'{"kin":1,"kind":"pick.confirm","tas":1,"task":"T","sku":"S","qty":1}',
        b'{"kind":"pick.confirm","ta\\u0073k":"T","sku":"S","qty":1}',
        b'{"kind":"pick.confirm","task\x00":"T","task":"T","sku":"S","qty":1}',
        b'{"kind":"pick.confirm","task":"T","task":"U","sku":"S","qty":1}',
        b'{"":1,"kind":"pick.confirm","task":"T","sku":"S","qty":1}',
        b'{"kind":"pick.confirm","task":"T","sku":"S","qty"',
        b'{"kind":"pick.confirm","task":"T","sku":"S","qty":',
        b'["kind","task",{"sku":"S"}]',
    ]
)


@given(st.lists(LIKE_PICKS, max_size=12))
def test_a_plan_remembers_nothing_of_the_texts_before(payloads: list[bytes]) -> None:
    """But where their keys stood, which is only a guess."""
    used = compile_canonical({"src": "a"})
    assert used is not None
    for payload in payloads:
        fresh = compile_canonical({"src": "a"})
        assert fresh is not None
        assert block_of(used, payload, []) == block_of(fresh, payload, [])


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e12])
def test_a_factor_that_c_cannot_count_with_is_not_compiled(scale: float) -> None:
    record: RecordSettings = {
        "kind": FieldSettings(const="weigh"),
        "src": "a",
        "qty": FieldSettings(path="q", scale=scale),
    }
    assert (compile_lines(record) is None) == (scale == 1e12)
