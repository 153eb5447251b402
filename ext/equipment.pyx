# cython: boundscheck=False, wraparound=False
"""Equipment (R65, R66): see equipment.pxd."""

from libc.stdint cimport int32_t, uint64_t

from ext.exceptions cimport (
    ASR_DEST_OCCUPIED, ASR_DROPOFF, ASR_LU_MISMATCH, ASR_OTHER, ASR_PICKUP, ASR_SOURCE_EMPTY, ASR_UNREACHABLE,
    DEV_ESTOP, DEV_FAULT, DEV_JAM, RTE_LANE_FULL,
)
from ext.keys cimport Key, fact_key
from ext.kinds cimport K_ESTOP, K_FAULT, K_JAM, K_LANE_FULL
from ext.premises_data cimport Subjects
from ext.state cimport B_SIGNAL, B_SUBJECTS
from ext.store cimport find, has_number
from ext.timers cimport RANK_TRACK

cdef dict CODES = {K_JAM: DEV_JAM, K_FAULT: DEV_FAULT, K_ESTOP: DEV_ESTOP, K_LANE_FULL: RTE_LANE_FULL}
cdef dict CRANE_CODES = {
    "SOURCE_EMPTY": ASR_SOURCE_EMPTY, "DEST_OCCUPIED": ASR_DEST_OCCUPIED, "LU_MISMATCH": ASR_LU_MISMATCH,
    "UNREACHABLE": ASR_UNREACHABLE, "PICKUP": ASR_PICKUP, "DROPOFF": ASR_DROPOFF,
}


cdef Signal* new_signal(Floor floor, Fact* fact) except NULL:
    cdef Signal* signal = <Signal*>floor.store.new(B_SIGNAL, sizeof(Signal))
    signal.fact = fact
    signal.device = floor.joined(b"device/", fact.src)
    return signal


cdef int take(Floor floor, Fact* fact, str state) except -1:
    """R65: `jam`, `fault`, `estop`, `lane.full`; `state` is `set` or `clear`."""
    cdef Signal* signal = new_signal(floor, fact)
    cdef str subject = floor.text(signal.device)
    signal.on = state == "set"
    if fact.kind == K_LANE_FULL:        # it is the lane that is full, by whatever code
        subject = f"lane/{floor.text(fact.dest)}" if fact.dest else subject
    else:
        subject = "/".join([subject, *(floor.text(name) for name in (fact.dest, fact.code) if name)])
    signal.whole = not signal.on and not fact.dest and (not fact.code or fact.kind == K_LANE_FULL)
    signal.code, signal.subject = CODES[fact.kind], floor.intern(subject)
    return wait_for_watermark(floor, signal)


cdef int take_crane(Floor floor, Fact* fact) except -1:
    """R66: every `asrs.exception` is one of its location, else of its load unit, else of the crane."""
    cdef Signal* signal = new_signal(floor, fact)
    signal.on = True
    signal.code = CRANE_CODES.get(floor.text(fact.code), ASR_OTHER)
    if fact.loc:
        signal.subject = floor.joined(b"loc/", fact.loc)
    elif fact.lu:
        signal.subject = floor.joined(b"lu/", fact.lu)
    else:
        signal.subject = signal.device
    return wait_for_watermark(floor, signal)


cdef int take_crane_done(Floor floor, Fact* fact) except -1:
    """R66, the opposite fact: the crane has stored or retrieved, which clears its exceptions at that place, of that unit, and its
    own."""
    return wait_for_watermark(floor, new_signal(floor, fact))


cdef int wait_for_watermark(Floor floor, Signal* signal) except -1:
    cdef Key key = fact_key(signal.fact.src)
    floor.by_watermark.push(signal.fact.t, RANK_TRACK, key, signal, TAG_SIGNAL, 0)
    return floor.by_wall.push(signal.fact.t_rx + floor.rules.hold_wall_max, RANK_TRACK, key, signal, TAG_SIGNAL, 0)


cdef int apply(Floor floor, Signal* signal) except -1:
    """R65: an episode begins with the first set and ends with the first clear after it; a late one changes nothing."""
    cdef Fact* fact = signal.fact
    cdef int code
    if signal.done:
        return 0
    signal.done = True
    if signal.subject and not signal.on:
        return end_all(floor, signal)
    if signal.subject:
        return apply_to(floor, signal, signal.code, signal.subject)
    if floor.state.signals.count == 0:
        return 0
    for code in range(ASR_SOURCE_EMPTY, ASR_OTHER + 1):
        apply_to(floor, signal, code, floor.joined(b"loc/", fact.loc))
        apply_to(floor, signal, code, floor.joined(b"lu/", fact.lu))
        apply_to(floor, signal, code, signal.device)
    return 0


