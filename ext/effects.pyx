# cython: boundscheck=False, wraparound=False
"""What a record does: it is handed to the window that it concerns.

`apply` knows which window a kind concerns. A record whose task or order is unknown waits here (R11). The rules themselves
stand in the windows. Hot: `fact_of`, `apply`, `apply_pick`, `take_into`, `take_entry`.
"""

from libc.stdint cimport int32_t, uint8_t

from ext cimport (
    cartons, diverts, inventory, late_facts, line_windows, packing, pick_alarms, pick_events, pick_units, picks, post_ship,
    premises, presses, shipments, sights, touches, tracks, trailers,
)
from ext.batch cimport F_ALLOC
from ext.exceptions cimport CTX_MISSING, TIME_TOO_LATE
from ext.floor cimport find_line, recount
from ext.keys cimport KEY_ORDER, KEY_TASK, Key
from ext.kinds cimport (
    K_CARTON_OPEN, K_DIVERT_CONFIRMED, K_IDENT_ASSIGNED, K_ITEM_ARRIVED, K_ITEM_INDUCTED, K_ITEM_RECIRCULATED,
    K_LABEL_VERIFIED, K_LOAD_REMOVED, K_LOAD_SCANNED, K_PACK_CONFIRM, K_PICK_CONFIRM, K_PICK_REVERSE, K_PICK_SHORT,
    K_SCAN_MULTIREAD, K_SCAN_NOREAD, K_SCAN_READ, K_TRAILER_CLOSED, K_WEIGH,
)
from ext.order_data cimport ArrivedList
from ext.payloads cimport text_in
from ext.sources cimport Source
from ext.state cimport B_FACT, B_WAITING, Cycle, Line
from ext.store cimport Numbers, find, length, nth, remove
from ext.timers cimport RANK_CONTEXT
from ext.tombstones cimport is_buried

cdef enum Taken:            # what became of a press; of one for several tasks, the most that became of any of them
    KNOWN                   # nothing new (R30)
    DEAD                    # nothing that counts any more (R46)
    NEW


