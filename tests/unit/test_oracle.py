"""The oracle on its own: hand-made stories whose outcome the rules' text gives."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.oracle import Final, account, base_id, expected

S = 1_000_000
T0 = 1_700_000_000 * S


class Floor:
    """Writes records: times in seconds after T0, one number a source."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.numbers: dict[str, itertools.count[int]] = {}

    def wms(self, kind: str, t: float = 0, **fields: Any) -> Floor:
        at = T0 + int(t * S)
        self.records.append({"src": "dc1/wms/main", "kind": kind, "t": at, "t_rx": at, "rev": 1, **fields})
        return self

    def device(self, kind: str, t: float, src: str = "dc1/pick/PTL-01", **fields: Any) -> Floor:
        seq = next(self.numbers.setdefault(src, itertools.count(1)))
        at = T0 + int(t * S)
        self.records.append({"src": src, "seq": seq, "kind": kind, "t": at, "t_rx": at, **fields})
        return self

    def task(self, qty: int = 3, task: str = "T-1", **fields: Any) -> Floor:
        self.wms("order.released", order="O-1", lines=[{"line": 1, "sku": "A", "qty": qty}])
        return self.wms("pick.task", task=task, order="O-1", line=1, sku="A", qty=qty, **fields)

    def pick(self, t: float, qty: int = 1, **fields: Any) -> Floor:
        return self.device("pick.confirm", t, **{"task": "T-1", "sku": "A", "qty": qty, **fields})

    def put_back(self, t: float, qty: int = 1, **fields: Any) -> Floor:
        return self.device("pick.reverse", t, **{"task": "T-1", "sku": "A", "qty": qty, **fields})

    def last(self, type_: str, key: str, **rules: int | bool) -> Final | None:
        return expected(self.records, "dc1", rules).get(base_id("dc1", type_, key))

    def data(self, type_: str, key: str, **rules: int | bool) -> dict[str, Any]:
        final = self.last(type_, key, **rules)
        assert final is not None
        return final.data


def at(t: float) -> int:
    return T0 + int(t * S)


@pytest.mark.parametrize(
    ("type_", "key", "id_"),
    [
        ("pick.confirmed", "T-1001", "pc1.mc6cfej273pfqdqk3ooddnndvv"),
        ("pick.short", "O-77/2", "ps1.ycco5blgphsqskxp6o3qfjdfkx"),
        ("carton.closed", "T-9#3", "cc1.oz2ykcwuzwba4tfl3ljvxjqc3a"),
    ],
)
def test_contract4_the_three_example_ids(type_: str, key: str, id_: str) -> None:
    assert base_id("dc1", type_, key) == id_


def test_R1_a_live_time_beyond_the_skew_is_not_trusted() -> None:
    floor = Floor().task(1).pick(10)
    floor.records[-1]["t_rx"] += 5 * S + 1
    assert floor.data("pick.confirmed", "T-1")["t_close"] == at(15) + 1
    floor.records[-1]["hist"] = True
    assert floor.data("pick.confirmed", "T-1")["t_close"] == at(10)


def test_R5_the_same_number_is_a_duplicate_and_the_same_content_is_not() -> None:
    floor = Floor().task(3).pick(10).pick(10).pick(11)
    floor.records.append(floor.records[-1])
    assert account(floor.records)["duplicate"] == 1
    assert floor.data("pick.confirmed", "T-1")["qty"] == 3


def test_R5_without_a_number_equal_payload_and_time_is_a_duplicate() -> None:
    floor = Floor().task(1).pick(10)
    del floor.records[-1]["seq"]
    floor.records.append(floor.records[-1] | {"t_rx": at(12)})
    assert account(floor.records)["duplicate"] == 1


def test_R10_revisions_of_context() -> None:
    floor = Floor().task(3).wms("pick.task", 1, task="T-1", rev=2, order="O-1", line=1, sku="A", qty=2)
    floor.records += [floor.records[-1], floor.records[1], floor.records[-1] | {"qty": 9}]
    counts = account(floor.records)
    assert (counts["duplicate"], counts["rejected"], counts["taken"]) == (1, 2, 3)
    assert floor.pick(10, 2).data("pick.confirmed", "T-1")["qty_task"] == 2


