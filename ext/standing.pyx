# cython: boundscheck=False, wraparound=False
"""Section 10 of the rules: see standing.pxd. Asked for once a `stuck_ms`, and while something is stuck."""

from libc.stdint cimport int32_t

from ext cimport carton_names, carton_state, outcomes, riding
from ext.asked cimport asked_at, ordered_at, sku_of, told_at
from ext.batch cimport ABSENT
from ext.carton_state cimport CartonState
from ext.kinds cimport (
    K_CARTON_CLOSE, K_DIVERT_CONFIRMED, K_ITEM_ARRIVED, K_ITEM_LOST, K_ITEM_RECIRCULATED, K_LABEL_VERIFIED,
    K_LOAD_REMOVED, K_LOAD_SCANNED, K_SCAN_READ, K_WEIGH,
)
from ext.packing cimport Contents, contents_of
from ext.plan_data cimport FormerHome, FormerPlan
from ext.plans cimport home_at, plan_at
from ext.shipment_cartons cimport carriers_of, home_of
from ext.state cimport Fact, PickWindow, ScopeLine
from ext.store cimport find, index_of, length, nth
from ext.timers cimport NEVER


cdef inline Standing standing(int state, int64_t since) noexcept:
    return Standing(state=state, since=since)


# ---------------------------------------------------------------------------------------------- lines and orders

cdef Standing of_order(Floor floor, Order* order, int64_t as_of) except *:
    """The line that has stood longest speaks for the order."""
    cdef Standing oldest = standing(S_OVER, ABSENT)
    cdef Standing one
    cdef int i
    if find(floor.state.orders, order.id) != order:
        return oldest                   # it was forgotten
    for i in range(length(order.lines)):
        one = of_line(floor, <Line*>nth(order.lines, i), as_of)
        if one.state != S_OVER and (oldest.state == S_OVER or one.since < oldest.since):
            oldest, order.slowest = one, <Line*>nth(order.lines, i)
        elif one.state == S_OVER and oldest.state == S_OVER:
            oldest.since = max(oldest.since, one.since)
    return oldest


cdef Standing of_line(Floor floor, Line* line, int64_t as_of) except *:
    """Released, in pick, picked, packed, ready; over once it is shipped, cancelled or short of everything."""
    cdef LineCount n
    cdef int64_t left
    if line.changed.cancel_t <= as_of:
        return standing(S_OVER, line.changed.cancel_t)
    left = left_at(line, as_of)
    if left != NEVER:
        return standing(S_OVER, left)
    if line.known_t == NEVER and length(line.windows) == 0:
        return standing(S_OVER, ABSENT)     # only a plan names it so far
    n = count_of(floor, line, as_of)
    if n.open:
        return standing(S_IN_PICK, n.t_first) if n.t_first != NEVER else standing(S_RELEASED, n.t_told)
    if n.confirmed <= 0:
        return standing(S_OVER, n.t_done)
    if n.packed < n.confirmed:
        if length(line.scopes) == 0 and not n.carried:
            return standing(S_OVER, n.t_done)       # nobody tells what it is packed into
        return standing(S_PICKED, picked_since(floor, line, &n))
    if length(line.scopes) == 0:
        return standing(S_OVER, max(n.t_done, n.t_packed))
    return packed_or_ready(line, as_of, max(n.t_done, n.t_packed))


cdef int64_t picked_since(Floor floor, Line* line, const LineCount* n) except? -1:
    """Since its last window closed, unless it was packed since then: a carton was opened again or voided."""
    cdef Standing before
    if n.t_unpacked <= n.t_done:
        return n.t_done
    before = of_line(floor, line, n.t_unpacked - 1)
    return before.since if before.state == S_PICKED else n.t_unpacked


cdef int64_t left_at(const Line* line, int64_t as_of) noexcept:
    """When the last shipment that plans it was manifested or cancelled; NEVER: one of them was not, or none plans it."""
    cdef Shipment* shipment
    cdef int64_t left, last = ABSENT
    cdef int i
    for i in range(length(line.scopes)):
        shipment = (<ScopeLine*>nth(line.scopes, i)).shipment
        left = min(shipment.manifest_t, shipment.cancel_t)
        if left > as_of:
            return NEVER
        last = max(last, left)
    return last if length(line.scopes) else NEVER


cdef Standing packed_or_ready(const Line* line, int64_t as_of, int64_t t_packed) noexcept:
    """Ready is what all the shipments are that still want it."""
    cdef Shipment* shipment
    cdef int64_t since = ABSENT
    cdef int i
    for i in range(length(line.scopes)):
        shipment = (<ScopeLine*>nth(line.scopes, i)).shipment
        if min(shipment.manifest_t, shipment.cancel_t) <= as_of:
            continue
        if not shipment.true_now:
            return standing(S_PACKED, max(t_packed, shipment.turned))
        since = max(since, shipment.turned)
    return standing(S_READY, since)


