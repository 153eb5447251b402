"""Text becomes a small integer once, at the edge: equal texts have equal numbers.

Open addressing over (hash, number) pairs, linear probing, load <= 3/4. The bytes of all texts lie in one arena; text n
is arena[entries[n].at :][: entries[n].length]. Number 0 is the empty text, which stands for "absent" in every column.
The hash is keyed per table (products of 64 x 64 bits, folded, and once more), so that crafted names do not collide.

The table is bounded: `keep` forgets the texts that nothing names any more, and gives their numbers out again. A batch
with rows holds what it names (`holders`), so nothing is forgotten while one waits.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #ifndef SORTLINE_FOLD
    #define SORTLINE_FOLD
    static inline uint64_t sortline_fold(uint64_t a, uint64_t b) {
        unsigned __int128 product = (unsigned __int128)a * b;
        return (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    static inline uint64_t sortline_share_of(uint64_t a, uint64_t n) {
        return (uint64_t)((unsigned __int128)a * n >> 64);
    }
    #endif
    """
    uint64_t fold "sortline_fold"(uint64_t a, uint64_t b) noexcept nogil
    uint64_t share_of "sortline_share_of"(uint64_t a, uint64_t n) noexcept nogil     # a of 2**64 parts of n: below n


cdef inline uint64_t stirred(uint64_t folded) noexcept nogil:
    """Every bit of a product counts for each of these. One `fold` alone turns numbers in a row into numbers in a row
    (the step depends on the secret), which one secret in some hundred lays into few slots of a table."""
    return fold(folded, 0xD6E8FEB86659FD93u)


cdef inline uint64_t word(const char* text) noexcept nogil:
    cdef uint64_t w
    memcpy(&w, text, 8)
    return w


cdef inline uint64_t short_word(const char* text, Py_ssize_t length) noexcept nogil:
    """Of one to seven bytes, some of them twice: texts of one length have the same only if they are equal."""
    cdef uint32_t first = 0
    cdef uint32_t last = 0
    if length >= 4:
        memcpy(&first, text, 4)
        memcpy(&last, text + length - 4, 4)
    elif length:
        first = <unsigned char>text[0] | <uint32_t><unsigned char>text[length >> 1] << 8
        last = <unsigned char>text[length - 1]
    return first | <uint64_t>last << 32


cdef inline uint32_t mix(const char* text, Py_ssize_t length, uint64_t key) noexcept nogil:
    """Eight bytes at a time; the last ones overlap those before. Both factors of every product depend on the key."""
    cdef uint64_t secret = key ^ 0x9E3779B97F4A7C15u
    cdef uint64_t h = key ^ <uint64_t>length
    cdef Py_ssize_t i
    if length < 8:
        return <uint32_t>stirred(fold(h ^ short_word(text, length), secret))
    for i in range(0, length - 8, 8):
        h = fold(h ^ word(text + i), secret)
    return <uint32_t>stirred(fold(h ^ word(text + length - 8), secret))


cdef inline bint same(const char* a, const char* b, Py_ssize_t length) noexcept nogil:
    """Whether two texts of one length are equal. As `mix`: most are too short for a call to pay."""
    cdef Py_ssize_t i
    if length < 8:
        return short_word(a, length) == short_word(b, length)
    for i in range(0, length - 8, 8):
        if word(a + i) != word(b + i):
            return False
    return word(a + length - 8) == word(b + length - 8)


cdef struct Slot:
    uint32_t hash
    int32_t number      # 0: free


cdef enum:
    TEXT_BYTES = 32     # that a text takes beside its own: an entry, and a slot beside a free one


cdef struct Entry:
    int64_t at          # of its bytes in the arena; of a number given back the next such number
    int32_t length      # -1: the number was given back
    uint32_t hash


@cython.final
cdef class Texts:
    cdef Slot* slots
    cdef uint32_t mask
    cdef char* arena
    cdef Py_ssize_t arena_len
    cdef Py_ssize_t arena_cap
    cdef Entry* entries
    cdef Py_ssize_t entries_cap
    cdef readonly Py_ssize_t count  # numbers given out, those given back among them
    cdef readonly Py_ssize_t known  # texts that have a number now
    cdef int32_t given_back         # first of the numbers given back, 0: none
    cdef readonly Py_ssize_t bytes_max
    cdef uint64_t key
    cdef list strings               # made lately, by the last bits of their numbers,
    cdef int32_t* strings_of        # and which number each is of
    cdef int holders                # batches with rows
    cdef int cores                  # that name texts: what one of several does not name may be named by another
    cdef Py_ssize_t keep_at         # bytes of texts at which it is worth looking for forgotten ones,
    cdef Py_ssize_t keep_early_at   # and where room is scarce

    cdef inline uint32_t slot_of(self, const char* text, Py_ssize_t length, uint32_t hash) noexcept:
        """The slot of the text, or the free one where it belongs."""
        cdef uint32_t i = hash & self.mask
        cdef int32_t number = self.slots[i].number
        while number != 0:
            if (self.slots[i].hash == hash and self.entries[number].length == length
                    and same(self.arena + self.entries[number].at, text, length)):
                return i
            i = (i + 1) & self.mask
            number = self.slots[i].number
        return i

    cdef inline int32_t intern(self, const char* text, Py_ssize_t length) except -1:
        """Its number, given out now if it is new."""
        if length == 0:
            return 0
        cdef uint32_t hash = mix(text, length, self.key)
        cdef uint32_t i = self.slot_of(text, length, hash)
        return self.slots[i].number or self.add(text, length, hash, i)

    cdef int32_t add(self, const char* text, Py_ssize_t length, uint32_t hash, uint32_t slot) except -1
    cdef int32_t find_bytes(self, const char* text, Py_ssize_t length) noexcept
    cdef str get(self, int32_t number)
    cdef int forget_strings(self) except -1
    cdef int room(self, Py_ssize_t length) except -1
    cdef int rehash(self, uint32_t mask) except -1
    cdef int compact(self) except -1
    cdef int begin_again(self) except -1
    cdef int put_back(self, int32_t number, const char* text, int32_t length) except -1
    cdef int end_again(self) except -1
    cdef int keep(self, const uint8_t* named) except -1
    cdef bint precedes(self, int32_t a, int32_t b) noexcept

    cdef size_t bytes_of_all(self, const uint8_t* named, uint8_t how) noexcept

    cdef inline size_t bytes_held(self) noexcept:
        """What the texts take, half of the slots being free."""
        return <size_t>self.arena_len + <size_t>self.count * sizeof(Entry) + 2 * <size_t>self.known * sizeof(Slot)

    cdef inline const char* bytes_of(self, int32_t number) noexcept:
        return self.arena + self.entries[number].at

    cdef inline int32_t length_of(self, int32_t number) noexcept:
        return self.entries[number].length
