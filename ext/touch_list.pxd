"""The touches of a shipment, sorted by time: see touches.pxd."""

from libc.stdint cimport int64_t

from ext.state cimport Shipment


cdef inline int touches_of(const Shipment* shipment) noexcept:
    return shipment.touches.count if shipment.touches != NULL else 0


cdef inline int first_after(const Shipment* shipment, int64_t t) noexcept:
    """The first touch later than `t`; mostly near the end."""
    cdef int i = touches_of(shipment)
    while i > 0 and shipment.touches.items[i - 1].t > t:
        i -= 1
    return i
