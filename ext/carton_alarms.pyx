# cython: boundscheck=False, wraparound=False, cdivision=True
"""What is wrong with a carton (R45, R46): see carton_alarms.pxd."""

from libc.stdint cimport int64_t

from ext cimport carton_names, carton_state, cartons, outcomes
from ext.asked cimport asked_at, sku_of
from ext.batch cimport ABSENT
from ext.exceptions cimport (
    ID_SSCC_REUSE, PKG_CONTENT_MISMATCH, PKG_LABEL_MISMATCH, PKG_LABEL_NOREAD, PKG_TOTE_REBOUND_OPEN,
    PKG_WEIGHT_MISMATCH,
)
from ext.kinds cimport K_CARTON_VOID, K_LABEL_VERIFIED, K_MANIFEST_RESULT, K_WEIGH
from ext.order_data cimport Asked
from ext.packing cimport Contents, Piece, contents_of
from ext.plan_data cimport FormerHome
from ext.plans cimport home_at
from ext.state cimport CartonPlan, Line, PickWindow, Planned, PlannedList
from ext.store cimport List, find, length, nth, remove


cdef int check(Floor floor, Cycle* cycle) except -1:
    """R41, R45: raise and clear what stands, by everything that the watermark has passed."""
    cdef Fact* close = cartons.last_close(floor, cycle)
    cdef const Fact* ended
    cdef carton_state.CartonState state
    cdef int64_t as_of = floor.state.watermark - 1, named = carton_names.named_since(cycle)
    cdef int64_t planned = named
    if (cycle.rebound and cycle.end <= as_of) or cycle.decided.alarms >> PKG_TOTE_REBOUND_OPEN & 1:
        check_rebound(floor, cycle)
    ended = ended_by(cycle, as_of)
    if ended != NULL:
        return quiet_ended(floor, cycle, ended)
    if close == NULL:                   # it is open: its next close will tell
        return 0
    if cycle.plan != NULL and cycle.plan.fact != NULL:
        planned = max(cycle.plan.fact.t, named)
    if planned > as_of:
        cartons.watch_alarms(floor, cycle, planned)      # held against a plan once that has come, and its name
    state = carton_state.state_of(floor, cycle, as_of)
    check_weight_and_label(floor, cycle, cycle.plan if named <= as_of else NULL, as_of, close, state.voided)
    if named > as_of:
        return 0
    if cycle.end > as_of:
        cartons.watch_end(floor, cycle)
    return check_contents(floor, cycle, close, state.voided or state.shipped)


cdef int check_rebound(Floor floor, Cycle* cycle) except -1:
    """R41: its unit was bound to something else while it was open. A close from before, told late, clears it."""
    cdef Cycle* after
    cdef int i
    for i in range(length(cycle.unit.cycles)):
        after = <Cycle*>nth(cycle.unit.cycles, i)
        if after.begin >= cycle.end and after != cycle:
            return show(floor, PKG_TOTE_REBOUND_OPEN, cycle, cycle.rebound, first_of(after), (
                f"{floor.text(cycle.unit.lu)} now {floor.text(carton_names.name_of(floor, after))}"
                if cycle.rebound else ""))
    return 0


cdef const Fact* first_of(const Cycle* cycle) noexcept:
    """R3: what began it, whichever of its facts it was met by."""
    return <Fact*>nth(cycle.facts, 0) if length(cycle.facts) else cycle.anchor


cdef const Fact* ended_by(const Cycle* cycle, int64_t as_of) except? NULL:
    """What ended the use of a unit in which nothing lay by then: nobody will weigh or label it any more. NULL: none has."""
    cdef const List* facts = cycle.unit.facts
    cdef int i = length(facts) - 1
    if i < 0 or cycle.end > as_of or contents_of(cycle, cycle.end).count:
        return NULL                     # without facts they have been forgotten, and what stood with them
    while i > 0 and (<Fact*>nth(facts, i)).t > cycle.end:
        i -= 1
    return <Fact*>nth(facts, i)


