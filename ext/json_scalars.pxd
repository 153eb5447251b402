"""The scalars of JSON, read in place: texts, numbers, literals, and the reader that they move along.

Texts and numbers are looked at eight bytes at a time where so many are left before `Reader.end`.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

cdef extern from *:
    """
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "json_scalars reads eight bytes at a time in little-endian order"
    #endif
    #define SORTLINE_FIRST_BYTE(word) (__builtin_ctzll(word) >> 3)
    #define SORTLINE_LIKELY(x) __builtin_expect(!!(x), 1)
    """
    int first_byte "SORTLINE_FIRST_BYTE"(uint64_t word) noexcept nogil
    bint likely_so "SORTLINE_LIKELY"(bint x) noexcept nogil

ctypedef const unsigned char* Bytes

cdef enum Limit:
    DEPTH_MAX = 32              # nested objects and lists, the record itself counted
    KEYS_MAX = 256              # keys of one object
    TEXT_MAX = 4096             # bytes of one text or key, escapes resolved
    NUMBER_MAX = 64             # characters of one number
    EXPONENT_MAX = 240          # with NUMBER_MAX: always within a double

cdef enum Fault:
    SOUND = 0
    BROKEN
    NOT_UTF8
    TOO_DEEP
    TOO_MANY_KEYS
    TEXT_TOO_LONG
    NUMBER_TOO_LARGE
    DUPLICATE_KEY

cdef enum Token:
    T_TEXT
    T_INT           # 0 <= n < 2**63
    T_NUMBER        # any other number
    T_TRUE
    T_FALSE
    T_NULL
    T_LIST
    T_OBJECT

cdef struct Value:
    uint64_t stamp      # of the record that it was read from
    Bytes at            # first byte; of a text: after the quote
    int64_t number      # T_INT
    int32_t length      # in the line; of a text: without quotes, escapes as they stand
    int32_t resolved    # T_TEXT: length with escapes resolved
    uint8_t token

cdef struct Key:
    uint64_t head       # first and last eight bytes: see `name_words`
    uint64_t tail
    Bytes plain         # escapes resolved; valid until the next key is read
    Bytes at
    int32_t length
    int32_t resolved

cdef struct Reader:
    Bytes start
    Bytes at
    Bytes end
    int fault
    int depth
    int open_keys           # keys on the stack: those of the objects that are not closed yet
    Key* keys               # DEPTH_MAX * KEYS_MAX
    unsigned char* scratch  # 2 * TEXT_MAX


cdef inline bint failed(Reader* r, int fault, Bytes at) noexcept nogil:
    r.fault = fault
    r.at = at
    return False


cdef inline uint64_t word_at(Bytes at) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, at, 8)
    return word


cdef inline bint is_space(unsigned char c) noexcept nogil:
    return c == c" " or c == c"\t" or c == c"\r" or c == c"\n"


cdef inline bint is_digit(unsigned char c) noexcept nogil:
    return c"0" <= c <= c"9"


cdef inline void skip_space(Reader* r) noexcept nogil:
    while r.at < r.end and is_space(r.at[0]):
        r.at += 1


cdef inline bint take(Reader* r, unsigned char c) noexcept nogil:
    """Step over `c` if it comes next."""
    if r.at < r.end and r.at[0] == c:
        r.at += 1
        return True
    return False


# Texts.

cdef inline Bytes plain_end(Bytes p, Bytes end) noexcept nogil:
    """The first byte from `p` that is a quote, a backslash, a control character or not ASCII; `end` if none is.

    Eight bytes at a time; the lowest mark of each of the four tests is exact, those above it may not be.
    """
    cdef uint64_t ones = 0x0101010101010101u
    cdef uint64_t tops = 0x8080808080808080u
    cdef uint64_t word, quote, slash, marks
    while end - p >= 8:
        word = word_at(p)
        quote = word ^ (ones * 0x22)
        slash = word ^ (ones * 0x5C)
        marks = (((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((word - ones * 0x20) & ~word) | word) & tops
        if marks:
            return p + first_byte(marks)
        p += 8
    while p < end and p[0] != c'"' and p[0] != c"\\" and 0x20 <= p[0] < 0x80:
        p += 1
    return p


cdef inline int utf8_length(Bytes p, Bytes end) noexcept nogil:
    """Bytes of the one character at `p`; 0 if it is not UTF-8 (RFC 3629: no overlong form, no surrogate, <= 10FFFF)."""
    cdef int n, i
    if 0xC2 <= p[0] <= 0xDF:
        n = 2
    elif 0xE0 <= p[0] <= 0xEF:
        n = 3
    elif 0xF0 <= p[0] <= 0xF4:
        n = 4
    else:
        return 0
    if end - p < n:
        return 0
    for i in range(1, n):
        if p[i] & 0xC0 != 0x80:
            return 0
    if (p[0] == 0xE0 and p[1] < 0xA0) or (p[0] == 0xED and p[1] > 0x9F):
        return 0
    if (p[0] == 0xF0 and p[1] < 0x90) or (p[0] == 0xF4 and p[1] > 0x8F):
        return 0
    return n


cdef inline int hex4(Bytes p, Bytes end) noexcept nogil:
    """The number of four hexadecimal digits; -1 if they are not."""
    cdef int i, number = 0
    if end - p < 4:
        return -1
    for i in range(4):
        if is_digit(p[i]):
            number = number * 16 + p[i] - c"0"
        elif c"a" <= p[i] <= c"f":
            number = number * 16 + p[i] - c"a" + 10
        elif c"A" <= p[i] <= c"F":
            number = number * 16 + p[i] - c"A" + 10
        else:
            return -1
    return number


cdef inline int escape(Bytes p, Bytes end, int* character) noexcept nogil:
    """Bytes of the escape at `p` (a backslash), and the character that it stands for; 0 if it is none."""
    cdef int low
    if end - p < 2:
        return 0
    if p[1] != c"u":
        if p[1] == c'"' or p[1] == c"\\" or p[1] == c"/":
            character[0] = p[1]
        elif p[1] == c"b":
            character[0] = 8
        elif p[1] == c"f":
            character[0] = 12
        elif p[1] == c"n":
            character[0] = 10
        elif p[1] == c"r":
            character[0] = 13
        elif p[1] == c"t":
            character[0] = 9
        else:
            return 0
        return 2
    character[0] = hex4(p + 2, end)
    if character[0] < 0 or 0xDC00 <= character[0] <= 0xDFFF:
        return 0
    if not 0xD800 <= character[0] <= 0xDBFF:
        return 6
    if end - p < 12 or p[6] != c"\\" or p[7] != c"u":
        return 0
    low = hex4(p + 8, end)
    if not 0xDC00 <= low <= 0xDFFF:
        return 0
    character[0] = 0x10000 + ((character[0] - 0xD800) << 10) + (low - 0xDC00)
    return 12


cdef inline int utf8(int character, unsigned char* out) noexcept nogil:
    """Write a character as UTF-8; returns its bytes."""
    if character < 0x80:
        out[0] = character
        return 1
    if character < 0x800:
        out[0] = 0xC0 | character >> 6
        out[1] = 0x80 | character & 0x3F
        return 2
    if character < 0x10000:
        out[0] = 0xE0 | character >> 12
        out[1] = 0x80 | character >> 6 & 0x3F
        out[2] = 0x80 | character & 0x3F
        return 3
    out[0] = 0xF0 | character >> 18
    out[1] = 0x80 | character >> 12 & 0x3F
    out[2] = 0x80 | character >> 6 & 0x3F
    out[3] = 0x80 | character & 0x3F
    return 4


cdef inline void resolve(Bytes p, int32_t length, unsigned char* out) noexcept nogil:
    """Copy a text that has been read, its escapes resolved; `out` has room for `Value.resolved` bytes."""
    cdef Bytes end = p + length
    cdef int character = 0
    while p < end:
        if p[0] == c"\\":
            p += escape(p, end, &character)
            out += utf8(character, out)
        else:
            out[0] = p[0]
            out += 1
            p += 1


cdef inline bint read_text(Reader* r, Bytes* at, int32_t* length, int32_t* resolved) noexcept nogil:
    """A text, from its quote on: where it lies, its bytes in the line, its bytes with escapes resolved."""
    cdef Bytes first = r.at + 1
    cdef Bytes p = first
    cdef Py_ssize_t saved = 0
    cdef int n, character = 0
    cdef unsigned char character_utf8[4]
    while True:
        p = plain_end(p, r.end)
        if p == r.end:
            return failed(r, BROKEN, p)
        if likely_so(p[0] == c'"'):
            break
        if p[0] == c"\\":
            n = escape(p, r.end, &character)
            if n == 0:
                return failed(r, BROKEN, p)
            saved += n - utf8(character, character_utf8)
        elif p[0] < 0x20:
            return failed(r, BROKEN, p)
        else:
            n = utf8_length(p, r.end)
            if n == 0:
                return failed(r, NOT_UTF8, p)
        p += n
    if p - first - saved > TEXT_MAX:
        return failed(r, TEXT_TOO_LONG, first)
    at[0] = first
    length[0] = <int32_t>(p - first)
    resolved[0] = <int32_t>(p - first - saved)
    r.at = p + 1
    return True


# Numbers and literals.

cdef inline bint eight_digits(uint64_t word) noexcept nogil:
    return (word & 0xF0F0F0F0F0F0F0F0u) == 0x3030303030303030u and (
        (word + 0x0606060606060606u) & 0xF0F0F0F0F0F0F0F0u) == 0x3030303030303030u


cdef inline uint64_t eight_digits_number(uint64_t word) noexcept nogil:
    """Pairs, then fours, then eight digits at once: three multiplications."""
    word = (word & 0x0F0F0F0F0F0F0F0Fu) * 2561 >> 8
    word = (word & 0x00FF00FF00FF00FFu) * 6553601 >> 16
    return (word & 0x0000FFFF0000FFFFu) * 42949672960001u >> 32


cdef inline Bytes skip_digits(Bytes p, Bytes end) noexcept nogil:
    while p < end and is_digit(p[0]):
        p += 1
    return p


cdef inline bint read_fraction(Reader* r, Bytes first, Bytes p) noexcept nogil:
    """The rest of a number that is not a plain integer, from the byte after its integer digits."""
    cdef Bytes part
    cdef int exponent = 0
    if p < r.end and p[0] == c".":
        part = p + 1
        p = skip_digits(part, r.end)
        if p == part:
            return failed(r, BROKEN, p)
    if p < r.end and (p[0] == c"e" or p[0] == c"E"):
        p += 1
        if p < r.end and (p[0] == c"+" or p[0] == c"-"):
            p += 1
        part = p
        while p < r.end and is_digit(p[0]):
            if exponent <= EXPONENT_MAX:
                exponent = exponent * 10 + p[0] - c"0"
            p += 1
        if p == part:
            return failed(r, BROKEN, p)
    if exponent > EXPONENT_MAX or p - first > NUMBER_MAX:
        return failed(r, NUMBER_TOO_LARGE, first)
    r.at = p
    return True


cdef inline bint read_number(Reader* r, Value* value) noexcept nogil:
    cdef Bytes first = r.at
    cdef Bytes p = first
    cdef uint64_t number = 0
    if p[0] == c"-":
        p += 1
    if p == r.end or not is_digit(p[0]):
        return failed(r, BROKEN, p)
    if p[0] == c"0" and r.end - p > 1 and is_digit(p[1]):
        return failed(r, BROKEN, p)
    while r.end - p >= 8 and p - first < 16 and eight_digits(word_at(p)):
        number = number * 100000000u + eight_digits_number(word_at(p))
        p += 8
    while p < r.end and is_digit(p[0]) and p - first < 19:
        number = number * 10 + p[0] - c"0"
        p += 1
    if p < r.end and (is_digit(p[0]) or p[0] == c"." or p[0] == c"e" or p[0] == c"E"):
        value.token = T_NUMBER
        return read_fraction(r, first, skip_digits(p, r.end))
    # At most 19 digits: below 10**19, which a uint64 holds.
    value.token = T_NUMBER if first[0] == c"-" or number > 0x7FFFFFFFFFFFFFFFu else T_INT
    value.number = <int64_t>number
    r.at = p
    return True


cdef inline bint read_literal(Reader* r, Value* value) noexcept nogil:
    cdef Py_ssize_t left = r.end - r.at
    if left >= 4 and memcmp(r.at, b"true", 4) == 0:
        value.token = T_TRUE
        r.at += 4
    elif left >= 5 and memcmp(r.at, b"false", 5) == 0:
        value.token = T_FALSE
        r.at += 5
    elif left >= 4 and memcmp(r.at, b"null", 4) == 0:
        value.token = T_NULL
        r.at += 4
    else:
        return failed(r, BROKEN, r.at)
    return True
