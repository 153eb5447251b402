"""Which state a line, an order, a carton or a shipment is in (section 10 of the rules), and since when.

A function of the facts up to an event time, like everything that is decided: nothing is kept of it.
"""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.state cimport CartonPlan, Cycle, Line, Order, Shipment
from ext.store cimport List


cdef enum Stage:
    S_OVER                  # at its end, or nobody has told what should come next
    S_PLANNED
    S_RELEASED
    S_IN_PICK
    S_PICKED
    S_PACKED
    S_OPEN
    S_CLOSED
    S_HELD
    S_LOST
    S_STAGED
    S_LOADED
    S_IN_WORK
    S_READY


cdef struct Standing:
    int state
    int64_t since           # event time; of S_OVER when it came to its end, as far as that is known


cdef struct LineCount:      # of a line as of a moment
    int64_t asked
    int64_t picked          # what its windows hold now
    int64_t confirmed       # of windows that are closed
    int64_t short_
    int64_t packed          # in closed cartons
    int64_t t_first         # of its first pick, NEVER: none
    int64_t t_done          # of the last close of a window
    int64_t t_packed        # of the last close of a carton with pieces of it
    int64_t t_unpacked      # when a carton of its picks was opened again or voided last
    int64_t t_told          # when it was last asked for
    bint open               # a window is, or not all that is asked for has a window
    bint carried            # a pick of it named a load unit


cdef LineCount count_of(Floor floor, Line* line, int64_t as_of) except *
cdef Standing of_line(Floor floor, Line* line, int64_t as_of) except *
cdef Standing of_order(Floor floor, Order* order, int64_t as_of) except *
cdef Standing of_cycle(Floor floor, Cycle* cycle, int64_t as_of) except *
cdef Standing of_plan(Floor floor, const CartonPlan* plan, int64_t as_of) except *
cdef Standing of_shipment(Floor floor, const Shipment* shipment, int64_t as_of) except *
