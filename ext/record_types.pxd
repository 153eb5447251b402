"""What the decoder knows of kinds and fields: the model's tables, copied into C once.

Names are found by their first and last eight bytes and their length, in a table of open addressing; a field has a number
in all that follows. `wants[kind][field]` is what a value must be, `needs[kind]` which fields must be there.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp

from ext.json_bytes cimport Bytes, word_at
from ext.json_reader cimport name_words
from ext.json_types cimport T_FALSE, T_INT, T_LIST, T_NULL, T_TEXT, T_TRUE, Key, Reader, Value
from ext.kinds cimport K_COUNT, K_UNKNOWN

cdef enum:
    SRC_MAX = 128           # bytes of `src`
    NAME_SLOTS = 256        # of a name table: a power of two, at least twice its names
    FIELDS_MAX = 96         # known fields
    CHOICES_MAX = 4         # alternatives of required fields
    NEEDS_MAX = 8           # fields of one alternative
    SHAPES_MAX = 32         # kinds of nested list
    CLOSED_MAX = 8          # texts of a closed list

cdef enum Want:
    W_FREE          # not checked
    W_ANY           # anything but null
    W_TEXT
    W_SRC
    W_INT
    W_INT32
    W_TIME          # an instant up to the year 2200
    W_AMOUNT        # pieces or grams, less than 2**53
    W_REV           # from 1
    W_PERCENT       # up to 1000: times the greatest quantity it is an int64
    W_BOOL
    W_LATER         # what it is depends on a kind that is not known yet
    W_TEXTS         # this and the next: each element is looked at
    W_LIST          # of what `shapes` says

cdef extern from *:
    """
    typedef struct { uint64_t least, span; } sortline_bounds_t;
    #define SORTLINE_NONE {1ULL << 63, 0}
    #define SORTLINE_ALL {0, UINT64_MAX}
    /* by Want, of texts and of integers */
    static const sortline_bounds_t sortline_bounds[][2] = {
        {SORTLINE_ALL, SORTLINE_ALL},           /* W_FREE */
        {SORTLINE_ALL, SORTLINE_ALL},           /* W_ANY */
        {{1, UINT64_MAX - 1}, SORTLINE_NONE},   /* W_TEXT: not an empty one */
        {{1, 128 - 1}, SORTLINE_NONE},          /* W_SRC: SRC_MAX */
        {SORTLINE_NONE, SORTLINE_ALL},          /* W_INT */
        {SORTLINE_NONE, {0, INT32_MAX}},        /* W_INT32 */
        {SORTLINE_NONE, {0, 7258118400000000}}, /* W_TIME: the year 2200, in microseconds */
        {SORTLINE_NONE, {0, 9007199254740991}}, /* W_AMOUNT: what every JSON reader has exactly; sums have room */
        {SORTLINE_NONE, {1, INT64_MAX - 1}},    /* W_REV */
        {SORTLINE_NONE, {0, 1000}},             /* W_PERCENT */
        {SORTLINE_NONE, SORTLINE_NONE},         /* W_BOOL, and all behind it */
        {SORTLINE_NONE, SORTLINE_NONE},
        {SORTLINE_NONE, SORTLINE_NONE},
        {SORTLINE_NONE, SORTLINE_NONE}
    };
    """
    ctypedef struct Bounds "sortline_bounds_t":     # of a text's bytes, or of an integer
        uint64_t least
        uint64_t span       # from there on
    const Bounds[2]* BOUNDS "sortline_bounds"

cdef enum:
    # The fields that a column or a check is about; the other known fields are numbered after them.
    N_SRC
    N_EPOCH
    N_SEQ
    N_SUB
    N_KIND
    N_T
    N_T_RX
    N_HIST
    N_QTY
    N_WEIGHT_G
    N_TASK
    N_ORDER
    N_LINE
    N_SKU
    N_LU
    N_CARTON
    N_TRACK
    N_LOT
    N_LOC
    N_DEST
    N_DEST_REQ
    N_CODE
    N_PRESS
    N_ALLOC

cdef struct Name:
    uint64_t head
    uint64_t tail
    Bytes at
    int32_t length  # 0: free
    int32_t number

cdef struct Quoted:         # a name as it mostly stands in a record: "name":
    uint64_t head           # its first eight bytes, and its next
    uint64_t head_mask
    uint64_t tail
    uint64_t tail_mask
    int64_t length          # 0: longer than both together, and never found

cdef struct Wants:
    uint8_t of[FIELDS_MAX]

cdef struct Needs:
    uint8_t choices
    uint8_t counts[CHOICES_MAX]
    uint8_t fields[CHOICES_MAX][NEEDS_MAX]


cdef inline uint64_t slot_of(const Key* key) noexcept nogil:
    cdef uint64_t h = (key.head ^ (key.tail + <uint64_t>key.resolved) * 0x9E3779B97F4A7C15u) * 0xD6E8FEB86659FD93u
    return h >> 32 & (NAME_SLOTS - 1)


cdef inline int find(const Name* slots, const Key* key) noexcept nogil:
    """The number of a name in a table, -1 if it is not there. The table is at most half full, so the search ends."""
    cdef uint64_t i = slot_of(key)
    cdef const Name* name = &slots[i]
    while name.length != 0:
        if name.head == key.head and name.tail == key.tail and name.length == key.resolved and (
                name.length <= 16 or memcmp(name.at, key.plain, name.length) == 0):
            return name.number
        i = (i + 1) & (NAME_SLOTS - 1)
        name = &slots[i]
    return -1


cdef inline bint stands_at(const Quoted* name, Bytes at) noexcept nogil:
    """Whether it stands there; 16 bytes can be read."""
    return not (((word_at(at) ^ name.head) & name.head_mask) | ((word_at(at + 8) ^ name.tail) & name.tail_mask))


cdef inline bint fits_at_once(int want, const Value* value) noexcept nogil:
    """Whether it is a text or an integer that the kind wants; False also where another look is needed."""
    return value.token <= T_INT and (
        <uint64_t>value.number - BOUNDS[want][value.token].least <= BOUNDS[want][value.token].span)


cdef inline bint fits(int want, const Value* value) noexcept nogil:
    """Whether a value is what the kind wants; of lists only that it is one."""
    if value.token <= T_INT:
        return fits_at_once(want, value)
    if want == W_FREE:
        return True
    if want == W_ANY:
        return value.token != T_NULL
    if want == W_BOOL:
        return value.token == T_TRUE or value.token == T_FALSE
    return want >= W_TEXTS and value.token == T_LIST


cdef struct ClosedList:     # all that a text may be
    int number              # of its field
    int count               # 0: whatever it likes
    int32_t lengths[CLOSED_MAX]
    const char* texts[CLOSED_MAX]


cdef inline bint is_one_of(const ClosedList* closed, const void* text, int32_t length) noexcept nogil:
    cdef int i
    for i in range(closed.count):
        if closed.lengths[i] == length and memcmp(closed.texts[i], text, length) == 0:
            return True
    return False


@cython.final
cdef class RecordTypes:
    cdef Name fields[NAME_SLOTS]
    cdef Quoted quoted[FIELDS_MAX]
    cdef Name kinds[NAME_SLOTS]
    cdef Wants wants[K_COUNT]                   # of K_UNKNOWN: what every kind wants
    cdef Needs needs[K_COUNT]
    cdef uint8_t shape_of[K_COUNT][FIELDS_MAX]  # which of `shapes` a nested list has
    cdef Needs shapes[SHAPES_MAX]               # what its objects need; 0: any list; no choices: line numbers
    cdef uint8_t element_wants[FIELDS_MAX]
    cdef ClosedList closed[K_COUNT]             # of the one field of the kind that takes some texts only
    cdef ClosedList element_closed[FIELDS_MAX]  # likewise by field of a nested object
    cdef list names                             # of the fields, by number
    cdef dict numbers
    cdef list alive                             # the bytes that the name tables point into

    cdef inline int kind_of(self, Reader* r, const Value* value) noexcept nogil:
        """Its number; K_UNKNOWN if it is none."""
        cdef Key key
        cdef int number
        if value.token != T_TEXT:
            return K_UNKNOWN
        key.at = value.at
        key.length = value.length
        key.resolved = value.resolved
        name_words(r, &key)
        number = find(self.kinds, &key)
        return number if number >= 0 else K_UNKNOWN

    cdef Bytes read_name(self, Reader* r, Bytes at, int first, int* number) noexcept nogil
    cdef void add_quoted(self, bytes name, int number) noexcept
    cdef int add_name(self, Name* slots, str text, int number) except -1
    cdef int add_kind(self, int kind, str name, bint noise, dict fields, dict exceptions) except -1
    cdef int add_elements(self, dict fields, dict elements) except -1
    cdef int add_closed(self, ClosedList* closed, str field, allowed) except -1
    cdef int set_needs(self, Needs* needs, alternatives) except -1
    cdef str needs_text(self, const Needs* needs)
