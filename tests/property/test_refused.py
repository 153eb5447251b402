"""Section 10: which moves of a voided carton are refused does not depend on arrival within the disorder."""

from __future__ import annotations

import random

import pytest

from tests import stories
from tests.stories import MS, Record
from tests.through_core import feed

VOIDER = "dc1/pack/PK-09"
TERMS = ("used", "duplicate", "late", "rejected", "noise", "open")


def voided(records: list[Record], draw: random.Random) -> list[Record]:
    """Two cartons are voided about the time of their close, and worked on as if they had not been."""
    closes = [record for record in records if record["kind"] == "carton.close"]
    more: list[Record] = []
    for close in draw.sample(closes, min(2, len(closes))):
        void_ms = draw.choice([-800, 0, 500, 3_000])
        for kind, after_ms, fields in (
            ("carton.void", void_ms, {}),
            ("label.verified", 4_000, {"result": "OK"}),
            ("carton.reopen", 5_000, {}),
            ("carton.close", 6_000, {}),
        ):
            more.append({"src": VOIDER, "kind": kind, "t": close["t"] + after_ms * MS, "lu": close["lu"], **fields})
    for number, record in enumerate(sorted(more, key=lambda one: int(one["t"])), start=1):
        record |= {"seq": number, "t_rx": record["t"] + draw.randrange(1_500) * MS}
    return stories.by_arrival([*records, *more])


@pytest.mark.parametrize("seed", range(25))
def test_R03_what_is_refused_does_not_depend_on_arrival(seed: int) -> None:
    story, draw = stories.seeded(seed, lively=True, shipments=2), random.Random(seed)
    records = voided([record for record in story.records if record.get("rev", 1) == 1], draw)

    def refused(retold: list[Record]) -> tuple[int, int]:
        outcome = feed(retold, rules=story.rules)
        assert outcome.refused == []
        assert outcome.account["in"] == sum(count for name, count in outcome.account.items() if name in TERMS)
        raised = sum(event["data"].get("code") == "PKG_AFTER_VOID" for event in outcome.events)
        return outcome.account["rejected"], raised

    as_told = refused(records)
    assert as_told[0] > 0, "nothing was refused: the test shows nothing"
    for _ in range(2):
        assert refused(stories.rearrive(records, draw)) == as_told
