# cython: boundscheck=False, wraparound=False
"""Blindness as data (R6, R7): see gaps.pxd.

A gap is open until every number in it has come, late, `hist` or dead. Conclusions that wait for one stand in
`State.held`. The core asks them again whenever the gaps change (exact, if none is in the way any more) and when
`gap_hold_ms` has passed (incomplete).
"""

from ext.exceptions cimport SEQ_GAP
from ext.keys cimport text_key
from ext.kinds cimport K_PICK_CONFIRM, K_PICK_REVERSE
from ext.outlet cimport named_source
from ext.shipment_cartons cimport cycles_of
from ext.state cimport B_GAP, CartonPlan, ScopeLine
from ext.store cimport List, find, index_of, length, nth, remove_at
from ext.timers cimport NEVER, RANK_TRACK

cdef int GAPS_MAX = 256             # open ones of a source; beyond that the oldest is forgotten


cdef Gap* open_gap(
        Floor floor, Source* source, int64_t t_from, int64_t t_to, int64_t epoch, int64_t low, int64_t high) except NULL:
    """R6: `low`..`high` are missing (-1: it is a stretch of time only); `t_to` NEVER: it has not ended."""
    cdef Gap* gap = <Gap*>floor.store.new(B_GAP, sizeof(Gap))
    gap.source, gap.t_from, gap.t_to = source, t_from, t_to
    gap.epoch, gap.low, gap.high = epoch, low, high
    if low >= 0:
        watch(floor, source, t_to)
    floor.store.append(&source.gaps, gap)
    floor.state.gaps += 1
    if length(source.gaps) > GAPS_MAX:
        forget_oldest(floor, source)
    return gap


cdef int watch(Floor floor, Source* source, int64_t t_to) except -1:
    """Have `make_sure` look at its jumps when the watermark passes this one. Nearly all are filled by then, so there is one
    timer for all of a source's, at the soonest."""
    if t_to >= source.gaps_due:
        return 0
    source.gaps_due = t_to
    return floor.by_watermark.push(t_to, RANK_TRACK, text_key(source.src), source, TAG_GAPS_SURE, t_to)


cdef int forget_oldest(Floor floor, Source* source) except -1:
    """It holds nothing any more. A jump that may still be none is told if it is one."""
    cdef Gap* oldest = <Gap*>nth(source.gaps, 0)
    if oldest.low >= 0 and not oldest.sure:
        floor.by_watermark.push(oldest.t_to, RANK_TRACK, text_key(source.src), oldest, TAG_GAP_FORGOTTEN, 0)
    return forget_gap(floor, source, 0)


cdef int forget_gap(Floor floor, Source* source, int at) except -1:
    remove_at(&source.gaps, at)
    floor.state.gaps -= 1
    return 0


cdef int fill(Floor floor, Source* source, int64_t epoch, int64_t seq, int64_t t) except -1:
    """R6: a number that comes after all fills its place. What is missing before it and what is missing after it are two
    gaps from then on, as if it had come in order (R3)."""
    cdef Gap* gap
    cdef Gap* before
    cdef Fact cause
    cdef int64_t t_from, low
    cdef int i
    for i in range(length(source.gaps)):
        gap = <Gap*>nth(source.gaps, i)
        if gap.epoch == epoch and gap.low <= seq <= gap.high and not gap.awaits:
            break
    else:
        return 0
    if gap.low == gap.high:
        cause = named_source(source.src)
        cause.epoch, cause.seq = epoch, seq
        close_gap(floor, gap, &cause)
        return fill_downs(floor, source, epoch, &cause)
    floor.state.gaps_changed = True     # what is missing still may be of another time than what is held
    if seq == gap.high:
        gap.high, gap.t_to = seq - 1, t
        return 0 if gap.sure else watch(floor, source, t)
    t_from, low = gap.t_from, gap.low
    gap.low, gap.t_from = seq + 1, t
    if seq > low:
        before = open_gap(floor, source, t_from, t, epoch, low, seq - 1)
        before.sure = gap.sure
    return 0


cdef int await_numbers(Floor floor, Gap* down, int64_t epoch, int64_t low, int64_t high) except -1:
    """R6, R3: the first live record after `link.down` has jumped. If `low`..`high` come before the watermark passes it, nothing
    was missed, as if they had come in order."""
    down.epoch, down.low, down.high, down.awaits = epoch, low, high, True
    return watch(floor, down.source, down.t_to)


