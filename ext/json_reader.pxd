"""JSON text read in place (RFC 8259): a pointer, an end, and functions that check every read against it.

Strict: UTF-8 without surrogates, no duplicate key in an object, no number that a double cannot hold, and the limits
below, each looked at before anything is stored. A function that returns False has left the reason in `Reader.fault`
and the place in `Reader.at`. Nothing here allocates, raises or needs the GIL.

The functions are inline in this header, so that the record decoder is compiled as one piece.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

cdef extern from *:
    """
    #if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    #error "json_reader reads eight bytes at a time in little-endian order"
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


cdef inline Bytes digits(Bytes p, Bytes end) noexcept nogil:
    while p < end and is_digit(p[0]):
        p += 1
    return p


cdef inline bint read_fraction(Reader* r, Bytes first, Bytes p) noexcept nogil:
    """The rest of a number that is not a plain integer, from the byte after its integer digits."""
    cdef Bytes part
    cdef int exponent = 0
    if p < r.end and p[0] == c".":
        part = p + 1
        p = digits(part, r.end)
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
        return read_fraction(r, first, digits(p, r.end))
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


# Keys.

cdef inline uint64_t head_word(Bytes at, Py_ssize_t length, Bytes end) noexcept nogil:
    """The first eight bytes of a name, zeros behind a shorter one. `end`: where reading must stop."""
    cdef uint64_t word = 0
    cdef Py_ssize_t i
    if length >= 8:
        return word_at(at)
    if end - at >= 8:
        return word_at(at) & ((<uint64_t>1 << 8 * length) - 1)
    for i in range(length):
        word |= <uint64_t>at[i] << 8 * i
    return word


cdef inline void name_words(Reader* r, Key* key) noexcept nogil:
    """Set `plain`, `head` and `tail`. With the length, the two words tell names of up to 16 bytes apart."""
    key.plain = key.at
    cdef Bytes end = r.end
    if key.resolved != key.length:
        resolve(key.at, key.length, r.scratch)
        key.plain = r.scratch
        end = r.scratch + TEXT_MAX
    key.head = head_word(key.plain, key.resolved, end)
    key.tail = word_at(key.plain + key.resolved - 8) if key.resolved > 8 else 0


cdef inline bint equal_keys(Reader* r, const Key* a, const Key* b) noexcept nogil:
    if a.head != b.head or a.tail != b.tail or a.resolved != b.resolved:
        return False
    resolve(a.at, a.length, r.scratch)
    resolve(b.at, b.length, r.scratch + TEXT_MAX)
    return memcmp(r.scratch, r.scratch + TEXT_MAX, a.resolved) == 0


cdef inline bint read_key(Reader* r, Key* key) noexcept nogil:
    """A key and its colon; leaves the reader at the value."""
    skip_space(r)
    if r.at == r.end or r.at[0] != c'"':
        return failed(r, BROKEN, r.at)
    if not read_text(r, &key.at, &key.length, &key.resolved):
        return False
    name_words(r, key)
    skip_space(r)
    if not take(r, c":"):
        return failed(r, BROKEN, r.at)
    skip_space(r)
    return True


cdef inline bint push_key(Reader* r, const Key* key, int first) noexcept nogil:
    """Remember a key of the object whose keys begin at `first` on the stack; refuse a second one like it."""
    cdef int i
    for i in range(first, r.open_keys):
        if equal_keys(r, &r.keys[i], key):
            return failed(r, DUPLICATE_KEY, key.at)
    r.keys[r.open_keys] = key[0]
    r.open_keys += 1
    return True


# Objects and lists.

cdef inline bint next_member(Reader* r, unsigned char closing, bint* more) noexcept nogil:
    """After a member: a comma and `more`, or the closing bracket."""
    skip_space(r)
    more[0] = take(r, c",")
    if more[0] or take(r, closing):
        return True
    return failed(r, BROKEN, r.at)


cdef inline bint skip_object(Reader* r) noexcept nogil:
    """Read an object, from its bracket on, for its syntax alone."""
    cdef int first = r.open_keys
    cdef bint more = True
    cdef Key key
    cdef Value value
    r.at += 1
    skip_space(r)
    if take(r, c"}"):
        return True
    while more:
        if not read_key(r, &key):
            return False
        if r.open_keys - first == KEYS_MAX:
            return failed(r, TOO_MANY_KEYS, key.at)
        if not push_key(r, &key, first) or not read_value(r, &value) or not next_member(r, c"}", &more):
            return False
    r.open_keys = first
    return True


cdef inline bint skip_list(Reader* r) noexcept nogil:
    cdef bint more = True
    cdef Value value
    r.at += 1
    skip_space(r)
    if take(r, c"]"):
        return True
    while more:
        skip_space(r)
        if not read_value(r, &value) or not next_member(r, c"]", &more):
            return False
    return True


cdef inline bint skip_nested(Reader* r) noexcept nogil:
    cdef bint sound
    if r.depth == DEPTH_MAX:
        return failed(r, TOO_DEEP, r.at)
    r.depth += 1
    sound = skip_object(r) if r.at[0] == c"{" else skip_list(r)
    r.depth -= 1
    return sound


cdef inline bint read_value(Reader* r, Value* value) noexcept nogil:
    """Any value, the reader standing on it. Objects and lists are only looked through."""
    cdef unsigned char c
    if r.at == r.end:
        return failed(r, BROKEN, r.at)
    c = r.at[0]
    if c == c'"':
        value.token = T_TEXT
        return read_text(r, &value.at, &value.length, &value.resolved)
    value.at = r.at
    if is_digit(c) or c == c"-":
        if not read_number(r, value):
            return False
    elif c == c"{" or c == c"[":
        value.token = T_OBJECT if c == c"{" else T_LIST
        if not skip_nested(r):
            return False
    elif not read_literal(r, value):
        return False
    value.length = <int32_t>(r.at - value.at)
    return True
