# cython: boundscheck=False, wraparound=False
"""Which use of a load unit a fact belongs to (R40, R40a).

A unit's facts are kept sorted; its cycles are what a walk over them finds. A fact that comes last in event time extends
the walk by one step; a fact that comes out of order repeats it. A cycle keeps its number and its identity through its
anchor, the fact that began it; it gets its number when the watermark has passed that. Hot: `place_fact`, `joins_running`.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, realloc

from ext.batch cimport ABSENT
from ext.carton_names cimport keep_told, meet, meet_from
from ext.carton_state cimport closes, reopens
from ext.kinds cimport (
    K_CARTON_OPEN, K_CARTON_PLAN, K_CARTON_VOID, K_LU_BIND, K_LU_RELEASE, K_MANIFEST_RESULT, K_PACK_CONFIRM,
    K_PICK_CONFIRM,
)
from ext.state cimport B_CYCLE
from ext.store cimport index_of, last, length, nth, remove, remove_some
from ext.timers cimport NEVER


cdef struct Span:
    # A cycle as the walk finds it: facts first..first+count-1 of `Walk.joined`.
    int first
    int count
    int64_t begin
    int64_t end
    int32_t target
    int32_t carton
    int64_t t_close         # ABSENT: open
    bint rebound
    bint voided


@cython.final
cdef class Walk:
    """One pass over a unit's facts in order of event time."""
    cdef Span* spans
    cdef int count
    cdef int capacity
    cdef Fact** joined      # the facts that are of some span, in order
    cdef int joined_count
    cdef int joined_capacity
    cdef Span* running
    cdef bint gone          # what was last begun is forgotten

    def __dealloc__(self):
        free(self.spans)
        free(self.joined)

    cdef int over(self, const LoadUnit* unit, int first) except -1:
        """From fact number `first` on, which begins a cycle or is the very first."""
        cdef int i, n = length(unit.facts)
        cdef void* bigger
        if n > self.joined_capacity:
            bigger = realloc(self.joined, 2 * n * sizeof(void*))
            if bigger == NULL:
                raise MemoryError
            self.joined = <Fact**>bigger
            self.joined_capacity = 2 * n
        self.count = self.joined_count = 0
        self.running, self.gone = NULL, False
        for i in range(first, n):
            self.step(<Fact*>nth(unit.facts, i))
        return 0

    cdef int step(self, Fact* fact) except -1:
        """R40, R44: what the next fact begins, ends or joins."""
        cdef int kind = fact.kind
        if kind == K_LU_BIND and fact.follows:
            self.skip(fact)
        elif (kind == K_LU_BIND and fact.target) or kind == K_CARTON_PLAN:
            self.bind(fact)
        elif kind == K_LU_RELEASE:
            if self.running != NULL and (fact.target == self.running.target if fact.target else not fact.parent):
                self.finish(fact.t)
        elif kind == K_PICK_CONFIRM or kind == K_CARTON_OPEN or (kind == K_PACK_CONFIRM and not fact.move.out):
            if kind == K_CARTON_OPEN and self.running != NULL and is_next_carton(self.running, fact):
                self.finish(fact.t)
            if self.running == NULL:
                self.start(fact)
            self.join(fact)
        else:
            self.join(fact)
            if kind == K_CARTON_VOID and self.count:
                self.spans[self.count - 1].voided = True
            if kind == K_CARTON_VOID or kind == K_MANIFEST_RESULT:
                self.finish(fact.t)
        return 0

    cdef int bind(self, Fact* fact) except -1:
        """R40: a bind to another target begins a cycle; one to the same target, or of a cycle without any, joins. R40a: its
        carton names the cycle. R41: it leaves what was still open behind."""
        if self.running != NULL and self.running.target and self.running.target != fact.target:
            self.running.rebound = self.running.t_close == ABSENT
            self.finish(fact.t)
        if self.running == NULL:
            self.start(fact)
        self.running.target = fact.target
        if fact.carton:
            self.running.carton = fact.carton
        self.add(fact)
        return 0

    cdef int skip(self, const Fact* fact) except -1:
        """A use that is forgotten began here (see forgotten_units): it has ended what ran before, and nothing joins that."""
        if self.running != NULL:
            self.running.rebound = fact.target and self.running.t_close == ABSENT
            self.finish(fact.t)
        self.gone = True
        return 0

    cdef int start(self, const Fact* fact) except -1:
        cdef void* bigger
        self.gone = False
        if self.count == self.capacity:
            bigger = realloc(self.spans, 2 * (self.capacity + 4) * sizeof(Span))
            if bigger == NULL:
                raise MemoryError
            self.spans = <Span*>bigger
            self.capacity = 2 * (self.capacity + 4)
        self.running = &self.spans[self.count]
        self.count += 1
        self.running[0] = Span(
            first=self.joined_count, count=0, begin=fact.t, end=NEVER, target=0, carton=0,
            t_close=ABSENT, rebound=False, voided=False)
        return 0

    cdef int finish(self, int64_t t) except -1:
        if self.running != NULL:
            self.running.end = t
            self.running = NULL
        return 0

    cdef int add(self, Fact* fact) except -1:
        self.joined[self.joined_count] = fact
        self.joined_count += 1
        self.spans[self.count - 1].count += 1
        return 0

    cdef int join(self, Fact* fact) except -1:
        """R40: what falls between two cycles joins the earlier; what falls before the first joins none yet."""
        cdef Span* span
        if self.count == 0 or self.gone:
            fact.cycle = NULL
            return 0
        span = &self.spans[self.count - 1]
        self.add(fact)
        if fact.carton and not span.carton and not span.voided:
            span.carton = fact.carton           # R40a: the carton that a device record names; none after its void
        if closes(fact.kind):
            if span.t_close == ABSENT:
                span.t_close = fact.t
        elif reopens(fact.kind) and fact.t > span.t_close:
            span.t_close = ABSENT
        return 0


