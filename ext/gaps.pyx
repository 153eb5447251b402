"""Blindness as data (R6, R7): see gaps.pxd.

A gap is open until every number in it has come, late, `hist` or dead. Conclusions that wait for one stand in
`floor.held`; the core asks them again when a gap closes (then they are exact) or `gap_hold_ms` has passed (incomplete).
"""

from ext.floor cimport CartonPlan, Fact, ScopeLine
from ext.timers cimport NEVER, RANK_TRACK

cdef Py_ssize_t GAPS_MAX = 256      # open ones of a source; beyond that the oldest is forgotten


cdef Gap open_gap(
        Floor floor, int32_t src, int64_t hold, int64_t t_from, int64_t t_to, int64_t epoch, int64_t low, int64_t high):
    """`low`..`high` are missing (-1: it is a stretch of time only); `t_to` NEVER: it has not ended.

    `hold`: how long a conclusion waits for it, `gap_hold_ms` of the source.
    """
    cdef Gap gap = Gap.__new__(Gap)
    cdef list gaps = floor.gaps.setdefault(src, [])
    gap.src, gap.hold, gap.t_from, gap.t_to = src, hold, t_from, t_to
    gap.epoch, gap.low, gap.high = epoch, low, high
    gap.missing = high - low + 1 if low >= 0 else 0
    gaps.append(gap)
    if len(gaps) > GAPS_MAX:
        del gaps[0]
    if t_to != NEVER:
        floor.by_watermark.push(t_to, RANK_TRACK, floor.text(src), gap, TAG_GAP_SURE, 0)
    return gap


cdef int fill(Floor floor, int32_t src, int64_t epoch, int64_t seq) except -1:
    """R6: a number that comes after all fills its place."""
    cdef Gap gap
    for gap in floor.gaps.get(src, ()):
        if gap.epoch == epoch and gap.low <= seq <= gap.high:
            gap.missing -= 1
            if gap.missing == 0:
                close_gap(floor, gap, f"{floor.text(src)}/{epoch}/{seq}/0")
            return 0
    return 0


cdef int close_gap(Floor floor, Gap gap, str cause) except -1:
    """`cause`: dev_id of the record that filled it."""
    cdef list gaps = floor.gaps.get(gap.src, [])
    gap.closed = True
    if gap in gaps:                     # else it was forgotten as the oldest of too many
        gaps.remove(gap)
        if not gaps:
            del floor.gaps[gap.src]
    floor.gap_closed = True
    floor.outlet.clear("SEQ_GAP", floor.text(gap.src), gap.t_to, cause)
    return 0


cdef int make_sure(Floor floor, Gap gap) except -1:
    """R6: the watermark has passed the record that jumped: now it is a gap."""
    if not gap.closed and gap.low >= 0:
        floor.outlet.raise_("SEQ_GAP", floor.text(gap.src), gap.t_to,
                            f"{floor.text(gap.src)}/{gap.epoch}/{gap.high + 1}/0", f"{gap.missing} missing")
    return 0


cdef int64_t blind_for(Floor floor, int32_t src, int64_t t_from, int64_t t_to) except -1:
    """The longest hold of the source's open gaps that overlap this stretch of time; 0: there is none."""
    cdef Gap gap
    cdef int64_t hold = 0
    for gap in floor.gaps.get(src, ()):
        if gap.t_from <= t_to and gap.t_to >= t_from:
            hold = max(hold, gap.hold)
    return hold


cdef int64_t hold_of_window(Floor floor, PickWindow window, int64_t t_close) except -1:
    """R7: its sources are those of its records; a window without any is fed by every source that ever sent a pick kind."""
    cdef Fact fact
    cdef int64_t t_open, hold = 0
    if not floor.gaps:
        return 0
    t_open = window.planned_by.t if window.planned_by is not None else t_close
    if not window.facts:
        for src in floor.pick_sources:
            hold = max(hold, blind_for(floor, src, t_open, t_close))
        return hold
    t_open = min(t_open, (<Fact>window.facts[0]).t)
    for fact in window.facts:
        hold = max(hold, blind_for(floor, fact.src, t_open, t_close))
    return hold


cdef int64_t hold_of_cycle(Floor floor, Cycle cycle, int64_t as_of) except -1:
    cdef Fact fact
    cdef int64_t hold = 0
    for fact in cycle.facts:
        if not fact.context and fact.t <= as_of:
            hold = max(hold, blind_for(floor, fact.src, cycle.begin, as_of))
    return hold


cdef int64_t hold_of_shipment(Floor floor, Shipment shipment, int64_t as_of) except -1:
    """R7: cartons inherit from their picks, shipments from both."""
    cdef ScopeLine scope
    cdef PickWindow window
    cdef CartonPlan plan
    cdef Cycle cycle
    cdef Fact fact
    cdef int64_t hold = 0
    if not floor.gaps:
        return 0
    for scope in shipment.scope:
        for window in scope.line.windows:
            hold = max(hold, hold_of_window(floor, window, as_of))
            for fact in window.facts:
                if fact.cycle is not None:
                    hold = max(hold, hold_of_cycle(floor, fact.cycle, as_of))
    for plan in shipment.plans.values():
        for cycle in plan.cycles:
            hold = max(hold, hold_of_cycle(floor, cycle, as_of))
    return hold
