"""What the decoder of canonical lines lets in and what it refuses, one test a rule."""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.model import KINDS
from engine.records import make_decoder
from ext.batch import Batch
from ext.kinds import NAMES
from ext.ndjson import LINE_BYTES_MAX
from ext.texts import Texts

TICK = {"kind": "clock.tick", "t_rx": 1}
PICK = {"src": "s", "kind": "pick.confirm", "t_rx": 1, "task": "T", "sku": "S", "qty": 2}
LINE = {"line": 1, "sku": "S", "qty": 1}
ORDER = {"src": "w", "kind": "order.released", "t_rx": 1, "order": "O", "rev": 1, "lines": [LINE]}


def decode(data: bytes) -> tuple[Batch, list[tuple[int, str]]]:
    texts = Texts()
    batch = Batch(texts)
    return batch, make_decoder(texts).decode(data, batch)


def reason(record: Any) -> str | None:
    """Why a record (or a raw line) is refused; None if it is let in."""
    line = record if isinstance(record, bytes) else json.dumps(record).encode()
    batch, refused = decode(line)
    assert len(batch) + len(refused) == 1
    return refused[0][1] if refused else None


def test_the_compiled_kinds_are_those_of_the_model() -> None:
    assert set(NAMES[1:]) == set(KINDS)
    assert len(NAMES) == len(KINDS) + 1


def test_absent_fields_have_their_defaults() -> None:
    batch, _ = decode(b'{"src":"a","kind":"jam","state":"set","t_rx":5}')
    names = ("t_rx", "t", "epoch", "seq", "sub", "qty", "weight_g", "line", "task", "press", "flags")
    absent = -(2**63)
    assert [batch.column(name)[0] for name in names] == [5, absent, 0, absent, 0, absent, absent, -1, 0, 0, 0]
    assert batch.texts.text(batch.column("src")[0]) == "a"


def test_hist_and_alloc_are_flags() -> None:
    alloc = {
        "src": "s",
        "kind": "pick.confirm",
        "t_rx": 1,
        "sku": "S",
        "alloc": [{"task": "T", "qty": 1}],
        "hist": True,
    }
    lines = [PICK, {**PICK, "hist": False}, {**PICK, "hist": True}, alloc]
    batch, refused = decode(b"\n".join(json.dumps(line).encode() for line in lines))
    assert (batch.column("flags").tolist(), refused) == ([0, 0, 1, 3], [])


def test_of_noise_nothing_but_the_source_is_interned() -> None:
    batch, refused = decode(b'{"src":"a","kind":"telemetry","t_rx":5,"lu":"L","sku":7,"state":null,"qty":-1.5}')
    assert not refused
    assert len(batch.texts) == 2  # the empty text and "a"
    assert batch.record(0)["qty"] == -1.5


def test_a_refused_record_leaves_no_text_behind() -> None:
    batch, refused = decode(b'{"src":"a","kind":"scan.read","lu":"L","t_rx":"now"}')
    assert refused == [(0, "t_rx: integer expected")]
    assert len(batch.texts) == 1


def test_escaped_and_plain_texts_are_one_text() -> None:
    lines = (
        rb'{"src":"s","kind":"scan.read","t_rx":1,"lu":"a\u00e9\ud83d\ude00\/"}',
        '{"src":"s","kind":"scan.read","t_rx":1,"lu":"aé😀/"}',
    )
    batch, refused = decode(lines[0] + b"\n" + lines[1].encode())
    assert not refused
    assert len(set(batch.column("lu").tolist())) == 1


def test_a_key_may_be_written_with_escapes() -> None:
    batch, refused = decode(rb'{"s\u0072c":"s","kind":"scan.\u0072ead","t_rx":1,"lu":"L"}')
    assert not refused
    assert NAMES[batch.column("kind")[0]] == "scan.read"
    assert reason(rb'{"kind":"clock.tick","t_rx":1,"\u0074_rx":2}') == 'duplicate key "t_rx"'


