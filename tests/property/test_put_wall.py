"""R43, R47: slots of a put wall are filled and emptied all their lives, and nobody says that a new use begins.

What was emptied is not walked over again (see packing.emptied_by), unless a fact comes before it. The same is told in
every order of arrival, and it is what the oracle says, which walks over everything.
"""

from __future__ import annotations

import itertools
import os
import random

import pytest

from tests.property.agreement import agree
from tests.stories import MS, T0, WMS, Record, S

EXAMPLES = int(os.environ.get("SORTLINE_EXAMPLES", "60"))
STEPS = (100 * MS, 300 * MS, 900 * MS, 4 * S)
SLOTS = ("PW-1", "PW-2")
WALL, PACK = "dc1/pick/PW-01", "dc1/pack/PK-01"


def story(draw: random.Random) -> list[Record]:
    """Two lines of one order go through two slots into boxes, pieces from slot to slot, and some back to the shelf."""
    lines = [{"line": line, "sku": "A", "qty": 90} for line in (1, 2)]
    told: list[Record] = [{"src": WMS, "kind": "order.released", "t": T0, "order": "O-1", "rev": 1, "lines": lines}]
    told += [{"src": WMS, "kind": "pick.task", "t": T0, "task": task, **fields} for task, fields in tasks(1)]
    t, moves, moved = T0 + 10 * S, draw.random() < 0.5, False
    for number in range(draw.randint(6, 20)):
        t += draw.choice(STEPS)
        slot, chance = draw.choice(SLOTS), draw.random()
        press = {"task": draw.choice(("T-1", "T-2")), "sku": "A", "qty": draw.randint(1, 3), "lu": slot}
        if chance < 0.4:
            told.append({"src": WALL, "kind": "pick.confirm", "t": t, **press})
        elif chance < 0.5 and not moves:  # which line it was told of is not told anew
            told.append({"src": WALL, "kind": "pick.reverse", "t": t, **press, "qty": 1})
        elif chance < 0.5 and not moved:
            moved = True
            told += [{"src": WMS, "kind": "pick.task", "t": t, "task": "T-1", **dict(tasks(2))["T-1"]}]
        else:
            to = draw.choice([*SLOTS, f"BX-{number}", f"BX-{number}"])
            some = {"sku": "A", "qty": draw.randint(1, 3)} if draw.random() < 0.3 else {}
            told.append({"src": PACK, "kind": "pack.confirm", "t": t, "from_lu": slot, "lu": to, **some})
            if to not in SLOTS:
                told.append({"src": PACK, "kind": "carton.close", "t": t + 50 * MS, "lu": to})
    return told


def tasks(rev: int) -> list[tuple[str, Record]]:
    """With its second revision T-1 is the other line's."""
    return [
        (task, {"rev": rev, "order": "O-1", "line": 3 - line if rev == 2 else line, "sku": "A", "qty": 90})
        for line, task in enumerate(("T-1", "T-2"), start=1)
    ]


def arrivals(draw: random.Random, told: list[Record], reach: int) -> list[Record]:
    """Numbered as they happened, in an order of arrival within `reach`."""
    numbers = {src: itertools.count(1) for src in (WALL, PACK)}
    ordered = [{**one, **({"seq": next(numbers[one["src"]])} if one["src"] != WMS else {})} for one in told]
    return sorted(
        ({**one, "t_rx": one["t"] + (draw.randint(0, reach) if one["src"] != WMS else 0)} for one in ordered),
        key=lambda one: one["t_rx"],
    )


@pytest.mark.parametrize("seed", range(EXAMPLES))
def test_R43_R47_a_slot_that_is_emptied_for_ever(seed: int) -> None:
    draw = random.Random(seed)
    told = story(draw)
    for reach in (0, 1500 * MS):
        agree(arrivals(draw, told, reach), {})
