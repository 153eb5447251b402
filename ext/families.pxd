"""The objects of which the order systems tell revisions (R10): by family and name they stand in `State.revisions`."""


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
