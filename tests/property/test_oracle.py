"""The oracle keeps R3's promise itself: retelling a story changes nothing that it says."""

from __future__ import annotations

import random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests import stories
from tests.oracle import Final, account, expected
from tests.stories import SITE, Story

relaxed = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
)
seeds = st.integers(0, 2**32)
FAR_US = 10**15


def same(one: dict[str, Final], other: dict[str, Final]) -> None:
    """What is certain in both; a key that only one has may have no event."""
    for id_ in one.keys() | other.keys():
        told = [final for final in (one.get(id_), other.get(id_)) if final is not None and final.certain]
        assert len(told) < 2 or told[0] == told[1]
        assert len(told) != 1 or (id_ in one and id_ in other), told


@relaxed
@given(stories.stories(), seeds)
def test_R3_the_order_of_arrival_within_the_disorder(story: Story, seed: int) -> None:
    moved = stories.rearrive(story.records, random.Random(seed))
    same(expected(moved, SITE, story.rules), expected(story.records, SITE, story.rules))


@relaxed
@given(stories.stories(), seeds)
def test_R5_R10_records_told_twice(story: Story, seed: int) -> None:
    twice = stories.repeat(story.records, random.Random(seed), percent=50)
    same(expected(twice, SITE, story.rules), expected(story.records, SITE, story.rules))
    before, after = account(story.records), account(twice)
    # a second telling is noise again, a duplicate, or context that a higher rev has overtaken
    assert after["taken"] == before["taken"] and after["late"] == 0


@relaxed
@given(stories.stories(lively=False), seeds)
def test_R1_a_backlog_says_the_same_later(story: Story, seed: int) -> None:
    told = expected(stories.unshipped(story.records), SITE, story.rules)
    late = stories.backlog(story.records, "dc1/pick", random.Random(seed))
    assert expected(late, SITE, story.rules) == told
    assert expected(stories.late_context(story.records), SITE, story.rules) == told


@relaxed
@given(stories.stories())
def test_R20_other_names_are_the_same_story(story: Story) -> None:
    renamed = expected(stories.rename(story.records, "X-"), SITE, story.rules).values()
    same = expected(story.records, SITE, story.rules).values()
    assert [(one.type, one.time) for one in renamed] == [(one.type, one.time) for one in same]


@relaxed
@given(stories.stories())
def test_R4a_what_falls_due_after_the_end_is_not_decided(story: Story) -> None:
    soon = min(record["t"] for record in story.records) - FAR_US
    types = {final.type for final in expected(story.records, SITE, story.rules, until=soon).values()}
    assert not types & {"carton.closed", "carton.reopened", "shipment.ready", "shipment.unready"}