cdef int quiet_ended(Floor floor, Cycle* cycle, const Fact* ended) except -1:
    for code in (PKG_WEIGHT_MISMATCH, PKG_LABEL_NOREAD, PKG_LABEL_MISMATCH):
        carton_names.quiet(floor, cycle, code, ended.t, ended)
    return 0


cdef int check_weight_and_label(
        Floor floor, Cycle* cycle, const CartonPlan* plan, int64_t as_of, Fact* close, bint over) except -1:
    """R45: the last weighing and the last label, until a good one, `hold.released`, or the end of the carton."""
    cdef Checked last = checked_by(cycle, close, as_of)
    cdef Fact* release = carton_state.release_of(floor, cycle, as_of)
    cdef int64_t released = release.t if release != NULL else ABSENT
    cdef FormerHome planned = home_at(plan, as_of)
    cdef bint off, bad, wrong
    over = over or last.over
    if plan != NULL and plan.fact != NULL and last.ender.t < plan.fact.t <= as_of:
        last.ender = plan.fact
    if release != NULL and release.t > last.ender.t:
        last.ender = release
    off = (not over and last.weighing != NULL and last.weighing.t > released
           and carton_state.is_off(plan, last.weighing.weight_g, as_of))
    show(floor, PKG_WEIGHT_MISMATCH, cycle, off, off_since(plan, last.weighing, as_of) if off else last.ender,
         f"{last.weighing.weight_g} g, planned {planned.weight_g} +- {planned.tol_g}" if off else "")
    bad = last.label != NULL and last.label.t > released and not over
    wrong = bad and last.label.code == floor.state.noread
    show(floor, PKG_LABEL_NOREAD, cycle, wrong, last.label if wrong else last.ender, "")
    wrong = bad and last.label.code == floor.state.mismatch
    return show(floor, PKG_LABEL_MISMATCH, cycle, wrong, last.label if wrong else last.ender, "")


cdef const Fact* off_since(const CartonPlan* plan, const Fact* weighing, int64_t as_of) noexcept:
    """What has made a weight wrong: a plan from after it, if it was right by the one of then."""
    if weighing.t < plan.fact.t <= as_of and not carton_state.is_off(plan, weighing.weight_g, weighing.t):
        return plan.fact
    return weighing


cdef struct Checked:            # a carton's last checks by a moment
    Fact* weighing              # NULL: none
    Fact* label
    Fact* ender                 # the last fact that may have ended what was wrong
    bint over                   # it was manifested or voided


cdef Checked checked_by(const Cycle* cycle, Fact* close, int64_t as_of) noexcept:
    cdef Checked last = Checked(weighing=NULL, label=NULL, ender=close, over=False)
    cdef Fact* fact
    cdef int i
    for i in range(length(cycle.facts)):
        fact = <Fact*>nth(cycle.facts, i)
        if fact.t > as_of:
            break
        if fact.kind == K_WEIGH:
            last.weighing = last.ender = fact
        elif fact.kind == K_LABEL_VERIFIED:
            last.label = last.ender = fact
        elif fact.kind == K_MANIFEST_RESULT or fact.kind == K_CARTON_VOID:
            last.over, last.ender = True, fact
    return last


cdef int show(Floor floor, int code, Cycle* cycle, bint wrong, const Fact* cause, str detail) except -1:
    """Raise it, or clear it if it was raised."""
    cdef bint raised = cycle.decided.alarms >> code & 1
    if wrong == raised:
        return 0
    if not wrong:
        return carton_names.quiet(floor, cycle, code, cause.t, cause)
    return carton_names.alarm(floor, cycle, code, cause.t, cause, detail)


# ---------------------------------------------------------------------------------------------- contents

cdef int check_mismatched(Floor floor) except -1:
    """A short or a cancel was decided: it may explain what was missing."""
    cdef Cycle* cycle
    cdef int i = 0
    while i < length(floor.state.mismatched):
        cycle = <Cycle*>nth(floor.state.mismatched, i)
        check(floor, cycle)
        i += cycle.mismatched           # else it has left the list, and the next one stands there
    return 0


