"""The busy floor: everything that can happen happens, pieces are still conserved, and the truth is only physics."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise

import pytest

from engine.model import ENVELOPE, KINDS, Group, Type, field_type
from simulators import floor as f
from simulators.canonical import SCALE, SKEWED_STATION, Telling, tell
from simulators.ledger import Ledger
from simulators.settings import BUSY, BUSY_POLICY, Policy, Troubles
from simulators.truth import expected_events
from simulators.warehouse import tell_story

TROUBLED = Troubles(noise=0.3, duplicates=0.03, disorder_ms=1_500, late_picks=0.1, late_context=0.2, outages=3)


def busy(seed: int = 3, policy: Policy | None = None, troubles: Troubles | None = None) -> tuple[f.Story, Telling]:
    story = tell_story(150, seed, habits=BUSY, policy=policy)
    return story, tell(story, seed, troubles)


def moved(story: f.Story) -> list[f.Picked | f.PutBack]:
    found: list[f.Picked | f.PutBack] = []
    for happening in story.happenings:
        if isinstance(happening, f.Batched):
            found += happening.picks
        elif isinstance(happening, f.Picked | f.PutBack):
            found.append(happening)
    return found


def test_every_device_and_context_kind_but_equipment_and_pack_confirm_is_told() -> None:
    told = {one.record["kind"] for seed in (1, 2, 3) for one in busy(seed, BUSY_POLICY)[1].said}
    untold = {name for name, kind in KINDS.items() if kind.group is not Group.NOISE} - told
    assert untold <= {
        "pack.confirm",
        "item.arrived",
        "route.assigned",
        "divert.failed",
        "lane.full",
        "jam",
        "fault",
        "estop",
        "link.up",
        "link.down",
        "source.gap",
        "clock.tick",
    }


def test_every_record_is_canonical() -> None:
    _, telling = busy(troubles=TROUBLED)
    fits = {Type.TEXT: str, Type.INT: int, Type.BOOL: bool, Type.TEXTS: list, Type.NESTED: list}
    for one in telling.said:
        record = one.arrived()
        kind = KINDS[record["kind"]]
        assert not kind.required or any(needed <= record.keys() for needed in kind.required), record
        for name, value in record.items():
            if name in ENVELOPE or kind.group is Group.NOISE:
                continue
            wanted = field_type(record["kind"], name)
            assert wanted is not None and isinstance(value, fits[wanted]), (record["kind"], name, value)
            assert value != ""


def test_every_judged_type_of_business_event_is_called_for() -> None:
    types: Counter[str] = Counter()
    for seed in (1, 2, 3):
        story, telling = busy(seed, BUSY_POLICY)
        types.update(event["type"] for event in expected_events(story, telling.dev_ids))
    assert set(types) == {
        "pick.confirmed",
        "pick.short",
        "pick.reversed",
        "carton.closed",
        "carton.reopened",
        "carton.voided",
        "shipment.ready",
        "shipment.unready",
        "shipment.manifested",
        "shipment.voided",
        "inventory.discrepancy",
        "return.received",
        "return.dispositioned",
    }


@pytest.mark.parametrize("seed", range(4))
def test_pieces_are_conserved_whatever_is_cancelled_changed_or_mistaken(seed: int) -> None:
    """What was picked less what went back lies in a carton; what is credited to a task was picked before its cancel."""
    story, telling = busy(seed)
    physical: Counter[tuple[str, int, str]] = Counter()
    for move in moved(story):
        sku = move.sku or move.task.line.sku
        qty = move.qty if isinstance(move, f.Picked) else -move.qty
        physical[move.task.line.order, move.task.line.number, sku.name] += qty
    ledger = Ledger(story.happenings)
    held: Counter[tuple[str, int, str]] = Counter()
    for shipment in story.shipments:
        for carton in shipment.cartons:
            for item in ledger.contents(carton):
                held[item["order"], item["line"], item["sku"]] += item["qty"]
    assert +physical == +held
    for event in expected_events(story, telling.dev_ids):
        data = event["data"]
        if event["type"] == "pick.confirmed":
            assert data["qty"] >= 0 and data["over_qty"] == max(0, data["qty"] - data["qty_task"])
        elif event["type"] == "shipment.ready" and event["stands"]:
            for line in data["lines"]:
                assert line["packed"] + line["short"] + line["cancelled"] >= line["ordered"]
            assert data["partial"] == any(line["short"] or line["cancelled"] for line in data["lines"])


def test_R27_nothing_of_a_cancelled_line_leaves_with_a_ready_shipment() -> None:
    story, telling = busy(4)
    ledger = Ledger(story.happenings)
    ready = {
        event["key"]
        for event in expected_events(story, telling.dev_ids)
        if event["type"] == "shipment.ready" and event["stands"]
    }
    cancelled = [
        task
        for shipment in story.shipments
        if shipment.id in ready
        for line in shipment.lines
        for task in line.tasks
        if ledger.cancelled_at(task) is not None and not ledger.voided(task.carton)
    ]
    assert cancelled
    assert all(ledger.quantity(task) == 0 for task in cancelled)


def test_R21_policy_ends_what_is_abandoned_and_without_it_nothing_does() -> None:
    ends = {
        policy: Counter(h.decided_by for h in busy(5, policy)[0].happenings if isinstance(h, f.Expired))
        for policy in (Policy(), BUSY_POLICY)
    }
    assert set(ends[Policy()]) == {"DEADLINE"}
    assert set(ends[BUSY_POLICY]) == {"DEADLINE", "CLOSE"}


def test_R30_a_press_that_two_devices_tell_is_one_press() -> None:
    _, telling = busy()
    sources: defaultdict[str, set[str]] = defaultdict(set)
    for one in telling.said:
        if "press" in one.record:
            sources[one.record["press"]].add(one.record["src"])
    assert Counter(len(told) for told in sources.values()).keys() == {1, 2}


def test_R40_a_tote_is_in_one_use_at_a_time() -> None:
    story, _ = busy(6)
    ledger = Ledger(story.happenings)
    uses: defaultdict[str, list[f.Carton]] = defaultdict(list)
    for shipment in story.shipments:
        for carton in shipment.cartons:
            uses[carton.lu].append(carton)
    assert any(len(cartons) > 1 for cartons in uses.values())
    for cartons in uses.values():
        for before, after in pairwise(cartons):
            voided = ledger.voided(before)
            ended = [one.t for one in ledger.released(before) or ledger.manifests(before.shipment)]
            ended += [voided.t] if voided else []
            assert ended and min(ended) < ledger.bound(after)[0].t


def test_R72_a_serial_counts_once_and_what_is_graded_was_received() -> None:
    story, telling = busy()
    received, graded = Counter[str](), Counter[str]()
    for event in expected_events(story, telling.dev_ids):
        if event["type"] == "return.received":
            received[event["key"]] += event["data"]["qty"]
        elif event["type"] == "return.dispositioned":
            graded["/".join(event["key"].split("/")[:2])] += event["data"]["qty"]
    assert graded
    assert all(received[key] == qty for key, qty in graded.items())
    serials = Counter(h.serial for h in story.happenings if isinstance(h, f.Returned) and h.serial)
    assert max(serials.values()) == 2


def test_troubles_change_no_truth_and_are_told() -> None:
    troubles = Troubles(noise=0.3, lost_chatter=0.05, outages=4, skewed=True, disorder_ms=1_500)
    story, telling = busy(7, troubles=troubles)
    quiet = tell(story, 7)
    assert [
        e for e in expected_events(story, quiet.dev_ids) if e["type"] not in ("pick.reversed", "return.received")
    ] == [e for e in expected_events(story, telling.dev_ids) if e["type"] not in ("pick.reversed", "return.received")]
    kinds = Counter(one.record["kind"] for one in telling.said)
    assert kinds["link.down"] == kinds["link.up"] > 0
    assert any(one.hist for one in telling.said)
    skewed = [one for one in telling.said if one.record["src"].endswith(SKEWED_STATION) and not one.hist and one.about]
    assert all(one.record["t"] - one.t_rx > 3_000 * f.SECOND for one in skewed)
    assert not any("seq" in one.record for one in telling.said if one.record["src"].endswith(SCALE))
    numbers: defaultdict[tuple[str, int], set[int]] = defaultdict(set)
    for one in telling.said:
        if "seq" in one.record:
            numbers[one.record["src"], one.record["epoch"]].add(one.record["seq"])
    assert any(len(seen) < max(seen) for seen in numbers.values()), "some numbers never come"


def test_late_context_comes_after_the_picks() -> None:
    _, telling = busy(8, troubles=TROUBLED)
    late = [
        one
        for one in telling.said
        if one.record["kind"] == "order.released" and one.t_rx - one.record["t"] > 20 * f.SECOND
    ]
    assert late
