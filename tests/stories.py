"""Stories of the floor as canonical records: small ones for hypothesis, larger ones from a seed, and their retellings.

Two kinds of story. `lively`: everything happens (shorts, deadlines, cancels, reversals, reopenings, totes used again),
and every record arrives within `disorder_ms` of its event time, so that the last revisions are a function of the set
(R3). `calm`: every window closes full, and records may arrive as late as they like (`backlog`, late context), because
lateness cannot change what the rules make of it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hypothesis import strategies as st

Record = dict[str, Any]

SITE = "dc1"
MS = 1_000
S = 1_000_000
T0 = 1_700_000_000 * S
DELAY_MAX_MS = 1_500
GRID_MS = 50
WMS = "dc1/wms/main"
SORTER = "dc1/sorter/SRT-01"
SCALE = "dc1/pack/SCL-01"
PACK = "dc1/pack/PK-01"
LANES = ["DOOR-1", "DOOR-2"]


class Story(NamedTuple):
    """`records` in order of arrival."""

    records: list[Record]
    rules: dict[str, Any]


class Told(NamedTuple):
    """A record before it has a number and an arrival. `t` in microseconds of event time."""

    t: int
    src: str
    fields: Record


class Task(NamedTuple):
    """What the teller knows of one task, or of one line without tasks (`task` None)."""

    task: str | None
    order: str
    line: int
    sku: str
    qty: int
    loc: str | None

    @property
    def names(self) -> Record:
        return {"task": self.task} if self.task else {"order": self.order, "line": self.line}


FATES_CALM = ("full", "full", "full", "over")
FATES_LIVELY = (
    *("full",) * 8,
    *("over", "short", "short", "zero", "follow", "deadline", "late_piece", "reverse"),
    *("reverse_full", "cancel", "open", "lower", "raise", "wrong_sku", "twin", "nameless"),
)


class Teller:
    """Tells one story. `draw`: the only source of chance. Times are milliseconds after T0 while telling."""

    def __init__(self, draw: random.Random, lively: bool) -> None:
        self.draw = draw
        self.lively = lively
        self.told: list[Told] = []
        self.tracks_free: dict[str, int] = {}
        self.presses = 0
        self.rules: dict[str, Any] = {}

    def tell(self, t_ms: int, src: str, kind: str, **fields: Any) -> None:
        self.told.append(Told(T0 + t_ms * MS, src, {"kind": kind, **fields}))

    def wms(self, t_ms: int, kind: str, rev: int = 1, **fields: Any) -> None:
        self.tell(t_ms, WMS, kind, rev=rev, **fields)

    def step(self, most: int = 8_000) -> int:
        return GRID_MS * self.draw.randint(1, most // GRID_MS)

    def chance(self, percent: int) -> bool:
        return self.draw.randint(1, 100) <= percent

    # -- one shipment: its orders, its cartons, its way out

    def shipment(self, n: int, t: int) -> int:
        """One shipment from its release on; returns the time after its last fact."""
        name, scope, tasks = f"S-{n}", [], []
        stage = self.chance(40)
        for number in range(self.draw.randint(1, 2)):
            of_order, of_scope = self.order(f"O-{n}{number}", t)
            tasks += of_order
            scope += of_scope
        plan: Record = {"shipment": name, "scope": scope}
        if stage:
            plan |= {"stage_required": True, "lanes": LANES}
        if self.chance(30):
            plan["carrier"] = "UPS"
        self.wms(t + self.draw.randint(0, 10) * GRID_MS, "shipment.plan", **plan)
        self.cartons: list[str] = []
        cartons = self.draw.randint(1, 2)
        shares: list[list[Task]] = [[] for _ in range(cartons)]
        for task in tasks:
            self.draw.choice(shares).append(task)
        wave = self.lively and self.chance(20)
        ends = [
            self.carton(n, number, name, share, scope, t + 3_000 + self.step(), stage)
            for number, share in enumerate(shares)
        ]
        t = max(ends)
        if wave:
            t += 10_000
            orders = sorted({task.order for task in tasks})
            self.wms(min(ends) - 3_000, "wave.released", wave=f"W-{n}", orders=orders, cutoff=T0 + t * MS)
        if self.chance(40):
            # A ready that is due is decided by then: deadlines are over, sources have left, the hold is over.
            t += 30_000 + self.step(20_000)
            tracking = [{"carton": name, "tracking_no": f"1Z{number}"} for number, name in enumerate(self.cartons)]
            self.wms(t, "manifest.result", shipment=name, manifest_no=f"M-{n}", tracking=tracking)
        elif self.lively and self.chance(10):
            t += 30_000 + self.step(20_000)
            self.wms(t, "shipment.cancelled", rev=2, shipment=name)
        return t

    def order(self, order: str, t: int) -> tuple[list[Task], list[Record]]:
        """Releases an order; returns its tasks and what a shipment's scope says of it."""
        lines: list[Record] = []
        tasks: list[Task] = []
        for line in range(1, self.draw.randint(1, 2) + 1):
            sku, loc = self.draw.choice(["A", "B"]), self.draw.choice([None, "L-1"])
            parts = [self.draw.randint(1, 3) for _ in range(self.draw.randint(1, 2))]
            spec: Record = {"line": line, "sku": sku, "qty": sum(parts)}
            if self.chance(20):
                spec |= {"over_tol_pct": 50}
            if self.chance(15):
                spec |= {"short_policy": self.draw.choice(["HOLD", "BACKORDER"])}
            if self.chance(20):
                tasks.append(Task(None, order, line, sku, sum(parts), None))
            else:
                tasks += [Task(f"T-{order}-{line}{i}", order, line, sku, qty, loc) for i, qty in enumerate(parts)]
            if self.lively and tasks[-1].task and self.chance(10):
                spec["qty"] += 1  # a line without tasks has its own short under the same key
                failed = t + 2_000 + self.step()
                self.wms(failed, "alloc.failed", order=order, line=line, qty=1, code="NO_STOCK")
            lines.append(spec)
        self.wms(t, "order.released", order=order, lines=lines)
        if self.lively and self.chance(10):
            fields = {"lines": [1]} if self.chance(50) else {}
            self.wms(t + 3_000 + self.step(30_000), "order.cancelled", rev=2, order=order, **fields)
        return tasks, [{"order": order, "line": spec["line"], "qty": spec["qty"]} for spec in lines]

    # -- one carton: bound, filled, closed, perhaps opened again, sorted

    def carton(
        self, n: int, number: int, shipment: str, share: list[Task], scope: list[Record], t: int, stage: bool
    ) -> int:
        lu, carton = f"TOTE-{n}{number}", f"C-{n}{number}"
        planned = self.chance(70)
        named = planned or self.chance(50)
        self.cartons += [carton] if named else []
        if planned:
            held = {(task.order, task.line): 0 for task in share}
            contents = [{"order": order, "line": line, "qty": 1} for order, line in held] or scope[:1]
            plan: Record = {"carton": carton, "shipment": shipment, "contents": contents}
            if bound := self.chance(50):
                plan["lu"] = lu
            self.wms(t - 2_000, "carton.plan", **plan)
            if not bound:
                self.wms(t - 1_000, "lu.bind", lu=lu, carton=carton)
        opened: Record = {"lu": lu, **({"carton": carton} if named and not planned else {})}
        if not planned or self.chance(50):
            self.tell(t, PACK, "carton.open", **opened)
        if len(share) > 1 and share[0].sku == share[1].sku and self.chance(40):
            t = self.batch(share, lu, t)
            share = share[2:]
        for task in share:
            t = self.work(task, lu, t)
        t += self.step()
        self.tell(t, PACK, "carton.close", **opened)
        if self.chance(50):
            weighed = t + GRID_MS * self.draw.randint(-20, 130)
            self.tell(weighed, SCALE, "weigh", lu=lu, weight_g=self.draw.randint(1, 999))
        if self.lively and self.chance(25):
            t = self.reopen(lu, share, t)
        if stage or self.chance(20):
            t = self.sort(lu, t + GRID_MS * self.draw.randint(20, 160))
        if self.lively and not planned and share and self.chance(40):
            t = self.reuse(n, number, lu, t + 1_000 + self.step())
        return t

    def batch(self, share: Sequence[Task], lu: str, t: int) -> int:
        """One press, with a number, for two tasks at once (R30); told by two devices."""
        both = share[:2]
        for task in both:
            if task.task:
                fields: Record = {"order": task.order, "line": task.line, "sku": task.sku, "qty": task.qty}
                self.wms(t, "pick.task", task=task.task, **fields)
        t += 2_000 + self.step()
        self.presses += 1
        alloc = [{**task.names, "qty": task.qty, "lu": lu} for task in both]
        for station in ("dc1/pick/PUT-01", "dc1/pick/PUT-02"):
            self.tell(t, station, "pick.confirm", sku=both[0].sku, alloc=alloc, press=str(self.presses))
        return t

    def reopen(self, lu: str, share: Sequence[Task], t: int) -> int:
        t += self.step(12_000)
        if share and self.chance(40):
            self.press(self.draw.choice(share), lu, t)
        else:
            self.tell(t, PACK, "carton.reopen", lu=lu)
        if self.chance(80):
            t += self.step(12_000)
            self.tell(t, PACK, "carton.close", lu=lu)
        return t

    def reuse(self, n: int, number: int, lu: str, t: int) -> int:
        """The tote is let go and serves another order without a carton."""
        self.wms(t, "lu.release", lu=lu)
        tasks, _ = self.order(f"R-{n}{number}", t + GRID_MS)
        t += 2_500
        for task in tasks[:1]:
            t = self.work(task, lu, t)
        t += self.step()
        self.tell(t, PACK, "carton.close", lu=lu)
        return t

    def sort(self, lu: str, t: int) -> int:
        track = next((name for name, free in self.tracks_free.items() if free < t), str(len(self.tracks_free) + 1))
        known = self.chance(40)
        self.tell(t, SORTER, "item.inducted", track=track, **({"lu": lu} if known else {}))
        t += self.step(2_000)
        if not known:
            self.tell(t, SORTER, "scan.read", track=track, lu=lu)
            t += self.step(2_000)
        for _ in range(self.draw.choice([0, 0, 0, 1, 2])):
            self.tell(t, SORTER, "item.recirculated", track=track)
            t += self.step(9_000)
        dest = self.draw.choice([*LANES, "REJECT"])
        self.tell(t, SORTER, "divert.confirmed", track=track, dest=dest)
        if self.lively and self.chance(25):
            t += self.step(9_000)
            self.tell(t, SORTER, "item.arrived", lu=lu, loc=self.draw.choice([*LANES, "PARK"]))
        self.tracks_free[track] = t + 4_000
        return t

    # -- one task

    def work(self, task: Task, lu: str, t: int) -> int:
        """Picks a task into a load unit, as its fate has it; the task's context comes a little before."""
        fates = FATES_LIVELY if self.lively else FATES_CALM
        fate = self.draw.choice(
            fates if task.task else ("full", "over", "reverse", "open") if self.lively else FATES_CALM
        )
        t += 2_000
        plan: Record = {"task": task.task, "order": task.order, "line": task.line, "sku": task.sku, "qty": task.qty}
        if task.loc:
            plan["loc"] = task.loc
        if self.chance(30):
            plan["lu"] = lu
        if fate in ("deadline", "late_piece"):
            plan["deadline"] = T0 + (t + 20_000) * MS
        if task.task:
            self.wms(t - 2_000, "pick.task", **plan)
        return int(getattr(self, f"_{fate}")(task, lu, t + self.step(4_000), plan))

    def press(self, task: Task, lu: str, t: int, qty: int = 1, kind: str = "pick.confirm", **more: Any) -> None:
        station = f"dc1/pick/PTL-0{self.draw.randint(1, 2)}"
        where = {"loc": task.loc} if task.loc else {}
        self.tell(t, station, kind, **{**task.names, "sku": task.sku, "qty": qty, "lu": lu, **where, **more})

    def some(self, task: Task, lu: str, t: int, qty: int, most: int = 8_000) -> int:
        """`qty` pieces in one or more presses; returns the time of the last."""
        while qty > 0:
            pressed = self.draw.randint(1, qty)
            t += self.step(most)
            self.press(task, lu, t, pressed)
            qty -= pressed
        return t

    def short(self, task: Task, t: int) -> None:
        where = {"loc": task.loc} if task.loc else {}
        code = self.draw.choice(["EMPTY", "DAMAGED"])
        self.tell(t, "dc1/pick/PTL-01", "pick.short", **task.names, code=code, **where)

    def _full(self, task: Task, lu: str, t: int, plan: Record) -> int:
        return self.some(task, lu, t, task.qty)

    def _nameless(self, task: Task, lu: str, t: int, plan: Record) -> int:
        """The station knows only the order and the line (R20)."""
        return self.some(task._replace(task=None), lu, t, task.qty)

    def _open(self, task: Task, lu: str, t: int, plan: Record) -> int:
        return self.some(task, lu, t, task.qty - 1)

    def _over(self, task: Task, lu: str, t: int, plan: Record) -> int:
        return self.some(task, lu, t, task.qty + 1)

    def _zero(self, task: Task, lu: str, t: int, plan: Record) -> int:
        self.short(task, t)
        return t

    def _short(self, task: Task, lu: str, t: int, plan: Record) -> int:
        t = self.some(task, lu, t, task.qty - 1) + self.step()
        self.short(task, t)
        return t

    def _follow(self, task: Task, lu: str, t: int, plan: Record) -> int:
        return self.some(task, lu, self._short(task, lu, t, plan), 1)

    def _deadline(self, task: Task, lu: str, t: int, plan: Record) -> int:
        return self.some(task, lu, t, task.qty - 1, most=3_000)

    def _late_piece(self, task: Task, lu: str, t: int, plan: Record) -> int:
        self._deadline(task, lu, t, plan)
        return self.some(task, lu, t + 20_000, 1)

    def _reverse(self, task: Task, lu: str, t: int, plan: Record) -> int:
        """A piece goes back before the window is full, and is picked again."""
        if task.qty == 1:
            return self._full(task, lu, t, plan)
        t = self.some(task, lu, t, task.qty - 1) + self.step()
        self.press(task, lu, t, kind="pick.reverse")
        return self.some(task, lu, t, 2)

    def _reverse_full(self, task: Task, lu: str, t: int, plan: Record) -> int:
        """A piece of a full window goes back, and perhaps is picked again."""
        t = self.some(task, lu, t, task.qty) + self.step()
        self.press(task, lu, t, kind="pick.reverse")
        return self.some(task, lu, t, self.draw.randint(0, 1))

    def _cancel(self, task: Task, lu: str, t: int, plan: Record) -> int:
        picked = self.draw.randint(0, task.qty)
        t = self.some(task, lu, t, picked) + self.step()
        self.wms(t, "pick.task_cancelled", rev=2, task=task.task)
        if picked and self.chance(50):
            t += self.step()
            self.press(task, lu, t, picked, kind="pick.reverse")
        elif self.chance(30):
            t += self.step()
            self.press(task, lu, t)
        return t

    def _lower(self, task: Task, lu: str, t: int, plan: Record) -> int:
        """The task's quantity is lowered to what is there."""
        if task.qty == 1:
            return self._full(task, lu, t, plan)
        t = self.some(task, lu, t, task.qty - 1) + self.step()
        self.wms(t, "pick.task", **plan | {"rev": 2, "qty": task.qty - 1})
        return t

    def _raise(self, task: Task, lu: str, t: int, plan: Record) -> int:
        t = self.some(task, lu, t, task.qty - 1) + self.step()
        self.wms(t, "pick.task", **plan | {"rev": 2, "qty": task.qty + 1})
        return self.some(task, lu, t + 2_000, 2)

    def _wrong_sku(self, task: Task, lu: str, t: int, plan: Record) -> int:
        t += self.step()
        self.press(task, lu, t, sku="Z")
        return self._full(task, lu, t, plan)

    def _twin(self, task: Task, lu: str, t: int, plan: Record) -> int:
        """One press, told by two devices (R30)."""
        self.presses += 1
        t = self.some(task, lu, t, task.qty - 1) + self.step()
        for station in ("dc1/pick/PTL-01", "dc1/pick/GUN-01"):
            where = {"loc": task.loc} if task.loc else {}
            fields = {**task.names, "sku": task.sku, "qty": 1, "lu": lu, **where, "press": str(self.presses)}
            self.tell(t, station, "pick.confirm", **fields)
        return t

    # -- arrival

    def noise(self, percent: int) -> None:
        for told in list(self.told):
            if self.chance(percent) and told.src != WMS:
                at = (told.t - T0) // MS + self.draw.randint(-10, 10) * GRID_MS
                self.tell(at, told.src, self.draw.choice(["telemetry", "photo_eye"]), value=self.draw.randint(0, 1))

    def arrive(self) -> list[Record]:
        """Numbers the records of each source in event time (the scale does not number), and lets them arrive."""
        numbers: dict[tuple[str, int], int] = {}
        restarts = {told.src: T0 + self.step(120_000) * MS for told in self.told if self.chance(5)}
        arriving = []
        for told in sorted(self.told, key=lambda told: told.t):
            record: Record = {"src": told.src, **told.fields, "t": told.t}
            if told.src not in (SCALE, WMS):
                life = told.src, int(told.t >= restarts.get(told.src, told.t + 1))
                record |= {"epoch": life[1]} if life[1] else {}
                record["seq"] = numbers[life] = numbers.get(life, 0) + 1
            record["t_rx"] = told.t + self.draw.randint(0, DELAY_MAX_MS) * MS
            arriving.append(record)
        return by_arrival(arriving)