cdef bint is_next_carton(const Span* span, const Fact* open) noexcept:
    """R44: without a carton id, an open after the close is the next carton."""
    return not span.carton and span.t_close != ABSENT and open.t > span.t_close


cdef Walk walk = Walk()                 # used again: a walk ends before the next begins


cdef int place_fact(Floor floor, LoadUnit* unit, Fact* fact, List** changed) except -1:
    """R40: the fact joins its unit. Appends the cycles that it changed, its own among them; none while no cycle has it."""
    cdef int at = floor.insert_young(&unit.facts, &unit.youngest_t, fact)
    cdef Cycle* cycle
    if at == length(unit.facts) - 1 and length(unit.cycles):
        cycle = <Cycle*>last(unit.cycles)
        if joins_running(cycle, fact):
            floor.store.append(&cycle.facts, fact)      # it is the last there, too
            fact.cycle = cycle
            if closes(fact.kind):
                cycle.any_close = True
            elif fact.kind == K_PACK_CONFIRM:
                cycle.packs = True
            return floor.store.append(changed, cycle)
    return rebuild(floor, unit, fact, changed)


cdef Cycle* cycle_for(const LoadUnit* unit, const Fact* pick) noexcept:
    """R40: the cycle that a pick or reversal joins as things stand. Between two a reversal joins the earlier; a pick will
    begin one of its own: NULL."""
    cdef Cycle* cycle
    cdef int i = length(unit.cycles) - 1
    while i >= 0:
        cycle = <Cycle*>nth(unit.cycles, i)
        if cycle.begin <= pick.t:
            return cycle if pick.t < cycle.end or pick.qty < 0 else NULL
        i -= 1
    return NULL


cdef int replace_fact(Floor floor, LoadUnit* unit, Fact* old, Fact* fact, List** changed) except -1:
    """As if `fact` had come instead of `old`. Appends the cycles that changed by it."""
    if old.cycle != NULL and old.cycle.anchor == old:
        fact.cycle = old.cycle
        old.cycle.anchor = fact
    remove(&unit.facts, old)
    floor.insert_young(&unit.facts, &unit.youngest_t, fact)
    return rebuild(floor, unit, old if floor.precedes(old, fact) else fact, changed)


cdef int take_back(Floor floor, LoadUnit* unit, Fact* fact, List** changed) except -1:
    """A fact that turned out to be none leaves its unit. Appends the cycles that changed by it."""
    remove(&unit.facts, fact)
    return rebuild(floor, unit, fact, changed)


cdef bint joins_running(const Cycle* cycle, const Fact* fact) noexcept:
    """The common case, told without a walk: a fact inside the running cycle that is no boundary."""
    cdef int kind = fact.kind
    if cycle.end != NEVER or (kind == K_LU_BIND or kind == K_CARTON_PLAN or kind == K_LU_RELEASE
                              or kind == K_CARTON_VOID or kind == K_MANIFEST_RESULT):
        return False
    if kind == K_CARTON_OPEN and not cycle.carton:
        return False
    return not (fact.carton and not cycle.carton)


