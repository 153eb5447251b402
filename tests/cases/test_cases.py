"""Every golden folder through the core: the last revision of every business key is what the rule says, and no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.oracle import base_id, expected
from tests.oracle.compare import bare, last_revisions, means_nothing
from tests.oracle.ids import utc
from tests.through_core import feed

HERE = Path(__file__).parent
FOLDERS = sorted(path.parent for path in HERE.glob("*/input.ndjson"))
# What was already decided when the record came: the oracle judges after the fact (see its docstring).
DECIDED_BEFORE = {
    "R25_a_late_pick_takes_the_short_back",
    "R52_a_late_pick_turns_a_short_into_packed",
}


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def rules_of(folder: Path) -> dict[str, int | bool]:
    path = folder / "rules.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def subset(wanted: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """The fields of `data` that are asked for; an absent one is None."""
    return {name: data.get(name) for name in wanted}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_case(folder: Path) -> None:
    about = (folder / "about.txt").read_text().strip()
    outcome = feed(rows(folder / "input.ndjson"), rules=rules_of(folder))
    assert outcome.refused == [], about
    lasts = last_revisions(outcome.events)
    wanted = {base_id("dc1", row["type"], row["key"]): row for row in rows(folder / "expected.ndjson")}
    for id_, row in wanted.items():
        assert id_ in lasts, f"{about}\n{row['type']} {row['key']} is missing"
        event = lasts.pop(id_)
        assert subset(row["data"], event["data"]) == row["data"], f"{about}\n{row['type']} {row['key']}"
        if "time" in row:
            assert event["time"] == utc(row["time"]), about
        if "revision" in row:
            assert event["id"].endswith(f":r{row['revision']}"), f"{about}\n{event['id']}"
    rest = [event for event in lasts.values() if not means_nothing(bare(event["type"]), event["data"])]
    assert rest == [], about


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_oracle_agrees_with_the_case(folder: Path) -> None:
    """Two readings of the same text, written apart: the folders by hand, the oracle by rule."""
    if folder.name in DECIDED_BEFORE:
        pytest.skip("a decision was taken before the record came; the oracle judges after the fact")
    about = (folder / "about.txt").read_text().strip()
    finals = expected(rows(folder / "input.ndjson"), "dc1", rules_of(folder))
    wanted = {base_id("dc1", row["type"], row["key"]): row for row in rows(folder / "expected.ndjson")}
    needed = {id_ for id_, final in finals.items() if final.certain and not means_nothing(final.type, final.data)}
    told = {id_: row for id_, row in wanted.items() if not means_nothing(row["type"], row["data"])}
    assert needed <= wanted.keys() and told.keys() <= finals.keys(), about
    for id_, row in told.items():
        assert subset(row["data"], finals[id_].data) == row["data"], about
        if "time" in row:
            assert finals[id_].time == utc(row["time"]), about


def test_every_folder_is_the_one_that_is_written() -> None:
    from tests.cases.make import writers

    for name, told in writers().items():
        case = told()
        assert rows(HERE / name / "input.ndjson") == case.records, name
        assert rows(HERE / name / "expected.ndjson") == case.expected, name
    assert {folder.name for folder in FOLDERS} == set(writers())
