"""What was planned when (R10, R51, R53): the plans of shipments and cartons as of any event time.

A plan of a higher revision counts from its event time on; before that the one that it has replaced is in force, whichever
came first. ANY_TIME asks for what is planned now.
"""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.plan_data cimport FormerHome, FormerPlan
from ext.state cimport CartonPlan, Line, ScopeLine, Shipment


cdef FormerPlan plan_at(const Shipment* shipment, int64_t as_of) noexcept  # `rev` 0: none was known yet
cdef FormerHome home_at(const CartonPlan* plan, int64_t as_of) noexcept  # `shipment` NULL: it was nobody's
cdef int64_t its_since(const CartonPlan* plan) noexcept
# All that ever planned a line: number `i` as of a moment, NULL if it did not then.
cdef int scopes_ever(const Line* line) noexcept
cdef ScopeLine* scope_at(const Line* line, int i, int64_t as_of) noexcept

# A revision of event time `t` is about to replace what is planned.
cdef int replace_plan(Floor floor, Shipment* shipment, int64_t t) except -1
cdef int replace_home(Floor floor, CartonPlan* plan, const FormerHome* home, int64_t t) except -1
cdef int forget_shipment(Shipment* shipment) noexcept
