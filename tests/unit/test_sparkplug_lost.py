"""Messages of a Sparkplug node that are lost: what they may have said is in doubt till it is born again."""

from __future__ import annotations

from typing import Any

import pytest

from tests import sparkplug as wire
from tests.sparkplug_floor import MS, Floor, picked

UP = {"kind": "link.up", "src": "dc1/L1/PTL"}
MISSING = "sparkplug: messages are missing"
ASK = ["spBv1.0/Plant1/NCMD/L1"]


def lost_before(count: int, task: str, qty: int | None = None, **more: Any) -> tuple[Floor, list[Any]]:
    """A node of which the message behind number 2, a pick of task T-1, is given up. Another one came behind it."""
    floor = Floor(reorder_ms=2_000, **more)
    floor.born()
    floor.pick(251, "T-1", seq=2)
    assert floor.pick(count, task, qty, seq=4) == []
    assert floor.read(floor.host.tick(floor.now_us + 1_999 * MS)) == []
    floor.now_us += 2_000 * MS
    return floor, floor.read(floor.host.tick(floor.now_us))


def gaps(floor: Floor) -> list[dict[str, Any]]:
    heard_us = floor.now_us - 3_000 * MS
    span = {"kind": "source.gap", "t_from": heard_us, "t_to": floor.now_us}
    return [{**span, "src": src} for src in ("dc1/nodes/L1", "dc1/L1/PTL")]


def born(floor: Floor, count: int, qty: int) -> list[Any]:
    """The answer to a request, the node's own metrics apart."""
    floor.say("NBIRTH", wire.metric("bdSeq", 7, wire.INT64), wire.metric("Temperature", 21.5, wire.DOUBLE, alias=100))
    return floor.say(
        "DBIRTH",
        wire.metric("Pick/Count", count, wire.UINT8, alias=1),
        wire.metric("Pick/Task", "T-3", wire.STRING, alias=2),
        wire.metric("Pick/SKU", "S", wire.STRING, alias=3),
        wire.metric("Pick/Qty", qty, wire.INT32, alias=4),
        device="PTL",
    )


def test_what_the_birth_says_was_so_before_it_if_no_message_since_the_lost_one_told_it() -> None:
    floor, found = lost_before(253, "T-3")
    assert found == gaps(floor)
    assert floor.requests() == ASK
    assert born(floor, 253, qty=6) == [UP, picked(253, "T-3", 6)], "the lost pick was one of six, and so was this one"
    assert floor.pick(254, "T-4") == [picked(254, "T-4", 6)]
    assert floor.causes == [MISSING]


def test_where_the_devices_count_has_a_hole_nobody_knows_what_a_later_message_has_changed() -> None:
    floor, _ = lost_before(253, "T-3")
    assert floor.pick(254, "T-4", 9, seq=5) == []
    assert floor.pick(255, "T-5", seq=6) == []
    assert born(floor, 255, qty=9) == [UP, picked(254, "T-4", 9), picked(255, "T-5", 9)]
    assert floor.causes == [MISSING, "sparkplug: qty: missing in pick.confirm"]


def test_where_its_count_has_none_the_lost_message_was_not_of_it_and_what_was_known_holds() -> None:
    floor, _ = lost_before(252, "T-2")
    assert floor.pick(253, "T-3", 9, seq=5) == []
    assert born(floor, 253, qty=9) == [UP, picked(252, "T-2", 1), picked(253, "T-3", 9)]
    assert floor.causes == [MISSING]


def test_births_that_come_before_it_is_given_up_are_as_good() -> None:
    floor = Floor()
    floor.born()
    floor.pick(251, "T-1", seq=2)
    assert floor.pick(253, "T-3", seq=4) == []
    told = born(floor, 253, qty=6)
    assert told == [UP, picked(253, "T-3", 6)]
    assert floor.causes == [MISSING]


