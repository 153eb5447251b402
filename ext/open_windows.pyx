# cython: boundscheck=False, wraparound=False
"""How many windows are open: see open_windows.pxd."""

from ext cimport outcomes
from ext.state cimport Cycle, Line, LoadUnit, PickWindow, Shipment
from ext.store cimport length, nth
from ext.timers cimport NEVER


cdef int64_t open_picks(const State* state, uint64_t start, uint64_t stop) noexcept:
    cdef Line* line
    cdef uint64_t i
    cdef int k, found = 0
    for i in range(start, min(stop, state.lines.capacity)):
        line = <Line*>state.lines.slots[i].value
        for k in range(length(line.windows) if line != NULL else 0):
            found += not outcomes.outcome_now(<PickWindow*>nth(line.windows, k), state.watermark).closed
    return found


cdef int64_t open_cartons(const State* state, uint64_t start, uint64_t stop) noexcept:
    cdef LoadUnit* unit
    cdef uint64_t i
    cdef int k, found = 0
    for i in range(start, min(stop, state.units.capacity)):
        unit = <LoadUnit*>state.units.slots[i].value
        for k in range(length(unit.cycles) if unit != NULL else 0):
            found += (<Cycle*>nth(unit.cycles, k)).end == NEVER
    return found


cdef int64_t open_shipments(const State* state, uint64_t start, uint64_t stop) noexcept:
    cdef Shipment* shipment
    cdef uint64_t i
    cdef int found = 0
    for i in range(start, min(stop, state.shipments.capacity)):
        shipment = <Shipment*>state.shipments.slots[i].value
        found += (shipment != NULL and shipment.plan_rev > 0 and shipment.manifest_t == NEVER
                  and shipment.cancel_t == NEVER)
    return found
