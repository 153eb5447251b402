"""Load units and cartons (R40-R48): see cartons.pxd."""

from ext cimport picks
from ext.batch cimport ABSENT
from ext.cycles cimport place_fact
from ext.floor cimport CartonPlan, Line, PickWindow
from ext.kinds cimport (
    K_CARTON_CLOSE, K_CARTON_OPEN, K_CARTON_REOPEN, K_CARTON_VOID, K_DIVERT_CONFIRMED, K_ITEM_ARRIVED, K_ITEM_LOST,
    K_ITEM_RECIRCULATED, K_ITEM_STRAY, K_LABEL_VERIFIED, K_LOAD_REMOVED, K_LOAD_SCANNED, K_PICK_CONFIRM,
    K_PICK_REVERSE, K_SCAN_READ, K_WEIGH,
)
from ext.timers cimport NEVER, RANK_CARTON

from ext.kinds import NAMES

from libc.string cimport memset


# ---------------------------------------------------------------------------------------------- collecting facts

cdef list attach(Floor floor, LoadUnit unit, Fact fact):
    """A fact about a load unit takes effect. Returns the cycles that it changed."""
    cdef list changed = place_fact(floor, unit, fact)
    cdef Cycle cycle
    for cycle in changed:
        if cycle.any_close:
            watch_transitions(floor, cycle)
        if floor.rules.short_on_close:
            close_picks(floor, cycle)
        if fact.kind == K_CARTON_VOID and fact.cycle is cycle:
            tell_voided(floor, cycle, fact)
        if cycle.decided:
            decide(floor, cycle, fact)
        retell_picks(floor, cycle, fact)
    return changed


cdef int watch_transitions(Floor floor, Cycle cycle) except -1:
    """Every close and reopening not decided yet is due when the watermark passes it by its hold, or at the bound."""
    cdef list transitions = transitions_of(floor, cycle)
    cdef Fact fact
    cdef Py_ssize_t i
    for i in range(cycle.decided, len(transitions)):
        fact = <Fact>transitions[i]
        floor.by_watermark.push(fact.t + floor.rules.close_hold, RANK_CARTON, sort_key(floor, cycle), cycle,
                                TAG_TRANSITION, fact.t)
        floor.by_wall.push(fact.t_rx + floor.rules.hold_wall_max, RANK_CARTON, sort_key(floor, cycle), cycle,
                           TAG_TRANSITION, fact.t)
    return 0


cdef int retell_picks(Floor floor, Cycle cycle, Fact cause) except -1:
    """A carton learned after its picks were told: `pick.confirmed` names it in a revision (R31)."""
    cdef Fact fact
    if cause.window is not None:        # a pick tells itself
        return 0
    for fact in cycle.facts:
        if fact.window is not None and fact.window.confirmed is not None and cause.context:
            picks.decide(floor, fact.window, cause)
    return 0


cdef int close_picks(Floor floor, Cycle cycle) except -1:
    """R21 c, only with `short_on_close`: the close of its destination ends what is still being picked into it."""
    cdef Fact close, fact
    cdef PickWindow window
    for close in cycle.facts:
        if close.kind != K_CARTON_CLOSE:
            continue
        for fact in cycle.facts:
            if fact.window is not None and fact.t <= close.t and close not in fact.window.closings:
                picks.take_closing(floor, fact.window, close)
        for window in cycle.unit.destined:
            if not window.facts and close not in window.closings and is_destined(cycle, window, close):
                picks.take_closing(floor, window, close)
    return 0


cdef bint is_destined(Cycle cycle, PickWindow window, Fact close):
    """A task without picks goes into this cycle if the carton's plan says so, or was there before the close."""
    if cycle.plan is not None and cycle.plan.contents is not None:
        return any(line is window.line for line, _ in cycle.plan.contents)
    return window.planned_by.t <= close.t


# ---------------------------------------------------------------------------------------------- what a carton is

cdef list transitions_of(Floor floor, Cycle cycle):
    """R42, R44: closes and reopenings in turn, in order of event time. A second close without a reopening is none."""
    cdef list found = []
    cdef bint closed = False
    cdef int64_t t_close = ABSENT
    cdef Fact fact
    cdef int kind
    for fact in cycle.facts:
        kind = fact.kind
        if kind == K_CARTON_CLOSE or kind == K_SCAN_READ:
            if not closed:
                found.append(fact)
                closed, t_close = True, fact.t
            elif kind == K_CARTON_CLOSE:
                floor.outlet.raise_("PKG_DOUBLE_CLOSE", subject_of(floor, cycle), fact.t, floor.dev_id(fact), "")
        elif closed and fact.t > t_close and kind in (
                K_CARTON_REOPEN, K_CARTON_OPEN, K_PICK_CONFIRM, K_PICK_REVERSE):
            found.append(fact)
            closed = False
    return found