def test_the_order_of_the_record_before_is_only_a_guess() -> None:
    told = [
        b'{"src":"a","kind":"scan.read","seq":1,"t":7,"lu":"L","point":"P0","t_rx":9}',
        b'{"src":"b","kind":"scan.read","t":8,"seq":2,"point":"P0","lu":"M","t_rx":9}',  # others behind `kind` and `t`
        b'{"src" :"c","kind": "scan.read","seq":3,"t_rx":9,"lu":"N"}',  # white space, and the last key near the end
        b'{"srcs":1,"src":"d","kind":"scan.read","seq":4,"lu":"L","t_rx":9}',  # one that only begins like it
        b'{"lu":"L","lu":"L","src":"a","kind":"scan.read","t_rx":9}',
        b'{"src":"a","src":"a","kind":"scan.read","lu":"L","t_rx":9}',
    ]
    batch, refused = decode(b"\n".join(told))
    assert [batch.record(i) for i in range(len(batch))] == [json.loads(line) for line in told[:4]]
    assert [batch.texts.text(number) for number in batch.column("lu")] == ["L", "M", "N", "L"]
    assert batch.column("seq").tolist() == [1, 2, 3, 4]
    assert refused == [(4, 'duplicate key "lu"'), (5, 'duplicate key "src"')]


def test_lines_may_end_in_crlf_be_blank_and_begin_with_a_byte_order_mark() -> None:
    batch, refused = decode(b'\xef\xbb\xbf{"kind":"clock.tick","t_rx":1}\r\n\r\n  \n\n{"kind":"clock.tick","t_rx":2}')
    assert not refused
    assert batch.column("t_rx").tolist() == [1, 2]
    assert batch.ndjson() == b'{"kind":"clock.tick","t_rx":1}\n{"kind":"clock.tick","t_rx":2}\n'


def test_reasons_name_the_line_from_0_and_good_rows_around_it_stand() -> None:
    batch, refused = decode(b'{"kind":"clock.tick","t_rx":1}\n\nnonsense\n{"kind":"clock.tick","t_rx":2}\n')
    assert refused == [(2, "a JSON object expected")]
    assert len(batch) == 2


def test_a_payload_is_one_record_without_line_feeds() -> None:
    texts = Texts()
    batch = Batch(texts)
    lines = [b'{"kind":"clock.tick","t_rx":1}\n', b'{"kind":"clock.tick",\n"t_rx":2}', b""]
    assert make_decoder(texts).decode_lines(lines, batch) == [(1, "a line feed inside the record")]
    assert batch.ndjson() == b'{"kind":"clock.tick","t_rx":1}\n'


def test_a_batch_of_another_text_table_is_refused() -> None:
    with pytest.raises(ValueError, match="another table"):
        make_decoder(Texts()).decode(b"", Batch(Texts()))


