"""Stock and returns (R66, R70, R71, R72), judged after the fact, findings by event time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tests.oracle.events import Final
from tests.oracle.facts import Fact, Rules
from tests.oracle.ids import utc
from tests.oracle.world import World

Place = tuple[str, str, str]  # loc, sku, lot ("": none)
EMPTY_HANDED = {"EMPTY": 0, "NOT_FOUND": 0, "INSUFFICIENT": None}  # what `actual` is then
CRANE = {"SOURCE_EMPTY": "LU_MISSING", "DEST_OCCUPIED": "LU_UNEXPECTED", "LU_MISMATCH": "LU_UNEXPECTED"}


class Finding(NamedTuple):
    fact: Fact
    kind: str
    actual: int | None
    least: int  # from which figure on a short or an empty shelf says that the books are wrong
    correlation: str | None


def of_stock(world: World, rules: Rules, t_end: int) -> Iterable[Final]:
    expectations = [fact for fact in world.facts if fact.kind == "stock.expectation"]
    findings: dict[Place, list[Finding]] = {}
    for fact in world.facts:
        if fact.kind == "count.reported" and fact.t <= t_end:
            findings.setdefault(_place(fact), []).append(Finding(fact, "COUNT_DIFF", fact.record["qty"], 0, None))
    for place, finding in [*_shorts(world), *_empty_shelves(world, {_place(fact) for fact in expectations})]:
        findings.setdefault(place, []).append(finding)
    for place, found in findings.items():
        final = _last(place, sorted(found, key=lambda one: one.fact[:4]), expectations, world, rules)
        if final is not None:
            yield final
    yield from _units(world)


def _place(fact: Fact) -> Place:
    return fact.record["loc"], fact.record["sku"], fact.record.get("lot", "")


def _shorts(world: World) -> Iterable[tuple[Place, Finding]]:
    """R70: the operator's shorts that say something of the stock."""
    for window in world.windows.values():
        close = window.short
        if (
            close is None
            or close.reason not in EMPTY_HANDED
            or close.decided_by != "OPERATOR"
            or window.t_cancel is not None
        ):
            continue
        loc, q_short = world.context.place_of(window.task, close.fact), window.q_task - window.q
        # reading: what followed from another place was missing here all the same
        after = [entry for entry in window.counted if entry.t > close.t]
        elsewhere = [entry for entry in after if world.context.place_of(window.task, entry.fact) != loc]
        q_short += sum(entry.sign * entry.qty for entry in elsewhere)
        if loc and q_short > 0:
            place = loc, window.sku, close.fact.record.get("lot", "")
            actual = EMPTY_HANDED[close.reason]
            yield place, Finding(close.fact, "SHORT_AT_LOC", actual, q_short, window.line[0])


def _empty_shelves(world: World, expected: Iterable[Place]) -> Iterable[tuple[Place, Finding]]:
    """R66: SOURCE_EMPTY without a unit speaks of every sku that is expected there, or of the one it names."""
    for fact in world.facts:
        record = fact.record
        if fact.kind == "asrs.exception" and record["code"] == "SOURCE_EMPTY" and not record.get("lu"):
            for place in expected:
                if place[0] == record.get("loc") and record.get("sku", place[1]) == place[1]:
                    yield place, Finding(fact, "SHORT_AT_LOC", 0, 1, None)


def _figure(place: Place, t: int, expectations: list[Fact], world: World, rules: Rules) -> int | None:
    """What the books say of a place as of `t`, less what was picked there since."""
    known = [fact for fact in expectations if _place(fact) == place and fact.record["as_of"] <= t]
    if not known:
        return None
    best = max(known, key=lambda fact: int(fact.record["rev"])).record
    if t - best["as_of"] > rules["expectation_ttl_ms"] * 1000:
        return None
    picked = 0
    for entry in world.entries:
        loc = world.context.place_of(entry.task, entry.fact)
        if (loc, entry.sku, entry.lot or "") == place and best["as_of"] <= entry.t <= t:
            picked += entry.sign * entry.qty  # reading: what is put back lies there again
    return int(best["qty"]) - picked


