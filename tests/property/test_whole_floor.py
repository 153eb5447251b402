"""Stories in which every group of rules meets every other: the core and the oracle tell the same."""

from __future__ import annotations

import random

from hypothesis import given

from tests import second_thoughts, stories, whole_floor
from tests.property.agreement import agree, example_count, seeds
from tests.stories import Story


@example_count(3)
@given(whole_floor.whole_stories())
def test_R3_everything_at_once(story: Story) -> None:
    agree(story.records, story.rules)


@example_count(1)
@given(whole_floor.whole_stories(), seeds)
def test_R3_everything_in_another_order_of_arrival(story: Story, seed: int) -> None:
    agree(stories.rearrive(story.records, random.Random(seed)), story.rules)


@example_count(1)
@given(whole_floor.whole_stories(), seeds)
def test_R5_R10_everything_told_twice(story: Story, seed: int) -> None:
    agree(stories.repeat(story.records, random.Random(seed), percent=50), story.rules)


@example_count(2)
@given(whole_floor.whole_stories(noise_percent=30), seeds)
def test_R6_R7_everything_with_gaps(story: Story, seed: int) -> None:
    draw = random.Random(seed)
    # without short_on_close: whose destination a closed carton was depends on the picks that were known by then
    rules = story.rules | {"gap_hold_ms": draw.choice([5_000, 20_000, 60_000]), "short_on_close": False}
    agree(whole_floor.blind(story.records, draw), rules, late=True, keep_gaps=True)


@example_count(1)
@given(whole_floor.whole_stories(packed=80, pallet=0, trailer=0), seeds)
def test_R43_R47_goods_that_move(story: Story, seed: int) -> None:
    agree(stories.rearrive(story.records, random.Random(seed)), story.rules)


@example_count(1)
@given(whole_floor.whole_stories(pallet=80, trailer=90, lost=40, labels=80, weights=60))
def test_R45_R48_R54_R64_goods_that_are_held_or_lost_and_leave(story: Story) -> None:
    agree(story.records, story.rules)


@example_count(1.5)
@given(second_thoughts.thoughtful_stories(), seeds)
def test_R10_R53_order_systems_that_change_their_minds(story: Story, seed: int) -> None:
    agree(stories.rearrive(story.records, random.Random(seed)), story.rules)


@example_count(1)
@given(second_thoughts.thoughtful_stories(), seeds)
def test_R5_R11_some_of_it_is_never_told(story: Story, seed: int) -> None:
    kept = second_thoughts.forget(story.records, random.Random(seed))
    agree(stories.repeat(kept, random.Random(seed)), story.rules)
