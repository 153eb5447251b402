"""What the order systems tell (R10, R11): see context.pxd.

First the revision is judged, by one function for all objects; then the one short function of its kind lets it take
effect. `record` is the decoded line: context is rare, and nested.
"""

import hashlib

import msgspec

from ext cimport cartons, inventory, manifests, picks, returns, shipments
from ext.batch cimport ABSENT
from ext.floor cimport CartonPlan, Cycle, Line, LoadUnit, PickWindow, ScopeLine, Shipment
from ext.kinds cimport (
    K_ALLOC_FAILED, K_CARTON_PLAN, K_HOLD_RELEASED, K_LU_BIND, K_LU_RELEASE, K_MANIFEST_RESULT, K_ORDER_CANCELLED,
    K_ORDER_CHANGED, K_ORDER_RELEASED, K_PICK_TASK, K_PICK_TASK_CANCELLED, K_SHIPMENT_CANCELLED, K_SHIPMENT_PLAN,
    K_RMA_AUTHORISED, K_STOCK_EXPECTATION, K_WAVE_RELEASED,
)
from ext.timers cimport NEVER

from ext.kinds import NAMES

cdef object encode = msgspec.json.Encoder(order="sorted").encode

cdef tuple ENVELOPE = ("src", "epoch", "seq", "sub", "t", "t_rx", "hist")
cdef set POLICIES = {"SHIP_PARTIAL", "HOLD", "CANCEL_LINE", "BACKORDER"}

# kind -> the family of objects whose revisions it counts in, and the fields that name the object
OBJECTS = {
    "order.released": ("order", "order"), "order.changed": ("order", "order"), "order.cancelled": ("order", "order"),
    "pick.task": ("task", "task"), "pick.task_cancelled": ("task", "task"),
    "shipment.plan": ("shipment", "shipment"), "shipment.cancelled": ("shipment", "shipment"),
    "manifest.result": ("manifest", "shipment"), "carton.plan": ("carton", "carton"), "wave.released": ("wave", "wave"),
    "rma.authorised": ("rma", "rma"), "alloc.failed": ("alloc", "order", "line"),
    "stock.expectation": ("stock", "loc", "sku", "lot"), "lu.bind": ("bind", "lu", "carton", "order", "task"),
    "lu.release": ("bind", "lu", "carton", "order", "task"), "hold.released": ("hold", "carton"),
}


cdef class Revision:
    cdef long long rev
    cdef bytes content
    cdef bint cancelled
    cdef long long t            # event time of the last one


class Unfit(Exception):
    """A nested field is not what its kind says."""


