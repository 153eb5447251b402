# cython: boundscheck=False, wraparound=False
"""What was planned when: see plans.pxd."""

from libc.string cimport memset

from ext.batch cimport ABSENT
from ext.plan_data cimport FormerScope
from ext.state cimport B_FORMER_HOME, B_FORMER_PLAN, B_FORMER_SCOPE
from ext.store cimport List, index_of, length, nth, remove, remove_at
from ext.timers cimport NEVER

cdef int FORMER_MAX = 16            # plans of one object that are remembered; beyond that the oldest is forgotten first


# ---------------------------------------------------------------------------------------------- shipments

cdef FormerPlan plan_at(const Shipment* shipment, int64_t as_of) noexcept:
    cdef FormerPlan found
    cdef const FormerPlan* former
    cdef int i = length(shipment.former) - 1
    memset(&found, 0, sizeof(found))
    if shipment.plan_rev == 0:
        return found
    if shipment.planned_t <= as_of:
        found.scope, found.lanes, found.rev, found.cutoff = shipment.scope, shipment.lanes, shipment.plan_rev, shipment.cutoff
        found.since, found.until, found.stage_required = shipment.planned_t, NEVER, shipment.stage_required
        found.carrier = shipment.carrier
        return found
    while i >= 0:
        former = <const FormerPlan*>nth(shipment.former, i)
        if former.since <= as_of < former.until:
            return former[0]
        i -= 1
    return found


cdef int scopes_ever(const Line* line) noexcept:
    return length(line.scopes) + length(line.changed.former)


cdef ScopeLine* scope_at(const Line* line, int i, int64_t as_of) noexcept:
    cdef ScopeLine* scope
    cdef FormerScope* former
    if i < length(line.scopes):
        scope = <ScopeLine*>nth(line.scopes, i)
        return scope if scope.shipment.planned_t <= as_of else NULL
    former = <FormerScope*>nth(line.changed.former, i - length(line.scopes))
    return <ScopeLine*>former if former.since <= as_of < former.until else NULL


cdef int replace_plan(Floor floor, Shipment* shipment, int64_t t) except -1:
    cdef FormerPlan* former
    cdef FormerScope* kept
    cdef ScopeLine* scope
    cdef int i
    cut_plans(shipment, t)
    if shipment.plan_rev == 0 or shipment.planned_t >= t:
        return 0
    former = <FormerPlan*>floor.store.new(B_FORMER_PLAN, sizeof(FormerPlan))
    former.rev, former.cutoff, former.stage_required = shipment.plan_rev, shipment.cutoff, shipment.stage_required
    former.since, former.until, former.carrier = shipment.planned_t, t, shipment.carrier
    former.lanes, shipment.lanes = shipment.lanes, NULL
    for i in range(length(shipment.scope)):
        scope = <ScopeLine*>nth(shipment.scope, i)
        kept = <FormerScope*>floor.store.new(B_FORMER_SCOPE, sizeof(FormerScope))
        kept.line, kept.shipment, kept.qty = scope.line, shipment, scope.qty
        kept.since, kept.until = former.since, t
        floor.store.append(&former.scope, kept)
        floor.store.append(&floor.changing(scope.line).former, kept)
    floor.store.append(&shipment.former, former)
    if length(shipment.former) > FORMER_MAX:
        forget_plan(shipment, 0)
    return 0


cdef int cut_plans(Shipment* shipment, int64_t t) noexcept:
    """Plans that were replaced say nothing of the time since `t`, even if their own event times are later."""
    cdef FormerPlan* former
    cdef int i = length(shipment.former) - 1, k
    while i >= 0 and (<FormerPlan*>nth(shipment.former, i)).until > t:
        former = <FormerPlan*>nth(shipment.former, i)
        former.until = t
        for k in range(length(former.scope)):
            (<FormerScope*>nth(former.scope, k)).until = t
        if former.since >= t:
            forget_plan(shipment, i)
        i -= 1
    return 0


cdef int forget_plan(Shipment* shipment, int i) noexcept:
    cdef FormerPlan* former = <FormerPlan*>nth(shipment.former, i)
    cdef FormerScope* kept
    cdef int k
    for k in range(length(former.scope)):
        kept = <FormerScope*>nth(former.scope, k)
        remove(<List**>&kept.line.changed.former, kept)
    remove_at(&shipment.former, i)
    return 0


cdef int forget_shipment(Shipment* shipment) noexcept:
    """It is over: no line and no carton knows it any more."""
    cdef CartonPlan* plan
    cdef ScopeLine* scope
    cdef int i, k
    for i in range(length(shipment.scope)):
        scope = <ScopeLine*>nth(shipment.scope, i)
        remove(&scope.line.scopes, scope)
    while length(shipment.former):
        forget_plan(shipment, length(shipment.former) - 1)
    for i in range(length(shipment.plans)):
        plan = <CartonPlan*>nth(shipment.plans, i)
        if plan.shipment == shipment:
            plan.shipment = NULL
        for k in range(length(plan.former)):
            if (<FormerHome*>nth(plan.former, k)).shipment == shipment:
                (<FormerHome*>nth(plan.former, k)).shipment = NULL
    return 0


