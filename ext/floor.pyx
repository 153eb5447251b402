# cython: boundscheck=False, wraparound=False
"""What the engine knows of the floor: see floor.pxd; who points at whom stands in state.pxd."""

import msgspec

from ext.batch cimport ABSENT
from ext.order_data cimport Arrived, Asked, FormerTask
from ext.outlet cimport Outlet
from ext.plan_data cimport FormerHome, FormerPlan, FormerScope
from ext.premises_data cimport (
    Expectation, Finding, Graded, LatePicks, Place, Return, Rma, RmaLine, Scan, Shelf, Signal, Statement, Subjects,
    UnitFinding,
)
from ext.sources cimport Gap, Glimpse, Multiread, Seen, Sighting, Source, Track, TrackLife
from ext.state cimport (
    B_ARRIVED, B_ASKED, B_CHANGED, B_CYCLE, B_DECIDED, B_DEPARTED, B_EXPECTATIONS, B_FACT, B_FINDING,
    B_FORMER_HOME, B_FORMER_PLAN, B_FORMER_SCOPE, B_FORMER_TASK, B_GAP, B_GLIMPSES, B_GRADED,
    B_LATE_PICKS, B_LEDGER, B_LIFE, B_LINE, B_MOVE, B_MOVED, B_MULTIREAD, B_ORDER, B_PENDING, B_PLACE, B_PLAN,
    B_PLANNED, B_RETURN, B_RMA, B_RMA_LINES, B_SCAN, B_SCOPE_LINE, B_SEEN, B_SHELF, B_SHIPMENT, B_SIGHTING, B_SIGNAL,
    B_SOURCE, B_STATE, B_STATEMENT, B_SUBJECTS, B_TIMER, B_TOUCHES, B_TRACK, B_TRAILER, B_TROUBLE, B_UNIT,
    B_UNIT_FINDING, B_WAITING, B_WHEEL, B_WINDOW, Changed, Cycle, Decided, Departed, Ledger, Move, Moved,
    Pending, PickWindow, Planned, ScopeLine, Touch, Trouble, Waiting,
)
from ext.store cimport B_PLAIN_TABLE, B_TABLE, Table, length, nth, pair
from ext.texts cimport TEXT_BYTES
from ext.timers cimport NEVER
from ext.wheel cimport Timer, Wheel

cdef int64_t MS = 1000
cdef object decode_json = msgspec.json.decode

DEFAULTS = {        # of a core that is built without a site file: those of engine/config/rules.py, which a test holds them to
    "skew_max_ms": 5_000, "disorder_ms": 2_000, "idle_source_ms": 5_000, "gap_hold_ms": 300_000,
    "dedupe_noseq_ms": 600_000, "rate_band": 0, "ctx_wait_ms": 600_000, "close_hold_ms": 5_000, "ready_hold_ms": 5_000,
    "hold_wall_max_ms": 30_000, "lateness_ms": 86_400_000, "retention_ms": 604_800_000,
    "expectation_ttl_ms": 14_400_000, "pick_stall_ms": 900_000, "stuck_ms": 0, "loops_max": 3, "ident_wait_ms": 600_000,
    "short_on_close": False, "short_at_cutoff": False, "partial_load": "hold", "state_bytes_max": 536_870_912,
}


cdef Rules rules_of(dict values):
    cdef Rules rules
    rules.ctx_wait = values["ctx_wait_ms"] * MS
    rules.close_hold = values["close_hold_ms"] * MS
    rules.ready_hold = values["ready_hold_ms"] * MS
    rules.hold_wall_max = values["hold_wall_max_ms"] * MS
    rules.lateness = values["lateness_ms"] * MS
    rules.retention = values["retention_ms"] * MS
    rules.pick_stall = values["pick_stall_ms"] * MS
    rules.stuck = values["stuck_ms"] * MS
    rules.ident_wait = values["ident_wait_ms"] * MS
    rules.expectation_ttl = values["expectation_ttl_ms"] * MS
    rules.loops_max = values["loops_max"]
    rules.short_on_close = values["short_on_close"]
    rules.short_at_cutoff = values["short_at_cutoff"]
    rules.emit_partial_load = values["partial_load"] == "emit"
    return rules


