# cython: boundscheck=False, wraparound=False
"""Whether a loading has left the house: see leaving.pxd."""

from libc.stdint cimport int64_t

from ext cimport carton_state
from ext.batch cimport ABSENT
from ext.packing cimport contents_of
from ext.shipment_cartons cimport cycles_of
from ext.state cimport Cycle
from ext.store cimport List, length, nth
from ext.timers cimport NEVER


cdef int64_t left_at(Floor floor, Shipment* shipment, int64_t t) except? -1:
    """R54: when the last carton of the shipment left the house, or the first where a part may, by the trailers known to have
    closed up to `t` (the watermark may not have passed them yet); NEVER: it still stands here."""
    cdef List* cycles = cycles_of(floor, shipment, t, t)
    cdef carton_state.CartonState state
    cdef Fact* close
    cdef int64_t left = ABSENT, began = NEVER, this
    cdef int i
    for i in range(length(cycles)):
        state = carton_state.state_of(floor, <Cycle*>nth(cycles, i), t)
        if state.closed and contents_of(<Cycle*>nth(cycles, i), state.t_close).count == 0:
            continue                    # R50a: an empty one does not count
        close = close_behind(floor, state.loading) if state.loaded else NULL
        this = close.t if close != NULL and close.t <= t else NEVER
        left, began = max(left, this), min(began, this)
    floor.store.free(cycles)
    return began if floor.rules.emit_partial_load or left == ABSENT else left


cdef bint has_left(Floor floor, const Fact* loading, const Fact* until) except -1:
    """Did the trailer close behind a loading, and up to `until`?"""
    cdef Fact* close = close_behind(floor, loading)
    return close != NULL and not floor.precedes(until, close)


cdef Fact* close_behind(Floor floor, const Fact* loading) except? NULL:
    """The first behind a loading: a trailer comes again, and of one moment R3 says what came first. NULL: none yet."""
    cdef List* closes = floor.trailer_of(loading.trailer).closes
    cdef int i
    for i in range(length(closes)):
        if floor.precedes(loading, <Fact*>nth(closes, i)):
            return <Fact*>nth(closes, i)
    return NULL
