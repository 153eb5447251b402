"""R2 of many sources: the watermark is the least of those that are in, whoever comes, lags, leaves and comes again."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field

from engine.records import make_decoder
from ext.batch import Batch
from ext.core import Core
from ext.texts import Texts

BEGIN = 1_795_420_800_000_000
MS = 1_000
SECOND = 1_000_000
SOURCES = 40
RECORDS = 3_000
IDLE_MS = 600
DEADLINES = 6_000
STEP = 10 * MS
RULES = {"idle_source_ms": IDLE_MS, "disorder_ms": 300, "hold_wall_max_ms": 10_000_000, "short_on_close": False}
OWN_RULES = [(f"dc1/u/{n}", {"idle_source_ms": 100 + 25 * n, "disorder_ms": 40 * n}) for n in range(0, SOURCES, 3)]


@dataclass
class Model:
    """R2, said again without any order among the sources."""

    wall: int = -1
    mark: int = -1
    last_rx: dict[str, int] = field(default_factory=dict)
    """Of those that are in."""
    marks: dict[str, int] = field(default_factory=dict)

    def take(self, src: str, t: int, t_rx: int) -> None:
        rules = {**RULES, **dict(OWN_RULES).get(src, {})}
        if t_rx > self.wall:
            for moment in sorted({self.leaves(each) for each in self.last_rx if self.leaves(each) <= t_rx}):
                self.last_rx = {each: rx for each, rx in self.last_rx.items() if self.leaves(each) > moment}
                self.wall = max(self.wall, moment)
                self.follow()
            self.wall = t_rx
            self.follow()
        self.last_rx[src] = t_rx
        self.marks[src] = max(self.marks.get(src, -1), t - rules["disorder_ms"] * MS)
        self.follow()

    def leaves(self, src: str) -> int:
        return self.last_rx[src] + {**RULES, **dict(OWN_RULES).get(src, {})}["idle_source_ms"] * MS

    def follow(self) -> None:
        least = min((self.marks[src] for src in self.last_rx), default=self.wall - IDLE_MS * MS)
        self.mark = max(self.mark, least)


class Told:
    """A core that tells how far its watermark has come: by the deadlines that it has passed."""

    def __init__(self) -> None:
        self.begin()
        tasks = [
            {
                "kind": "pick.task",
                "task": f"T-{n}",
                "order": "O",
                "line": 1,
                "sku": "A",
                "qty": 1,
                "deadline": BEGIN + n * STEP,
                "rev": 1,
            }
            for n in range(DEADLINES)
        ]
        self.take(*[{**task, "src": "dc1/wms/main", "t": BEGIN, "t_rx": BEGIN} for task in tasks])

    def begin(self) -> None:
        self.texts = Texts()
        self.decoder = make_decoder(self.texts)
        self.batch = Batch(self.texts)
        self.core = Core("dc1", self.texts, RULES, OWN_RULES)

    def restart(self) -> None:
        kept = self.core.snapshot()
        self.begin()
        self.core.restore(kept)

    def take(self, *records: dict[str, object]) -> None:
        self.batch.clear()
        assert not self.decoder.decode("".join(json.dumps(record) + "\n" for record in records).encode(), self.batch)
        self.core.feed(self.batch)
        self.core.take()

    def passed(self) -> int:
        return DEADLINES - int(self.core.windows()["picks"])


def test_r2_the_watermark_is_the_least_of_those_that_are_in() -> None:
    rng = random.Random(2)
    told, model, now = Told(), Model(), BEGIN
    seen = set()
    for n in range(RECORDS):
        now += rng.choice((0, 1, 5, 20, 60)) * MS + (rng.random() < 0.002) * 9 * SECOND
        number = rng.randrange(SOURCES if rng.random() < 0.7 else 4)
        src, t_rx = f"dc1/u/{number}", now - (rng.random() < 0.1) * rng.randrange(700 * MS)
        t = t_rx - rng.randrange(900 * MS)
        told.take({"src": src, "kind": "scan.read", "lu": "L", "t": t, "t_rx": t_rx})
        model.take(src, t, t_rx)
        passed = min(DEADLINES, max(0, -(-(model.mark - BEGIN) // STEP)))
        assert told.passed() == passed, f"record {n}: {passed} deadlines lie before the watermark"
        seen.add(passed)
        if n % 500 == 250:
            told.restart()
    assert len(seen) > 100
