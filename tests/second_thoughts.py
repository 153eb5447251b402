"""Stories in which the order systems change their minds: what `whole_floor` tells, and besides it plans without
contents, plans that are told again, lines that several shipments share, waves over several of them, and a second word
of the TMS.

No second thought has the event time of another fact: which of two of one moment goes first is only partly said.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any, ClassVar

from hypothesis import strategies as st

from tests.minimise import renumber, sound
from tests.stories import MS, T0, WMS, Record, Story, Task
from tests.whole_floor import WholeFloor, story_of


class SecondThoughts(WholeFloor):
    """`shares`: likewise, by the names of `SHARES`. `shared`: of the pieces of a task some go into a carton of the next
    shipment, which has a part of the line in its scope."""

    SHARES: ClassVar = {
        **WholeFloor.SHARES,
        "bare": 15,  # cartons planned without contents
        "replanned": 25,  # cartons planned again, or withdrawn
        "rescoped": 25,  # shipments planned again
        "changed": 25,  # orders that are changed
        "waves": 50,  # over the orders of several shipments
        "results": 50,  # a second word of the TMS
        "voided": 10,
        "cancelled": 10,  # tasks
        "shared": 60,
    }

    def __init__(self, draw: random.Random, lively: bool = True, **shares: int) -> None:
        super().__init__(draw, lively, **shares)
        self.odd = itertools.count(1)
        self.shipments = 1
        self.number = 1
        self.share_of: dict[tuple[str, int], int] = {}  # of a line: pieces that the next shipment has

    def later(self, t: int, most: int = 20_000) -> int:
        """A moment of its own after `t`, in milliseconds."""
        return t + self.step(most) + next(self.odd) % 49 + 1

    # -- what changes the way in which a plan is told

    def tell(self, t_ms: int, src: str, kind: str, **fields: Any) -> None:
        if kind == "carton.plan" and fields["rev"] == 1 and self.often("bare"):
            fields = {**fields, "contents": []}
            if self.chance(50):
                del fields["contents"]
        if kind == "shipment.plan" and fields["rev"] == 1:
            fields = {**fields, "scope": self.scope_of(fields["scope"])}
            if self.chance(20):
                fields["cutoff"] = T0 + self.draw.randint(1, 3) * 100_000 * MS
        super().tell(t_ms, src, kind, **fields)
        if kind == "carton.plan" and fields["rev"] == 1 and self.often("replanned"):
            self.replan(self.later(t_ms, 60_000), fields)
        if kind == "shipment.plan" and fields["rev"] == 1 and self.often("rescoped"):
            self.rescope(self.later(t_ms, 60_000), fields)
        if kind == "pick.task" and fields["rev"] == 1 and self.often("cancelled"):
            super().tell(self.later(t_ms, 40_000), WMS, "pick.task_cancelled", rev=4, task=fields["task"])
        if kind == "order.released" and self.often("changed"):
            self.change(self.later(t_ms, 60_000), fields)
        if kind == "manifest.result" and fields["rev"] == 1 and self.often("results"):
            self.correct(self.later(t_ms), fields)
        if kind == "carton.close" and self.often("voided"):
            super().tell(self.later(t_ms), src, "carton.void", lu=fields["lu"])

    def replan(self, t: int, plan: Record) -> None:
        again = {name: value for name, value in plan.items() if name not in ("kind", "lu", "src")}
        again["rev"] = 2
        match self.draw.choice(["withdrawn", "other", "weight", "bare", "same"]):
            case "withdrawn":
                again["contents"] = []
            case "bare":
                again.pop("contents", None)
            case "other":
                again["shipment"] = f"S-{self.draw.randint(1, self.shipments)}"
            case "weight":
                again |= {"weight_g": 900, "tol_g": 100}
        super().tell(t, WMS, "carton.plan", **again)

    def rescope(self, t: int, plan: Record) -> None:
        scope = [dict(row) for row in plan["scope"]]
        again = {**plan, "scope": scope, "rev": 2}
        match self.draw.choice(["same", "less", "more", "dropped", "lanes", "cutoff"]):
            case "less" if scope:
                row = self.draw.choice(scope)
                row["qty"] = max(0, row["qty"] - 1)
            case "more" if scope:
                self.draw.choice(scope)["qty"] += 1
            case "dropped" if len(scope) > 1:
                scope.remove(self.draw.choice(scope))
            case "lanes":
                again |= {"stage_required": not plan.get("stage_required", False), "lanes": ["DOOR-1"]}
            case "cutoff":
                again["cutoff"] = T0 + self.draw.randint(1, 3) * 100_000 * MS
        super().tell(t, WMS, "shipment.plan", **again)

    def change(self, t: int, order: Record) -> None:
        lines = [dict(row) for row in order["lines"]]
        row = self.draw.choice(lines)
        match self.draw.choice(["more", "tolerance", "policy", "part"]):
            case "more":
                row["qty"] += 1
            case "tolerance":
                row["over_tol_pct"] = self.draw.choice([0, 50, 100])
            case "policy":
                row["short_policy"] = self.draw.choice(["SHIP_PARTIAL", "HOLD", "BACKORDER"])
            case "part":
                lines = [row]
        # a cancel of the order is its second revision
        super().tell(t, WMS, "order.changed", rev=3, order=order["order"], lines=lines)

    def correct(self, t: int, result: Record) -> None:
        again = {**result, "rev": 2}
        match self.draw.choice(["number", "carrier", "tracking", "same"]):
            case "number":
                again["manifest_no"] = f"{result['manifest_no']}-2"
            case "carrier":
                again["carrier"] = "DHL"
            case "tracking":
                again["tracking"] = [{**row, "tracking_no": "1Z-OTHER"} for row in result["tracking"][:1]]
        super().tell(t, WMS, "manifest.result", **again)

    # -- lines that two shipments share

    def order(self, order: str, t: int) -> tuple[list[Task], list[Record]]:
        tasks, scope = super().order(order, t)
        if order.startswith("O-") and self.number < self.shipments and self.often("shared"):
            for row in scope:
                if row["qty"] > 1 and self.chance(60):
                    self.share_of[order, row["line"]] = self.draw.randint(1, row["qty"] - 1)
        return tasks, scope

    def scope_of(self, scope: list[Record]) -> list[Record]:
        """What the next shipment has is not in this one's; what this one has of the lines of that before comes in."""
        own = [{**row, "qty": row["qty"] - self.share_of.get((row["order"], row["line"]), 0)} for row in scope]
        names = {(row["order"], row["line"]) for row in scope}
        shared = [
            {"order": order, "line": line, "qty": qty}
            for (order, line), qty in self.share_of.items()
            if (order, line) not in names
        ]
        return own + shared

    def press(self, task: Task, lu: str, t: int, qty: int = 1, kind: str = "pick.confirm", **more: Any) -> None:
        if self.share_of.get((task.order, task.line)) and self.number < self.shipments and self.chance(40):
            lu = f"TOTE-{self.number + 1}0"
        super().press(task, lu, t, qty, kind, **more)

    def shipment(self, n: int, t: int) -> int:
        self.number = n
        return super().shipment(n, t)

    def wave(self, t_end: int) -> None:
        """Told twice: with another cutoff, or with other orders."""
        orders = sorted({one.fields["order"] for one in self.told if one.fields["kind"] == "order.released"})
        t = self.later(0, t_end)
        wave: Record = {"wave": "W-ALL", "orders": self.some_of(orders), "cutoff": T0 + self.later(t, t_end) * MS}
        super().tell(t, WMS, "wave.released", rev=1, **wave)
        if self.chance(70):
            t = self.later(t, t_end)
            if self.chance(50):
                wave["orders"] = self.some_of(orders)
            # one that was over before it was told is not drawn: since when it counts is not said
            wave["cutoff"] = T0 + self.later(t, t_end) * MS
            super().tell(t, WMS, "wave.released", rev=2, **wave)

    def some_of(self, orders: list[str]) -> list[str]:
        return self.draw.sample(orders, self.draw.randint(1, len(orders)))

    def beside(self, t_end: int) -> None:
        super().beside(t_end)
        if self.often("waves"):
            self.wave(t_end)


def forget(records: Sequence[Record], draw: random.Random, percent: int = 30) -> list[Record]:
    """Some of the records never come, and no number is missing: what they are about is known by halves."""
    kept = renumber([record for record in records if draw.randint(1, 100) > percent])
    return kept if kept and sound(kept) else list(records)


def thoughtful_story(draw: random.Random, shipments: int = 2, noise_percent: int = 10, **shares: int) -> Story:
    """One story of everything that is said twice."""
    teller = SecondThoughts(draw, lively=True, **shares)
    teller.shipments = shipments
    return story_of(teller, shipments, noise_percent)


def thoughtful_stories(shipments_max: int = 2, noise_percent: int = 10, **shares: int) -> st.SearchStrategy[Story]:
    """Small stories; `shares` as in `SecondThoughts`."""
    return st.builds(
        lambda draw, shipments: thoughtful_story(draw, shipments, noise_percent, **shares),
        st.randoms(use_true_random=False),
        st.integers(1, shipments_max),
    )