cdef int fill_downs(Floor floor, Source* source, int64_t epoch, const Fact* cause) except -1:
    """A hole has been filled: so are the times of `link.down` that waited for nothing else."""
    cdef Gap* down
    cdef int i = 0
    while i < length(source.gaps):
        down = <Gap*>nth(source.gaps, i)
        if not down.awaits or down.epoch != epoch or down.sure or lacks_any(source, epoch, down.low, down.high):
            i += 1
            continue
        source.gap_count -= 1
        close_gap(floor, down, cause)
    return 0


cdef bint lacks_any(const Source* source, int64_t epoch, int64_t low, int64_t high) noexcept:
    cdef const Gap* gap
    cdef int i
    for i in range(length(source.gaps)):
        gap = <const Gap*>nth(source.gaps, i)
        if gap.epoch == epoch and gap.low <= high and gap.high >= low and not gap.awaits:
            return True
    return False


cdef int close_gap(Floor floor, Gap* gap, const Fact* cause) except -1:
    """`cause`: the record that filled it."""
    cdef Source* source = gap.source
    cdef int at = index_of(source.gaps, gap)
    if at >= 0:                         # else it was forgotten as the oldest of too many
        forget_gap(floor, source, at)
    floor.state.gaps_changed = True
    if gap.sure and is_of_numbers(gap) and not lacks_numbers(source):
        floor.outlet.clear(SEQ_GAP, source.src, gap.t_to, cause)
    floor.store.free(gap)
    return 0


cdef inline bint is_of_numbers(const Gap* gap) noexcept:
    return gap.low >= 0 and not gap.awaits


cdef bint lacks_numbers(const Source* source) noexcept:
    """An episode of `SEQ_GAP` lasts until all is here that was missing for sure."""
    cdef const Gap* gap
    cdef int i
    for i in range(length(source.gaps)):
        gap = <const Gap*>nth(source.gaps, i)
        if gap.sure and is_of_numbers(gap):
            return True
    return False


cdef int look_at_jumps(Floor floor, Source* source, int64_t due) except -1:
    """R6: the watermark has passed records of a source that jumped; what has not come by now is missing."""
    cdef Gap* gap
    cdef int64_t next_due = NEVER
    cdef int i
    if due != source.gaps_due:          # a sooner one took its place
        return 0
    for i in range(length(source.gaps)):
        gap = <Gap*>nth(source.gaps, i)
        if gap.low >= 0 and not gap.sure:
            if gap.t_to <= due:
                make_sure(floor, gap)
            else:
                next_due = min(next_due, gap.t_to)
    source.gaps_due = NEVER
    return watch(floor, source, next_due)


cdef int make_sure(Floor floor, Gap* gap) except -1:
    """R6: the watermark has passed the record that jumped: now it is a gap."""
    cdef Fact cause
    gap.sure = True
    floor.state.gaps_changed = True     # held readinesses that have ended since must not be told: they are asked again
    if gap.awaits:
        return 0
    cause = named_source(gap.source.src)
    cause.epoch, cause.seq = gap.epoch, gap.high + 1
    return floor.outlet.raise_(SEQ_GAP, gap.source.src, gap.t_to, &cause, f"{gap.high - gap.low + 1} missing")


cdef int64_t blind_for(const Source* source, int64_t t_from, int64_t t_to, bint sure) noexcept:
    """R7: `gap_hold_ms` of a source with an open gap that overlaps this stretch of time; 0: there is none. `sure`: without
    jumps in `seq` that may still turn out to be no gap (R6)."""
    cdef const Gap* gap
    cdef int i
    if source == NULL:
        return 0
    for i in range(length(source.gaps)):
        gap = <const Gap*>nth(source.gaps, i)
        if (min(gap.t_from, gap.t_to) <= t_to and max(gap.t_from, gap.t_to) >= t_from
                and (gap.sure or gap.low < 0 or not sure)):
            return source.gap_hold
    return 0


cdef Source* source_of(Floor floor, int src) noexcept:
    return <Source*>find(floor.state.sources, src)


