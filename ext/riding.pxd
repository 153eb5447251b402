"""R48: a unit bound to a `parent` (a carton on a pallet, a tote on a cart) shares its place and its loading from then on.

Nothing is copied when the parent moves: a unit's sights are its own and those of its parents while it rode on them,
asked for as they are needed.
"""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.kinds cimport (
    K_DIVERT_CONFIRMED, K_ITEM_ARRIVED, K_ITEM_LOST, K_ITEM_RECIRCULATED, K_ITEM_STRAY, K_LOAD_REMOVED, K_LOAD_SCANNED,
)
from ext.state cimport Cycle, LoadUnit
from ext.store cimport List


cdef inline bint is_place(int kind) noexcept nogil:
    """A fact about where a unit is."""
    return (kind == K_DIVERT_CONFIRMED or kind == K_ITEM_ARRIVED or kind == K_ITEM_RECIRCULATED or kind == K_ITEM_LOST
            or kind == K_ITEM_STRAY or kind == K_LOAD_SCANNED or kind == K_LOAD_REMOVED)


cdef List* sights_of(Floor floor, const Cycle* cycle) except? NULL
cdef bint rides_after(const LoadUnit* rider, const LoadUnit* parent, int64_t t) noexcept
cdef int riders_at(Floor floor, LoadUnit* unit, int64_t t, List** found) except -1
