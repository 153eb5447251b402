"""JSON Schema of what crosses the boundary: it is a schema, and it says yes and no as the engine does."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jsonschema import Draft202012Validator

from engine import cli
from engine.event_schema import DATA
from engine.model import BUSINESS, KINDS, Group
from engine.schema import PARTS, part, whole

ROOT = Path(__file__).parents[2]
CLOUDEVENTS = ROOT.parent / "shared" / "vectors" / "cloudevents" / "cloudevents.json"

EVENT = {
    "specversion": "1.0",
    "id": "pc1.mc6cfej273pfqdqk3ooddnndvv:r0",
    "source": "/sites/dc1",
    "type": "io.sortline.pick.confirmed.v1",
    "subject": "task/T-1001",
    "time": "2026-11-23T08:00:12.345678Z",
    "datacontenttype": "application/json",
    "dataschema": "urn:sortline:schema:pick.confirmed:1",
    "correlationid": "O-77",
    "causationid": "dc1/pick/PTL-02/0/5121/0",
    "partitionkey": "O-77",
    "sequence": "00000000000000001042",
    "evidence": "exact",
    "data": {
        "task": "T-1001",
        "order": "O-77",
        "line": 2,
        "sku": "SKU-7",
        "qty": 3,
        "qty_task": 3,
        "over_qty": 0,
        "t_first": 1_795_420_812_000_000,
        "t_close": 1_795_420_812_345_678,
    },
}


def valid(name: str, value: object) -> bool:
    return Draft202012Validator(part(name)).is_valid(value)


@pytest.mark.parametrize("name", PARTS)
def test_each_part_is_a_schema(name: str) -> None:
    Draft202012Validator.check_schema(part(name))


def test_the_whole_is_one_schema_whose_references_lead_somewhere() -> None:
    Draft202012Validator.check_schema(whole())
    validator = Draft202012Validator(whole())
    assert validator.is_valid(EVENT)
    assert validator.is_valid({"src": "dc1/sorter/SRT-03", "kind": "scan.read", "lu": "T-9"})
    assert not validator.is_valid({"src": "dc1/sorter/SRT-03", "kind": "scan.read"})


def test_the_example_of_the_contract_is_an_event() -> None:
    jsonschema.validate(EVENT, part("event"), Draft202012Validator)
    revised = {**EVENT, "id": EVENT["id"][:-1] + "1", "supersedes": EVENT["id"]}  # type: ignore[index]
    assert valid("event", revised)


def test_the_example_is_a_cloudevent() -> None:
    if not CLOUDEVENTS.exists():
        pytest.skip(f"the CloudEvents schema is not at {CLOUDEVENTS}")
    jsonschema.validate(EVENT, json.loads(CLOUDEVENTS.read_bytes()))


@pytest.fixture(scope="module")
def emitted(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Business events of a story with all kinds of trouble."""
    folder = tmp_path_factory.mktemp("story")
    records, events = str(folder / "in.ndjson"), str(folder / "out.ndjson")
    assert cli.main(["simulate", "--orders", "150", "--late-picks", "0.05", "--out", records]) == 0
    assert cli.main(["replay", records, "--out", events]) == 0
    return [json.loads(line) for line in Path(events).read_bytes().splitlines()]


def test_every_emitted_event_is_as_promised(emitted: list[dict[str, Any]]) -> None:
    assert len({event["type"] for event in emitted}) >= 5
    validator = Draft202012Validator(part("event"))
    for event in emitted:
        fault = jsonschema.exceptions.best_match(validator.iter_errors(event))
        assert fault is None, f"{event}: {fault}"


def test_every_emitted_event_is_a_cloudevent(emitted: list[dict[str, Any]]) -> None:
    if not CLOUDEVENTS.exists():
        pytest.skip(f"the CloudEvents schema is not at {CLOUDEVENTS}")
    validator = Draft202012Validator(json.loads(CLOUDEVENTS.read_bytes()))
    for event in emitted:
        validator.validate(event)


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "0.3"},
        {"id": "ps1.mc6cfej273pfqdqk3ooddnndvv:r0"},
        {"id": "pc1.mc6cfej273pfqdqk3ooddnndvv"},
        {"time": "2026-11-23T08:00:12Z"},
        {"sequence": "1042"},
        {"evidence": "sure"},
        {"data": {}},
        {"data": {**EVENT["data"], "qty": "3"}},  # type: ignore[dict-item]
        {"data": {**EVENT["data"], "colour": "red"}},  # type: ignore[dict-item]
        {"colour": "red"},
    ],
)
def test_what_is_no_event_is_refused(change: dict[str, Any]) -> None:
    assert not valid("event", {**EVENT, **change})