cdef class Context:
    def __init__(self, Floor floor):
        self.floor = floor
        self.objects = {}

    cdef int take(self, Fact fact, dict record) except -1:
        """Judge the revision, then let it take effect."""
        cdef str kind = NAMES[fact.kind]
        cdef int verdict
        try:
            CHECKS.get(kind, nothing_to_check)(record)
        except (KeyError, TypeError, ValueError) as error:
            raise Unfit(str(error)) from None
        verdict = self.judge(fact, kind, record)
        if verdict == TAKEN:
            self.apply(fact, record)
        return verdict

    def judge(self, Fact fact, str kind, dict record):
        """R10: a higher revision replaces; the same again is a duplicate; everything else is refused."""
        names = OBJECTS[kind]
        key = (names[0], *(record.get(name) for name in names[1:]))
        content = hashlib.blake2b(
            encode({name: value for name, value in record.items() if name not in ENVELOPE}), digest_size=16).digest()
        cdef Revision known = self.objects.get(key)
        cdef long long rev = record["rev"]
        subject = f"{names[0]}/" + "/".join(str(part) for part in key[1:] if part is not None)
        if known is None:
            known = self.objects[key] = Revision()
        elif known.cancelled and not (rev == known.rev and content == known.content):
            return self.refuse(fact, "CTX_AFTER_CANCEL", subject, rev)
        elif rev == known.rev:
            return SAME if content == known.content else self.refuse(fact, "CTX_CONFLICT", subject, rev)
        elif rev < known.rev:
            return self.refuse(fact, "CTX_OUTDATED", subject, rev)
        known.rev = rev
        known.t = fact.t
        known.content = content
        known.cancelled = kind in ("pick.task_cancelled", "shipment.cancelled") or (
            kind == "order.cancelled" and "lines" not in record)
        return TAKEN

    def forget(self, set families, long long before):
        """Revisions of objects that nothing hangs on, once they are old enough."""
        for key in list(self.objects):
            if key[0] in families and (<Revision>self.objects[key]).t < before:
                del self.objects[key]

    def refuse(self, Fact fact, str code, str subject, rev):
        self.floor.outlet.raise_(code, subject, fact.t, self.floor.dev_id(fact), f"rev {rev}")
        return REFUSED

    def apply(self, Fact fact, dict record):
        cdef int kind = fact.kind
        if kind == K_ORDER_RELEASED or kind == K_ORDER_CHANGED:
            self.order(fact, record)
        elif kind == K_ORDER_CANCELLED:
            self.order_cancelled(fact, record)
        elif kind == K_PICK_TASK:
            self.pick_task(fact, record)
        elif kind == K_PICK_TASK_CANCELLED:
            self.pick_task_cancelled(fact, record)
        elif kind == K_ALLOC_FAILED:
            self.alloc_failed(fact, record)
        elif kind == K_WAVE_RELEASED:
            self.wave(fact, record)
        elif kind == K_CARTON_PLAN:
            self.carton_plan(fact, record)
        elif kind == K_SHIPMENT_PLAN:
            self.shipment_plan(fact, record)
        elif kind == K_SHIPMENT_CANCELLED:
            shipments.cancel(self.floor, self.floor.shipment_of(self.number(record["shipment"])), fact)
        elif kind == K_LU_BIND or kind == K_LU_RELEASE:
            self.bind(fact, record)
        elif kind == K_HOLD_RELEASED:
            self.hold_released(fact, record)
        elif kind == K_MANIFEST_RESULT:
            manifests.take_result(self.floor, self.floor.shipment_of(self.number(record["shipment"])), fact, record)
        elif kind == K_STOCK_EXPECTATION:
            inventory.expect(self.floor, fact, record["rev"], record["as_of"])
        elif kind == K_RMA_AUTHORISED:
            returns.authorise(self.floor, fact, record)

    def number(self, text):
        return self.floor.texts.number(text)

    # ------------------------------------------------------------------------------------------ orders

    def order(self, Fact fact, dict record):
        """Its lines, in their latest revision; a line's own window is judged at once by the new quantity (R27a)."""
        cdef Line line
        for row in record["lines"]:
            line = self.floor.line_of(fact.order, row["line"])
            line.known = True
            line.sku = self.number(row["sku"])
            line.qty = row["qty"]
            line.over_tol_pct = row.get("over_tol_pct", 0)
            line.policy = row.get("short_policy", "SHIP_PARTIAL")
            if line.own is not None:
                if line.own.q_task != line.qty:
                    line.own.decided = None
                line.own.q_task = line.qty
            for window in line.windows:
                picks.decide(self.floor, window, fact)
            if line.alloc_by is not None:
                self.tell_alloc(line)
            shipments.touch_line(self.floor, line, fact.t, fact)
        self.floor.arrived.append(("order", fact.order))

    def order_cancelled(self, Fact fact, dict record):
        """R27: of the whole order or of some lines, at its event time."""
        cdef Line line
        numbers = record.get("lines")
        if numbers is not None:
            for number in numbers:
                self.floor.line_of(fact.order, number)
        for line in self.floor.orders.get(fact.order, ()):
            if numbers is None or line.number in numbers:
                self.cancel_line(line, fact)

    def cancel_line(self, Line line, Fact fact):
        late = [window for window in line.windows if self.is_too_late(window, fact)]
        if fact.t < line.cancel_t and (not late or len(line.scopes) > 1):
            line.cancel_t, line.cancelled_by = fact.t, fact
        for window in line.windows:
            if window not in late:
                picks.cancel(self.floor, window, fact)
        shipments.touch_line(self.floor, line, fact.t, fact)

    def is_too_late(self, PickWindow window, Fact fact):
        """R27: after the manifest a cancel is an exception, and changes nothing."""
        if not shipments.window_has_shipped(self.floor, window, fact.t):
            return False
        self.floor.outlet.raise_("CTX_CANCEL_TOO_LATE", picks.subject_of(self.floor, window), fact.t,
                                 self.floor.dev_id(fact), "")
        return True

    def wave(self, Fact fact, dict record):
        """R21 d: with `short_at_cutoff` the wave's cutoff closes what its orders have not picked."""
        cdef Line line
        cdef Fact cutoff
        if "cutoff" not in record or not self.floor.rules.short_at_cutoff:
            return
        cutoff = at_time(fact, record["cutoff"])
        for order in record["orders"]:
            self.floor.cutoffs[self.number(order)] = cutoff
            for line in self.floor.orders.get(self.number(order), ()):
                for window in line.windows:
                    picks.take_closing(self.floor, window, cutoff)
                shipments.touch_line(self.floor, line, cutoff.t, cutoff)

    def alloc_failed(self, Fact fact, dict record):
        """R23: at once a short of the line itself; it closes no window; a higher rev revises it."""
        cdef Line line = self.floor.line_of(fact.order, fact.line)
        line.alloc_short = record["qty"]
        line.alloc_t = min(line.alloc_t, fact.t)
        line.alloc_by = fact
        self.tell_alloc(line)
        shipments.touch_line(self.floor, line, fact.t, fact)

    def tell_alloc(self, Line line):
        """It waits for the order (or a task), which says what it is of. Under the line's own key, like the short of a
        line's own window: one ledger, so that neither tells the other's revision again (R81)."""
        cdef Fact fact = line.alloc_by
        cdef str order = self.floor.text(line.order), key = f"{order}/{line.number}"
        cdef PickWindow window
        if line.own is not None and line.own.short is not None:
            return
        sku = line.sku
        for window in line.windows:
            sku = sku or window.sku
        if not sku:
            return
        if line.alloc_ledger is None:
            line.alloc_ledger = self.floor.outlet.ledger("pick.short", key, f"line/{key}", order)
        data = {
            "order": order, "line": line.number, "sku": self.floor.text(sku), "qty_task": line.alloc_short,
            "qty_picked": 0, "qty_short": line.alloc_short, "reason": self.floor.text(fact.code),
            "decided_by": "ALLOC", "t_close": fact.t,
        }
        if line.known:
            data["policy"] = line.policy
        self.floor.outlet.emit(line.alloc_ledger, data, fact.t, order, self.floor.dev_id(fact), "exact")

    # ------------------------------------------------------------------------------------------ tasks

    def pick_task(self, Fact fact, dict record):
        """R20: a task has one window; the first task of a line takes over a line window that has told nothing."""
        cdef Line line = self.floor.line_of(fact.order, fact.line)
        cdef PickWindow window = self.floor.tasks.get(fact.task)
        cdef bint new = window is None
        if new:
            window = self.window_of_task(fact, line)
        elif window.line is not line:
            window.line.windows.remove(window)
            line.windows.append(window)
        window.line = line
        if window.q_task != record["qty"]:
            window.decided = None       # R27a: judged anew
        window.q_task, window.sku = record["qty"], fact.sku
        window.loc, window.lu = fact.loc, fact.lu
        window.planned_by = fact
        if new and line.cancel_t != NEVER:
            picks.cancel(self.floor, window, line.cancelled_by)
        if line.alloc_by is not None:
            self.tell_alloc(line)
        self.set_deadline(window, fact, record)
        if fact.lu and new:
            (<LoadUnit>self.floor.unit_of(fact.lu)).destined.append(window)
        picks.decide(self.floor, window, fact)
        shipments.touch_line(self.floor, line, fact.t, fact)
        self.floor.arrived.append(("task", fact.task))
        self.floor.arrived.append(("order", fact.order))

    def window_of_task(self, Fact fact, Line line):
        cdef PickWindow window = line.own
        if window is not None and window.confirmed is None and window.short is None:
            line.own = None
        else:
            window = PickWindow()
            line.windows.append(window)
            if line.order in self.floor.cutoffs:
                window.line, window.key = line, self.floor.text(fact.task)
                picks.take_closing(self.floor, window, self.floor.cutoffs[line.order])
        window.task = fact.task
        window.key = self.floor.text(fact.task)
        self.floor.tasks[fact.task] = window
        return window

    def set_deadline(self, PickWindow window, Fact fact, dict record):
        """R21 d; a new revision may move it."""
        if window.deadline is not None and window.deadline in window.closings:
            window.closings.remove(window.deadline)
            if window.decided is window.deadline:
                window.decided = None
        window.deadline = None
        if "deadline" in record:
            window.deadline = at_time(fact, record["deadline"])
            picks.take_closing(self.floor, window, window.deadline)
            shipments.touch_line(self.floor, window.line, window.deadline.t, window.deadline)

    def pick_task_cancelled(self, Fact fact, dict record):
        cdef PickWindow window = self.floor.tasks.get(fact.task)
        if window is not None and not self.is_too_late(window, fact):
            picks.cancel(self.floor, window, fact)
            shipments.touch_line(self.floor, window.line, fact.t, fact)

    # ------------------------------------------------------------------------------------------ cartons and units

    def carton_plan(self, Fact fact, dict record):
        """R40a, R50a, R53: what the carton shall hold, which shipment it is for, which unit carries it."""
        cdef CartonPlan plan = self.floor.carton_of(fact.carton)
        cdef Shipment before = plan.shipment
        cdef Cycle cycle
        plan.rev, plan.t, plan.fact = record["rev"], fact.t, fact
        plan.shipment = self.floor.shipment_of(self.number(record["shipment"])) if "shipment" in record else None
        rows = record.get("contents")
        plan.contents = None if rows is None else [
            (self.floor.line_of(self.number(row["order"]), row["line"]), row["qty"]) for row in rows]
        plan.weight_g, plan.tol_g = record.get("weight_g", ABSENT), record.get("tol_g", ABSENT)
        plan.withdrawn = not rows and plan.rev > 1
        if before is not None and before is not plan.shipment:
            before.plans.pop(fact.carton, None)
            shipments.touch(self.floor, before, fact.t, fact)
        if plan.shipment is not None:
            plan.shipment.plans[fact.carton] = plan
            shipments.touch(self.floor, plan.shipment, fact.t, fact)
        for cycle in plan.cycles:
            cartons.watch_holds(self.floor, cycle, fact.t)
            shipments.touch_cycle(self.floor, cycle, fact)
        if fact.lu:
            fact.target = self.number(f"carton/{record['carton']}")
            shipments.take_unit_fact(self.floor, fact)

    def bind(self, Fact fact, dict record):
        """R40: a bind may begin a cycle, a release ends it; both at their event time."""
        for name in ("carton", "order", "task"):
            if name in record:
                fact.target = self.number(f"{name}/{record[name]}")
                break
        if "parent" in record:
            fact.parent = self.number(record["parent"])
        shipments.take_unit_fact(self.floor, fact)
        if fact.parent and fact.kind == K_LU_BIND:
            shipments.touch_ride(self.floor, self.floor.unit_of(fact.lu), fact)

    def hold_released(self, Fact fact, dict record):
        """R45: somebody looked at it and let it go."""
        cdef CartonPlan plan = self.floor.carton_of(fact.carton)
        plan.released_by = fact
        for cycle in cartons.cycles_named(self.floor, plan):
            cartons.watch_holds(self.floor, cycle, fact.t)
            shipments.touch_cycle(self.floor, cycle, fact)

    # ------------------------------------------------------------------------------------------ shipments

    def shipment_plan(self, Fact fact, dict record):
        """R50: its scope, where it must stand, and everything that is known of it already."""
        cdef Shipment shipment = self.floor.shipment_of(self.number(record["shipment"]))
        cdef ScopeLine scope
        cdef Line line
        for scope in shipment.scope:
            scope.line.scopes.remove(scope)
        shipment.scope = []
        for row in record["scope"]:
            line = self.floor.line_of(self.number(row["order"]), row["line"])
            scope = ScopeLine.__new__(ScopeLine)
            scope.line, scope.shipment, scope.qty = line, shipment, row["qty"]
            line.scopes.append(scope)
            shipment.scope.append(scope)
        shipment.plan_rev, shipment.plan_t = record["rev"], fact.t
        shipment.stage_required = record.get("stage_required", False)
        shipment.lanes = {self.number(lane) for lane in record.get("lanes", ())}
        shipment.cutoff = record.get("cutoff", NEVER)
        shipment.carrier = record.get("carrier")
        shipments.touch_all(self.floor, shipment, fact)


