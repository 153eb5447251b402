"""Load units and cartons (R40-R48): see cartons.pxd."""

from ext cimport packing, picks, riding, sights
from ext.batch cimport ABSENT
from ext.cycles cimport place_fact, take_back
from ext.floor cimport Line, PickWindow
from ext.kinds cimport (
    K_CARTON_CLOSE, K_CARTON_OPEN, K_CARTON_REOPEN, K_CARTON_VOID, K_DIVERT_CONFIRMED, K_ITEM_ARRIVED, K_ITEM_LOST,
    K_ITEM_RECIRCULATED, K_LABEL_VERIFIED, K_LOAD_REMOVED, K_LOAD_SCANNED, K_MANIFEST_RESULT,
    K_PACK_CONFIRM, K_PICK_CONFIRM, K_PICK_REVERSE, K_SCAN_READ, K_WEIGH,
)
from ext.timers cimport NEVER, RANK_CARTON

from ext.kinds import NAMES

from libc.string cimport memset


# ---------------------------------------------------------------------------------------------- collecting facts

cdef list attach(Floor floor, LoadUnit unit, Fact fact):
    """A fact about a load unit takes effect. Returns the cycles that it changed."""
    cdef list changed = packing.settle(floor, place_fact(floor, unit, fact))
    sights.watch(floor, unit, fact)
    follow(floor, changed, fact)
    if fact.cycle is not None and fact.kind in (K_WEIGH, K_LABEL_VERIFIED, K_CARTON_VOID, K_MANIFEST_RESULT):
        watch_holds(floor, fact.cycle, fact.t)
        if fact.kind == K_LABEL_VERIFIED:
            floor.by_watermark.push(fact.t, RANK_CARTON, sort_key(floor, fact.cycle), fact, TAG_LABEL, fact.t)
    return changed


cdef list detach(Floor floor, LoadUnit unit, Fact fact):
    """A fact that turned out to be none leaves the unit. Returns the cycles that changed by it."""
    cdef list changed = packing.settle(floor, take_back(floor, unit, fact))
    follow(floor, changed, fact)
    return changed


cdef int follow(Floor floor, list changed, Fact fact) except -1:
    """What cycles that changed decide and tell."""
    cdef Cycle cycle
    for cycle in changed:
        if cycle.rebound:
            watch_holds(floor, cycle, cycle.end)
        if cycle.any_close:
            watch_transitions(floor, cycle)
        if floor.rules.short_on_close:
            close_picks(floor, cycle)
        if fact.kind == K_CARTON_VOID and fact.cycle is cycle:
            tell_voided(floor, cycle, fact)
        if cycle.decided:
            decide(floor, cycle, fact)
        retell_picks(floor, cycle, fact)
    return 0


cdef int watch_holds(Floor floor, Cycle cycle, int64_t t) except -1:
    """R45: look at weight, label and contents when the watermark has passed `t`."""
    floor.by_watermark.push(t, RANK_CARTON, sort_key(floor, cycle), cycle, TAG_CHECK, t)
    return 0


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
        for line, _ in cycle.plan.contents:
            if line is window.line:
                return True
        return False
    cdef Cycle other
    for other in cycle.unit.cycles:     # an earlier use that was there for it took it along
        if other.begin < cycle.begin and other.end > window.planned_by.t:
            return False
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
                K_CARTON_REOPEN, K_CARTON_OPEN, K_PICK_CONFIRM, K_PICK_REVERSE, K_PACK_CONFIRM):
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
    state.t_close = state.t_loaded = ABSENT
    for fact in riding.sights_of(floor, cycle):
        if fact.t > as_of:
            break
        kind = fact.kind
        if not fact.context:
            state.lost = kind == K_ITEM_LOST        # R64: any later sight brings it back
        if kind == K_CARTON_CLOSE or kind == K_SCAN_READ:
            if not state.closed:
                state.closed, state.t_close = True, fact.t
        elif kind in (K_CARTON_REOPEN, K_CARTON_OPEN, K_PICK_CONFIRM, K_PICK_REVERSE, K_PACK_CONFIRM):
            if state.closed and fact.t > state.t_close:
                state.closed = False
        elif kind == K_CARTON_VOID:
            state.voided = True
        elif kind == K_DIVERT_CONFIRMED:
            state.place = fact.dest
        elif kind == K_ITEM_ARRIVED:
            state.place = fact.loc
        elif kind == K_ITEM_RECIRCULATED or kind == K_LOAD_REMOVED:
            state.place, state.loaded = 0, False
        elif kind == K_ITEM_LOST:
            state.place = 0
        elif kind == K_LOAD_SCANNED:
            state.loaded = True
            state.trailer, state.t_loaded = fact.trailer, fact.t
        elif kind == K_MANIFEST_RESULT:
            state.shipped = True
        elif state.shipped:
            continue                    # the unit is on its way to its next use
        elif kind == K_WEIGH:
            weight, t_weight = fact.weight_g, fact.t
        elif kind == K_LABEL_VERIFIED:
            label_bad, t_label = fact.record["result"] != "OK", fact.t
    state.held = is_held(floor, cycle, as_of, weight, t_weight, label_bad, t_label)
    return state


