"""The core: one record at a time, in R4's order.

A record first moves the wall clock, which decides what is due by it; then it takes effect (`take_row` sorts it out,
`apply` hands it to the window that it concerns); then the watermark moves and decides what it passes. The rules
themselves stand in the windows: picks, cycles, cartons, readiness, shipments, tracks, context.
"""

import hashlib

import msgspec

from ext cimport (
    cartons, cycles, gaps, holds, inventory, manifests, packing, picks, premises, shipments, sights, tracks, trailers,
)
from ext.batch cimport ABSENT, F_ALLOC, F_HIST
from ext.context cimport SAME, TAKEN
from ext.floor cimport Cycle, Floor, Gap, Line, LoadUnit, Rules, Shipment, TrackLife
from ext.kinds cimport (
    K_CARTON_CLOSE, K_CARTON_OPEN, K_CARTON_REOPEN, K_CARTON_VOID, K_CLOCK_TICK, K_DIVERT_CONFIRMED,
    K_IDENT_ASSIGNED, K_ITEM_ARRIVED, K_ITEM_INDUCTED, K_ITEM_LOST, K_ITEM_RECIRCULATED, K_ITEM_STRAY,
    K_LABEL_VERIFIED, K_LINK_DOWN, K_LOAD_REMOVED, K_LOAD_SCANNED, K_PACK_CONFIRM, K_PICK_CONFIRM, K_PICK_REVERSE,
    K_PICK_SHORT, K_SCAN_MULTIREAD, K_SCAN_NOREAD, K_SCAN_READ, K_SOURCE_GAP, K_TRAILER_CLOSED, K_WEIGH,
    is_context, is_device, is_noise,
)
from ext.outlet cimport Outlet
from ext.retention cimport sweep
from ext.texts cimport Texts
from ext.timers cimport NEVER, RANK_CONTEXT, RANK_PICK, RANK_TRACK

from ext import snapshot
from ext.context import Unfit
from ext.kinds import NAMES
from ext.outlet import base32_26

cdef object encode = msgspec.json.Encoder(order="sorted").encode

cdef int64_t SWEEPS = 64                # in the time that finished windows are kept
cdef int64_t SWEEP_MIN = 60_000_000     # microseconds of event time

cdef enum CoreTag:
    TAG_MISSING = 41        # R11: the context did not come
    TAG_DEAD = 42           # nor within `lateness_ms`
    TAG_IN_ORDER = 43       # R20: everything before a pick that names only its line is known


cdef class Waiting:
    pass