# ---------------------------------------------------------------------------------------------- cartons

cdef FormerHome home_now(const CartonPlan* plan) noexcept:
    return FormerHome(
        shipment=plan.shipment, contents=plan.contents, fact=plan.fact, weight_g=plan.weight_g, tol_g=plan.tol_g,
        since=plan.t, until=NEVER, withdrawn=plan.withdrawn, has_contents=plan.has_contents)


cdef FormerHome home_at(const CartonPlan* plan, int64_t as_of) noexcept:
    """R53: which shipment a carton is planned to as of a moment, and with which weight and contents."""
    cdef FormerHome nobody = FormerHome(
        shipment=NULL, contents=NULL, fact=NULL, weight_g=ABSENT, tol_g=ABSENT, since=ABSENT, until=ABSENT, withdrawn=False,
        has_contents=False)
    cdef const FormerHome* former
    cdef int i
    if plan == NULL or plan.fact == NULL:
        return nobody
    if plan.t <= as_of:
        return home_now(plan)
    i = length(plan.former) - 1
    while i >= 0:
        former = <const FormerHome*>nth(plan.former, i)
        if former.since <= as_of < former.until:
            return former[0]
        i -= 1
    return nobody


cdef int64_t its_since(const CartonPlan* plan) noexcept:
    """Event time since which it has been its shipment's, whatever else the plan said."""
    cdef int64_t since = plan.t
    cdef const FormerHome* former
    cdef int i = length(plan.former) - 1
    while i >= 0:
        former = <const FormerHome*>nth(plan.former, i)
        if former.shipment != plan.shipment or former.withdrawn:
            break
        since = former.since
        i -= 1
    return since


cdef int replace_home(Floor floor, CartonPlan* plan, const FormerHome* home, int64_t t) except -1:
    """What the carton's plan says from `t` on is `home` (its `since` and `until` do not count)."""
    cdef FormerHome* former
    cdef FormerHome now = home_now(plan)
    cdef int i = length(plan.former) - 1
    if plan.fact != NULL and (now.shipment == home.shipment and now.withdrawn == home.withdrawn
                              and now.weight_g == home.weight_g and now.tol_g == home.tol_g and has_same(&now, home)):
        floor.store.free(home.contents)
        return 0
    while i >= 0 and (<FormerHome*>nth(plan.former, i)).until > t:
        former = <FormerHome*>nth(plan.former, i)
        former.until = t
        if former.since >= t:
            leave_home(plan, i)
        i -= 1
    if plan.fact != NULL and now.since < t:
        former = <FormerHome*>floor.store.new(B_FORMER_HOME, sizeof(FormerHome))
        former[0] = now
        former.until = t
        floor.store.append(&plan.former, former)
    plan.shipment, plan.weight_g, plan.tol_g, plan.withdrawn = home.shipment, home.weight_g, home.tol_g, home.withdrawn
    plan.contents, plan.has_contents, plan.t = home.contents, home.has_contents, t
    if length(plan.former) > FORMER_MAX:
        leave_home(plan, 0)
    if now.shipment != NULL and now.shipment != plan.shipment and not was_home(plan, now.shipment):
        remove(&now.shipment.plans, plan)
    if plan.shipment != NULL and index_of(plan.shipment.plans, plan) < 0:
        floor.store.append(&plan.shipment.plans, plan)
    return 0


cdef bint has_same(const FormerHome* a, const FormerHome* b) noexcept:
    """The contents that they list."""
    cdef int i, count = a.contents.count if a.contents != NULL else 0
    if a.has_contents != b.has_contents or count != (b.contents.count if b.contents != NULL else 0):
        return False
    for i in range(count):
        if a.contents.items[i].line != b.contents.items[i].line or a.contents.items[i].qty != b.contents.items[i].qty:
            return False
    return True


cdef int leave_home(CartonPlan* plan, int i) noexcept:
    cdef Shipment* shipment = (<FormerHome*>nth(plan.former, i)).shipment
    remove_at(&plan.former, i)
    if shipment != NULL and shipment != plan.shipment and not was_home(plan, shipment):
        remove(&shipment.plans, plan)
    return 0


cdef bint was_home(const CartonPlan* plan, const Shipment* shipment) noexcept:
    cdef int i
    for i in range(length(plan.former)):
        if (<const FormerHome*>nth(plan.former, i)).shipment == shipment:
            return True
    return False
