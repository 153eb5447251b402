"""Stock (R66, R70, R71): what the order systems expect at a place, held against shorts, counts and empty shelves.

A place is (loc, sku, lot) and the business key of its discrepancy. It holds its expectations, the picks out of it and
its findings (an operator's short, a count, a shelf that the crane found empty), all by event time; what is said of it is
a function of these (see discrepancies), judged again whenever one of them comes late.
"""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.premises_data cimport Place
from ext.state cimport Fact, PickWindow

cdef enum InventoryTag:
    TAG_DECIDE = 61         # the watermark passed a finding
    TAG_JUDGE = 62          # something older than a decided finding has come
    TAG_PRUNE = 63          # nothing that old can be asked for any more


cdef int take_pick(Floor floor, const PickWindow* window, Fact* fact) except -1
cdef int take_back(Floor floor, const PickWindow* window, Fact* fact) except -1
cdef int take_count(Floor floor, Fact* fact) except -1
cdef int take_short(Floor floor, PickWindow* window) except -1
cdef int take_crane(Floor floor, Fact* fact) except -1
cdef int expect(Floor floor, Fact* fact, int64_t rev, int64_t as_of) except -1
cdef int prune_idle(Floor floor, Place* place, int64_t due) except -1