cdef int64_t hold_of_window(Floor floor, PickWindow* window, int64_t t_close, bint sure) noexcept:
    """R7: its sources are those of its records up to then; a window without any is fed by every source that ever sent a pick
    kind. Pieces that followed say nothing of the silence before them."""
    cdef Source* source
    cdef int64_t t_open, hold = 0
    cdef uint64_t i
    if floor.state.gaps == 0:
        return 0
    t_open = window.planned_t if window.planned_t != NEVER else t_close
    if not is_fed(window, t_close):
        for i in range(floor.state.sources.capacity):
            source = <Source*>floor.state.sources.slots[i].value
            if source != NULL and source.picks:
                hold = max(hold, blind_for(source, t_open, t_close, sure))
        return hold
    if length(window.facts):
        t_open = min(t_open, (<Fact*>nth(window.facts, 0)).t)
    hold = hold_of_records(floor, window.facts, t_open, t_close, sure)
    hold = max(hold, hold_of_records(floor, window.trouble.other_sku, t_open, t_close, sure))
    return max(hold, hold_of_records(floor, window.closings, t_open, t_close, sure))


cdef int64_t hold_of_records(Floor floor, const List* facts, int64_t t_open, int64_t t_close, bint sure) noexcept:
    """The longest hold of the devices that told of the picks and shorts among these facts, which are sorted."""
    cdef const Fact* fact
    cdef int64_t hold = 0
    cdef int i
    for i in range(length(facts)):
        fact = <const Fact*>nth(facts, i)
        if fact.t > t_close:
            break
        if K_PICK_CONFIRM <= fact.kind <= K_PICK_REVERSE:
            hold = max(hold, blind_for(source_of(floor, fact.src), t_open, t_close, sure))
    return hold


cdef bint is_fed(const PickWindow* window, int64_t t_close) noexcept:
    """Whether a device has told of it anything of up to then."""
    return (has_device_record(window.facts, t_close) or has_device_record(window.trouble.other_sku, t_close)
            or has_device_record(window.closings, t_close))


cdef bint has_device_record(const List* facts, int64_t t_close) noexcept:
    cdef const Fact* fact
    cdef int i
    for i in range(length(facts)):
        fact = <const Fact*>nth(facts, i)
        if fact.t > t_close:
            return False
        if K_PICK_CONFIRM <= fact.kind <= K_PICK_REVERSE:
            return True
    return False


cdef int64_t hold_of_cycle(Floor floor, const Cycle* cycle, int64_t as_of, bint sure) noexcept:
    cdef Fact* fact
    cdef int64_t hold = 0
    cdef int i
    for i in range(length(cycle.facts)):
        fact = <Fact*>nth(cycle.facts, i)
        if not fact.context and fact.t <= as_of:
            hold = max(hold, blind_for(source_of(floor, fact.src), cycle.begin, as_of, sure))
    return hold


cdef int64_t hold_of_shipment(Floor floor, Shipment* shipment, int64_t as_of, bint sure) except? -1:
    """R7: cartons inherit from their picks, shipments from both."""
    cdef PickWindow* window
    cdef CartonPlan* plan
    cdef Fact* fact
    cdef List* windows
    cdef int64_t hold = 0
    cdef int i, k, j
    if floor.state.gaps == 0:
        return 0
    for i in range(length(shipment.scope)):
        windows = (<ScopeLine*>nth(shipment.scope, i)).line.windows
        for k in range(length(windows)):
            window = <PickWindow*>nth(windows, k)
            hold = max(hold, hold_of_window(floor, window, as_of, sure))
            for j in range(length(window.facts)):
                fact = <Fact*>nth(window.facts, j)
                if fact.cycle != NULL:
                    hold = max(hold, hold_of_cycle(floor, fact.cycle, as_of, sure))
    for i in range(length(shipment.plans)):
        plan = <CartonPlan*>nth(shipment.plans, i)
        for k in range(length(plan.cycles)):
            hold = max(hold, hold_of_cycle(floor, <Cycle*>nth(plan.cycles, k), as_of, sure))
    return max(hold, hold_of_cartons(floor, shipment, as_of, sure))


cdef int64_t hold_of_cartons(Floor floor, Shipment* shipment, int64_t as_of, bint sure) except? -1:
    """The same for all its cartons, those among them into which pieces were only moved (R47)."""
    cdef List* cycles = cycles_of(floor, shipment, as_of, as_of)
    cdef int64_t hold = 0
    cdef int i
    for i in range(length(cycles)):
        hold = max(hold, hold_of_cycle(floor, <Cycle*>nth(cycles, i), as_of, sure))
    floor.store.free(cycles)
    return hold