cdef int describe_structs(Store store) except -1:
    """Where pointers end and texts begin, where texts end and plain values begin: by the first field of each part."""
    describe_orders(store)
    describe_cartons(store)
    describe_sources(store)
    describe_premises(store)
    return 0


cdef int describe_orders(Store store) except -1:
    """Orders, their windows, and what is told of them."""
    cdef State* state = NULL
    cdef Fact* fact = NULL
    cdef Move* move = NULL
    cdef Moved* moved = NULL
    cdef Ledger* ledger = NULL
    cdef Order* order = NULL
    cdef Line* line = NULL
    cdef PickWindow* window = NULL
    cdef Trouble* trouble = NULL
    cdef Changed* changed = NULL
    cdef Waiting* waiting = NULL
    cdef Arrived* arrived = NULL
    cdef Wheel* wheel = NULL
    cdef Timer* timer = NULL
    store.describe(B_STATE, sizeof(State), <size_t>&state.site, <size_t>&state.watermark)
    store.describe(B_FACT, sizeof(Fact), <size_t>&fact.src, <size_t>&fact.t)
    store.describe(B_MOVE, sizeof(Move), <size_t>&move.out, <size_t>&move.out)
    store.describe_array(B_MOVED, sizeof(Moved), <size_t>&moved.sku, <size_t>&moved.qty)
    store.describe(B_LEDGER, sizeof(Ledger), 0, <size_t>&ledger.revision)
    store.describe(B_ORDER, sizeof(Order), <size_t>&order.id, <size_t>&order.t)
    store.describe(B_LINE, sizeof(Line), <size_t>&line.order, <size_t>&line.number)
    store.describe(B_WINDOW, sizeof(PickWindow), <size_t>&window.task, <size_t>&window.q_task)
    store.describe(B_TROUBLE, sizeof(Trouble), <size_t>&trouble.cancel_t, <size_t>&trouble.cancel_t)
    store.describe(B_CHANGED, sizeof(Changed), <size_t>&changed.cancel_t, <size_t>&changed.cancel_t)
    store.describe_array(B_ASKED, sizeof(Asked), 0, 0)
    store.describe_array(B_FORMER_TASK, sizeof(FormerTask), 0, 8)
    store.describe(B_WAITING, sizeof(Waiting), <size_t>&waiting.key, <size_t>&waiting.is_task)
    store.describe_array(B_ARRIVED, sizeof(Arrived), 0, <size_t>&arrived.is_task)
    store.describe(B_WHEEL, sizeof(Wheel), <size_t>&wheel.taken, <size_t>&wheel.taken)
    store.describe(B_TIMER, sizeof(Timer), <size_t>&timer.a, <size_t>&timer.due)
    return 0


