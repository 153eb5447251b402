"""What a record does: it is handed to the window that it concerns, and so is the time that has come.

`apply` knows which window a kind concerns, `due_by_watermark` and `due_by_wall` which one asked to be called. A record
whose task or order is unknown waits here (R11). The rules themselves stand in the windows.
"""

from ext cimport (
    cartons, cycles, gaps, holds, inventory, manifests, packing, picks, premises, shipments, sights, tracks,
    trailers,
)
from ext.batch cimport ABSENT, F_ALLOC
from ext.floor cimport Cycle, Floor, Gap, Line, LoadUnit, Shipment, TrackLife
from ext.kinds cimport (
    K_CARTON_CLOSE, K_CARTON_OPEN, K_CARTON_REOPEN, K_CARTON_VOID, K_DIVERT_CONFIRMED, K_IDENT_ASSIGNED,
    K_ITEM_ARRIVED, K_ITEM_INDUCTED, K_ITEM_LOST, K_ITEM_RECIRCULATED, K_ITEM_STRAY, K_LABEL_VERIFIED,
    K_LOAD_REMOVED, K_LOAD_SCANNED, K_PACK_CONFIRM, K_PICK_CONFIRM, K_PICK_REVERSE, K_PICK_SHORT, K_SCAN_MULTIREAD,
    K_SCAN_NOREAD, K_SCAN_READ, K_TRAILER_CLOSED, K_WEIGH,
)
from ext.timers cimport RANK_CONTEXT, RANK_PICK, RANK_TRACK

cdef enum EffectTag:
    TAG_MISSING = 41        # R11: the context did not come
    TAG_DEAD = 42           # nor within `lateness_ms`
    TAG_IN_ORDER = 43       # R20: everything before a pick that names only its line is known


cdef class Waiting:
    pass