def test_every_type_of_event_has_its_data() -> None:
    assert set(DATA) == set(BUSINESS)


RECORDS: list[tuple[str, dict[str, Any], bool]] = [
    ("record", {"kind": "pick.confirm", "task": "T-1", "sku": "S", "qty": 1}, True),
    ("record", {"kind": "pick.confirm", "order": "O", "line": 1, "sku": "S", "qty": 1}, True),
    ("record", {"kind": "pick.confirm", "order": "O", "sku": "S", "qty": 1}, False),
    ("record", {"kind": "pick.confirm", "task": "T-1", "sku": "S", "qty": 1.5}, False),
    ("record", {"kind": "pick.confirm", "task": "T-1", "sku": "S", "qty": -1}, False),
    ("record", {"kind": "pick.confirm", "sku": "S", "alloc": [{"task": "T-1", "qty": 1}]}, True),
    ("record", {"kind": "pick.confirm", "sku": "S", "alloc": [{"task": "T-1"}]}, False),
    ("record", {"kind": "scan.read", "lu": "T-9", "made_up": [1, 2]}, True),
    ("record", {"kind": "scan.read", "lu": ""}, False),
    ("record", {"kind": "scan.reed", "lu": "T-9"}, False),
    ("record", {"kind": "photo_eye", "lu": 12, "lines": "no"}, True),
    ("record", {"kind": "source.gap", "t_from": 1, "t_to": 2, "count": 5}, True),
    ("record", {"kind": "source.gap", "t_from": 1, "t_to": 2, "count": "5"}, False),
    ("record", {"kind": "count.reported", "loc": "A-1", "sku": "S", "qty": 5, "count": "C-1"}, True),
    ("context", {"kind": "order.released", "order": "O", "rev": 1, "lines": [{"line": 1, "sku": "S", "qty": 1}]}, True),
    ("context", {"kind": "order.released", "order": "O", "rev": 1, "lines": [{"line": 1, "sku": "S"}]}, False),
    ("context", {"kind": "shipment.cancelled", "shipment": "S-1", "rev": 0}, False),
    ("record", {"kind": "jam", "state": "clear"}, True),
    ("record", {"kind": "jam", "state": "on"}, False),
    ("record", {"kind": "asrs.exception", "code": "a fault of its own"}, True),
    ("context", {"kind": "order.cancelled", "order": "O", "rev": 2, "lines": [1, 2]}, True),
    ("context", {"kind": "order.cancelled", "order": "O", "rev": 2, "lines": ["1"]}, False),
    ("context", {"kind": "link.up", "scope": "dc1/"}, False),
]


@pytest.mark.parametrize(("name", "record", "right"), RECORDS)
def test_records_and_context(name: str, record: dict[str, Any], right: bool) -> None:
    assert valid(name, {"src": "dc1/a/b", "t_rx": 1, **record}) is right
    assert not valid(name, record), "src is required"


def test_every_kind_is_in_exactly_one_part() -> None:
    kinds = {name: part(name)["properties"]["kind"]["enum"] for name in ("record", "context")}
    assert sorted(kinds["record"] + kinds["context"]) == sorted(KINDS)
    assert set(kinds["context"]) == {name for name, kind in KINDS.items() if kind.group is Group.CONTEXT}


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda path: path.name)
def test_the_example_site_files_fit_the_schema(path: Path) -> None:
    jsonschema.validate(tomllib.loads(path.read_text()), part("site"), Draft202012Validator)


@pytest.mark.parametrize(
    "text",
    [
        "",
        'site = "dc1"\nsitee = 1',
        'site = "dc1"\n[rules]\nloops_maxx = 1',
        'site = "dc1"\n[sources.a]\nprotocol = "mqtt"\nhostt = "x"',
        'site = "dc1"\n[sources.a]\nhost = "x"',
        'site = "dc1"\n[sinks.a]\nkind = "rediss"',
        'site = "dc1"\n[sources.a]\ndisorder_ms = -1',
    ],
)
def test_a_wrong_site_file_does_not_fit_the_schema(text: str) -> None:
    assert not valid("site", tomllib.loads(text))
