"""Which use of a load unit a fact belongs to (R40, R40a).

A unit's facts are kept sorted; its cycles are what a walk over them finds. A fact that comes last in event time extends
the walk by one step; a fact that comes out of order repeats it. A cycle keeps its number and its identity through its
anchor, the fact that began it.
"""

from ext.floor cimport Packing, insert_sorted
from ext.kinds cimport (
    K_CARTON_CLOSE, K_CARTON_OPEN, K_CARTON_PLAN, K_CARTON_REOPEN, K_CARTON_VOID, K_LU_BIND, K_LU_RELEASE,
    K_MANIFEST_RESULT, K_PACK_CONFIRM, K_PICK_CONFIRM, K_PICK_REVERSE, K_SCAN_READ,
)
from ext.timers cimport NEVER


cdef class Span:
    """A cycle as the walk finds it, before it is matched with the cycles known."""
    cdef list facts
    cdef long long begin
    cdef long long end
    cdef int target
    cdef int carton
    cdef bint closed
    cdef bint rebound


cdef class Walk:
    """One pass over a unit's facts in order of event time."""
    cdef list spans
    cdef Span running
    cdef Floor floor

    cdef int step(self, Fact fact) except -1:
        cdef int kind = fact.kind
        if (kind == K_LU_BIND and fact.target) or kind == K_CARTON_PLAN:
            self.bind(fact)
        elif kind == K_LU_RELEASE:
            if self.running is not None and (fact.target == 0 or fact.target == self.running.target):
                self.finish(fact.t)
        elif kind == K_PICK_CONFIRM or kind == K_CARTON_OPEN or (kind == K_PACK_CONFIRM and not (<Packing>fact).out):
            if kind == K_CARTON_OPEN and self.running is not None and self.running.closed and not self.running.carton:
                self.finish(fact.t)             # R44: without a carton id, an open after the close is the next carton
            if self.running is None:
                self.start(fact)
            self.join(fact)
        else:
            self.join(fact)
            if kind == K_CARTON_VOID or kind == K_MANIFEST_RESULT:
                self.finish(fact.t)
        return 0

    cdef int bind(self, Fact fact) except -1:
        """R40: a bind to another target begins a cycle; one to the same target, or of a cycle without any, joins."""
        if self.running is not None and self.running.target and self.running.target != fact.target:
            self.running.rebound = not self.running.closed
            self.finish(fact.t)
        if self.running is None:
            self.start(fact)
        self.running.target = fact.target
        if fact.carton:
            self.running.carton = fact.carton
        self.running.facts.append(fact)
        return 0

    cdef int start(self, Fact fact) except -1:
        self.running = Span()
        self.running.facts = []
        self.running.begin = fact.t
        self.running.end = NEVER
        self.spans.append(self.running)
        return 0

    cdef int finish(self, long long t) except -1:
        if self.running is not None:
            self.running.end = t
            self.running = None
        return 0

    cdef int join(self, Fact fact) except -1:
        """What falls between two cycles joins the earlier; what falls before the first joins none yet."""
        cdef Span span = self.running
        if span is None:
            if not self.spans:
                fact.cycle = None
                return 0
            span = <Span>self.spans[len(self.spans) - 1]
        span.facts.append(fact)
        if fact.carton and not span.carton:
            span.carton = fact.carton           # R40a: the carton that a device record names
        if fact.kind == K_CARTON_CLOSE:
            span.closed = True
        elif fact.kind in (K_CARTON_OPEN, K_CARTON_REOPEN, K_PICK_CONFIRM, K_PICK_REVERSE, K_PACK_CONFIRM):
            span.closed = False
        return 0


cdef list place_fact(Floor floor, LoadUnit unit, Fact fact):
    """The fact joins its unit. Returns the cycles that it changed, its own among them; none while no cycle has it."""
    cdef Py_ssize_t at = insert_sorted(unit.facts, fact, floor.texts)
    cdef Cycle cycle
    if at == len(unit.facts) - 1 and unit.cycles and joins_running(<Cycle>unit.cycles[-1], fact):
        cycle = <Cycle>unit.cycles[-1]
        insert_sorted(cycle.facts, fact, floor.texts)
        fact.cycle = cycle
        if fact.kind in (K_CARTON_CLOSE, K_SCAN_READ):
            cycle.any_close = True
        elif fact.kind == K_PACK_CONFIRM:
            cycle.packs = True
        return [cycle]
    return rebuild(floor, unit)


cdef Cycle cycle_at(LoadUnit unit, long long t):
    """The cycle that contains an event time; None between two."""
    cdef Cycle cycle, at = None
    for cycle in unit.cycles:
        if cycle.begin <= t < cycle.end:
            at = cycle
    return at


cdef list take_back(Floor floor, LoadUnit unit, Fact fact):
    """A fact that turned out to be none leaves its unit. Returns the cycles that changed by it."""
    unit.facts.remove(fact)
    return rebuild(floor, unit)


cdef bint joins_running(Cycle cycle, Fact fact):
    """The common case, told without a walk: a fact inside the running cycle that is no boundary."""
    cdef int kind = fact.kind
    if cycle.end != NEVER or kind in (K_LU_BIND, K_CARTON_PLAN, K_LU_RELEASE, K_CARTON_VOID, K_MANIFEST_RESULT):
        return False
    if kind == K_CARTON_OPEN and not cycle.carton:
        return False
    return not (fact.carton and not cycle.carton)


cdef list rebuild(Floor floor, LoadUnit unit):
    """Walk all facts again and match what is found with the cycles known, by their anchors."""
    cdef Walk walk = Walk()
    cdef Span span
    cdef Fact fact
    cdef Cycle cycle
    cdef list changed = [], cycles = []
    cdef dict anchored = {}
    cdef set used = set()
    walk.spans = []
    walk.floor = floor
    for cycle in unit.cycles:
        anchored[cycle.anchor] = cycle
    for fact in unit.facts:
        walk.step(fact)
    for span in walk.spans:
        cycle = None
        for fact in span.facts:
            if fact in anchored and anchored[fact] not in used:
                if cycle is None or (<Cycle>anchored[fact]).number < cycle.number:
                    cycle = anchored[fact]
        if cycle is None:
            cycle = Cycle()
            unit.met += 1
            cycle.number = unit.met
            cycle.unit = unit
            cycle.anchor = <Fact>span.facts[0]
        used.add(cycle)
        cycles.append(cycle)
        if take_span(floor, cycle, span):
            changed.append(cycle)
    unit.cycles = cycles
    return changed


cdef bint take_span(Floor floor, Cycle cycle, Span span) except -1:
    """The cycle becomes what the walk found. Returns whether anything of it changed."""
    cdef Fact fact
    cdef bint changed = (
        cycle.facts != span.facts or cycle.carton != span.carton or cycle.begin != span.begin or cycle.end != span.end
        or cycle.rebound != span.rebound
    )
    for fact in span.facts:
        fact.cycle = cycle
    if cycle.carton != span.carton:
        if cycle.plan is not None:
            cycle.plan.cycles.remove(cycle)
            cycle.plan = None
        if span.carton:
            cycle.plan = floor.carton_of(span.carton)
            cycle.plan.cycles.append(cycle)
    cycle.facts, cycle.begin, cycle.end = span.facts, span.begin, span.end
    cycle.any_close = any((<Fact>fact).kind in (K_CARTON_CLOSE, K_SCAN_READ) for fact in span.facts)
    cycle.packs = any((<Fact>fact).kind == K_PACK_CONFIRM for fact in span.facts)
    cycle.target, cycle.carton, cycle.rebound = span.target, span.carton, span.rebound
    return changed