cdef int watch_mismatched(Floor floor, int64_t t) except -1:
    """A line was cancelled, or could not be allocated: likewise when the watermark has passed it, maybe without a window."""
    cdef int i
    for i in range(length(floor.state.mismatched)):
        cartons.watch_alarms(floor, <Cycle*>nth(floor.state.mismatched, i), t)
    return 0


cdef int check_contents(Floor floor, Cycle* cycle, Fact* close, bint over) except -1:
    """R45: other than the plan less shorts and cancels already decided; the carton is told all the same."""
    cdef int64_t as_of = floor.state.watermark - 1
    cdef str detail = "" if over else difference(floor, cycle, close, as_of, as_of)
    show(floor, PKG_CONTENT_MISMATCH, cycle, detail != "",
         differs_since(floor, cycle, close, as_of) if detail else ender(floor, cycle, close) if cycle.mismatched else close,
         detail)
    if detail and not cycle.mismatched:
        floor.store.append(&floor.state.mismatched, cycle)
    elif not detail and cycle.mismatched:
        remove(&floor.state.mismatched, cycle)
    cycle.mismatched = detail != ""
    return 0


cdef const Fact* differs_since(Floor floor, const Cycle* cycle, const Fact* close, int64_t as_of) except NULL:
    """Its close, or a plan that came after it and by which it is not what it should be, as it was before."""
    cdef const Fact* told = home_at(cycle.plan, as_of).fact
    if told != NULL and close.t < told.t <= as_of and difference(floor, cycle, close, told.t - 1, told.t - 1) == "":
        return told
    return close


cdef const Fact* ender(Floor floor, const Cycle* cycle, const Fact* close) except NULL:
    """R45: since when its contents are what they should be, or nobody asks any more: by a short, a cancel, another plan or the
    end of the carton, of those that the watermark has passed. By its close, if that was told otherwise, or anew."""
    cdef const Fact* found = NULL
    cdef const Fact* fact
    cdef PlannedList* contents = cycle.plan.contents if cycle.plan != NULL else NULL
    cdef int i
    for i in range(length(cycle.facts)):
        fact = <Fact*>nth(cycle.facts, i)
        if fact.kind == K_CARTON_VOID or fact.kind == K_MANIFEST_RESULT:
            found = earlier(floor, found, fact, close.t)
    if cycle.plan != NULL and difference(floor, cycle, close, close.t, floor.state.watermark - 1) == "":
        found = earlier(floor, found, home_at(cycle.plan, floor.state.watermark - 1).fact, close.t)
    for i in range(contents.count if contents != NULL else 0):
        found = explained_by(floor, cycle, close, contents.items[i].line, found)
    return found if found != NULL else close


cdef const Fact* earlier(Floor floor, const Fact* found, const Fact* fact, int64_t after) noexcept:
    if fact == NULL or not after < fact.t < floor.state.watermark or (found != NULL and found.t <= fact.t):
        return found
    return fact


cdef const Fact* explained_by(
        Floor floor, const Cycle* cycle, const Fact* close, const Line* line, const Fact* found) except? NULL:
    """The first of the shorts and cancels of a line by which the contents were explained; else `found`."""
    cdef const Fact* fact
    cdef PickWindow* window
    cdef int i, k
    for i in range(length(line.windows)):
        window = <PickWindow*>nth(line.windows, i)
        for k in range(length(window.closings) + 1):
            fact = <Fact*>nth(window.closings, k) if k < length(window.closings) else window.trouble.cancelled_by
            if fact != NULL and explains(floor, cycle, close, fact):
                found = earlier(floor, found, fact, close.t)
    if line.changed.cancelled_by != NULL and explains(floor, cycle, close, line.changed.cancelled_by):
        found = earlier(floor, found, line.changed.cancelled_by, close.t)
    if line.changed.alloc_by != NULL and explains(floor, cycle, close, line.changed.alloc_by):
        found = earlier(floor, found, line.changed.alloc_by, close.t)
    return found


