# cython: boundscheck=False, wraparound=False, cdivision=True
"""Canonical JSON into a buffer: see json_writer.pxd."""

from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from ext.texts cimport fold, word

cdef char* HEX = b"0123456789abcdef"
cdef bytes DECIMAL_PAIRS = b"".join(b"%02d" % n for n in range(100))
cdef const char* PAIRS = DECIMAL_PAIRS


cdef class JsonWriter:
    def __cinit__(self, Texts texts not None):
        self.texts = texts

    def __dealloc__(self):
        free(self.at)

    cdef int reserve(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t capacity = max(2 * self.capacity, self.length + more, 1024)
        cdef void* bigger = realloc(self.at, capacity)
        if bigger == NULL:
            raise MemoryError
        self.at = <char*>bigger
        self.capacity = capacity
        return 0

    cdef int escape(self, const char* text, Py_ssize_t length) except -1:
        """`escaped`, where something may have to be."""
        cdef Py_ssize_t i
        cdef unsigned char c
        cdef char* to
        if self.length + 6 * length > self.capacity:
            self.reserve(6 * length)
        to = self.at + self.length
        for i in range(length):
            c = text[i]
            if c >= 0x20 and c != c'"' and c != c"\\":
                to[0] = c
                to += 1
                continue
            to[0] = c"\\"
            to += 2
            if c == c'"' or c == c"\\":
                to[-1] = c
            elif c == 8:
                to[-1] = c"b"
            elif c == 9:
                to[-1] = c"t"
            elif c == 10:
                to[-1] = c"n"
            elif c == 12:
                to[-1] = c"f"
            elif c == 13:
                to[-1] = c"r"
            else:
                to[-1] = c"u"
                to[0] = to[1] = c"0"
                to[2] = HEX[c >> 4]
                to[3] = HEX[c & 15]
                to += 4
        self.length = to - self.at
        return 0

    cdef int longer_integer(self, int64_t value) except -1:
        cdef char digits[20]
        cdef int i = 20
        cdef uint64_t left = <uint64_t>value
        if value < 0:
            self.raw(b"-", 1)
            left = 0 - left
        while left >= 100:
            i -= 2
            memcpy(&digits[i], PAIRS + 2 * (left % 100), 2)
            left //= 100
        i -= 2
        memcpy(&digits[i], PAIRS + 2 * left, 2)
        i += left < 10
        return self.raw(&digits[i], 20 - i)

    cdef int padded(self, int64_t value, int digits) except -1:
        """`digits` decimal places, filled with zeros on the left; `value` is not negative and fits."""
        if self.length + digits > self.capacity:
            self.reserve(digits)
        write_digits(self.at + self.length, value, digits)
        self.length += digits
        return 0


cdef void write_digits(char* to, uint64_t value, int digits) noexcept nogil:
    """So many decimal places, filled with zeros on the left; `value` fits."""
    while digits > 1:
        digits -= 2
        memcpy(to + digits, PAIRS + 2 * (value % 100), 2)
        value //= 100
    if digits:
        to[0] = <char>(c"0" + value)


cdef Digest digest_of(const char* text, Py_ssize_t length) noexcept nogil:
    """128 bits to tell two contents under one key apart: fast, not for secrets. Four folds of the text side by side, which
    do not wait for each other, then two of what is left, with the four in them."""
    cdef uint64_t a = 0x243F6A8885A308D3u ^ <uint64_t>length, b = 0x13198A2E03707344u + <uint64_t>length
    cdef uint64_t c = 0xA4093822299F31D0u, d = 0x082EFA98EC4E6C89u
    cdef uint64_t w
    cdef char tail[8]
    cdef Py_ssize_t i = 0, k
    cdef Digest digest
    while i + 32 <= length:
        a = fold(a ^ word(text + i), 0x9E3779B97F4A7C15u)
        b = fold(b ^ word(text + i + 8), 0xA4093822299F31D1u)
        c = fold(c ^ word(text + i + 16), 0xBE5466CF34E90C6Du)
        d = fold(d ^ word(text + i + 24), 0xC0AC29B7C97C50DDu)
        i += 32
    a, b = fold(a ^ c, 0x3F84D5B5B5470917u) + d, fold(b ^ d, 0x9216D5D98979FB1Bu) ^ c
    while i + 8 <= length:
        w = word(text + i)
        a = fold(a ^ w, 0x9E3779B97F4A7C15u) + b
        b = fold(b + w, 0xA4093822299F31D1u) ^ a
        i += 8
    for k in range(8):
        tail[k] = text[i + k] if i + k < length else 0
    w = word(tail)
    digest.a = fold(a ^ w, 0x082EFA98EC4E6C89u)
    digest.b = fold(b ^ w ^ a, 0x452821E638D01377u)
    return digest
