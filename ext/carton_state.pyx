# cython: boundscheck=False, wraparound=False
"""What a carton is (R40-R48, R64): see carton_state.pxd."""

from libc.string cimport memset

from ext cimport riding
from ext.batch cimport ABSENT
from ext.carton_names cimport name_of
from ext.kinds cimport (
    K_CARTON_CLOSE, K_CARTON_OPEN, K_CARTON_REOPEN, K_CARTON_VOID, K_DIVERT_CONFIRMED, K_ITEM_ARRIVED, K_ITEM_LOST,
    K_ITEM_RECIRCULATED, K_LABEL_VERIFIED, K_LOAD_REMOVED, K_LOAD_SCANNED, K_MANIFEST_RESULT, K_PACK_CONFIRM,
    K_PICK_CONFIRM, K_PICK_REVERSE, K_SCAN_READ, K_WEIGH,
)
from ext.plan_data cimport FormerHome
from ext.plans cimport home_at
from ext.store cimport List, find, length, nth


cdef bint reopens(int kind) noexcept:
    """R44: what makes a closed carton an open one."""
    return (kind == K_CARTON_REOPEN or kind == K_CARTON_OPEN or kind == K_PICK_CONFIRM or kind == K_PICK_REVERSE
            or kind == K_PACK_CONFIRM)


cdef bint closes(int kind) noexcept:
    """R42: a close, or a read point that stands for one."""
    return kind == K_CARTON_CLOSE or kind == K_SCAN_READ


cdef CartonState state_of(Floor floor, const Cycle* cycle, int64_t as_of) except *:
    """Closed (R42, R44), held (R45), lost (R64), and where it is (R50, R62), by the facts up to `as_of`."""
    cdef CartonState state
    cdef Marks marks = Marks(weight=ABSENT, t_weight=ABSENT, t_label=ABSENT, label_bad=False)
    cdef List* facts = riding.sights_of(floor, cycle)
    cdef Fact* fact
    cdef int i
    memset(&state, 0, sizeof(state))
    state.t_close = state.t_undone = ABSENT
    for i in range(length(facts)):
        fact = <Fact*>nth(facts, i)
        if fact.t > as_of:
            break
        if not fact.context:
            state.lost = fact.kind == K_ITEM_LOST       # R64: any later sight brings it back
        take_place(&state, fact)
        if not state.shipped:                           # else the unit is on its way to its next use
            take_mark(floor, &marks, fact)
    if facts != cycle.facts:
        floor.store.free(facts)
    state.held = is_held(floor, cycle, as_of, &marks)
    return state


cdef void take_place(CartonState* state, const Fact* fact) noexcept:
    """What a fact says of a carton's being closed, and of its place."""
    cdef int kind = fact.kind
    if closes(kind):
        if not state.closed:
            state.closed, state.t_close = True, fact.t
    elif reopens(kind):
        if state.closed and fact.t > state.t_close:
            state.closed, state.t_undone = False, fact.t
    elif kind == K_CARTON_VOID:
        state.voided, state.t_undone = True, fact.t
    elif kind == K_DIVERT_CONFIRMED:
        state.place = fact.dest
    elif kind == K_ITEM_ARRIVED:
        state.place = fact.loc
    elif kind == K_ITEM_RECIRCULATED or kind == K_ITEM_LOST:
        state.place = 0
    elif kind == K_LOAD_REMOVED:
        state.place, state.loaded = 0, False
    elif kind == K_LOAD_SCANNED:
        state.loaded, state.loading = True, fact
    elif kind == K_MANIFEST_RESULT:
        state.shipped = True


cdef struct Marks:              # the last weighing and the last label
    int64_t weight
    int64_t t_weight
    int64_t t_label
    bint label_bad


cdef void take_mark(Floor floor, Marks* marks, const Fact* fact) noexcept:
    if fact.kind == K_WEIGH:
        marks.weight, marks.t_weight = fact.weight_g, fact.t
    elif fact.kind == K_LABEL_VERIFIED:
        marks.label_bad, marks.t_label = fact.code != floor.state.ok, fact.t


cdef bint is_held(Floor floor, const Cycle* cycle, int64_t as_of, const Marks* marks) except -1:
    """R45: held by the last weighing or the last label, until a good one or `hold.released`."""
    cdef bint off = is_off(cycle.plan, marks.weight, as_of)
    cdef Fact* release
    cdef int64_t released = ABSENT
    if not off and not marks.label_bad:
        return False
    release = release_of(floor, cycle, as_of)
    if release != NULL:
        released = release.t
    return (off and marks.t_weight > released) or (marks.label_bad and marks.t_label > released)


cdef bint is_off(const CartonPlan* plan, int64_t weight, int64_t as_of) noexcept:
    """R45: by the plan of then. Without both `weight_g` and `tol_g` in it nothing is compared."""
    cdef FormerHome planned = home_at(plan, as_of)
    cdef int64_t off
    if planned.weight_g == ABSENT or planned.tol_g == ABSENT or weight == ABSENT:
        return False
    off = weight - planned.weight_g
    return off > planned.tol_g or -off > planned.tol_g


cdef Fact* release_of(Floor floor, const Cycle* cycle, int64_t as_of) except? NULL:
    """The last `hold.released` by then; NULL: none."""
    cdef const List* releases = releases_of(floor, cycle)
    cdef int i = length(releases) - 1
    while i >= 0 and (<Fact*>nth(releases, i)).t > as_of:
        i -= 1
    return <Fact*>nth(releases, i) if i >= 0 else NULL


cdef const List* releases_of(Floor floor, const Cycle* cycle) except? NULL:
    """Every `hold.released` of it, sorted; a carton without an id is named by its key."""
    cdef CartonPlan* plan = cycle.plan
    if plan == NULL:
        plan = <CartonPlan*>find(floor.state.cartons, name_of(floor, cycle))
    return plan.releases if plan != NULL else NULL


cdef int64_t weight_of(Floor floor, const Cycle* cycle, int64_t t_close) noexcept:
    """R45: the last weighing from the opening to the close and its hold; ABSENT: none."""
    cdef int64_t weight = ABSENT
    cdef Fact* fact
    cdef int i
    for i in range(length(cycle.facts)):
        fact = <Fact*>nth(cycle.facts, i)
        if fact.kind == K_WEIGH and fact.t <= t_close + floor.rules.close_hold:
            weight = fact.weight_g
    return weight


cdef Fact* last_good_label(Floor floor, const Cycle* cycle, bint with_sscc) noexcept:
    """The last label that was read well and carries an `sscc`, or else a `tracking_no`, however late (R45)."""
    cdef Fact* fact
    cdef int i = length(cycle.facts) - 1
    while i >= 0:
        fact = <Fact*>nth(cycle.facts, i)
        if (fact.kind == K_LABEL_VERIFIED and fact.code == floor.state.ok
                and (fact.sscc if with_sscc else fact.tracking_no)):
            return fact
        i -= 1
    return NULL


cdef Fact* void_of(const Cycle* cycle) noexcept:
    """R56: NULL: there is none."""
    cdef int i = length(cycle.facts) - 1
    while i >= 0 and (<Fact*>nth(cycle.facts, i)).kind != K_CARTON_VOID:
        i -= 1
    return <Fact*>nth(cycle.facts, i) if i >= 0 else NULL
