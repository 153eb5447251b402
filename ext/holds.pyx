"""What is wrong with a carton (R45, R46): see holds.pxd."""

from ext cimport cartons, picks
from ext.batch cimport ABSENT
from ext.floor cimport CartonPlan, Line, PickWindow
from ext.kinds cimport K_LABEL_VERIFIED, K_MANIFEST_RESULT, K_WEIGH


cdef int check(Floor floor, Cycle cycle) except -1:
    """Raise and clear what stands, by everything that the watermark has passed."""
    cdef Fact close = cartons.last_close(floor, cycle)
    cdef cartons.CartonState state
    cdef int64_t as_of = floor.watermark - 1
    check_rebound(floor, cycle)
    if close is None:                   # it is open: its next close will tell
        return 0
    state = cartons.state_of(floor, cycle, as_of)
    check_weight_and_label(floor, cycle, as_of, close, state.voided)
    check_contents(floor, cycle, close, state.voided or state.shipped)
    return 0


cdef int check_rebound(Floor floor, Cycle cycle) except -1:
    """R41: its unit was bound to something else while it was open. A close from before, told late, clears it."""
    cdef Cycle after
    for after in cycle.unit.cycles:
        if after.begin >= cycle.end and after is not cycle:
            return show(floor, "PKG_TOTE_REBOUND_OPEN", cycle, cycle.rebound, after.anchor,
                        f"{floor.text(cycle.unit.lu)} now {cartons.name_of(floor, after)}")
    return 0


cdef int check_weight_and_label(Floor floor, Cycle cycle, int64_t as_of, Fact close, bint voided) except -1:
    """The last weighing and the last label, until a good one, `hold.released`, or the end of the carton."""
    cdef Fact fact, weighed = None, label = None, last = close, release = cartons.release_of(floor, cycle, as_of)
    cdef int64_t released = release.t if release is not None else ABSENT
    cdef CartonPlan plan = cycle.plan
    cdef bint off
    cdef str result, detail = ""
    for fact in cycle.facts:
        if fact.t > as_of:
            break
        if fact.kind == K_WEIGH:
            weighed = last = fact
        elif fact.kind == K_LABEL_VERIFIED:
            label = last = fact
        elif fact.kind == K_MANIFEST_RESULT:
            voided, last = True, fact
    if release is not None and release.t > last.t:
        last = release
    off = not voided and weighed is not None and weighed.t > released and cartons.is_off(plan, weighed.weight_g)
    if off:
        detail = f"{weighed.weight_g} g, planned {plan.weight_g} +- {plan.tol_g}"
    show(floor, "PKG_WEIGHT_MISMATCH", cycle, off, weighed if off else last, detail)
    result = label.record["result"] if label is not None and label.t > released and not voided else "OK"
    for wrong in ("NOREAD", "MISMATCH"):
        show(floor, f"PKG_LABEL_{wrong}", cycle, result == wrong, label if result == wrong else last, "")
    return 0


cdef int show(Floor floor, str code, Cycle cycle, bint wrong, Fact cause, str detail) except -1:
    cdef str subject = cartons.subject_of(floor, cycle)
    if wrong and not floor.outlet.is_raised(code, subject):
        floor.outlet.raise_(code, subject, cause.t, floor.dev_id(cause), detail)
    elif not wrong:
        floor.outlet.clear(code, subject, cause.t, floor.dev_id(cause))
    return 0


# ---------------------------------------------------------------------------------------------- contents

cdef int check_mismatched(Floor floor) except -1:
    """A short or a cancel was decided: it may explain what was missing."""
    cdef Cycle cycle
    for cycle in list(floor.mismatched):
        check(floor, cycle)
    return 0


cdef int check_contents(Floor floor, Cycle cycle, Fact close, bint over) except -1:
    """R45: other than the plan less shorts and cancels already decided; the carton is told all the same."""
    cdef str detail = "" if over else difference(floor, cycle, close)
    show(floor, "PKG_CONTENT_MISMATCH", cycle, detail != "", close, detail)
    if detail:
        floor.mismatched[cycle] = True
    else:
        floor.mismatched.pop(cycle, None)
    return 0


cdef str difference(Floor floor, Cycle cycle, Fact close):
    """What first differs, by order and line; "": nothing. An empty carton is another exception."""
    cdef CartonPlan plan = cycle.plan
    cdef dict wanted = {}, contents = cartons.contents_of(cycle, close.t)
    cdef list found = []
    cdef Line line
    cdef PickWindow window
    cdef int64_t missing
    if plan is None or plan.contents is None or plan.withdrawn or not contents:
        return ""
    for line, qty in plan.contents:
        wanted[line] = wanted.get(line, 0) + qty
    for (line, sku, _), qty in contents.items():
        if line not in wanted or (line.windows and sku != (<PickWindow>line.windows[0]).sku):
            found.append(f"{floor.text(line.order)}/{line.number}: {qty} of {floor.text(sku)} not planned")
        else:
            wanted[line] -= qty
    for line in wanted:
        missing = wanted[line]
        if missing < 0 or missing > excused(floor, line):
            found.append(f"{floor.text(line.order)}/{line.number}: {-missing:+d}")
    return min(found) if found else ""


cdef int64_t excused(Floor floor, Line line) except -1:
    """Pieces of a line that decided shorts and cancels say will not come."""
    cdef PickWindow window
    cdef picks.Outcome o
    cdef int64_t total = line.alloc_short, as_of = floor.watermark - 1
    if line.cancel_t <= as_of:
        total += line.qty
    for window in line.windows:
        o = picks.outcome(window, as_of, floor.watermark)
        if o.cancelled:
            total += max(0, window.q_task - o.q)
        else:
            total += o.q_short
    return total


# ---------------------------------------------------------------------------------------------- SSCC

cdef int check_sscc(Floor floor, Fact label) except -1:
    """R46: the same SSCC on another carton within `retention_ms`. Nothing clears it but an operator."""
    cdef Fact known
    if label.record["result"] != "OK" or "sscc" not in label.record or label.cycle is None:
        return 0
    sscc = label.record["sscc"]
    known = floor.ssccs.pop(sscc, None)
    if known is not None and is_other(known.cycle, label.cycle) and label.t - known.t <= floor.rules.retention:
        floor.outlet.raise_("ID_SSCC_REUSE", f"sscc/{sscc}", label.t, floor.dev_id(label),
                            f"{cartons.name_of(floor, label.cycle)}, before on {cartons.name_of(floor, known.cycle)}")
    floor.ssccs[sscc] = label
    while floor.ssccs:
        oldest = next(iter(floor.ssccs))
        if label.t - (<Fact>floor.ssccs[oldest]).t <= floor.rules.retention:
            break
        del floor.ssccs[oldest]
    return 0


cdef bint is_other(Cycle before, Cycle now) except -1:
    if before is None or before is now:
        return False
    return before.carton == 0 or before.carton != now.carton
