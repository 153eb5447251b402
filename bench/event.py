"""`core.event`: what a business event costs, from the decision to the encoded CloudEvent.

A thousand things wait for one moment; one record brings it. What that record's feed and the `take` after it last, by a
thousand, is what an event costs: the timer, the window's decision, id, canonical JSON.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial

from bench.crowds import COHORT_US, Cohorts
from bench.floor import BEGIN_US, SECOND
from bench.measure import Entry, Failed, Measured, Steps, Turn, percentile, race
from bench.ours import Engine
from bench.peers.loop import DISORDER_US, Windows, decode_lines
from bench.settings import OURS, Figures, Settings
from ext.batch import Batch

SIZE = 1_000
COHORTS = 40
LOOP = "msgspec.loop"
SHORTS = "pick.confirmed + pick.short"


def event(settings: Settings) -> Figures:
    """`carton.closed` of four lines, against the plain loop; a pick confirmed and short by its deadline."""
    size = settings.size(SIZE, 10)
    timings, absent = race(
        {
            OURS: Entry(closes, (size,)),
            SHORTS: Entry(_deadlines, (size,)),
            LOOP: Entry(_closes_loop, (size,)),
        },
        settings.runs,
    )
    costs = {name: _microseconds(timing) for name, timing in timings.items()}
    return {
        "us_an_event": costs[OURS]["p50_us"],
        "p50_ms": round(costs[OURS]["p50_us"] / 1_000, 6),
        "p99_ms": round(costs[OURS]["p99_us"] / 1_000, 6),
        "rss_mb": round(timings[OURS].rss_mb, 1),
        "types": {"carton.closed": costs[OURS], SHORTS: costs[SHORTS]},
        "peers": {LOOP: costs[LOOP]},
        "ratio": {LOOP: round(costs[LOOP]["p50_us"] / costs[OURS]["p50_us"], 2)},
        "absent": absent,
    }


def _microseconds(timing: Measured) -> Figures:
    """Of one event; the percentiles are over cohorts."""
    each = [1e6 * seconds / timing.facts["events"] for seconds in timing.steps]
    return {"p50_us": round(percentile(each, 0.5), 3), "p99_us": round(percentile(each, 0.99), 3)}


def closes(size: int) -> Turn:
    return _decided(Cohorts.closes, size, size)


def _deadlines(size: int) -> Turn:
    return _decided(Cohorts.deadlines, size, 2 * size)


def _decided(waiting: Callable[[Cohorts, int], bytes], size: int, expected: int) -> Turn:
    def turn(number: int) -> Steps:
        engine, cohorts = Engine(), Cohorts(size)
        for k in range(COHORTS):
            if early := engine.take(waiting(cohorts, k)):
                raise Failed(f"{early[0][1]} did not wait")
            moment = engine.decoded(cohorts.moment(k))
            told: list[int] = []

            def step(moment: Batch = moment, told: list[int] = told) -> None:
                told.append(len(engine.decided(moment)))

            gc.collect(1)
            yield step
            if told != [expected]:
                raise Failed(f"{expected} events were to be decided at once, and {told} were")
        return {"events": expected}

    return turn


def _closes_loop(size: int) -> Turn:
    def turn(number: int) -> Steps:
        windows, cohorts = Windows(), Cohorts(size)
        for k in range(COHORTS):
            windows.take(decode_lines(cohorts.closes(k)))
            before = len(windows.events)
            gc.collect(1)
            yield partial(windows.decide, BEGIN_US + (k + 1) * COHORT_US - SECOND - DISORDER_US)
            if len(windows.events) - before != size:
                raise Failed(f"the loop told {len(windows.events) - before} events of {size}")
        return {"events": size}

    return turn
