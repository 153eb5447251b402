"""Stock (R66, R70, R71): see inventory.pxd."""

from ext cimport picks
from ext.batch cimport ABSENT
from ext.floor cimport insert_sorted, precedes
from ext.kinds cimport K_PICK_SHORT
from ext.timers cimport NEVER, RANK_INVENTORY

cdef Py_ssize_t PICKS_KEPT = 64     # of a place, before the first look at what is old
cdef set SHORT_OF_STOCK = {"EMPTY", "INSUFFICIENT", "NOT_FOUND"}
cdef set NOTHING_THERE = {"EMPTY", "NOT_FOUND"}
cdef dict CRANE_KINDS = {
    "SOURCE_EMPTY": "LU_MISSING", "DEST_OCCUPIED": "LU_UNEXPECTED", "LU_MISMATCH": "LU_UNEXPECTED",
}


cdef class Expectation:
    pass


cdef class Finding:
    pass


cdef class Statement:
    pass


cdef class UnitFinding:
    pass


cdef class Place:
    def __init__(self):
        self.expectations = []
        self.picks = []
        self.findings = []
        self.last_t = ABSENT
        self.prune_at = PICKS_KEPT


cdef class Shelf:
    def __init__(self):
        self.places = []
        self.empties = []


# ---------------------------------------------------------------------------------------------- collecting facts

cdef int take_pick(Floor floor, PickWindow window, Fact fact) except -1:
    """A pick takes away from its place, a reversal puts back; without a `loc` it is the task's."""
    cdef int32_t loc = fact.loc if fact.loc else window.loc
    cdef Place place
    if not loc:
        return 0
    place = place_of(floor, loc, fact.sku, fact.lot, fact.t)
    if len(place.picks) >= place.prune_at:
        prune(floor, place)
    insert_sorted(place.picks, fact, floor.texts)
    return touch(floor, place, fact.t, fact)


cdef int expect(Floor floor, Fact fact, int64_t rev, int64_t as_of) except -1:
    """`stock.expectation`: what the books say as of a moment. R71: one that comes late revises."""
    cdef Place place = place_of(floor, fact.loc, fact.sku, fact.lot, as_of)
    cdef Expectation expectation = Expectation.__new__(Expectation)
    expectation.rev, expectation.as_of, expectation.qty = rev, as_of, fact.qty
    place.expectations.append(expectation)      # R10: revisions come in growing order
    return touch(floor, place, as_of, fact)


cdef int take_count(Floor floor, Fact fact) except -1:
    """R71: decided when the watermark passes t_count, or by the wall clock's bound."""
    cdef Place place = place_of(floor, fact.loc, fact.sku, fact.lot, fact.t)
    return wait_for_watermark(floor, add_finding(floor, place, fact, BY_COUNT, fact.qty))


cdef int take_short(Floor floor, PickWindow window) except -1:
    """R70: a `pick.short` was told, or revised. What it says of the stock now, maybe of another place."""
    cdef picks.Outcome o = picks.outcome(window, NEVER - 1, max(floor.watermark, window.forced + 1))
    cdef Fact short = <Fact>o.closing if o.closing != NULL and o.shorted else None
    cdef Finding finding = floor.short_findings.get(window)
    cdef Place place = None
    cdef int32_t loc
    if short is not None and short.kind == K_PICK_SHORT and floor.text(short.code) in SHORT_OF_STOCK:
        loc = short.loc if short.loc else window.loc
        if loc:
            place = place_of(floor, loc, window.sku, short.lot, short.t)
    if finding is not None and (finding.fact is not short or finding.place is not place):
        finding.qty = ABSENT
        judge(floor, finding.place, finding.fact)
        finding = None
        del floor.short_findings[window]
    if place is None:
        return 0
    if finding is None:
        finding = floor.short_findings[window] = add_finding(floor, place, short, BY_SHORT, o.q_short)
        finding.window = window
    finding.qty = o.q_short
    return decide(floor, finding, floor.watermark <= short.t)


cdef int take_crane(Floor floor, Fact fact) except -1:
    """R66: a load unit that is not there, or should not be; or a shelf without what is expected on it."""
    cdef str code = floor.text(fact.code)
    cdef Shelf shelf
    cdef Place place
    if code not in CRANE_KINDS:
        return 0
    if fact.lu or code != "SOURCE_EMPTY":
        return tell_unit(floor, fact, CRANE_KINDS[code])
    if fact.loc:
        shelf = shelf_of(floor, fact.loc)
        insert_sorted(shelf.empties, fact, floor.texts)
        for place in shelf.places:
            if not fact.sku or fact.sku == place.sku:
                wait_for_watermark(floor, add_finding(floor, place, fact, BY_CRANE, 0))
    return 0


