# cython: boundscheck=False, wraparound=False
"""What the order systems tell (R10, R11): see context.pxd.

First the revision is judged, by one function for all objects; then the one short function of its kind lets it take
effect. `record` is the decoded line: context is rare, and nested.
"""

from ext cimport (
    allocations, carton_alarms, carton_names, cartons, cutoffs, hindsight, inventory, late_facts, line_windows, manifests,
    pick_alarms, pick_names, picks, plans, retasks, returns, shipments, short_on_close, stuck, touches, tracks,
)
from ext.asked cimport asked_now, remember, remember_task
from ext.batch cimport ABSENT
from ext.exceptions cimport CTX_AFTER_CANCEL, CTX_CANCEL_TOO_LATE, CTX_CONFLICT, CTX_OUTDATED
from ext.json_writer cimport Digest, is_same
from ext.families cimport ALLOC, BIND, CARTON, HOLDS, MANIFEST, ORDER, RMA, SHIPMENT, STOCK, TASK, WAVE
from ext.kinds cimport (
    K_ALLOC_FAILED, K_CARTON_PLAN, K_HOLD_RELEASED, K_LU_BIND, K_LU_RELEASE, K_MANIFEST_RESULT, K_ORDER_CANCELLED,
    K_ORDER_CHANGED, K_ORDER_RELEASED, K_PICK_TASK, K_PICK_TASK_CANCELLED, K_SHIPMENT_CANCELLED,
    K_SHIPMENT_PLAN, K_STOCK_EXPECTATION, K_WAVE_RELEASED,
)
from ext.order_data cimport Arrived, ArrivedList, Asked
from ext.plan_data cimport FormerHome
from ext.plans cimport home_at
from ext.shipment_cartons cimport window_has_shipped
from ext.state cimport (
    B_ARRIVED, B_PLANNED, B_REVISION, B_SCOPE_LINE, CartonPlan, Cycle, Order, Planned, PlannedList,
    ScopeLine, Shipment,
)
from ext.store cimport List, find, index_of, last, length, nth, remove
from ext.timers cimport NEVER

from ext.kinds import NAMES
from ext.allocations import POLICIES

# kind -> the family of objects whose revisions it counts in, its name, and the fields that name the object
OBJECTS = {
    "order.released": (ORDER, "order", "order"), "order.changed": (ORDER, "order", "order"),
    "order.cancelled": (ORDER, "order", "order"),
    "pick.task": (TASK, "task", "task"), "pick.task_cancelled": (TASK, "task", "task"),
    "shipment.plan": (SHIPMENT, "shipment", "shipment"), "shipment.cancelled": (SHIPMENT, "shipment", "shipment"),
    "manifest.result": (MANIFEST, "manifest", "shipment"), "carton.plan": (CARTON, "carton", "carton"),
    "wave.released": (WAVE, "wave", "wave"), "rma.authorised": (RMA, "rma", "rma"),
    "alloc.failed": (ALLOC, "alloc", "order", "line"), "stock.expectation": (STOCK, "stock", "loc", "sku", "lot"),
    "lu.bind": (BIND, "bind", "lu", "carton", "order", "task", "parent"),
    "lu.release": (BIND, "bind", "lu", "carton", "order", "task", "parent"), "hold.released": (HOLDS, "hold", "carton"),
}


