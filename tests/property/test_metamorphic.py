"""The core against itself: the same story told otherwise has the same last revisions, or the same bytes. No oracle."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hypothesis import given

from engine.recordings import cut
from engine.records import make_decoder
from ext.batch import Batch
from ext.core import Core
from ext.texts import Texts
from tests import stories, whole_floor
from tests.minimise import renumber
from tests.oracle.compare import bare, last_revisions, means_nothing
from tests.oracle.facts import event_time
from tests.oracle.parts import names
from tests.property.agreement import TERMS, example_count, seeds
from tests.property.test_snapshot import told
from tests.stories import Record, Story
from tests.through_core import feed

MINUTE_US = 60_000_000
EVENT_TIMES = frozenset({"t_close", "t_open", "t_first", "as_of"})


def said(records: Sequence[Record], rules: Mapping[str, Any], until_us: int = -1) -> dict[str, Any]:
    """What the last revisions hold, by id without its revision."""
    return {
        id_: (event["type"], event["subject"], event["time"], event["data"])
        for id_, event in last_revisions(feed(records, rules=rules, until_us=until_us).events).items()
        if not means_nothing(bare(event["type"]), event["data"])
    }


@example_count(0.5)
@given(whole_floor.whole_stories(), seeds)
def test_R5_R10_anything_told_twice_changes_nothing(story: Story, seed: int) -> None:
    twice = stories.repeat(story.records, random.Random(seed), percent=60)
    until_us = max(record["t_rx"] for record in twice) + MINUTE_US
    assert said(twice, story.rules, until_us) == said(story.records, story.rules, until_us)


@example_count(0.5)
@given(whole_floor.whole_stories(), seeds)
def test_R3_split_at_any_byte_it_says_the_same_bytes(story: Story, seed: int) -> None:
    draw = random.Random(seed)
    data = b"".join(json.dumps(record).encode() + b"\n" for record in story.records)
    edges = sorted({0, len(data), *(draw.randrange(len(data)) for _ in range(20))})
    blocks = [(data[start:stop], -1.0) for start, stop in itertools.pairwise(edges)]
    texts = Texts()
    core, decoder = Core("dc1", texts, story.rules), make_decoder(texts)
    bodies: list[bytes] = []
    for chunk in cut(iter(blocks)):
        batch = Batch(texts)
        assert decoder.decode(chunk.data, batch) == []
        core.feed(batch)
        bodies += [event[4] for event in core.take()]
    core.finish()
    bodies += [event[4] for event in core.take()]
    assert bodies == feed(story.records, rules=story.rules).lines


@example_count(0.5)
@given(whole_floor.whole_stories())
def test_R3_at_another_time_it_says_the_same_then(story: Story) -> None:
    by_us = 86_400_000_000 * 400

    def back(name: str, value: Any) -> Any:
        return value - by_us if name in EVENT_TIMES else value

    def told_of(records: Sequence[Record]) -> list[tuple[str, str, Any]]:
        events = feed(records, rules=story.rules).events
        return [(event["type"], event["subject"], event["data"]) for event in events]

    later = told_of(stories.shift(story.records, by_us))
    assert [(kind, subject, stories.rewrite(data, back)) for kind, subject, data in later] == told_of(story.records)


@example_count(0.5)
@given(whole_floor.whole_stories())
def test_R20_under_other_names_it_says_the_same_of_them(story: Story) -> None:
    """A prefix keeps the order of names, so that even the order of events is the same."""
    renamed = stories.rename(story.records, "Ä-")
    before = [(event["type"], event["time"]) for event in feed(story.records, rules=story.rules).events]
    assert [(event["type"], event["time"]) for event in feed(renamed, rules=story.rules).events] == before


@example_count(0.5)
@given(whole_floor.whole_stories(shipments_max=3), seeds)
def test_two_boxes_by_key_are_one_box(story: Story, seed: int) -> None:
    """What is connected stays together; each box numbers what it sees, as its own sources would."""
    until_us = max(event_time(record, 5_000) for record in story.records) + MINUTE_US
    boxes: list[list[Record]] = [[], []]
    draw = random.Random(seed)
    homes: dict[int, int] = {}
    for record, part in zip(story.records, connected(story.records), strict=True):
        boxes[homes.setdefault(part, draw.randrange(2))].append(record)
    keys: set[str] = set()
    told_apart: list[Any] = []
    for box in boxes:
        mine = said(renumber(box), story.rules, until_us) if box else {}
        named = {id_ for id_, what in mine.items() if bare(what[0]) not in NUMBERED}
        assert not keys & named
        keys |= named
        told_apart += mine.values()
    whole = said(story.records, story.rules, until_us)
    # keys that hold the dev_id of a record, and numbers differ from box to box
    assert without_numbers(told_apart) == without_numbers(whole.values())


def connected(records: Sequence[Record]) -> list[int]:
    """The part of each record, by number: what shares a name, a place, a return or a machine of one of them."""
    parent: dict[Any, Any] = {}

    def root(name: Any) -> Any:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    spoken = []
    for at, record in enumerate(records):
        about = names(record) | {("loc", record[name]) for name in ("loc", "dest") if name in record}
        about |= {("rma", record["rma"])} if "rma" in record else set()
        about |= {("serial", record["serial"])} if "serial" in record else set()
        about |= {("hold", record["carton"])} if record["kind"] == "hold.released" else set()
        about |= {("press", record["press"])} if "press" in record else set()
        spoken.append(sorted(about, key=repr) or [at])
        for other in spoken[-1][1:]:
            parent[root(other)] = root(spoken[-1][0])
    # no places: a lane and a shelf are everybody's
    numbers: dict[Any, int] = {}
    return [numbers.setdefault(root(about[0]), len(numbers)) for about in spoken]


NUMBERED = ("pick.reversed", "return.received", "return.dispositioned")  # dev_ids stand in their keys


def without_numbers(told_of: Iterable[Any]) -> list[str]:
    return sorted(
        json.dumps((*what[:1], *what[2:]) if bare(what[0]) in NUMBERED else what, sort_keys=True) for what in told_of
    )


@example_count(0.3)
@given(whole_floor.whole_stories(), seeds)
def test_stopped_anywhere_it_says_the_same_bytes(story: Story, seed: int) -> None:
    draw = random.Random(seed)
    cuts = {draw.randrange(len(story.records)) for _ in range(4)}
    assert told(story.records, story.rules, cuts) == told(story.records, story.rules, set())


@example_count(0.5)
@given(whole_floor.whole_stories(noise_percent=30), seeds)
def test_R82_the_account_adds_up_at_every_moment(story: Story, seed: int) -> None:
    draw = random.Random(seed)
    records = whole_floor.blind(stories.repeat(story.records, draw), draw)
    texts = Texts()
    core, decoder = Core("dc1", texts, story.rules), make_decoder(texts)
    for count, record in enumerate(records, start=1):
        batch = Batch(texts)
        assert decoder.decode(json.dumps(record).encode(), batch) == []
        core.feed(batch)
        account = core.account()
        assert account["in"] == sum(account[term] for term in TERMS) == count
    core.finish()
    account = core.account()
    assert account["in"] == sum(account[term] for term in TERMS) == len(records)
