"""Every golden folder through the core: the last revision of every business key is what the rule says, and no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cases.pending import PENDING
from tests.oracle import base_id, expected
from tests.oracle.compare import bare, last_revisions, means_nothing
from tests.oracle.ids import EXCEPTIONS, utc
from tests.through_core import Outcome, feed

HERE = Path(__file__).parent
FOLDERS = sorted(path.parent for path in HERE.glob("*/input.ndjson"))
HELD = [
    pytest.param(folder, marks=pytest.mark.xfail(strict=True, reason=PENDING[folder.name]), id=folder.name)
    if folder.name in PENDING
    else pytest.param(folder, id=folder.name)
    for folder in FOLDERS
]
NO_EVENTS = {"never", "times", "order", "account"}


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def table(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def rules_of(folder: Path) -> dict[str, Any]:
    return table(folder / "rules.json")


def until_of(folder: Path) -> int:
    """R4a's T; -1: the default."""
    path = folder / "until.txt"
    return int(path.read_text()) if path.exists() else -1


def through_core(folder: Path, records: list[dict[str, Any]]) -> Outcome:
    """The records, with the folder's parameters."""
    return feed(records, rules=rules_of(folder), until_us=until_of(folder), sources=table(folder / "sources.json"))


def subset(wanted: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """The fields of `data` that are asked for; an absent one is None."""
    return {name: data.get(name) for name in wanted}


def exceptions(events: list[dict[str, Any]], wanted: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The exceptions that a case asks for, by id without revision; a case need not name those that go with it."""
    found = {event["id"].rpartition(":")[0]: event for event in events if bare(event["type"]) in EXCEPTIONS}
    return {id_: found[id_] for id_ in wanted if id_ in found}


def check_others(row: dict[str, Any], outcome: Outcome) -> None:
    """A line of the expectation that is no event (see writing.py)."""
    kind, data = row["type"], row["data"]
    if kind == "account":
        assert subset(data, outcome.account) == data
    elif kind == "order":
        first = [base_id("dc1", *key) for key in data["keys"]]
        told = dict.fromkeys(event["id"].rpartition(":")[0] for event in outcome.events)
        assert [id_ for id_ in told if id_ in first] == first
    else:
        told_of = [event["data"]["code"] for event in outcome.events if bare(event["type"]) == data["type"]]
        assert told_of.count(row["key"]) == data.get("count", 0)


@pytest.mark.parametrize("folder", HELD)
def test_case(folder: Path) -> None:
    about = (folder / "about.txt").read_text().strip()
    outcome = through_core(folder, rows(folder / "input.ndjson"))
    assert outcome.refused == [], about
    sequences = [event["sequence"] for event in outcome.events]
    assert sequences == sorted(sequences), "R80, also as text"
    expectation = rows(folder / "expected.ndjson")
    for row in (row for row in expectation if row["type"] in NO_EVENTS):
        check_others(row, outcome)
    wanted = {base_id("dc1", row["type"], row["key"]): row for row in expectation if row["type"] not in NO_EVENTS}
    lasts = last_revisions(outcome.events) | exceptions(outcome.events, wanted)
    for id_, row in wanted.items():
        assert id_ in lasts, f"{about}\n{row['type']} {row['key']} is missing"
        event = lasts.pop(id_)
        assert subset(row["data"], event["data"]) == row["data"], f"{about}\n{row['type']} {row['key']}"
        if "time" in row:
            assert event["time"] == utc(row["time"]), about
        if "revision" in row:
            assert event["id"].endswith(f":r{row['revision']}"), f"{about}\n{event['id']}"
        for name in {"evidence", "partitionkey", "correlationid"} & row.keys():
            assert event[name] == row[name], f"{about}\n{row['type']} {row['key']}: {name}"
    rest = [event for event in lasts.values() if not means_nothing(bare(event["type"]), event["data"])]
    assert rest == [], about


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_oracle_agrees_with_the_case(folder: Path) -> None:
    """Two readings of the same text, written apart: the folders by hand, the oracle by rule."""
    about = (folder / "about.txt").read_text().strip()
    until = until_of(folder)
    records, sources = rows(folder / "input.ndjson"), table(folder / "sources.json")
    finals = expected(records, "dc1", rules_of(folder), until if until >= 0 else None, sources)
    expectation = [row for row in rows(folder / "expected.ndjson") if row["type"] not in {*NO_EVENTS, *EXCEPTIONS}]
    wanted = {base_id("dc1", row["type"], row["key"]): row for row in expectation}
    needed = {id_ for id_, final in finals.items() if final.certain and not means_nothing(final.type, final.data)}
    told = {id_: row for id_, row in wanted.items() if not means_nothing(row["type"], row["data"])}
    assert needed <= wanted.keys() and told.keys() <= finals.keys(), about
    for id_, row in told.items():
        data = {name: value for name, value in row["data"].items() if name not in finals[id_].free}
        assert subset(data, finals[id_].data) == data, about
        if "time" in row and finals[id_].certain:
            assert finals[id_].time == utc(row["time"]), about


def test_every_folder_is_the_one_that_is_written() -> None:
    from tests.cases.make import writers

    for name, told in writers().items():
        case = told()
        assert rows(HERE / name / "input.ndjson") == case.records, name
        assert rows(HERE / name / "expected.ndjson") == case.expected, name
    assert {folder.name for folder in FOLDERS} == set(writers())


def test_what_is_pending_has_a_folder() -> None:
    assert PENDING.keys() <= {folder.name for folder in FOLDERS}