cdef LineCount count_of(Floor floor, Line* line, int64_t as_of) except *:
    cdef LineCount n = LineCount(
        asked=line.qty if line.known_t != NEVER else 0, picked=0, confirmed=0, short_=0, packed=0, t_first=NEVER, t_done=ABSENT,
        t_packed=ABSENT, t_unpacked=ABSENT, t_told=ordered_at(line, as_of), open=False, carried=False)
    cdef int64_t told = 0
    cdef int i
    for i in range(length(line.windows)):
        told += count_window(<PickWindow*>nth(line.windows, i), as_of, &n)
    if line.known_t == NEVER:
        n.asked = told
    if line.changed.alloc_t <= as_of:
        n.short_ += asked_at(line, as_of).alloc_short
        n.t_done = max(n.t_done, line.changed.alloc_t)
    n.short_ = min(n.short_, max(0, n.asked - n.confirmed))
    n.open = n.open or n.confirmed + n.short_ < n.asked
    if not n.open:
        count_packed(floor, line, as_of, &n)
    return n


cdef int64_t count_window(const PickWindow* window, int64_t as_of, LineCount* n) noexcept:
    """Add one window to the count; returns what it asks for."""
    cdef outcomes.Outcome o
    cdef Fact* first = <Fact*>nth(window.facts, 0) if length(window.facts) else NULL
    if first == NULL and window.planned_t != NEVER and window.planned_t > as_of:
        return 0
    if window.planned_t <= as_of:
        n.t_told = max(n.t_told, told_at(window, as_of))
    o = outcomes.outcome(window, as_of, outcomes.decided_before(window, as_of + 1))
    if first != NULL and first.t <= as_of:
        n.t_first = min(n.t_first, first.t)
    if not o.closed:
        n.open = True
        n.picked += o.q_now
        return max(0, window.q_task)
    n.t_done = max(n.t_done, o.t_close)
    if o.cancelled:
        return 0
    n.picked += o.q
    n.confirmed += o.q
    n.short_ += o.q_short
    return max(0, window.q_task)


cdef int count_packed(Floor floor, const Line* line, int64_t as_of, LineCount* n) except -1:
    """R43, R47: what lies in closed cartons of what was picked."""
    cdef List* carriers = carriers_of(floor, line, as_of)
    cdef int32_t sku = sku_of(line)
    cdef CartonState state
    cdef Contents contents
    cdef int i, k
    n.carried = length(carriers) > 0
    for i in range(length(carriers)):
        state = carton_state.state_of(floor, <Cycle*>nth(carriers, i), as_of)
        if not state.closed or state.voided:
            n.t_unpacked = max(n.t_unpacked, state.t_undone)
            continue
        contents = contents_of(<Cycle*>nth(carriers, i), state.t_close)
        for k in range(contents.count):
            if contents.pieces[k].line == line and contents.pieces[k].sku == sku:
                n.packed += contents.pieces[k].qty
                n.t_packed = max(n.t_packed, state.t_close)
    floor.store.free(carriers)
    return 0


# ---------------------------------------------------------------------------------------------- cartons

cdef Standing of_plan(Floor floor, const CartonPlan* plan, int64_t as_of) except *:
    """R50a: planned, until a load unit carries it; from then on the use of that unit speaks for it."""
    cdef FormerHome home = home_at(plan, as_of)
    cdef Cycle* cycle
    cdef int i
    if plan.fact == NULL:               # a name that a bind or a device said, and took back
        return standing(S_OVER, plan.t)
    if home.withdrawn or find(floor.state.cartons, plan.carton) != plan:
        return standing(S_OVER, home.since if home.withdrawn else plan.fact.t)
    for i in range(length(plan.cycles)):
        cycle = <Cycle*>nth(plan.cycles, i)
        if carton_names.named_since(cycle) <= as_of:
            return standing(S_OVER, carton_names.named_since(cycle))
    if home.shipment != NULL and min(home.shipment.manifest_t, home.shipment.cancel_t) <= as_of:
        return standing(S_OVER, min(home.shipment.manifest_t, home.shipment.cancel_t))
    return standing(S_PLANNED, plan.fact.t if plan.fact.t <= as_of or home.since == ABSENT else home.since)


cdef Standing of_cycle(Floor floor, Cycle* cycle, int64_t as_of) except *:
    """Open, closed, held, lost, staged, loaded. An orphan (R41) has its own exception, which stands until it is told
    otherwise: it is over here."""
    cdef Shipment* shipment
    cdef Standing now
    cdef int64_t flipped, done
    if cycle.end <= as_of or index_of(cycle.unit.cycles, cycle) < 0:
        return standing(S_OVER, cycle.end if cycle.end <= as_of else ABSENT)
    shipment = home_of(cycle, as_of)
    if shipment != NULL and shipment.cancel_t <= as_of:
        return standing(S_OVER, shipment.cancel_t)
    now = walk(floor, cycle, as_of, &done)
    if now.state == S_LOST or now.state == S_PLANNED:
        return now
    if now.state == S_OPEN:
        return standing(S_OVER, now.since) if was_emptied(cycle, as_of) else now
    if shipment == NULL or contents_of(cycle, as_of).count == 0:
        return standing(S_OVER, now.since)  # nobody waits for it
    if holds_flip(floor, cycle, as_of, &flipped):
        return standing(S_HELD, max(done, flipped))     # wherever it is moved to
    return standing(now.state, max(now.since, flipped))


