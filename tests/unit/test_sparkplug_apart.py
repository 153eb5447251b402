"""Devices of one Sparkplug node that are processes of their own, and count their messages each for itself."""

from __future__ import annotations

from typing import Any

from tests import sparkplug as wire
from tests.sparkplug_floor import Floor

TOLD = "sparkplug: the devices of a node count their messages each for itself"


class Apart(Floor):
    """Two entities in front of the host; the node's other device says nothing that would be a record."""

    def __init__(self) -> None:
        super().__init__()
        self.born()
        self.say("DBIRTH", wire.metric("Lamp", 0, wire.INT32, alias=9), device="LAMP")
        self.ms = 1_750_000_000_000

    def told(self, number: int, **more: Any) -> list[Any]:
        self._soon()
        return numbers_of(self.pick(number, f"T-{number}", timestamp=self.ms, **more))

    def lamp(self, seq: int) -> list[Any]:
        self._soon()
        lit = wire.metric(None, seq, alias=9, kind=wire.INT32)
        return numbers_of(self.say("DDATA", lit, device="LAMP", seq=seq, timestamp=self.ms))

    def _soon(self) -> None:
        """Ten milliseconds after the last message, not a second."""
        self.ms += 10
        self.now_us -= 990_000


def numbers_of(records: list[Any]) -> list[Any]:
    return [record.get("seq", record) for record in records]


def test_they_are_taken_as_they_come_and_nothing_is_missing() -> None:
    floor = Apart()
    told = []
    for number in range(20):
        told += floor.lamp(100 + number)
        told += floor.told((251 + number) % 256, seq=1 + number)
        told += floor.read(floor.host.tick(floor.now_us))
    assert told == list(range(251, 271))
    assert floor.causes == [TOLD]


def test_of_two_messages_with_one_number_neither_is_lost() -> None:
    floor = Apart()
    told = floor.told(251, seq=5) + floor.lamp(5) + floor.told(252, seq=6)
    assert told == [251, 252]
    assert floor.causes == [TOLD]


def test_what_is_missing_of_one_is_a_gap_of_that_one() -> None:
    floor = Apart()
    floor.told(251, seq=5)
    floor.lamp(5)
    heard_us = floor.now_us - 10_000
    floor.lamp(6)
    gap, seq = floor.told(254, seq=8)
    t_to = floor.now_us
    assert gap == {"kind": "source.gap", "src": "dc1/L1/PTL", "t_from": heard_us, "t_to": t_to}
    assert seq == 254
    assert floor.causes == [TOLD, "sparkplug: messages are missing"]
    assert floor.requests() == ["spBv1.0/Plant1/NCMD/L1"]


def test_messages_of_a_node_that_counts_them_together_are_put_in_order_as_ever() -> None:
    """What overtakes another has a number that follows its device's last one, but an earlier time."""
    floor = Apart()
    numbers = iter(range(3, 256))
    for count in range(251, 255):
        first, between = next(numbers), next(numbers)
        assert floor.told(count, seq=first) == [count]
        late = floor.ms + 1
        floor.ms += 5
        assert floor.lamp(next(numbers)) == []
        assert floor.pick(1, "T", seq=between, timestamp=late) != []
    assert floor.causes == []


def test_a_device_that_is_heard_once_in_256_messages_does_not_count_for_itself() -> None:
    """Its number follows its last one by chance: those of the others in between say that they count together."""
    floor = Apart()
    seq = 3
    for count in range(251, 256):
        assert floor.told(count, seq=seq % 256) == [count]
        for between in range(1, 257):
            assert floor.lamp((seq + between) % 256) == []
        seq += 257
    assert floor.causes == []


def test_a_node_that_was_thought_to_count_apart_is_believed_again() -> None:
    floor = Apart()
    assert floor.told(251, seq=5) + floor.lamp(5) + floor.told(252, seq=6) == [251, 252]
    seq = 6
    for count in (253, 254, 255, 256, 257):
        floor.lamp(seq + 1)
        seq += 2
        floor.told(count % 256, seq=seq)
    said = len(floor.causes)
    floor.requests()
    assert floor.lamp(seq + 1) + floor.told(2, seq=seq + 2) == [258]
    assert len(floor.causes) == said
