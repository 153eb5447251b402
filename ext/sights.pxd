"""Sights of load units (R63, R64): where a barcode was seen, which of several codes counts, what was lost and found.

A place to remember sights is (site/area, lu). Within `ident_wait_ms` of each other they make a run, of which the ends are
enough; two generations of the table bound it.
"""

from libc.stdint cimport int64_t

from ext.floor cimport Fact, Floor, LoadUnit

cdef enum SightTag:
    TAG_LOST = 82           # it passed a loss, or a sight after one


cdef class Sighting:
    cdef int64_t first          # of the run of sights
    cdef int64_t last
    cdef int64_t before         # the last one before the run, ABSENT: none
    cdef Fact latest            # and the one before it: what a loss that comes late was followed by
    cdef Fact earlier


cdef int note(Floor floor, Fact fact) except -1
cdef Fact found(Floor floor, Fact fact)
cdef list found_after(Floor floor, Fact lost)
cdef int watch(Floor floor, LoadUnit unit, Fact fact) except -1
cdef int judge(Floor floor, Fact fact) except -1
cdef int choose(Floor floor, Fact fact, list codes) except -1