cdef CartonState state_of(Floor floor, Cycle cycle, int64_t as_of):
    """Closed, held, lost, and where it is, by the facts up to `as_of`."""
    cdef CartonState state
    cdef Fact fact
    cdef int kind
    cdef int64_t weight = ABSENT, t_weight = ABSENT, t_label = ABSENT
    cdef bint label_bad = False
    memset(&state, 0, sizeof(state))
    state.t_close = ABSENT
    for fact in cycle.facts:
        if fact.t > as_of:
            break
        kind = fact.kind
        if kind == K_CARTON_CLOSE or kind == K_SCAN_READ:
            if not state.closed:
                state.closed, state.t_close = True, fact.t
        elif kind in (K_CARTON_REOPEN, K_CARTON_OPEN, K_PICK_CONFIRM, K_PICK_REVERSE):
            if state.closed and fact.t > state.t_close:
                state.closed = False
        elif kind == K_CARTON_VOID:
            state.voided = True
        elif kind == K_DIVERT_CONFIRMED:
            state.place, state.lost = fact.dest, False
        elif kind == K_ITEM_ARRIVED:
            state.place, state.lost = fact.loc, False
        elif kind == K_ITEM_RECIRCULATED or kind == K_LOAD_REMOVED:
            state.place, state.loaded = 0, False
        elif kind == K_ITEM_LOST:
            state.place, state.lost = 0, True
        elif kind == K_ITEM_STRAY:
            state.lost = False
        elif kind == K_LOAD_SCANNED:
            state.loaded, state.lost = True, False
        elif kind == K_WEIGH:
            weight, t_weight = fact.weight_g, fact.t
        elif kind == K_LABEL_VERIFIED:
            label_bad, t_label = fact.text != "OK", fact.t
    state.held = is_held(cycle.plan, as_of, weight, t_weight, label_bad, t_label)
    return state


cdef bint is_held(CartonPlan plan, int64_t as_of, int64_t weight, int64_t t_weight, bint label_bad, int64_t t_label):
    """R45: held by the last weighing or the last label, until a good one or `hold.released`."""
    cdef int64_t released = ABSENT
    if plan is not None and plan.hold_released <= as_of:
        released = plan.hold_released
    if label_bad and t_label > released:
        return True
    if plan is None or plan.weight_g == ABSENT or plan.tol_g == ABSENT or weight == ABSENT:
        return False
    return abs(weight - plan.weight_g) > plan.tol_g and t_weight > released


cdef dict contents_of(Cycle cycle, int64_t as_of):
    """R43: (Line, sku, lot) -> pieces, all picks less reversals up to `as_of`, zeros left out."""
    cdef dict contents = {}
    cdef Fact fact
    for fact in cycle.facts:
        if fact.window is not None and fact.t <= as_of:
            key = (fact.window.line, fact.sku, fact.lot)
            contents[key] = contents.get(key, 0) + fact.qty
    return {key: qty for key, qty in contents.items() if qty}


cdef int64_t weight_of(Floor floor, Cycle cycle, int64_t t_close) except -1:
    """R45: the last weighing from the opening to the close and its hold; 0: none."""
    cdef int64_t weight = 0
    cdef Fact fact
    for fact in cycle.facts:
        if fact.kind == K_WEIGH and fact.t <= t_close + floor.rules.close_hold:
            weight = fact.weight_g
    return weight


# ---------------------------------------------------------------------------------------------- telling

cdef int decide(Floor floor, Cycle cycle, Fact cause) except -1:
    """R43, R44: tell the closes and reopenings whose hold has passed, then what late facts changed in the last close."""
    cdef list transitions = transitions_of(floor, cycle)
    cdef Fact transition
    cdef int64_t hold = floor.rules.close_hold
    cycle.decided = min(cycle.decided, len(transitions))
    revise_last(floor, cycle, transitions, cause)
    while cycle.decided < len(transitions):
        transition = <Fact>transitions[cycle.decided]
        if floor.watermark <= transition.t + hold and cycle.forced < transition.t:
            break
        cycle.decided += 1
        if transition.kind in (K_CARTON_CLOSE, K_SCAN_READ):
            tell_closed(floor, cycle, transition, transition)
        else:
            tell_reopened(floor, cycle, transition)
    return 0


cdef int revise_last(Floor floor, Cycle cycle, list transitions, Fact cause) except -1:
    cdef Py_ssize_t i = cycle.decided - 1
    if i >= 0 and (<Fact>transitions[i]).kind not in (K_CARTON_CLOSE, K_SCAN_READ):
        i -= 1
    if i >= 0:
        tell_closed(floor, cycle, <Fact>transitions[i], cause if cause is not None else <Fact>transitions[i])
    return 0


