"""R21 c, only with `short_on_close`: which pick windows the close of a carton ends."""

from ext.floor cimport Floor
from ext.state cimport Cycle, Fact, LoadUnit, PickWindow


cdef int ask_closes(Floor floor, LoadUnit* unit) except -1
cdef int close_picks(Floor floor, Cycle* cycle) except -1
cdef int forget_close(Cycle* cycle, const Fact* close) noexcept
cdef int forget_closes(Floor floor, PickWindow* window) noexcept
