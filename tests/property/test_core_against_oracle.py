"""The core and the oracle tell the same last revisions, however a story is told; and every event is well-formed."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from hypothesis import given

from tests import stories
from tests.oracle import account
from tests.oracle.compare import bare
from tests.oracle.ids import CODES, base_id
from tests.property.agreement import EXAMPLES, LONG, agree, relaxed, seeds
from tests.stories import Story
from tests.through_core import feed


@relaxed
@given(stories.stories())
def test_R3_lively_stories(story: Story) -> None:
    agree(story.records, story.rules)


@relaxed
@given(stories.stories(lively=False))
def test_R3_calm_stories(story: Story) -> None:
    agree(story.records, story.rules)


@pytest.mark.parametrize("seed", range(EXAMPLES // 20 if LONG else 3))
def test_R3_larger_stories(seed: int) -> None:
    story = stories.seeded(seed, shipments=12)
    agree(story.records, story.rules)


@relaxed
@given(stories.stories(), seeds)
def test_R3_another_order_of_arrival_within_the_disorder(story: Story, seed: int) -> None:
    agree(stories.rearrive(story.records, random.Random(seed)), story.rules)


@relaxed
@given(stories.stories(), seeds)
def test_R5_R10_anything_told_twice_changes_nothing(story: Story, seed: int) -> None:
    agree(stories.repeat(story.records, random.Random(seed)), story.rules)


@relaxed
@given(stories.stories(lively=False), seeds)
def test_R25_R44_a_backlog_of_the_pick_stations(story: Story, seed: int) -> None:
    agree(stories.backlog(story.records, "dc1/pick", random.Random(seed)), story.rules, late=True)


@relaxed
@given(stories.stories(lively=False))
def test_R11_context_that_comes_last(story: Story) -> None:
    agree(stories.late_context(story.records), story.rules, late=True)


@relaxed
@given(stories.stories(), seeds)
def test_R82_the_account_adds_up(story: Story, seed: int) -> None:
    records = stories.repeat(story.records, random.Random(seed))
    counted, wanted = feed(records, rules=story.rules).account, account(records, story.rules)
    parts = ("used", "duplicate", "late", "rejected", "noise", "open")
    assert counted["in"] == sum(counted[part] for part in parts) == len(records)
    assert {name: counted[name] for name in ("in", "noise", "duplicate", "late", "rejected")} == {
        name: wanted[name] for name in ("in", "noise", "duplicate", "late", "rejected")
    }


@relaxed
@given(stories.stories(), seeds)
def test_R3_same_input_same_bytes_however_the_feed_is_split(story: Story, seed: int) -> None:
    draw = random.Random(seed)
    cuts = [draw.randint(0, len(story.records)) for _ in range(draw.randint(0, 12))]
    whole = feed(story.records, rules=story.rules)
    assert feed(story.records, rules=story.rules).lines == whole.lines
    assert feed(story.records, rules=story.rules, cuts=cuts).lines == whole.lines
    assert feed(story.records, rules=story.rules, cuts=range(len(story.records))).lines == whole.lines


def told(event: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return bare(event["type"]), event["data"]


@relaxed
@given(stories.stories())
def test_R3_the_same_story_at_another_time(story: Story) -> None:
    by = 86_400_000_000 * 400
    names = {"t_close", "t_open", "t_first"}

    def earlier(name: str, value: Any) -> Any:
        return value - by if name in names else value

    before = [told(event) for event in feed(story.records, rules=story.rules).events]
    after = [told(event) for event in feed(stories.shift(story.records, by), rules=story.rules).events]
    assert [(kind, stories.rewrite(data, earlier)) for kind, data in after] == before


@relaxed
@given(stories.stories())
def test_R20_the_same_story_under_other_names(story: Story) -> None:
    agree(stories.rename(story.records, "X-"), story.rules)


@relaxed
@given(stories.stories())
def test_contract4_every_envelope_is_well_formed(story: Story) -> None:
    outcome = feed(story.records, rules=story.rules)
    revisions: dict[str, int] = {}
    keys: dict[str, str] = {}
    for number, (one, event) in enumerate(zip(outcome.emitted, outcome.events, strict=True), start=1):
        base, _, revision = event["id"].rpartition(":r")
        assert json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == one.body
        assert (one.sequence, event["sequence"]) == (number, f"{number:020}")
        assert (one.id, bare(one.type), one.partitionkey) == (event["id"], bare(event["type"]), event["partitionkey"])
        assert int(revision) == revisions.get(base, -1) + 1
        assert event.get("supersedes") == (f"{base}:r{int(revision) - 1}" if int(revision) else None)
        assert keys.setdefault(base, event["partitionkey"]) == event["partitionkey"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["time"])
        kind = bare(event["type"])
        assert event["type"] == f"io.sortline.{kind}.v1"
        assert event["dataschema"] == f"urn:sortline:schema:{kind}:1"
        assert (event["specversion"], event["source"]) == ("1.0", "/sites/dc1")
        assert event["datacontenttype"] == "application/json"
        assert event["evidence"] in ("exact", "inferred", "incomplete")
        assert event["causationid"] and event["correlationid"] and event["subject"]
        revisions[base] = int(revision)


@relaxed
@given(stories.stories())
def test_contract4_no_revision_repeats_the_one_before(story: Story) -> None:
    before: dict[str, tuple[object, ...]] = {}
    for event in feed(story.records, rules=story.rules).events:
        base = event["id"].rpartition(":")[0]
        now = event["data"], event["time"], event["evidence"]
        if bare(event["type"]) in CODES and bare(event["type"]) not in ("shipment.ready", "shipment.unready"):
            assert before.get(base) != now
        before[base] = now


@relaxed
@given(stories.stories())
def test_contract4_ids_come_from_site_type_and_key(story: Story) -> None:
    known = {"pick": "task/", "carton": "carton/", "shipment": "shipment/"}
    for event in feed(story.records, rules=story.rules).events:
        kind = bare(event["type"])
        subject = event["subject"]
        prefix = known.get(kind.partition(".")[0], "?")
        if kind in CODES and kind != "pick.reversed" and subject.startswith(prefix):
            key = subject.removeprefix(prefix)
            assert event["id"].rpartition(":")[0] == base_id(stories.SITE, kind, key)