cdef class Effects(Clocks):
    cdef Fact* fact_of(self, Batch batch, Py_ssize_t i, int64_t t) except NULL:
        cdef Fact* fact = <Fact*>self.floor.store.new_raw(B_FACT, sizeof(Fact))
        cdef int kind = batch.kind[i]
        self.state.arrivals += 1
        fact.window, fact.cycle, fact.move, fact.name = NULL, NULL, NULL, NULL
        fact.t, fact.t_rx, fact.arrival, fact.kind = t, batch.t_rx[i], self.state.arrivals, <uint8_t>kind
        fact.src, fact.epoch, fact.seq, fact.sub = batch.src[i], batch.epoch[i], batch.seq[i], batch.sub[i]
        fact.context = fact.late = fact.follows = fact.only_seen = fact.judged = fact.sights = 0
        fact.task, fact.order, fact.line, fact.sku = batch.task[i], batch.order[i], batch.line[i], batch.sku[i]
        fact.lu, fact.carton, fact.track, fact.lot = batch.lu[i], batch.carton[i], batch.track[i], batch.lot[i]
        fact.loc, fact.code = batch.loc[i], batch.code[i]
        fact.qty = batch.weight_g[i] if kind == K_WEIGH else batch.qty[i]       # they share a place
        if K_PICK_CONFIRM <= kind <= K_PICK_REVERSE:
            fact.press, fact.dest_req = batch.press[i], 0
        else:
            fact.dest, fact.dest_req = batch.dest[i], batch.dest_req[i]
        self.state.names_bytes += <size_t>batch.names[i]
        return fact

    # ------------------------------------------------------------------------------------------ for every record, every pick

    cdef bint apply(self, Source* source, Fact* fact, Batch batch, Py_ssize_t i) except -1:
        """Hand the fact to the window that it concerns. False: it says nothing new (R30)."""
        cdef int kind = fact.kind
        if fact.lu and sights.note(self.floor, source, fact):
            tracks.see(self.floor, fact)
        if K_PICK_CONFIRM <= kind <= K_PICK_REVERSE:
            source.picks = True
            return self.apply_pick(fact, batch, i)
        if kind == K_SCAN_READ:
            if fact.track:
                tracks.take(self.floor, source, fact)
            if self.floor.closing_points and self.is_closing_point(text_in(batch, i, b"point", 5)):
                shipments.take_unit_fact(self.floor, fact)
            elif not fact.track:
                sights.joins_nothing(self.floor, fact)
        elif kind == K_ITEM_INDUCTED or kind == K_IDENT_ASSIGNED or kind == K_SCAN_NOREAD:
            tracks.take(self.floor, source, fact)
        elif kind == K_WEIGH or kind == K_DIVERT_CONFIRMED or K_ITEM_RECIRCULATED <= kind <= K_ITEM_ARRIVED:
            if fact.track:                  # one that names its unit, too, says whose the others of its track are
                tracks.take(self.floor, source, fact)
            if fact.lu:
                diverts.watch(self.floor, fact)
                shipments.take_unit_fact(self.floor, fact)
        elif K_CARTON_OPEN <= kind <= K_LOAD_REMOVED:
            self.apply_carton(fact, batch, i)
        else:
            self.apply_rare(source, fact, batch, i)
        return True

    cdef bint apply_pick(self, Fact* fact, Batch batch, Py_ssize_t i) except -1:
        """The usual pick names one window that is known. A press for several tasks (R30), a pick whose context is unknown (R11)
        and one that names only a line with tasks (R20) go the longer way."""
        cdef PickWindow* window
        cdef Line* line
        cdef List* entries = NULL
        if not batch.flags[i] & F_ALLOC:
            if fact.kind == K_PICK_REVERSE:
                fact.qty = -fact.qty
            if fact.task:
                window = <PickWindow*>find(self.state.tasks, fact.task)
            else:
                line = find_line(self.state, fact.order, fact.line)
                window = line.own if line != NULL and not picks.has_tasks(line) else NULL
            if window != NULL:
                return self.book(self.take_into(window, fact))
        self.entries_of(fact, batch, i, &entries)
        return self.take_entries(fact, entries)

    cdef int take_into(self, PickWindow* window, Fact* entry) except -1:
        """A pick, a reversal or a short, into its window. Returns what became of it (Taken)."""
        if picks.stays_dead(self.floor, window):
            return self.refuse_buried(entry)
        if entry.kind != K_PICK_SHORT:
            return NEW if self.take_entry(window, entry) else KNOWN
        picks.take_closing(self.floor, window, entry)
        return NEW

    cdef bint take_entry(self, PickWindow* window, Fact* fact) except -1:
        """A pick or a reversal: into its window and its carton, unless it is late (R29) or its press is known (R30)."""
        cdef List* changed = NULL
        cdef Fact* other = NULL
        cdef bint known, told = fact.late and fact.window == NULL       # told before, as one from after the manifest
        cdef bint inside = fact.window != NULL and fact.lu      # R20: the line's window sent it back
        cdef int k
        fact.follows = not fact.lu or (inside and fact.follows)
        if not fact.lu:
            fact.lu = pick_units.unit_of(self.floor, window, fact)
        if late_facts.comes_after_ship(self.floor, window, fact):
            if inside:
                line_windows.leave_unit(self.floor, fact)
            return late_facts.take_late(self.floor, window, fact)
        known = fact.press != 0 and presses.note_press(self.floor, window, fact)
        if known:
            other = presses.counted_press(window, fact, False)
            if not self.replace_twin(window, fact, other):
                if inside:
                    line_windows.leave_unit(self.floor, fact)
                return False
        if other != NULL:
            pick_units.take_back(self.floor, window, other, fact.lu, &changed)
            window.stall_watched = False            # R22: it is silent since the earlier of the two
        picks.take_pick(self.floor, window, fact)
        inventory.take_pick(self.floor, window, fact)
        if fact.lu and other != NULL and other.lu == fact.lu:
            cartons.attach_instead(self.floor, self.floor.unit_of(fact.lu), other, fact, &changed)
        elif fact.lu:
            pick_units.join(self.floor, fact, inside, &changed)
        if fact.qty > 0 and (window.reversed or window.trouble.other_sku != NULL):
            pick_units.lead_reversals(self.floor, window, fact, &changed)
        if fact.qty < 0 and not told:
            pick_events.tell_reversal(self.floor, window, fact)
        picks.decide(self.floor, window, fact)
        touches.touch_line(self.floor, window.line, fact.t, fact)
        for k in range(length(changed)):
            shipments.touch_cycle(self.floor, <Cycle*>nth(changed, k), fact)
        self.floor.store.free(changed)
        pick_alarms.watch(self.floor, window, fact.t)
        return not known

    # ------------------------------------------------------------------------------------------ the other kinds

    cdef int apply_carton(self, Fact* fact, Batch batch, Py_ssize_t i) except -1:
        """Opened, closed, voided, labelled, loaded: a fact about a load unit."""
        if fact.kind == K_LABEL_VERIFIED:
            fact.code = self.number_in(batch, i, b"result", 6)
            fact.sscc = self.number_in(batch, i, b"sscc", 4)
            fact.tracking_no = self.number_in(batch, i, b"tracking_no", 11)
        elif fact.kind == K_LOAD_SCANNED or fact.kind == K_LOAD_REMOVED:
            fact.trailer = self.number_in(batch, i, b"trailer", 7)
        shipments.take_unit_fact(self.floor, fact)
        if fact.kind == K_LOAD_SCANNED or fact.kind == K_LOAD_REMOVED:
            trailers.take_load(self.floor, fact)
        return 0

    cdef int apply_rare(self, Source* source, Fact* fact, Batch batch, Py_ssize_t i) except -1:
        cdef Numbers* codes = NULL
        cdef dict record
        if fact.kind == K_PACK_CONFIRM:
            fact.parent = self.number_in(batch, i, b"from_lu", 7)
            return self.take_packing(fact)
        if fact.kind == K_TRAILER_CLOSED:
            fact.trailer = self.number_in(batch, i, b"trailer", 7)
            fact.seal = self.number_in(batch, i, b"seal", 4)
            return trailers.take_close(self.floor, fact)
        if fact.kind == K_SCAN_MULTIREAD:
            record = batch.fields(i)
            for code in record["codes"]:
                self.floor.store.add_number(&codes, self.floor.intern(code))
            return tracks.take_multiread(self.floor, source, fact, codes, self.is_closing_point(record.get("point")))
        if premises.concerns(fact.kind):
            return premises.take(self.floor, fact, batch.fields(i))
        if fact.lu and fact.track:
            return tracks.take(self.floor, source, fact)
        return sights.joins_nothing(self.floor, fact)

    cdef int32_t number_in(self, Batch batch, Py_ssize_t i, const char* name, int32_t length) except -1:
        """The number of a text that has no column; 0: the record has none of that name."""
        cdef str text = text_in(batch, i, name, length)
        return self.floor.intern(text) if text is not None else 0

    cdef bint is_closing_point(self, str point) except -1:
        """R42: a read point that stands for a close."""
        return point in self.floor.closing_points

    cdef int take_packing(self, Fact* fact) except -1:
        """R47; R11: it waits while its task or order is unknown. Its `parent` is the unit that goods leave."""
        cdef Fact* out
        if fact.task and find(self.state.tasks, fact.task) == NULL:
            return self.wait(fact, NULL, fact.task, True)
        if fact.order and not fact.task and find(self.state.orders, fact.order) == NULL:
            return self.wait(fact, NULL, fact.order, False)
        out = packing.ends_of(self.floor, fact, fact.parent)
        shipments.take_unit_fact(self.floor, out)
        return shipments.take_unit_fact(self.floor, out.move.other)

    # ------------------------------------------------------------------------------------------ picks

    cdef int entries_of(self, Fact* fact, Batch batch, Py_ssize_t i, List** entries) except -1:
        """One fact for each window that the record concerns. R30: `alloc` is one press for several tasks; an empty one says
        nothing."""
        cdef Fact* entry
        cdef int sign = -1 if fact.kind == K_PICK_REVERSE else 1
        if not batch.flags[i] & F_ALLOC:
            return self.floor.store.append(entries, fact)
        for row in batch.fields(i)["alloc"]:
            entry = self.fact_of(batch, i, fact.t)
            entry.name = fact.name
            entry.task = self.floor.intern(row["task"]) if "task" in row else 0
            entry.order = self.floor.intern(row["order"]) if "order" in row else 0
            entry.line = row.get("line", -1)
            entry.qty = row["qty"] * sign
            if "lu" in row:
                entry.lu = self.floor.intern(row["lu"])
            self.floor.store.append(entries, entry)
        return 0

    cdef bint take_entries(self, Fact* fact, List* entries) except -1:
        """R11: the whole record waits while the task or order of one of its entries is unknown. One without any says nothing,
        and nothing that was said before (R82)."""
        cdef PickWindow* window
        cdef Fact* entry
        cdef int taken = KNOWN if length(entries) else NEW
        cdef int k
        cdef bint early = fact.t >= self.state.watermark
        if early and self.state.wall < fact.t_rx + self.floor.rules.hold_wall_max:
            for k in range(length(entries)):
                if line_windows.waits_for_watermark(self.floor, <Fact*>nth(entries, k)):
                    line_windows.wait_for_watermark(self.floor, fact, entries)
                    return True
        for k in range(length(entries)):
            entry = <Fact*>nth(entries, k)
            if line_windows.window_for(self.floor, entry) == NULL:
                self.wait(fact, entries, entry.task if entry.task else entry.order, entry.task != 0)
                return True
        for k in range(length(entries)):
            entry = <Fact*>nth(entries, k)
            window = line_windows.window_for(self.floor, entry)
            if early and line_windows.waits_for_watermark(self.floor, entry):
                picks.force(self.floor, window, fact.t)
            taken = max(taken, self.take_into(window, entry))
        self.floor.store.free(entries)
        return self.book(taken)

    cdef bint book(self, int taken) except -1:
        """R82: False: the record says nothing new, a duplicate. R46: one of which nothing counts any more is late; its caller counts it
        as taken, which is put right here."""
        if taken == DEAD:
            recount(&self.state.count_taken, &self.state.count_late)
        return taken != KNOWN

    cdef bint replace_twin(self, PickWindow* window, const Fact* fact, const Fact* other) except -1:
        """R30, R3: another record told of this press. The earlier of the two counts, unless the watermark had passed it when it came.
        True: this one does. `other`: the pick that has counted so far, to be taken back by the caller; NULL: it was a late one (R29).
        """
        if other == NULL:
            return late_facts.replace_late(self.floor, window, fact)
        return (fact.t >= self.state.watermark or self.floor.in_order) and self.floor.precedes(fact, other)

    cdef int judge_late(self, Fact* fact, bint known) except -1:
        """R29: the watermark has passed a pick that came late. R3: what has arrived since may have made it one of the unit's next
        use, which is in time. `known`: it lay in its carton when that left, so there is nothing to ask."""
        cdef PickWindow* window = fact.window
        if known or not late_facts.is_in_time(self.floor, window, fact):
            return post_ship.raise_late(self.floor, fact)
        late_facts.give_back(self.floor, window, fact)
        self.take_entry(window, fact)
        return 0

    cdef int refuse_buried(self, const Fact* fact) except -1:
        """R46: its window has gone."""
        self.floor.outlet.raise_(TIME_TOO_LATE, fact.src, fact.t_rx, fact, "")
        return DEAD

    # ------------------------------------------------------------------------------------------ waiting for context

    cdef int take_in_order(self, Waiting* waiting) except -1:
        """R20: the watermark, or the bound, has passed a pick that names only its line."""
        if not waiting.over:
            waiting.over = self.floor.in_order = True
            self.take_waiting(waiting)
            self.floor.in_order = False
        return 0

    cdef int wait(self, Fact* fact, List* entries, int32_t key, bint is_task) except -1:
        """R11: kept until its context arrives; `CTX_MISSING` after `ctx_wait_ms`, dead after `lateness_ms`."""
        cdef Table* table = self.state.waiting_tasks if is_task else self.state.waiting_orders
        cdef List* others = <List*>find(table, key)
        cdef Waiting* waiting
        if is_buried(self.floor, b"task/" if is_task else b"order/", key):
            return self.book(self.refuse_buried(fact))
        waiting = <Waiting*>self.floor.store.new(B_WAITING, sizeof(Waiting))
        waiting.fact, waiting.entries, waiting.key, waiting.is_task = fact, entries, key, is_task
        self.floor.insert_waiting(&others, waiting)
        self.floor.store.put(table, key, others)
        self.state.count_waiting += 1
        return self.floor.by_wall.push(fact.t_rx + self.floor.rules.ctx_wait, RANK_CONTEXT,
                                       Key(a=key, number=0, form=KEY_TASK if is_task else KEY_ORDER), waiting,
                                       TAG_MISSING, 0)

    cdef int release_waiting(self) except -1:
        """R11: what has become known lets take effect what waited for it."""
        cdef ArrivedList* arrived = self.state.arrived
        cdef int k
        self.state.arrived = NULL
        for k in range(arrived.count):
            self.release(self.state.waiting_tasks if arrived.items[k].is_task else self.state.waiting_orders,
                         arrived.items[k].key)
        self.floor.store.free(arrived)
        return 0

    cdef int release(self, Table* table, int32_t key) except -1:
        cdef List* ready = <List*>find(table, key)
        cdef Waiting* waiting
        cdef Fact cause
        cdef int k
        if ready == NULL:
            return 0
        self.floor.store.drop(table, key)
        for k in range(length(ready)):
            waiting = <Waiting*>nth(ready, k)
            if waiting.fact.context:
                continue                # a cancel, which has taken effect with its task
            waiting.over = True
            if self.state.open_episodes[CTX_MISSING]:
                cause = self.this_record()
                self.floor.outlet.clear(CTX_MISSING, self.subject_of(waiting), cause.t, &cause)
            self.take_waiting(waiting)
        self.floor.store.free(ready)
        return 0

    cdef int take_waiting(self, Waiting* waiting) except -1:
        """A record that waited takes effect. R82: it was counted as taken when it came."""
        self.state.count_waiting -= 1
        if waiting.fact.kind == K_PACK_CONFIRM:
            return self.take_packing(waiting.fact)
        if not self.take_entries(waiting.fact, waiting.entries):
            recount(&self.state.count_taken, &self.state.count_duplicate)
        return 0

    cdef int missing(self, Waiting* waiting, bint dead) except -1:
        """R11: its context has not come: within `ctx_wait_ms`, which raises `CTX_MISSING`; or (`dead`) within `lateness_ms`, and the
        record is given up (R82: `late`)."""
        cdef Table* table = self.state.waiting_tasks if waiting.is_task else self.state.waiting_orders
        cdef List* others
        if waiting.over:
            return 0
        if not dead:
            self.floor.outlet.raise_(CTX_MISSING, self.subject_of(waiting), self.state.wall, waiting.fact, "")
            return self.floor.by_wall.push(
                waiting.fact.t_rx + self.floor.rules.lateness, RANK_CONTEXT,
                Key(a=waiting.key, number=0, form=KEY_TASK if waiting.is_task else KEY_ORDER), waiting, TAG_DEAD, 0)
        waiting.over = True
        others = <List*>find(table, waiting.key)
        remove(&others, waiting)
        if length(others) == 0:
            self.floor.store.drop(table, waiting.key)
        self.state.count_waiting -= 1
        return recount(&self.state.count_taken, &self.state.count_late)

    cdef int32_t subject_of(self, const Waiting* waiting) except -1:
        return self.floor.joined(b"task/" if waiting.is_task else b"order/", waiting.key)
