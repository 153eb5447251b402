"""Which load unit a pick goes into that names none (R43), and what follows it there.

A pick takes its task's. A reversal takes that of the last pick of its window before it, of its own SKU; which one that is
may change with what comes later.
"""

from libc.stdint cimport int32_t

from ext.floor cimport Floor
from ext.state cimport Fact, PickWindow
from ext.store cimport List


cdef int32_t unit_of(Floor floor, const PickWindow* window, const Fact* fact) noexcept
cdef int join(Floor floor, Fact* fact, bint inside, List** changed) except -1
cdef int lead_reversals(Floor floor, PickWindow* window, const Fact* pick, List** changed) except -1
cdef int take_back(Floor floor, PickWindow* window, Fact* fact, int32_t lu, List** changed) except -1
cdef int take_over(Floor floor, PickWindow* window, Fact* fact, List** changed) except -1
cdef int move(Floor floor, Fact* fact, int32_t lu, List** changed) except -1
