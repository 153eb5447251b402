# cython: boundscheck=False, wraparound=False
"""Stock (R66, R70, R71): see inventory.pxd. Hot: `take_pick`, `place_of`."""

from libc.stdint cimport int32_t, uint64_t

from ext cimport outcomes
from ext.asked cimport loc_of
from ext.batch cimport ABSENT
from ext.discrepancies cimport (
    BY_COUNT, BY_CRANE, BY_SHORT, SOMETHING, expectations_of, says_nothing_there, sum_up, tell_unit,
)
from ext.keys cimport KEY_PLACE, Key
from ext.kinds cimport K_PICK_SHORT
from ext.premises_data cimport Expectation, ExpectationList, Finding, Shelf, Statement
from ext.state cimport B_EXPECTATIONS, B_FINDING, B_PLACE, B_SHELF, B_STATEMENT
from ext.store cimport find, length, nth, pair, remove, remove_some
from ext.timers cimport NEVER, RANK_INVENTORY

cdef int PICKS_KEPT = 64            # of a place, before the first look at what is old


# ---------------------------------------------------------------------------------------------- for every pick

cdef int take_pick(Floor floor, const PickWindow* window, Fact* fact) except -1:
    """A pick takes away from its place, a reversal puts back; without a `loc` it is the task's."""
    cdef Place* place = place_of_pick(floor, window, fact)
    if place == NULL:
        return 0
    if length(place.picks) >= place.prune_at:
        prune(floor, place)
    floor.insert_young(&place.picks, &place.picked_t, fact)
    return touch(floor, place, fact.t, fact)


cdef Place* place_of_pick(Floor floor, const PickWindow* window, const Fact* fact) except? NULL:
    """NULL: neither the pick nor its task names a place."""
    cdef int32_t loc = loc_of(window, fact)
    return place_of(floor, loc, fact.sku, fact.lot, fact.t) if loc else NULL


cdef Place* place_of(Floor floor, int32_t loc, int32_t sku, int32_t lot, int64_t t) except NULL:
    """The place; a new one takes over what the crane has found at its shelf."""
    cdef Place* place = <Place*>find(floor.state.places, pair(loc, sku))
    while place != NULL and place.lot != lot:
        place = place.other_lot
    if place == NULL:
        return new_place(floor, shelf_of(floor, loc), sku, lot, t)
    place.last_t = max(place.last_t, t)
    return place


# ---------------------------------------------------------------------------------------------- collecting facts


cdef int take_back(Floor floor, const PickWindow* window, Fact* fact) except -1:
    """R30: another record tells of this press."""
    cdef Place* place = place_of_pick(floor, window, fact)
    if place == NULL:
        return 0
    remove(&place.picks, fact)
    return touch(floor, place, fact.t, fact)


cdef int expect(Floor floor, Fact* fact, int64_t rev, int64_t as_of) except -1:
    """`stock.expectation`: what the books say as of a moment. R71: one that comes late revises."""
    cdef Place* place = place_of(floor, fact.loc, fact.sku, fact.lot, as_of)
    cdef int count = expectations_of(place)
    place.expectations = <ExpectationList*>floor.store.room(B_EXPECTATIONS, place.expectations, count)
    place.expectations.items[count] = Expectation(rev=rev, as_of=as_of, qty=fact.qty)   # R10: in growing order
    return touch(floor, place, as_of, fact)


cdef int take_count(Floor floor, Fact* fact) except -1:
    """R71: decided when the watermark passes t_count, or by the wall clock's bound."""
    cdef Place* place = place_of(floor, fact.loc, fact.sku, fact.lot, fact.t)
    return wait_for_watermark(floor, add_finding(floor, place, fact, BY_COUNT, fact.qty))


cdef int take_short(Floor floor, PickWindow* window) except -1:
    """R70: a `pick.short` was told, or revised: what it says of the stock now, maybe at another place."""
    cdef outcomes.Outcome o = outcomes.outcome_now(window, floor.state.watermark)
    cdef Fact* short_ = o.closing if o.shorted else NULL
    cdef Finding* finding = <Finding*>window.trouble.finding
    cdef Place* place = NULL
    cdef int32_t loc
    if short_ != NULL and short_.kind == K_PICK_SHORT and is_short_of_stock(floor, short_):
        loc = loc_of(window, short_)
        if loc:
            place = place_of(floor, loc, window.sku, short_.lot, short_.t)
    if finding != NULL and (finding.fact != short_ or finding.place != place):
        finding.qty = ABSENT
        judge_soon(floor, finding.place, finding.fact.t, finding.fact)
        finding = NULL
        floor.troubled(window).finding = NULL
    if place == NULL:
        return 0
    if finding == NULL:
        finding = add_finding(floor, place, short_, BY_SHORT, o.q_short)
        floor.troubled(window).finding = finding
        finding.window, finding.order = window, window.line.order
    finding.qty, finding.decided = o.q_short + picked_elsewhere(window, short_, loc), True
    finding.forced = finding.forced or floor.state.watermark <= short_.t
    return judge_soon(floor, place, short_.t, short_)


