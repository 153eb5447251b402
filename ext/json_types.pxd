"""What reading JSON is about: limits, faults, the values and keys that were found, and who reads."""

from libc.stdint cimport int32_t, int64_t, uint64_t, uint8_t

from ext.json_bytes cimport Bytes

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
    T_NULL          # from here on what is no plain scalar
    T_LIST
    T_OBJECT

cdef struct Value:
    Bytes at            # first byte; of a text: after the quote
    int64_t number      # T_INT; T_TEXT: the same as `resolved`
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
    Bytes end
    int fault
    Bytes place             # of the fault
    int depth
    bint odd                # an unknown field is null, a list or an object, or a key has an escape
    bint split              # an end of line stands between two tokens
    int open_keys           # keys on the stack: those of the objects that are not closed yet
    Key* keys               # DEPTH_MAX * KEYS_MAX
    unsigned char* scratch  # 2 * TEXT_MAX


cdef inline Bytes failed(Reader* r, int fault, Bytes place) noexcept nogil:
    r.fault = fault
    r.place = place
    return NULL


cdef inline bint is_space(unsigned char c) noexcept nogil:
    return c == c" " or c == c"\t" or c == c"\r" or c == c"\n"


cdef inline Bytes skip_space(Reader* r, Bytes at) noexcept nogil:
    while at < r.end and at[0] <= c" " and is_space(at[0]):
        if at[0] == c"\n" or at[0] == c"\r":
            r.split = True
        at += 1
    return at


cdef inline bint stands(Bytes at, Bytes end, unsigned char c) noexcept nogil:
    return at < end and at[0] == c
