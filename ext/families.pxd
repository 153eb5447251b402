"""The objects of which the order systems tell revisions (R10): by family and name they stand in `State.revisions`."""

from libc.stdint cimport int64_t, uint8_t

from ext.json_writer cimport Digest

cdef enum:
    ORDER
    TASK
    SHIPMENT
    MANIFEST
    CARTON
    WAVE
    RMA
    ALLOC
    STOCK
    BIND
    HOLDS


cdef struct Revision:
    # R10: the last revision of one object of the context.
    Digest content
    int64_t rev
    int64_t t                   # event time
    uint8_t cancelled           # context.Ended
