"""Tracks (R60-R63): the machine's number of an item while it is on the machine; numbers come again.

A fact that names a track is resolved when the watermark passes it, so that an induction that arrives late cannot send it
to the item that had the number before.
"""

from libc.stdint cimport int64_t

from ext.floor cimport Fact, Floor, TrackLife

cdef enum TrackTag:
    TAG_RESOLVE = 31
    TAG_UNRESOLVED = 32
    TAG_MULTIREAD = 33


cdef class Multiread:
    """A scan of several codes at once, until the watermark passes it (R63)."""
    cdef Fact fact
    cdef list codes
    cdef bint closes        # R42: its read point stands for a close


cdef int take(Floor floor, Fact fact) except -1
cdef int take_multiread(Floor floor, Fact fact, list codes, bint closes) except -1
cdef int resolve_multiread(Floor floor, Multiread multiread) except -1
cdef int resolve(Floor floor, Fact fact) except -1
cdef int give_up(Floor floor, TrackLife life, int64_t due) except -1
cdef int check_item(Floor floor, Fact fact) except -1
cdef int see(Floor floor, Fact fact) except -1
