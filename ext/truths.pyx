# cython: boundscheck=False, wraparound=False, cdivision=True
"""Truths that wait for their hold: see truths.pxd."""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy, memmove

from ext.batch cimport ABSENT
from ext.gaps cimport hold_of_shipment
from ext.state cimport B_PENDING, PendingList
from ext.store cimport B_BYTES


cdef Pending* pending_of(Floor floor, Shipment* shipment, int64_t since) except NULL:
    """The place of the truth that began at `since`: that of the one which a late fact has changed, else a new one."""
    cdef int i, count = shipment.pending.count if shipment.pending != NULL else 0
    for i in range(count):
        if shipment.pending.items[i].t == since:
            return &shipment.pending.items[i]
    shipment.pending = <PendingList*>floor.store.room(B_PENDING, shipment.pending, count)
    return &shipment.pending.items[count]


cdef int drop_between(Shipment* shipment, int64_t since, int64_t as_of) noexcept:
    """A late fact has shown what was true from `since` to `as_of`: what was found to begin in between was not."""
    cdef int i = 0
    while has_pending(shipment) and i < shipment.pending.count:
        if since < shipment.pending.items[i].t <= as_of:
            drop_pending(shipment, i)
        else:
            i += 1
    return 0


cdef int drop_pending(Shipment* shipment, int i) noexcept:
    shipment.pending.count -= 1
    memmove(&shipment.pending.items[i], &shipment.pending.items[i + 1], (shipment.pending.count - i) * sizeof(Pending))
    return 0


cdef Bytes* kept_truth(Floor floor) except NULL:
    """What was just found true, kept until it is told."""
    cdef Bytes* data = <Bytes*>floor.store.new(B_BYTES, sizeof(Bytes) + floor.truth.length)
    data.length = <int32_t>floor.truth.length
    memcpy(data.text, floor.truth.at, floor.truth.length)
    return data


cdef bint has_ended(const Shipment* shipment, int64_t since) noexcept:
    """Whether a truth that waits is over: the shipment is not ready any more, or is so with other data."""
    cdef int i
    for i in range(shipment.pending.count):
        if shipment.pending.items[i].t > since:
            return True
    return not shipment.true_now


cdef bint begins_by(const Shipment* shipment, int64_t since) noexcept:
    """Whether the last of the truths that wait began no later: a late fact has not shown that it had begun before (R60)."""
    cdef int64_t last = ABSENT
    cdef int i
    for i in range(shipment.pending.count):
        last = max(last, shipment.pending.items[i].t)
    return last <= since


cdef bint has_pending(const Shipment* shipment) noexcept:
    return shipment.pending != NULL and shipment.pending.count > 0


cdef int end_pending(Floor floor, Shipment* shipment, int64_t t) except -1:
    """R51: a truth that ends at `t` is never told if it has not lasted its hold by then, or still waits for a gap (a jump in
    `seq` that may turn out to be none is no gap, R6). One that began after `t` goes on, unless the shipment was cancelled."""
    cdef int64_t since
    cdef int i = 0
    while has_pending(shipment) and i < shipment.pending.count:
        since = shipment.pending.items[i].t
        if t < since < shipment.cancel_t or (since + floor.rules.ready_hold < t and (
                since != shipment.held_truth or not hold_of_shipment(floor, shipment, since, True))):
            i += 1
        else:
            drop_pending(shipment, i)
    return 0


cdef int leave_pending(Floor floor, Shipment* shipment, int64_t t) except -1:
    """R6, R51: it leaves at `t`. What had lasted by then and waits for nothing but a jump in `seq`, which may turn out to be
    none, is still to be told; nothing else is."""
    cdef int64_t since
    cdef int i = 0
    while has_pending(shipment) and i < shipment.pending.count:
        since = shipment.pending.items[i].t
        if (since + floor.rules.ready_hold < t and since == shipment.held_truth
                and not hold_of_shipment(floor, shipment, since, True)):
            i += 1
        else:
            drop_pending(shipment, i)
    return 0
