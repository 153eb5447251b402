# cython: boundscheck=False, wraparound=False
"""What nothing points to any more: see garbage.pxd."""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free

from ext.floor cimport COLLECT_MIN
from ext.store cimport NAMED


cdef int collect(Floor floor) except -1:
    """Free what nothing points to any more, and the texts that nothing names, unless a batch still holds some. To be called
    by the records alone, never between two batches."""
    cdef uint8_t* named = named_of(floor)
    cdef size_t before = floor.store.used(), used
    try:
        floor.store.sweep()
        floor.state.names_bytes = floor.texts.bytes_of_all(named, NAMED)
        if floor.texts.holders == 0:
            floor.texts.keep(named)
    finally:
        free(named)
    used = floor.store.used()
    floor.state.collect_at = used + max(<size_t>COLLECT_MIN, growth_of(used, before - used))
    return 0


cdef size_t growth_of(size_t used, size_t freed) noexcept:
    """It is looked again when the state has grown by half; where little was found, when it has doubled; where hardly
    anything, by seven."""
    if freed >= used // 8:
        return used // 2
    return used if freed >= used // 32 else 7 * used


cdef int collect_names(Floor floor) except -1:
    """Forget the texts that nothing names. What else nothing points to stays until `collect`."""
    cdef uint8_t* named = named_of(floor)
    try:
        floor.store.unmark()
        floor.texts.keep(named)
    finally:
        free(named)
    return 0


cdef uint8_t* named_of(Floor floor) except NULL:
    """Marks what can be reached; a byte for every text: whether it is named."""
    cdef uint8_t* named = <uint8_t*>calloc(floor.texts.count + 1, 1)
    if named == NULL:
        raise MemoryError
    try:
        floor.store.mark(floor.state, named, <uint32_t>floor.texts.count)
    except MemoryError:
        free(named)
        raise
    return named