def test_R11_a_pick_before_its_task_counts_when_the_task_is_known() -> None:
    floor = Floor().pick(1, 3)
    assert floor.last("pick.confirmed", "T-1") is None
    assert floor.task(3).data("pick.confirmed", "T-1")["t_close"] == at(1)


def test_R21a_a_full_task_closes_at_its_last_pick() -> None:
    data = Floor().task(3).pick(10).pick(30).pick(20).data("pick.confirmed", "T-1")
    assert (data["qty"], data["t_first"], data["t_close"], data["over_qty"]) == (3, at(10), at(30), 0)


def test_R22_silence_is_not_a_short() -> None:
    floor = Floor().task(3).pick(10).device("scan.read", 2000, lu="X")
    assert expected(floor.records, "dc1") == {}


def test_R21d_R23_a_deadline_without_picks_is_a_short_only() -> None:
    floor = Floor().task(3, deadline=at(50))
    found = {final.type: final for final in expected(floor.records, "dc1", until=at(60)).values()}
    assert set(found) == {"pick.short"}
    assert found["pick.short"].data["decided_by"] == "DEADLINE"
    assert found["pick.short"].data["t_close"] == at(50)


def test_R26_a_piece_that_follows_an_operators_short() -> None:
    floor = Floor().task(3).pick(10).device("pick.short", 20, task="T-1", code="EMPTY").pick(30)
    assert floor.data("pick.confirmed", "T-1")["t_close"] == at(30)
    short = floor.data("pick.short", "T-1")
    assert (short["qty_picked"], short["qty_short"], short["reason"]) == (2, 1, "EMPTY")


def test_R26_R28_a_reversal_opens_a_full_task_again() -> None:
    floor = Floor().task(3).pick(10, 3).put_back(20)
    assert floor.data("pick.confirmed", "T-1")["qty"] == 2
    assert floor.data("pick.reversed", "T-1/dc1/pick/PTL-01/0/2/0")["qty"] == 1
    assert floor.pick(40).data("pick.confirmed", "T-1")["t_close"] == at(40)


def test_R27_picks_after_the_cancel_do_not_count_and_later_reversals_do() -> None:
    floor = Floor().task(3).pick(10, 2).wms("order.cancelled", 20, order="O-1", rev=2).pick(20).put_back(30)
    data = floor.data("pick.confirmed", "T-1")
    assert (data["qty"], data["cancelled"], data["t_close"]) == (1, True, at(20))
    assert floor.last("pick.short", "T-1") is None


def test_R30_a_press_told_twice_is_one_and_an_alloc_is_one_for_each_entry() -> None:
    floor = Floor().task(2).pick(10, press="7").pick(10, src="dc1/pick/PTL-02", press="7")
    assert floor.last("pick.confirmed", "T-1") is None
    floor.wms("pick.task", task="T-2", order="O-1", line=1, sku="A", qty=1)
    floor.device("pick.confirm", 12, sku="A", alloc=[{"task": "T-1", "qty": 1}, {"task": "T-2", "qty": 1}])
    assert floor.data("pick.confirmed", "T-1")["qty"] == 2
    assert floor.data("pick.confirmed", "T-2")["qty"] == 1


def test_R40_R43_a_tote_used_twice_holds_what_lay_in_each_cycle() -> None:
    floor = Floor().task(3).pick(10, lu="L").device("carton.close", 15, lu="L").wms("lu.release", 20, lu="L")
    floor.pick(30, 2, lu="L").device("carton.close", 40, lu="L")
    assert floor.data("carton.closed", "L#1")["contents"] == [{"order": "O-1", "line": 1, "sku": "A", "qty": 1}]
    assert floor.data("carton.closed", "L#2")["contents"] == [{"order": "O-1", "line": 1, "sku": "A", "qty": 2}]


def test_R44_a_piece_after_the_close_reopens_and_the_next_close_counts_it() -> None:
    floor = Floor().task(3).wms("lu.bind", 1, lu="L", carton="C").pick(10, lu="L").device("carton.close", 15, lu="L")
    floor.pick(20, lu="L")
    assert floor.data("carton.reopened", "C")["cause"] == "pick.confirm"
    assert floor.data("carton.closed", "C")["contents"][0]["qty"] == 1
    assert floor.device("carton.close", 25, lu="L").data("carton.closed", "C")["contents"][0]["qty"] == 2


