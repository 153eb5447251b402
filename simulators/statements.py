"""Who says what about a happening, as canonical records: plain dicts with `src`, `kind`, `t` and the kind's fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulators import floor as f
from simulators.floor import SECOND, Carton, Happening, Sku, Task
from simulators.truth import NO_STOCK

Record = dict[str, Any]

_UNTOLD = (f.LineChanged, f.TaskChanged, f.Expired)
"""What no record says: the papers that go with it do, or nobody does."""


def statements(site: str, happening: Happening) -> Iterator[Record]:
    """The records in which somebody tells it; none where nobody can see it."""
    if isinstance(happening, _UNTOLD):
        return
    src, kind, fields = _statement(happening)
    if src:
        record = {"src": f"{site}/{src}", "kind": kind, "t": happening.t} | fields
        yield record
        if isinstance(happening, f.Picked) and happening.witness:
            yield record | {"src": f"{site}/pick/RNG-{happening.witness:02}"}


def _statement(happening: Happening) -> tuple[str, str, Record]:
    """Who says it, as which kind, with which fields; nobody (an empty source) where no device can see it."""
    match happening:
        case f.Picked(_, task, qty, lot, says_lu, sku, press):
            return _station(task), "pick.confirm", _moved(task, sku, qty, lot, says_lu) | _if_any(press=press)
        case f.Batched(_, picks):
            return _station(picks[0].task), "pick.confirm", _together(picks)
        case f.PutBack(_, task, qty, lot, sku):
            return _station(task), "pick.reverse", _moved(task, sku, qty, lot, True)
        case f.Shorted(_, task, code):
            return _station(task), "pick.short", _work(task) | {"code": code, "loc": task.loc}
        case f.Opened(_, carton):
            return "pack/PK-01", "carton.open", {"lu": carton.lu}
        case f.Closed(_, carton):
            return "pack/PK-01", "carton.close", {"lu": carton.lu}
        case f.Reopened(_, carton):
            return "pack/PK-01", "carton.reopen", {"lu": carton.lu}
        case f.Labelled(_, carton, result):
            read = {"sscc": carton.sscc} if result == "OK" else {}
            return "pack/PK-01", "label.verified", {"lu": carton.lu, "result": result} | read
        case f.Weighed(_, carton, weight_g):
            return "pack/SCL-01", "weigh", {"lu": carton.lu, "weight_g": weight_g}
        case f.Voided(_, carton):
            return "pack/PK-01", "carton.void", {"lu": carton.lu}
        case f.Passed(_, carton, scanner, legible):
            seen: Record = {"lu": carton.lu} if legible else {"track": carton.sscc[-5:]}
            return f"conveyor/SCN-{scanner:02}", "scan.read" if legible else "scan.noread", seen
        case f.Stored(_, pallet, loc):
            return "asrs/CRN-01", "store.confirmed", {"lu": pallet, "loc": loc}
        case f.Retrieved(_, pallet, loc):
            return "asrs/CRN-01", "retrieve.confirmed", {"lu": pallet, "loc": loc}
        case f.Counted(_, loc, sku, qty, station):
            return f"pick/PTL-{station:02}", "count.reported", {"loc": loc, "sku": sku.name, "qty": qty}
        case f.CraneStopped(_, code, loc, pallet, sku):
            return "asrs/CRN-01", "asrs.exception", {"code": code, "loc": loc} | _if_any(lu=pallet)
        case f.Returned(_, rma, sku, qty, serial):
            return (
                "returns/DESK-01",
                "return.scanned",
                {"sku": sku.name, "qty": qty} | _if_any(rma=rma or "", serial=serial),
            )
        case f.Graded(_, rma, sku, qty, grade, disposition):
            graded = {"rma": rma, "sku": sku.name, "qty": qty, "grade": grade, "disposition": disposition}
            return "returns/DESK-01", "return.graded", graded
        case f.Loaded(_, _, _, lu, trailer, door):
            return "ship/DOCK-01", "load.scanned", {"lu": lu, "trailer": trailer, "door": door}
        case f.Unloaded(_, carton, trailer, door):
            return "ship/DOCK-01", "load.removed", {"lu": carton.lu, "trailer": trailer, "door": door}
        case f.TrailerLeft(_, _, _, _, trailer, seal, door):
            return "ship/DOCK-01", "trailer.closed", {"trailer": trailer, "seal": seal, "door": door}
        case f.Found(_, carton):
            return "sorter/SRT-01", "item.stray", {"lu": carton.lu}
        case (
            f.Inducted()
            | f.Read()
            | f.NotRead()
            | f.ReadSeveral()
            | f.Identified()
            | f.Looped()
            | f.Lost()
            | f.Diverted()
        ):
            return "sorter/SRT-01", *_on_sorter(happening)
        case _:
            return "wms/main", *_order_system(happening)


def _station(task: Task) -> str:
    return f"pick/PTL-{task.station:02}"


def _work(task: Task) -> Record:
    if task.id and not task.line_only:
        return {"task": task.id}
    return {"order": task.line.order, "line": task.line.number}


def _moved(task: Task, sku: Sku | None, qty: int, lot: str, says_lu: bool) -> Record:
    fields = _work(task) | {"sku": (sku or task.line.sku).name, "qty": qty, "loc": task.loc}
    return fields | _if_any(lu=task.carton.lu if says_lu else "", lot=lot)


def _together(picks: tuple[f.Picked, ...]) -> Record:
    first = picks[0]
    alloc = [_work(pick.task) | {"qty": pick.qty, "lu": pick.task.carton.lu} for pick in picks]
    return {"sku": first.task.line.sku.name, "loc": first.task.loc, "alloc": alloc} | _if_any(lot=first.lot)


def _if_any(**fields: str) -> Record:
    return {name: value for name, value in fields.items() if value}


def _on_sorter(
    happening: f.Inducted | f.Read | f.NotRead | f.ReadSeveral | f.Identified | f.Looped | f.Lost | f.Diverted,
) -> tuple[str, Record]:
    track: Record = {"track": str(happening.ride.track)}
    lu = {"lu": happening.ride.carton.lu}
    match happening:
        case f.Inducted(_, _, says_lu):
            return "item.inducted", track | (lu if says_lu else {})
        case f.Read():
            return "scan.read", track | lu
        case f.NotRead():
            return "scan.noread", track
        case f.Identified():
            return "ident.assigned", track | lu
        case f.ReadSeveral(_, ride, other):
            return "scan.multiread", track | {"codes": [other, ride.carton.lu]}
        case f.Lost():
            return "item.lost", track
        case f.Looped():
            return "item.recirculated", track
        case f.Diverted(_, _, dest, dest_req):
            return "divert.confirmed", track | {"dest": dest, "dest_req": dest_req}


def _order_system(happening: Happening) -> tuple[str, Record]:
    match happening:
        case f.Announced(_, kind, body):
            return kind, dict(body)
        case f.OrderCancelled(t, _, order, lines):
            numbers = {} if len(lines) == len(order.lines) else {"lines": [line.number for line in lines]}
            return "order.cancelled", {"order": order.id, "rev": t // SECOND} | numbers
        case f.TaskCancelled(_, _, task):
            return "pick.task_cancelled", {"task": task.id, "rev": 9}
        case f.NotAllocated(_, line, qty, rev):
            return "alloc.failed", {"order": line.order, "line": line.number, "rev": rev, "qty": qty, "code": NO_STOCK}
        case f.Planned(_, shipment, rev, planned):
            scope = [{"order": line.order, "line": line.number, "qty": qty} for line, qty in planned]
            body = {"shipment": shipment.id, "rev": rev, "scope": scope, "carrier": shipment.carrier}
            staging = {"stage_required": True, "lanes": shipment.lanes} if shipment.stage_required else {}
            return "shipment.plan", body | staging
        case f.Unplanned(_, carton):
            return "carton.plan", {"carton": carton.id, "rev": 2, "shipment": carton.shipment.id, "contents": []}
        case f.Bound(_, carton):
            return "lu.bind", {"lu": carton.lu, "rev": 1} | _target(carton)
        case f.Released(_, carton):
            return "lu.release", {"lu": carton.lu, "rev": 2} | _target(carton)
        case f.Palletised(t, carton, pallet):
            return "lu.bind", {"lu": carton.lu, "rev": t // SECOND, "parent": pallet} | _target(carton)
        case f.Rebound(_, carton, other):
            return "lu.bind", {"lu": carton.lu, "rev": 1, "carton": other}
        case f.WavedThrough(t, carton):
            return "hold.released", {"carton": carton.id, "rev": t // SECOND}
        case f.ShipmentCancelled(_, shipment):
            return "shipment.cancelled", {"shipment": shipment.id, "rev": 99}
        case f.CancelledTooLate(t, order):
            return "order.cancelled", {"order": order.id, "rev": t // SECOND}
        case f.Manifested(_, shipment, manifest_no, cartons, rev):
            tracking = [{"carton": c.id, "tracking_no": c.tracking_no} for c in cartons if c.id]
            body = {"shipment": shipment.id, "rev": rev, "manifest_no": manifest_no, "tracking": tracking}
            return "manifest.result", body | {"carrier": shipment.carrier}
        case _:
            raise AssertionError(f"nobody tells {type(happening).__name__}")


def _target(carton: Carton) -> Record:
    return {"carton": carton.id} if carton.id else {"order": carton.shipment.orders[0].id}
