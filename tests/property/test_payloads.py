"""R5, R10: a record's name and what context says are functions of its values, however its line spells them."""

from __future__ import annotations

import hashlib
import json
import random
from base64 import b32encode
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.records import make_decoder
from ext.batch import Batch
from ext.core import Core
from ext.texts import Texts

T = 1_795_420_800_000_000
ORDER = {
    "src": "dc1/wms/main", "kind": "order.released", "seq": 1, "t": T, "t_rx": T, "order": "O-1", "rev": 1,
    "lines": [{"line": 1, "sku": "S", "qty": 1}],
}  # fmt: skip
PICK = {"src": "dc1/pick/PTL-01", "kind": "pick.confirm", "order": "O-1", "line": 1, "sku": "S", "qty": 1}
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 2**65), st.text(max_size=9), st.sampled_from(["", "A-1", '"\\/\b'])
)
ODDITIES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=4,
)
UNKNOWN = st.text(max_size=9).map("x".__add__)
MORE = st.fixed_dictionaries(
    {},
    optional={
        "t": st.just(T + 1_000_000),
        "epoch": st.integers(0, 11),
        "sub": st.integers(0, 11),
        "hist": st.booleans(),
        "lot": st.text(min_size=1, max_size=9),
        "lu": st.sampled_from(["T-1", 'T"1', "T/é"]),
    },
)


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def dev_id(record: dict[str, Any]) -> str:
    """As the contract has it."""
    payload = {name: value for name, value in record.items() if name not in ("src", "kind", "t", "t_rx", "hist")}
    for name in ("epoch", "sub"):
        if not payload.get(name):
            payload.pop(name, None)
    when = [record["t"]] if "t" in record else [record["t_rx"], 0]
    digest = hashlib.sha256(canonical([record["src"], record["kind"], payload, *when]).encode()).digest()
    return f"{record['src']}/h/{b32encode(digest).decode().lower()[:26]}"


@st.composite
def spellings(draw: st.DrawFn, record: dict[str, Any]) -> bytes:
    """A line that says the same: members in any order, blanks, escapes that nobody needs."""
    random_ = random.Random(draw(st.integers(0, 2**32)))
    names = random_.sample(list(record), len(record))
    blank = draw(st.sampled_from(["", "", " "]))
    ascii_ = draw(st.booleans())
    members = (f"{json.dumps(name, ensure_ascii=ascii_)}{blank}:{blank}{json.dumps(record[name], ensure_ascii=ascii_)}"
               for name in names)  # fmt: skip
    return ("{" + blank + f"{blank},{blank}".join(members) + "}\n").encode()


@given(st.data(), MORE, st.dictionaries(UNKNOWN, ODDITIES, max_size=4))
def test_R5_a_record_without_a_number_is_named_by_what_it_says(
    data: st.DataObject, more: dict[str, Any], unknown: dict[str, Any]
) -> None:
    record = PICK | more | unknown | {"t_rx": T + 1_000_000}
    lines = [data.draw(spellings(record)) for _ in range(2)]
    texts = Texts()
    core, batch = Core("dc1", texts), Batch(texts)
    assert make_decoder(texts).decode(json.dumps(ORDER).encode() + b"\n" + b"".join(lines), batch) == []
    core.feed(batch)
    core.finish()
    told = [json.loads(event[4]) for event in core.take()]
    confirmed = [event for event in told if event["type"] == "io.sortline.pick.confirmed.v1"]
    assert confirmed[0]["causationid"] == dev_id(record)
    # Without its time nobody knows that it is the same: a second press.
    assert core.account()["duplicate"] == ("t" in record)


@given(st.data(), st.dictionaries(UNKNOWN, ODDITIES, max_size=4), st.booleans(), st.integers(0, 2), st.booleans())
def test_R10_context_that_says_the_same_is_a_duplicate(
    data: st.DataObject, unknown: dict[str, Any], numbered: bool, epoch: int, other: bool
) -> None:
    told = [ORDER | unknown | {"seq": seq, "epoch": seq * epoch, "t": T + seq} for seq in (1, 2)]
    told[1]["x" * 20] = told[0]["x" * 20] = 1
    if other:
        told[1]["lines"] = [{"line": 1, "sku": "S", "qty": 1, "note": "ä"}]
    if not numbered:
        told = [{name: value for name, value in record.items() if name != "seq"} for record in told]
    texts = Texts()
    core, batch = Core("dc1", texts), Batch(texts)
    lines = b"".join(data.draw(spellings(record)) for record in told)
    assert make_decoder(texts).decode(lines, batch) == []
    core.feed(batch)
    account = core.account()
    assert (account["used"], account["duplicate"], account["rejected"]) == ((1, 0, 1) if other else (1, 1, 0))


SHIPPED: list[dict[str, Any]] = [
    ORDER,
    PICK | {"seq": 1, "lu": "C", "t": T + 1, "t_rx": T + 1},
    {"kind": "scan.read", "src": "dc1/conveyor/S", "seq": 1, "lu": "C", "point": "Énd", "t": T + 2, "t_rx": T + 2},
    {"kind": "label.verified", "src": "dc1/pack/L", "seq": 1, "lu": "C", "t": T + 3, "t_rx": T + 3,
     "result": "OK", "sscc": 'S"1', "tracking_no": "1Zé"},
    {"kind": "load.scanned", "src": "dc1/dock/D", "seq": 1, "lu": "C", "trailer": "TR\\1", "t": T + 4, "t_rx": T + 4},
    {"kind": "trailer.closed", "src": "dc1/dock/D", "seq": 2, "trailer": "TR\\1", "seal": "é", "t": T + 5,
     "t_rx": T + 5},
]  # fmt: skip


def told_of(lines: bytes) -> list[Any]:
    texts = Texts()
    core, batch = Core("dc1", texts, {"closing_points": ["Énd"]}), Batch(texts)
    assert make_decoder(texts).decode(lines, batch) == []
    core.feed(batch)
    core.finish(T + 3_600_000_000)
    return core.take()


@given(st.data(), st.dictionaries(UNKNOWN, ODDITIES, max_size=3))
def test_R42_texts_without_a_column_are_read_however_they_are_spelt(
    data: st.DataObject, unknown: dict[str, Any]
) -> None:
    plain = b"".join(json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in SHIPPED)
    told = told_of(plain)
    assert {event[2] for event in told} >= {"pick.confirmed", "carton.closed"}
    assert told_of(b"".join(data.draw(spellings(record | unknown)) for record in SHIPPED)) == told
