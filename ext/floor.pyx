"""What the engine knows of the floor: see floor.pxd for the data and who points at whom."""

from ext.batch cimport ABSENT
from ext.timers cimport NEVER

cdef int64_t MS = 1000

DEFAULTS = {
    "skew_max_ms": 5_000, "disorder_ms": 2_000, "idle_source_ms": 5_000, "gap_hold_ms": 300_000,
    "dedupe_noseq_ms": 600_000, "ctx_wait_ms": 600_000, "close_hold_ms": 5_000, "ready_hold_ms": 5_000,
    "hold_wall_max_ms": 30_000, "lateness_ms": 86_400_000, "retention_ms": 604_800_000,
    "expectation_ttl_ms": 14_400_000, "pick_stall_ms": 900_000, "loops_max": 3, "ident_wait_ms": 600_000,
    "short_on_close": False, "short_at_cutoff": False, "partial_load": "hold", "state_bytes_max": 536_870_912,
}


cdef class Rules:
    def __init__(self, given):
        values = {**DEFAULTS, **given}
        self.ctx_wait = values["ctx_wait_ms"] * MS
        self.close_hold = values["close_hold_ms"] * MS
        self.ready_hold = values["ready_hold_ms"] * MS
        self.hold_wall_max = values["hold_wall_max_ms"] * MS
        self.lateness = values["lateness_ms"] * MS
        self.retention = values["retention_ms"] * MS
        self.pick_stall = values["pick_stall_ms"] * MS
        self.ident_wait = values["ident_wait_ms"] * MS
        self.expectation_ttl = values["expectation_ttl_ms"] * MS
        self.loops_max = values["loops_max"]
        self.short_on_close = values["short_on_close"]
        self.short_at_cutoff = values["short_at_cutoff"]
        self.emit_partial_load = values["partial_load"] == "emit"
        self.closing_points = set(values.get("closing_points", ()))


cdef class Fact:
    pass


cdef class Packing(Fact):
    pass


cdef class Line:
    def __init__(self):
        self.cancel_t = NEVER
        self.alloc_t = NEVER
        self.windows = []
        self.scopes = []
        self.policy = "SHIP_PARTIAL"


cdef class PickWindow:
    def __init__(self):
        self.cancel_t = NEVER
        self.forced = self.held_t = self.gap_over_t = ABSENT
        self.facts = []
        self.closings = []


cdef class LatePicks:
    pass


cdef class LoadUnit:
    def __init__(self):
        self.facts = []
        self.cycles = []
        self.destined = []
        self.riders = []


cdef class Cycle:
    def __init__(self):
        self.end = NEVER
        self.forced = ABSENT
        self.facts = []


cdef class CartonPlan:
    def __init__(self):
        self.weight_g = self.tol_g = ABSENT
        self.t = ABSENT
        self.cycles = []


cdef class ScopeLine:
    pass


cdef class Shipment:
    def __init__(self):
        self.scope = []
        self.lanes = set()
        self.plans = {}
        self.touches = []
        self.pending = []
        self.trailer_closes = []
        self.gone = {}
        self.cutoff = self.cancel_t = self.manifest_t = NEVER
        self.evaluated = self.plan_t = self.unready_at = self.held_since = ABSENT


cdef class Trailer:
    def __init__(self):
        self.loads = []
        self.closes = []


cdef class Gap:
    pass


cdef class TrackLife:
    def __init__(self):
        self.waiting = []


cdef int name_alike(Fact made, Fact fact) except -1:
    """A part or consequence of a record stands under that record's name, at its time."""
    made.t, made.t_rx, made.arrival, made.kind = fact.t, fact.t_rx, fact.arrival, fact.kind
    made.src, made.epoch, made.seq, made.sub = fact.src, fact.epoch, fact.seq, fact.sub
    made.name, made.context = fact.name, fact.context
    return 0


cdef bint precedes(Fact a, Fact b, Texts texts):
    """R3: event time, then context first, then (src, epoch, seq, sub), then arrival."""
    if a.t != b.t:
        return a.t < b.t
    if a.context != b.context:
        return a.context
    if a.src != b.src:
        return texts.get(a.src) < texts.get(b.src)
    if a.epoch != b.epoch:
        return a.epoch < b.epoch
    if a.seq != b.seq:
        return a.seq < b.seq
    if a.sub != b.sub:
        return a.sub < b.sub
    return a.arrival < b.arrival


cdef Py_ssize_t insert_sorted(list facts, Fact fact, Texts texts) except -1:
    """Insert by R3's order; returns the position. Facts mostly come in order, so it looks from the end."""
    cdef Py_ssize_t i = len(facts)
    while i > 0 and precedes(fact, <Fact>facts[i - 1], texts):
        i -= 1
    facts.insert(i, fact)
    return i


cdef class Floor:
    def __init__(self, Texts texts, Rules rules, Outlet outlet):
        self.texts = texts
        self.rules = rules
        self.outlet = outlet
        self.by_watermark = Timers()
        self.by_wall = Timers()
        self.watermark = ABSENT
        self.wall = ABSENT
        self.tasks = {}
        self.lines = {}
        self.units = {}
        self.cartons = {}
        self.shipments = {}
        self.trailers = {}
        self.ssccs = {}
        self.mismatched = {}
        self.late_picks = {}
        self.cutoffs = {}
        self.orders = {}
        self.tracks = {}
        self.arrived = []
        self.deferred = {}
        self.gaps = {}
        self.pick_sources = set()
        self.held = []
        self.places = {}
        self.shelves = {}
        self.short_findings = {}
        self.unit_findings = {}
        self.returns = {}
        self.rmas = {}
        self.serials = {}
        self.signals = {}
        self.signalled = {}
        self.areas = {}
        self.unread = set()
        self.sightings = [{}, {}]
        self.sightings_until = ABSENT

    cdef str text(self, int32_t number):
        return self.texts.get(number)

    cdef str dev_id(self, Fact fact):
        """The name of a record for ever: src/epoch/seq/sub, or what its content hashes to."""
        if fact.name is not None:
            return fact.name
        return f"{self.texts.get(fact.src)}/{fact.epoch}/{fact.seq}/{fact.sub}"

    cdef Line line_of(self, int32_t order, int32_t number):
        cdef int64_t key = (<int64_t>order << 32) | <int64_t>number
        cdef Line line = self.lines.get(key)
        if line is None:
            line = self.lines[key] = Line()
            line.order = order
            line.number = number
            self.orders.setdefault(order, []).append(line)
        return line

    cdef LoadUnit unit_of(self, int32_t lu):
        cdef LoadUnit unit = self.units.get(lu)
        if unit is None:
            unit = self.units[lu] = LoadUnit()
            unit.lu = lu
        return unit

    cdef CartonPlan carton_of(self, int32_t carton):
        cdef CartonPlan plan = self.cartons.get(carton)
        if plan is None:
            plan = self.cartons[carton] = CartonPlan()
            plan.carton = carton
        return plan

    cdef Shipment shipment_of(self, int32_t id):
        cdef Shipment shipment = self.shipments.get(id)
        if shipment is None:
            shipment = self.shipments[id] = Shipment()
            shipment.id = id
            shipment.key = self.texts.get(id)
        return shipment

    cdef Trailer trailer_of(self, int32_t id):
        cdef Trailer trailer = self.trailers.get(id)
        if trailer is None:
            trailer = self.trailers[id] = Trailer()
            trailer.id = id
        return trailer
