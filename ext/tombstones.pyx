# cython: boundscheck=False, wraparound=False
"""What is left of windows that went before their time (R46): see tombstones.pxd."""

from ext.json_writer cimport digest_of
from ext.store cimport B_PLAIN_TABLE, Slot, Table, find


cdef uint64_t grave_of(Floor floor, const char* head, int32_t text) except? 0:
    """A hash of the name itself: its number may be given to another text meanwhile."""
    floor.scratch.clear()
    floor.scratch.put(head)
    floor.scratch.raw(floor.texts.bytes_of(text), floor.texts.length_of(text))
    return digest_of(floor.scratch.at, floor.scratch.length).a


cdef int bury(Floor floor, const char* head, int32_t text, int64_t t) except -1:
    return floor.store.put(floor.state.tombstones, grave_of(floor, head, text), <void*>(<uint64_t>t << 1 | 1))


cdef bint is_buried(Floor floor, const char* head, int32_t text) except -1:
    """R46: whether a window of that name went before its time."""
    if floor.state.tombstones.count == 0:
        return False
    return find(floor.state.tombstones, grave_of(floor, head, text)) != NULL


cdef int forget(Floor floor, int64_t before) except -1:
    """Those of windows that closed before: nothing that comes for them could be anything but dead by R29."""
    cdef Table* old = floor.state.tombstones
    cdef Table* kept
    cdef uint64_t i
    cdef bint any_old = False
    for i in range(old.capacity):
        any_old = any_old or (old.slots[i].value != NULL and <int64_t><uint64_t>old.slots[i].value >> 1 < before)
    if not any_old:
        return 0
    kept = floor.store.table(B_PLAIN_TABLE)
    for i in range(old.capacity):
        if old.slots[i].value != NULL and <int64_t><uint64_t>old.slots[i].value >> 1 >= before:
            floor.store.put(kept, old.slots[i].key, old.slots[i].value)
    floor.state.tombstones = kept
    floor.store.free(old.slots)
    floor.store.free(old)
    return 0


cdef bint are_many(Floor floor) noexcept:
    """Their table is so large a part of what may be held that there is no room for it twice: it could not double."""
    return floor.state.tombstones.capacity * sizeof(Slot) >= floor.bytes_max // 8