cdef class Core(Clocks):
    def __init__(self, str site, Texts texts not None, rules=None, source_rules=(), source=None):
        cdef Outlet outlet = Outlet(site, source if source is not None else f"/sites/{site}")
        given = dict(rules or {})
        super().__init__(Floor(texts, Rules(given, texts), outlet), given, list(source_rules))
        self.context = Context(self.floor)
        self.waiting = {}
        self.equal = {}

    # ------------------------------------------------------------------------------------------ in

    def feed(self, Batch batch not None, Py_ssize_t start=0, Py_ssize_t stop=-1):
        cdef Py_ssize_t i
        if stop < 0 or stop > batch.count:
            stop = batch.count
        for i in range(start, stop):
            self.take_row(batch, i)

    def reject(self, Py_ssize_t count):
        """Lines that the decoder refused."""
        self.count_in += count
        self.count_rejected += count

    cdef int take_row(self, Batch batch, Py_ssize_t i) except -1:
        cdef Floor floor = self.floor
        cdef int64_t t_rx = batch.t_rx[i], t
        cdef int kind = batch.kind[i]
        cdef bint hist
        cdef Source source
        self.count_in += 1
        if t_rx > floor.wall:
            if not self.live or t_rx >= self.next_leave or t_rx >= floor.by_wall.next_due():
                self.advance_wall(t_rx)
            else:
                floor.wall = t_rx
        if is_noise(kind):
            self.count_noise += 1
            source = self.source(batch.src[i])
            source.records += 1
            hist = batch.flags[i] & F_HIST
            t = self.event_time(source, batch.t[i], t_rx, hist, False)
            self.note(source, batch.epoch[i], batch.seq[i], batch.sub[i], t, not hist)
            if source.live and not hist:
                self.arrive(source, t, t_rx)
        elif is_device(kind):
            source = self.source(batch.src[i])
            source.records += 1
            t = self.event_time(source, batch.t[i], t_rx, batch.flags[i] & F_HIST, False)
            self.greatest = max(self.greatest, t)
            if not batch.flags[i] & F_HIST:
                self.arrive(source, t, t_rx)
            self.take_device(source, batch, i, t)
        elif is_context(kind):
            self.take_context(batch, i)
        else:
            self.count_taken += 1
            if kind != K_CLOCK_TICK:
                self.take_about_source(batch, i)
        self.settle()
        return 0

    cdef int settle(self) except -1:
        """What became known lets others take effect; then the watermark decides what it passes."""
        if self.floor.arrived:
            self.release_waiting()
        if self.floor.gap_closed:
            self.ask_held()
        self.follow_sources()
        if self.floor.watermark >= self.next_sweep:
            self.forget()
        return 0

    def forget(self):
        """What is over leaves `retention_ms` after its end: looked for now and then, by event time."""
        cdef int64_t retention = self.floor.rules.retention
        if self.next_sweep:
            sweep(self.floor, self.context, self.floor.watermark - retention)
        self.next_sweep = self.floor.watermark + max(retention // SWEEPS, SWEEP_MIN)

    cdef int take_device(self, Source source, Batch batch, Py_ssize_t i, int64_t t) except -1:
        """R29's lateness, R5's duplicates, then the fact takes effect."""
        cdef int64_t t_rx = batch.t_rx[i]
        cdef Fact fact
        cdef bytes digest
        cdef str name = None
        if not self.note(source, batch.epoch[i], batch.seq[i], batch.sub[i], t, not batch.flags[i] & F_HIST):
            self.count_duplicate += 1
            return 0
        if batch.seq[i] == ABSENT:
            name, digest = self.name_unnumbered(source, batch, i)
            if batch.t[i] != ABSENT and not source.is_new_content(digest, t_rx):
                self.count_duplicate += 1
                return 0
        if t_rx - t > self.floor.rules.lateness:
            self.count_late += 1
            self.floor.outlet.raise_("TIME_TOO_LATE", source.name, t_rx, source.name, NAMES[batch.kind[i]])
            return 0
        fact = self.fact_of(batch, i, t)
        fact.name = name
        if self.apply(fact, batch, i):
            self.count_taken += 1
        else:
            self.count_duplicate += 1
        return 0

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

    def name_unnumbered(self, Source source, Batch batch, Py_ssize_t i):
        """The `dev_id` of a record without `seq`, and the digest that tells duplicates (R5)."""
        record = batch.fields(i)
        payload = {
            name: value for name, value in record.items()
            if name not in ("src", "kind", "t", "t_rx", "hist") and not (name in ("epoch", "sub") and value == 0)
        }
        parts = [record["src"], record["kind"], payload]
        digest = hashlib.sha256(encode([*parts, record.get("t")])).digest()
        if "t" not in record:
            if batch.t_rx[i] != self.equal_at:
                self.equal_at = batch.t_rx[i]
                self.equal.clear()
            count = self.equal[digest] = self.equal.get(digest, -1) + 1
            digest = hashlib.sha256(encode([*parts, batch.t_rx[i], count])).digest()
        return f"{source.name}/h/{base32_26(digest)}", digest

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
        return "point" in record and self.floor.texts.number(record["point"]) in self.floor.rules.closing_points

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

    def take_context(self, Batch batch, Py_ssize_t i):
        """R10; context is never late and never waits."""
        cdef Source source = self.source(batch.src[i])
        cdef int64_t t = self.event_time(source, batch.t[i], batch.t_rx[i], False, True)
        cdef Fact fact = self.fact_of(batch, i, t)
        cdef int verdict
        source.records += 1
        fact.context = True
        self.greatest = max(self.greatest, t)
        if fact.seq == ABSENT:
            fact.name, _ = self.name_unnumbered(source, batch, i)
        self.note(source, fact.epoch, fact.seq, fact.sub, t, False)     # R10 alone decides what is a duplicate
        try:
            verdict = self.context.take(fact, batch.fields(i))
        except Unfit:
            self.count_rejected += 1
            return
        if verdict == TAKEN:
            self.count_taken += 1
        elif verdict == SAME:
            self.count_duplicate += 1
        else:
            self.count_rejected += 1

    def take_about_source(self, Batch batch, Py_ssize_t i):
        """R2: `link.down` makes its sources leave; R6: a gap is counted."""
        cdef Source source
        cdef int kind = batch.kind[i]
        if not batch.src[i]:
            return
        if kind == K_SOURCE_GAP:
            self.take_gap(self.source(batch.src[i]), batch.fields(i))
        elif kind == K_LINK_DOWN:
            scope = batch.fields(i).get("scope")
            for source in self.sources_:
                if source is not None and (
                        source.number == batch.src[i] or (scope is not None and source.name.startswith(scope))):
                    self.link_down(source)

    def take_gap(self, Source source, dict record):
        """R6: the driver says that something was lost, and when."""
        source.gaps += 1
        gaps.open_gap(self.floor, source.number, record["t_from"], record["t_to"], -1, -1)

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
                (<Shipment>target).gap_held = False
                shipments.release_held(self.floor, <Shipment>target)

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
            shipments.on_hold_over(floor, <Shipment>target, value, False)
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
                (<PickWindow>target).gap_over = True
                picks.decide_closing(floor, <PickWindow>target, value)
            else:
                shipments.on_hold_over(floor, <Shipment>target, value, True)
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

    def finish(self, int64_t until_us=-1):
        """R4a: every source leaves, both clocks run on to `until_us`; what is due up to and including it is decided."""
        if until_us < 0:
            until_us = self.greatest + 60_000_000 if self.greatest != ABSENT else self.floor.wall
        for source in list(self.live):
            self.leave(source)
        self.follow_sources()
        self.advance_wall(until_us)
        self.advance_watermark(until_us + 1)
        self.advance_wall(until_us)

    def due_us(self):
        """The wall time at which time alone decides something next; -1: nothing waits for time."""
        cdef int64_t due = self.floor.by_wall.next_due(), mark = self.floor.by_watermark.next_due()
        cdef Source source = self.first_to_leave()
        if mark != NEVER:
            due = min(due, source.last_rx + source.idle if source is not None else mark + self.idle + 1)
        return due if due != NEVER else -1

    # ------------------------------------------------------------------------------------------ kept

    def snapshot(self):
        """All state as bytes; events must have been taken. `restore` them into a new core to go on as if never stopped."""
        if self.floor.outlet.waiting:
            raise ValueError("take() the events first: a snapshot does not keep them")
        return snapshot.save(self, self.floor.texts)

    def restore(self, bytes data not None):
        """Of a core that was just made, with texts that gave out no number yet. Parameters are this core's own."""
        cdef Source source
        own = self.settings, self.defaults, self.idle, self.floor.outlet.site
        snapshot.restore(self, self.floor.texts, self.floor.rules, data)
        if self.floor.outlet.site != own[3]:
            raise snapshot.SnapshotError(f"it is of site {self.floor.outlet.site}, not of {own[3]}")
        self.settings, self.defaults, self.idle = own[:3]
        for source in self.sources_:
            if source is not None:
                self.configure(source)

    # ------------------------------------------------------------------------------------------ out

    def take(self):
        """The business events emitted since the last call, in order of sequence: fields of contracts.Emitted."""
        return self.floor.outlet.take()

    def account(self):
        """R82: every record stands in exactly one."""
        cdef int64_t waits = self.count_waiting + self.floor.open_tracks
        return {
            "in": self.count_in, "used": self.count_taken - waits, "duplicate": self.count_duplicate,
            "late": self.count_late, "rejected": self.count_rejected, "noise": self.count_noise, "open": waits,
        }

    def windows(self):
        """How many windows are known and open, by name."""
        cdef PickWindow window
        cdef Line line
        cdef LoadUnit unit
        cdef Shipment shipment
        cdef dict found = {"picks": 0, "cartons": 0, "shipments": 0, "tracks": len(self.floor.tracks)}
        for line in self.floor.lines.values():
            for window in line.windows:
                found["picks"] += not picks.outcome(window, NEVER - 1, self.floor.watermark).closed
        for unit in self.floor.units.values():
            for cycle in unit.cycles:
                found["cartons"] += (<Cycle>cycle).end == NEVER
        for shipment in self.floor.shipments.values():
            found["shipments"] += shipment.plan_rev > 0 and shipment.manifest_t == NEVER and shipment.cancel_t == NEVER
        found["waiting"] = self.count_waiting
        return found

    def sources(self):
        """What is known of every source, for the live view."""
        cdef Source source
        return [
            {
                "src": source.name, "live": bool(source.live), "watermark_us": source.watermark,
                "last_rx_us": source.last_rx, "records": source.records, "gaps": source.gaps,
                "state": "live" if source.live else "idle",
            }
            for source in self.sources_ if source is not None
        ]

    def position(self, str src):
        """The last (epoch, seq) of a source; None if it never numbered."""
        cdef Source source
        cdef int number = self.floor.texts.number(src)
        if number >= len(self.sources_) or self.sources_[number] is None:
            return None
        source = <Source>self.sources_[number]
        return None if source.seq == ABSENT else (source.epoch, source.seq)


cdef str subject_of(Floor floor, tuple key):
    return f"{key[0]}/{floor.text(key[1])}"
