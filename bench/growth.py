"""`core.growth`: what a record costs at the end of a long life, by what it cost at the beginning.

Things that come again for months are the rule on a floor: a put-wall slot is emptied hundreds of times a day, a wall
holds thousands of SKUs, a store's order has thousands of lines. What came before must cost nothing. Each life is told
in so many parts of equal length; the first is a warm-up.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from functools import partial

from bench.crowds import TRANSIT_US
from bench.floor import BEGIN_US, SECOND, SITE
from bench.measure import Entry, Failed, Steps, Turn, percentile, race
from bench.ours import Engine
from bench.settings import Figures, Settings

USES = 4_000
PARTS = 10
STEP_US = SECOND // 10
LINES_A_CARTON = 10

Said = tuple[str, str]
"""Source and the rest of a record, kind first."""


def growth(settings: Settings) -> Figures:
    """`growth`: the worst of the lives; `growth_of` each: time of the last part by that of the second."""
    uses = settings.size(USES, 10 * PARTS)
    entries = {name: Entry(living, (name, uses)) for name in LIVES}
    timings, absent = race(entries, settings.runs)
    first = {name: _ns(timing.steps[1::PARTS], timing.facts["records"]) for name, timing in timings.items()}
    last = {name: _ns(timing.steps[PARTS - 1 :: PARTS], timing.facts["records"]) for name, timing in timings.items()}
    ratios = {name: round(last[name] / first[name], 2) for name in first}
    steps = [seconds for timing in timings.values() for seconds in timing.steps]
    return {
        "growth": max(ratios.values()),
        "growth_of": ratios,
        "first_ns": first,
        "last_ns": last,
        "uses": uses,
        "p50_ms": round(1_000 * percentile(steps, 0.5), 3),
        "p99_ms": round(1_000 * percentile(steps, 0.99), 3),
        "rss_mb": round(max(timing.rss_mb for timing in timings.values()), 1),
        "absent": absent,
    }


def _ns(parts_s: list[float], records: int) -> int:
    return round(1e9 * statistics.median(parts_s) / (records / PARTS))


def living(name: str, uses: int) -> Turn:
    def turn(number: int) -> Steps:
        engine = Engine()
        tell, events_a_use = LIVES[name]
        engine.take(b"".join(lines_of(before_all(name, uses))))
        lines = list(lines_of(tell(uses), after_s=60))
        each, events = len(lines) // PARTS, 0

        def step(part: list[bytes]) -> None:
            nonlocal events
            events += len(engine.take(b"".join(part)))

        for at in range(PARTS):
            yield partial(step, lines[at * each : (at + 1) * each])
        events += len(engine.take(b"".join(lines[PARTS * each :]))) + len(engine.finished())
        if events != events_a_use * uses:
            raise Failed(f"{name}: {events} events, not {events_a_use} for each of {uses} uses")
        return {"records": len(lines)}

    return turn


def lines_of(told: Iterator[Said], after_s: int = 0) -> Iterator[bytes]:
    """A tenth of a second after each other."""
    numbers: dict[str, int] = {}
    for at, (src, rest) in enumerate(told):
        t = BEGIN_US + after_s * SECOND + at * STEP_US
        numbers[src] = numbers.get(src, after_s * USES) + 1
        yield f'{{"src":"{SITE}/{src}","seq":{numbers[src]},"kind":{rest},"t":{t},"t_rx":{t + TRANSIT_US}}}\n'.encode()


# Lives


def before_all(name: str, uses: int) -> Iterator[Said]:
    """What the order systems say before the first part."""
    if name != "a shipment's lines":
        return
    lines = ",".join(f'{{"line":{n + 1},"sku":"SKU-{n % 500}","qty":1}}' for n in range(uses))
    scope = ",".join(f'{{"order":"O-1","line":{n + 1},"qty":1}}' for n in range(uses))
    yield "wms/main", f'"order.released","order":"O-1","rev":1,"lines":[{lines}]'
    yield "wms/main", f'"shipment.plan","shipment":"S-1","rev":1,"scope":[{scope}]'


def slot_uses(uses: int) -> Iterator[Said]:
    for n in range(uses):
        yield "wms/main", f'"pick.task","task":"T-{n}","rev":1,"order":"O-{n}","line":1,"sku":"SKU-1","qty":1'
        yield "wms/main", f'"lu.bind","lu":"SLOT-1","rev":{2 * n + 1},"order":"O-{n}"'
        yield "pick/PTL-01", f'"pick.confirm","task":"T-{n}","sku":"SKU-1","qty":1,"lu":"SLOT-1"'
        yield "pack/PK-01", '"carton.close","lu":"SLOT-1"'
        yield "wms/main", f'"lu.release","lu":"SLOT-1","rev":{2 * n + 2}'


def wall_skus(uses: int) -> Iterator[Said]:
    for n in range(uses):
        yield "wms/main", f'"pick.task","task":"T-{n}","rev":1,"order":"O-{n}","line":1,"sku":"SKU-{n}","qty":1'
        yield "pick/PTL-01", f'"pick.confirm","task":"T-{n}","sku":"SKU-{n}","qty":1,"lu":"TOTE-{n}","loc":"WALL-1"'


def shipment_lines(uses: int) -> Iterator[Said]:
    for n in range(uses):
        what = f'"order":"O-1","line":{n + 1},"sku":"SKU-{n % 500}","qty":1'
        yield "pick/PTL-01", f'"pick.confirm",{what},"lu":"BOX-{n // LINES_A_CARTON}"'


def cart_moves(uses: int) -> Iterator[Said]:
    for n in range(uses):
        what = f'"task":"T-{n}","sku":"SKU-1","qty":1'
        yield "wms/main", f'"pick.task","rev":1,"order":"O-{n}","line":1,{what}'
        yield "pick/PTL-01", f'"pick.confirm",{what},"lu":"CART-1"'
        yield "pack/PK-01", f'"pack.confirm",{what},"from_lu":"CART-1","lu":"BOX-{n}"'


LIVES: dict[str, tuple[Callable[[int], Iterator[Said]], int]] = {
    # -> what is told, and how many events each use brings about
    "a slot's uses": (slot_uses, 2),
    "a wall's SKUs": (wall_skus, 1),
    "a shipment's lines": (shipment_lines, 1),
    "a cart's moves": (cart_moves, 1),
}