cdef bint explains(Floor floor, const Cycle* cycle, const Fact* close, const Fact* fact) except -1:
    return fact.t > close.t and difference(floor, cycle, close, fact.t, fact.t) == ""


cdef str difference(Floor floor, const Cycle* cycle, const Fact* close, int64_t as_of, int64_t planned_by):
    """R45: what differs from the plan of then first, by order and line, less what was decided by `as_of`; "": nothing. An empty
    carton is another exception."""
    cdef FormerHome plan = home_at(cycle.plan, planned_by)
    cdef Contents contents, missing = Contents.__new__(Contents)
    cdef Piece* piece
    cdef const Planned* planned
    cdef list found
    cdef int i
    if not plan.has_contents or plan.withdrawn:
        return ""
    contents = contents_of(cycle, close.t)
    if contents.count == 0:
        return ""
    for i in range(plan.contents.count if plan.contents != NULL else 0):
        planned = &plan.contents.items[i]
        missing.add(planned.line, 0, 0, planned.qty)
    found = []
    for i in range(contents.count):
        piece = &contents.pieces[i]
        if is_planned(missing, piece):
            missing.add(piece.line, 0, 0, -piece.qty)
        else:
            found.append(f"{floor.text(piece.line.order)}/{piece.line.number}: "
                         f"{piece.qty} of {floor.text(piece.sku)} not planned")
    for i in range(missing.count):
        piece = &missing.pieces[i]
        if piece.qty and (piece.qty < 0 or piece.qty > excused(piece.line, as_of)):
            found.append(f"{floor.text(piece.line.order)}/{piece.line.number}: {-piece.qty:+d}")
    return min(found) if found else ""


cdef bint is_planned(Contents planned, const Piece* piece) noexcept:
    """Its line is, and the piece is of the line's SKU."""
    cdef Line* line = piece.line
    cdef int i
    for i in range(planned.count):
        if planned.pieces[i].line == line:
            return length(line.windows) == 0 or piece.sku == sku_of(line)
    return False


cdef int64_t excused(const Line* line, int64_t as_of) noexcept:
    """Pieces of a line that decided shorts and cancels say will not come."""
    cdef PickWindow* window
    cdef outcomes.Outcome o
    cdef Asked asked = asked_at(line, as_of)
    cdef int64_t total = asked.alloc_short
    cdef int i
    if line.changed.cancel_t <= as_of:
        total += asked.qty
    for i in range(length(line.windows)):
        window = <PickWindow*>nth(line.windows, i)
        o = outcomes.outcome(window, as_of, outcomes.decided_before(window, as_of + 1))
        total += max(0, window.q_task - o.q) if o.cancelled else o.q_short
    return total


# ---------------------------------------------------------------------------------------------- SSCC

cdef int check_label(Floor floor, Fact* fact) except -1:
    """R45, R46: the watermark has passed a label, or a weighing that came before what its use began with took effect."""
    if fact.cycle != NULL and fact.late:
        check(floor, fact.cycle)
    return check_sscc(floor, fact) if fact.kind == K_LABEL_VERIFIED else 0


cdef int check_sscc(Floor floor, Fact* label) except -1:
    """R46: the same SSCC on another carton within `retention_ms`. Nothing clears it but an operator."""
    cdef Fact* known
    if label.code != floor.state.ok or not label.sscc or label.cycle == NULL:
        return 0
    known = <Fact*>find(floor.state.ssccs, label.sscc)
    floor.store.put(floor.state.ssccs, label.sscc, label)
    if known == NULL or known.cycle == NULL or label.t - known.t > floor.rules.retention:
        return 0
    now = floor.text(carton_names.name_at(floor, label.cycle, label.t))
    before = floor.text(carton_names.name_at(floor, known.cycle, label.t))
    if now == before:
        return 0                        # the same carton, in whatever unit
    return floor.outlet.raise_(ID_SSCC_REUSE, floor.joined(b"sscc/", label.sscc), label.t, label, f"{now}, before on {before}")
