# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""See json_special.pxd. Nothing here allocates, raises or needs the GIL."""

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcmp

from ext.json_bytes cimport Bytes, is_digit, plain_end, read_digits
from ext.json_reader cimport first_member, next_member, push_key, read_key, read_value
from ext.json_types cimport (
    BROKEN, DEPTH_MAX, EXPONENT_MAX, NOT_UTF8, NUMBER_MAX, NUMBER_TOO_LARGE, T_FALSE, T_INT, T_LIST, T_NULL, T_NUMBER,
    T_OBJECT, T_TRUE, TEXT_MAX, TEXT_TOO_LONG, TOO_DEEP,
    Key, Reader, Value, failed, skip_space, stands,
)


# Texts.

cdef int utf8_length(Bytes p, Bytes end) noexcept nogil:
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


cdef int hex4(Bytes p, Bytes end) noexcept nogil:
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


cdef int escape(Bytes p, Bytes end, int* character) noexcept nogil:
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


cdef int utf8(int character, unsigned char* out) noexcept nogil:
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


cdef void resolve(Bytes p, int32_t length, unsigned char* out) noexcept nogil:
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


cdef Bytes read_special_text(Reader* r, Bytes first, Bytes p, int32_t* length, int32_t* resolved) noexcept nogil:
    """A text that is not all plain, from its first byte `p` that is not."""
    cdef Py_ssize_t saved = 0
    cdef int n, character = 0
    cdef unsigned char character_utf8[4]
    while True:
        if p == r.end:
            return failed(r, BROKEN, p)
        if p[0] == c'"':
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
        p = plain_end(p + n, r.end)
    if p - first - saved > TEXT_MAX:
        return failed(r, TEXT_TOO_LONG, first)
    length[0] = <int32_t>(p - first)
    resolved[0] = <int32_t>(p - first - saved)
    return p + 1


# Numbers and literals.

cdef Bytes read_special_number(Reader* r, Bytes first, Value* value) noexcept nogil:
    """A number that is negative, huge, fractional, or none at all."""
    cdef uint64_t number
    cdef Bytes digits = first + stands(first, r.end, c"-")
    cdef Bytes p = read_digits(digits, r.end, &number)
    if p == digits:
        return failed(r, BROKEN, p)
    if digits[0] == c"0" and p - digits > 1:
        return failed(r, BROKEN, digits)
    value.token = T_NUMBER
    if p - digits > 19 or stands(p, r.end, c".") or stands(p, r.end, c"e") or stands(p, r.end, c"E"):
        return read_fraction(r, first, p)
    # at most 19 digits: below 10**19, which a uint64 holds
    if digits == first and number <= 0x7FFFFFFFFFFFFFFFu:
        value.token = T_INT
        value.number = <int64_t>number
    return p


cdef Bytes read_fraction(Reader* r, Bytes first, Bytes p) noexcept nogil:
    """The rest of a number that is not a plain integer, from the byte after its integer digits."""
    cdef Bytes part
    cdef int exponent = 0
    if stands(p, r.end, c"."):
        part = p + 1
        p = skip_digits(part, r.end)
        if p == part:
            return failed(r, BROKEN, p)
    if stands(p, r.end, c"e") or stands(p, r.end, c"E"):
        p += 1
        if stands(p, r.end, c"+") or stands(p, r.end, c"-"):
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
    return p


cdef Bytes skip_digits(Bytes p, Bytes end) noexcept nogil:
    while p < end and is_digit(p[0]):
        p += 1
    return p


cdef Bytes read_literal(Reader* r, Bytes at, Value* value) noexcept nogil:
    cdef Py_ssize_t left = r.end - at
    if left >= 4 and memcmp(at, b"true", 4) == 0:
        value.token = T_TRUE
        return at + 4
    if left >= 5 and memcmp(at, b"false", 5) == 0:
        value.token = T_FALSE
        return at + 5
    if left >= 4 and memcmp(at, b"null", 4) == 0:
        value.token = T_NULL
        return at + 4
    return failed(r, BROKEN, at)


# Nested values.

cdef Bytes skip_object(Reader* r, Bytes at) noexcept nogil:
    """Read an object, from its bracket on, for its syntax alone."""
    cdef int first = r.open_keys
    cdef bint more
    cdef Key key
    cdef Value value
    at = first_member(r, at, c"}", &more)
    while more:
        at = read_key(r, at, &key)
        if at == NULL or not push_key(r, &key, first):
            return NULL
        at = read_value(r, at, &value)
        if at != NULL:
            at = next_member(r, at, c"}", &more)
        if at == NULL:
            return NULL
    r.open_keys = first
    return at


cdef Bytes skip_list(Reader* r, Bytes at) noexcept nogil:
    cdef bint more
    cdef Value value
    at = first_member(r, at, c"]", &more)
    while more:
        at = read_value(r, at, &value)
        if at != NULL:
            at = next_member(r, at, c"]", &more)
        if at == NULL:
            return NULL
    return at


cdef Bytes skip_nested(Reader* r, Bytes at) noexcept nogil:
    if r.depth == DEPTH_MAX:
        return failed(r, TOO_DEEP, at)
    r.depth += 1
    at = skip_object(r, at) if at[0] == c"{" else skip_list(r, at)
    r.depth -= 1
    return at


cdef Bytes read_rare_value(Reader* r, Bytes at, Value* value) noexcept nogil:
    """What is neither a text nor begins with a digit, or comes after white space."""
    at = skip_space(r, at)
    if at == r.end:
        return failed(r, BROKEN, at)
    if at[0] == c'"' or is_digit(at[0]):
        return read_value(r, at, value)
    value.at = at
    if at[0] == c"-":
        at = read_special_number(r, at, value)
    elif at[0] == c"{" or at[0] == c"[":
        value.token = T_OBJECT if at[0] == c"{" else T_LIST
        at = skip_nested(r, at)
    else:
        at = read_literal(r, at, value)
    value.length = <int32_t>(at - value.at)
    return at
