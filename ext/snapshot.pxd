"""The whole core in bytes, and back.

    magic "SORTLINE" | version, u16 | digest of all that follows, 16 bytes
    layout of the structs, 16 bytes | base address, u64 | top, u64 | free bytes, u64 | heads, u32[128] | root, u64
    | texts, u64; then for each number from 1 its length, i32 (-1: given back), and its bytes
    the region, as it lies in memory

The region holds everything that the core knows, pointers included; they are moved by the difference of the two base
addresses. Nothing in it is trusted before the digest fits, and a snapshot of structs of another layout is refused: it is
made again from the journal.
"""

from ext.floor cimport Floor


cdef bytes save(Floor floor)
cdef int restore(Floor floor, bytes data) except -1
