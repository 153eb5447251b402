"""R50, R50a, R53: is a shipment ready as of an event time, and what would the event say?

Nothing here changes anything: the answer is a function of the facts up to `as_of`.
"""

from ext cimport cartons, picks
from ext.batch cimport ABSENT
from ext.floor cimport CartonPlan, Packing, PickWindow, ScopeLine
from ext.kinds cimport K_PACK_CONFIRM
from ext.timers cimport NEVER


cdef class Need:
    """One line of a shipment's scope as of a moment: planned = p + s + c, if all is well."""
    cdef Line line
    cdef int64_t planned
    cdef int64_t confirmed      # p
    cdef int64_t short          # s
    cdef int64_t cancelled      # c
    cdef int64_t packed         # of p, in closed cartons of the shipment


cdef dict truth_of(Floor floor, Shipment shipment, int64_t as_of):
    """The data of `shipment.ready`, or None while something is missing."""
    cdef object verdict = verdict_of(floor, shipment, as_of)
    return <dict>verdict if isinstance(verdict, dict) else None


cdef object verdict_of(Floor floor, Shipment shipment, int64_t as_of):
    """The data of `shipment.ready`; the exception's code that alone keeps it from being ready; None for anything else."""
    cdef dict needs = {}
    cdef ScopeLine scope
    cdef Need need
    cdef list names, lines = []
    cdef bint partial = False, held_short = False
    if shipment.plan_rev == 0 or shipment.plan_t > as_of or shipment.cancel_t <= as_of:
        return None
    for scope in shipment.scope:
        need = need_of(floor, scope, as_of)
        if need is None:
            return None
        needs[scope.line] = need
        held_short = held_short or (need.short > 0 and scope.line.policy in ("HOLD", "CANCEL_LINE"))
    names = pack(floor, shipment, needs, as_of)
    if names is None:                   # a carton is not done
        return None
    for need in needs.values():
        if need.packed < need.confirmed:
            return None
        lines.append(shown(floor, need))
        partial = partial or need.short > 0 or need.cancelled > 0
    if held_short:                      # the OMS decides
        return "SHP_HELD_SHORT"
    if not names:
        return "SHP_EMPTY"
    lines.sort(key=by_order_and_line)
    return {"plan_rev": shipment.plan_rev, "cartons": sorted(names), "lines": lines, "partial": partial}


def by_order_and_line(dict row):
    return row["order"], row["line"]


cdef dict shown(Floor floor, Need need):
    return {
        "order": floor.text(need.line.order), "line": need.line.number, "ordered": need.planned,
        "packed": need.confirmed, "short": need.short, "cancelled": need.cancelled,
    }


# ---------------------------------------------------------------------------------------------- lines

cdef Need need_of(Floor floor, ScopeLine scope, int64_t as_of):
    """p, s and c of one line; None while a window is open or something is missing."""
    cdef Line line = scope.line
    cdef Need need = Need()
    cdef PickWindow window
    cdef picks.Outcome o
    cdef int64_t confirmed = 0, short = line.alloc_short if line.alloc_t <= as_of else 0
    cdef bint over = False
    need.line, need.planned = line, scope.qty
    if line.cancel_t <= as_of:
        need.cancelled = scope.qty
        return need
    for window in line.windows:
        if not window.facts and window.planned_by is not None and window.planned_by.t > as_of:
            continue
        o = picks.outcome(window, as_of, max(as_of, window.forced) + 1)
        if not o.closed:
            return None
        if not o.cancelled:
            confirmed += o.q
            short += o.q_short
            over = over or o.q > window.q_task + window.q_task * line.over_tol_pct // 100
    if over and not (line.known and line.qty >= confirmed):
        return None                     # R24: above tolerance, and no order.changed covers it
    need.confirmed = confirmed
    if len(line.scopes) > 1:
        need.confirmed = picked_for(scope, as_of)
        short = share_of_short(scope, short, as_of)
    need.short = max(0, min(short, need.planned - need.confirmed))
    if need.confirmed + need.short < need.planned or exceeds(need):
        return None
    return need


cdef bint exceeds(Need need):
    """More than planned is fine within the line's tolerance, or where order.changed covers it (R24)."""
    cdef Line line = need.line
    return (need.confirmed > need.planned + need.planned * line.over_tol_pct // 100
            and not (line.known and line.qty >= need.confirmed))


