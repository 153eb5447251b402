"""Every golden folder through the core: the last revision of every business key is what the rule says, and no other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.oracle import base_id, expected
from tests.oracle.compare import bare, last_revisions, means_nothing
from tests.oracle.ids import EXCEPTIONS, utc
from tests.through_core import Outcome, feed

HERE = Path(__file__).parent
FOLDERS = sorted(path.parent for path in HERE.glob("*/input.ndjson"))
NO_EVENTS = {"never", "times", "order", "account"}
# What was already decided when the record came: the oracle judges after the fact (see its docstring).
DECIDED_BEFORE = {
    "R25_a_late_pick_takes_the_short_back",
    "R52_a_late_pick_turns_a_short_into_packed",
    "R27_a_cancel_after_the_manifest",
    "R29_a_pick_after_its_shipment_left",
    "R29_two_late_picks_are_two_revisions",
    "R52_a_change_after_the_manifest",
}
BEYOND_THE_ORACLE = {
    (
        *("R06_a_backlog_alone", "R06_every", "R07_a_carton_is", "R07_a_cutoff", "R07_a_deadline", "R07_a_gap_of_the"),
        *("R07_a_gap_between", "R07_a_lagging", "R07_a_source_that_is_down_is_not_empty", "R07_all_since"),
        *("R07_a_window_without_records_is_fed", "R07_one_of_two_gaps_is_filled_and", "R07_ready_again"),
        *("R06_a_number_fills", "R06_a_record_that_is_sent", "R07_the_deadline_is_moved"),
    ): "what a gap holds back",
    ("R42",): "read points that close",
    ("R63", "R64"): "scans of several codes, nor what is lost",
    (
        "R45_a_label_that",
        "R45_still",
        "R45_the_wrong_label",
        "R45_too_heavy",
        "S10_a_carton_that_is_held",
    ): "what holds a carton",
    ("R47", "R48"): "moves between units, nor what rides on what",
    ("R53_a_carton_moves", "R56_a_carton_is_voided"): "the cause of every unready",
    ("R54_a_number", "R54_a_plan", "R54_a_scan", "R54_partly", "R54_the_"): "trailers, nor a label's tracking number",
    ("S10_a_voided", "S10_the_void", "S10_a_unit"): "moves that are refused",
    ("R56_a_manifest_that",): "a cancel that was told before the manifest",
}


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


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_case(folder: Path) -> None:
    about = (folder / "about.txt").read_text().strip()
    outcome = through_core(folder, rows(folder / "input.ndjson"))
    assert outcome.refused == [], about
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
        if "evidence" in row:
            assert event["evidence"] == row["evidence"], f"{about}\n{row['type']} {row['key']}"
    rest = [event for event in lasts.values() if not means_nothing(bare(event["type"]), event["data"])]
    assert rest == [], about


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_oracle_agrees_with_the_case(folder: Path) -> None:
    """Two readings of the same text, written apart: the folders by hand, the oracle by rule."""
    if folder.name in DECIDED_BEFORE:
        pytest.skip("a decision was taken before the record came; the oracle judges after the fact")
    for begins, why in BEYOND_THE_ORACLE.items():
        if folder.name.startswith(begins):
            pytest.skip(f"the oracle does not know {why}")
    about = (folder / "about.txt").read_text().strip()
    until = until_of(folder)
    finals = expected(rows(folder / "input.ndjson"), "dc1", rules_of(folder), until if until >= 0 else None)
    expectation = [row for row in rows(folder / "expected.ndjson") if row["type"] not in {*NO_EVENTS, *EXCEPTIONS}]
    wanted = {base_id("dc1", row["type"], row["key"]): row for row in expectation}
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
