"""Section 10 over whole stories: a limit for what stands still changes nothing else that is told, and what it tells
depends neither on the order of arrival nor on a core that is stopped and goes on."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests import stories
from tests.cases.test_cases import FOLDERS, rows, rules_of, table, until_of
from tests.property.test_snapshot import told
from tests.stories import Record, Story
from tests.through_core import feed

SEEDS = range(25)
LIMITS_MS = (1_000, 7_000, 60_000)
STUCK = ("PCK_STUCK", "PKG_STUCK", "SHP_STUCK")


def of_stuck(event: dict[str, Any]) -> bool:
    return event["data"].get("code") in STUCK


def content(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "sequence"}


def events_of(records: list[Record], rules: dict[str, Any], stuck_ms: int) -> list[dict[str, Any]]:
    return feed(records, rules=rules | {"stuck_ms": stuck_ms}).events


def story_of(seed: int) -> Story:
    return stories.seeded(seed, lively=seed % 3 > 0, shipments=2)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_limit_changes_nothing_else_in_a_case(folder: Any) -> None:
    records, rules, until_us = rows(folder / "input.ndjson"), rules_of(folder), until_of(folder)
    sources = table(folder / "sources.json")
    without, with_it = (
        feed(records, rules=rules | {"stuck_ms": limit}, until_us=until_us, sources=sources) for limit in (0, 5_000)
    )
    assert [content(event) for event in with_it.events if not of_stuck(event)] == [content(e) for e in without.events]
    assert with_it.account == without.account


@pytest.mark.parametrize("seed", SEEDS)
def test_a_limit_changes_nothing_else_in_a_story(seed: int) -> None:
    story = story_of(seed)
    without = [content(event) for event in events_of(story.records, story.rules, 0)]
    found = 0
    for limit in LIMITS_MS:
        with_it = events_of(story.records, story.rules, limit)
        found += sum(of_stuck(event) for event in with_it)
        assert [content(event) for event in with_it if not of_stuck(event)] == without, f"{limit} ms"
    assert found > 0, "nothing was stuck: the test shows nothing"


@pytest.mark.parametrize("seed", SEEDS)
def test_R03_what_is_stuck_does_not_depend_on_arrival(seed: int) -> None:
    """Within the disorder: the same episodes, raised and cleared at the same times. Without second revisions, which
    count from their arrival on (R10)."""
    story = stories.seeded(seed, lively=True, shipments=2)
    records = [record for record in story.records if record.get("rev", 1) == 1]
    draw = random.Random(seed)

    def episodes(retold: list[Record]) -> dict[str, tuple[str, str]]:
        told_of = [event for event in events_of(retold, story.rules, 7_000) if of_stuck(event)]
        return {event["id"]: (event["time"], event["data"]["subject"]) for event in told_of}

    as_told = episodes(records)
    for _ in range(3):
        assert episodes(stories.rearrive(records, draw)) == as_told


@pytest.mark.parametrize("seed", SEEDS)
def test_stopped_while_something_is_stuck_it_says_the_same_bytes(seed: int) -> None:
    story = story_of(seed)
    rules = story.rules | {"stuck_ms": 4_000}
    cuts = set(random.Random(seed).sample(range(len(story.records)), 3))
    assert told(story.records, rules, cuts) == told(story.records, rules, set())