cdef int describe_cartons(Store store) except -1:
    """Load units, cartons, shipments."""
    cdef Decided* decided = NULL
    cdef LoadUnit* unit = NULL
    cdef Cycle* cycle = NULL
    cdef CartonPlan* plan = NULL
    cdef Planned* planned = NULL
    cdef ScopeLine* scope = NULL
    cdef FormerPlan* before = NULL
    cdef FormerScope* before_scope = NULL
    cdef FormerHome* before_home = NULL
    cdef Shipment* shipment = NULL
    cdef Touch* touch = NULL
    cdef Pending* pending = NULL
    cdef Trailer* trailer = NULL
    store.describe(B_DECIDED, sizeof(Decided), <size_t>&decided.shipment, <size_t>&decided.spare)
    store.describe(B_UNIT, sizeof(LoadUnit), <size_t>&unit.lu, <size_t>&unit.met)
    store.describe(B_CYCLE, sizeof(Cycle), <size_t>&cycle.target, <size_t>&cycle.number)
    store.describe(B_PLAN, sizeof(CartonPlan), <size_t>&plan.carton, <size_t>&plan.weight_g)
    store.describe_array(B_PLANNED, sizeof(Planned), <size_t>&planned.qty, <size_t>&planned.qty)
    store.describe(B_SCOPE_LINE, sizeof(ScopeLine), <size_t>&scope.qty, <size_t>&scope.qty)
    store.describe(B_FORMER_PLAN, sizeof(FormerPlan), <size_t>&before.carrier, <size_t>&before.rev)
    store.describe(B_FORMER_SCOPE, sizeof(FormerScope), <size_t>&before_scope.qty, <size_t>&before_scope.qty)
    store.describe(B_FORMER_HOME, sizeof(FormerHome), <size_t>&before_home.weight_g, <size_t>&before_home.weight_g)
    store.describe(B_SHIPMENT, sizeof(Shipment), <size_t>&shipment.id, <size_t>&shipment.plan_rev)
    store.describe_array(B_TOUCHES, sizeof(Touch), <size_t>&touch.t, <size_t>&touch.t)
    store.describe_array(B_PENDING, sizeof(Pending), <size_t>&pending.t, <size_t>&pending.t)
    store.describe_array(B_DEPARTED, sizeof(Departed), sizeof(Departed), sizeof(Departed))
    store.describe(B_TRAILER, sizeof(Trailer), <size_t>&trailer.id, sizeof(Trailer))
    return 0


cdef int describe_sources(Store store) except -1:
    """Sources and the items on their machines."""
    cdef Gap* gap = NULL
    cdef Track* track = NULL
    cdef TrackLife* life = NULL
    cdef Multiread* multiread = NULL
    cdef Glimpse* glimpse = NULL
    cdef Sighting* sighting = NULL
    cdef Source* source = NULL
    cdef Seen* seen = NULL
    store.describe(B_GAP, sizeof(Gap), <size_t>&gap.t_from, <size_t>&gap.t_from)
    store.describe(B_TRACK, sizeof(Track), <size_t>&track.epoch, <size_t>&track.epoch)
    store.describe(B_LIFE, sizeof(TrackLife), <size_t>&life.lu, <size_t>&life.begin)
    store.describe(B_MULTIREAD, sizeof(Multiread), <size_t>&multiread.closes, <size_t>&multiread.closes)
    store.describe_array(B_GLIMPSES, sizeof(Glimpse), <size_t>&glimpse.src, <size_t>&glimpse.sub)
    store.describe(B_SIGHTING, sizeof(Sighting), <size_t>&sighting.area, <size_t>&sighting.ever_lost)
    store.describe(B_SOURCE, sizeof(Source), <size_t>&source.src, <size_t>&source.skew_max)
    store.describe(B_SEEN, sizeof(Seen), <size_t>&seen.epoch, <size_t>&seen.epoch)
    return 0