def by_arrival(records: Sequence[Record]) -> list[Record]:
    return sorted(records, key=lambda record: record["t_rx"])


def story(draw: random.Random, lively: bool = True, shipments: int = 1, noise_percent: int = 10) -> Story:
    """One story; `shipments` overlap in time. Any random.Random will do, hypothesis' own too."""
    teller = Teller(draw, lively)
    if lively:
        teller.rules = {"short_on_close": teller.chance(15), "short_at_cutoff": teller.chance(50)}
    t = 0
    for n in range(1, shipments + 1):
        teller.shipment(n, t)
        t += teller.step(6_000)
    teller.noise(noise_percent)
    return Story(teller.arrive(), teller.rules)


def seeded(seed: int, lively: bool = True, shipments: int = 3) -> Story:
    return story(random.Random(seed), lively, shipments)


def stories(lively: bool = True, shipments_max: int = 2) -> st.SearchStrategy[Story]:
    """Small stories that hypothesis can shrink."""
    return st.builds(
        lambda draw, shipments: story(draw, lively, shipments),
        st.randoms(use_true_random=False),
        st.integers(1, shipments_max),
    )


# -- the same story, told otherwise: none of these changes any last revision


def rearrive(records: Sequence[Record], draw: random.Random) -> list[Record]:
    """Other delays within `disorder_ms`, and with them another order of arrival."""
    moved = [
        record if record.get("hist") else record | {"t_rx": record["t"] + draw.randint(0, DELAY_MAX_MS) * MS}
        for record in records
    ]
    return by_arrival(moved)


