"""R60, R62, R64: what is said of a track belongs to its unit with its own event times, also backwards.

So a story that names the unit only in the end raises and clears the same as one that names it at once, but for what was
told before.
"""

from __future__ import annotations

import itertools
import os
import random

import pytest

from tests.stories import MS, T0, Record, S
from tests.through_core import feed

EXAMPLES = int(os.environ.get("SORTLINE_EXAMPLES", "200"))
SORTER, HAND = "dc1/sorter/SRT-01", "dc1/sorter/HH-01"
LANES = ("D-1", "D-2")
KINDS = ("item.lost", "item.lost", "item.stray", "item.recirculated", "scan.noread", "divert.confirmed")


def story(draw: random.Random, by_hand: float) -> list[Record]:
    """Losses, sights, loops and diverts of one unit on track 7; some are told by hand, which names the unit at once."""
    t = T0 + 10 * S
    told: list[Record] = [{"src": SORTER, "kind": "item.inducted", "t": t, "track": "7"}]
    for _ in range(draw.randint(2, 9)):
        t += draw.choice((100 * MS, 900 * MS, 3 * S))
        kind = draw.choice(KINDS)
        fields: Record = {}
        if kind == "divert.confirmed":
            fields = {"dest": draw.choice(LANES), **({"dest_req": "D-1"} if draw.random() < 0.8 else {})}
        src = HAND if kind != "scan.noread" and draw.random() < by_hand else SORTER
        told.append({"src": src, "kind": kind, "t": t, "track": "7", **fields})
    t += draw.choice((S, 20 * S))
    return [*told, {"src": SORTER, "kind": "ident.assigned", "t": t, "track": "7", "lu": "L-1"}]


def records_of(told: list[Record], at_once: bool) -> list[Record]:
    """In the order of event time, with numbers. `at_once`: each names the unit itself (a no-read is then a sight)."""
    found = []
    for record in told:
        fields = dict(record)
        if fields["kind"] == "ident.assigned" and at_once:
            fields |= {"kind": "scan.read"}
        if (at_once or fields["src"] == HAND) and fields["kind"] not in ("item.inducted", "scan.read"):
            fields |= {"lu": "L-1", "kind": fields["kind"].replace("scan.noread", "scan.read")}
            del fields["track"]
        found.append(fields)
    end = found[-1]["t"] + 60 * S
    beats = [{"src": src, "kind": "telemetry", "t": t} for src in (SORTER, HAND) for t in range(T0 + 10 * S, end, S)]
    first = [{"src": src, "kind": "scan.read", "lu": "L-9", "t": T0 + 9 * S} for src in (SORTER, HAND)]
    numbers = {src: itertools.count(1) for src in (SORTER, HAND)}
    ordered = sorted([*first, *found, *beats], key=lambda record: record["t"])
    return [{**record, "t_rx": record["t"], "seq": next(numbers[record["src"]])} for record in ordered]


def episodes(records: list[Record], code: str) -> list[tuple[str, str]]:
    events = feed(records).events
    return [(event["id"][:3], event["time"]) for event in events if event["data"].get("code") == code]


@pytest.mark.parametrize("code", ["RTE_LOST", "RTE_WRONG_DEST"])
@pytest.mark.parametrize("seed", range(EXAMPLES))
def test_R60_R62_R64_the_episodes_are_those_of_the_facts(seed: int, code: str) -> None:
    told = story(random.Random(seed), by_hand=0)
    assert episodes(records_of(told, at_once=False), code) == episodes(records_of(told, at_once=True), code), told


@pytest.mark.parametrize("code", ["RTE_LOST", "RTE_WRONG_DEST"])
@pytest.mark.parametrize("seed", range(EXAMPLES))
def test_R60_R62_R64_what_was_told_is_gone_on_from(seed: int, code: str) -> None:
    """In the end the unit is what the facts say; episodes begin and end by turns, and none ends before it began."""
    told = story(random.Random(seed), by_hand=0.3)
    late, at_once = episodes(records_of(told, at_once=False), code), episodes(records_of(told, at_once=True), code)
    assert len(late) % 2 == len(at_once) % 2 and len(late) <= len(at_once), told
    for begun, ended in zip(late[::2], late[1::2], strict=False):
        assert (begun[0], ended[0]) == ("xr1", "xc1") and begun[1] < ended[1], told