cdef int describe_premises(Store store) except -1:
    """Stock, returns, equipment."""
    cdef Place* place = NULL
    cdef Finding* finding = NULL
    cdef Statement* statement = NULL
    cdef Shelf* shelf = NULL
    cdef Scan* scan = NULL
    cdef Graded* graded = NULL
    cdef Return* home = NULL
    cdef RmaLine* rma_line = NULL
    cdef Rma* rma = NULL
    cdef Signal* signal = NULL
    store.describe(B_LATE_PICKS, sizeof(LatePicks), sizeof(LatePicks), sizeof(LatePicks))
    store.describe(B_PLACE, sizeof(Place), <size_t>&place.loc, <size_t>&place.prune_at)
    store.describe_array(B_EXPECTATIONS, sizeof(Expectation), 0, 0)
    store.describe(B_FINDING, sizeof(Finding), <size_t>&finding.order, <size_t>&finding.qty)
    store.describe(B_STATEMENT, sizeof(Statement), <size_t>&statement.expected, <size_t>&statement.expected)
    store.describe(B_SHELF, sizeof(Shelf), <size_t>&shelf.loc, sizeof(Shelf))
    store.describe(B_UNIT_FINDING, sizeof(UnitFinding), sizeof(UnitFinding), sizeof(UnitFinding))
    store.describe(B_SCAN, sizeof(Scan), <size_t>&scan.counts, <size_t>&scan.counts)
    store.describe(B_GRADED, sizeof(Graded), <size_t>&graded.grade, <size_t>&graded.qty)
    store.describe(B_RETURN, sizeof(Return), <size_t>&home.key, <size_t>&home.last_t)
    store.describe_array(B_RMA_LINES, sizeof(RmaLine), 0, <size_t>&rma_line.qty)
    store.describe(B_RMA, sizeof(Rma), <size_t>&rma.id, sizeof(Rma))
    store.describe(B_SIGNAL, sizeof(Signal), <size_t>&signal.subject, <size_t>&signal.code)
    store.describe(B_SUBJECTS, sizeof(Subjects), sizeof(Subjects), sizeof(Subjects))
    return 0