cdef int rebuild(Floor floor, LoadUnit* unit, const Fact* since, List** changed) except -1:
    """R40: walk the facts again and match what is found with the cycles known, by their anchors.

    What lies before `since` is as it was: a cycle begins with nothing behind it but ended ones, so it is enough to walk
    from the last beginning before `since`. A tote that is used again all day costs no more at night than in the morning.
    """
    cdef int kept = length(unit.cycles)
    cdef List* before = NULL
    cdef Cycle* cycle = NULL
    cdef Span* span
    cdef int i
    meet(unit, floor.state.watermark)
    while kept > 0 and cycle == NULL:
        kept -= 1
        if begins_before(floor, <Cycle*>nth(unit.cycles, kept), since):
            cycle = <Cycle*>nth(unit.cycles, kept)
    walk.over(unit, index_of(unit.facts, nth(cycle.facts, 0)) if cycle != NULL else 0)
    for i in range(kept, length(unit.cycles)):
        floor.store.append(&before, nth(unit.cycles, i))
    remove_some(&unit.cycles, kept, length(before))
    for i in range(walk.count):
        span = &walk.spans[i]
        cycle = known_cycle(unit, span)
        if cycle == NULL:
            cycle = <Cycle*>floor.store.new(B_CYCLE, sizeof(Cycle))
            cycle.unit, cycle.anchor = unit, walk.joined[span.first]
            cycle.end, cycle.decided = NEVER, floor.state.nothing_decided
        floor.store.append(&unit.cycles, cycle)
        if take_span(floor, cycle, span):
            floor.store.append(changed, cycle)
    for i in range(length(before)):
        if index_of(unit.cycles, nth(before, i)) < 0:
            retire(floor, <Cycle*>nth(before, i))
            floor.store.append(changed, nth(before, i))
    floor.store.free(before)
    meet_from(unit, kept, floor.state.watermark)
    return 0


cdef int retire(Floor floor, Cycle* cycle) except -1:
    """R40: it turned out to be no cycle of its own. Its facts have gone to an earlier one or to none; timers that still name it
    find it empty."""
    if cycle.key and cycle.key == cycle.carton:
        keep_told(floor, cycle)
    if cycle.plan != NULL:
        remove(&cycle.plan.cycles, cycle)        # it still says whom its end concerns
    if cycle.mismatched:
        remove(&floor.state.mismatched, cycle)
    floor.store.free(cycle.facts)
    cycle.facts = NULL
    cycle.merged = True
    if cycle.decided.until != ABSENT:
        floor.deciding(cycle).until = ABSENT
    cycle.mismatched = cycle.any_close = cycle.packs = cycle.rebound = False
    return 0


cdef bint begins_before(Floor floor, const Cycle* cycle, const Fact* fact) noexcept:
    return nth(cycle.facts, 0) != fact and floor.precedes(<Fact*>nth(cycle.facts, 0), fact)


cdef Cycle* known_cycle(const LoadUnit* unit, const Span* span) noexcept:
    """The cycle whose anchor stands in this span; of several the one that was met first, else the earliest. NULL: it is a new
    one."""
    cdef Cycle* cycle
    cdef Cycle* found = NULL
    cdef int i
    for i in range(span.first, span.first + span.count):
        cycle = walk.joined[i].cycle
        if cycle == NULL or cycle.anchor != walk.joined[i] or cycle.unit != unit or cycle.merged:
            continue
        if found == NULL or (cycle.number and (not found.number or cycle.number < found.number)):
            found = cycle
    return found


cdef bint take_span(Floor floor, Cycle* cycle, const Span* span) except -1:
    """The cycle becomes what the walk found. Returns whether anything of it changed."""
    cdef Fact* fact
    cdef List* facts = NULL
    cdef int i
    cdef bint changed = (
        length(cycle.facts) != span.count or cycle.carton != span.carton or cycle.begin != span.begin
        or cycle.end != span.end or cycle.rebound != span.rebound
    )
    if not cycle.number and not cycle.key and cycle.decided == floor.state.nothing_decided:
        cycle.anchor = walk.joined[span.first]      # R3: until it is met, what has come before its first fact begins it
    cycle.any_close = cycle.packs = False
    for i in range(span.count):
        fact = walk.joined[span.first + i]
        changed = changed or nth(cycle.facts, i) != fact
        if fact.window != NULL and (fact.cycle != cycle or cycle.carton != span.carton):
            cycle.renamed = True
        fact.cycle = cycle
        floor.store.append(&facts, fact)
        if closes(fact.kind):
            cycle.any_close = True
        elif fact.kind == K_PACK_CONFIRM:
            cycle.packs, fact.move.emptied = True, False
    floor.store.free(cycle.facts)
    cycle.facts = facts
    if cycle.carton != span.carton:
        if cycle.key and cycle.key == cycle.carton:
            keep_told(floor, cycle)
        if cycle.plan != NULL:
            remove(&cycle.plan.cycles, cycle)
            cycle.plan = NULL
        if span.carton:
            cycle.plan = floor.carton_of(span.carton)
            floor.store.append(&cycle.plan.cycles, cycle)
    cycle.begin, cycle.end = span.begin, span.end
    cycle.target, cycle.carton, cycle.rebound = span.target, span.carton, span.rebound
    return changed