cdef int tell_closed(Floor floor, Cycle cycle, Fact close, Fact cause) except -1:
    cdef dict contents = contents_of(cycle, close.t)
    cdef str dev_id = floor.dev_id(cause), shipment = shipment_key(cycle), sscc
    cdef int64_t weight = weight_of(floor, cycle, close.t)
    cdef dict data
    if not contents and cycle.closed is None:
        floor.outlet.raise_("PKG_EMPTY", subject_of(floor, cycle), close.t, dev_id, "")
        return 0
    floor.outlet.clear("PKG_EMPTY", subject_of(floor, cycle), close.t, dev_id)
    if cycle.closed is None:
        cycle.closed = ledger(floor, cycle, "carton.closed")
    data = {
        "carton": name_of(floor, cycle),
        "lu": floor.text(cycle.unit.lu),
        "contents": listed(floor, contents),
        "t_open": cycle.begin,
        "t_close": close.t,
    }
    if shipment is not None:
        data["shipment"] = shipment
    if weight:
        data["weight_g"] = weight
    sscc = sscc_of(cycle)
    if sscc is not None:
        data["sscc"] = sscc
    floor.outlet.emit(cycle.closed, data, close.t, correlation(floor, cycle, contents), dev_id,
                      "incomplete" if cycle.forced >= close.t else
                      "inferred" if close.kind == K_SCAN_READ else "exact")
    return 0


cdef list listed(Floor floor, dict contents):
    """Contents as the event shows them, sorted by (order, line, sku, lot)."""
    cdef list rows = []
    cdef Line line
    for (line, sku, lot), qty in contents.items():
        row = {"order": floor.text(line.order), "line": line.number, "sku": floor.text(sku), "qty": qty}
        if lot:
            row["lot"] = floor.text(lot)
        rows.append(row)
    rows.sort(key=lambda row: (row["order"], row["line"], row["sku"], row.get("lot", "")))
    return rows


cdef str sscc_of(Cycle cycle):
    cdef Fact fact
    cdef str sscc = None
    for fact in cycle.facts:
        if fact.kind == K_LABEL_VERIFIED and fact.text == "OK" and fact.text2 is not None:
            sscc = fact.text2
    return sscc


cdef int tell_reopened(Floor floor, Cycle cycle, Fact cause) except -1:
    if cycle.closed is None:            # it was closed empty: nothing was told that could be reopened
        return 0
    if cycle.reopened is None:
        cycle.reopened = ledger(floor, cycle, "carton.reopened")
    floor.outlet.emit(cycle.reopened, {"cause": NAMES[cause.kind]}, cause.t,
                      correlation(floor, cycle, contents_of(cycle, cause.t)), floor.dev_id(cause), "exact")
    return 0


cdef int tell_voided(Floor floor, Cycle cycle, Fact cause) except -1:
    """R56: told at once; its contents leave the shipment."""
    if cycle.voided is None:
        cycle.voided = ledger(floor, cycle, "carton.voided")
    floor.outlet.emit(cycle.voided, {"cause": NAMES[cause.kind]}, cause.t,
                      correlation(floor, cycle, contents_of(cycle, cause.t)), floor.dev_id(cause), "exact")
    return 0


cdef object ledger(Floor floor, Cycle cycle, str type):
    """R40a: the key is fixed by the first event of the cycle."""
    cdef str shipment = shipment_key(cycle)
    if cycle.key is None:
        cycle.key = name_of(floor, cycle)
    return floor.outlet.ledger(type, cycle.key, f"carton/{cycle.key}", shipment if shipment is not None else cycle.key)


cdef str name_of(Floor floor, Cycle cycle):
    """R40a: the carton's id, else unit and number of the cycle."""
    if cycle.carton:
        return floor.text(cycle.carton)
    return f"{floor.text(cycle.unit.lu)}#{cycle.number}"


cdef str sort_key(Floor floor, Cycle cycle):
    return cycle.key if cycle.key is not None else name_of(floor, cycle)


cdef str subject_of(Floor floor, Cycle cycle):
    return f"carton/{sort_key(floor, cycle)}"


cdef str shipment_key(Cycle cycle):
    """R53: that of the highest plan known now."""
    if cycle.plan is not None and cycle.plan.shipment is not None:
        return cycle.plan.shipment.key
    return None


cdef str correlation(Floor floor, Cycle cycle, dict contents):
    cdef set orders = set()
    cdef Line line
    cdef str shipment = shipment_key(cycle)
    for line, _, _ in contents:
        orders.add(line.order)
    if len(orders) == 1:
        return floor.text(orders.pop())
    return shipment if shipment is not None else sort_key(floor, cycle)
