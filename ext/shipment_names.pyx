# cython: boundscheck=False, wraparound=False
"""Names and exceptions of shipments: see shipment_names.pxd."""

from libc.stdint cimport uint64_t

from ext.keys cimport text_key


cdef int alarm(Floor floor, Shipment* shipment, int code, int64_t t, const Fact* cause, str detail) except -1:
    """Raise an exception that this shipment can clear."""
    shipment.alarms |= <uint64_t>1 << code
    return floor.outlet.raise_(code, floor.joined(b"shipment/", shipment.id), t, cause, detail)


cdef int quiet(Floor floor, Shipment* shipment, int code, int64_t t, const Fact* cause) except -1:
    """Clear it, if it was raised."""
    if shipment.alarms >> code & 1:
        shipment.alarms &= ~(<uint64_t>1 << code)
        floor.outlet.clear(code, floor.joined(b"shipment/", shipment.id), t, cause)
    return 0


cdef Subject subject_of(const Shipment* shipment) noexcept:
    return Subject(head=b"shipment/", key=text_key(shipment.id))