cdef int end_all(Floor floor, Signal* signal) except -1:
    """A clear ends what it names, and of what the device has set all that agrees with it: without a `code` all of that
    `dest`, and the other way round; with neither everything."""
    cdef uint64_t key = <uint64_t>signal.code << 32 | <uint64_t>signal.fact.src
    cdef Subjects* known = <Subjects*>find(floor.state.signalled, key)
    cdef Numbers* may_agree = NULL
    cdef set subjects = {floor.text(signal.subject)}
    cdef int i
    if known != NULL:
        may_agree = known.subjects if signal.whole else known.deep
    for i in range(may_agree.count if may_agree != NULL else 0):
        if agrees(floor, signal, floor.text(may_agree.items[i])):
            subjects.add(floor.text(may_agree.items[i]))
    for subject in sorted(subjects):
        apply_to(floor, signal, signal.code, floor.intern(subject))
    if signal.whole and known != NULL and signal.fact.kind != K_LANE_FULL:      # which others may have set since
        keep_signalled(floor, signal.code, known.subjects, True)
        keep_signalled(floor, signal.code, known.deep, True)
    return 0


cdef int keep_signalled(Floor floor, int code, Numbers* subjects, bint set_only) noexcept:
    """Drop the subjects of which no signal is remembered, with `set_only` also those that are cleared. Returns how many are left."""
    cdef const Signal* signal
    cdef int i, kept = 0
    if subjects == NULL:
        return 0
    for i in range(subjects.count):
        signal = <Signal*>find(floor.state.signals, <uint64_t>code << 32 | <uint64_t>subjects.items[i])
        if signal != NULL and (signal.on or not set_only):
            subjects.items[kept] = subjects.items[i]
            kept += 1
    subjects.count = kept
    return kept


cdef bint agrees(Floor floor, const Signal* signal, str subject) except -1:
    cdef const Fact* fact = signal.fact
    if signal.whole:
        return True
    if fact.kind == K_LANE_FULL or (fact.dest and fact.code):
        return False
    if fact.dest:
        return subject.startswith(f"{floor.text(signal.device)}/{floor.text(fact.dest)}/")
    return subject.endswith(f"/{floor.text(fact.code)}")


cdef int apply_to(Floor floor, Signal* signal, int code, int32_t subject) except -1:
    cdef uint64_t key = <uint64_t>code << 32 | <uint64_t>subject
    cdef Fact* fact = signal.fact
    if is_outdated(floor, signal, code, subject):
        return 0
    if signal.on:
        remember(floor, signal, code, subject, find(floor.state.signals, key) == NULL)
        floor.store.put(floor.state.signals, key, signal)
        return floor.outlet.raise_(code, subject, fact.t, fact, floor.text(fact.code))
    if signal.whole or find(floor.state.signals, key) != NULL:
        floor.store.put(floor.state.signals, key, signal)
        floor.outlet.clear(code, subject, fact.t, fact)
    return 0


cdef int remember(Floor floor, const Signal* signal, int code, int32_t subject, bint is_new) except -1:
    """What the device has set. `is_new`: for the first time."""
    cdef const Fact* fact = signal.fact
    cdef uint64_t key = <uint64_t>code << 32 | <uint64_t>fact.src
    cdef Subjects* known = <Subjects*>find(floor.state.signalled, key)
    if known == NULL:
        known = <Subjects*>floor.store.new(B_SUBJECTS, sizeof(Subjects))
        floor.store.put(floor.state.signalled, key, known)
    if is_new or not has_number(known.subjects, subject):
        floor.store.add_number(&known.subjects, subject)
        if fact.dest and fact.code and fact.kind != K_LANE_FULL:
            floor.store.add_number(&known.deep, subject)
    return 0


cdef bint is_outdated(Floor floor, const Signal* signal, int code, int32_t subject) noexcept:
    """Something later has been said of the subject, or all of its device has been cleared since."""
    cdef Signal* known = <Signal*>find(floor.state.signals, <uint64_t>code << 32 | <uint64_t>subject)
    cdef Signal* whole = <Signal*>find(floor.state.signals, <uint64_t>code << 32 | <uint64_t>signal.device)
    if known != NULL and floor.precedes(signal.fact, known.fact):
        return True
    return whole != NULL and whole.whole and floor.precedes(signal.fact, whole.fact)
