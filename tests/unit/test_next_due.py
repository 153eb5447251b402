"""When time alone decides something next is asked after every delivery: it must not cost more where more waits."""

from __future__ import annotations

import time

from bench.crowds import Cohorts
from bench.ours import Engine
from ext.core import Core


def waiting(cartons: int) -> Core:
    """A core where so many cartons wait for the end of their hold."""
    engine = Engine()
    engine.take(Cohorts(cartons).closes(0))
    return engine.core


def cost_s(core: Core) -> float:
    """Of one question, of the quickest of many."""
    took = []
    for _ in range(50):
        before = time.perf_counter()
        for _ in range(20):
            core.due_us()
        took.append(time.perf_counter() - before)
    return min(took) / 20


def test_what_is_due_next_costs_as_little_among_thousands_as_among_a_few() -> None:
    few, many = waiting(10), waiting(5_000)
    assert many.due_us() > 0
    assert cost_s(many) < 5 * cost_s(few)


def test_a_snapshot_knows_what_is_due_next() -> None:
    engine = Engine()
    for number in (1, 2):
        engine.take(Cohorts(500).closes(number))
    again = Engine()
    again.core.restore(engine.core.snapshot())
    assert again.core.due_us() == engine.core.due_us() > 0
