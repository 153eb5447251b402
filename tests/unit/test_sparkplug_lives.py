"""Lives of a Sparkplug device: a counter that begins anew in the next one must not pass for repetitions."""

from __future__ import annotations

import pytest

from tests import sparkplug as wire
from tests.sparkplug_floor import MS, Floor, picked


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


def test_data_in_doubt_waits_for_the_births_and_is_acknowledged_behind_them() -> None:
    floor = Floor()
    floor.born()
    floor.host.reconnected(floor.now_us)
    floor.host.session_lost(floor.now_us)
    assert floor.pick(251, "T-1", seq=9) == []
    assert not floor.host.owes(), "nobody waits for what came under QoS 0"
    owed = wire.payload(wire.metric(None, 252, alias=1, kind=wire.UINT8), seq=10)
    floor.read(floor.host.message("spBv1.0/Plant1/DDATA/L1/PTL", owed, floor.now_us, owed=True))
    assert floor.host.owes()
    told = floor.born(253)
    assert [record.get("seq") for record in told] == [None, 251, 252, 253]
    assert (floor.host.owes(), floor.causes) == (False, [])
    assert floor.pick(254, "T-4") == [picked(254, "T-4")]


def test_what_another_life_said_before_its_birth_is_numbered_in_its_epoch() -> None:
    floor = Floor()
    floor.born(50)
    floor.host.reconnected(floor.now_us)
    floor.host.session_lost(floor.now_us)
    for count in (1, 2):
        assert floor.pick(count, f"T-{count}", seq=count + 4) == []
    told = floor.born(2, bd_seq=8)
    assert [(record.get("seq"), record.get("epoch")) for record in told] == [(None, None), (1, 1), (2, 1)]


@pytest.mark.parametrize("commands", [True, False])
def test_aliases_are_believed_where_the_births_do_not_come(commands: bool) -> None:
    floor = Floor(commands=commands)
    floor.born()
    floor.host.reconnected(floor.now_us)
    floor.host.session_lost(floor.now_us)
    assert floor.pick(251, "T-1", seq=9) == ([] if commands else [picked(251, "T-1")])
    assert floor.requests() == (["spBv1.0/Plant1/NCMD/L1"] if commands else [])
    assert floor.read(floor.host.tick(floor.now_us + 1_000 * MS)) == []
    believed = floor.read(floor.host.tick(floor.now_us + 2_000 * MS))
    assert believed == ([picked(251, "T-1")] if commands else [])
    assert floor.pick(252, "T-2", seq=10) == [picked(252, "T-2")]
    assert floor.causes == []


def test_what_is_held_in_doubt_is_bounded() -> None:
    floor = Floor()
    floor.born()
    floor.host.session_lost(floor.now_us)
    for number in range(64):
        assert floor.pick(number, f"T-{number}", seq=number) == []
    assert len(floor.pick(64, "T-64", seq=64)) == 65


def test_what_is_held_of_a_device_that_is_not_born_again_is_given_up_also_where_the_node_was_not_asked() -> None:
    floor = Floor()
    floor.born()
    floor.host.reconnected(floor.now_us)
    floor.host.session_lost(floor.now_us)
    owed = wire.payload(wire.metric(None, 251, alias=1, kind=wire.UINT8), seq=9)
    floor.read(floor.host.message("spBv1.0/Plant1/DDATA/L1/PTL", owed, floor.now_us, owed=True))
    floor.say("NBIRTH", wire.metric("bdSeq", 7, wire.INT64))
    assert floor.requests() == []
    floor.read(floor.host.tick(floor.now_us + 2_000 * MS))
    assert not floor.host.owes(), "or the broker would wait for its acknowledgement for ever"
