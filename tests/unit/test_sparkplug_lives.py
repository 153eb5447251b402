"""Lives of a Sparkplug device: a counter that begins anew in the next one must not pass for repetitions."""

from __future__ import annotations

import pytest

from tests import sparkplug as wire
from tests.sparkplug_floor import Floor, picked


@pytest.mark.parametrize("away", ["NDEATH", "DDEATH", "another bdSeq", "the broker"])
def test_a_counter_that_began_anew_in_another_life_numbers_another_epoch(away: str) -> None:
    floor = Floor()
    floor.born()
    for count in (251, 252, 253):
        floor.pick(count, f"T-{count}")
    if away == "NDEATH":
        floor.say("NDEATH", wire.metric("bdSeq", 7, wire.INT64))
    elif away == "DDEATH":
        floor.say("DDEATH", device="PTL")
    elif away == "the broker":
        floor.host.reconnected(floor.now_us)
    assert floor.born(250, bd_seq=8 if away == "another bdSeq" else 7)[1:] == [picked(250, "T-0", epoch=1)]
    assert floor.pick(251, "T-1") == [picked(251, "T-1", epoch=1)], "no repetition of the 251 before"
    # once more in the same life: what is told again is no other life
    assert floor.born(251) == [{"kind": "link.up", "src": "dc1/L1/PTL"}]
    assert floor.pick(252, "T-2") == [picked(252, "T-2", epoch=1)]
    # and one that goes on where it was goes on in its epoch
    floor.say("NDEATH", wire.metric("bdSeq", 7, wire.INT64))
    assert floor.born(253)[1:] == [picked(253, "T-0", epoch=1)]


def test_a_counter_that_shows_0_in_another_life_has_counted_nothing() -> None:
    floor = Floor()
    floor.born()
    floor.pick(5, "T-5")
    floor.say("NDEATH", wire.metric("bdSeq", 7, wire.INT64))
    assert floor.born(0) == [{"kind": "link.up", "src": "dc1/L1/PTL"}]
    assert floor.pick(1, "T-1") == [picked(1, "T-1", epoch=1)]


@pytest.mark.parametrize(("count", "seq", "epoch"), [(3, 3, 4), (6, 518, 3), (9, 521, 3)])
def test_after_our_own_restart_the_engines_number_is_what_was_known_of_a_counter(
    count: int, seq: int, epoch: int
) -> None:
    floor = Floor(known=(3, 2 * 256 + 6))
    missed = [picked(seq, "T-0", epoch=epoch)] if count != 6 else []
    assert floor.born(count) == [{"kind": "link.up", "src": "dc1/L1/PTL"}, *missed]
    assert floor.pick(count + 1, "T-1") == [picked(seq + 1, "T-1", epoch=epoch)]