def test_of_several_lost_messages_each_counts_that_was_the_devices() -> None:
    floor, _ = lost_before(252, "T-2")
    assert floor.pick(254, "T-4", seq=6) == [], "and before it the pick of another quantity is lost"
    assert floor.pick(255, "T-5", 9, seq=7) == []
    assert born(floor, 255, qty=9) == [UP, picked(252, "T-2", 1), picked(255, "T-5", 9)]
    assert floor.causes == [MISSING, MISSING, "sparkplug: qty: missing in pick.confirm"]


def test_what_comes_late_while_the_births_are_waited_for_is_told_in_its_place() -> None:
    floor, _ = lost_before(253, "T-3")
    assert floor.pick(252, "T-2", 4, seq=3) == []
    assert born(floor, 253, qty=4) == [UP, picked(252, "T-2", 4), picked(253, "T-3", 4)]
    assert floor.causes == [MISSING]


def test_what_is_known_is_believed_where_the_births_do_not_come() -> None:
    floor, _ = lost_before(253, "T-3")
    assert floor.requests() == ASK
    assert floor.read(floor.host.tick(floor.now_us + 1_999 * MS)) == []
    assert floor.read(floor.host.tick(floor.now_us + 2_000 * MS)) == [picked(253, "T-3")]
    assert floor.pick(254, "T-4", seq=5) == [picked(254, "T-4")]


def test_a_birth_of_a_device_that_is_lost_itself_is_waited_for_as_long() -> None:
    floor, _ = lost_before(253, "T-3")
    assert floor.requests() == ASK
    heat = wire.metric("Temperature", 21.5, wire.DOUBLE, alias=100)
    floor.say("NBIRTH", wire.metric("bdSeq", 7, wire.INT64), heat)
    floor.now_us += 3_000 * MS
    assert floor.say("NDATA", wire.metric(None, 22.5, alias=100, kind=wire.DOUBLE), seq=2) == []
    found = floor.read(floor.host.tick(floor.now_us + 2_000 * MS))
    assert [record["kind"] for record in found] == ["source.gap", "source.gap"], "the pick waits for its device's birth"
    assert floor.causes == [MISSING, MISSING]


def test_a_node_that_was_asked_in_vain_before_is_not_waited_for() -> None:
    floor, _ = lost_before(253, "T-3")
    assert floor.requests() == ASK
    floor.now_us += 10_000 * MS
    assert floor.read(floor.host.tick(floor.now_us)) == [picked(253, "T-3")]
    assert floor.pick(255, "T-5", seq=6) == []
    found = floor.read(floor.host.tick(floor.now_us + 2_000 * MS))
    assert [record["kind"] for record in found] == ["source.gap", "source.gap", "pick.confirm"]


def test_where_nobody_may_be_asked_nothing_waits() -> None:
    floor, found = lost_before(253, "T-3", commands=False)
    assert found == [*gaps(floor), picked(253, "T-3")]


@pytest.mark.parametrize("owed", [True, False])
def test_a_node_that_was_asked_a_moment_ago_is_waited_for_unless_the_broker_waits(owed: bool) -> None:
    floor, _ = lost_before(253, "T-3")
    assert floor.requests() == ASK
    asked_us = floor.now_us
    born(floor, 253, qty=1)
    floor.seq = 4
    data = wire.payload(wire.metric(None, 255, alias=1, kind=wire.UINT8), seq=5)
    assert floor.read(floor.host.message("spBv1.0/Plant1/DDATA/L1/PTL", data, floor.now_us, owed)) == []
    lost_us = floor.now_us + 2_000 * MS
    assert [record["kind"] for record in floor.read(floor.host.tick(lost_us))] == ["source.gap"] * 2
    floor.now_us = lost_us
    assert floor.requests() == [], "so soon"
    assert len(floor.read(floor.host.tick(lost_us + 2_000 * MS))) == owed
    floor.now_us = asked_us + 10_000 * MS
    assert floor.requests() == ASK
    assert len(floor.read(floor.host.tick(floor.now_us + 2_000 * MS))) == (not owed)
