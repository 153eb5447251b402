"""`core.sources`: what a record costs beside 10 to 10 000 sources that are in.

Polled units and stations speak in turn, each once a second: the one that holds the watermark back is then always the
one that speaks next. A site has as many of them as it has, so a record must not cost more for it.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from functools import partial

from bench.crowds import TRANSIT_US
from bench.floor import BEGIN_US, SECOND, SITE
from bench.measure import Entry, Failed, Steps, Turn, percentile, race
from bench.ours import Engine
from bench.settings import Figures, Settings

SOURCES = (10, 100, 1_000, 10_000)
RECORDS = 200_000
CHUNK = 2_000


def sources(settings: Settings) -> Figures:
    """`ns_a_record` with the most sources; `flatness`: the dearest by the one with the fewest."""
    records = settings.size(RECORDS, CHUNK)
    sizes = sorted({settings.size(size, 2) for size in SOURCES})
    timings, absent = race({str(size): Entry(in_turn, (size, records)) for size in sizes}, settings.runs)
    points = [
        {"sources": int(name), "ns_a_record": round(1e9 * statistics.median(timing.cpu) / records, 1)}
        for name, timing in timings.items()
    ]
    costs = [point["ns_a_record"] for point in points]
    steps = [seconds for timing in timings.values() for seconds in timing.steps]
    return {
        "ns_a_record": costs[-1],
        "flatness": round(max(costs) / costs[0], 2),
        "sources": sizes[-1],
        "points": points,
        "p50_ms": round(1_000 * percentile(steps, 0.5), 3),
        "p99_ms": round(1_000 * percentile(steps, 0.99), 3),
        "rss_mb": round(max(timing.rss_mb for timing in timings.values()), 1),
        "absent": absent,
    }


def in_turn(count: int, records: int) -> Turn:
    """The first round makes them known and is not timed."""
    engine = Engine()
    said = lines_of(count)

    def turn(number: int) -> Steps:
        if number == 0:
            engine.take(b"".join(next(said) for _ in range(count)))
        batches = [engine.decoded(b"".join(next(said) for _ in range(CHUNK))) for _ in range(records // CHUNK)]
        for batch in batches:
            yield partial(engine.decided, batch)
        if (live := sum(source["live"] for source in engine.core.sources())) != count:
            raise Failed(f"{live} of {count} sources are in")
        return {}

    return turn


def lines_of(count: int) -> Iterator[bytes]:
    """For ever: each source says where a tote is, once a second, one after the other."""
    spoken = 0
    while True:
        t = BEGIN_US + spoken * SECOND // count
        yield (
            f'{{"src":"{SITE}/unit/U-{spoken % count:05}","kind":"scan.read","seq":{spoken // count + 1},"t":{t},'
            f'"lu":"TOTE-{spoken % 997:04}","t_rx":{t + TRANSIT_US}}}\n'
        ).encode()
        spoken += 1