def repeat(records: Sequence[Record], draw: random.Random, percent: int = 20) -> list[Record]:
    """Any record comes twice, the second time up to 3 s later."""
    again = [r | {"t_rx": r["t_rx"] + draw.randint(0, 3_000) * MS} for r in records if draw.randint(1, 100) <= percent]
    return by_arrival([*records, *again])


TIMES = frozenset({"t", "t_rx", "deadline", "cutoff", "as_of", "ship_by"})
KEYS = frozenset(
    {
        *("order", "task", "lu", "carton", "shipment", "sku", "loc", "dest", "track", "press", "wave"),
        *("from_lu", "parent", "trailer", "codes", "rma", "serial"),
    }
)


def rewrite(value: Any, change: Callable[[str, Any], Any], name: str = "") -> Any:
    """`change(name, leaf)` over a record, lists and nested objects included."""
    if isinstance(value, dict):
        return {key: rewrite(inner, change, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [rewrite(inner, change, name) for inner in value]
    return change(name, value)


def shift(records: Sequence[Record], by_us: int) -> list[Record]:
    return [rewrite(r, lambda name, value: value + by_us if name in TIMES else value) for r in records]


def rename(records: Sequence[Record], prefix: str) -> list[Record]:
    """Every business key gets a prefix, which keeps their order (R20 chooses the smallest id)."""
    names = KEYS | {"lanes", "orders"}
    return [rewrite(r, lambda name, value: prefix + value if name in names else value) for r in records]


def backlog(records: Sequence[Record], src_prefix: str, draw: random.Random) -> list[Record]:
    """Sources below a prefix were cut off: their records come after all others, as `hist`. For calm stories only."""
    records = unshipped(records)
    end = max(record["t_rx"] for record in records) + 30 * S
    late = [r for r in records if r["src"].startswith(src_prefix)]
    cut_off = [r | {"hist": True, "t_rx": end + draw.randint(0, 2_000) * MS} for r in late]
    return by_arrival([r for r in records if r not in late] + cut_off)


def unshipped(records: Sequence[Record]) -> list[Record]:
    """Without manifests: what comes after one changes nothing any more (R29, R52)."""
    return [record for record in records if record["kind"] != "manifest.result"]


def late_context(records: Sequence[Record]) -> list[Record]:
    """Orders and tasks are told after everything was done (R11). For calm stories only."""
    records = unshipped(records)
    end = max(record["t_rx"] for record in records) + 30 * S
    late = ("order.released", "pick.task")
    return by_arrival([r | {"t_rx": end} if r["kind"] in late else r for r in records])
