"""Numbers stand in records, and those of names are given out in order: lines that were picked to collide in the core's
tables cost at most twice what others do, and so do the usual ones, whatever the secret is. Counted in slots that a
search walks over, not timed."""

from __future__ import annotations

import random

from bench.collisions import colliding, order_numbers, releasing_lines
from bench.ours import Engine

ORDERS = 3_000
BITS = 12  # of the table in the end: 4 096 slots
SECRETS = 100


def walked(lines: list[int]) -> int:
    """Slots that are looked at to find each line once."""
    engine = Engine()
    order_numbers(len(lines), engine)
    engine.take(releasing_lines(lines))
    assert engine.core.account()["used"] == len(lines)
    return len(lines) + int(engine.core.steps())


def test_crafted_lines_cost_at_most_twice_what_others_do() -> None:
    crafted = [colliding(number, BITS) for number in order_numbers(ORDERS)]
    assert walked(crafted) <= 2 * walked(any_lines())


def test_line_1_of_every_order_costs_at_most_twice_what_others_do_under_any_secret() -> None:
    """Numbers in a row are the usual ones: each core here has a secret of its own."""
    dearest = max(walked([1] * ORDERS) for _ in range(SECRETS))
    assert dearest <= 2 * walked(any_lines())


def any_lines() -> list[int]:
    draw = random.Random(7)
    return [draw.randrange(1, 1 << 20) for _ in range(ORDERS)]
