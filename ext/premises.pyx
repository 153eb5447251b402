"""The premises: see premises.pxd."""

from ext cimport equipment, inventory, pick_events, returns, sights, tracks
from ext.kinds cimport (
    K_ASRS_EXCEPTION, K_COUNT_REPORTED, K_ESTOP, K_FAULT, K_JAM, K_LANE_FULL, K_RETRIEVE_CONFIRMED, K_RETURN_GRADED,
    K_RETURN_SCANNED, K_STORE_CONFIRMED,
)
from ext.premises_data cimport Finding, Place, Scan, Signal
from ext.sources cimport Source, TrackLife
from ext.state cimport PickWindow


cdef bint concerns(int kind) noexcept:
    return (K_LANE_FULL <= kind <= K_ASRS_EXCEPTION or kind == K_COUNT_REPORTED or kind == K_RETURN_SCANNED
            or kind == K_RETURN_GRADED)


cdef int take(Floor floor, Fact* fact, dict record) except -1:
    """A device's record takes effect. `record`: the decoded line."""
    cdef int kind = fact.kind
    if kind == K_JAM or kind == K_FAULT or kind == K_ESTOP or kind == K_LANE_FULL:
        return equipment.take(floor, fact, record["state"])
    if kind == K_STORE_CONFIRMED or kind == K_RETRIEVE_CONFIRMED:
        return equipment.take_crane_done(floor, fact)
    if kind == K_ASRS_EXCEPTION:
        equipment.take_crane(floor, fact)
        return inventory.take_crane(floor, fact)
    if kind == K_COUNT_REPORTED:
        return inventory.take_count(floor, fact)
    fact.rma = floor.intern(record["rma"]) if "rma" in record else 0
    fact.serial = floor.intern(record["serial"]) if "serial" in record else 0
    if kind == K_RETURN_SCANNED:
        return returns.take_scan(floor, fact)
    return returns.take_graded(floor, fact, record["grade"], record["disposition"])


cdef bint due(Floor floor, void* target, int tag, bint by_wall) except -1:
    """Something here is due. False: it is none of ours."""
    if tag == inventory.TAG_DECIDE:
        inventory.decide(floor, <Finding*>target, by_wall)
    elif tag == inventory.TAG_JUDGE:
        inventory.judge(floor, <Place*>target, (<Place*>target).cause)
    elif tag == inventory.TAG_PRUNE:
        inventory.prune_idle(floor, <Place*>target, floor.by_watermark.due)
    elif tag == pick_events.TAG_SHORT_TOLD:
        inventory.take_short(floor, <PickWindow*>target)
    elif tag == equipment.TAG_SIGNAL:
        equipment.apply(floor, <Signal*>target)
    elif tag == sights.TAG_LOST:
        sights.judge(floor, <Fact*>target)
    elif tag == sights.TAG_READ:
        sights.on_read(floor, <Fact*>target)
    elif tag == tracks.TAG_RESOLVE:
        tracks.on_passed(floor, <Fact*>target)
    elif tag == tracks.TAG_BOUND:
        tracks.on_bound(floor, <Source*>target)
    elif tag == tracks.TAG_UNRESOLVED:
        tracks.give_up(floor, <TrackLife*>target, floor.by_watermark.due)
    elif tag == tracks.TAG_ITEM:
        tracks.judge_item(floor, <Fact*>target)
    elif tag == returns.TAG_SCANNED:
        returns.judge_scan(floor, <Scan*>target)
    elif tag == returns.TAG_AUTHORISED:
        returns.judge_authorised(floor, <Fact*>target)
    else:
        return False
    return True
