"""Data of a Sparkplug node or device of which no birth was heard: it waits for the births that are asked for."""

from __future__ import annotations

from typing import Any

import pytest

from tests import sparkplug as wire
from tests.sparkplug_floor import MS, PICKS, Floor, picked

UP = {"kind": "link.up", "src": "dc1/L1/PTL"}
DOWN = {"kind": "link.down", "src": "dc1/L1/PTL"}
UNBORN = "sparkplug: a node without a birth"


def gap(t_from: int, t_to: int) -> dict[str, Any]:
    return {"kind": "source.gap", "src": "dc1/L1/PTL", "t_from": t_from, "t_to": t_to}


def numbers(records: list[Any]) -> list[Any]:
    return [record["seq"] for record in records if record["kind"] == "pick.confirm"]


def test_it_is_read_by_the_births_that_are_asked_for_at_once() -> None:
    """What nobody told stands as the birth says it does."""
    floor = Floor()
    assert floor.pick(249, "T-249", seq=255) == []
    assert floor.requests() == ["spBv1.0/Plant1/NCMD/L1"]
    assert floor.pick(250, "T-0", seq=0) == []
    assert floor.born(250) == [UP, picked(249, "T-249", 1), picked(250, "T-0", 1)]
    assert floor.pick(251, "T-251") == [picked(251, "T-251", 1)]
    assert floor.causes == []
    assert floor.requests() == []


def test_what_the_birth_shows_and_no_message_told_is_one_more_record() -> None:
    floor = Floor()
    floor.pick(249, "T-249", seq=7)
    assert floor.born(250) == [UP, picked(249, "T-249"), picked(250, "T-0")]


def test_of_what_only_a_later_message_told_nobody_knows_how_it_stood_before() -> None:
    floor = Floor()
    floor.pick(248, "T-248", seq=7)
    floor.pick(249, "T-249", 5, seq=8)
    floor.pick(250, "T-0", seq=9)
    assert floor.born(250) == [UP, picked(249, "T-249", 5), picked(250, "T-0", 5)]
    assert floor.causes == ["sparkplug: qty: missing in pick.confirm"]


def test_of_what_stood_before_a_gap_the_birth_says_nothing() -> None:
    floor = Floor()
    floor.pick(246, "T-246", 3, seq=6)
    floor.pick(247, "T-247", seq=7)
    heard_us = floor.now_us
    floor.pick(249, "T-249", seq=9)
    now_us = floor.now_us + 2_000 * MS
    assert gap(heard_us, now_us) in floor.read(floor.host.tick(now_us))
    assert numbers(floor.born(250)) == [249, 250]
    missing = "sparkplug: sku: missing in pick.confirm"
    assert floor.causes == ["sparkplug: messages are missing", missing, missing]


def test_messages_that_overtook_each_other_are_told_in_their_order() -> None:
    floor = Floor()
    for count in (247, 249, 248, 250):
        floor.pick(count, f"T-{count}", seq=count - 240)
    floor.pick(250, "T-250", seq=10)
    assert numbers(floor.born(250)) == [247, 248, 249, 250]
    assert floor.causes == []


def test_births_of_which_the_beginning_was_missed_are_no_gap() -> None:
    floor = Floor()
    floor.pick(248, "T-248", seq=3)
    floor.say("DBIRTH", wire.metric("Pick/Count", 248, wire.UINT8, alias=1), seq=4, device="PTL")
    floor.pick(249, "T-249", seq=5)
    assert floor.causes == [UNBORN]
    assert numbers(floor.born(249)) == [248, 249]


def test_a_device_that_is_born_later_than_its_node_is_waited_for() -> None:
    floor = Floor()
    floor.say("NBIRTH", wire.metric("bdSeq", 7, wire.INT64))
    assert floor.pick(249, "T-249") == []
    assert floor.requests() == ["spBv1.0/Plant1/NCMD/L1"]
    assert numbers(floor.born(250)) == [249, 250]
    assert floor.causes == []


def test_births_that_do_not_come_leave_a_gap_and_what_comes_then_does_not_wait() -> None:
    floor = Floor(rebirth_ms=10_000)
    floor.pick(248, "T-248", seq=7)
    since_us = floor.now_us
    floor.requests()
    floor.pick(249, "T-249", seq=8)
    assert floor.read(floor.host.tick(since_us + 9_999 * MS)) == []
    end_us = since_us + 10_000 * MS
    assert floor.read(floor.host.tick(end_us)) == [gap(since_us, end_us), DOWN]
    assert floor.causes == [UNBORN] * 2
    assert floor.pick(250, "T-250", seq=9) == []
    assert floor.causes == [UNBORN] * 3
    floor.now_us = end_us
    assert floor.requests() == ["spBv1.0/Plant1/NCMD/L1"], "it is asked all the same"
    assert floor.born(250) == [UP]
    assert floor.pick(251, "T-251") == [picked(251, "T-251")]


