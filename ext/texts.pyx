# cython: boundscheck=False, wraparound=False
"""Interned texts: see texts.pxd for the layout."""

import os

from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy


cdef extern from *:
    """
    static inline uint64_t sortline_fold(uint64_t a, uint64_t b) {
        unsigned __int128 product = (unsigned __int128)a * b;
        return (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    """
    uint64_t fold "sortline_fold"(uint64_t a, uint64_t b) noexcept nogil


cdef inline uint64_t word(const char* text) noexcept nogil:
    cdef uint64_t w
    memcpy(&w, text, 8)
    return w


cdef inline uint32_t mix(const char* text, Py_ssize_t length, uint64_t key) noexcept nogil:
    """Eight bytes at a time; the last ones overlap those before. Both factors of every product depend on the key."""
    cdef uint64_t secret = key ^ 0x9E3779B97F4A7C15u
    cdef uint64_t h = key ^ <uint64_t>length
    cdef uint64_t short_text = 0
    cdef Py_ssize_t i
    if length < 8:
        for i in range(length):
            short_text |= <uint64_t><unsigned char>text[i] << 8 * i
        return <uint32_t>(fold(h ^ short_text, secret) >> 16)
    for i in range(0, length - 8, 8):
        h = fold(h ^ word(text + i), secret)
    return <uint32_t>(fold(h ^ word(text + length - 8), secret) >> 16)


cdef class Texts:
    def __cinit__(self, Py_ssize_t bytes_max=1 << 30):
        self.bytes_max = bytes_max
        self.key = int.from_bytes(os.urandom(8), "little")
        self.mask = (1 << 12) - 1
        self.slots = <Slot*>calloc(self.mask + 1, sizeof(Slot))
        self.arena_cap = 1 << 16
        self.arena = <char*>realloc(NULL, self.arena_cap)
        self.at_cap = 1 << 12
        self.at = <int64_t*>realloc(NULL, self.at_cap * sizeof(int64_t))
        if self.slots == NULL or self.arena == NULL or self.at == NULL:
            raise MemoryError
        self.at[0] = 0
        self.at[1] = 0
        self.count = 1
        self.strings = [""]

    def __dealloc__(self):
        free(self.slots)
        free(self.arena)
        free(self.at)

    cdef uint32_t slot_of(self, const char* text, Py_ssize_t length, uint32_t hash) noexcept:
        """The slot of the text, or the free one where it belongs."""
        cdef uint32_t i = hash & self.mask
        cdef int32_t number
        while self.slots[i].number != 0:
            number = self.slots[i].number
            if (self.slots[i].hash == hash
                    and self.at[number + 1] - self.at[number] == length
                    and memcmp(self.arena + self.at[number], text, length) == 0):
                break
            i = (i + 1) & self.mask
        return i

    cdef int32_t intern(self, const char* text, Py_ssize_t length) except -1:
        if length == 0:
            return 0
        cdef uint32_t h = mix(text, length, self.key)
        cdef uint32_t i = self.slot_of(text, length, h)
        cdef int32_t number
        if self.slots[i].number != 0:
            return self.slots[i].number
        if self.arena_len + length > self.bytes_max:
            raise MemoryError(f"more than {self.bytes_max} bytes of distinct names: raise engine.texts_bytes_max")
        number = <int32_t>self.count
        if self.arena_len + length > self.arena_cap or number + 2 > self.at_cap:
            self.grow()
        while self.arena_len + length > self.arena_cap:
            self.grow()
        memcpy(self.arena + self.arena_len, text, length)
        self.arena_len += length
        self.at[number + 1] = self.arena_len
        self.slots[i].hash = h
        self.slots[i].number = number
        self.count += 1
        self.strings.append(None)
        if 2 * self.count > self.mask:
            self.rehash()
        return number

    cdef int grow(self) except -1:
        """Double the arena and the offsets: amortised O(1) a text."""
        cdef void* bigger = realloc(self.arena, 2 * self.arena_cap)
        if bigger == NULL:
            raise MemoryError
        self.arena = <char*>bigger
        self.arena_cap *= 2
        bigger = realloc(self.at, 2 * self.at_cap * sizeof(int64_t))
        if bigger == NULL:
            raise MemoryError
        self.at = <int64_t*>bigger
        self.at_cap *= 2
        return 0

    def rehash(self):
        cdef uint32_t mask = 2 * self.mask + 1
        cdef Slot* slots = <Slot*>calloc(<size_t>mask + 1, sizeof(Slot))
        cdef uint32_t i, j
        if slots == NULL:
            raise MemoryError
        for i in range(self.mask + 1):
            if self.slots[i].number != 0:
                j = self.slots[i].hash & mask
                while slots[j].number != 0:
                    j = (j + 1) & mask
                slots[j] = self.slots[i]
        free(self.slots)
        self.slots = slots
        self.mask = mask

    cdef str get(self, int32_t number):
        cdef object known = self.strings[number]
        if known is None:
            known = self.arena[self.at[number]:self.at[number + 1]].decode("utf-8")
            self.strings[number] = known
        return <str>known

    def number(self, str text):
        """The number of `text`, given out now if it is new."""
        cdef bytes raw = text.encode("utf-8")
        return self.intern(raw, len(raw))

    def find(self, str text):
        """The number of `text`; 0 if it has none. Changes nothing."""
        cdef bytes raw = text.encode("utf-8")
        return self.slots[self.slot_of(raw, len(raw), mix(raw, len(raw), self.key))].number if raw else 0

    def text(self, int number):
        if not 0 <= number < self.count:
            raise IndexError(f"no text has the number {number}")
        return self.get(number)

    def __len__(self):
        return self.count
