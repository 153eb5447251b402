"""A disk that fills up: what is declared for it happens, in order, and ends by itself; nothing that was acknowledged is
dropped."""

from __future__ import annotations

import json

import pytest

from engine.contracts import Delivery
from engine.overload import Overload, Policy


class Budget:
    def __init__(self) -> None:
        self.used = 0.0

    def __call__(self) -> float:
        return self.used


def polled(n: int = 1, **fields: object) -> Delivery:
    return Delivery("plc", [json.dumps({"kind": "weigh", "src": "dc1/a", "t_rx": n, **fields}).encode()])


OWED = Delivery("broker", polled().lines, lambda: None)


def levels(policy: Policy, *shares: float) -> list[str]:
    budget = Budget()
    overload = Overload(policy, {"the disk": budget})
    found = []
    for share in shares:
        budget.used = share
        overload.look()
        found.append(overload.level)
    return found


def test_each_level_begins_where_it_is_declared() -> None:
    assert levels(Policy(), 0, 0.69, 0.7, 0.89, 0.9, 0.99, 1.0, 1.2) == [
        "run",
        "run",
        "trim",
        "trim",
        "shed",
        "shed",
        "wait",
        "wait",
    ]
    assert levels(Policy(((70, "run"), (90, "wait"), (100, "wait"))), 0.8, 0.95, 1.0) == ["run", "wait", "wait"]
    assert levels(Policy(((70, "shed"), (90, "shed"), (100, "wait"))), 0.8, 0.95, 1.0) == ["shed", "shed", "wait"]


def test_it_ends_by_itself_a_little_below_and_does_not_flap() -> None:
    assert levels(Policy(), 1.0, 0.96, 0.94, 0.86, 0.84, 0.66, 0.64) == [
        "wait",
        "wait",
        "shed",
        "shed",
        "trim",
        "trim",
        "run",
    ]
    assert levels(Policy(), 0.94, 0.96, 0.94) == ["shed", "shed", "shed"], "what never began does not end late"


def test_the_fullest_budget_counts_and_is_named() -> None:
    outbox = Budget()
    overload = Overload(Policy(), {"the disk": lambda: 0.1, "the outbox": outbox})
    assert not overload.look()
    outbox.used = 0.92
    assert overload.look()
    assert (overload.level, overload.why) == ("shed", "the outbox is 92 % full")
    assert not overload.look(), "no news"


@pytest.mark.parametrize(("share", "sheds"), [(0.1, False), (0.75, False), (0.91, True), (1.0, True)])
def test_only_what_nobody_acknowledges_is_shed(share: float, sheds: bool) -> None:
    overload = Overload(Policy(), {"the disk": lambda: share})
    overload.look()
    assert overload.sheds(polled()) == sheds
    assert not overload.sheds(OWED)
    assert not overload.sheds(Delivery("plc", [b'{"kind":"link.down","src":"dc1/a","t_rx":1}']))


def test_what_was_shed_is_told_as_a_gap_once_it_is_over() -> None:
    budget = Budget()
    overload = Overload(Policy(), {"the disk": budget})
    budget.used = 0.95
    overload.look()
    for n in (30, 10, 20):
        overload.shed(polled(t=n), 99)
    overload.shed(polled(src="dc1/b"), 50)
    overload.shed(polled(src="dc1/c", seq=7), 50)
    overload.shed(Delivery("plc", [b"{"]), 50)
    assert overload.gaps(100) == [], "not yet"
    budget.used = 0.1
    overload.look()
    gap = {"kind": "source.gap", "t_rx": 100}
    assert overload.gaps(100) == [
        {**gap, "src": "dc1/a", "t_from": 10, "t_to": 30, "count": 3},
        {**gap, "src": "dc1/b", "t_from": 50, "t_to": 50, "count": 1},
    ], "a source with numbers is missed by its numbers"
    assert overload.gaps(101) == []
