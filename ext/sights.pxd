"""Sights of load units (R63, R64): where a barcode was seen, which of several codes counts, what was lost and found.

Of a load unit the areas are remembered in which it was seen. Within `ident_wait_ms` of each other sights make a run, of
which the ends are enough; two generations of the table bound it.
"""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Floor
from ext.sources cimport Source
from ext.state cimport Fact, LoadUnit
from ext.store cimport List, Numbers

cdef enum SightTag:
    TAG_LOST = 82           # the watermark passed a loss, or a sight after one (R64)
    TAG_READ = 83           # or a read after a scan of several codes (R63)


cdef bint note(Floor floor, Source* source, Fact* fact) except -1
cdef int joins_nothing(Floor floor, Fact* fact) noexcept
cdef int let_go(Floor floor, Fact* fact) noexcept
cdef Fact* found(Floor floor, const Fact* fact) except? NULL
cdef int were_lost(Floor floor, LoadUnit* unit) noexcept
cdef int found_after(Floor floor, const Fact* lost, List** strays) except -1
cdef int wait_for_watermark(Floor floor, Fact* fact, int tag) except -1
cdef int watch(Floor floor, LoadUnit* unit, Fact* fact) except -1
cdef int judge(Floor floor, Fact* fact) except -1
cdef int expect_read(Floor floor, Source* source, const Fact* multiread) except -1
cdef int on_read(Floor floor, Fact* fact) except -1
cdef int32_t subject_of(Floor floor, const Fact* fact) except -1
cdef int choose(Floor floor, Source* source, Fact* fact, const Numbers* codes) except -1