def _last(place: Place, findings: list[Finding], expectations: list[Fact], world: World, rules: Rules) -> Final | None:
    """R71: one discrepancy a place. The last that is wrong, or the first count after it that agrees."""
    last: tuple[Finding, dict[str, Any]] | None = None
    wrong = False
    for finding in findings:
        figure = _figure(place, finding.fact.t, expectations, world, rules)
        if figure is None:
            continue
        data = {"kind": finding.kind, "expected": figure, "as_of": finding.fact.t}
        if finding.actual is not None:
            data["actual"] = finding.actual
        is_wrong = figure != finding.actual if finding.kind == "COUNT_DIFF" else figure >= finding.least
        if is_wrong or (wrong and finding.kind == "COUNT_DIFF"):
            last, wrong = (finding, data), is_wrong
    if last is None:
        return None
    key = "/".join(place)
    time = utc(last[0].fact.t)
    return Final("inventory.discrepancy", key, last[1], time, f"stock/{key}", key, last[0].correlation or key)


def _units(world: World) -> Iterable[Final]:
    """R66: the last word of the crane on a unit at a location."""
    last: dict[str, Final] = {}
    for fact in world.facts:
        if fact.kind != "asrs.exception" or fact.record["code"] not in CRANE:
            continue
        loc, lu, code = fact.record.get("loc", ""), fact.record.get("lu", ""), fact.record["code"]
        if lu or code != "SOURCE_EMPTY":
            key = f"{loc}/{lu}"
            data = {"kind": CRANE[code], "as_of": fact.t}
            last[key] = Final("inventory.discrepancy", key, data, utc(fact.t), f"stock/{key}", key, key)
    yield from last.values()


# ---------------------------------------------------------------------------------------------- returns


def of_returns(world: World, rules: Rules) -> Iterable[Final]:
    """R72."""
    rmas: dict[str, dict[str, int]] = {}
    for fact in sorted(world.facts, key=lambda fact: int(fact.record.get("rev", 0))):
        if fact.kind == "rma.authorised":
            lines = rmas[fact.record["rma"]] = {}
            for row in fact.record["lines"]:
                lines[row["sku"]] = lines.get(row["sku"], 0) + row["qty"]
    received: dict[str, list[Fact]] = {}
    graded: dict[str, list[Fact]] = {}
    serials: dict[tuple[str, str], int] = {}
    for fact in world.facts:
        if fact.kind == "return.scanned":
            serial = fact.record.get("serial")
            thing = (fact.record.get("sku") or "lu/" + fact.record["lu"], serial or "")
            if serial and fact.t - serials.get(thing, -(2**62)) <= rules["retention_ms"] * 1000:
                continue  # counted already
            serials[thing] = fact.t
            received.setdefault(_return_key(fact), []).append(fact)
        elif fact.kind == "return.graded":
            record = fact.record
            graded.setdefault(f"{_return_key(fact)}/{record['grade']}/{record['disposition']}", []).append(fact)
    for key, facts in received.items():
        yield _received(key, facts, rmas.get(facts[0].record.get("rma", "")))
    for key, facts in graded.items():
        data: dict[str, Any] = {
            name: facts[0].record[name] for name in ("sku", "grade", "disposition") if name in facts[0].record
        }
        data["qty"] = sum(fact.record["qty"] for fact in facts)
        yield _final("return.dispositioned", key, data, facts)


def _return_key(fact: Fact) -> str:
    record = fact.record
    return f"{record['rma']}/{record.get('sku') or record['lu']}" if "rma" in record else f"unexpected/{fact.dev_id}"


def _received(key: str, facts: list[Fact], rma: dict[str, int] | None) -> Final:
    sku, qty = facts[0].record.get("sku"), sum(fact.record["qty"] for fact in facts)
    serials = sorted(fact.record["serial"] for fact in facts if "serial" in fact.record)
    data: dict[str, Any] = {"qty": qty, "condition": "UNEXPECTED" if rma is None else "EXPECTED"}
    data |= {"sku": sku} if sku else {}
    data |= {"serials": serials} if serials else {}
    if sku and rma is not None:
        data["expected_qty"] = rma.get(sku, 0)
        data["condition"] = "OVER" if qty > rma.get(sku, 0) else "EXPECTED"
    return _final("return.received", key, data, facts)


def _final(type_: str, key: str, data: dict[str, Any], facts: list[Fact]) -> Final:
    partition = facts[0].record.get("rma", "unexpected")
    return Final(type_, key, data, utc(max(fact.t for fact in facts)), f"return/{key}", partition, partition)
