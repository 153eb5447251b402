# cython: boundscheck=False, wraparound=False, cdivision=True
"""R50, R50a, R53: see readiness.pxd. Nothing here changes anything that is told: the answer is a function of the facts
up to `as_of`."""

cimport cython
from libc.stdlib cimport free, realloc

from ext cimport carton_names, carton_state, outcomes
from ext.asked cimport asked_at, sku_of, tolerance
from ext.json_writer cimport JsonWriter, digest_of
from ext.order_data cimport Asked
from ext.packing cimport Contents, Piece, contents_of
from ext.pick_alarms cimport is_covered
from ext.plan_data cimport FormerPlan
from ext.plans cimport plan_at, scope_at, scopes_ever
from ext.shipment_cartons cimport add_fed, carriers_of, cycles_of, home_of, is_voided, only_planner, unused_of
from ext.state cimport CANCEL_LINE, HOLD, PickWindow, ScopeLine
from ext.store cimport has_number, index_of, length, nth


cdef struct Need:
    # One line of a shipment's scope as of a moment: planned = p + s + c, if all is well.
    Line* line
    int64_t planned
    int64_t confirmed       # p
    int64_t short_          # s
    int64_t cancelled       # c
    int64_t packed          # of p, in closed cartons of the shipment


@cython.final
cdef class Needs:
    """Those of the shipment that is being judged; the memory is used again."""
    cdef Need* items
    cdef int count
    cdef int capacity

    def __dealloc__(self):
        free(self.items)

    cdef Need* add(self, Line* line) except NULL:
        """A new one for the line; a line that the scope names again begins anew."""
        cdef Need* known = self.of_line(line)
        cdef void* bigger
        if known == NULL:
            if self.count == self.capacity:
                bigger = realloc(self.items, 2 * (self.capacity + 8) * sizeof(Need))
                if bigger == NULL:
                    raise MemoryError
                self.items = <Need*>bigger
                self.capacity = 2 * (self.capacity + 8)
            line.need = self.count
            self.count += 1
            known = &self.items[line.need]
        known[0] = Need(line=line, planned=0, confirmed=0, short_=0, cancelled=0, packed=0)
        return known

    cdef Need* of_line(self, const Line* line) noexcept:
        if line.need < self.count and self.items[line.need].line == line:
            return &self.items[line.need]
        return NULL


cdef Needs needs = Needs()


cdef Verdict verdict_of(Floor floor, Shipment* shipment, int64_t as_of) except *:
    """R50: whether it is ready as of that moment, and what alone keeps it from being so."""
    cdef Verdict verdict = Verdict(kind=NOT_READY, data=Digest(a=0, b=0))
    cdef ScopeLine* scope
    cdef Need* need
    cdef Numbers* names = NULL
    cdef bint held_short = False, done
    cdef FormerPlan plan = plan_at(shipment, as_of)
    cdef int64_t packed = 0
    cdef int i
    if plan.rev == 0 or shipment.cancel_t <= as_of:
        return verdict
    if is_unfilled(floor, shipment, plan.scope, as_of):
        return verdict
    needs.count = 0
    for i in range(length(plan.scope)):
        scope = <ScopeLine*>nth(plan.scope, i)
        need = needs.add(scope.line)
        if not fill_need(floor, scope, as_of, need):
            shipment.unfilled = i
            return verdict
        held_short = held_short or (need.short_ > 0 and waits_for_oms(scope.line, as_of))
    done = pack(floor, shipment, &plan, as_of, &names)
    for i in range(needs.count):
        done = done and needs.items[i].packed >= needs.items[i].confirmed
        packed += needs.items[i].packed
    if done:
        verdict.kind = HELD_SHORT if held_short else EMPTY if packed == 0 else READY    # held: the OMS decides
    if verdict.kind == READY:
        write_truth(floor, plan.rev, names)
        verdict.data = digest_of(floor.truth.at, floor.truth.length)
    floor.store.free(names)
    return verdict