cdef Fact at_time(Fact fact, long long t):
    """What a context record sets for later (a deadline, a cutoff), named by that record. Its bound counts from `t`."""
    cdef Fact later = Fact.__new__(Fact)
    later.t = later.t_rx = t
    later.kind, later.src, later.epoch, later.seq, later.sub = fact.kind, fact.src, fact.epoch, fact.seq, fact.sub
    later.name, later.context, later.arrival = fact.name, True, fact.arrival
    return later


# ---------------------------------------------------------------------------------------------- nested fields

def nothing_to_check(record):
    """Flat fields were checked by the decoder."""


def check_lines(record):
    for row in record["lines"]:
        need(row, "lines[]", line=int, sku=str, qty=int)
        if row.get("short_policy", "SHIP_PARTIAL") not in POLICIES:
            raise ValueError(f"lines[].short_policy: one of {', '.join(sorted(POLICIES))}")
        if not isinstance(row.get("over_tol_pct", 0), int):
            raise ValueError("lines[].over_tol_pct: integer expected")


def check_rma(record):
    for row in record["lines"]:
        need(row, "lines[]", sku=str, qty=int)


def check_cancel(record):
    if not all(type(number) is int and number >= 0 for number in record.get("lines", ())):
        raise ValueError("lines: a list of line numbers expected")


def check_contents(record):
    for row in record.get("contents", ()):
        need(row, "contents[]", order=str, line=int, qty=int)


def check_scope(record):
    for row in record["scope"]:
        need(row, "scope[]", order=str, line=int, qty=int)


def check_tracking(record):
    for row in record.get("tracking", ()):
        need(row, "tracking[]", carton=str, tracking_no=str)


def need(row, where, **types):
    if not isinstance(row, dict):
        raise ValueError(f"{where}: object expected")
    for name, kind in types.items():
        value = row.get(name)
        if type(value) is not kind or (kind is int and not 0 <= value < 2**31 * (1 if name == "line" else 2**31)):
            raise ValueError(f"{where}.{name}: {'integer' if kind is int else 'text'} expected")


CHECKS = {
    "order.released": check_lines, "order.changed": check_lines, "order.cancelled": check_cancel,
    "carton.plan": check_contents, "shipment.plan": check_scope, "manifest.result": check_tracking,
    "rma.authorised": check_rma,
}
