"""Tracks (R60-R63): the machine's number of an item while it is on the machine; numbers come again.

A fact that names a track is resolved when the watermark passes it, so that an induction that arrives late cannot send it
to the item that had the number before.
"""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Floor
from ext.sources cimport Multiread, Source, TrackLife
from ext.state cimport Fact
from ext.store cimport Numbers

cdef enum TrackTag:
    TAG_RESOLVE = 31        # the watermark has passed a fact that names a track (R60),
    TAG_UNRESOLVED = 32     # `ident_wait_ms` after one that nobody has identified (R60),
    TAG_MULTIREAD = 33      # a scan of several codes (R63),
    TAG_BOUND = 35          # the oldest of these of a source has waited for `hold_wall_max_ms` (R4)


cdef int take(Floor floor, Source* source, Fact* fact) except -1
cdef int take_multiread(Floor floor, Source* source, Fact* fact, Numbers* codes, bint closes) except -1
cdef int on_passed(Floor floor, Fact* fact) except -1
cdef int on_multiread_passed(Floor floor, Multiread* multiread) except -1
cdef int on_bound(Floor floor, Source* source) except -1
cdef int resolve_settled(Floor floor) except -1
cdef int give_up(Floor floor, TrackLife* life, int64_t due) except -1
cdef int see(Floor floor, const Fact* fact) except -1