cdef class Effects(Clocks):
    def __init__(self, Floor floor, dict rules, list settings):
        super().__init__(floor, rules, settings)
        self.waiting = {}

    cdef Fact fact_of(self, Batch batch, Py_ssize_t i, int64_t t):
        cdef Fact fact = Fact.__new__(Fact)
        self.floor.arrivals += 1
        fact.t, fact.t_rx, fact.arrival = t, batch.t_rx[i], self.floor.arrivals
        fact.src, fact.epoch, fact.seq, fact.sub = batch.src[i], batch.epoch[i], batch.seq[i], batch.sub[i]
        fact.kind = batch.kind[i]
        fact.qty, fact.weight_g = batch.qty[i], batch.weight_g[i]
        fact.task, fact.order, fact.line, fact.sku = batch.task[i], batch.order[i], batch.line[i], batch.sku[i]
        fact.lu, fact.carton, fact.track, fact.lot = batch.lu[i], batch.carton[i], batch.track[i], batch.lot[i]
        fact.loc, fact.dest, fact.dest_req = batch.loc[i], batch.dest[i], batch.dest_req[i]
        fact.code, fact.press = batch.code[i], batch.press[i]
        return fact

    # ------------------------------------------------------------------------------------------ taking effect

    cdef bint apply(self, Fact fact, Batch batch, Py_ssize_t i) except -1:
        """Hand the fact to the window that it concerns. False: it says nothing new (R30)."""
        cdef int kind = fact.kind
        cdef Floor floor = self.floor
        if fact.lu:
            sights.note(floor, fact)
            tracks.see(floor, fact)
        if kind == K_PICK_CONFIRM or kind == K_PICK_REVERSE or kind == K_PICK_SHORT:
            floor.pick_sources.add(fact.src)
            return self.take_entries(fact, self.entries_of(fact, batch, i))
        if kind in (K_CARTON_OPEN, K_CARTON_CLOSE, K_CARTON_REOPEN, K_CARTON_VOID, K_LABEL_VERIFIED,
                    K_LOAD_SCANNED, K_LOAD_REMOVED):
            if kind == K_LABEL_VERIFIED:
                fact.record = batch.fields(i)
            elif kind == K_LOAD_SCANNED or kind == K_LOAD_REMOVED:
                fact.trailer = floor.texts.number(batch.fields(i)["trailer"])
            shipments.take_unit_fact(floor, fact)
            if fact.trailer:
                trailers.take_load(floor, fact)
        elif kind == K_ITEM_INDUCTED or kind == K_IDENT_ASSIGNED:
            tracks.take(floor, fact)
        elif kind == K_SCAN_READ:
            if fact.track:
                tracks.take(floor, fact)
            if floor.rules.closing_points and self.is_closing_point(batch.fields(i)):
                shipments.take_unit_fact(floor, fact)
        elif kind in (K_WEIGH, K_DIVERT_CONFIRMED, K_ITEM_RECIRCULATED, K_ITEM_LOST, K_ITEM_STRAY, K_ITEM_ARRIVED):
            if fact.lu:
                tracks.check_item(floor, fact)
                shipments.take_unit_fact(floor, fact)
            else:
                tracks.take(floor, fact)
        elif kind == K_PACK_CONFIRM:
            fact.record = batch.fields(i)
            self.take_packing(fact)
        elif kind == K_TRAILER_CLOSED:
            fact.record = batch.fields(i)
            fact.trailer = floor.texts.number(fact.record["trailer"])
            trailers.take_close(floor, fact)
        elif kind == K_SCAN_NOREAD:
            tracks.take(floor, fact)
        elif kind == K_SCAN_MULTIREAD:
            record = batch.fields(i)
            tracks.take_multiread(floor, fact, record["codes"], self.is_closing_point(record))
        elif premises.concerns(kind):
            premises.take(floor, fact, batch.fields(i))
        return True

    cdef int take_packing(self, Fact fact) except -1:
        """R47; R11: it waits while its task or order is unknown."""
        cdef Fact end
        if fact.task and fact.task not in self.floor.tasks:
            self.wait(fact, [fact], ("task", fact.task))
            return 0
        if fact.order and not fact.task and fact.order not in self.floor.orders:
            self.wait(fact, [fact], ("order", fact.order))
            return 0
        for end in packing.ends_of(self.floor, fact, fact.record):
            shipments.take_unit_fact(self.floor, end)
        return 0

    def is_closing_point(self, dict record):
        """R42: a read point that stands for a close."""
        return record.get("point") in self.floor.rules.closing_points

    def entries_of(self, Fact fact, Batch batch, Py_ssize_t i):
        """One fact a window: R30's `alloc` is one press for several tasks."""
        cdef Fact entry
        cdef list entries
        cdef int sign = -1 if fact.kind == K_PICK_REVERSE else 1
        if not batch.flags[i] & F_ALLOC:
            fact.qty *= sign
            return [fact]
        entries = []
        for row in batch.fields(i)["alloc"]:
            entry = self.fact_of(batch, i, fact.t)
            entry.name = fact.name
            entry.task = self.floor.texts.number(row["task"]) if "task" in row else 0
            entry.order = self.floor.texts.number(row["order"]) if "order" in row else 0
            entry.line = row.get("line", -1)
            entry.qty = row["qty"] * sign
            if "lu" in row:
                entry.lu = self.floor.texts.number(row["lu"])
            entries.append(entry)
        return entries

    cdef bint take_entries(self, Fact fact, list entries) except -1:
        """R11: the whole record waits while the task or order of one of its entries is unknown."""
        cdef list windows = []
        cdef Fact entry
        cdef PickWindow window
        cdef bint new = False
        if fact.t >= self.floor.watermark and self.waits_for_order(fact, entries):
            return True
        for entry in entries:
            window = picks.window_for(self.floor, entry)
            if window is None:
                self.wait(fact, entries, ("task", entry.task) if entry.task else ("order", entry.order))
                return True
            windows.append(window)
        for entry, window in zip(entries, windows):
            if entry.kind == K_PICK_SHORT:
                picks.take_closing(self.floor, window, entry)
                shipments.touch_line(self.floor, window.line, entry.t, entry)
                new = True
            elif self.take_entry(window, entry):
                new = True
        return new

    cdef bint waits_for_order(self, Fact fact, list entries) except -1:
        """R20, R3: which task of a line is open can be said when everything before the pick is known."""
        cdef Fact entry
        cdef Line line
        cdef Waiting waiting
        for entry in entries:
            if entry.task:
                continue
            line = self.floor.lines.get((<int64_t>entry.order << 32) | <int64_t>entry.line)
            if line is not None and line.windows and line.own is None:
                waiting = Waiting.__new__(Waiting)
                waiting.fact, waiting.entries = fact, entries
                self.count_waiting += 1
                self.floor.by_watermark.push(fact.t, RANK_TRACK, self.floor.text(fact.src), waiting, TAG_IN_ORDER, 0)
                return True
        return False

    cdef bint take_entry(self, PickWindow window, Fact fact) except -1:
        """A pick or a reversal: into its window, into its carton, and out if it decides something."""
        cdef Floor floor = self.floor
        cdef Fact last
        cdef Cycle cycle
        cdef LoadUnit unit
        cdef list changed = []
        if not fact.lu:
            last = <Fact>window.facts[-1] if fact.qty < 0 and window.facts else None
            fact.lu = last.lu if last is not None and last.lu else window.lu
        if self.comes_after_ship(window, fact):
            if not picks.tell_late(floor, window, fact):
                return False
            inventory.take_pick(floor, window, fact)
            if fact.qty < 0:
                picks.tell_reversal(floor, window, fact)
            return True
        if not picks.take_pick(floor, window, fact):
            return False
        inventory.take_pick(floor, window, fact)
        if fact.lu:
            unit = floor.unit_of(fact.lu)
            changed = cartons.attach(floor, unit, fact)
        if fact.qty < 0:
            picks.tell_reversal(floor, window, fact)
        picks.decide(floor, window, fact)
        shipments.touch_line(floor, window.line, fact.t, fact)
        for cycle in changed:
            shipments.touch_cycle(floor, cycle, fact)
        if not window.stall_watched:
            window.stall_watched = True
            floor.by_watermark.push(fact.t + floor.rules.pick_stall, RANK_PICK, window.key, window, picks.TAG_STALL, 0)
        return True

    cdef bint comes_after_ship(self, PickWindow window, Fact fact) except -1:
        """R29: the shipment of its carton, else of its line, has left."""
        cdef LoadUnit unit = self.floor.units.get(fact.lu)
        cdef Cycle cycle = cycles.cycle_at(unit, fact.t) if unit is not None else None
        return shipments.has_shipped(shipments.shipment_of_pick(window.line, cycle), fact.t, self.floor.watermark)

    # ------------------------------------------------------------------------------------------ waiting for context

    def wait(self, Fact fact, list entries, tuple key):
        """R11: kept until its context arrives; `CTX_MISSING` after `ctx_wait_ms`, dead after `lateness_ms`."""
        cdef Waiting waiting = Waiting.__new__(Waiting)
        waiting.key, waiting.fact, waiting.entries = key, fact, entries
        self.waiting.setdefault(key, []).append(waiting)
        self.count_waiting += 1
        self.floor.by_wall.push(fact.t_rx + self.floor.rules.ctx_wait, RANK_CONTEXT, subject_of(self.floor, key), waiting,
                                TAG_MISSING, 0)

    def release_waiting(self):
        cdef Waiting waiting
        cdef list arrived = self.floor.arrived
        self.floor.arrived = []
        for key in arrived:
            for waiting in self.waiting.pop(key, ()):
                waiting.over = True
                self.count_waiting -= 1
                self.floor.outlet.clear("CTX_MISSING", subject_of(self.floor, key), waiting.fact.t,
                                        self.floor.dev_id(waiting.fact))
                if waiting.fact.kind == K_PACK_CONFIRM:
                    self.take_packing(waiting.fact)
                elif not self.take_entries(waiting.fact, waiting.entries):
                    self.count_taken -= 1
                    self.count_duplicate += 1

    def take_in_order(self, Waiting waiting):
        """The watermark has passed a pick that names only its line."""
        self.count_waiting -= 1
        if not self.take_entries(waiting.fact, waiting.entries):
            self.count_taken -= 1
            self.count_duplicate += 1

    def missing(self, Waiting waiting, bint dead):
        if waiting.over:
            return
        if not dead:
            self.floor.outlet.raise_("CTX_MISSING", subject_of(self.floor, waiting.key), self.floor.wall,
                                     self.floor.dev_id(waiting.fact), "")
            self.floor.by_wall.push(waiting.fact.t_rx + self.floor.rules.lateness, RANK_CONTEXT,
                                    subject_of(self.floor, waiting.key), waiting, TAG_DEAD, 0)
            return
        waiting.over = True
        self.waiting[waiting.key].remove(waiting)
        self.count_waiting -= 1
        self.count_taken -= 1
        self.count_late += 1

    def ask_held(self):
        """R7: a gap has closed; what waited for one is judged again."""
        cdef list held = self.floor.held
        self.floor.held = []
        self.floor.gap_closed = False
        for target in held:
            if isinstance(target, PickWindow):
                (<PickWindow>target).gap_held = False
                picks.decide_closing(self.floor, <PickWindow>target, (<PickWindow>target).held_t)
            else:
                (<Shipment>target).held_since = ABSENT
                shipments.release_held(self.floor, <Shipment>target)

    # ------------------------------------------------------------------------------------------ what is due

    cdef int due_by_watermark(self) except -1:
        cdef Floor floor = self.floor
        cdef object target = floor.by_watermark.pop()
        cdef int tag = floor.by_watermark.tag
        cdef int64_t due = floor.by_watermark.due, value = floor.by_watermark.value
        if tag == picks.TAG_CLOSING:
            picks.decide_closing(floor, <PickWindow>target, value)
            if floor.mismatched:
                holds.check_mismatched(floor)
        elif tag == picks.TAG_STALL:
            picks.watch_stall(floor, <PickWindow>target, due)
        elif tag == cartons.TAG_TRANSITION:
            cartons.decide(floor, <Cycle>target, None)
        elif tag == cartons.TAG_CHECK:
            holds.check(floor, <Cycle>target)
        elif tag == cartons.TAG_LABEL:
            holds.check_sscc(floor, <Fact>target)
        elif tag == manifests.TAG_PASSED:
            manifests.on_passed(floor, <Shipment>target, value)
        elif tag == trailers.TAG_LOAD:
            trailers.on_load(floor, <Fact>target)
        elif tag == trailers.TAG_CLOSED:
            trailers.on_closed(floor, <Fact>target, False)
        elif tag == shipments.TAG_TOUCH:
            shipments.on_touch(floor, <Shipment>target, value)
        elif tag == shipments.TAG_READY:
            shipments.on_hold_over(floor, <Shipment>target, value, False, False)
        elif tag == TAG_IN_ORDER:
            self.take_in_order(<Waiting>target)
        elif tag == gaps.TAG_GAP_SURE:
            gaps.make_sure(floor, <Gap>target)
        elif tag == tracks.TAG_RESOLVE:
            tracks.resolve(floor, <Fact>target)
        elif tag == tracks.TAG_UNRESOLVED:
            tracks.give_up(floor, <TrackLife>target, due)
        elif tag == tracks.TAG_MULTIREAD:
            tracks.resolve_multiread(floor, <tracks.Multiread>target)
        else:
            premises.due(floor, target, tag, False)
        return 0

    cdef int due_by_wall(self) except -1:
        cdef Floor floor = self.floor
        cdef object target = floor.by_wall.pop()
        cdef int tag = floor.by_wall.tag
        cdef int64_t value = floor.by_wall.value
        if tag == picks.TAG_CLOSING:
            if floor.watermark <= value:
                (<PickWindow>target).forced = max((<PickWindow>target).forced, value)
                picks.decide_closing(floor, <PickWindow>target, value)
        elif tag == cartons.TAG_TRANSITION:
            if floor.watermark <= value + floor.rules.close_hold:
                (<Cycle>target).forced = max((<Cycle>target).forced, value)
                cartons.decide(floor, <Cycle>target, None)
        elif tag == gaps.TAG_GAP_HOLD:
            if isinstance(target, PickWindow):
                (<PickWindow>target).gap_over_t = value
                picks.decide_closing(floor, <PickWindow>target, value)
            else:
                shipments.on_hold_over(floor, <Shipment>target, value, False, True)
        elif tag == trailers.TAG_CLOSED:
            if floor.watermark <= value:
                trailers.on_closed(floor, <Fact>target, True)
        elif tag == shipments.TAG_FORCE:
            shipments.on_bound(floor, <Shipment>target, value)
        elif tag == TAG_MISSING or tag == TAG_DEAD:
            self.missing(<Waiting>target, tag == TAG_DEAD)
        else:
            premises.due(floor, target, tag, True)
        return 0


cdef str subject_of(Floor floor, tuple key):
    return f"{key[0]}/{floor.text(key[1])}"
