"""What the order systems tell (R10, R11, R27, R53): orders, tasks, plans, binds, manifests, and their revisions."""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t

from ext.families cimport Revision
from ext.floor cimport Floor
from ext.json_writer cimport Digest
from ext.state cimport Fact, Line, PickWindow, Shipment

cdef enum Verdict:
    TAKEN = 0
    SAME = 1            # same revision, same content: a duplicate
    REFUSED = 2         # R10: conflict, outdated, after a cancel, or it does not fit


cdef enum Ended:       # `Revision.cancelled`
    STANDS = 0
    CANCELLED = 1
    UNTOLD = 2          # cancelled, and nothing else has been told of the object
    PARTLY = 3          # nothing has been told of the order but cancels of lines


@cython.final
cdef class Context:
    cdef Floor floor

    cdef int take(self, Fact* fact, dict record, Digest content, bytes line) except -1
    cdef uint64_t key_of(self, const Fact* fact, dict record, int family) except? 0
    cdef int judge(self, const Fact* fact, dict record, Digest content) except -1
    cdef int refuse(self, const Fact* fact, int code, dict record, int64_t rev) except -1
    cdef int apply(self, Fact* fact, dict record, bytes line) except -1
    cdef int order(self, Fact* fact, dict record) except -1
    cdef int order_cancelled(self, Fact* fact, dict record) except -1
    cdef int cancel_line(self, Line* line, Fact* fact) except -1
    cdef bint refuse_too_late(self, const PickWindow* window, const Fact* fact) except -1
    cdef int alloc_failed(self, Fact* fact) except -1
    cdef int pick_task(self, Fact* fact, dict record) except -1
    cdef int set_deadline(self, PickWindow* window, Fact* fact, dict record, const Fact* closed_by) except -1
    cdef int pick_task_cancelled(self, Fact* fact) except -1
    cdef int carton_plan(self, Fact* fact, dict record) except -1
    cdef int bind(self, Fact* fact, dict record) except -1
    cdef int hold_released(self, Fact* fact) except -1
    cdef int shipment_plan(self, Fact* fact, dict record) except -1
    cdef int manifest_result(self, Shipment* shipment, Fact* fact, bytes line) except -1
    cdef int arrive(self, int32_t key, bint is_task) except -1
