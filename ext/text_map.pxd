"""Texts to small numbers, built once: the keys of value tables, kinds, values that mean absent."""

cimport cython
from libc.stdint cimport int32_t, uint64_t
from libc.string cimport memcmp

ctypedef const unsigned char* Bytes

cdef struct TextSlot:
    Bytes at
    int32_t length      # -1: free
    int32_t number


cdef inline uint64_t text_hash(Bytes at, Py_ssize_t length) noexcept nogil:
    """FNV-1a, its upper bits folded in."""
    cdef uint64_t h = 0xCBF29CE484222325u
    cdef Py_ssize_t i
    for i in range(length):
        h = (h ^ at[i]) * 0x100000001B3u
    return h ^ h >> 29


@cython.final
cdef class TextMap:
    cdef TextSlot* slots
    cdef uint64_t mask
    cdef list alive         # the texts

    cdef inline int32_t find(self, Bytes at, Py_ssize_t length) noexcept nogil:
        """The number of a text, -1 if it is not there. At most half of the slots are taken."""
        cdef uint64_t i = text_hash(at, length) & self.mask
        while self.slots[i].length >= 0:
            if self.slots[i].length == length and memcmp(self.slots[i].at, at, length) == 0:
                return self.slots[i].number
            i = (i + 1) & self.mask
        return -1
