"""A busy floor of the simulator in another order of arrival: what the core tells is what physically happened.

The long run (`make campaign`) takes floors of tens of thousands of records, each with other habits and troubles.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from simulators.canonical import tell
from simulators.cli import write_truth
from simulators.score import report, score
from simulators.settings import BUSY, Policy, Troubles
from simulators.warehouse import tell_story
from tests.property.agreement import EXAMPLES, LONG
from tests.stories import MS, Record
from tests.through_core import feed

DISORDER_MS = 1_500
SEEDS = EXAMPLES // 50 if LONG else 2
ORDERS = 1_500 if LONG else 200


def rearrived(records: Sequence[Record], draw: random.Random) -> list[Record]:
    """Other delays for everything that was told in time; a backlog and what waits for its papers keep theirs."""

    def moved(record: Record) -> Record:
        in_time = "t" in record and not record.get("hist") and 0 <= record["t_rx"] - record["t"] <= DISORDER_MS * MS
        return record | {"t_rx": record["t"] + draw.randrange(DISORDER_MS) * MS} if in_time else record

    return sorted((moved(record) for record in records), key=lambda record: int(record["t_rx"]))


def told_by_core(records: Sequence[Record], rules: dict[str, Any], path: Path) -> None:
    path.write_bytes(b"\n".join(feed(records, rules=rules).lines))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_R3_a_busy_floor_in_any_order_of_arrival_is_told_right(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    policy = Policy(short_at_cutoff=draw.random() < 0.5)
    troubles = Troubles(
        noise=draw.choice([0.05, 0.3]),
        duplicates=0.05,
        disorder_ms=DISORDER_MS,
        late_picks=draw.choice([0.0, 0.1]),
        outages=draw.choice([0, 3]),
    )
    story = tell_story(ORDERS, seed, habits=BUSY, policy=policy)
    telling = tell(story, seed, troubles)
    write_truth(str(tmp_path / "truth"), story, telling)
    records = [json.loads(json.dumps(one.arrived())) for one in telling.said]
    rules: dict[str, Any] = {"short_at_cutoff": policy.short_at_cutoff}
    for number, arrival in enumerate([records, rearrived(records, draw)]):
        told_by_core(arrival, rules, tmp_path / f"told-{number}")
        found = score(tmp_path / f"told-{number}", tmp_path / "truth")
        assert found.perfect, report(found)
