# cython: boundscheck=False, wraparound=False
"""What stands of a place: see discrepancies.pxd."""

from libc.stdint cimport int32_t, uint64_t
from libc.string cimport memset

from ext.batch cimport ABSENT
from ext.json_writer cimport JsonWriter
from ext.keys cimport text_key
from ext.outlet cimport EXACT, INCOMPLETE, INVENTORY_DISCREPANCY, Subject
from ext.premises_data cimport Expectation, UnitFinding
from ext.state cimport B_UNIT_FINDING
from ext.store cimport find, length, nth, pair


cdef struct Mark:
    # How many pieces were picked at a place before a moment, counted from the first moment that was asked for. The moments
    # of one judgement are near each other, so a mark is moved on from one to the next.
    int32_t at              # picks before it
    int64_t qty


cdef struct Marks:
    const Place* place
    Mark begin              # the expectation's
    Mark end                # the finding's


cdef Marks marks_of(const Place* place) noexcept:
    """At the place's last pick."""
    cdef Mark last = Mark(at=length(place.picks), qty=0)
    return Marks(place=place, begin=last, end=last)


cdef int64_t picked_before(const Place* place, Mark* mark, int64_t t) noexcept:
    cdef const Fact* pick
    while mark.at > 0:
        pick = <Fact*>nth(place.picks, mark.at - 1)
        if pick.t < t:
            break
        mark.at -= 1
        mark.qty -= pick.qty
    while mark.at < length(place.picks):
        pick = <Fact*>nth(place.picks, mark.at)
        if pick.t >= t:
            break
        mark.at += 1
        mark.qty += pick.qty
    return mark.qty


cdef bint figure_at(Floor floor, Marks* marks, int64_t t, int64_t* figure) noexcept:
    """R70, R71: the expectation as of `t`, less the picks from its `as_of` to `t`, both included. False: none.

    The highest revision (R10) among those whose `as_of` has come by then; at equal times context goes first (R3).
    """
    cdef const Place* place = marks.place
    cdef const Expectation* best = NULL
    cdef int i = expectations_of(place)
    while i > 0 and best == NULL:
        i -= 1
        if place.expectations.items[i].as_of <= t:
            best = &place.expectations.items[i]
    if best == NULL or t - best.as_of > floor.rules.expectation_ttl:
        return False
    figure[0] = best.qty + picked_before(place, &marks.begin, best.as_of) - picked_before(place, &marks.end, t + 1)
    return True


cdef bint state_finding(Floor floor, Finding* finding, Marks* marks, Statement* statement) noexcept:
    """What a finding says; False where no expectation can be held against it.

    A short that the figure does not reach, or that was taken back, leaves nothing wrong: `actual` = `expected`.
    """
    cdef int64_t figure = 0
    if not figure_at(floor, marks, finding.fact.t, &figure):
        return False
    statement.finding = finding
    statement.expected = statement.actual = figure
    statement.as_of = finding.fact.t
    statement.is_count = finding.found == BY_COUNT
    if finding.found == BY_COUNT:                                       # R71
        statement.wrong = figure != finding.qty
        statement.actual = finding.qty
    elif finding.found == BY_SHORT:                                     # R70
        statement.wrong = 0 < finding.qty <= figure
        if statement.wrong:
            statement.actual = 0 if says_nothing_there(floor, finding.fact) else ABSENT
    else:                                                               # R66
        statement.wrong = figure > 0
        if statement.wrong:
            statement.actual = 0
    return True


cdef int decide(Floor floor, Finding* finding, bint by_wall) except -1:
    """A finding is due: by the watermark, or forced by the wall clock's bound."""
    if finding.decided:
        return 0
    finding.decided = True
    finding.forced = finding.forced or (by_wall and floor.state.watermark <= finding.fact.t)
    return judge(floor, finding.place, finding.fact)


cdef int judge(Floor floor, Place* place, const Fact* cause) except -1:
    """R71: one discrepancy a place; its revisions say what stands last."""
    cdef Statement standing
    cdef int stands = sum_up(floor, place, length(place.findings), &standing)
    if stands == SOMETHING or (stands == NOTHING_WRONG and place.ledger != NULL):   # late facts took back what was told
        return tell(floor, place, &standing, cause)
    return 0