@pytest.mark.parametrize("end", ["NDEATH", "DDEATH", "the connection's"])
def test_the_births_of_another_life_say_nothing_of_it(end: str) -> None:
    floor = Floor()
    floor.pick(248, "T-248", seq=7)
    since_us = floor.now_us
    if end == "the connection's":
        found = floor.read(floor.host.cut_off(floor.now_us))
        floor.host.reconnected(floor.now_us)
    else:
        found = floor.say(end, device="PTL" if end == "DDEATH" else "", seq=8)
    assert found[:2] == [gap(since_us, floor.now_us), DOWN]
    assert set(floor.causes) == {UNBORN}
    assert floor.pick(1, "T-1", seq=1) == []
    assert numbers(floor.born(1, bd_seq=8)) == [1]


def test_so_many_wait_as_the_site_file_says() -> None:
    floor = Floor(held_max=3)
    since_us = floor.now_us + 1_000_000
    for count in (1, 2, 3):
        assert floor.pick(count, "T", seq=count) == []
    assert floor.causes == []
    assert floor.pick(4, "T", seq=4) == [gap(since_us, floor.now_us), DOWN]
    assert floor.causes == [UNBORN] * 4


def test_what_waits_of_all_nodes_is_bounded() -> None:
    floor = Floor(held_bytes_max=10_000)
    for turn in range(3):
        for number in range(4):
            raw = wire.payload(wire.metric("Long", "x" * 2_000, wire.STRING), seq=turn)
            floor.read(floor.host.message(f"spBv1.0/Plant1/DDATA/N{number}/PTL", raw, floor.now_us))
        assert floor.host._held_bytes <= 10_000
    assert floor.causes
    floor.read(floor.host.cut_off(floor.now_us))
    assert (floor.host._held_bytes, floor.host._holding) == (0, {})


def test_what_the_broker_wants_acknowledged_waits_no_longer_than_for_a_missing_one() -> None:
    floor = Floor(rebirth_ms=10_000, reorder_ms=2_000)
    raw = wire.payload(wire.metric(None, 248, alias=1, kind=wire.UINT8), seq=7)
    floor.read(floor.host.message("spBv1.0/Plant1/DDATA/L1/PTL", raw, floor.now_us, owed=True))
    assert floor.host.owes()
    floor.requests()
    floor.read(floor.host.tick(floor.now_us + 2_000 * MS))
    assert (floor.host.owes(), floor.causes) == (False, [UNBORN])


def test_where_nobody_may_be_asked_nothing_waits() -> None:
    floor = Floor(commands=False)
    assert floor.pick(1, "T-1") == []
    assert floor.causes == [UNBORN]
    assert floor.born(1) == [UP]


def test_after_our_own_restart_nothing_is_lost_and_nothing_told_twice() -> None:
    floor = Floor(known=(2, 247))
    floor.pick(248, "T-248", seq=7)
    floor.pick(249, "T-249", seq=8)
    assert floor.born(250) == [UP, *(picked(n, t, epoch=2) for n, t in ((248, "T-248"), (249, "T-249"), (250, "T-0")))]


def test_a_silent_node_that_the_site_file_names_is_asked_once_whenever_we_connect() -> None:
    one_line = {"filter": "Plant1/L2/+device", "record": PICKS["record"] | {"src": {"template": "dc1/L2/{device}"}}}
    floor = Floor(PICKS | one_line, PICKS, nodes=["Plant1/L1"])
    asked = ["spBv1.0/Plant1/NCMD/L1", "spBv1.0/Plant1/NCMD/L2"]
    floor.read(floor.host.reconnected(floor.now_us))
    assert floor.requests() == asked
    floor.now_us += 60_000_000
    assert floor.requests() == [], "perhaps it is not there"
    assert floor.host.unborn() == []
    floor.read(floor.host.reconnected(floor.now_us))
    assert floor.requests() == asked
    assert floor.born(250) == [UP]
    floor.now_us += 60_000_000
    floor.read(floor.host.reconnected(floor.now_us))
    assert floor.requests() == asked


def test_a_named_node_that_speaks_without_a_birth_is_asked_until_it_is_born() -> None:
    floor = Floor(nodes=["Plant1/L1"])
    floor.read(floor.host.reconnected(floor.now_us))
    assert floor.requests() == ["spBv1.0/Plant1/NCMD/L1"]
    floor.now_us += 60_000_000
    assert floor.pick(250, "T", seq=9) == []
    assert floor.host.unborn() == ["Plant1/L1"]
    assert floor.requests() == ["spBv1.0/Plant1/NCMD/L1"]
