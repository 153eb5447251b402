"""R30: presses at a put wall. Two records that tell of one press are one pick; entries of one record (`alloc`) are a pick each."""

from libc.stdint cimport int32_t

from ext.floor cimport Floor
from ext.state cimport Fact, PickWindow


cdef bint note_press(Floor floor, PickWindow* window, const Fact* fact) except -1
cdef Fact* counted_press(const PickWindow* window, const Fact* fact, bint beside) noexcept
cdef Fact* late_press(Floor floor, const PickWindow* window, const Fact* fact, bint beside) noexcept
cdef bint is_beside(const Fact* other, const Fact* fact) noexcept
cdef void forget_press(PickWindow* window, int32_t press) noexcept
