"""Stock and returns: the core and the oracle tell the same last revisions, however they arrive."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest

from tests.oracle import expected
from tests.oracle.compare import bare, differences
from tests.through_core import Outcome, feed

EXAMPLES = int(os.environ.get("SORTLINE_EXAMPLES", "60"))
TYPES = ("inventory.discrepancy", "return.received", "return.dispositioned")
S = 1_000_000
T0 = 1_700_000_000 * S
LOCS, SKUS = ("B-1", "B-2"), ("A", "B")

Record = dict[str, Any]
Task = tuple[str, int, str]  # id, index of its line, place
Revisions: TypeAlias = "dict[tuple[str, str], itertools.count[int]]"


def story(draw: random.Random) -> list[Record]:
    """A few minutes of picks, shorts, counts, new expectations, a crane and a returns desk; without `t_rx`."""
    lines = [{"line": n, "sku": sku, "qty": 9} for n, sku in enumerate(SKUS, start=1)]
    records = [record("dc1/wms/main", "order.released", 0, order="O-1", rev=1, lines=lines)]
    tasks = [(f"T-{n}", draw.randrange(2), draw.choice(LOCS)) for n in range(6)]
    for task, line, loc in tasks:
        where = {"loc": loc} if draw.random() < 0.8 else {}
        fields = {"task": task, "order": "O-1", "line": line + 1, "sku": SKUS[line], "qty": draw.randint(2, 6), **where}
        records.append(record("dc1/wms/main", "pick.task", 0, rev=1, **fields))
    revisions: Revisions = {place: itertools.count(1) for place in itertools.product(LOCS, SKUS)}
    times = sorted(draw.sample(range(S, 240 * S, 1000), 40))
    for t, other in itertools.pairwise(times):
        records += happening(draw, t, other, tasks, revisions)
    numbers: dict[str, int] = {}
    for one in records:
        if "/wms/" not in one["src"]:
            one["seq"] = numbers[one["src"]] = numbers.get(one["src"], 0) + 1
    return records


def happening(draw: random.Random, t: int, other: int, tasks: list[Task], revisions: Revisions) -> Iterator[Record]:
    task, line, _ = draw.choice(tasks)
    loc, sku = draw.choice(LOCS), draw.choice(SKUS)
    place = {"loc": loc, "sku": sku}
    match draw.choice("eeccccppppppprsaxvg"):
        case "e":
            as_of = t - draw.choice((0, 0, 5 * S, 40 * S))
            fields = {**place, "rev": next(revisions[loc, sku]), "qty": draw.randint(0, 12), "as_of": T0 + as_of}
            yield record("dc1/wms/main", "stock.expectation", t, **fields)
        case "c":
            yield record("dc1/pick/HH-1", "count.reported", t, **place, qty=draw.randint(0, 12))
        case "p":
            own = {"loc": loc} if draw.random() < 0.3 else {}
            src = f"dc1/pick/PTL-{draw.randint(1, 2)}"
            yield record(src, "pick.confirm", t, task=task, sku=SKUS[line], qty=draw.randint(1, 2), **own)
        case "r":
            yield record("dc1/pick/PTL-1", "pick.reverse", t, task=task, sku=SKUS[line], qty=1)
        case "s":
            code = draw.choice(("EMPTY", "INSUFFICIENT", "NOT_FOUND", "DAMAGED"))
            yield record("dc1/pick/PTL-1", "pick.short", t, task=task, code=code)
        case "a":
            yield record("dc1/asrs/CRN-1", "asrs.exception", t, code="SOURCE_EMPTY", loc=loc)
        case "x":
            code = draw.choice(("SOURCE_EMPTY", "DEST_OCCUPIED", "LU_MISMATCH", "PICKUP"))
            yield record("dc1/asrs/CRN-1", "asrs.exception", t, code=code, loc=loc, lu=f"L-{draw.randint(1, 2)}")
        case "v":
            rma = draw.choice(({}, {"rma": "R-1"}, {"rma": "R-2"}))
            serial = {"serial": f"S-{draw.randint(1, 4)}"} if draw.random() < 0.5 else {}
            for at, desk in ((t, 1), (other, 2)):
                yield record(f"dc1/returns/RT-{desk}", "return.scanned", at, sku=sku, qty=1, **rma, **serial)
            if rma and draw.random() < 0.5:
                lines = [{"sku": sku, "qty": 2}]
                yield record("dc1/wms/main", "rma.authorised", t, rma=rma["rma"], rev=t, lines=lines)
        case "g":
            fields = {"grade": draw.choice("AB"), "disposition": "RESTOCK", "rma": "R-1"}
            yield record("dc1/returns/RT-1", "return.graded", t, sku=sku, qty=1, **fields)


def record(src: str, kind: str, t: int, **fields: Any) -> Record:
    return {"src": src, "kind": kind, "t": T0 + t, **fields}


def arrived(records: list[Record], draw: random.Random, backlog: str = "") -> list[Record]:
    """In some order of arrival within the disorder; what `backlog` begins the name of comes at the end, as `hist`.

    The order systems tell in order, which R10 rests on.
    """
    found = []
    for one in records:
        if backlog and one["src"].startswith(backlog):
            found.append({**one, "hist": True, "t_rx": T0 + 300 * S + draw.randrange(S)})
        else:
            delay = 0 if "/wms/" in one["src"] else draw.randrange(1_500_000)
            found.append({**one, "t_rx": one["t"] + delay})
    return sorted(found, key=lambda one: one["t_rx"])


def agree(records: list[Record]) -> Outcome:
    outcome = feed(records)
    assert outcome.refused == []
    events = [event for event in outcome.events if bare(event["type"]) in TYPES]
    finals = {id_: final for id_, final in expected(records, "dc1").items() if final.type in TYPES}
    assert differences(events, finals) == []
    return outcome


@pytest.mark.parametrize("seed", range(EXAMPLES))
def test_R70_R71_R72_in_any_order_of_arrival(seed: int) -> None:
    draw = random.Random(seed)
    records = story(draw)
    for _ in range(2):
        agree(arrived(records, draw))


@pytest.mark.parametrize("seed", range(EXAMPLES))
def test_R70_R71_R72_a_backlog_revises(seed: int) -> None:
    draw = random.Random(seed)
    agree(arrived(story(draw), draw, backlog=draw.choice(("dc1/pick/PTL-2", "dc1/pick/HH", "dc1/returns/RT-1"))))


@pytest.mark.parametrize("seed", range(0, EXAMPLES, 6))
def test_R82_the_account_adds_up(seed: int) -> None:
    draw = random.Random(seed)
    records = arrived(story(draw), draw)
    counted = feed(records).account
    assert counted["in"] == len(records) == sum(counted.values()) - counted["in"]
    assert counted["open"] == counted["late"] == 0