cdef int tell_unit(Floor floor, Fact fact, str kind) except -1:
    """`LU_MISSING`, `LU_UNEXPECTED`: positive evidence, told at once; the same unit at the same place again revises."""
    cdef str key = f"{floor.text(fact.loc)}/{floor.text(fact.lu)}"
    cdef UnitFinding known = floor.unit_findings.get(key)
    if known is None:
        known = floor.unit_findings[key] = UnitFinding.__new__(UnitFinding)
        known.ledger = floor.outlet.ledger("inventory.discrepancy", key, f"stock/{key}", key)
    elif precedes(fact, known.fact, floor.texts):
        return 0
    known.fact = fact
    floor.outlet.emit(known.ledger, {"kind": kind, "as_of": fact.t}, fact.t, key, floor.dev_id(fact), "exact")
    return 0


# ---------------------------------------------------------------------------------------------- places

cdef Shelf shelf_of(Floor floor, int32_t loc):
    cdef Shelf shelf = floor.shelves.get(loc)
    if shelf is None:
        shelf = floor.shelves[loc] = Shelf()
    return shelf


cdef Place place_of(Floor floor, int32_t loc, int32_t sku, int32_t lot, int64_t t):
    """The place; a new one takes over what the crane has found at its shelf."""
    cdef tuple key = (loc, sku, lot)
    cdef Place place = floor.places.get(key)
    cdef Shelf shelf
    cdef Fact empty
    if place is None:
        place = floor.places[key] = Place()
        place.loc, place.sku, place.lot = loc, sku, lot
        place.key = f"{floor.text(loc)}/{floor.text(sku)}/{floor.text(lot)}"
        floor.by_watermark.push(t + reach(floor), RANK_INVENTORY, place.key, place, TAG_PRUNE, 0)
        shelf = shelf_of(floor, loc)
        shelf.places.append(place)
        for empty in shelf.empties:
            if not empty.sku or empty.sku == sku:
                wait_for_watermark(floor, add_finding(floor, place, empty, BY_CRANE, 0))
    place.last_t = max(place.last_t, t)
    return place


cdef Finding add_finding(Floor floor, Place place, Fact fact, int found, int64_t qty):
    cdef Finding finding = Finding.__new__(Finding)
    cdef Py_ssize_t i = len(place.findings)
    finding.place, finding.fact, finding.found, finding.qty = place, fact, found, qty
    while i > 0 and precedes(fact, (<Finding>place.findings[i - 1]).fact, floor.texts):
        i -= 1
    place.findings.insert(i, finding)
    return finding


cdef int wait_for_watermark(Floor floor, Finding finding) except -1:
    cdef Fact fact = finding.fact
    floor.by_watermark.push(fact.t, RANK_INVENTORY, finding.place.key, finding, TAG_DECIDE, 0)
    floor.by_wall.push(fact.t_rx + floor.rules.hold_wall_max, RANK_INVENTORY, finding.place.key, finding, TAG_DECIDE, 0)
    return 0


cdef int touch(Floor floor, Place place, int64_t t, Fact cause) except -1:
    """A pick or an expectation of event time `t` has come: what was said of the place since then is judged again, after
    everything else that the record brings about."""
    cdef Finding finding
    for finding in place.findings:
        if finding.decided and finding.fact.t >= t:
            place.cause = cause
            floor.by_watermark.push(floor.watermark - 1, RANK_INVENTORY, place.key, place, TAG_JUDGE, 0)
            return 0
    return 0


# ---------------------------------------------------------------------------------------------- judging

cdef bint figure_at(Floor floor, Place place, int64_t t, int64_t* figure) except -1:
    """R70, R71: the expectation as of `t`, less the picks from its `as_of` to `t`, both included. False: none.

    The highest revision (R10) among those whose `as_of` has come by then; at equal times context goes first (R3).
    """
    cdef Expectation expectation, best = None
    cdef Fact pick
    cdef Py_ssize_t i = len(place.picks)
    for expectation in place.expectations:
        if expectation.as_of <= t:
            best = expectation
    if best is None or t - best.as_of > floor.rules.expectation_ttl:
        return False
    figure[0] = best.qty
    while i > 0:
        i -= 1
        pick = <Fact>place.picks[i]
        if pick.t < best.as_of:
            break
        if pick.t <= t:
            figure[0] -= pick.qty
    return True


