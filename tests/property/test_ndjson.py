"""The compiled decoder against a plain one: same verdict and same columns, whatever the input."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.model import ENVELOPE, FIELDS, KINDS, Type, field_type
from engine.records import make_decoder
from ext.batch import Batch
from ext.texts import Texts
from tests.property.reference_decoder import TEXT_COLUMNS, read_line

TEXT_NAMES = {"src", *TEXT_COLUMNS}
INTEGERS = st.one_of(
    st.integers(0, 9), st.integers(0, 2**63 - 1), st.sampled_from([2**31 - 1, 2**31, 2**63 - 1, 7258118400000000])
)
TEXTS = st.one_of(st.sampled_from(["A-1", "T-77", "SKU/7"]), st.text(min_size=1, max_size=30))
ODDITIES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 2**64), st.floats(allow_nan=False), st.text(max_size=9)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=9), inner, max_size=3)),
    max_leaves=6,
)


def values(kind: str, name: str) -> st.SearchStrategy[Any]:
    """Values that fit a field; in one of some ten any value at all."""
    wanted = ENVELOPE.get(name) or field_type(kind, name)
    element = st.fixed_dictionaries(
        {
            "line": st.integers(0, 9),
            "qty": INTEGERS,
            "sku": TEXTS,
            "order": TEXTS,
            "carton": TEXTS,
            "tracking_no": TEXTS,
        },
        optional={"task": TEXTS, "x": ODDITIES, "lot": ODDITIES},
    )
    fitting: dict[Type, st.SearchStrategy[Any]] = {
        Type.TEXT: TEXTS,
        Type.INT: st.integers(0, 7258118400000001) if name in ("t", "t_rx") else INTEGERS,
        Type.BOOL: st.booleans(),
        Type.TEXTS: st.lists(TEXTS, max_size=3),
        Type.NESTED: st.one_of(st.lists(element, max_size=3), st.lists(st.integers(0, 9), max_size=3)),
        Type.ANY: ODDITIES,
    }
    good = fitting[wanted] if wanted else ODDITIES
    return st.integers(0, 11).flatmap(lambda n: ODDITIES if n == 0 else good)


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A record of some kind with the fields that it needs, a few others, in any order."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    names = set(draw(st.sampled_from(KINDS[kind].required))) | {"src", "t_rx"}
    names |= set(draw(st.lists(st.sampled_from([*ENVELOPE, *FIELDS, "vendor"]), max_size=6)))
    names -= {"kind", *draw(st.sampled_from([[], [], [], [], sorted(names)[:1], sorted(names)[-1:]]))}
    record = {name: draw(values(kind, name)) for name in sorted(names)}
    record["kind"] = kind
    return {name: record[name] for name in draw(st.permutations(sorted(record)))}


def compiled(data: bytes) -> tuple[list[dict[str, Any]], dict[int, str]]:
    """The rows that the compiled decoder makes, texts as texts, and its reasons by line."""
    texts = Texts()
    batch = Batch(texts)
    refused = dict(make_decoder(texts).decode(data, batch))
    return rows_of(batch), refused


def rows_of(batch: Batch) -> list[dict[str, Any]]:
    names = ["kind", "flags", "src", "t_rx", "t", "epoch", "seq", "sub", "qty", "weight_g", "line", *TEXT_COLUMNS]
    columns = {name: batch.column(name).tolist() for name in names}
    return [
        {name: batch.texts.text(column[i]) if name in TEXT_NAMES else column[i] for name, column in columns.items()}
        for i in range(len(batch))
    ]


def same_as_reference(lines: list[bytes]) -> None:
    """Decode the lines at once and hold every one against the reference, and its stored line against the line."""
    texts = Texts()
    batch = Batch(texts)
    refused = dict(make_decoder(texts).decode(b"\n".join(lines), batch))
    rows = iter(enumerate(rows_of(batch)))
    stored = batch.ndjson().split(b"\n")
    for index, line in enumerate(lines):
        try:
            expected = read_line(line)
        except ValueError as fault:
            assert index in refused, (line, fault)
            assert refused[index].isprintable()
            continue
        assert index not in refused, (line, refused[index])
        if expected is not None:
            i, row = next(rows)
            assert row == expected, line
            assert stored[i] == line.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n")
            batch.record(i)  # what was let in can be read again
    assert next(rows, None) is None


@settings(max_examples=300, deadline=None)
@given(st.lists(records(), min_size=1, max_size=8), st.booleans())
def test_random_records_are_judged_as_by_the_reference(some: list[dict[str, Any]], ascii_only: bool) -> None:
    same_as_reference([json.dumps(record, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass") for record in some])


CORPUS = [
    b'{"src":"dc1/sorter/SRT-03","seq":7,"kind":"divert.confirmed","t":1795420800000000,"t_rx":1795420800000900,'
    b'"track":"17","dest":"L-4","dest_req":"L-4"}',
    b'{"kind":"photo_eye","on":true,"rpm":-12.50e+3,"deep":[[{"a":{"b":[]}}],null],"src":"dc1/c/P","t_rx":1}',
    '{"src":"dc1/pack/ä\\u00e9\\ud83d\\ude00","kind":"scan.read","t_rx":12,"lu":"\\"\\\\\\/\\b\\n€😀"}'.encode(),
    b'{"src":"dc1/wms/main","kind":"order.released","t_rx":5,"order":"O-1","rev":1,'
    b'"lines":[{"line":1,"sku":"S","qty":4},{"line":2,"sku":"R","qty":1,"over_tol_pct":5}]}',
    b'{"src":"p","kind":"pick.confirm","t_rx":3,"sku":"S","alloc":[{"task":"T","qty":1},{"order":"O","line":1,"qty":2}]}',
    b'{"kind":"clock.tick","t_rx":1795420800000900}',
    b' \t\xef\xbb\xbf{ "src" : "a" , "kind":"jam","state":"set","t_rx":0, "hist":false, "qty":18446744073709551615 }\r',
]
SPLINTERS = [
    *(bytes([c]) for c in b'"\\{}[],:0-\t\x00'),
    *(b"\\u", b"\\ud800", b"null", b"1e400", b"99999999999999999999", b'"src":"b",', b'"kind":"jam"'),
    *(b"\xc0\x80", b"\xed\xa0", b"\xf4\x90\x80\x80"),
]


def mutated(line: bytes, rng: random.Random) -> bytes:
    body = bytearray(line)
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(len(body) + 1)
        what = rng.randrange(5)
        if what == 0 and at < len(body):
            body[at] = rng.randrange(256)
        elif what == 1:
            del body[at : at + rng.choice([1, 1, 3, 9])]
        elif what == 2:
            body[at:at] = rng.choice(SPLINTERS)
        elif what == 3:
            body[at:at] = body[rng.randrange(len(body) + 1) :][: rng.randrange(12)]
        elif at < len(body):
            body[at] ^= 1 << rng.randrange(8)
    return bytes(body).replace(b"\n", b" ")


def test_mutated_lines_are_judged_as_by_the_reference() -> None:
    rng = random.Random(20261123)
    for _ in range(150):
        same_as_reference([mutated(rng.choice(CORPUS), rng) for _ in range(100)])


def test_random_bytes_give_only_reasons() -> None:
    rng = random.Random(7)
    for _ in range(300):
        same_as_reference([line for line in rng.randbytes(rng.randrange(400)).split(b"\n") if line] or [b""])


def test_any_cut_at_line_ends_gives_the_same_rows() -> None:
    rng = random.Random(3)
    lines = [rng.choice([mutated(rng.choice(CORPUS), rng), rng.choice(CORPUS), b""]) for _ in range(400)]
    whole, refused = compiled(b"\n".join(lines))
    texts = Texts()
    batch = Batch(texts)
    decoder = make_decoder(texts)
    at, found = 0, {}
    while at < len(lines):
        n = rng.randrange(1, 9)
        cut = b"\n".join(lines[at : at + n]) + rng.choice([b"", b"\n"])
        found.update({at + index: reason for index, reason in decoder.decode(cut, batch)})
        at += n
    assert rows_of(batch) == whole
    assert found == refused
    one_by_one = Batch(texts)
    assert dict(decoder.decode_lines(lines, one_by_one)) == refused
    assert rows_of(one_by_one) == whole
