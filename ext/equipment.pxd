"""Equipment (R65, R66): jams, faults, stops, full lanes and a crane's exceptions are episodes, raised once and cleared once.

A signal takes effect when the watermark passes it, so that a set and a clear that cross on their way still make one
episode; a lagging watermark holds it no longer than `hold_wall_max_ms`.
"""

from ext.floor cimport Floor
from ext.premises_data cimport Signal
from ext.state cimport Fact
from ext.store cimport Numbers

cdef enum EquipmentTag:
    TAG_SIGNAL = 71


cdef int take(Floor floor, Fact* fact, str state) except -1
cdef int take_crane(Floor floor, Fact* fact) except -1
cdef int take_crane_done(Floor floor, Fact* fact) except -1
cdef int apply(Floor floor, Signal* signal) except -1
cdef int keep_signalled(Floor floor, int code, Numbers* subjects, bint set_only) noexcept