cdef int64_t picked_for(ScopeLine scope, int64_t as_of) except -1:
    """R53: of a line in several scopes, a pick counts for the shipment of its carton."""
    cdef PickWindow window
    cdef Fact fact
    cdef int64_t total = 0
    for window in scope.line.windows:
        if window.cancel_t <= as_of:
            continue
        for fact in window.facts:
            if fact.cycle is not None and fact.cycle.packs:
                return packed_for(scope, as_of)
            if fact.t <= as_of and fact.cycle is not None and home_of(fact.cycle, as_of) is scope.shipment:
                total += fact.qty
    return total


cdef int64_t packed_for(ScopeLine scope, int64_t as_of) except -1:
    """R47, R53: what was moved counts for the shipment of the carton that it lies in now."""
    cdef list found = []
    cdef PickWindow window
    cdef Fact fact
    cdef Cycle cycle
    cdef int64_t total = 0
    for window in scope.line.windows:
        for fact in window.facts:
            if fact.cycle is not None and fact.t <= as_of:
                found += [cycle for cycle in fed_by(fact.cycle, as_of) if cycle not in found]
    for cycle in found:
        if home_of(cycle, as_of) is scope.shipment:
            for (line, sku, _), qty in cartons.contents_of(cycle, as_of).items():
                if line is scope.line and sku == sku_of(scope.line):
                    total += qty
    return total


cdef int64_t share_of_short(ScopeLine scope, int64_t short, int64_t as_of) except -1:
    """R53: shorts fill the shipment with the latest cutoff first, then the greatest id, each up to what it lacks."""
    cdef ScopeLine other
    cdef int64_t lacks
    for other in sorted(scope.line.scopes, key=by_cutoff, reverse=True):
        lacks = max(0, other.qty - picked_for(other, as_of))
        if other is scope:
            return min(short, lacks)
        short -= min(short, lacks)
    return 0


def by_cutoff(ScopeLine scope):
    return scope.shipment.cutoff, scope.shipment.key


# ---------------------------------------------------------------------------------------------- cartons

cdef list pack(Floor floor, Shipment shipment, dict needs, int64_t as_of):
    """Put the closed cartons' contents to the lines. Names of the cartons, or None if one of them is not done."""
    cdef list cycles = cycles_of(floor, shipment, as_of), names = []
    cdef Cycle cycle
    cdef cartons.CartonState state
    cdef dict contents
    cdef Line line
    cdef Need need
    if unused_of(floor, shipment, as_of):
        return None
    for cycle in cycles:
        state = cartons.state_of(floor, cycle, as_of)
        contents = cartons.contents_of(cycle, as_of if not state.closed else state.t_close)
        if state.closed and not contents:
            continue
        if not state.closed or state.held or (state.lost and not state.shipped) or (cycle.rebound and cycle.end <= as_of):
            return None
        if shipment.stage_required and not state.loaded and not state.shipped and state.place not in shipment.lanes:
            return None
        for (line, sku, _), qty in contents.items():
            need = needs.get(line)
            if line.cancel_t <= as_of or holds_cancelled(cycle, as_of):
                return None
            if need is not None and sku == sku_of(line):
                need.packed += qty
        names.append(cartons.name_of(floor, cycle))
    return names


cdef int sku_of(Line line) except -1:
    return (<PickWindow>line.windows[0]).sku if line.windows else line.sku


cdef bint holds_cancelled(Cycle cycle, int64_t as_of) except -1:
    """R27, R50: pieces of a cancelled task still lie in it."""
    cdef Fact fact
    cdef PickWindow window
    cdef int64_t left
    for fact in cycle.facts:
        window = fact.window
        if window is None or fact.t > as_of or window.cancel_t > as_of:
            continue
        left = 0
        for other in cycle.facts:
            if (<Fact>other).window is window and (<Fact>other).t <= as_of:
                left += (<Fact>other).qty
        if left > 0:
            return True
    return cycle.packs and holds_moved_cancelled(cycle, as_of)


cdef bint holds_moved_cancelled(Cycle cycle, int64_t as_of) except -1:
    """The same for pieces that came by a move (R47): it names the line, so one of its cancelled tasks is enough."""
    cdef Line line
    cdef PickWindow window
    for line, _, _ in cartons.contents_of(cycle, as_of):
        for window in line.windows:
            if window.cancel_t > as_of or picks.outcome(window, as_of, NEVER).q_now <= 0:
                continue
            for fact in window.facts:
                if (<Fact>fact).cycle is not None and cycle in fed_by((<Fact>fact).cycle, as_of):
                    return True
    return False


