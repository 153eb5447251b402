"""The core: one record at a time, in R4's order.

A record first moves the wall clock, which decides what is due by it; then it takes effect (`take_row` sorts it out,
`Effects.apply` hands it to the window that it concerns); then the watermark moves and decides what it passes.
"""

import hashlib

import msgspec

from ext cimport gaps, picks, shipments
from ext.batch cimport ABSENT, F_HIST
from ext.context cimport SAME, TAKEN
from ext.floor cimport Cycle, Floor, Line, LoadUnit, Rules, Shipment
from ext.kinds cimport K_CLOCK_TICK, K_LINK_DOWN, K_SOURCE_GAP, is_context, is_device, is_noise
from ext.outlet cimport Outlet
from ext.retention cimport sweep
from ext.texts cimport Texts
from ext.timers cimport NEVER

from ext import snapshot
from ext.context import Unfit
from ext.kinds import NAMES
from ext.outlet import base32_26

cdef object encode = msgspec.json.Encoder(order="sorted").encode

cdef int64_t SWEEPS = 64                # in the time that finished windows are kept
cdef int64_t SWEEP_MIN = 60_000_000     # microseconds of event time


cdef class Core(Effects):
    def __init__(self, str site, Texts texts not None, rules=None, source_rules=(), source=None):
        cdef Outlet outlet = Outlet(site, source if source is not None else f"/sites/{site}")
        given = dict(rules or {})
        super().__init__(Floor(texts, Rules(given), outlet), given, list(source_rules))
        self.context = Context(self.floor)
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
            self.greatest = max(self.greatest, t)
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
        if self.floor.deferring:
            self.tell_deferred()
        self.follow_sources()
        if self.floor.gap_closed:
            self.ask_held()
        if self.floor.watermark >= self.next_sweep:
            self.forget()
        return 0

    def tell_deferred(self):
        """R11: picks that waited for their context take effect together; one by one they would look like shorts."""
        cdef dict deferred = self.floor.deferred
        self.floor.deferring = False
        self.floor.deferred = {}
        for window, cause in deferred.items():
            picks.decide(self.floor, window, cause)

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
        self.floor.deferring = True
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
        gaps.open_gap(self.floor, source.number, source.gap_hold, record["t_from"], record["t_to"], 0, -1, -1)

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
        cdef int number = self.floor.texts.find(src)
        if not number or number >= len(self.sources_) or self.sources_[number] is None:
            return None
        source = <Source>self.sources_[number]
        return None if source.seq == ABSENT else (source.epoch, source.seq)
