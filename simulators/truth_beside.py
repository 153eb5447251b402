"""What the engine must have said about stock and returns: beside the shipments, as `truth.py`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from simulators import floor as f
from simulators.floor import Line, Story

Expected = dict[str, Any]

NOTHING_THERE = ("EMPTY", "NOT_FOUND")


def of_returns(story: Story, dev_ids: Mapping[f.Named, str]) -> Iterator[Expected]:
    """Totals by RMA and SKU; the same serial number twice is one piece (R72)."""
    authorised: dict[tuple[str, str], int] = {}
    received: defaultdict[tuple[str, str], list[f.Returned]] = defaultdict(list)
    graded: defaultdict[tuple[str, str, str, str], int] = defaultdict(int)
    for happening in story.happenings:
        match happening:
            case f.Announced(_, "rma.authorised", body):
                lines: Any = body["lines"]
                authorised |= {(str(body["rma"]), line["sku"]): line["qty"] for line in lines}
            case f.Returned(_, None, sku, qty):
                if happening in dev_ids:
                    key = f"unexpected/{dev_ids[happening]}"
                    yield {"type": "return.received", "key": key, "data": {"sku": sku.name, "qty": qty}}
            case f.Returned(_, rma, sku):
                received[str(rma), sku.name].append(happening)
            case f.Graded(_, rma, sku, qty, grade, disposition):
                graded[rma, sku.name, grade, disposition] += qty
    for (rma, name), scans in received.items():
        serials = sorted({scan.serial for scan in scans if scan.serial})
        qty = len(serials) + sum(scan.qty for scan in scans if not scan.serial)
        data: Expected = {"sku": name, "qty": qty, "expected_qty": authorised[rma, name]}
        yield {"type": "return.received", "key": f"{rma}/{name}", "data": data | _if_any("serials", serials)}
    for (rma, name, grade, disposition), qty in graded.items():
        data = {"sku": name, "qty": qty, "grade": grade, "disposition": disposition}
        yield {"type": "return.dispositioned", "key": f"{rma}/{name}/{grade}/{disposition}", "data": data}


def of_stock(story: Story) -> Iterator[Expected]:
    """What was found at a place, against what the books said there and then (R66, R70, R71)."""
    books: dict[tuple[str, str], int] = {}
    picked: defaultdict[tuple[str, str], int] = defaultdict(int)
    found: dict[tuple[str, str], Expected] = {}
    shorted: dict[tuple[str, str], Line] = {}
    counted: set[tuple[str, str]] = set()
    for happening in story.happenings:
        match happening:
            case f.Announced(_, "stock.expectation", body):
                books[str(body["loc"]), str(body["sku"])] = int(str(body["qty"]))
            case f.Picked(_, task, qty):
                picked[task.loc, task.line.sku.name] += qty
            case f.PutBack(_, task, qty):
                picked[task.loc, task.line.sku.name] -= qty
            case f.Counted(t, loc, sku, qty):
                figure = books[loc, sku.name] - picked[loc, sku.name]
                last = found.get((loc, sku.name), {})
                counted.add((loc, sku.name))
                if figure != qty or last.get("expected") != last.get("actual"):
                    data = {"kind": "COUNT_DIFF", "expected": figure, "actual": qty, "as_of": t}
                    found[loc, sku.name] = data
            case f.Shorted(t, task, code) if (task.loc, task.line.sku.name) in books:
                place = task.loc, task.line.sku.name
                figure = books[place] - picked[place]
                if code in STOCK_CODES and figure >= task.qty - picked[place]:
                    data = {"kind": "SHORT_AT_LOC", "expected": figure, "as_of": t}
                    found[place] = data | ({"actual": 0} if code in NOTHING_THERE else {})
                    shorted[place] = task.line
            case f.OrderCancelled(_, _, _, lines):
                # Whether a short that nobody waits for any more still says something of the stock is a matter of taste.
                found |= {place: {"kind": "SHORT_AT_LOC"} for place, line in shorted.items() if line in lines}
            case f.CraneStopped(t, code, loc, pallet, None):
                kind = "LU_MISSING" if code == "SOURCE_EMPTY" else "LU_UNEXPECTED"
                data = {"kind": kind, "as_of": t}
                yield {"type": "inventory.discrepancy", "key": f"{loc}/{pallet}", "data": data}
            case f.CraneStopped(t, _, loc, _, sku) if sku is not None:
                figure = books[loc, sku.name]
                data = {"kind": "SHORT_AT_LOC", "expected": figure, "actual": 0, "as_of": t}
                found[loc, sku.name] = data
    for (loc, name), data in found.items():
        yield {"type": "inventory.discrepancy", "key": f"{loc}/{name}/", "data": data}
    for loc, name in sorted(counted - found.keys()):
        # Where picks were told late, the count looked wrong for a while.
        data = {"kind": "COUNT_DIFF"}
        yield {"type": "inventory.discrepancy", "key": f"{loc}/{name}/", "optional": True, "data": data}


STOCK_CODES = (*NOTHING_THERE, "INSUFFICIENT")


def _if_any(name: str, values: list[str]) -> Expected:
    return {name: values} if values else {}