cdef Statement statement_of(Floor floor, Finding finding):
    """What a finding says; None where no expectation can be held against it.

    A short that the figure does not reach, or that was taken back, leaves nothing wrong: `actual` = `expected`.
    """
    cdef Statement statement = Statement.__new__(Statement)
    cdef int64_t figure = 0, t = finding.fact.t
    if not figure_at(floor, finding.place, t, &figure):
        return None
    statement.finding = finding
    statement.data = {"kind": "SHORT_AT_LOC", "expected": figure, "actual": figure, "as_of": t}
    if finding.found == BY_COUNT:                                       # R71
        statement.wrong = figure != finding.qty
        statement.data["kind"] = "COUNT_DIFF"
        statement.data["actual"] = finding.qty
    elif finding.found == BY_SHORT:                                     # R70
        statement.wrong = 0 < finding.qty <= figure
        if statement.wrong and floor.text(finding.fact.code) in NOTHING_THERE:
            statement.data["actual"] = 0
        elif statement.wrong:
            del statement.data["actual"]
    else:                                                               # R66
        statement.wrong = figure > 0
        if statement.wrong:
            statement.data["actual"] = 0
    return statement


cdef int decide(Floor floor, Finding finding, bint by_wall) except -1:
    """A finding is due: by the watermark, or forced by the wall clock's bound."""
    if finding.found != BY_SHORT and finding.decided:
        return 0
    finding.decided = True
    finding.forced = finding.forced or (by_wall and floor.watermark <= finding.fact.t)
    return judge(floor, finding.place, finding.fact)


cdef int judge(Floor floor, Place place, Fact cause) except -1:
    """R71: one discrepancy a place; its revisions say what stands last."""
    cdef Finding finding
    cdef Statement statement, standing = place.before, nothing_wrong = None
    for finding in place.findings:
        statement = statement_of(floor, finding) if finding.decided else None
        if statement is not None:
            standing = next_standing(standing, statement)
            if not statement.wrong:
                nothing_wrong = statement
    if standing is None and place.ledger is not None:
        standing = nothing_wrong        # what was told has been taken back by late facts
    return tell(floor, place, standing, cause) if standing is not None else 0


cdef Statement next_standing(Statement standing, Statement statement):
    """R71: a count that agrees clears what was wrong, and what is wrong next revises on; a short that says nothing
    leaves the place as it stood."""
    if statement.wrong or (statement.finding.found == BY_COUNT and standing is not None and standing.wrong):
        return statement
    return standing


cdef int tell(Floor floor, Place place, Statement statement, Fact cause) except -1:
    cdef Finding finding = statement.finding
    cdef PickWindow window
    cdef str correlation = place.key
    if place.ledger is None:
        place.ledger = floor.outlet.ledger("inventory.discrepancy", place.key, f"stock/{place.key}", place.key)
    if finding.found == BY_SHORT:
        correlation = floor.text(finding.window.line.order)
    floor.outlet.emit(place.ledger, statement.data, finding.fact.t, correlation, floor.dev_id(cause),
                      "incomplete" if finding.forced and floor.watermark <= finding.fact.t else "exact")
    return 0


# ---------------------------------------------------------------------------------------------- forgetting

cdef int64_t reach(Floor floor) except -1:
    """How far back a late fact can still ask: `lateness_ms`, and from there to the oldest expectation of use."""
    return floor.rules.lateness + floor.rules.expectation_ttl


cdef int prune(Floor floor, Place place) except -1:
    """Forget what nothing can be held against any more; what stood by then stays known."""
    cdef int64_t horizon = floor.watermark - reach(floor)
    cdef Finding finding
    cdef Statement statement
    cdef list kept = []
    for finding in place.findings:
        if finding.fact.t >= horizon:
            kept.append(finding)
            continue
        statement = statement_of(floor, finding)
        if statement is not None:
            place.before = next_standing(place.before, statement)
        if finding.window is not None:
            floor.short_findings.pop(finding.window, None)
    place.findings = kept
    place.picks = [fact for fact in place.picks if (<Fact>fact).t >= horizon]
    place.expectations = [entry for entry in place.expectations if (<Expectation>entry).as_of >= horizon]
    place.prune_at = max(PICKS_KEPT, 2 * len(place.picks))
    return 0


cdef int prune_idle(Floor floor, Place place, int64_t due) except -1:
    """A place without anything new leaves, unless something was told of it: its revisions must count on."""
    cdef Shelf shelf
    prune(floor, place)
    if place.last_t + reach(floor) > due:
        floor.by_watermark.push(place.last_t + reach(floor), RANK_INVENTORY, place.key, place, TAG_PRUNE, 0)
    elif place.ledger is None:
        shelf = shelf_of(floor, place.loc)
        shelf.places.remove(place)
        shelf.empties = [fact for fact in shelf.empties if (<Fact>fact).t >= due - reach(floor)]
        if not shelf.places and not shelf.empties:
            del floor.shelves[place.loc]
        del floor.places[(place.loc, place.sku, place.lot)]
    return 0
