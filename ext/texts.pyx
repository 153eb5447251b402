# cython: boundscheck=False, wraparound=False
"""Interned texts: see texts.pxd for the layout."""

import os

from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcmp, memcpy, memset

from ext.huge_pages cimport ask_for_huge_pages

cdef uint32_t FIRST_SLOTS = 1 << 12
cdef Py_ssize_t KEEP_MIN = 16 << 20     # bytes
cdef Py_ssize_t KEEP_EARLY_MIN = 1 << 17
cdef int STRINGS = 1 << 12              # a power of two


cdef class Texts:
    def __cinit__(self, Py_ssize_t bytes_max=1 << 30):
        self.bytes_max = bytes_max
        self.key = int.from_bytes(os.urandom(8), "little")
        self.mask = FIRST_SLOTS - 1
        self.slots = <Slot*>calloc(FIRST_SLOTS, sizeof(Slot))
        self.arena_cap = 1 << 16
        self.arena = <char*>realloc(NULL, self.arena_cap)
        self.entries_cap = FIRST_SLOTS
        self.entries = <Entry*>calloc(self.entries_cap, sizeof(Entry))
        self.strings_of = <int32_t*>calloc(STRINGS, sizeof(int32_t))
        if self.slots == NULL or self.arena == NULL or self.entries == NULL or self.strings_of == NULL:
            raise MemoryError
        self.count = 1
        self.forget_strings()
        self.keep_at = min(KEEP_MIN, bytes_max // 2)
        self.keep_early_at = min(KEEP_EARLY_MIN, bytes_max // 2)

    def __dealloc__(self):
        free(self.slots)
        free(self.arena)
        free(self.entries)
        free(self.strings_of)

    cdef int32_t add(self, const char* text, Py_ssize_t length, uint32_t hash, uint32_t slot) except -1:
        """A new text. Raises MemoryError where `bytes_max` is reached."""
        cdef int32_t number = self.given_back
        if self.arena_len + length > self.bytes_max:
            raise MemoryError(f"more than {self.bytes_max} bytes of distinct names: raise engine.texts_bytes_max")
        self.room(length)
        if number:
            self.given_back = <int32_t>self.entries[number].at
        else:
            number = <int32_t>self.count
            self.count += 1
        memcpy(self.arena + self.arena_len, text, length)
        self.entries[number] = Entry(at=self.arena_len, length=<int32_t>length, hash=hash)
        self.arena_len += length
        self.slots[slot] = Slot(hash=hash, number=number)
        self.known += 1
        if 4 * self.known > 3 * <Py_ssize_t>self.mask:
            self.rehash(2 * self.mask + 1)
        return number

    cdef int room(self, Py_ssize_t length) except -1:
        """For one more text: grows by a quarter, so that a text costs O(1) amortised and little stands empty."""
        cdef void* bigger
        cdef Py_ssize_t capacity = self.arena_cap
        while self.arena_len + length > capacity:
            capacity += capacity // 4
        if capacity != self.arena_cap:
            bigger = realloc(self.arena, capacity)
            if bigger == NULL:
                raise MemoryError
            self.arena = <char*>bigger
            self.arena_cap = capacity
            ask_for_huge_pages(bigger, capacity)
        if self.count == self.entries_cap:
            capacity = self.entries_cap + self.entries_cap // 4
            bigger = realloc(self.entries, capacity * sizeof(Entry))
            if bigger == NULL:
                raise MemoryError
            self.entries = <Entry*>bigger
            self.entries_cap = capacity
            ask_for_huge_pages(bigger, capacity * sizeof(Entry))
        return 0

    cdef int rehash(self, uint32_t mask) except -1:
        """All texts that have a number, into a table of `mask` + 1 slots."""
        cdef Slot* slots = <Slot*>calloc(<size_t>mask + 1, sizeof(Slot))
        cdef uint32_t i
        cdef int32_t number
        if slots == NULL:
            raise MemoryError
        ask_for_huge_pages(slots, (<size_t>mask + 1) * sizeof(Slot))
        for number in range(1, self.count):
            if self.entries[number].length < 0:
                continue
            i = self.entries[number].hash & mask
            while slots[i].number != 0:
                i = (i + 1) & mask
            slots[i] = Slot(hash=self.entries[number].hash, number=number)
        free(self.slots)
        self.slots = slots
        self.mask = mask
        return 0

    # ------------------------------------------------------------------------------------------ forgetting

    cdef int keep(self, const uint8_t* named) except -1:
        """Forget every text n without named[n]; its number goes to the next new text."""
        cdef int32_t number
        cdef uint32_t mask = FIRST_SLOTS - 1
        for number in range(1, self.count):
            if self.entries[number].length >= 0 and not named[number]:
                self.entries[number] = Entry(at=self.given_back, length=-1, hash=0)
                self.given_back = number
                self.known -= 1
        self.forget_strings()
        self.compact()
        while 2 * self.known > mask:
            mask = 2 * mask + 1
        self.keep_at = min(max(KEEP_MIN, 2 * self.arena_len), (self.bytes_max + self.arena_len) // 2)
        self.keep_early_at = min(max(KEEP_EARLY_MIN, self.arena_len + self.arena_len // 4), self.keep_at)
        return self.rehash(mask)

    cdef int compact(self) except -1:
        """The arena anew, without the bytes of forgotten texts."""
        cdef Py_ssize_t length = 0, capacity = 1 << 16
        cdef int32_t number
        cdef char* arena
        for number in range(1, self.count):
            length += max(0, self.entries[number].length)
        while capacity < length + length // 4:
            capacity += capacity // 4
        arena = <char*>realloc(NULL, capacity)
        if arena == NULL:
            raise MemoryError
        length = 0
        for number in range(1, self.count):
            if self.entries[number].length > 0:
                memcpy(arena + length, self.arena + self.entries[number].at, self.entries[number].length)
                self.entries[number].at = length
                length += self.entries[number].length
        free(self.arena)
        self.arena, self.arena_cap, self.arena_len = arena, capacity, length
        return 0

    cdef size_t bytes_of_all(self, const uint8_t* named, uint8_t how) noexcept:
        """Bytes of the texts n with `how` in named[n]."""
        cdef size_t total = 0
        cdef int32_t number
        for number in range(1, self.count):
            if named[number] & how and self.entries[number].length >= 0:
                total += <size_t>self.entries[number].length + TEXT_BYTES
        return total

    # ------------------------------------------------------------------------------------------ a snapshot's texts

    cdef int begin_again(self) except -1:
        """Nothing has a number any more; `put_back` gives each text the number that it had, from 1 on in order."""
        self.count, self.known, self.given_back, self.arena_len = 1, 0, 0, 0
        return self.forget_strings()

    cdef int put_back(self, int32_t number, const char* text, int32_t length) except -1:
        """`length` -1: the number had been given back."""
        if self.arena_len + length > self.bytes_max:
            raise MemoryError(f"more than {self.bytes_max} bytes of distinct names: raise engine.texts_bytes_max")
        self.room(max(0, length))
        self.count = number + 1
        if length < 0:
            self.entries[number] = Entry(at=self.given_back, length=-1, hash=0)
            self.given_back = number
            return 0
        memcpy(self.arena + self.arena_len, text, length)
        self.entries[number] = Entry(at=self.arena_len, length=length, hash=mix(text, length, self.key))
        self.arena_len += length
        self.known += 1
        return 0

    cdef int end_again(self) except -1:
        cdef uint32_t mask = FIRST_SLOTS - 1
        while 4 * self.known > 3 * <Py_ssize_t>mask:
            mask = 2 * mask + 1
        return self.rehash(mask)

    # ------------------------------------------------------------------------------------------ asking

    cdef int32_t find_bytes(self, const char* text, Py_ssize_t length) noexcept:
        return self.slots[self.slot_of(text, length, mix(text, length, self.key))].number if length else 0

    cdef bint precedes(self, int32_t a, int32_t b) noexcept:
        """In the order of their bytes, which is that of their code points."""
        cdef int32_t m = self.entries[a].length, n = self.entries[b].length
        cdef int order = memcmp(self.bytes_of(a), self.bytes_of(b), min(m, n))
        return order < 0 or (order == 0 and m < n)

    cdef str get(self, int32_t number):
        """The last few thousand that were asked for are kept."""
        cdef int at = number & (STRINGS - 1)
        if self.strings_of[at] != number:
            self.strings[at] = self.bytes_of(number)[:self.length_of(number)].decode("utf-8")
            self.strings_of[at] = number
        return <str>self.strings[at]

    cdef int forget_strings(self) except -1:
        self.strings = [""] * STRINGS
        memset(self.strings_of, 0, STRINGS * sizeof(int32_t))
        return 0

    def number(self, str text):
        """The number of `text`, given out now if it is new."""
        cdef bytes raw = text.encode("utf-8")
        return self.intern(raw, len(raw))

    def find(self, str text):
        """The number of `text`; 0 if it has none. Changes nothing."""
        cdef bytes raw = text.encode("utf-8")
        return self.find_bytes(raw, len(raw))

    def text(self, int number):
        if not 0 <= number < self.count or self.entries[number].length < 0:
            raise IndexError(f"no text has the number {number}")
        return self.get(number)

    def __len__(self):
        return self.count

    def steps(self):
        """How many slots all texts together lie behind their own: what collisions cost."""
        cdef uint32_t i
        cdef int64_t total = 0
        for i in range(self.mask + 1):
            if self.slots[i].number:
                total += (i - self.slots[i].hash) & self.mask
        return total
