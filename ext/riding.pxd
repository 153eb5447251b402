"""R48: a unit bound to a `parent` (a carton on a pallet, a tote on a cart) shares its place and its loading from then on.

Nothing is copied when the parent moves: a unit's sights are its own and those of its parents while it rode on them,
asked for as they are needed.
"""

from libc.stdint cimport int64_t

from ext.floor cimport Cycle, Floor, LoadUnit
from ext.kinds cimport (
    K_DIVERT_CONFIRMED, K_ITEM_ARRIVED, K_ITEM_LOST, K_ITEM_RECIRCULATED, K_ITEM_STRAY, K_LOAD_REMOVED, K_LOAD_SCANNED,
)


cdef inline bint is_place(int kind) noexcept nogil:
    """A fact about where a unit is."""
    return kind in (K_DIVERT_CONFIRMED, K_ITEM_ARRIVED, K_ITEM_RECIRCULATED, K_ITEM_LOST, K_ITEM_STRAY, K_LOAD_SCANNED,
                    K_LOAD_REMOVED)


cdef list sights_of(Floor floor, Cycle cycle)
cdef list riders_at(Floor floor, LoadUnit unit, int64_t t)