cdef list cycles_of(Floor floor, Shipment shipment, int64_t as_of):
    """R50a: the cartons planned to it, and unplanned ones whose contents lie in its scope and in no other's."""
    cdef list found = []
    cdef CartonPlan plan
    cdef ScopeLine scope
    cdef PickWindow window
    cdef Fact fact
    cdef Cycle cycle
    for plan in shipment.plans.values():
        if plan.withdrawn or plan.t > as_of:
            continue
        cycle = current_cycle(floor, plan, as_of)
        if cycle is not None:
            found.append(cycle)
    for scope in shipment.scope:
        for window in scope.line.windows:
            for fact in window.facts:
                if fact.cycle is not None and fact.t <= as_of and fact.cycle not in found:
                    add_unplanned(floor, shipment, fact.cycle, as_of, found)
                if fact.cycle is not None and fact.cycle.packs:
                    for cycle in fed_by(fact.cycle, as_of):
                        if cycle not in found:
                            add_unplanned(floor, shipment, cycle, as_of, found)
    return found


cdef int add_unplanned(Floor floor, Shipment shipment, Cycle cycle, int64_t as_of, list found) except -1:
    if ((cycle.plan is None or cycle.plan.shipment is None) and home_of(cycle, as_of) is shipment
            and not cartons.state_of(floor, cycle, as_of).voided):
        found.append(cycle)
    return 0


cdef list fed_by(Cycle cycle, int64_t as_of):
    """R47: the cycles that goods were moved to from this one, by however many moves; itself among them."""
    cdef list found = [cycle], todo = [cycle]
    cdef Fact fact
    cdef Cycle fed
    while todo:
        cycle = todo.pop()
        for fact in cycle.facts:
            if fact.kind == K_PACK_CONFIRM and fact.t <= as_of and (<Packing>fact).out:
                fed = (<Packing>fact).other.cycle
                if fed is not None and fed not in found:
                    found.append(fed)
                    todo.append(fed)
    return found


cdef list unused_of(Floor floor, Shipment shipment, int64_t as_of):
    """R50a: planned cartons without a cycle; they count as not closed."""
    cdef list found = []
    cdef CartonPlan plan
    for plan in shipment.plans.values():
        if (not plan.withdrawn and plan.t <= as_of and current_cycle(floor, plan, as_of) is None
                and not any_voided(floor, plan, as_of)):
            found.append(floor.text(plan.carton))
    return found


cdef Cycle current_cycle(Floor floor, CartonPlan plan, int64_t as_of):
    """The last use of a unit as this carton that was not voided."""
    cdef Cycle cycle, last = None
    for cycle in plan.cycles:
        if cycle.begin <= as_of and not cartons.state_of(floor, cycle, as_of).voided:
            if last is None or cycle.begin > last.begin:
                last = cycle
    return last


cdef bint any_voided(Floor floor, CartonPlan plan, int64_t as_of) except -1:
    cdef Cycle cycle
    for cycle in plan.cycles:
        if cycle.begin <= as_of and cartons.state_of(floor, cycle, as_of).voided:
            return True
    return False


cdef Shipment home_of(Cycle cycle, int64_t as_of):
    """The shipment of a carton: that of its plan, else the only one whose scope has all that lies in it."""
    cdef Shipment home = None
    cdef Line line
    cdef ScopeLine scope
    if cycle.plan is not None and cycle.plan.shipment is not None:
        return None if cycle.plan.withdrawn else cycle.plan.shipment
    for line, _, _ in cartons.contents_of(cycle, as_of):
        if len(line.scopes) != 1:
            return None
        scope = <ScopeLine>line.scopes[0]
        if home is not None and home is not scope.shipment:
            return None
        home = scope.shipment
    return home


cdef str correlation(Floor floor, Shipment shipment):
    """`correlationid`: the order if exactly one is concerned, else the shipment."""
    cdef ScopeLine scope
    cdef set orders = set()
    for scope in shipment.scope:
        orders.add(scope.line.order)
    return floor.text(orders.pop()) if len(orders) == 1 else shipment.key