def test_a_full_text_table_says_so_and_keeps_the_rows_before() -> None:
    texts = Texts(bytes_max=4)
    batch = Batch(texts)
    line = b'{"src":"%s","kind":"jam","state":"set","t_rx":1}\n'
    with pytest.raises(MemoryError, match="distinct names"):
        make_decoder(texts).decode(line % b"a" + line % b"bcdef", batch)
    assert len(batch) == 1


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({}, "kind: missing"),
        ({**PICK, "kind": 3}, "kind: text expected"),
        ({**PICK, "kind": ""}, 'unknown kind ""'),
        ({**PICK, "kind": "x\x1b" + "y" * 99}, 'unknown kind "x\\u001b' + "y" * 38 + '"'),
        ({"kind": "jam", "state": "set", "t_rx": 1}, "src: missing"),
        ({"src": "a", "kind": "jam", "state": "set"}, "t_rx: missing"),
        ({**PICK, "src": ""}, "src: empty"),
        ({**PICK, "src": 1}, "src: text expected"),
        ({**PICK, "qty": "2"}, "qty: integer expected"),
        ({**PICK, "qty": 2.0}, "qty: integer expected"),
        ({**PICK, "qty": True}, "qty: integer expected"),
        ({**PICK, "qty": None}, "qty: null, leave it out"),
        ({**PICK, "qty": -1}, "qty: out of range"),
        ({**PICK, "qty": 2**53}, "qty: out of range"),
        ({**PICK, "qty": 2**63}, "qty: out of range"),
        ({"src": "s", "kind": "weigh", "lu": "L", "t_rx": 1, "weight_g": 2**53}, "weight_g: out of range"),
        ({**PICK, "line": 2**31}, "line: out of range"),
        ({**PICK, "sub": 2**31}, "sub: out of range"),
        ({**PICK, "t": -5}, "t: out of range"),
        ({**PICK, "t": 7258118400000001}, "t: after the year 2200"),
        ({**PICK, "t_rx": 2**62}, "t_rx: after the year 2200"),
        ({**PICK, "hist": 1}, "hist: true or false expected"),
        ({**PICK, "task": ""}, "task: empty, leave it out"),
        ({**PICK, "task": 7}, "task: text expected"),
        ({"src": "s", "kind": "pick.confirm", "t_rx": 1, "task": "T"},
         "pick.confirm needs qty, sku and task, or line, order, qty and sku, or alloc and sku"),
        ({"src": "s", "kind": "scan.multiread", "t_rx": 1, "codes": ["a", 1]}, "codes[1]: text expected"),
        ({"src": "s", "kind": "scan.multiread", "t_rx": 1, "codes": "a"}, "codes: list of texts expected"),
        ({"src": "w", "kind": "order.cancelled", "t_rx": 1, "order": "O", "rev": 1, "lines": [1, "2"]},
         "lines[1]: integer expected"),
        ({"src": "w", "kind": "order.released", "t_rx": 1, "order": "O", "rev": 1, "lines": [7]},
         "lines[0]: object expected"),
        ({"src": "w", "kind": "order.released", "t_rx": 1, "order": "O", "rev": 1, "lines": [{"line": 1, "sku": "S"}]},
         "lines[0] needs line, qty and sku"),
        ({"src": "w", "kind": "shipment.plan", "t_rx": 1, "shipment": "S", "rev": 1,
          "scope": [{"order": "O", "line": 1, "qty": "4"}]}, "scope[0].qty: integer expected"),
        ({"src": "w", "kind": "manifest.result", "t_rx": 1, "shipment": "S", "rev": 1, "manifest_no": "M",
          "freight": None}, "freight: null, leave it out"),
        ({"src": "g", "kind": "source.gap", "t_rx": 1, "t_from": 1, "t_to": 2, "count": "3"},
         "count: integer expected"),
        ({"src": "s", "kind": "jam", "t_rx": 1, "state": "on"}, "state: one of set, clear expected"),
        ({"src": "s", "kind": "label.verified", "t_rx": 1, "lu": "L", "result": "FOO"},
         "result: one of OK, NOREAD, MISMATCH expected"),
        ({"src": "s", "kind": "pick.short", "t_rx": 1, "task": "T", "code": "ELSE"},
         "code: one of EMPTY, INSUFFICIENT, DAMAGED, NOT_FOUND, OPERATOR expected"),
        ({"src": "s", "kind": "return.graded", "t_rx": 1, "sku": "A", "qty": 1, "grade": "A", "disposition": "BIN"},
         "disposition: one of RESTOCK, QUARANTINE, SCRAP, VENDOR expected"),
        ({**ORDER, "rev": 0}, "rev: out of range"),
        ({**ORDER, "lines": [{**LINE, "short_policy": "SHIP_LATER"}]},
         "lines[0].short_policy: one of SHIP_PARTIAL, HOLD, CANCEL_LINE, BACKORDER expected"),
        ({**ORDER, "lines": [LINE, {**LINE, "over_tol_pct": 1001}]}, "lines[1].over_tol_pct: out of range"),
        (b"[]", "a JSON object expected"),
        (b"nonsense", "a JSON object expected"),
        (b'{"a":1,}', "broken JSON at byte 7"),
        (b'{"a":007}', "broken JSON at byte 5"),
        (b'{"a":1} {}', "broken JSON at byte 7"),
        (b'{"a":"\x01"}', "broken JSON at byte 6"),
        (b'{"a":NaN}', "broken JSON at byte 5"),
        (b'{"a":"\\ud800"}', "broken JSON at byte 6"),
        (b'{"a":"\xff"}', "not UTF-8 at byte 6"),
        (b'{"a":1,"b":{"c":1,"d":2,"c":3}}', 'duplicate key "c"'),
        (b'{"a":1e400}', "number too large at byte 5"),
    ],
)  # fmt: skip
def test_a_record_that_does_not_fit_is_refused_with_its_reason(record: Any, expected: str) -> None:
    assert reason(record) == expected


