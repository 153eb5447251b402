"""Bytes of JSON text several at a time: 32 of a text, 8 of a number, where so many are left before the end."""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy

ctypedef const unsigned char* Bytes

cdef extern from *:
    """
    #include <string.h>
    #ifdef __SSE2__
    #include <emmintrin.h>
    #endif
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "json_bytes reads eight bytes at a time in little-endian order"
    #endif
    #define SORTLINE_LIKELY(x) __builtin_expect(!!(x), 1)
    static const uint64_t sortline_tens[8] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};

    /* Of eight bytes: how many stand before the first that is a quote, a backslash, a control character or not ASCII.
       The lowest mark of each of the four tests is exact, those above it may not be. */
    static inline int sortline_plain_of_8(const unsigned char *at) {
        const uint64_t ones = 0x0101010101010101u;
        uint64_t word, quote, slash, marks;
        memcpy(&word, at, 8);
        quote = word ^ (ones * '"'), slash = word ^ (ones * '\\\\');
        marks = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((word - ones * 0x20) & ~word) | word;
        marks &= ones * 0x80;
        return marks ? __builtin_ctzll(marks) >> 3 : 8;
    }

    #ifdef __SSE2__
    /* Of sixteen a bit each: it is such a byte. */
    static inline uint64_t sortline_marks_of_16(const unsigned char *at) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)at);
        __m128i quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'));
        __m128i slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\\\'));
        /* of signed numbers: what is not ASCII is below a blank, too */
        __m128i low = _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '));
        return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), low));
    }
    #endif

    /* The same of sixteen. */
    static inline int sortline_plain_of_16(const unsigned char *at) {
    #ifdef __SSE2__
        return __builtin_ctz((unsigned)sortline_marks_of_16(at) | 1u << 16);
    #else
        int plain = sortline_plain_of_8(at);
        return plain < 8 ? plain : 8 + sortline_plain_of_8(at + 8);
    #endif
    }

    /* And of thirty-two, in which most texts end: one look, whatever their length. */
    static inline int sortline_plain_of_32(const unsigned char *at) {
    #ifdef __SSE2__
        uint64_t first = sortline_marks_of_16(at), last = sortline_marks_of_16(at + 16);
        return __builtin_ctzll(first | last << 16 | (uint64_t)1 << 32);
    #else
        int plain = sortline_plain_of_16(at);
        return plain < 16 ? plain : 16 + sortline_plain_of_16(at + 16);
    #endif
    }

    /* Fewer than thirty-two bytes are left: apart, so that what is read mostly is compiled as one piece. */
    __attribute__((noinline, unused))
    static const unsigned char *sortline_plain_end_near(const unsigned char *p, const unsigned char *end) {
        if (end - p >= 16) {
            int plain = sortline_plain_of_16(p);
            p += plain;
            if (plain < 16)
                return p;
        }
        if (end - p >= 8) {
            int plain = sortline_plain_of_8(p);
            p += plain;
            if (plain < 8)
                return p;
        }
        while (p < end && *p != '"' && *p != '\\\\' && *p >= 0x20 && *p < 0x80)
            p++;
        return p;
    }
    """
    bint likely_so "SORTLINE_LIKELY"(bint x) noexcept nogil
    const uint64_t* TENS "sortline_tens"
    int first_mark "__builtin_ctzll"(uint64_t marks) noexcept nogil     # its lowest bit; marks: not 0
    int plain_of_32 "sortline_plain_of_32"(Bytes at) noexcept nogil
    Bytes plain_end_near "sortline_plain_end_near"(Bytes p, Bytes end) noexcept nogil


cdef inline uint64_t word_at(Bytes at) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, at, 8)
    return word


cdef inline bint is_digit(unsigned char c) noexcept nogil:
    return c"0" <= c <= c"9"


cdef inline Bytes plain_end(Bytes p, Bytes end) noexcept nogil:
    """The first byte from `p` that is a quote, a backslash, a control character or not ASCII; `end` if none is."""
    cdef int plain
    while likely_so(end - p >= 32):
        plain = plain_of_32(p)
        p += plain
        if plain < 32:
            return p
    return plain_end_near(p, end)


cdef inline uint64_t eight_digits_number(uint64_t digits) noexcept nogil:
    """Digits without their zeros' 0x30, the first in the lowest byte. Pairs, then fours, then all eight at once."""
    digits = digits * 2561 >> 8
    digits = (digits & 0x00FF00FF00FF00FFu) * 6553601 >> 16
    return (digits & 0x0000FFFF0000FFFFu) * 42949672960001u >> 32


cdef inline Bytes read_digits(Bytes p, Bytes end, uint64_t* number) noexcept nogil:
    """As many digits as there are; the number is right if they are 19 at most."""
    cdef uint64_t digits, others, n = 0
    cdef int count
    while likely_so(end - p >= 8):
        digits = word_at(p) ^ 0x3030303030303030u
        # The lowest mark is exact: nothing is carried out of a digit.
        others = (digits | digits + 0x0606060606060606u) & 0xF0F0F0F0F0F0F0F0u
        if others:
            count = first_mark(others) >> 3
            if count:
                n = n * TENS[count] + eight_digits_number(digits << (64 - 8 * count))
            number[0] = n
            return p + count
        n = n * 100000000u + eight_digits_number(digits)
        p += 8
    while p < end and is_digit(p[0]):
        n = n * 10 + p[0] - c"0"
        p += 1
    number[0] = n
    return p