cdef int64_t picked_elsewhere(const PickWindow* window, const Fact* short_, int32_t loc) noexcept:
    """R70: of what followed the short, what came from another place: here it was missing all the same."""
    cdef const Fact* fact
    cdef int64_t total = 0
    cdef int i
    for i in range(length(window.facts)):
        fact = <const Fact*>nth(window.facts, i)
        if fact.t > short_.t and loc_of(window, fact) != loc:
            total += fact.qty
    return total


cdef bint is_short_of_stock(Floor floor, const Fact* short_) noexcept:
    return short_.code == floor.state.insufficient or says_nothing_there(floor, short_)


cdef int take_crane(Floor floor, Fact* fact) except -1:
    """R66: a load unit that is not there, or should not be; or a shelf without what is expected on it."""
    cdef str code = floor.text(fact.code)
    cdef Shelf* shelf
    cdef Place* place
    cdef int i
    if code == "DEST_OCCUPIED" or code == "LU_MISMATCH":
        return tell_unit(floor, fact, b"LU_UNEXPECTED")
    if code != "SOURCE_EMPTY":
        return 0
    if fact.lu:
        return tell_unit(floor, fact, b"LU_MISSING")
    if fact.loc:
        shelf = shelf_of(floor, fact.loc)
        floor.insert_sorted(&shelf.empties, fact)
        for i in range(length(shelf.places)):
            place = <Place*>nth(shelf.places, i)
            if not fact.sku or fact.sku == place.sku:
                wait_for_watermark(floor, add_finding(floor, place, fact, BY_CRANE, 0))
    return 0


# ---------------------------------------------------------------------------------------------- places


cdef Shelf* shelf_of(Floor floor, int32_t loc) except NULL:
    cdef Shelf* shelf = <Shelf*>find(floor.state.shelves, loc)
    if shelf == NULL:
        shelf = <Shelf*>floor.store.new(B_SHELF, sizeof(Shelf))
        shelf.loc = loc
        floor.store.put(floor.state.shelves, loc, shelf)
    return shelf


cdef Place* new_place(Floor floor, Shelf* shelf, int32_t sku, int32_t lot, int64_t t) except NULL:
    cdef Place* place = <Place*>floor.store.new(B_PLACE, sizeof(Place))
    cdef Fact* empty
    cdef int i
    place.loc, place.sku, place.lot = shelf.loc, sku, lot
    place.last_t, place.prune_at = t, PICKS_KEPT
    place.other_lot = <Place*>find(floor.state.places, pair(place.loc, sku))
    floor.store.put(floor.state.places, pair(place.loc, sku), place)
    floor.by_watermark.push(t + reach(floor), RANK_INVENTORY, place_key(place), place, TAG_PRUNE, 0)
    floor.store.append(&shelf.places, place)
    for i in range(length(shelf.empties)):
        empty = <Fact*>nth(shelf.empties, i)
        if not empty.sku or empty.sku == sku:
            wait_for_watermark(floor, add_finding(floor, place, empty, BY_CRANE, 0))
    return place


cdef Key place_key(const Place* place) noexcept:
    return Key(a=place.loc, number=0, form=KEY_PLACE)


cdef Finding* add_finding(Floor floor, Place* place, Fact* fact, int found, int64_t qty) except NULL:
    cdef Finding* finding = <Finding*>floor.store.new(B_FINDING, sizeof(Finding))
    cdef int i = length(place.findings)
    finding.place, finding.fact, finding.found, finding.qty = place, fact, found, qty
    while i > 0 and floor.precedes(fact, (<Finding*>nth(place.findings, i - 1)).fact):
        i -= 1
    floor.store.insert(&place.findings, i, finding)
    return finding


