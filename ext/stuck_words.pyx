# cython: boundscheck=False, wraparound=False
"""What a stuck thing waits for: see stuck_words.pxd."""

import datetime

from ext cimport carton_names, carton_state, standing
from ext.carton_state cimport CartonState
from ext.kinds cimport K_DIVERT_CONFIRMED, K_ITEM_ARRIVED
from ext.packing cimport Contents, contents_of
from ext.readiness cimport HELD_SHORT, verdict_of
from ext.shipment_cartons cimport carriers_of, cycles_of, home_of, unused_of
from ext.standing cimport (
    S_CLOSED, S_HELD, S_IN_PICK, S_LOADED, S_LOST, S_OPEN, S_OVER, S_PACKED, S_PICKED, S_PLANNED, S_READY, S_RELEASED,
    S_STAGED, LineCount, Standing,
)
from ext.state cimport Fact, Line, ScopeLine
from ext.store cimport List, Numbers, has_number, length, nth

cdef int NAMED = 3                      # of lines and of cartons; the rest is counted

WORDS = {
    S_PLANNED: "planned", S_OPEN: "open", S_CLOSED: "closed", S_HELD: "held", S_LOST: "lost", S_STAGED: "staged",
    S_LOADED: "loaded",
}


cdef str clock(int64_t t, int64_t now):
    """08:14, or 2023-11-14 22:13 where that is another day."""
    minute, today = (datetime.datetime.fromtimestamp(at // 1_000_000, datetime.UTC) for at in (t, now))
    return f"{minute:%H:%M}" if minute.date() == today.date() else f"{minute:%Y-%m-%d %H:%M}"


def some(names):
    """The first few, and how many more there are."""
    more = len(names) - NAMED
    return "; ".join([*names[:NAMED], f"and {more} more"] if more > 0 else names)


# ---------------------------------------------------------------------------------------------- lines

cdef str of_order(Floor floor, const Order* order, int64_t as_of):
    """The lines that have stood too long, and the cartons that their pieces lie in."""
    cdef Standing now
    cdef Line* line
    cdef int i
    parts = []
    for i in range(length(order.lines)):
        line = <Line*>nth(order.lines, i)
        now = standing.of_line(floor, line, as_of)
        if now.state != S_OVER and now.since + floor.rules.stuck <= as_of:
            parts.append((line.number, of_line(floor, line, now, as_of)))
    return some([text for _, text in sorted(parts)])


cdef str of_line(Floor floor, Line* line, Standing now, int64_t as_of):
    cdef LineCount n = standing.count_of(floor, line, as_of)
    cdef int64_t left
    name = f"{floor.text(line.order)} line {line.number}"
    since = f"since {clock(now.since, as_of)}"
    if now.state == S_RELEASED:
        whole = f"{n.asked - n.short_} of {n.asked}" if n.short_ else f"{n.asked}"
        return f"{name}: {whole} not picked, released {since}"
    if now.state == S_IN_PICK:
        left = max(0, n.asked - n.picked - n.short_)
        return f"{name}: {left} of {n.asked} not picked, in pick {since}"
    if now.state == S_PICKED:
        waits = [f"{n.confirmed - n.packed} of {n.confirmed} not packed", *open_carriers(floor, line, as_of)]
        return f"{name}: {some(waits)}" if len(waits) > 1 else f"{name}: {waits[0]}, picked {since}"
    shipments = ", ".join(sorted(shipments_of(floor, line, as_of)))
    word = "manifested, ready" if now.state == S_READY else "ready, packed"
    return f"{name}: {shipments} not {word} {since}"


cdef list open_carriers(Floor floor, const Line* line, int64_t as_of):
    """The units with pieces of the line that are not closed."""
    cdef List* carriers = carriers_of(floor, line, as_of)
    cdef Contents contents
    cdef Cycle* cycle
    cdef int i, k
    found = []
    for i in range(length(carriers)):
        cycle = <Cycle*>nth(carriers, i)
        contents = contents_of(cycle, as_of)
        for k in range(contents.count):
            if contents.pieces[k].line == line and not carton_state.state_of(floor, cycle, as_of).closed:
                found.append(carton(floor, cycle, as_of))
                break
    floor.store.free(carriers)
    return sorted(found)


cdef list shipments_of(Floor floor, const Line* line, int64_t as_of):
    """Those that still want it."""
    cdef Shipment* shipment
    cdef int i
    found = []
    for i in range(length(line.scopes)):
        shipment = (<ScopeLine*>nth(line.scopes, i)).shipment
        if min(shipment.manifest_t, shipment.cancel_t) > as_of:
            found.append(floor.text(shipment.id))
    return found


# ---------------------------------------------------------------------------------------------- cartons

cdef str carton(Floor floor, Cycle* cycle, int64_t as_of):
    """carton C-9 open at PACK-3 since 08:14"""
    cdef Standing now = standing.of_cycle(floor, cycle, as_of)
    name = f"carton {floor.text(carton_names.name_at(floor, cycle, as_of))}"
    if now.state == S_OVER:
        return f"{name} orphaned since {clock(cycle.end, as_of)}" if cycle.rebound else name
    place = place_of(floor, cycle, now.state, as_of)
    return f"{name} {WORDS[now.state]}{place} since {clock(now.since, as_of)}"


cdef str place_of(Floor floor, const Cycle* cycle, int state, int64_t as_of):
    """Where it was told to be last: its trailer, its place, or the device that spoke of it."""
    cdef CartonState known = carton_state.state_of(floor, cycle, as_of)
    cdef Fact* fact
    cdef int i = length(cycle.facts) - 1
    if state == S_LOADED:
        return f" in {floor.text(known.loading.trailer)}"
    if state == S_LOST or state == S_PLANNED:
        return ""
    while i >= 0:
        fact = <Fact*>nth(cycle.facts, i)
        if fact.t <= as_of and not fact.context:
            if fact.kind == K_DIVERT_CONFIRMED and fact.dest:
                return f" at {floor.text(fact.dest)}"
            if fact.kind == K_ITEM_ARRIVED and fact.loc:
                return f" at {floor.text(fact.loc)}"
            return f" at {floor.text(fact.src).rpartition('/')[2]}"
        i -= 1
    return ""


cdef str of_cycle(Floor floor, Cycle* cycle, int64_t as_of):
    cdef Standing now = standing.of_cycle(floor, cycle, as_of)
    text = carton(floor, cycle, as_of)
    if now.state == S_PLANNED:
        return f"{text}: nothing in it yet"
    if now.state == S_OPEN:
        return f"{text}: {pieces(cycle, as_of)} in it, not closed"
    if now.state == S_HELD:
        return f"{text}: no good weight or label, and not released"
    if now.state == S_LOST:
        return f"{text}: not seen again"
    return f"{text}: {of_home(floor, cycle, as_of)}"


cdef str pieces(const Cycle* cycle, int64_t as_of):
    cdef Contents contents = contents_of(cycle, as_of)
    cdef int64_t found = 0, planned = 0
    cdef int i
    for i in range(contents.count):
        found += contents.pieces[i].qty
    if cycle.plan == NULL or cycle.plan.contents == NULL:
        return f"{found}"
    for i in range(cycle.plan.contents.count):
        planned += cycle.plan.contents.items[i].qty
    return f"{found} of {planned}"


cdef str of_home(Floor floor, const Cycle* cycle, int64_t as_of):
    """What a closed carton waits for is its shipment."""
    cdef Shipment* shipment = home_of(cycle, as_of)
    word = "manifested" if shipment.true_now else "ready"
    if shipment.manifest_t <= as_of:
        return f"{floor.text(shipment.id)} left without it"
    return f"{floor.text(shipment.id)} not {word}"


cdef str of_plan(Floor floor, const CartonPlan* plan, int64_t as_of):
    shipment = f" for {floor.text(plan.shipment.id)}" if plan.shipment != NULL else ""
    return f"carton {floor.text(plan.carton)} planned{shipment} since {clock(plan.fact.t, as_of)}: never used"


# ---------------------------------------------------------------------------------------------- shipments

cdef str of_shipment(Floor floor, Shipment* shipment, int64_t as_of):
    """R50a: the lines that are not packed, the cartons that are not closed, and those that were never used."""
    cdef Standing now = standing.of_shipment(floor, shipment, as_of)
    cdef Line* line
    cdef Standing of
    cdef int i
    name = f"{floor.text(shipment.id)}"
    if now.state == S_READY:
        return f"{name}: not manifested, ready since {clock(now.since, as_of)}"
    lines = []
    for i in range(length(shipment.scope)):
        line = (<ScopeLine*>nth(shipment.scope, i)).line
        of = standing.of_line(floor, line, as_of)
        if of.state != S_OVER and of.state != S_PACKED:
            lines.append(((floor.text(line.order), line.number), of_scope(floor, line, of, as_of)))
    waits = [text for _, text in sorted(lines)]
    waits = [some(waits)] if waits else []
    held = not_done(floor, shipment, as_of)
    if held:
        waits.append(some(held))
    if verdict_of(floor, shipment, as_of).kind == HELD_SHORT:
        waits.append("the word of the OMS on what is short")
    return f"{name}: {'; '.join(waits) or 'not ready, since ' + clock(now.since, as_of)}"


cdef str of_scope(Floor floor, Line* line, Standing now, int64_t as_of):
    """Its cartons are named once, by the shipment."""
    cdef LineCount n = standing.count_of(floor, line, as_of)
    name = f"{floor.text(line.order)} line {line.number}"
    if now.state == S_PICKED:
        return f"{name}: {n.confirmed - n.packed} of {n.confirmed} not packed"
    return f"{name}: {max(0, n.asked - n.picked - n.short_)} of {n.asked} not picked"


cdef list not_done(Floor floor, Shipment* shipment, int64_t as_of):
    """Cartons that are open, held, lost or orphaned or stand in none of its lanes, and planned ones without a cycle."""
    cdef List* cycles = cycles_of(floor, shipment, as_of, as_of)
    cdef Numbers* unused = unused_of(floor, shipment, as_of, as_of)
    cdef Standing now
    cdef Cycle* cycle
    cdef int i
    found = []
    for i in range(length(cycles)):
        cycle = <Cycle*>nth(cycles, i)
        now = standing.of_cycle(floor, cycle, as_of)
        if (now.state == S_PLANNED or now.state == S_OPEN or now.state == S_HELD or now.state == S_LOST
                or (now.state == S_OVER and cycle.rebound)
                or ((now.state == S_CLOSED or now.state == S_STAGED) and is_elsewhere(floor, shipment, cycle, as_of))):
            found.append(carton(floor, cycle, as_of))
    floor.store.free(cycles)
    for i in range(unused.count if unused != NULL else 0):
        found.append(f"carton {floor.text(unused.items[i])} never used")
    floor.store.free(unused)
    return sorted(found)


cdef bint is_elsewhere(Floor floor, const Shipment* shipment, const Cycle* cycle, int64_t as_of) except -1:
    """It must stand in one of the shipment's lanes, and does not."""
    return shipment.stage_required and not has_number(shipment.lanes, carton_state.state_of(floor, cycle, as_of).place)
