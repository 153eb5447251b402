"""The premises: equipment, stock and returns. Facts that no order's windows hold, handed to the module that does."""

from ext.floor cimport Floor
from ext.state cimport Fact


cdef bint concerns(int kind) noexcept
cdef int take(Floor floor, Fact* fact, dict record) except -1
