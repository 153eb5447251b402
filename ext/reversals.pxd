"""R43: which unit a reversal takes pieces out of that names none: that of its window's last pick before it.

Picks that come later may be that pick (R3): then the reversal goes over into their unit. Its `parent` is the unit that
it was given so.
"""

from libc.stdint cimport int32_t

from ext.floor cimport Floor
from ext.state cimport Fact, PickWindow


cdef int32_t unit_of(Floor floor, const PickWindow* window, Fact* reversal) noexcept
cdef int follow(Floor floor, const PickWindow* window, const Fact* pick) except -1
