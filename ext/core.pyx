# cython: boundscheck=False, wraparound=False
"""The core: one record at a time, in R4's order.

A record first moves the wall clock, which decides what is due by it; then it takes effect (`take_row` sorts it out,
`Effects.apply` hands it to the window that it concerns); then the watermark moves and decides what it passes. Hot:
`take_row`, `take_noise`, `take_device`, `settle`.
"""

from libc.stdint cimport int32_t, uint8_t, uint64_t

from ext cimport gaps, garbage, open_windows, presence, retention, snapshot, strangers, tombstones
from ext.batch cimport ABSENT, F_HIST
from ext.context cimport SAME, TAKEN
from ext.exceptions cimport CFG_STATE_FULL, TIME_TOO_LATE
from ext.floor cimport Floor
from ext.kinds cimport K_CLOCK_TICK, K_LINK_DOWN, K_LINK_UP, K_SOURCE_GAP, is_context, is_device, is_noise
from ext.outlet cimport named_source
from ext.payloads cimport Payloads, first_word, new_name
from ext.seen cimport add_content
from ext.sources cimport Source
from ext.state cimport Fact, State
from ext.store cimport Table, find
from ext.texts cimport Texts
from ext.timers cimport NEVER

from ext.kinds import NAMES
from ext.snapshot import SnapshotError

cdef int64_t SWEEPS = 64                # in one `retention_ms`
cdef int64_t SWEEP_MIN = 60_000_000     # microseconds of event time
cdef int64_t KEEP_MIN = 60_000_000      # microseconds of event time that even a full state remembers