def test_R45_the_weight_is_the_last_one_until_the_hold_ends() -> None:
    floor = Floor().task(1).pick(10, lu="L").device("carton.close", 15, lu="L").device("weigh", 20, lu="L", weight_g=9)
    assert floor.data("carton.closed", "L#1")["weight_g"] == 9
    assert floor.device("weigh", 20.1, lu="L", weight_g=7).data("carton.closed", "L#1")["weight_g"] == 9


def shipped(**plan: Any) -> Floor:
    floor = Floor().task(2).wms("carton.plan", carton="C", shipment="S", lu="L", contents=[{"order": "O-1", "line": 1}])
    return floor.wms("shipment.plan", shipment="S", scope=[{"order": "O-1", "line": 1, "qty": 2}], **plan)


def test_R50_R51_ready_when_all_is_packed_and_closed() -> None:
    final = shipped().pick(10, 2, lu="L").device("carton.close", 20, lu="L").last("shipment.ready", "S")
    assert final is not None
    assert final.time == "2023-11-14T22:13:40.000000Z"
    assert final.data["lines"] == [{"order": "O-1", "line": 1, "ordered": 2, "packed": 2, "short": 0, "cancelled": 0}]
    assert (final.data["cartons"], final.data["partial"], final.data["plan_rev"]) == (["C"], False, 1)


def test_R51_a_truth_that_does_not_last_emits_nothing() -> None:
    floor = shipped().pick(10, 2, lu="L").device("carton.close", 20, lu="L").device("carton.reopen", 25, lu="L")
    assert floor.last("shipment.ready", "S") is None
    assert floor.last("shipment.unready", "S") is None


def test_R52_reopened_after_ready_is_unready_until_closed() -> None:
    floor = shipped().pick(10, 2, lu="L").device("carton.close", 20, lu="L").device("carton.reopen", 25.1, lu="L")
    assert floor.data("shipment.unready", "S")["cause"] == "carton.reopen"
    ready = floor.device("carton.close", 40, lu="L").last("shipment.ready", "S")
    assert ready is not None and ready.time.endswith("22:14:00.000000Z")


def test_R50_R60_R62_staging_through_a_track() -> None:
    floor = shipped(stage_required=True, lanes=["D-1"]).pick(10, 2, lu="L").device("carton.close", 20, lu="L")
    sorter = "dc1/sorter/SRT-01"
    floor.device("item.inducted", 30, sorter, track="5").device("scan.read", 31, sorter, track="5", lu="L")
    assert floor.last("shipment.ready", "S") is None
    assert floor.device("divert.confirmed", 32, sorter, track="5", dest="D-1").last("shipment.ready", "S") is not None


def test_R54_a_manifest_is_told_with_its_cartons() -> None:
    floor = shipped().pick(10, 2, lu="L").device("carton.close", 20, lu="L")
    tracking = [{"carton": "C", "tracking_no": "1Z"}]
    data = floor.wms("manifest.result", 40, shipment="S", manifest_no="M", tracking=tracking).data(
        "shipment.manifested", "S"
    )
    assert data == {"manifest_no": "M", "cartons": [{"carton": "C", "tracking_no": "1Z"}], "left_behind": []}


def test_R54_what_a_result_says_of_a_carton_that_is_open_then_is_not_said() -> None:
    """Also where it is closed afterwards."""
    floor = shipped().pick(10, 2, lu="L").device("carton.close", 20, lu="L").device("carton.reopen", 39, lu="L")
    floor.wms("manifest.result", 40, shipment="S", tracking=[]).device("carton.close", 41, lu="L")
    left = floor.last("shipment.manifested", "S")
    assert left is not None and "cartons" in left.free


def test_R82_noise_is_never_a_duplicate() -> None:
    floor = Floor().device("telemetry", 1, anything=1)
    floor.records *= 2
    assert account(floor.records) == dict.fromkeys(("duplicate", "late", "rejected", "taken"), 0) | {
        "in": 2,
        "noise": 2,
    }
