"""What `check` says about a mapping: every fault at once, with its place and what to do."""

from __future__ import annotations

import tomllib
from typing import Any

import msgspec
import pytest

from protocols.mapping.faults import record_faults
from protocols.mapping.plan import compile_record
from protocols.mapping.settings import RecordSettings

GOOD = 'kind = { const = "telemetry" }\nsrc = { const = "dc1/pack/1" }\n'


def faults(text: str, **more: Any) -> dict[str, str]:
    return dict(record_faults(msgspec.convert(tomllib.loads(text), RecordSettings), **more))


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        ('ordr = "x"', "record.ordr", "did you mean 'order'"),
        ('t_rx = "x"', "record.t_rx", "stamped by the driver"),
        ('lu = "a..b"', "record.lu.path", "not a path"),
        ('lu = { path = "a", const = "b" }', "record.lu", "path and const"),
        ("lu = {}", "record.lu", "it has none"),
        ('lu = { capture = "devise" }', "record.lu.capture", "captured are device"),
        ('lu = { template = "x/{devise}" }', "record.lu.template", "{.devise}"),
        ('lu = { template = "x/{" }', "record.lu.template", "not a template"),
        ('lu = { path = "a", unit = "kg" }', "record.lu.unit", "only for integer"),
        ('length_mm = { path = "a", unit = "kg" }', "record.length_mm.unit", "does not measure"),
        ('qty = { path = "a", scale = 0 }', "record.qty.scale", "above 0"),
        ('qty = { path = "a", scale = nan }', "record.qty.scale", "above 0"),
        ('qty = { path = "a", time = "epoch_s" }', "record.qty.time", "points in time"),
        ('t = { path = "a", time = "epoch_s", scale = 2 }', "record.t.scale", "not together with time"),
        ('lu = { path = "a", split = ";" }', "record.lu.split", "lists of texts"),
        ('qty = { path = "a", wrap = 256 }', "record.qty.wrap", "only for seq"),
        ('qty = { path = "a", bits = 3 }', "record.qty.bits", "needs bit"),
        ('lu = { path = "a", other = "x" }', "record.lu.other", "needs a table"),
        ('lu = { path = "a", required = true, default = "x" }', "record.lu.required", "never missing"),
        ('qty = { path = "a", default = "x" }', "record.qty.default", "integer"),
        ("qty = { const = -1 }", "record.qty.const", "integer"),
        ("lu = { const = true }", "record.lu.const", "text"),
        ('kind = "scan.read"', "record.kind", '{ const = "scan.read" }'),
        ('kind = { const = "scan.raed" }', "record.kind.const", "did you mean 'scan.read'"),
        ('kind = { path = "k", table = { C = "pick.confirmed" } }', "record.kind.table.C", "'pick.confirm'"),
        ('kind = { path = "k", table = { C = "telemetry" }, other = "?" }', "record.kind.other", "no kind"),
    ],
)
def test_each_fault_is_named_where_it_is(text: str, where: str, says: str) -> None:
    good = GOOD if not text.startswith("kind") else 'src = { const = "dc1/pack/1" }\n'
    found = faults(good + text, captures=["device"])
    assert list(found) == [where]
    assert says in found[where]


@pytest.mark.parametrize(
    ("record", "constants", "lacking"),
    [
        ({"kind": {"const": "weigh"}}, {}, "weigh without track, weight_g"),
        ({"kind": {"const": "pick.confirm"}, "task": "t", "qty": "q"}, {}, "pick.confirm without sku"),
        ({"kind": {"path": "k", "table": {"C": "carton.close", "J": "jam"}}, "lu": "l"}, {}, ""),
        ({"kind": {"path": "k", "table": {"J": "jam"}}, "lu": "l"}, {}, "jam without state"),
        ({"task": "t"}, {"kind": "pick.short"}, "pick.short without code"),
        ({"kind": {"const": "pick.confirm"}, "order": "o", "line": "l", "sku": "s"}, {"qty": 1}, ""),
        ({"kind": {"const": "weigh"}, "weight_g": "w"}, {"lu": "T-1"}, ""),
        ({"kind": "k"}, {}, ""),
        ({"kind": {"const": "motor.state"}}, {}, ""),
    ],
)
def test_a_kind_of_which_every_record_would_be_refused_is_a_fault(
    record: RecordSettings, constants: dict[str, Any], lacking: str
) -> None:
    settings = msgspec.convert(record, RecordSettings)
    found = list(record_faults(settings, constants={"src": "dc1/x", **constants}))
    assert [fault for _, fault in found] == ([f"{lacking}: every record of it would be refused"] if lacking else [])


def test_all_faults_come_at_once() -> None:
    found = list(record_faults({"a": "b", "c": "d"}, when={"x..": 1}, each="..", constants={"kind": "jamm"}))
    assert [where for where, _ in found] == [
        "record",
        "constants.kind.const",
        "record.a",
        "record.c",
        "when.x..",
        "each",
    ]


def test_kind_and_src_may_be_constants() -> None:
    assert faults('lu = "a"', constants={"kind": "carton.open", "src": "dc1/pack/1"}) == {}


def test_where_values_have_names_a_path_begins_with_one() -> None:
    names = ["weight", "status.lu", "state"]
    good = 'weight_g = "weight"\nlu = "status.lu"\ncode = "state.code"\n'
    assert faults(GOOD + good, names=names) == {}
    found = faults(GOOD + 'weight_g = "wieght"\nlu = { template = "{.statuss}" }', names=names, when={"sate": 1})
    assert set(found) == {"record.weight_g.path", "record.lu.template", "when.sate"}
    assert "did you mean 'weight'" in found["record.weight_g.path"]


def test_an_unknown_option_is_refused_before_that() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `pth`"):
        msgspec.convert({"lu": {"pth": "a"}}, RecordSettings)


def test_what_has_no_faults_compiles() -> None:
    text = GOOD + 'weight_g = { path = "w", unit = "kg" }\nlu = { template = "{device}-{.x}" }'
    assert faults(text, captures=["device"]) == {}
    compile_record(msgspec.convert(tomllib.loads(text), RecordSettings))
