"""What was told is found where it was told, whatever was merged or forgotten meanwhile."""

from __future__ import annotations

import random

import pytest

from engine import told_ids
from engine.told_ids import ToldIds


def name(n: int) -> str:
    return f"pc1.{n:x}:r0"


FRESH_MAX = 64


def test_every_id_is_found_at_its_sequence_and_no_other_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told_ids, "FRESH_MAX", FRESH_MAX)
    chance = random.Random(5)
    told = {name(n): n for n in range(1, 101)}
    ids = ToldIds((n, id_) for id_, n in told.items())
    last, forgotten = 100, 0
    for _ in range(200):
        new = [(last + n, name(last + n)) for n in range(1, chance.randrange(2, 30))]
        last = new[-1][0]
        forgotten = max(forgotten, last - 500)
        ids.add(new, forgotten)
        told.update({id_: n for n, id_ in new})
        asked = [name(chance.randrange(1, last + 100)) for _ in range(20)]
        found = dict(ids.places(asked))
        assert all(id_ not in found for id_ in asked if id_ not in told)
        kept = [id_ for id_ in asked if told.get(id_, 0) > forgotten]
        assert {id_: found[id_] for id_ in kept} == {id_: told[id_] for id_ in kept}
    assert len(ids) <= 500 + 2 * FRESH_MAX


def test_nothing_was_told_yet() -> None:
    ids = ToldIds([])
    assert ids.places([name(1)]) == []
    ids.add([(1, name(1))], 0)
    assert ids.places([name(1), name(2)]) == [(name(1), 1)]