cdef int wait_for_watermark(Floor floor, Finding* finding) except -1:
    cdef Key key = place_key(finding.place)
    floor.by_watermark.push(finding.fact.t, RANK_INVENTORY, key, finding, TAG_DECIDE, 0)
    return floor.by_wall.push(finding.fact.t_rx + floor.rules.hold_wall_max, RANK_INVENTORY, key, finding, TAG_DECIDE, 0)


cdef int touch(Floor floor, Place* place, int64_t t, Fact* cause) except -1:
    """A pick or an expectation of event time `t` has come: what was said of the place since then is judged again, after
    everything else that the record brings about."""
    cdef Finding* finding
    cdef int i
    for i in range(length(place.findings)):
        finding = <Finding*>nth(place.findings, i)
        if finding.decided and finding.fact.t >= t:
            return judge_soon(floor, place, NEVER, cause)
    return 0


cdef int judge_soon(Floor floor, Place* place, int64_t t, Fact* cause) except -1:
    """After everything else that the record, or the watermark up to `t`, brings about: of all that was found at one
    moment R3 says what stands."""
    place.cause = cause
    return floor.by_watermark.push(min(t, floor.state.watermark - 1), RANK_INVENTORY, place_key(place), place, TAG_JUDGE, 0)


# ---------------------------------------------------------------------------------------------- forgetting

cdef int64_t reach(Floor floor) noexcept:
    """How far back findings are kept: a late fact, or an expectation that is told late, can still change them."""
    return floor.rules.lateness + floor.rules.expectation_ttl


cdef int prune(Floor floor, Place* place) except -1:
    """Forget what nothing can be held against any more; what stood by then stays known."""
    cdef int64_t horizon = floor.state.watermark - reach(floor)
    cdef Finding* finding
    cdef Statement standing
    cdef int old = 0
    while old < length(place.findings) and (<Finding*>nth(place.findings, old)).fact.t < horizon:
        finding = <Finding*>nth(place.findings, old)
        old += 1
        if finding.window != NULL:
            floor.troubled(finding.window).finding = NULL
    if old > 0 and sum_up(floor, place, old, &standing) == SOMETHING:
        if place.before == NULL:
            place.before = <Statement*>floor.store.new(B_STATEMENT, sizeof(Statement))
        place.before[0] = standing
    remove_some(&place.findings, 0, old)
    horizon -= floor.rules.expectation_ttl      # what the findings that are kept are held against
    old = 0
    while old < length(place.picks) and (<Fact*>nth(place.picks, old)).t < horizon:
        old += 1
    remove_some(&place.picks, 0, old)
    prune_expectations(place, horizon)
    place.prune_at = max(PICKS_KEPT, 2 * length(place.picks))
    return 0


cdef int prune_expectations(Place* place, int64_t horizon) noexcept:
    cdef int i, kept = 0
    for i in range(expectations_of(place)):
        if place.expectations.items[i].as_of >= horizon:
            place.expectations.items[kept] = place.expectations.items[i]
            kept += 1
    if place.expectations != NULL:
        place.expectations.count = kept
    return 0


cdef int forget_lot(Floor floor, Place* place) except -1:
    cdef uint64_t key = pair(place.loc, place.sku)
    cdef Place* other = <Place*>find(floor.state.places, key)
    if other != place:
        while other.other_lot != place:
            other = other.other_lot
        other.other_lot = place.other_lot
        return 0
    if place.other_lot != NULL:
        return floor.store.put(floor.state.places, key, place.other_lot)
    floor.store.drop(floor.state.places, key)
    return 0


cdef int prune_idle(Floor floor, Place* place, int64_t due) except -1:
    """A place of which nothing new has come is forgotten, unless something was told of it: its revisions must count on."""
    cdef Shelf* shelf
    cdef int i = 0
    prune(floor, place)
    if place.last_t + reach(floor) > due:
        return floor.by_watermark.push(place.last_t + reach(floor), RANK_INVENTORY, place_key(place), place,
                                       TAG_PRUNE, 0)
    if place.ledger == NULL:
        shelf = shelf_of(floor, place.loc)
        remove(&shelf.places, place)
        forget_lot(floor, place)
        while i < length(shelf.empties) and (<Fact*>nth(shelf.empties, i)).t < due - reach(floor):
            i += 1
        remove_some(&shelf.empties, 0, i)
        if length(shelf.places) == 0 and length(shelf.empties) == 0:
            floor.store.drop(floor.state.shelves, place.loc)
    return 0
