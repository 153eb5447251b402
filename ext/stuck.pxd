"""Section 10 of the rules: an order, a carton or a shipment that stays in one state longer than `stuck_ms` is *stuck*.

One exception says what it waits for. A thing has one timer, which looks when it could be stuck at the soonest; once it is
stuck, every fact about it looks whether it has moved on. Without `stuck_ms` nothing here runs.
"""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Floor
from ext.state cimport CartonPlan, Cycle, Fact, Line, Shipment

cdef enum StuckTag:
    TAG_STUCK = 91          # it may have stood still for `stuck_ms`
    TAG_MOVED = 92          # the watermark passed a fact about what was stuck


cdef int line_moved(Floor floor, Line* line, int64_t t, Fact* cause) except -1
cdef int cycle_moved(Floor floor, Cycle* cycle, Fact* cause) except -1
cdef int plan_moved(Floor floor, CartonPlan* plan, Fact* cause) except -1
cdef int shipment_moved(Floor floor, Shipment* shipment, int64_t t, Fact* cause) except -1
cdef int shipment_turned(Floor floor, Shipment* shipment, int64_t t, Fact* cause) except -1
cdef int shipment_over(Floor floor, Shipment* shipment, Fact* cause) except -1
cdef int look(Floor floor, void* target) except -1


cdef inline int on_line(Floor floor, Line* line, int64_t t, Fact* cause) except -1:
    return line_moved(floor, line, t, cause) if floor.rules.stuck else 0


cdef inline int on_cycle(Floor floor, Cycle* cycle, Fact* cause) except -1:
    return cycle_moved(floor, cycle, cause) if floor.rules.stuck else 0


cdef inline int on_plan(Floor floor, CartonPlan* plan, Fact* cause) except -1:
    return plan_moved(floor, plan, cause) if floor.rules.stuck else 0


cdef inline int on_shipment(Floor floor, Shipment* shipment, int64_t t, Fact* cause) except -1:
    return shipment_moved(floor, shipment, t, cause) if floor.rules.stuck else 0


cdef inline int on_turn(Floor floor, Shipment* shipment, int64_t t, Fact* cause) except -1:
    """It became ready, or is so no more."""
    shipment.turned = t
    return shipment_turned(floor, shipment, t, cause) if floor.rules.stuck else 0


cdef inline int on_end(Floor floor, Shipment* shipment, Fact* cause) except -1:
    """Manifested or cancelled."""
    return shipment_over(floor, shipment, cause) if floor.rules.stuck else 0