cdef int write_truth(Floor floor, int64_t plan_rev, Numbers* names) except -1:
    """The data of `shipment.ready`."""
    cdef JsonWriter data = floor.truth
    cdef const Need* need
    cdef bint partial = False
    cdef int i
    sort_names(floor, names)
    sort_needs(floor)
    data.clear()
    data.put(b'{"cartons":[')
    for i in range(names.count):
        if i:
            data.put(b",")
        data.text(names.items[i])
    data.put(b'],"lines":[')
    for i in range(needs.count):
        need = &needs.items[i]
        partial = partial or need.short_ > 0 or need.cancelled > 0
        data.integer_member(b',{"cancelled":' if i else b'{"cancelled":', need.cancelled)
        data.integer_member(b',"line":', need.line.number)
        data.text_member(b',"order":', need.line.order)
        data.integer_member(b',"ordered":', need.planned)
        data.integer_member(b',"packed":', need.confirmed)
        data.integer_member(b',"short":', need.short_)
        data.put(b"}")
    data.put(b'],"partial":true,"plan_rev":' if partial else b'],"partial":false,"plan_rev":')
    data.integer(plan_rev)
    return data.put(b"}")


cdef int sort_names(Floor floor, Numbers* names) noexcept:
    """By insertion over ever smaller distances: they come in order, or each of several kinds of names does."""
    cdef int i, k, gap = 1 if are_sorted(floor, names) else names.count
    cdef int32_t name
    while gap > 1:
        gap = max(1, 4 * gap // 9)
        for i in range(gap, names.count):
            name, k = names.items[i], i
            while k >= gap and floor.texts.precedes(name, names.items[k - gap]):
                names.items[k] = names.items[k - gap]
                k -= gap
            names.items[k] = name
    return 0


cdef bint are_sorted(Floor floor, const Numbers* names) noexcept:
    cdef int i
    for i in range(1, names.count):
        if floor.texts.precedes(names.items[i], names.items[i - 1]):
            return False
    return True


cdef int sort_needs(Floor floor) noexcept:
    """By order and line; `Line.need` does not count any more."""
    cdef int i, k
    cdef Need need
    for i in range(1, needs.count):
        need, k = needs.items[i], i
        while k > 0 and comes_before(floor, need.line, needs.items[k - 1].line):
            needs.items[k] = needs.items[k - 1]
            k -= 1
        needs.items[k] = need
    return 0


cdef bint comes_before(Floor floor, const Line* a, const Line* b) noexcept:
    return a.number < b.number if a.order == b.order else floor.texts.precedes(a.order, b.order)


# ---------------------------------------------------------------------------------------------- lines

cdef bint waits_for_oms(const Line* line, int64_t as_of) noexcept:
    """What is short of it waits for the OMS's word."""
    cdef int64_t policy = asked_at(line, as_of).policy
    return policy == HOLD or policy == CANCEL_LINE


cdef bint is_unfilled(Floor floor, Shipment* shipment, const List* scopes, int64_t as_of) except -1:
    """Whether a line lacks something: asked first of the one that lacked something the last time, for most facts of a large
    shipment change nothing about that one. False: none from there on does, but maybe an earlier one."""
    cdef ScopeLine* scope
    cdef Need need
    while shipment.unfilled < length(scopes):
        scope = <ScopeLine*>nth(scopes, shipment.unfilled)
        need = Need(line=scope.line, planned=0, confirmed=0, short_=0, cancelled=0, packed=0)
        if not fill_need(floor, scope, as_of, &need):
            return True
        shipment.unfilled += 1
    shipment.unfilled = 0
    return False


cdef bint fill_need(Floor floor, const ScopeLine* scope, int64_t as_of, Need* need) except -1:
    """R50: p, s and c of one line. False while a window is open, something is missing, or more was picked than is covered (R24).
    """
    cdef Line* line = scope.line
    cdef PickWindow* window
    cdef outcomes.Outcome o
    cdef Asked asked = asked_at(line, as_of)
    cdef int64_t confirmed = 0, short_ = asked.alloc_short
    cdef bint over = False
    cdef int i
    need.planned = scope.qty
    if line.changed.cancel_t <= as_of:
        need.cancelled = scope.qty
        return True
    for i in range(length(line.windows)):
        window = <PickWindow*>nth(line.windows, i)
        if not outcomes.has_begun(window, as_of):
            continue
        if as_of < (window.planned_t if window.task else line.known_t):
            return False                # R51: context counts with its event time, and nobody had asked for it yet
        o = outcomes.outcome_then(window, as_of, outcomes.decided_before(window, as_of + 1))
        if not o.closed:
            return False
        if not o.cancelled:
            confirmed += o.q
            short_ += o.q_short
            over = over or (o.q > o.q_task + tolerance(o.q_task, &asked) and not is_covered(window, o.q, as_of))
    if over:
        return False
    need.confirmed = confirmed
    if only_planner(line, as_of) == NULL:
        need.confirmed = picked_for(floor, scope, as_of)
        short_ = share_of_short(floor, scope, short_, as_of)
    need.short_ = max(0, min(short_, need.planned - need.confirmed))
    return need.confirmed + need.short_ >= need.planned and not exceeds(need, &asked, as_of)


cdef bint exceeds(const Need* need, const Asked* asked, int64_t as_of) noexcept:
    """More than planned is fine within the line's tolerance, or where order.changed covers it (R24); of a line in several
    scopes it is another shipment's."""
    cdef Line* line = need.line
    return (need.confirmed > need.planned + tolerance(need.planned, asked)
            and not (line.known_t <= as_of and asked.qty >= need.confirmed and only_planner(line, as_of) != NULL))


cdef int64_t picked_for(Floor floor, const ScopeLine* scope, int64_t as_of) except? -1:
    """R53: of a line in several scopes, a pick counts for the shipment of its carton; R56: none any more when that was voided."""
    cdef PickWindow* window
    cdef Fact* fact
    cdef int64_t total = 0
    cdef int i, k
    if length(scope.line.packed):
        return packed_for(floor, scope, as_of)
    for i in range(length(scope.line.windows)):
        window = <PickWindow*>nth(scope.line.windows, i)
        if window.trouble.cancel_t <= as_of:
            continue
        for k in range(length(window.facts)):
            fact = <Fact*>nth(window.facts, k)
            if fact.cycle == NULL:
                continue
            if fact.cycle.packs:
                return packed_for(floor, scope, as_of)
            if fact.t <= as_of and home_of(fact.cycle, as_of) == scope.shipment and not is_voided(fact.cycle, as_of):
                total += fact.qty
    return total


cdef int64_t packed_for(Floor floor, const ScopeLine* scope, int64_t as_of) except? -1:
    """R47, R53: what was moved counts for the shipment of the carton that it lies in now."""
    cdef List* found = carriers_of(floor, scope.line, as_of)
    cdef Contents contents
    cdef int64_t total = 0
    cdef int i, k
    for i in range(length(found)):
        if home_of(<Cycle*>nth(found, i), as_of) == scope.shipment and not is_voided(<Cycle*>nth(found, i), as_of):
            contents = contents_of(<Cycle*>nth(found, i), as_of)
            for k in range(contents.count):
                if contents.pieces[k].line == scope.line and contents.pieces[k].sku == sku_of(scope.line):
                    total += contents.pieces[k].qty
    floor.store.free(found)
    return total


cdef int64_t share_of_short(Floor floor, const ScopeLine* scope, int64_t short_, int64_t as_of) except? -1:
    """R53: shorts fill the shipment with the latest cutoff first, then the greatest id, each up to what it lacks. This is what the
    others leave to it, maybe more than that, or less than nothing."""
    cdef ScopeLine* other
    cdef int i
    if short_ == 0:
        return 0                        # before all others are asked what they lack
    for i in range(scopes_ever(scope.line)):
        other = scope_at(scope.line, i, as_of)
        if other != NULL and other != scope and is_served_before(floor, other.shipment, scope.shipment, as_of):
            short_ -= max(0, other.qty - picked_for(floor, other, as_of))
    return short_


cdef bint is_served_before(Floor floor, const Shipment* a, const Shipment* b, int64_t as_of) noexcept:
    cdef int64_t leaves = plan_at(a, as_of).cutoff, other = plan_at(b, as_of).cutoff
    return leaves > other if leaves != other else floor.texts.precedes(b.id, a.id)


# ---------------------------------------------------------------------------------------------- cartons

cdef bint pack(Floor floor, Shipment* shipment, const FormerPlan* plan, int64_t as_of, Numbers** names) except -1:
    """R50: add what lies in its closed cartons to its lines (`Need.packed`), and collect their names. False: one is not done."""
    cdef List* cycles
    cdef Numbers* unused = unused_of(floor, shipment, as_of, as_of)
    cdef bint done = unused == NULL
    cdef int i
    floor.store.free(unused)
    if not done:
        return False
    cycles = cycles_of(floor, shipment, as_of, as_of)
    for i in range(length(cycles)):
        if not pack_carton(floor, plan, <Cycle*>nth(cycles, i), as_of, names):
            done = False
            break
    floor.store.free(cycles)
    return done


cdef bint pack_carton(Floor floor, const FormerPlan* plan, Cycle* cycle, int64_t as_of, Numbers** names) except -1:
    """R50: it is closed, not held (R45), lost (R64) or orphaned (R41), staged where it must be, and holds nothing that was
    cancelled. One that was closed empty does not count (R50a)."""
    cdef carton_state.CartonState state = carton_state.state_of(floor, cycle, as_of)
    cdef Contents contents
    cdef Piece* piece
    cdef Need* need
    cdef int i
    if not state.closed:
        return False
    contents = contents_of(cycle, state.t_close)
    if contents.count == 0:
        return True
    if state.held or (state.lost and not state.shipped) or (cycle.rebound and cycle.end <= as_of):
        return False
    if plan.stage_required and not state.loaded and not state.shipped and not has_number(plan.lanes, state.place):
        return False
    if holds_cancelled(floor, cycle, as_of):
        return False
    for i in range(contents.count):
        piece = &contents.pieces[i]
        if piece.line.changed.cancel_t <= as_of:
            return False
        need = needs.of_line(piece.line)
        if need != NULL and piece.sku == sku_of(piece.line):
            need.packed += piece.qty
    floor.store.add_number(names, name_then(floor, cycle, as_of))
    return True


cdef int32_t name_then(Floor floor, const Cycle* cycle, int64_t as_of) except -1:
    """R40a: what it was called at that moment; mostly its first fact says so."""
    if not cycle.carton or (<Fact*>nth(cycle.facts, 0)).carton == cycle.carton:
        return carton_names.name_of(floor, cycle)
    return carton_names.name_at(floor, cycle, as_of)


cdef bint holds_cancelled(Floor floor, const Cycle* cycle, int64_t as_of) except -1:
    """R27, R50: pieces of a cancelled task still lie in it."""
    cdef Fact* fact
    cdef Fact* other
    cdef PickWindow* window
    cdef int64_t left
    cdef int i, k
    for i in range(length(cycle.facts)):
        fact = <Fact*>nth(cycle.facts, i)
        window = fact.window
        if window == NULL or fact.t > as_of or window.trouble.cancel_t > as_of:
            continue
        left = 0
        for k in range(length(cycle.facts)):
            other = <Fact*>nth(cycle.facts, k)
            if other.window == window and other.t <= as_of:
                left += other.qty
        if left > 0:
            return True
    return cycle.packs and holds_moved_cancelled(floor, cycle, as_of, contents_of(cycle, as_of))


cdef bint holds_moved_cancelled(Floor floor, const Cycle* cycle, int64_t as_of, Contents contents) except -1:
    """The same for pieces that came by a move (R47): it names the line, so one of its cancelled tasks is enough."""
    cdef Line* line
    cdef PickWindow* window
    cdef bint found = False
    cdef int i, k
    for i in range(contents.count):
        line = contents.pieces[i].line
        for k in range(length(line.windows)):
            window = <PickWindow*>nth(line.windows, k)
            if window.trouble.cancel_t > as_of or in_hand(window, as_of) <= 0:
                continue
            found = found or came_to(floor, cycle, window.facts, as_of)
            found = found or came_to(floor, cycle, window.trouble.other_sku, as_of)
    return found


cdef bint came_to(Floor floor, const Cycle* cycle, const List* facts, int64_t as_of) except -1:
    """Whether goods were moved to it from where some of these picks went, by however many moves."""
    cdef Fact* fact
    cdef List* fed
    cdef bint found = False
    cdef int i
    for i in range(length(facts)):
        fact = <Fact*>nth(facts, i)
        if fact.cycle == NULL or found:
            continue
        fed = NULL
        add_fed(floor, fact.cycle, as_of, &fed)
        found = index_of(fed, cycle) >= 0
        floor.store.free(fed)
    return found


cdef int64_t in_hand(const PickWindow* window, int64_t as_of) noexcept:
    """What was picked and not put back, after its cancel and of another SKU, too: it lies somewhere."""
    return signed(window.facts, as_of) + signed(window.trouble.other_sku, as_of)


cdef int64_t signed(const List* facts, int64_t as_of) noexcept:
    cdef Fact* fact
    cdef int64_t total = 0
    cdef int i
    for i in range(length(facts)):
        fact = <Fact*>nth(facts, i)
        total += fact.qty if fact.t <= as_of else 0
    return total
