"""Returns (R72): what came back under an RMA or without one, and what became of it.

A return is told at every scan with its total, a function of its scans. A serial counts once: with its first scan by event
time, whichever came first.
"""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Fact, Floor
from ext.outlet cimport Ledger


cdef class Scan:
    cdef Fact fact
    cdef Return home
    cdef str serial             # None: not serialised
    cdef bint counts


cdef class Graded:
    """The total of one grade and disposition."""
    cdef int64_t qty
    cdef int64_t last_t
    cdef Ledger ledger


cdef class Return:
    """Business key: rma/sku, rma/lu, or unexpected/dev_id."""
    cdef str key
    cdef Rma rma                # None: without one
    cdef int32_t sku            # 0: only its load unit is named
    cdef list scans             # Scan
    cdef dict graded            # (grade, disposition) -> Graded
    cdef Ledger ledger


cdef class Rma:
    cdef str id
    cdef bint known             # authorised; else only named by a scan
    cdef dict expected          # sku -> qty
    cdef list returns           # Return


cdef int take_scan(Floor floor, Fact fact, dict record) except -1
cdef int take_graded(Floor floor, Fact fact, dict record) except -1
cdef int authorise(Floor floor, Fact fact, dict record) except -1
