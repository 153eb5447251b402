"""Equipment (R65, R66): see equipment.pxd."""

from ext.floor cimport precedes
from ext.kinds cimport K_ESTOP, K_FAULT, K_JAM, K_LANE_FULL
from ext.timers cimport RANK_TRACK

cdef dict CODES = {K_JAM: "DEV_JAM", K_FAULT: "DEV_FAULT", K_ESTOP: "DEV_ESTOP", K_LANE_FULL: "RTE_LANE_FULL"}
cdef tuple CRANE_CODES = (
    "ASR_SOURCE_EMPTY", "ASR_DEST_OCCUPIED", "ASR_LU_MISMATCH", "ASR_UNREACHABLE", "ASR_PICKUP", "ASR_DROPOFF",
    "ASR_OTHER",
)


cdef class Signal:
    pass


cdef int take(Floor floor, Fact fact, str state) except -1:
    """R65: `jam`, `fault`, `estop`, `lane.full`. A state that is neither `set` nor `clear` says nothing."""
    cdef Signal signal = Signal.__new__(Signal)
    cdef str subject
    if state != "set" and state != "clear":
        return 0
    signal.fact, signal.on = fact, state == "set"
    signal.device = subject = f"device/{floor.text(fact.src)}"
    if fact.kind == K_LANE_FULL and fact.dest:
        subject = f"lane/{floor.text(fact.dest)}"
    elif fact.dest:
        subject = f"{subject}/{floor.text(fact.dest)}"
    if fact.code:
        subject = f"{subject}/{floor.text(fact.code)}"
    signal.whole = not signal.on and not fact.dest and not fact.code
    signal.codes, signal.subjects = (CODES[fact.kind],), (subject,)
    return wait_for_watermark(floor, signal)


cdef int take_crane(Floor floor, Fact fact) except -1:
    """R66: every `asrs.exception` is one of its location, else of its load unit, else of the crane."""
    cdef Signal signal = Signal.__new__(Signal)
    cdef str code = f"ASR_{floor.text(fact.code)}"
    signal.fact, signal.on = fact, True
    signal.codes = (code if code in CRANE_CODES else "ASR_OTHER",)
    if fact.loc:
        signal.subjects = (f"loc/{floor.text(fact.loc)}",)
    elif fact.lu:
        signal.subjects = (f"lu/{floor.text(fact.lu)}",)
    else:
        signal.subjects = (f"device/{floor.text(fact.src)}",)
    return wait_for_watermark(floor, signal)


cdef int take_crane_done(Floor floor, Fact fact) except -1:
    """The opposite fact: the crane has stored or retrieved there, that unit, or at all."""
    cdef Signal signal = Signal.__new__(Signal)
    signal.fact, signal.codes = fact, CRANE_CODES
    signal.subjects = (
        f"loc/{floor.text(fact.loc)}", f"lu/{floor.text(fact.lu)}", f"device/{floor.text(fact.src)}")
    return wait_for_watermark(floor, signal)


cdef int wait_for_watermark(Floor floor, Signal signal) except -1:
    cdef Fact fact = signal.fact
    cdef str key = f"{floor.text(fact.src)}/{fact.epoch:020}/{fact.seq:020}/{fact.sub:05}"
    floor.by_watermark.push(fact.t, RANK_TRACK, key, signal, TAG_SIGNAL, 0)
    floor.by_wall.push(fact.t_rx + floor.rules.hold_wall_max, RANK_TRACK, key, signal, TAG_SIGNAL, 0)
    return 0


cdef int apply(Floor floor, Signal signal) except -1:
    """An episode begins with the first set and ends with the first clear after it; a late one changes nothing."""
    cdef Fact fact = signal.fact
    cdef str code, subject
    if signal.done:
        return 0
    signal.done = True
    for code in signal.codes:
        for subject in subjects_of(floor, signal, code):
            if is_outdated(floor, signal, code, subject):
                continue
            if signal.on:
                floor.signals[(code, subject)] = signal
                floor.signalled.setdefault((code, fact.src), set()).add(subject)
                floor.outlet.raise_(code, subject, fact.t, floor.dev_id(fact), floor.text(fact.code))
            elif signal.whole or (code, subject) in floor.signals:
                floor.signals[(code, subject)] = signal
                floor.outlet.clear(code, subject, fact.t, floor.dev_id(fact))
    return 0


cdef object subjects_of(Floor floor, Signal signal, str code):
    if not signal.whole:
        return signal.subjects
    return sorted({signal.device, *floor.signalled.get((code, signal.fact.src), ())})


cdef bint is_outdated(Floor floor, Signal signal, str code, str subject) except -1:
    """Something later has been said of the subject, or all of its device has been cleared since."""
    cdef Signal last = floor.signals.get((code, subject))
    cdef Signal whole = floor.signals.get((code, signal.device))
    if last is not None and precedes(signal.fact, last.fact, floor.texts):
        return True
    return whole is not None and whole.whole and precedes(signal.fact, whole.fact, floor.texts)