cdef class Floor:
    def __init__(self, Texts texts not None, dict values not None, str site not None, str source not None, size_t room=0):
        values = {**DEFAULTS, **values}
        self.texts = texts
        self.rules = rules_of(values)
        self.closing_points = set(values.get("closing_points", ()))
        self.bytes_max = values["state_bytes_max"]
        # address space: a table that grows stands there twice for a moment, and where small blocks lie nothing large does
        self.store = Store(2 * max(self.bytes_max, room))
        describe_structs(self.store)
        self.outlet = Outlet(site, source, self.store, texts)
        self.by_watermark, self.by_wall = Timers(self.store, texts), Timers(self.store, texts)
        self.scratch, self.truth = JsonWriter(texts), JsonWriter(texts)
        texts.cores += 1
        self.begin()

    def __dealloc__(self):
        if self.texts is not None:
            self.texts.cores -= 1

    cdef int begin(self) except -1:
        """An empty floor."""
        cdef State* state = <State*>self.store.new(B_STATE, sizeof(State))
        cdef Table** table = &state.tasks
        cdef int family
        self.state = state
        state.by_watermark = <Wheel*>self.store.new(B_WHEEL, sizeof(Wheel))
        state.by_wall = <Wheel*>self.store.new(B_WHEEL, sizeof(Wheel))
        while table != &state.equal:
            table[0] = self.store.table(B_TABLE)
            table += 1
        state.equal, state.tombstones = self.store.table(B_PLAIN_TABLE), self.store.table(B_PLAIN_TABLE)
        state.relieve_at = self.bytes_max // 4 * 3
        state.collect_at = COLLECT_MIN
        for family in range(12):
            state.revisions[family] = self.store.table(B_TABLE)
        state.no_trouble, state.nothing_changed = self.new_trouble(), self.new_changed()
        state.nothing_decided = self.new_decided()
        state.watermark = state.wall = state.equal_at = state.sightings_until = ABSENT
        state.next_sweep = ABSENT
        state.site = self.texts.number(self.outlet.site)
        state.ok, state.noread, state.mismatch = self.intern("OK"), self.intern("NOREAD"), self.intern("MISMATCH")
        state.empty, state.insufficient = self.intern("EMPTY"), self.intern("INSUFFICIENT")
        state.not_found = self.intern("NOT_FOUND")
        self.own_texts = self.texts.known
        return self.adopt(state)

    cdef int adopt(self, State* state) except -1:
        """Go on with this state: a new one, or that of a snapshot."""
        self.state = self.outlet.state = state
        self.by_watermark.adopt(state.by_watermark)
        self.by_wall.adopt(state.by_wall)
        return 0

    # ------------------------------------------------------------------------------------------ facts

    cdef Fact* new_fact(self) except NULL:
        return <Fact*>self.store.new(B_FACT, sizeof(Fact))

    cdef Trouble* new_trouble(self) except NULL:
        """None so far."""
        cdef Trouble* trouble = <Trouble*>self.store.new(B_TROUBLE, sizeof(Trouble))
        trouble.cancel_t = NEVER
        trouble.forced = trouble.held_t = trouble.gap_over_t = ABSENT
        return trouble

    cdef Trouble* troubled(self, PickWindow* window) except NULL:
        """Its trouble, to be written to."""
        if window.trouble == self.state.no_trouble:
            window.trouble = self.new_trouble()
        return <Trouble*>window.trouble

    cdef Changed* new_changed(self) except NULL:
        cdef Changed* changed = <Changed*>self.store.new(B_CHANGED, sizeof(Changed))
        changed.cancel_t = changed.alloc_t = NEVER
        return changed

    cdef Changed* changing(self, Line* line) except NULL:
        """What has changed of it, to be written to."""
        if line.changed == self.state.nothing_changed:
            line.changed = self.new_changed()
        return <Changed*>line.changed

    cdef Decided* new_decided(self) except NULL:
        cdef Decided* decided = <Decided*>self.store.new(B_DECIDED, sizeof(Decided))
        decided.forced = decided.until = ABSENT
        return decided

    cdef Decided* deciding(self, Cycle* cycle) except NULL:
        """What was decided of it, to be written to."""
        if cycle.decided == self.state.nothing_decided:
            cycle.decided = self.new_decided()
        return <Decided*>cycle.decided

    cdef Fact* copy_name(self, const Fact* fact) except NULL:
        """A new fact under the name and time of another: of a part of its record, or of what follows from it."""
        cdef Fact* made = self.new_fact()
        made.t, made.t_rx, made.arrival, made.kind = fact.t, fact.t_rx, fact.arrival, fact.kind
        made.src, made.epoch, made.seq, made.sub = fact.src, fact.epoch, fact.seq, fact.sub
        made.name, made.context = fact.name, fact.context
        return made

    cdef bint precedes(self, const Fact* a, const Fact* b) noexcept:
        """R3: event time, then context first, then (src, epoch, seq, sub), then arrival."""
        if a.t != b.t:
            return a.t < b.t
        if a.context != b.context:
            return a.context
        if a.src != b.src:
            return self.texts.precedes(a.src, b.src)
        if a.epoch != b.epoch:
            return a.epoch < b.epoch
        if a.seq != b.seq:
            return a.seq < b.seq
        if a.sub != b.sub:
            return a.sub < b.sub
        return a.arrival < b.arrival

    cdef int32_t insert_between(self, List** facts, Fact* fact) except -1:
        """As `insert_sorted`, for a fact that may not be the last; it looks from the end."""
        cdef int32_t i = length(facts[0])
        while i > 0 and self.precedes(fact, <Fact*>nth(facts[0], i - 1)):
            i -= 1
        self.store.insert(facts, i, fact)
        return i

    cdef int insert_waiting(self, List** others, Waiting* waiting) except -1:
        """R3: all that waits for one thing takes effect at one moment, in the order of event time and not of arrival."""
        cdef int32_t i = length(others[0])
        while i > 0 and self.precedes(waiting.fact, (<Waiting*>nth(others[0], i - 1)).fact):
            i -= 1
        return self.store.insert(others, i, waiting)

    # ------------------------------------------------------------------------------------------ texts

    cdef str text(self, int32_t number):
        return self.texts.get(number)

    cdef str dev_id(self, const Fact* fact):
        """As text: for rare decisions."""
        self.scratch.clear()
        self.outlet.write_dev_id(self.scratch, fact)
        return decode_json(b'"' + self.scratch.bytes() + b'"')

    cdef int32_t intern(self, str text) except -1:
        cdef bytes raw = text.encode("utf-8")
        self.state.names_bytes += <size_t>len(raw) + TEXT_BYTES
        return self.texts.intern(raw, len(raw))

    cdef int32_t joined(self, const char* head, int32_t text) except -1:
        """The number of a text put together: head, then the text."""
        self.scratch.clear()
        self.scratch.put(head)
        self.scratch.raw(self.texts.bytes_of(text), self.texts.length_of(text))
        return self.intern_scratch()

    cdef int32_t numbered(self, int32_t text, char between, int32_t number) except -1:
        """The number of a text put together: order/line, lu#cycle."""
        self.scratch.clear()
        self.scratch.raw(self.texts.bytes_of(text), self.texts.length_of(text))
        self.scratch.raw(&between, 1)
        self.scratch.integer(number)
        return self.intern_scratch()

    cdef int32_t intern_scratch(self) except -1:
        self.state.names_bytes += <size_t>self.scratch.length + TEXT_BYTES
        return self.texts.intern(self.scratch.at, self.scratch.length)

    # ------------------------------------------------------------------------------------------ things, by name

    cdef Order* order_of(self, int32_t order) except NULL:
        cdef Order* known = <Order*>find(self.state.orders, order)
        if known == NULL:
            known = <Order*>self.store.new(B_ORDER, sizeof(Order))
            known.id = order
            self.store.put(self.state.orders, order, known)
        return known

    cdef Line* line_of(self, int32_t order, int32_t number) except NULL:
        cdef Line* line = find_line(self.state, order, number)
        if line == NULL:
            line = <Line*>self.store.new(B_LINE, sizeof(Line))
            line.order, line.number, line.known_t = order, number, NEVER
            line.changed = self.state.nothing_changed
            line.of = self.order_of(order)
            if line.of.cancelled_by != NULL:        # R27
                self.changing(line).cancelled_by = line.of.cancelled_by
                self.changing(line).cancel_t = line.of.cancelled_by.t
            self.store.append(&line.of.lines, line)
            self.store.put(self.state.lines, pair(order, number), line)
        return line

    cdef LoadUnit* unit_of(self, int32_t lu) except NULL:
        cdef LoadUnit* unit = <LoadUnit*>find(self.state.units, lu)
        if unit == NULL:
            unit = <LoadUnit*>self.store.new(B_UNIT, sizeof(LoadUnit))
            unit.lu = lu
            self.store.put(self.state.units, lu, unit)
        return unit

    cdef CartonPlan* carton_of(self, int32_t carton) except NULL:
        cdef CartonPlan* plan = <CartonPlan*>find(self.state.cartons, carton)
        if plan == NULL:
            plan = <CartonPlan*>self.store.new(B_PLAN, sizeof(CartonPlan))
            plan.carton = carton
            plan.weight_g = plan.tol_g = plan.t = ABSENT
            self.store.put(self.state.cartons, carton, plan)
        return plan

    cdef Shipment* shipment_of(self, int32_t id) except NULL:
        cdef Shipment* shipment = <Shipment*>find(self.state.shipments, id)
        if shipment == NULL:
            shipment = <Shipment*>self.store.new(B_SHIPMENT, sizeof(Shipment))
            shipment.id = id
            shipment.cutoff = shipment.cancel_t = shipment.manifest_t = NEVER
            shipment.evaluated = shipment.planned_t = shipment.held_truth = ABSENT
            shipment.ready_at = shipment.unready_at = ABSENT
            self.store.put(self.state.shipments, id, shipment)
        return shipment

    cdef Trailer* trailer_of(self, int32_t id) except NULL:
        cdef Trailer* trailer = <Trailer*>find(self.state.trailers, id)
        if trailer == NULL:
            trailer = <Trailer*>self.store.new(B_TRAILER, sizeof(Trailer))
            trailer.id = id
            self.store.put(self.state.trailers, id, trailer)
        return trailer
