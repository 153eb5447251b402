"""What a stuck thing waits for, in one line for a person: "O-77 line 2: 1 of 4 not packed; carton C-9 open at PACK-3
since 08:14". Times of day are UTC; the day stands there where it is another one. No more than a few things are named."""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.state cimport CartonPlan, Cycle, Order, Shipment


cdef str of_order(Floor floor, const Order* order, int64_t as_of)
cdef str of_cycle(Floor floor, Cycle* cycle, int64_t as_of)
cdef str of_plan(Floor floor, const CartonPlan* plan, int64_t as_of)
cdef str of_shipment(Floor floor, Shipment* shipment, int64_t as_of)
