"""One part at a time, through its public face. Each case says what one call of it does; compare with your last run:

pytest bench/micro --benchmark-enable --benchmark-autosave --benchmark-compare
"""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from bench.crowds import Cohorts
from bench.ours import Engine
from ext.batch import Batch
from ext.texts import Texts

MANY = 1_000
LINES = {
    "noise": b'{"src":"dc1/conveyor/PE-01","kind":"photo_eye","t":1795420800000000,"state":"set",'
    b'"t_rx":1795420800020000}',
    "scan": b'{"src":"dc1/conveyor/SCN-01","kind":"scan.read","seq":17,"t":1795420800000000,"lu":"CTN-1","point":"P1",'
    b'"t_rx":1795420800020000}',
    "pick": b'{"src":"dc1/pick/PTL-01","kind":"pick.confirm","seq":17,"t":1795420800000000,"order":"O-1","line":1,'
    b'"sku":"SKU-1","qty":1,"lu":"CTN-1","loc":"B-1","t_rx":1795420800020000}',
    "escaped": b'{"src":"dc1/conveyor/SCN-01","kind":"scan.read","seq":17,"t":1795420800000000,'
    b'"lu":"K\\u00e4ufer \\"7\\"","t_rx":1795420800020000}',
    "order": b'{"src":"dc1/wms/main","kind":"order.released","t":1795420800000000,"order":"O-1","rev":1,'
    b'"lines":[{"line":1,"sku":"SKU-1","qty":2},{"line":2,"sku":"SKU-2","qty":1}],"t_rx":1795420800020000}',
}


@pytest.mark.parametrize("kind", LINES)
def test_decode_one_line(benchmark: Any, kind: str) -> None:
    engine = Engine()
    lines = [LINES[kind]]

    def decode() -> list[tuple[int, str]]:
        engine.batch.clear()
        return engine.decoder.decode_lines(lines, engine.batch)

    assert benchmark(decode) == []


def test_text_that_is_known(benchmark: Any) -> None:
    texts = Texts()
    numbers = [texts.number(f"CTN-{i:08}") for i in range(100_000)]
    assert benchmark(texts.number, "CTN-00050000") == numbers[50_000]


def test_text_that_is_new(benchmark: Any) -> None:
    texts = Texts()
    names = (f"CTN-{i:010}" for i in count())
    benchmark.pedantic(lambda name: texts.number(name), setup=lambda: ((next(names),), {}), rounds=20_000)
    assert len(texts) >= 20_000


def test_a_record_of_noise_through_the_core(benchmark: Any) -> None:
    """A thousand of them a call."""
    engine = Engine()
    batch = engine.decoded(b"\n".join([LINES["noise"]] * MANY))
    benchmark(engine.core.feed, batch)
    assert engine.core.account()["noise"] >= MANY


def test_timers_that_are_armed(benchmark: Any) -> None:
    """A thousand cartons with four picks each, closed: 5 000 records, a timer each carton, a call."""
    engine, cohorts = Engine(), Cohorts(MANY)
    numbers = count()

    def one() -> tuple[tuple[Batch], dict[str, object]]:
        k = next(numbers)
        batch = engine.decoded(cohorts.closes(k))
        return (batch,), {}

    benchmark.pedantic(engine.core.feed, setup=one, rounds=8)
    assert engine.core.windows()["cartons"] == 8 * MANY


@pytest.mark.parametrize("what", ["closes", "deadlines"])
def test_timers_that_fire_and_events_that_leave(benchmark: Any, what: str) -> None:
    """A thousand cartons closed, or a thousand tasks confirmed and short, by one record, a call."""
    engine, cohorts = Engine(), Cohorts(MANY)
    numbers = count()

    def one() -> tuple[tuple[Batch], dict[str, object]]:
        k = next(numbers)
        engine.take(getattr(cohorts, what)(k))
        return (engine.decoded(cohorts.moment(k)),), {}

    def decide(moment: Batch) -> int:
        engine.core.feed(moment)
        return len(engine.core.take())

    assert benchmark.pedantic(decide, setup=one, rounds=8) in (MANY, 2 * MANY)
