"""Text becomes a small integer once, at the edge: equal texts have equal numbers.

Open addressing over (hash, number) pairs, linear probing, load <= 1/2. The bytes of all texts lie in one arena;
text n is arena[at[n] : at[n + 1]]. Number 0 is the empty text, which stands for "absent" in every column.
The hash is keyed per table (products of 64 x 64 bits, folded), so that crafted names do not collide.
"""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t


cdef struct Slot:
    uint32_t hash
    int32_t number      # 0: free


cdef class Texts:
    cdef Slot* slots
    cdef uint32_t mask
    cdef char* arena
    cdef Py_ssize_t arena_len
    cdef Py_ssize_t arena_cap
    cdef int64_t* at
    cdef Py_ssize_t at_cap
    cdef readonly Py_ssize_t count
    cdef readonly Py_ssize_t bytes_max
    cdef uint64_t key
    cdef list strings               # lazily made str of each number

    cdef uint32_t slot_of(self, const char* text, Py_ssize_t length, uint32_t hash) noexcept
    cdef int32_t intern(self, const char* text, Py_ssize_t length) except -1
    cdef str get(self, int32_t number)
    cdef int grow(self) except -1
