"""Stock (R66, R70, R71): what the order systems expect at a place, held against shorts, counts and empty shelves.

A place is (loc, sku, lot) and the business key of its discrepancy. It holds its expectations, the picks out of it and
its findings (an operator's short, a count, a shelf that the crane found empty), all by event time; what is said of it is
a function of these, judged again whenever one of them comes late.
"""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Fact, Floor, PickWindow
from ext.outlet cimport Ledger

cdef enum InventoryTag:
    TAG_DECIDE = 61         # the watermark passed a finding
    TAG_JUDGE = 62          # something older than a decided finding has come
    TAG_PRUNE = 63          # nothing that old can be asked for any more


cdef enum Found:
    BY_COUNT
    BY_SHORT
    BY_CRANE


cdef class Expectation:
    cdef int64_t rev
    cdef int64_t as_of
    cdef int64_t qty


cdef class Finding:
    cdef Place place
    cdef Fact fact              # the count, the operator's short, the crane's exception
    cdef PickWindow window      # of a short
    cdef int found
    cdef int64_t qty            # counted, or short; ABSENT: the short no longer stands
    cdef bint decided
    cdef bint forced            # by the wall clock's bound


cdef class Statement:
    """What one finding says of its place."""
    cdef bint wrong             # the books and the place differ
    cdef dict data
    cdef Finding finding


cdef class Place:
    cdef str key                # loc/sku/lot
    cdef int32_t loc
    cdef int32_t sku
    cdef int32_t lot
    cdef list expectations      # Expectation, by revision
    cdef list picks             # Fact, sorted; a reversal puts back
    cdef list findings          # Finding, sorted by its fact
    cdef Statement before       # what stood when older findings were forgotten
    cdef Ledger ledger          # None: never wrong so far
    cdef Fact cause             # what came late
    cdef int64_t last_t         # the greatest event time of anything here
    cdef Py_ssize_t prune_at    # picks


cdef class Shelf:
    """A location of the AS/RS or the floor, whatever lies there."""
    cdef list places            # Place
    cdef list empties           # Fact: the crane found nothing (R66), sorted


cdef class UnitFinding:
    """What the crane said last of a load unit at a location (R66)."""
    cdef Fact fact
    cdef Ledger ledger


cdef int take_pick(Floor floor, PickWindow window, Fact fact) except -1
cdef int take_count(Floor floor, Fact fact) except -1
cdef int take_short(Floor floor, PickWindow window) except -1
cdef int take_crane(Floor floor, Fact fact) except -1
cdef int expect(Floor floor, Fact fact, int64_t rev, int64_t as_of) except -1
cdef int decide(Floor floor, Finding finding, bint by_wall) except -1
cdef int judge(Floor floor, Place place, Fact cause) except -1
cdef int prune_idle(Floor floor, Place place, int64_t due) except -1
