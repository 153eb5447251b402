"""What the order systems asked for of a line at a moment (R24, R50): its order's quantity, tolerance and policy, and what had
failed of it; and from where to where they said that a task's pieces go (R31, R43, R70).

The highest revision counts (R10), but what is true by it is true since its own event time (R51): whether a shipment was
ready before that is judged by the revision before.
"""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Floor
from ext.order_data cimport Asked
from ext.state cimport Fact, Line, PickWindow
from ext.store cimport length, nth


cdef Asked asked_now(const Line* line) noexcept
cdef Asked asked_at(const Line* line, int64_t as_of) noexcept
cdef int remember(Floor floor, Line* line, const Asked* said, int64_t t) except -1
cdef int recall(Floor floor, PickWindow* window) except -1
cdef int remember_task(Floor floor, PickWindow* window, int64_t t) except -1
cdef inline int64_t tolerance(int64_t qty, const Asked* asked) noexcept:
    """R24: so many pieces more than `qty` are not too many."""
    return qty * asked.over_tol_pct // 100


cdef inline int64_t tolerance_at(const Line* line, int64_t qty, int64_t as_of) noexcept:
    cdef Asked asked = asked_at(line, as_of)
    return tolerance(qty, &asked)


cdef inline int32_t sku_of(const Line* line) noexcept:
    """By its order, else by its first task: which of several tasks was heard of first plays no part (R3)."""
    return line.sku if line.sku or length(line.windows) == 0 else (<PickWindow*>nth(line.windows, 0)).sku


cdef int32_t lu_at(const PickWindow* window, int64_t t) noexcept
cdef int32_t loc_at(const PickWindow* window, int64_t t) noexcept

# When a task, or a line, was last told of up to `as_of`. All revisions are remembered only where the site wants to know what is
# stuck (section 10); elsewhere it may be an earlier one.
cdef int64_t told_at(const PickWindow* window, int64_t as_of) noexcept
cdef int64_t ordered_at(const Line* line, int64_t as_of) noexcept


cdef inline int32_t loc_of(const PickWindow* window, const Fact* fact) noexcept:
    """Where a pick or short was, 0: nobody says. Without a `loc` it is where the task said at its event time."""
    return fact.loc if fact.loc else loc_at(window, fact.t)
