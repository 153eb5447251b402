"""The whole core in bytes, and back.

    magic "SORTLINE" | version, u16 | digest of all that follows, 16 bytes
    layout of the structs, 16 bytes | top, u64 | free bytes, u64 | heads, u32[192] | root, u64
    | texts, u64; then for each number from 1 its length, i32 (-1: given back), and its bytes
    zeros up to a multiple of 16; the region

The region holds everything that the core knows, its pointers as offsets from the beginning of the region: the same state
makes the same bytes, wherever it lies. Nothing in it is trusted before the digest fits, and a snapshot of structs of another layout is refused: it is
made again from the journal.
"""

from ext.floor cimport Floor


cdef bytes save(Floor floor)
cdef int restore(Floor floor, bytes data) except -1