@pytest.mark.parametrize(
    "record",
    [
        {
            **PICK,
            "qty": 2**53 - 1,
            "seq": 2**63 - 1,
            "line": 2**31 - 1,
            "t": 7258118400000000,
            "x": None,
            "y": 1e240,
            "z": 10**50,
        },
        {
            "src": "w",
            "kind": "manifest.result",
            "t_rx": 1,
            "shipment": "S",
            "rev": 1,
            "manifest_no": "M",
            "freight": 9.5,
        },
        {"src": "w", "kind": "order.cancelled", "t_rx": 1, "order": "O", "rev": 1, "lines": []},
        {"src": "g", "kind": "link.down", "t_rx": 1, "scope": "dc1/"},
        {"src": "s", "kind": "asrs.exception", "t_rx": 1, "code": "a fault of its own"},
        {"src": "s", "kind": "machine.state", "t_rx": 1, "state": "Execute", "code": "ELSE"},
        {**ORDER, "lines": [{**LINE, "short_policy": "HOLD", "over_tol_pct": 1000}]},
        rb'{"src":"s","kind":"label.verified","t_rx":1,"lu":"L","result":"\u004eOREAD"}',
    ],
)
def test_a_record_that_fits_is_let_in(record: Any) -> None:
    assert reason(record) is None


def nested(depth: int) -> bytes:
    """A record whose deepest list is the `depth`-th level, the record itself being the first."""
    return b'{"kind":"clock.tick","t_rx":1,"x":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


