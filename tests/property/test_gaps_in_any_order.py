"""R3, R6: which numbers of a source are missing is a function of what it told, in whatever order that was heard."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from tests.oracle.compare import bare
from tests.stories import DELAY_MAX_MS, MS, T0, Record, S
from tests.through_core import feed

EXAMPLES = int(os.environ.get("SORTLINE_EXAMPLES", "50"))
SRC = "dc1/gate/SCN-1"
Episode = tuple[int, int, int, int]  # number, times of its beginning and end (0: it lasts), numbers that were missing


def told(draw: random.Random) -> tuple[list[Record], list[Record]]:
    """What a scanner told in two lives within the disorder, and what came of the rest as backlog."""
    live: list[Record] = []
    late: list[Record] = []
    t = T0
    for epoch in (0, 1):
        first = draw.choice((0, 1, 254))
        for seq in range(first, first + 30):
            t += draw.choice((20, 100, 400)) * MS
            record = {"src": SRC, "epoch": epoch, "seq": seq, "t": t, "kind": draw.choice(("scan.read", "telemetry"))}
            record |= {"lu": "L-1"} if record["kind"] == "scan.read" else {}
            chance = draw.random()
            if chance < 0.7 or seq == first or seq > first + 28:
                live.append(record)
            elif chance < 0.85:
                late.append({**record, "hist": True})
        t += 10 * S  # all of the life before is sure by then
    return live, late


def arrivals(live: list[Record], late: list[Record], draw: random.Random) -> list[Record]:
    found = [{**record, "t_rx": record["t"] + draw.randrange(DELAY_MAX_MS * MS)} for record in live]
    found.sort(key=lambda record: record["t_rx"])
    end = found[-1]["t_rx"] + 10 * S
    found.append({"src": SRC, "epoch": 1, "seq": live[-1]["seq"] + 1, "t": end, "t_rx": end, "kind": "telemetry"})
    draw.shuffle(late)
    return found + [{**record, "t_rx": end + n * MS} for n, record in enumerate(late)]


def holes(live: list[Record]) -> Iterator[tuple[set[tuple[int, int]], int]]:
    """Missing numbers, and the event time of the record behind them."""
    for before, after in itertools.pairwise(live):
        missing = range(before["seq"] + 1, after["seq"])
        if before["epoch"] == after["epoch"] and missing:
            yield {(before["epoch"], seq) for seq in missing}, after["t"]


def wanted(live: list[Record], late: list[Record]) -> list[Episode]:
    """One episode from the first hole on, which ends if all that was missing has come."""
    found = list(holes(live))
    if not found:
        return []
    missing = set[tuple[int, int]]().union(*(numbers for numbers, _ in found))
    end = found[-1][1] if missing == {(record["epoch"], record["seq"]) for record in late} else 0
    return [(1, found[0][1], end, len(found[0][0]))]


def episodes(records: list[Record]) -> list[Episode]:
    found: list[Episode] = []
    for event in feed(records, rules={"skew_max_ms": 600_000}).events:
        if event["data"].get("code") == "SEQ_GAP" and bare(event["type"]) == "exception.raised":
            missing = int(event["data"]["detail"].split()[0])
            found.append((len(found) + 1, microseconds(event["time"]), 0, missing))
        elif event["data"].get("code") == "SEQ_GAP":
            number, begin, _, missing = found.pop()
            found.append((number, begin, microseconds(event["time"]), missing))
    return found


def microseconds(time: str) -> int:
    return (datetime.fromisoformat(time) - datetime.fromisoformat("1970-01-01T00:00:00Z")) // timedelta(microseconds=1)


@pytest.mark.parametrize("seed", range(EXAMPLES))
def test_R3_R6_the_same_numbers_are_missing_in_any_order(seed: int) -> None:
    draw = random.Random(seed)
    live, late = told(draw)
    if seed % 2:  # all that is missing comes
        lost = [(epoch, seq, t) for numbers, t in holes(live) for epoch, seq in numbers]
        late = [
            {"src": SRC, "epoch": epoch, "seq": seq, "t": t - 1, "kind": "telemetry", "hist": True}
            for epoch, seq, t in lost
        ]
    for _ in range(3):
        assert episodes(arrivals(live, late, draw)) == wanted(live, late)


def test_R6_of_more_jumps_at_once_than_are_kept_the_oldest_is_told_all_the_same() -> None:
    numbers = [*range(1, 600, 2), *range(4, 600, 2)]  # 299 jumps, all filled in time but the first
    records = [
        {"src": SRC, "epoch": 0, "seq": seq, "t": T0 + seq * MS, "t_rx": T0 + 599 * MS + n, "kind": "telemetry"}
        for n, seq in enumerate(numbers)
    ]
    scan = {"src": SRC, "epoch": 0, "seq": 600, "t": T0 + 600 * MS, "t_rx": T0 + S, "kind": "scan.read", "lu": "L-1"}
    assert episodes([*records, scan]) == [(1, T0 + 3 * MS, 0, 1)]