cdef bint is_held(Floor floor, Cycle cycle, int64_t as_of, int64_t weight, int64_t t_weight, bint label_bad,
                  int64_t t_label) except -1:
    """R45: held by the last weighing or the last label, until a good one or `hold.released`."""
    cdef bint off = is_off(cycle.plan, weight)
    cdef Fact release
    cdef int64_t released = ABSENT
    if not off and not label_bad:
        return False
    release = release_of(floor, cycle, as_of)
    if release is not None:
        released = release.t
    return (off and t_weight > released) or (label_bad and t_label > released)


cdef bint is_off(CartonPlan plan, int64_t weight) except -1:
    """Without both `weight_g` and `tol_g` in the plan nothing is compared."""
    if plan is None or plan.weight_g == ABSENT or plan.tol_g == ABSENT or weight == ABSENT:
        return False
    return abs(weight - plan.weight_g) > plan.tol_g


cdef Fact release_of(Floor floor, Cycle cycle, int64_t as_of):
    """The `hold.released` that let it go; a carton without an id is named by its key."""
    cdef CartonPlan plan = cycle.plan
    if plan is None:
        plan = floor.cartons.get(floor.texts.number(name_of(floor, cycle)))
    if plan is None or plan.released_by is None or plan.released_by.t > as_of:
        return None
    return plan.released_by


cdef dict contents_of(Cycle cycle, int64_t as_of):
    """R43: (Line, sku, lot) -> pieces, all picks less reversals up to `as_of`, zeros left out."""
    cdef dict contents = {}
    cdef Fact fact
    for fact in cycle.facts:
        if fact.t <= as_of:
            packing.count_into(contents, fact)
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
            watch_holds(floor, cycle, transition.t + hold)
        else:
            tell_reopened(floor, cycle, transition)
    return 0


cdef int revise_last(Floor floor, Cycle cycle, list transitions, Fact cause) except -1:
    cdef Py_ssize_t i = cycle.decided - 1
    if i >= 0 and (<Fact>transitions[i]).kind not in (K_CARTON_CLOSE, K_SCAN_READ):
        i -= 1
    if i >= 0:
        tell_closed(floor, cycle, <Fact>transitions[i], cause if cause is not None else <Fact>transitions[i])
        if cause is not None:
            watch_holds(floor, cycle, cause.t)
    return 0


cdef list cycles_named(Floor floor, CartonPlan plan):
    """R40a: the cycles that go by this carton's id; without an id, a carton is named by its key `lu#cycle`."""
    cdef LoadUnit unit
    cdef str lu, number
    lu, _, number = floor.text(plan.carton).rpartition("#")
    unit = floor.units.get(floor.texts.number(lu)) if number.isdigit() and lu else None
    if plan.cycles or unit is None:
        return plan.cycles
    return [cycle for cycle in unit.cycles if (<Cycle>cycle).number == int(number)]


cdef Fact last_close(Floor floor, Cycle cycle):
    """The last close that was decided; None: none, or it was reopened."""
    cdef list transitions = transitions_of(floor, cycle)
    cdef Py_ssize_t i = min(cycle.decided, len(transitions)) - 1
    if i >= 0 and (<Fact>transitions[i]).kind in (K_CARTON_CLOSE, K_SCAN_READ):
        return <Fact>transitions[i]
    return None


cdef int tell_closed(Floor floor, Cycle cycle, Fact close, Fact cause) except -1:
    cdef dict contents = contents_of(cycle, close.t)
    cdef str dev_id = floor.dev_id(cause), shipment = shipment_key(cycle)
    cdef Fact label
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
    label = last_good_label(cycle, "sscc")
    if label is not None:
        data["sscc"] = label.record["sscc"]
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


cdef Fact last_good_label(Cycle cycle, str field):
    """The last label that was read well and carries this field (`sscc`, `tracking_no`), however late (R45)."""
    cdef Fact fact, last = None
    for fact in cycle.facts:
        if fact.kind == K_LABEL_VERIFIED and fact.record["result"] == "OK" and field in fact.record:
            last = fact
    return last


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
