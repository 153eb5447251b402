"""R5 against a table of every number with its time: what was here within `lateness_ms` is a duplicate, what was here
more than a sixteenth longer ago is none."""

from __future__ import annotations

import json
import random

import pytest

from engine.records import make_decoder
from ext.batch import Batch
from ext.core import Core
from ext.texts import Texts

T0 = 1_700_000_000_000_000
SECOND = 10  # times are in tenths of it
LATENESS = 160 * SECOND
RULES = {"lateness_ms": LATENESS * 100, "retention_ms": LATENESS * 200}


class Line:
    """A source that numbers, and what the core makes of it."""

    def __init__(self) -> None:
        self.texts = Texts()
        self.decoder = make_decoder(self.texts)
        self.core = Core("dc1", self.texts, RULES)

    def is_new(self, t: int, seq: int, sub: int = 0) -> bool:
        moment = T0 + t * 100_000
        batch, before = Batch(self.texts), self.core.account()["duplicate"]
        names = {"src": "dc1/s/1", "kind": "scan.read", "lu": "L", "seq": seq, "sub": sub}
        assert not self.decoder.decode(json.dumps({**names, "t": moment, "t_rx": moment}).encode(), batch)
        self.core.feed(batch)
        return self.core.account()["duplicate"] == before


@pytest.mark.parametrize("telegrams", [[(0,)], [(0,), (0, 1), (2, 0), (65_537, 0, 1)]], ids=["one fact", "several"])
@pytest.mark.parametrize("seed", range(60))
def test_R05_a_number_is_known_for_as_long_as_it_should(seed: int, telegrams: list[tuple[int, ...]]) -> None:
    """It restarts, jumps, repeats itself and is silent for a while."""
    draw, line = random.Random(seed), Line()
    taken: dict[tuple[int, int], int] = {}
    t, seq = 0, 0
    for _ in range(draw.randrange(20, 300)):
        t += draw.choice([1, SECOND, SECOND, 5 * SECOND, 20 * SECOND, 170 * SECOND])
        seq = draw.choice([seq + 1] * 8 + [seq + 3, max(0, seq - 2), draw.randrange(12), 0])
        for sub in draw.choice(telegrams):
            age = t - taken.get((seq, sub), -(10**9))
            new = line.is_new(t, seq, sub)
            if age <= LATENESS or age > LATENESS * 17 // 16:
                assert new == (age > LATENESS), (t, seq, sub, age)
            if new:
                taken[seq, sub] = t


def test_R05_days_of_numbers_take_no_room() -> None:
    """A source that numbers normally is as large after a hundred times `lateness_ms` as after two."""
    line, sizes = Line(), []
    for n in range(100):
        assert all(line.is_new(n * LATENESS + k * SECOND, n * 50 + k) for k in range(50))
        sizes.append(line.core.state_bytes())
    assert sizes[-1] == sizes[2]
