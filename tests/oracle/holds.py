"""What keeps a closed carton back: its weight and its label (R45), or that nobody knows where it is (R64)."""

from __future__ import annotations

from tests.oracle.cartons import Cycle
from tests.oracle.context import Context
from tests.oracle.facts import Fact


def is_held(cycle: Cycle, context: Context) -> bool:
    """R45: by its last weighing or its last label, unless a person let it go since."""
    released = max((fact.t for fact in context.holds.get(cycle.key, ())), default=0)
    causes = [fact for fact in (_off(cycle, context), _bad_label(cycle)) if fact is not None]
    return any(fact.t > released for fact in causes)


def _off(cycle: Cycle, context: Context) -> Fact | None:
    """The last weighing, if it is out of tolerance."""
    plan = context.cartons.get(cycle.carton or "")
    last = _last(cycle, "weigh")
    if plan is None or last is None or "weight_g" not in plan.record or "tol_g" not in plan.record:
        return None
    off = abs(last.record["weight_g"] - plan.record["weight_g"]) > plan.record["tol_g"]
    return last if off else None


def _bad_label(cycle: Cycle) -> Fact | None:
    last = _last(cycle, "label.verified")
    return last if last is not None and last.record["result"] in ("NOREAD", "MISMATCH") else None


def _last(cycle: Cycle, kind: str) -> Fact | None:
    of_kind = [fact for fact in cycle.facts if fact.kind == kind and fact.t >= cycle.t_open]
    return max(of_kind, default=None, key=lambda fact: fact[:4])


def is_lost(sights: list[Fact]) -> bool:
    """R64. reading: any device record of the unit after the loss is a sight of it, one of its parent too (R48)."""
    device = [fact for fact in sights if fact.device and is_there(fact)]
    return bool(device) and device[-1].kind == "item.lost"


def is_there(fact: Fact) -> bool:
    """Reading: a crane that misses a unit, or cannot reach it, has not seen it."""
    return fact.kind != "asrs.exception" or fact.record["code"] in ("DEST_OCCUPIED", "DROPOFF", "LU_MISMATCH")