cdef class Core(Due):
    def __init__(self, str site, Texts texts not None, rules=None, source_rules=(), source=None, size_t room=0):
        cdef dict given = dict(rules or {})
        super().__init__(Floor(texts, given, site, source if source is not None else f"/sites/{site}", room), given,
                         list(source_rules))
        self.context = Context(self.floor)
        self.payloads = Payloads(self.floor)
        self.full_at = self.floor.bytes_max // 4 * 3
        self.crowded_at = self.floor.bytes_max // 16 * 15

    # ------------------------------------------------------------------------------------------ in

    def feed(self, Batch batch not None, Py_ssize_t start=0, Py_ssize_t stop=-1):
        cdef Py_ssize_t i
        cdef Texts texts = self.floor.texts
        if stop < 0 or stop > batch.count:
            stop = batch.count
        self.batch = batch
        for i in range(start, stop):
            if i + 1 < stop:
                self.ask_for_source(batch.src[i + 1])
            self.take_row(batch, i)
        self.batch = None
        if (texts.arena_len > (texts.keep_early_at if self.state.full else texts.keep_at)
                and texts.holders == 1 and texts.cores == 1 and stop == batch.count):
            texts.holders = 0           # all that the batch names has been taken in
            try:
                garbage.collect_names(self.floor)
            finally:
                texts.holders = 1

    def reject(self, Py_ssize_t count):
        """Lines that the decoder refused."""
        self.state.count_in += count
        self.state.count_rejected += count

    cdef int take_row(self, Batch batch, Py_ssize_t i) except -1:
        """R4: the wall clock moves and decides, the record takes effect, the watermark moves and decides (`settle`)."""
        cdef int64_t t_rx = batch.t_rx[i]
        cdef int kind = batch.kind[i]
        self.row, self.t, self.name = i, t_rx, NULL
        self.state.count_in += 1
        if self.held() > self.state.relieve_at:
            self.relieve()
        if t_rx > self.state.wall:
            if t_rx >= self.next_leave or t_rx >= self.floor.by_wall.soonest or not self.is_anyone_in():
                self.advance_wall(t_rx)
            else:
                self.state.wall = t_rx
        if is_noise(kind):
            self.take_noise(batch, i)
        elif is_device(kind):
            self.take_device(batch, i)
        elif is_context(kind):
            self.take_context(batch, i)
        elif kind == K_CLOCK_TICK:
            self.state.count_taken += 1
        else:
            self.take_about_source(batch, i)
        return self.settle()

    cdef int settle(self) except -1:
        """What became known lets others take effect; then the watermark decides what it passes."""
        if self.state.arrived != NULL:
            self.release_waiting()
        if self.state.deferring:
            self.tell_deferred()
        if not self.is_behind():
            self.follow_sources()
        if self.state.gaps_changed:
            self.ask_held()
        if self.state.watermark >= self.state.next_sweep:
            self.forget()
        elif self.floor.store.used() > self.state.collect_at:
            garbage.collect(self.floor)
        return 0

    cdef int take_noise(self, Batch batch, Py_ssize_t i) except -1:
        """R2: it moves a source that is in, and brings none in; R6: it counts in `seq`."""
        cdef int64_t t_rx = batch.t_rx[i], t
        cdef bint hist = batch.flags[i] & F_HIST
        cdef Source* source
        self.state.count_noise += 1
        if self.state.full and find(self.state.sources, batch.src[i]) == NULL:
            return 0
        source = self.source(batch.src[i])
        t = self.date_record(source, batch.t[i], t_rx, hist)
        self.note_next(source, batch.epoch[i], batch.seq[i], batch.sub[i], t, not hist)
        if source.live and not hist:
            self.arrive(source, t, t_rx)
            self.count_for_rate(source, batch.t[i], t_rx)
        return 0

    cdef int take_device(self, Batch batch, Py_ssize_t i) except -1:
        """R5's duplicates, R29's lateness, then the fact takes effect."""
        cdef int64_t t_rx = batch.t_rx[i], t
        cdef bint hist = batch.flags[i] & F_HIST
        cdef Source* source
        cdef Fact* fact
        if self.state.full and not strangers.is_known(self.floor, batch, i) and not self.admit_stranger(batch.src[i], t_rx):
            self.state.count_rejected += 1
            return 0
        source = self.source(batch.src[i])
        t = self.date_record(source, batch.t[i], t_rx, hist)
        if not hist:
            self.arrive(source, t, t_rx)
            self.count_for_rate(source, batch.t[i], t_rx)
        if batch.seq[i] == ABSENT:
            if not self.note_content(source, batch, i):
                self.state.count_duplicate += 1
                return 0
            if source.down != NULL and not hist:
                self.speaks_again(source, False, t)
        elif not self.note_next(source, batch.epoch[i], batch.seq[i], batch.sub[i], t, not hist):
            self.state.count_duplicate += 1
            return 0
        if t_rx - t > self.floor.rules.lateness:
            return self.refuse_late(batch, i)
        fact = self.fact_of(batch, i, t)
        fact.name = self.name
        if self.apply(source, fact, batch, i):
            self.state.count_taken += 1
        else:
            self.state.count_duplicate += 1
        return 0

    cdef bint note_content(self, Source* source, Batch batch, Py_ssize_t i) except -1:
        """R5, without a number: by content, which is its name too."""
        cdef const uint8_t* digest
        self.payloads.write(batch, i, None, True)
        digest = self.payloads.digest(batch, i)
        if batch.t[i] != ABSENT and not add_content(self.floor.store, source, first_word(digest), batch.t_rx[i]):
            return False
        self.name = new_name(self.floor, digest)
        return True

    cdef Fact this_record(self) except *:
        cdef Fact fact = named_source(self.batch.src[self.row])
        fact.epoch, fact.seq, fact.sub = self.batch.epoch[self.row], self.batch.seq[self.row], self.batch.sub[self.row]
        if fact.seq == ABSENT and self.name == NULL:
            self.payloads.write(self.batch, self.row, None, True)
            self.name = new_name(self.floor, self.payloads.digest(self.batch, self.row))
        fact.name, fact.t = self.name, self.t
        return fact

    cdef int refuse_late(self, Batch batch, Py_ssize_t i) except -1:
        """R29: dead."""
        cdef Fact cause = self.this_record()
        self.state.count_late += 1
        self.floor.outlet.raise_(TIME_TOO_LATE, batch.src[i], batch.t_rx[i], &cause, NAMES[batch.kind[i]])
        return 0

    cdef int take_context(self, Batch batch, Py_ssize_t i) except -1:
        """R10; context is never late and never waits."""
        cdef Source* source = self.source(batch.src[i])
        cdef int64_t t = self.event_time(source, batch.t[i], batch.t_rx[i], False, True)
        cdef Fact* fact = self.fact_of(batch, i, t)
        cdef int verdict
        cdef dict record = batch.fields(i)
        self.t = t
        source.records += 1
        fact.context = True
        if t > self.state.greatest:
            self.state.greatest = t
        if fact.seq == ABSENT:
            self.payloads.write(batch, i, record, True)
            fact.name = new_name(self.floor, self.payloads.digest(batch, i))
        if fact.seq != ABSENT or fact.epoch or fact.sub:
            self.payloads.write(batch, i, record, False)
        self.note(source, fact.epoch, fact.seq, fact.sub, t, False)     # R10 alone decides what is a duplicate
        self.state.deferring = True
        verdict = self.context.take(fact, record, self.payloads.content(), batch.line_of(i))
        if verdict == TAKEN:
            self.state.count_taken += 1
        elif verdict == SAME:
            self.state.count_duplicate += 1
        else:
            self.state.count_rejected += 1
        return 0

    cdef int take_about_source(self, Batch batch, Py_ssize_t i) except -1:
        """R5, R6, R29: what a source tells of its link stands among its numbers, can come again and too late like everything
        that it tells."""
        cdef Source* source = NULL
        cdef int64_t t = batch.t_rx[i]
        if batch.src[i] and not (self.state.full and find(self.state.sources, batch.src[i]) == NULL):
            source = self.source(batch.src[i])
            t = self.time_of_link(source, batch, i)
            if not self.note_about_link(source, batch, i, t):
                self.state.count_duplicate += 1
                return 0
            if batch.t_rx[i] - t > self.floor.rules.lateness:
                return self.refuse_late(batch, i)
        self.state.count_taken += 1
        if batch.kind[i] in (K_LINK_DOWN, K_LINK_UP) and batch.src[i]:
            self.take_link(batch, i, t)
        elif batch.kind[i] == K_SOURCE_GAP and source != NULL:
            record = batch.fields(i)
            source.gap_count += 1
            gaps.open_gap(self.floor, source, record["t_from"], record["t_to"], 0, -1, -1)
        return 0

    cdef int64_t time_of_link(self, Source* source, Batch batch, Py_ssize_t i) except? -1:
        """R1. Without a number it is mostly a broker's word, a will from when the source connected: such a time is nobody's
        wrong clock, however old."""
        cdef bint hist = batch.flags[i] & F_HIST
        cdef int64_t t = batch.t[i], t_rx = batch.t_rx[i]
        if not hist and batch.seq[i] == ABSENT:
            return t if t != ABSENT and -source.skew_max <= t - t_rx <= source.skew_max else t_rx
        return self.time_of(source, batch.t[i], batch.t_rx[i], hist)

    cdef bint note_about_link(self, Source* source, Batch batch, Py_ssize_t i, int64_t t) except -1:
        """R5: `link.down` and `link.up` come again like everything that a source tells. False: it was here before."""
        if batch.seq[i] != ABSENT:
            return self.note(source, batch.epoch[i], batch.seq[i], batch.sub[i], t, False)
        return self.note_content(source, batch, i)

    cdef int take_link(self, Batch batch, Py_ssize_t i, int64_t t) except -1:
        """R2: on `link.down` its sources leave, on `link.up` they can be heard again; unless it is an old word: of an earlier
        life, or of a backlog and they have spoken since."""
        cdef Source* source
        cdef int32_t number, speaker = batch.src[i]
        cdef dict record = batch.fields(i)
        for number in self.spoken_for(speaker, record.get("scope")):
            source = self.source(number)
            if number == speaker and record.get("epoch", source.epoch) < source.epoch:
                continue
            if batch.flags[i] & F_HIST and t < source.greatest:
                continue
            if batch.kind[i] == K_LINK_DOWN:
                self.link_down(source, speaker, t)
            else:
                self.link_up(source, speaker, t)
        return 0

    cdef list spoken_for(self, int32_t src, str scope):
        """R2: the source itself and all within its scope, by name, as numbers. Without a scope no table is walked: thousands may go
        down at once."""
        cdef Table* sources = self.state.sources
        cdef list names = []
        cdef uint64_t k
        cdef int32_t number
        if scope is None:
            return [src] if find(sources, src) != NULL else []
        for k in range(sources.capacity):
            number = <int32_t>sources.slots[k].key
            if sources.slots[k].value != NULL and (number == src or self.floor.text(number).startswith(scope)):
                names.append((self.floor.text(number), number))
        return [number for _, number in sorted(names)]

    # ------------------------------------------------------------------------------------------ memory

    cdef int forget(self) except -1:
        """What is over leaves `retention_ms` after its end; it is looked for now and then, by event time."""
        cdef int64_t keep = self.floor.rules.retention
        if self.state.next_sweep != ABSENT:
            retention.sweep(self.floor, self.state.watermark - keep)
            garbage.collect(self.floor)
            self.forget_met()
        else:
            self.state.remembers = max(self.state.remembers, self.state.watermark)
        if self.state.full:             # maybe there is room again
            self.relieve()
        self.state.next_sweep = self.state.watermark + (SWEEP_MIN if self.state.full else max(keep // SWEEPS, SWEEP_MIN))
        return 0

    cdef int relieve(self) except -1:
        """`state_bytes_max`: what nothing points to goes, then the oldest finished windows; planned work never does."""
        cdef State* state = self.state
        cdef int64_t keep = min(state.watermark - state.remembers, self.floor.rules.retention)
        cdef size_t enough = self.full_at // 8 * 7      # room for a while: to look for it takes time
        cdef Fact cause = named_source(state.site)
        garbage.collect(self.floor)
        while self.held() > enough and keep > KEEP_MIN:
            keep = max(keep // 2, KEEP_MIN)
            retention.sweep(self.floor, state.watermark - keep)
            garbage.collect(self.floor)
        self.forget_met()
        state.full = self.held() > self.full_at or tombstones.are_many(self.floor)
        state.relieve_at = max(self.full_at, self.held() + self.floor.bytes_max // 64)
        if state.full:
            return self.floor.outlet.raise_(CFG_STATE_FULL, state.site, state.wall, &cause,
                                            f"{self.held()} of {self.floor.bytes_max} bytes")
        return self.floor.outlet.clear(CFG_STATE_FULL, state.site, state.wall, &cause)

    cdef bint admit_stranger(self, int32_t src, int64_t t_rx) noexcept:
        """A full state still takes what nobody knows from a source that says few such names, and new sources if they are
        few: one mad scanner must not keep another's cartons out."""
        cdef Source* source = <Source*>find(self.state.sources, src)
        cdef bint few = strangers.are_few(&source.strangers if source != NULL else &self.state.strangers, t_rx)
        return few and self.held() <= self.crowded_at

    # ------------------------------------------------------------------------------------------ time

    def finish(self, int64_t until_us=-1):
        """R4a: every source leaves, both clocks run on to `until_us`; what is due up to and including it is decided."""
        if until_us < 0:
            until_us = self.state.greatest + 60_000_000 if self.state.greatest != ABSENT else self.state.wall
        if until_us == ABSENT:
            return
        while self.is_anyone_in():
            self.leave(presence.first_to_leave(self.state))
        self.follow_sources()
        self.advance_wall(until_us)
        self.advance_watermark(until_us + 1)
        self.advance_wall(until_us)

    def wall_us(self):
        """The wall clock, the greatest `t_rx` so far; 0: there was none."""
        return self.state.wall if self.state.wall != ABSENT else 0

    def due_us(self):
        """The wall time at which time alone decides something next; -1: nothing waits for time."""
        cdef int64_t due = self.floor.by_wall.next_due(), mark = self.floor.by_watermark.next_due()
        cdef Source* source = presence.first_to_leave(self.state)
        if mark != NEVER:
            due = min(due, source.last_rx + source.idle if source != NULL else mark + self.idle + 1)
        return due if due != NEVER else -1

    # ------------------------------------------------------------------------------------------ kept

    def snapshot(self):
        """All state as bytes; events must have been taken. `restore` them into a new core to go on as if never stopped."""
        if self.floor.outlet.waiting:
            raise ValueError("take() the events first: a snapshot does not keep them")
        return snapshot.save(self.floor)

    def restore(self, bytes data not None):
        """Into a core that was just made, whose texts have given out no number yet. Its parameters stay its own."""
        cdef Source* source
        cdef uint64_t i
        snapshot.restore(self.floor, data)
        if self.floor.text(self.floor.state.site) != self.floor.outlet.site:
            raise SnapshotError(f"it is of site {self.floor.text(self.floor.state.site)}, not of {self.floor.outlet.site}")
        self.state = self.floor.state
        self.laggard = NULL
        self.next_leave = ABSENT        # to be looked for
        if not self.state.full and not 0 <= <int64_t>(self.state.relieve_at - self.full_at) <= self.floor.bytes_max // 64:
            self.state.relieve_at = self.full_at    # the cap is another one than when it was written
        self.forget_met()
        for i in range(self.state.sources.capacity):
            source = <Source*>self.state.sources.slots[i].value
            if source != NULL:
                self.configure(source)
                presence.restore_order(self.state, source)

    def go_on_from(self, dict revisions not None):
        """Another program has told of these records before. `revisions`: id without `:rN` -> the greatest revision it told."""
        self.floor.outlet.go_on_from(revisions)

    # ------------------------------------------------------------------------------------------ out

    def take(self):
        """The business events emitted since the last call, in order of sequence: fields of contracts.Emitted."""
        return self.floor.outlet.take()

    def account(self):
        """R82: every record stands in exactly one."""
        cdef State* state = self.state
        cdef int64_t waits = state.count_waiting + state.open_tracks
        return {
            "in": state.count_in, "used": state.count_taken - waits, "duplicate": state.count_duplicate,
            "late": state.count_late, "rejected": state.count_rejected, "noise": state.count_noise, "open": waits,
        }

    def state_bytes(self):
        """Bytes in use, of windows and of all names."""
        return self.floor.store.used() + self.floor.texts.bytes_held()

    def steps(self):
        """Slots that searches for lines looked at, beyond the first of each: what colliding numbers would cost."""
        return self.floor.store.steps(self.state.lines)

    def names_bytes(self):
        return self.floor.texts.bytes_held()

    def slots(self):
        """How many the largest table of windows has: `windows` walks them."""
        return max(self.state.lines.capacity, self.state.units.capacity, self.state.shipments.capacity)

    def windows(self, uint64_t start=0, int64_t stop=-1):
        """How many windows are open, by name, in these slots; what is in no table of windows is counted with slot 0."""
        cdef State* state = self.state
        cdef uint64_t end = <uint64_t>stop if stop >= 0 else <uint64_t>self.slots()
        return {
            "picks": open_windows.open_picks(state, start, end), "cartons": open_windows.open_cartons(state, start, end),
            "shipments": open_windows.open_shipments(state, start, end),
            "tracks": 0 if start else state.tracks.count, "waiting": 0 if start else state.count_waiting,
        }

    def position(self, str src):
        """The last (epoch, seq) of a source; None if it never numbered."""
        cdef int32_t number = self.floor.texts.find(src)
        cdef Source* source = <Source*>find(self.state.sources, number) if number else NULL
        return None if source == NULL or source.seq == ABSENT else (source.epoch, source.seq)
