"""Trailers: what is scanned into them, and that they close (R54, R55).

Loads and closes are judged when the watermark has passed them, so that their order of arrival does not matter. A trailer
comes again: a visit runs from one close to the next.
"""

from ext.floor cimport Floor
from ext.state cimport Fact

cdef enum TrailerTag:
    TAG_LOAD = 75           # the watermark passed a load.scanned or load.removed
    TAG_CLOSED = 76         # or a trailer.closed


cdef int take_load(Floor floor, Fact* fact) except -1
cdef int take_close(Floor floor, Fact* fact) except -1
cdef int on_load(Floor floor, Fact* fact) except -1
cdef int on_closed(Floor floor, Fact* close, bint forced) except -1