cdef bint was_emptied(const Cycle* cycle, int64_t as_of):
    """R47: a tote whose goods were all packed into something else stands for nothing any more."""
    return cycle.packs and contents_of(cycle, as_of).count == 0


cdef Standing walk(Floor floor, const Cycle* cycle, int64_t as_of, int64_t* done) except *:
    """Walk through what was told of it, the places of its pallet among that (R48). `done`: since when it has been closed and
    not lost."""
    cdef bint is_bind = length(cycle.facts) > 0 and (<Fact*>nth(cycle.facts, 0)).context
    cdef Standing now = standing(S_PLANNED if is_bind else S_OPEN, cycle.begin)
    cdef Standing before_loss = now, before
    cdef List* facts = riding.sights_of(floor, cycle)
    cdef Fact* fact
    cdef int i
    done[0] = ABSENT
    for i in range(length(facts)):
        fact = <Fact*>nth(facts, i)
        if fact.t > as_of:
            break
        before = now
        if now.state == S_LOST and not fact.context and fact.kind != K_ITEM_LOST:
            now = standing(before_loss.state, fact.t)       # R64: any later sight brings it back
        if fact.kind == K_ITEM_LOST and now.state != S_LOST:
            before_loss = standing(S_CLOSED if now.state == S_STAGED else now.state, fact.t)
            now = standing(S_LOST, fact.t)
        elif now.state != S_LOST:
            now = moved_by(now, fact)
        if is_under_way(before) and not is_under_way(now):
            done[0] = now.since
    if facts != cycle.facts:
        floor.store.free(facts)
    return now


cdef bint is_under_way(Standing now) noexcept:
    return now.state == S_OPEN or now.state == S_PLANNED or now.state == S_LOST


cdef Standing moved_by(Standing now, const Fact* fact) noexcept:
    """The state that a fact leads to; the same one, and since when, where it leads nowhere."""
    cdef int kind = fact.kind, to = now.state
    if now.state == S_OPEN or now.state == S_PLANNED:
        if kind == K_CARTON_CLOSE or kind == K_SCAN_READ:
            to = S_CLOSED
        elif carton_state.reopens(kind):
            to = S_OPEN                 # a unit that was only bound is not worked on yet
    elif carton_state.reopens(kind) and fact.t > now.since:
        to = S_OPEN
    elif kind == K_LOAD_SCANNED:
        to = S_LOADED
    elif kind == K_DIVERT_CONFIRMED or kind == K_ITEM_ARRIVED:
        to = S_LOADED if now.state == S_LOADED else S_STAGED
    elif kind == K_LOAD_REMOVED or (kind == K_ITEM_RECIRCULATED and now.state != S_LOADED):     # R54: a loop unloads nothing
        to = S_CLOSED
    return now if to == now.state else standing(to, fact.t)


cdef bint holds_flip(Floor floor, const Cycle* cycle, int64_t as_of, int64_t* flipped) except -1:
    """R45: is it held? `flipped`: when that last changed, ABSENT: it never was."""
    cdef bint held = False, now
    cdef Fact* fact
    cdef Fact* release
    cdef int i
    flipped[0] = ABSENT
    for i in range(length(cycle.facts)):
        fact = <Fact*>nth(cycle.facts, i)
        if fact.t > as_of:
            break
        if fact.kind != K_WEIGH and fact.kind != K_LABEL_VERIFIED:
            continue
        now = carton_state.state_of(floor, cycle, fact.t).held
        if now != held:
            held, flipped[0] = now, fact.t
    now = carton_state.state_of(floor, cycle, as_of).held
    if now != held:
        release = carton_state.release_of(floor, cycle, as_of)
        flipped[0] = release.t if release != NULL else as_of
    return now


# ---------------------------------------------------------------------------------------------- shipments

cdef Standing of_shipment(Floor floor, const Shipment* shipment, int64_t as_of) except *:
    """Planned, in work, ready; over once it is manifested or cancelled."""
    cdef int64_t end = min(shipment.manifest_t, shipment.cancel_t), first
    cdef FormerPlan plan = plan_at(shipment, as_of)
    if plan.rev == 0 or find(floor.state.shipments, shipment.id) != shipment:
        return standing(S_OVER, ABSENT)
    if end <= as_of:
        return standing(S_OVER, end)
    if shipment.true_now:
        return standing(S_READY, shipment.turned)
    first = first_pick(plan.scope)
    if first > as_of:
        return standing(S_PLANNED, plan.since)
    return standing(S_IN_WORK, max(first, plan.since, shipment.turned))


cdef int64_t first_pick(const List* scope) noexcept:
    """NEVER: nothing of what is planned was picked."""
    cdef Line* line
    cdef PickWindow* window
    cdef int64_t first = NEVER
    cdef int i, k
    for i in range(length(scope)):
        line = (<ScopeLine*>nth(scope, i)).line
        for k in range(length(line.windows)):
            window = <PickWindow*>nth(line.windows, k)
            if length(window.facts):
                first = min(first, (<Fact*>nth(window.facts, 0)).t)
    return first
