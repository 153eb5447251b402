"""Lives of a Sparkplug device: a counter that begins anew in the next one must not pass for repetitions."""

from __future__ import annotations

from typing import Any

import pytest

from tests import sparkplug as wire
from tests.sparkplug_floor import MS, PICKS, Floor, picked


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


def test_a_death_of_the_next_life_is_believed_and_the_node_asked_whether_it_lives() -> None:
    """pysparkplug says goodbye with the number of its next life: passed over, its silence would say something."""
    floor = Floor()
    floor.born(bd_seq=255)
    for other in (254, 2, 100):
        assert floor.say("NDEATH", wire.metric("bdSeq", other, wire.INT64)) == []
    down = [{"kind": "link.down", "src": src} for src in ("dc1/nodes/L1", "dc1/L1/PTL")]
    assert floor.say("NDEATH", wire.metric("bdSeq", 0, wire.INT64)) == down
    assert floor.requests() == ["spBv1.0/Plant1/NCMD/L1"]
    assert floor.host.unborn() == [], "nobody waits for one that is probably gone"
    floor.now_us += 60_000_000
    assert floor.requests() == [], "and nobody asks it twice"
    # it lived: it tells its births, and goes on where it was
    assert floor.born(250, bd_seq=255) == [{"kind": "link.up", "src": "dc1/L1/PTL"}]
    assert floor.pick(251, "T-1") == [picked(251, "T-1")]
    assert floor.causes == []


def test_where_no_node_is_asked_a_death_of_another_life_is_passed_over() -> None:
    floor = Floor(commands=False)
    floor.born(bd_seq=9)
    assert floor.say("NDEATH", wire.metric("bdSeq", 10, wire.INT64)) == []


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
    floor = Floor(held_max=64)
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


def test_a_node_that_does_not_listen_is_taken_at_its_word_when_it_was_asked_in_vain() -> None:
    """mqtt-spb-wrapper knows no rebirth: after a restart of ours it would stay unread until it starts again itself."""
    floor = Floor()
    named = [wire.metric("Pick/Count", 7, wire.UINT8), wire.metric("Pick/Task", "T-7", wire.STRING)]
    named += [wire.metric("Pick/SKU", "S", wire.STRING), wire.metric("Pick/Qty", 1, wire.INT32)]
    untyped = wire.metric("Pick/Count", 250, kind=wire.UINT8)
    assert floor.say("DDATA", untyped, device="PTL") == []
    asked_us = floor.now_us
    assert floor.requests() == ["spBv1.0/Plant1/NCMD/L1"]
    floor.now_us += 5_000_000
    assert floor.say("DDATA", *named, device="PTL") == [], "it may still answer"
    assert floor.pick(8, "T-8") == []
    assert floor.causes == []
    assert floor.read(floor.host.tick(asked_us + 9_999 * MS)) == []
    up, picked, gap = floor.read(floor.host.tick(asked_us + 10_000 * MS))
    assert (up["kind"], up["src"]) == ("link.up", "dc1/L1/PTL")
    assert (picked["seq"], picked["task"]) == (7, "T-7"), "what was held is taken, too"
    assert (gap["kind"], gap["t_from"], gap["t_to"]) == ("source.gap", asked_us, asked_us + 10_000 * MS)
    assert floor.causes == [
        "sparkplug: a node without a birth",
        "sparkplug: a node that tells no birth when it is asked: its named metrics are taken",
        "sparkplug: an alias without a birth",
    ], "250 might be -6, and an alias says nothing"
    floor.now_us = asked_us + 10_000 * MS
    (again,) = floor.say("DDATA", wire.metric("Pick/Count", 8, wire.UINT8), device="PTL")
    assert (again["seq"], again["task"]) == (8, "T-7")
    assert floor.requests(), "it is asked now and then all the same"
    assert [record["kind"] for record in floor.born(8)] == ["link.up"], "a birth that comes in the end is one"
    assert [record["seq"] for record in floor.pick(9, "T-9")] == [9]


def test_its_device_is_taken_by_its_own_birth() -> None:
    floor = Floor()
    birth = [
        wire.metric("Pick/Count", 1, wire.UINT8, alias=1),
        wire.metric("Pick/Task", "T-1", wire.STRING, alias=2),
        wire.metric("Pick/SKU", "S", wire.STRING, alias=3),
        wire.metric("Pick/Qty", 1, wire.INT32, alias=4),
    ]
    assert floor.say("DBIRTH", *birth, device="PTL") == []
    floor.requests()
    floor.now_us += 10_000_000
    assert [record["kind"] for record in floor.say("DBIRTH", *birth, device="PTL")] == ["link.up"]
    assert [record["seq"] for record in floor.pick(2, "T-2")] == [2]
    assert [record["kind"] for record in floor.say("DDEATH", device="PTL")] == ["link.down"]
    assert [record["kind"] for record in floor.say("NDEATH")] == []
    assert floor.pick(3, "T-3") == [], "dead, and to be asked again"


@pytest.mark.parametrize("prefix", ["", "DATA/"])
def test_the_names_of_a_birth_under_data_and_those_of_its_data_are_the_same_metrics(prefix: str) -> None:
    """mqtt-spb-wrapper; the site file may say either."""
    picks: dict[str, Any] = {
        **PICKS,
        "trigger": f"{prefix}count",
        "record": {
            "src": {"template": "dc1/{line}/{device}"},
            "kind": {"const": "pick.confirm"},
            "seq": f"{prefix}count",
            "task": f"{prefix}task",
            "sku": {"const": "S"},
            "qty": {"const": 1},
        },
    }
    floor = Floor(picks)
    floor.say("NBIRTH", wire.metric("bdSeq", 1, wire.INT64))
    birth = [wire.metric("ATTR/model", "x", wire.STRING), wire.metric("CMD/go", False, wire.BOOLEAN)]
    told = [wire.metric("DATA/count", 5, wire.INT64), wire.metric("DATA/task", "T-5", wire.STRING)]
    assert [record["kind"] for record in floor.say("DBIRTH", *birth, *told, device="PTL")] == ["link.up"]
    (six,) = floor.say("DDATA", wire.metric("count", 6, wire.INT64), device="PTL")
    assert (six["seq"], six["task"]) == (6, "T-5"), "what its birth said holds"
    seven = [wire.metric("task", "T-7", wire.STRING), wire.metric("count", 7, wire.INT64)]
    assert [(r["seq"], r["task"]) for r in floor.say("DDATA", *seven, device="PTL")] == [(7, "T-7")]
    told = [wire.metric("DATA/count", 8, wire.INT64), wire.metric("DATA/task", "T-8", wire.STRING)]
    _, news = floor.say("DBIRTH", *told, device="PTL")
    assert (news["seq"], news["task"]) == (8, "T-8"), "it changed while nobody listened"
    assert floor.causes == []
    assert floor.requests() == []