cdef class Context:
    def __init__(self, Floor floor):
        self.floor = floor

    cdef int take(self, Fact* fact, dict record, Digest content, bytes line) except -1:
        """Judge the revision, then let it take effect."""
        cdef int verdict = self.judge(fact, record, content)
        if verdict == TAKEN:
            self.apply(fact, record, line)
        return verdict

    # ------------------------------------------------------------------------------------------ revisions

    cdef uint64_t key_of(self, const Fact* fact, dict record, int family) except? 0:
        """The object's name as a number, within its family."""
        if family == TASK:
            return fact.task
        if family == ORDER:
            return fact.order
        if family == CARTON or family == HOLDS:
            return fact.carton
        if family == ALLOC:
            return <uint64_t>fact.order << 32 | <uint64_t>fact.line
        if family == SHIPMENT or family == MANIFEST:
            return self.floor.intern(record["shipment"])
        if family == WAVE:
            return self.floor.intern(record["wave"])
        if family == RMA:
            return self.floor.intern(record["rma"])
        if family == STOCK:
            loc, sku = record["loc"], record["sku"]     # whose lengths keep A/B, C from A, B/C
            return self.floor.intern(f"{len(loc)}/{len(sku)}/{loc}/{sku}/{record.get('lot', '')}")
        targets = [f"{name}/{record[name]}" for name in ("carton", "order", "task") if name in record]
        if not targets and "parent" in record:
            targets = [f"parent/{record['parent']}"]
        return <uint64_t>fact.lu << 32 | <uint64_t>self.floor.intern("/".join(targets))

    cdef int judge(self, const Fact* fact, dict record, Digest content) except -1:
        """R10: a higher revision replaces; the same again is a duplicate; everything else is refused."""
        cdef str kind = NAMES[fact.kind]
        cdef int family = OBJECTS[kind][0]
        cdef uint64_t key = self.key_of(fact, record, family)
        cdef Revision* known = <Revision*>find(self.floor.state.revisions[family], key)
        cdef int64_t rev = record["rev"]
        cdef bint same, told = known != NULL, of_lines = fact.kind == K_ORDER_CANCELLED and "lines" in record
        content.a ^= fact.kind           # which the content does not name
        if known == NULL:
            known = <Revision*>self.floor.store.new(B_REVISION, sizeof(Revision))
            self.floor.store.put(self.floor.state.revisions[family], key, known)
        else:
            same = is_same(&content, &known.content)
            if known.cancelled >= UNTOLD and rev < known.rev:       # its cancel has overtaken it
                known.cancelled = CANCELLED if known.cancelled == UNTOLD else PARTLY if of_lines else STANDS
                return TAKEN
            if (known.cancelled == CANCELLED or known.cancelled == UNTOLD) and not (rev == known.rev and same):
                return self.refuse(fact, CTX_AFTER_CANCEL, record, rev)
            if rev == known.rev:
                return SAME if same else self.refuse(fact, CTX_CONFLICT, record, rev)
            if rev < known.rev:
                return self.refuse(fact, CTX_OUTDATED, record, rev)
        known.rev, known.t, known.content = rev, fact.t, content
        told = told and known.cancelled != PARTLY
        if of_lines:
            known.cancelled = STANDS if told else PARTLY
        elif fact.kind == K_PICK_TASK_CANCELLED or fact.kind == K_SHIPMENT_CANCELLED or fact.kind == K_ORDER_CANCELLED:
            known.cancelled = CANCELLED if told else UNTOLD
        else:
            known.cancelled = STANDS
        return TAKEN

    cdef int refuse(self, const Fact* fact, int code, dict record, int64_t rev) except -1:
        names = OBJECTS[NAMES[fact.kind]][1:]
        subject = "/".join([names[0], *(str(record[name]) for name in names[1:] if name in record)])
        self.floor.outlet.raise_(code, self.floor.intern(subject), fact.t, fact, f"rev {rev}")
        return REFUSED

    cdef int apply(self, Fact* fact, dict record, bytes line) except -1:
        cdef int kind = fact.kind
        if kind == K_PICK_TASK:
            return self.pick_task(fact, record)
        if kind == K_ORDER_RELEASED or kind == K_ORDER_CHANGED:
            return self.order(fact, record)
        if kind == K_LU_BIND or kind == K_LU_RELEASE:
            return self.bind(fact, record)
        if kind == K_CARTON_PLAN:
            return self.carton_plan(fact, record)
        if kind == K_SHIPMENT_PLAN:
            return self.shipment_plan(fact, record)
        if kind == K_ORDER_CANCELLED:
            return self.order_cancelled(fact, record)
        if kind == K_PICK_TASK_CANCELLED:
            return self.pick_task_cancelled(fact)
        if kind == K_ALLOC_FAILED:
            return self.alloc_failed(fact)
        if kind == K_WAVE_RELEASED:
            return cutoffs.take(self.floor, fact, record)
        if kind == K_SHIPMENT_CANCELLED:
            return shipments.cancel(self.floor, self.floor.shipment_of(self.floor.intern(record["shipment"])), fact)
        if kind == K_HOLD_RELEASED:
            return self.hold_released(fact)
        if kind == K_MANIFEST_RESULT:
            return self.manifest_result(self.floor.shipment_of(self.floor.intern(record["shipment"])), fact, line)
        if kind == K_STOCK_EXPECTATION:
            return inventory.expect(self.floor, fact, record["rev"], record["as_of"])
        return returns.authorise(self.floor, fact, record)

    cdef int arrive(self, int32_t key, bint is_task) except -1:
        """R11: a task or order became known."""
        cdef Floor floor = self.floor
        cdef int count = floor.state.arrived.count if floor.state.arrived != NULL else 0
        floor.state.arrived = <ArrivedList*>floor.store.room(B_ARRIVED, floor.state.arrived, count)
        floor.state.arrived.items[count] = Arrived(key=key, is_task=is_task)
        return 0

    # ------------------------------------------------------------------------------------------ orders

    cdef int order(self, Fact* fact, dict record) except -1:
        """Its lines, in their latest revision; a line's own window is judged at once by the new quantity (R27a)."""
        cdef Line* line
        cdef Asked said
        cdef bint told
        cdef int i
        self.floor.order_of(fact.order).t = fact.t
        for row in record["lines"]:
            line = self.floor.line_of(fact.order, row["line"])
            said, told = asked_now(line), line.known_t != NEVER
            line.known_t = min(line.known_t, fact.t)
            line.sku = self.floor.intern(row["sku"])
            line.qty = row["qty"]
            line.over_tol_pct = row.get("over_tol_pct", 0)
            line.policy = POLICIES.index(row.get("short_policy", "SHIP_PARTIAL"))
            if told:
                remember(self.floor, line, &said, fact.t)
            if told or fact.kind == K_ORDER_CHANGED:    # R10: it may be the first that is heard of the order
                pick_alarms.expect_cover(self.floor, line, fact)
            if line.own != NULL:
                retasks.change_sku(self.floor, line.own, line.sku)
                retasks.change_qty(self.floor, line.own, line.qty, fact, False)
                pick_alarms.watch(self.floor, line.own, fact.t)
            for i in range(length(line.windows)):
                picks.decide(self.floor, <PickWindow*>nth(line.windows, i), fact)
            if line.changed.alloc_by != NULL:
                allocations.tell(self.floor, line)
            hindsight.take_word(self.floor, line, fact)
        return self.arrive(fact.order, False)

    cdef int order_cancelled(self, Fact* fact, dict record) except -1:
        """R27: of the whole order or of some lines, at its event time; also of what is told of it only later."""
        cdef Order* order = self.floor.order_of(fact.order)
        cdef Line* line
        cdef int i
        numbers = record.get("lines")
        if numbers is None:
            order.cancelled_by = fact
        else:
            for number in numbers:
                self.floor.line_of(fact.order, number)
        for i in range(length(order.lines)):
            line = <Line*>nth(order.lines, i)
            if numbers is None or line.number in numbers:
                self.cancel_line(line, fact)
        return carton_alarms.watch_mismatched(self.floor, fact.t)

    cdef int cancel_line(self, Line* line, Fact* fact) except -1:
        """R27: of all its windows but those that have left, and of the line itself unless its only shipment has."""
        cdef PickWindow* window
        cdef List* late = NULL
        cdef int i
        for i in range(length(line.windows)):
            window = <PickWindow*>nth(line.windows, i)
            if self.refuse_too_late(window, fact):
                self.floor.store.append(&late, window)
        if fact.t < line.changed.cancel_t and (late == NULL or length(line.scopes) > 1):
            self.floor.changing(line).cancelled_by = fact
            self.floor.changing(line).cancel_t = fact.t
        for i in range(length(line.windows)):
            window = <PickWindow*>nth(line.windows, i)
            if index_of(late, window) < 0:
                picks.cancel(self.floor, window, fact)
        self.floor.store.free(late)
        return hindsight.take_word(self.floor, line, fact)

    cdef bint refuse_too_late(self, const PickWindow* window, const Fact* fact) except -1:
        """R27: after the manifest a cancel is an exception, and changes nothing."""
        if not window_has_shipped(window, fact.t, self.floor.state.watermark):
            return False
        self.floor.outlet.raise_(CTX_CANCEL_TOO_LATE, pick_names.subject_text(self.floor, window), fact.t, fact, "")
        return True

    cdef int alloc_failed(self, Fact* fact) except -1:
        """R23: at once a short of the line itself; it closes no window; a higher rev revises it."""
        cdef Line* line = self.floor.line_of(fact.order, fact.line)
        cdef Asked said = asked_now(line)
        cdef bint told = line.changed.alloc_by != NULL
        self.floor.changing(line).alloc_t = min(line.changed.alloc_t, fact.t)
        self.floor.changing(line).alloc_by = fact
        if told:
            remember(self.floor, line, &said, fact.t)
        allocations.tell(self.floor, line)
        carton_alarms.watch_mismatched(self.floor, fact.t)
        return hindsight.take_word(self.floor, line, fact)

    # ------------------------------------------------------------------------------------------ tasks

    cdef int pick_task(self, Fact* fact, dict record) except -1:
        """R20, R27a: a task is told, or told anew; it has one window."""
        cdef Floor floor = self.floor
        cdef Line* line = floor.line_of(fact.order, fact.line)
        cdef PickWindow* window = <PickWindow*>find(floor.state.tasks, fact.task)
        cdef bint new = window == NULL
        cdef bint moved = False
        cdef const Fact* closed_by = NULL if new else window.trouble.closed_by
        if new:
            window = picks.new_window(floor, line, fact.task)
            floor.store.put(floor.state.tasks, fact.task, window)
            window.sku, window.loc, window.lu = fact.sku, fact.loc, fact.lu
        elif window.line != line:
            moved = True
            retasks.change_line(floor, window, line, fact)
        retasks.change_qty(floor, window, fact.qty, fact, new)
        if window.loc != fact.loc or window.lu != fact.lu or (not new and floor.rules.stuck):
            remember_task(floor, window, fact.t)
        retasks.change_place(floor, window, fact)
        retasks.change_sku(floor, window, fact.sku)
        retasks.change_unit(floor, window, fact.lu, fact)
        window.planned_t = min(window.planned_t, fact.t)    # R20: from its first revision on
        if new:
            retasks.take_cancels(floor, window)
            picks.take_cutoffs(floor, window)
        if line.changed.alloc_by != NULL:
            allocations.tell(self.floor, line)
        pick_alarms.watch(floor, window, fact.t)
        self.set_deadline(window, fact, record, closed_by)
        if (new or moved) and line.own != NULL:
            line_windows.meet_first_task(floor, line, fact)
        if fact.lu and new:
            floor.store.append(&floor.unit_of(fact.lu).destined, window)
            short_on_close.ask_closes(floor, floor.unit_of(fact.lu))
        picks.decide(floor, window, fact)
        hindsight.take_word(floor, line, fact)
        self.arrive(fact.task, True)
        return self.arrive(fact.order, False)

    cdef int set_deadline(self, PickWindow* window, Fact* fact, dict record, const Fact* closed_by) except -1:
        """R21 d; a new revision may move it. `closed_by`: what had closed the window before."""
        cdef Fact* before
        if window.deadline != NULL and record.get("deadline") == window.deadline.t:
            return 0
        before, window.deadline = window.deadline, NULL
        if "deadline" in record:
            window.deadline = cutoffs.at_time(self.floor, fact, record["deadline"])
            picks.take_closing(self.floor, window, window.deadline)
        return picks.move_closing(self.floor, window, before, fact, closed_by)

    cdef int pick_task_cancelled(self, Fact* fact) except -1:
        """R27: of that window alone; R10: it may be the first that is heard of the task."""
        cdef PickWindow* window = <PickWindow*>find(self.floor.state.tasks, fact.task)
        if window == NULL:
            return retasks.keep_cancel(self.floor, fact)
        if self.refuse_too_late(window, fact):
            return 0
        picks.cancel(self.floor, window, fact)
        return hindsight.take_word(self.floor, window.line, fact)

    # ------------------------------------------------------------------------------------------ cartons and units

    cdef int carton_plan(self, Fact* fact, dict record) except -1:
        """R40a, R50a, R53: what the carton shall hold, which shipment it is for, which unit carries it."""
        cdef Floor floor = self.floor
        cdef CartonPlan* plan = floor.carton_of(fact.carton)
        cdef Shipment* before = plan.shipment
        cdef FormerHome home = home_at(NULL, fact.t)
        cdef int i
        rows = record.get("contents")
        home.shipment = floor.shipment_of(floor.intern(record["shipment"])) if "shipment" in record else NULL
        home.weight_g, home.tol_g = record.get("weight_g", ABSENT), record.get("tol_g", ABSENT)
        home.withdrawn = not rows and record["rev"] > 1
        home.has_contents = rows is not None
        for i, row in enumerate(rows or ()):
            home.contents = <PlannedList*>floor.store.room(B_PLANNED, home.contents, i)
            home.contents.items[i] = Planned(
                line=floor.line_of(floor.intern(row["order"]), row["line"]), qty=row["qty"])
        plans.replace_home(floor, plan, &home, fact.t)
        plan.fact = fact
        stuck.on_plan(floor, plan, fact)
        if fact.lu:
            fact.target = floor.joined(b"carton/", fact.carton)
            shipments.take_unit_fact(floor, fact)
        if before != NULL and before != plan.shipment:
            touches.touch(floor, before, fact.t, fact)
        if plan.shipment != NULL:
            touches.touch(floor, plan.shipment, fact.t, fact)
        late_facts.judge_again(floor, plan.cycles)
        for i in range(length(plan.cycles)):
            cartons.watch_alarms(floor, <Cycle*>nth(plan.cycles, i), fact.t)
            shipments.touch_cycle(floor, <Cycle*>nth(plan.cycles, i), fact)
        return 0

    cdef int bind(self, Fact* fact, dict record) except -1:
        """R40: a bind may begin a cycle, a release ends it; both at their event time. R48: what names only a parent does
        neither."""
        cdef Floor floor = self.floor
        fact.target = 0
        if fact.carton:
            fact.target = floor.joined(b"carton/", fact.carton)
        elif fact.order:
            fact.target = floor.joined(b"order/", fact.order)
        elif fact.task:
            fact.target = floor.joined(b"task/", fact.task)
        fact.parent = floor.intern(record["parent"]) if "parent" in record else 0
        shipments.take_unit_fact(floor, fact)
        if fact.parent and fact.kind == K_LU_BIND:
            shipments.touch_ride(floor, floor.unit_of(fact.lu), fact)
        return 0

    cdef int hold_released(self, Fact* fact) except -1:
        """R45: somebody looked at it and let it go."""
        cdef CartonPlan* plan = self.floor.carton_of(fact.carton)
        cdef List* cycles
        cdef int i
        self.floor.insert_sorted(&plan.releases, fact)
        cycles = carton_names.cycles_named(self.floor, plan)
        for i in range(length(cycles)):
            cartons.watch_alarms(self.floor, <Cycle*>nth(cycles, i), fact.t)
            shipments.touch_cycle(self.floor, <Cycle*>nth(cycles, i), fact)
        self.floor.store.free(cycles)
        return 0

    # ------------------------------------------------------------------------------------------ shipments

    cdef int shipment_plan(self, Fact* fact, dict record) except -1:
        """R50: its scope, where it must stand, and everything that is known of it already."""
        cdef Floor floor = self.floor
        cdef Shipment* shipment = floor.shipment_of(floor.intern(record["shipment"]))
        cdef List* before = shipment.scope
        plans.replace_plan(floor, shipment, fact.t)
        replace_scope(floor, shipment, record["scope"])
        shipment.plan_rev, shipment.planned_t = record["rev"], fact.t
        shipment.stage_required = record.get("stage_required", False)
        floor.store.free(shipment.lanes)
        shipment.lanes = NULL
        for lane in record.get("lanes", ()):
            floor.store.add_number(&shipment.lanes, floor.intern(lane))
        shipment.cutoff = record.get("cutoff", NEVER)
        shipment.carrier = floor.intern(record["carrier"]) if "carrier" in record else 0
        fact.target = shipment.id
        shipments.touch_sharing(floor, shipment, before, fact)
        shipments.touch_sharing(floor, shipment, shipment.scope, fact)
        floor.store.free(before)
        return hindsight.touch_all(floor, shipment, fact)

    cdef int manifest_result(self, Shipment* shipment, Fact* fact, bytes line) except -1:
        """R54: it counts from its arrival on, and ends what waits to be told."""
        if shipment.manifest_t == NEVER:
            tracks.resolve_settled(self.floor)
        shipments.tell_lasted(self.floor, shipment, fact.t)
        return manifests.take_result(self.floor, shipment, fact, line)


cdef int replace_scope(Floor floor, Shipment* shipment, list rows) except -1:
    """R50: the lines that the shipment plans from now on; one that is named twice is planned as the sum. The list of before
    is the caller's, to be freed."""
    cdef ScopeLine* scope
    cdef Line* line
    cdef int i
    for i in range(length(shipment.scope)):
        scope = <ScopeLine*>nth(shipment.scope, i)
        remove(&scope.line.scopes, scope)
    shipment.scope = NULL
    for row in rows:
        line = floor.line_of(floor.intern(row["order"]), row["line"])
        scope = <ScopeLine*>last(line.scopes) if length(line.scopes) else NULL
        if scope != NULL and scope.shipment == shipment:
            scope.qty += row["qty"]
            continue
        scope = <ScopeLine*>floor.store.new(B_SCOPE_LINE, sizeof(ScopeLine))
        scope.line, scope.shipment, scope.qty = line, shipment, row["qty"]
        floor.store.append(&line.scopes, scope)
        floor.store.append(&shipment.scope, scope)
    return 0
