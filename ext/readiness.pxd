"""R50, R50a, R53: is a shipment ready as of an event time, and what would the event say?"""

from libc.stdint cimport int64_t

from ext.floor cimport Cycle, Fact, Floor, Line, Shipment


cdef object verdict_of(Floor floor, Shipment shipment, int64_t as_of)
cdef dict truth_of(Floor floor, Shipment shipment, int64_t as_of)
cdef list cycles_of(Floor floor, Shipment shipment, int64_t as_of)
cdef list unused_of(Floor floor, Shipment shipment, int64_t as_of)
cdef str correlation(Floor floor, Shipment shipment)
cdef Shipment home_of(Cycle cycle, int64_t as_of)
