"""Shipments (R51, R52, R56): ready, unready, manifested.

`verdict_of` (see readiness) says whether R50 holds as of an event time, and with which data. Every fact that concerns a
shipment touches it at the fact's event time; when the watermark passes a touch, the truth as of that moment is known for
good, whatever the order of arrival. A truth is told once it has lasted `ready_hold_ms`; its end is told as soon as the
fact arrives.
"""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.state cimport Cycle, Fact, LoadUnit, Shipment
from ext.store cimport List

cdef enum ShipmentTag:
    TAG_READY = 22          # a truth has had its hold


cdef int touch_cycle(Floor floor, Cycle* cycle, Fact* cause) except -1
cdef int take_unit_fact(Floor floor, Fact* fact) except -1
cdef int touch_ride(Floor floor, LoadUnit* unit, Fact* bind) except -1
cdef int touch_sharing(Floor floor, const Shipment* shipment, const List* scope, Fact* cause) except -1
cdef int on_touch(Floor floor, Shipment* shipment, int64_t t) except -1
cdef int on_hold_over(Floor floor, Shipment* shipment, int64_t since, bint forced) except -1
cdef int on_gap_hold_over(Floor floor, Shipment* shipment, int64_t since) except -1
cdef int release_held(Floor floor, Shipment* shipment) except -1
cdef int tell_lasted(Floor floor, Shipment* shipment, int64_t t) except -1
cdef int on_bound(Floor floor, Shipment* shipment, int64_t t) except -1
cdef int cancel(Floor floor, Shipment* shipment, Fact* fact) except -1
