"""`core.collisions`: what somebody can cost us who picks numbers so that they collide in the core's tables.

The tables of the core go by the numbers of texts, which are given out in order, and by numbers that stand in records.
`home` in ext/store.pxd spreads them by products that everybody can read, but for the secret in both factors of
the first.
Here each of many orders has one line, whose number is picked so that all lines would have the same home if the secret
were 0, which is all that can be picked for; beside it the same orders with random lines.
"""

from __future__ import annotations

import statistics
from functools import partial

import numpy as np
import numpy.typing as npt

from bench.crowds import TRANSIT_US
from bench.floor import BEGIN_US, SEED, SITE
from bench.measure import Entry, Measured, Steps, Turn, race, spread
from bench.ours import Engine
from bench.settings import Figures, Settings

Words = npt.NDArray[np.uint64]
ORDERS = 16_384
ORDERS_A_BATCH = 512
TRIED = 1 << 15
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # of `home`
STIRRING = np.uint64(0xD6E8FEB86659FD93)  # of `stirred`
HALF, LOW = np.uint64(32), np.uint64(0xFFFFFFFF)


def collisions(settings: Settings) -> Figures:
    """`ratio_to_random`: of processor time; it would grow with the number of orders if nothing held against it."""
    numbers = order_numbers(settings.size(ORDERS, 256))
    bits = (4 * len(numbers) // 3).bit_length()  # of the table's slots in the end: it is never fuller than 3/4
    crafted = [colliding(number, bits) for number in numbers]
    random = np.random.default_rng(SEED).integers(1, max(crafted) + 1, len(numbers)).tolist()
    timings, absent = race(
        {"crafted": Entry(releasing, (crafted,)), "random": Entry(releasing, (random,))}, settings.runs
    )
    ns = {name: 1e9 * statistics.median(timing.cpu) / len(numbers) for name, timing in timings.items()}
    mine: Measured = timings["crafted"]
    return {
        "ns_a_record": round(ns["crafted"]),
        "random_ns": round(ns["random"]),
        "ratio_to_random": round(ns["crafted"] / ns["random"], 2),
        "orders": len(numbers),
        "p50_ms": round(mine.p50_ms, 3),
        "p99_ms": round(mine.p99_ms, 3),
        "rss_mb": round(mine.rss_mb, 1),
        "spread": {name: spread(timing.cpu) for name, timing in timings.items()},
        "absent": absent,
    }


def order_numbers(orders: int, engine: Engine | None = None) -> list[int]:
    """The numbers that the names of so many orders have in an engine where they are the first names."""
    texts = (engine or Engine()).texts
    return [texts.number(_order(k)) for k in range(orders)]


def colliding(order: int, bits: int) -> int:
    """The least line of that order whose home, if the secret were 0, is slot 0 of a table of up to 2 ** bits slots."""
    head = np.uint64(64 - bits)
    first = 1
    while True:
        lines = np.arange(first, first + TRIED, dtype=np.uint64)
        homes = folded(folded(np.uint64(order) << HALF | lines, FACTOR), STIRRING) >> head
        hits = np.flatnonzero(homes == 0)
        if len(hits):
            return int(lines[hits[0]])
        first += TRIED


def folded(a: Words, b: np.uint64) -> Words:
    """The halves of the products of 128 bits, one over the other: `fold` of ext/texts.pxd."""
    low, high = a & LOW, a >> HALF
    cross = high * (b & LOW) + (low * (b & LOW) >> HALF)
    carried = (cross & LOW) + low * (b >> HALF)
    upper: Words = high * (b >> HALF) + (cross >> HALF) + (carried >> HALF)
    return upper ^ a * b


def releasing(lines: list[int]) -> Turn:
    def turn(number: int) -> Steps:
        engine = Engine()
        order_numbers(len(lines), engine)
        batches = [
            engine.decoded(releasing_lines(lines[at : at + ORDERS_A_BATCH], at))
            for at in range(0, len(lines), ORDERS_A_BATCH)
        ]
        for batch in batches:
            yield partial(engine.decided, batch)
        return {"account": engine.core.account()}

    return turn


def releasing_lines(lines: list[int], first: int = 0) -> bytes:
    """Of orders number `first` and on, each with the line of that number."""
    return b"".join(_released(first + k, line) for k, line in enumerate(lines))


def _released(k: int, line: int) -> bytes:
    t = BEGIN_US + k
    what = f'"order":"{_order(k)}","rev":1,"lines":[{{"line":{line},"sku":"SKU-1","qty":1}}]'
    return (f'{{"src":"{SITE}/wms/main","kind":"order.released","t":{t},"t_rx":{t + TRANSIT_US},{what}}}\n').encode()


def _order(k: int) -> str:
    return f"O-{k:07}"