@pytest.mark.parametrize(
    ("make", "limit", "expected"),
    [
        (lambda n: b'{"kind":"clock.tick","t_rx":1}' + b" " * (n - 30), LINE_BYTES_MAX, "longer than 262144 bytes"),
        (nested, 32, "nested deeper than 32"),
        (lambda n: {**TICK, **{f"k{i}": i for i in range(n - 2)}}, 256, "more than 256 keys in an object"),
        (lambda n: {**TICK, "x": {f"k{i}": i for i in range(n)}}, 256, "more than 256 keys in an object"),
        (lambda n: {**PICK, "task": "T" * n}, 4096, "a text longer than 4096 bytes at byte 57"),
        (lambda n: {**PICK, "task": "\n" + "T" * (n - 1)}, 4096, "a text longer than 4096 bytes at byte 57"),
        (lambda n: {**TICK, "é" * (n // 2) + "x" * (n % 2): 1}, 4096, "a text longer than 4096 bytes at byte 35"),
        (lambda n: {**PICK, "src": "s" * n}, 128, "src: longer than 128 bytes"),
        (lambda n: {**PICK, "src": "é" * (n // 2) + "s" * (n % 2)}, 128, "src: longer than 128 bytes"),
        (lambda n: b'{"kind":"clock.tick","t_rx":1,"x":' + b"9" * n + b"}", 64, "number too large at byte 34"),
        (lambda n: b'{"kind":"clock.tick","t_rx":1,"x":1e-%d}' % n, 240, "number too large at byte 34"),
    ],
)  # fmt: skip
def test_each_limit_holds_at_n_and_not_beyond(make: Any, limit: int, expected: str) -> None:
    assert reason(make(limit - 1)) is None
    assert reason(make(limit)) is None
    assert reason(make(limit + 1)) == expected


SCAN = '{"src":"s","kind":"scan.read","t_rx":1,"lu":"%s"}'


@pytest.mark.parametrize("special", ['\\"', "\\\\", "\\n", "\\u00e9", "é", "\x7f", "€", "😀"])
def test_texts_are_read_alike_wherever_what_is_special_in_them_stands(special: str) -> None:
    # sixteen bytes at a time, then eight, then one: every place in each, and before the end of the line
    lines = [SCAN % ("a" * before + special + "b" * behind) for before in range(35) for behind in (0, 1, 9, 20)]
    batch, refused = decode("\n".join(lines).encode())
    assert not refused
    assert [batch.texts.text(number) for number in batch.column("lu")] == [json.loads(line)["lu"] for line in lines]


@pytest.mark.parametrize("special", [b'"x', b"\\x", b"\t", b"\0", b"\x80", b"\xff", b"\xc3"])
def test_a_text_that_is_none_is_seen_wherever_that_stands(special: bytes) -> None:
    for before in range(35):
        for behind in (b"", b"b", b"b" * 20):
            place = SCAN.index("%") + before + (special == b'"x')
            fault = reason(SCAN.encode() % (b"a" * before + special + behind))
            assert fault in (f"broken JSON at byte {place}", f"not UTF-8 at byte {place}")


def test_numbers_of_every_length_are_exact() -> None:
    numbers = [int("1234567890123456789"[:length]) for length in range(1, 20)] + [0, 10**18 - 1, 10**18, 2**63 - 1]
    lines = [json.dumps({"t_rx": 1, "src": "s", "kind": "jam", "state": "set", "seq": number}) for number in numbers]
    batch, refused = decode("\n".join(lines).encode())
    assert not refused
    assert batch.column("seq").tolist() == numbers
    for wrong in (b"01", b"00", b"12345678e1", b"1.5", b"1234567890123456.5", b"12345678E0", b"-1", b"1a", b"9" * 20):
        assert reason(b'{"t_rx":1,"src":"s","kind":"jam","state":"set","seq":%b}' % wrong) is not None, wrong


def test_each_kind_has_an_order_of_its_own_to_be_guessed() -> None:
    told = [
        b'{"src":"a","kind":"scan.read","seq":%d,"t":7,"lu":"L%d","t_rx":9}',
        b'{"src":"a","kind":"telemetry","t":7,"seq":%d,"lu":"M%d","t_rx":9}',
        b'{"lu":"N%d","seq":%d,"t":7,"kind":"scan.read","src":"b","t_rx":9}',
        b'{"seq":%d,"lu":"%d","t_rx":9,"src":"c","kind":"weigh","weight_g":5}',
    ]
    lines = [told[i % 4] % (i, i) for i in range(40)]
    batch, refused = decode(b"\n".join(lines))
    assert not refused
    assert batch.column("seq").tolist() == list(range(40))
    assert [batch.record(i) for i in range(40)] == [json.loads(line) for line in lines]
    noise = [i for i in range(40) if i % 4 == 1]
    assert all((batch.column("lu")[i] == 0) == (i in noise) for i in range(40))


def test_fields_before_the_kind_are_held_against_it_too() -> None:
    rest = b'"src":"s","t_rx":1,"task":"T","sku":"S",'
    assert reason(b'{"qty":2,%b"kind":"pick.confirm"}' % rest) is None
    assert reason(b'{"qty":-2,%b"kind":"pick.confirm"}' % rest) == "qty: out of range"
    assert reason(b'{"qty":%d,%b"kind":"pick.confirm"}' % (2**53, rest)) == "qty: out of range"
    assert reason(b'{"lu":"",%b"qty":2,"kind":"pick.confirm"}' % rest) == "lu: empty, leave it out"
    assert reason(b'{"line":%d,%b"qty":2,"kind":"pick.confirm"}' % (2**31, rest)) == "line: out of range"
    assert reason(b'{"lu":7,%b"qty":null,"kind":"telemetry"}' % rest) is None


def test_known_and_unknown_keys_count_together() -> None:
    unknown = {f"k{i}": i for i in range(250)}
    assert reason({**unknown, **PICK}) is None
    assert reason({**unknown, **PICK, "lu": "L"}) == "more than 256 keys in an object"


@pytest.mark.parametrize("space", ["", " ", "  ", "\t"])
def test_white_space_may_stand_between_any_two_tokens(space: str) -> None:
    order = ["{", '"src"', ":", '"w"', ",", '"kind"', ":", '"order.released"', ",", '"t_rx"', ":", "1", ",", '"order"']
    order += [":", '"O"', ",", '"rev"', ":", "1", ",", '"lines"', ":", "["]
    order += ["{", '"line"', ":", "1", ",", '"sku"', ":", '"S"', ",", '"qty"', ":", "2", "}", ","]
    order += ["{", '"line"', ":", "2", ",", '"sku"', ":", '"S"', ",", '"qty"', ":", "3", "}", "]", "}"]
    assert reason(space.join(order).encode()) is None
    cancel = [
        "{",
        '"src"',
        ":",
        '"w"',
        ",",
        '"kind"',
        ":",
        '"order.cancelled"',
        ",",
        '"t_rx"',
        ":",
        "1",
        ",",
        '"order"',
    ]
    cancel += [":", '"O"', ",", '"rev"', ":", "1", ",", '"lines"', ":", "[", "1", ",", "2", "]", "}"]
    assert reason(space.join(cancel).encode()) is None