cdef int sum_up(Floor floor, const Place* place, int count, Statement* standing) noexcept:
    """R71: what stands of a place by its first `count` findings and by what stood before them: the last that was wrong, or the
    first count after it that agreed; a short that says nothing leaves the place as it stood. Where nothing was ever wrong: the
    last that could be held against an expectation. What was found before the last that was wrong is not asked."""
    cdef Finding* finding
    cdef Statement statement, agreed, nothing_wrong
    cdef Marks marks = marks_of(place)
    cdef bint fits = False, agrees = False
    cdef int i = count
    memset(&statement, 0, sizeof(statement))
    agreed = nothing_wrong = statement
    while i > 0 and not statement.wrong:
        i -= 1
        finding = <Finding*>nth(place.findings, i)
        if not finding.decided or not state_finding(floor, finding, &marks, &statement) or statement.wrong:
            continue
        if not fits:
            nothing_wrong, fits = statement, True
        if statement.is_count:
            agreed, agrees = statement, True
    if not statement.wrong and place.before == NULL:
        standing[0] = nothing_wrong
        return NOTHING_WRONG if fits else NOTHING_SAID
    standing[0] = statement if statement.wrong else place.before[0]
    if standing.wrong and agrees:
        standing[0] = agreed
    return SOMETHING


cdef int tell(Floor floor, Place* place, const Statement* statement, const Fact* cause) except -1:
    cdef const Finding* finding = statement.finding
    cdef JsonWriter data = floor.outlet.data
    cdef int32_t name = name_of(floor, place)
    if place.ledger == NULL:
        floor.outlet.key_is(name)
        place.ledger = floor.outlet.ledger(INVENTORY_DISCREPANCY, name)
    data.clear()
    data.put(b"{")
    if statement.actual != ABSENT:
        data.integer_member(b'"actual":', statement.actual)
        data.put(b",")
    data.integer_member(b'"as_of":', statement.as_of)
    data.integer_member(b',"expected":', statement.expected)
    data.put(b',"kind":"COUNT_DIFF"}' if statement.is_count else b',"kind":"SHORT_AT_LOC"}')
    floor.outlet.emit(
        place.ledger, Subject(head=b"stock/", key=text_key(name)), finding.fact.t,
        finding.order if finding.order else name,
        cause if cause.t < min(floor.state.watermark, finding.fact.t) else finding.fact,    # R3: only what came late decides
        INCOMPLETE if finding.forced and floor.state.watermark <= finding.fact.t else EXACT)
    return 0


cdef bint says_nothing_there(Floor floor, const Fact* short_) noexcept:
    return short_.code == floor.state.empty or short_.code == floor.state.not_found


cdef int32_t name_of(Floor floor, const Place* place) except -1:
    """loc/sku/lot."""
    return floor.intern(f"{floor.text(place.loc)}/{floor.text(place.sku)}/{floor.text(place.lot)}")


cdef int tell_unit(Floor floor, Fact* fact, const char* kind) except -1:
    """R66: `LU_MISSING`, `LU_UNEXPECTED`: positive evidence, told at once; the same unit at the same place again revises."""
    cdef uint64_t key = pair(fact.loc, fact.lu)
    cdef UnitFinding* known = <UnitFinding*>find(floor.state.unit_findings, key)
    cdef int32_t name = floor.intern(f"{floor.text(fact.loc)}/{floor.text(fact.lu)}")
    cdef JsonWriter data = floor.outlet.data
    if known == NULL:
        known = <UnitFinding*>floor.store.new(B_UNIT_FINDING, sizeof(UnitFinding))
        floor.store.put(floor.state.unit_findings, key, known)
        floor.outlet.key_is(name)
        known.ledger = floor.outlet.ledger(INVENTORY_DISCREPANCY, name)
    elif floor.precedes(fact, known.fact):
        return 0
    known.fact = fact
    data.clear()
    data.integer_member(b'{"as_of":', fact.t)
    data.put(b',"kind":"')
    data.put(kind)
    data.put(b'"}')
    floor.outlet.emit(known.ledger, Subject(head=b"stock/", key=text_key(name)), fact.t, name, fact, EXACT)
    return 0
