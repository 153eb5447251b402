"""JSON text read in place (RFC 8259): a pointer, an end, and functions that check every read against it.

Strict: UTF-8 without surrogates, no duplicate key in an object, no number that a double cannot hold, and the limits of
json_scalars.pxd, each looked at before anything is stored. A function that returns False has left the reason in
`Reader.fault` and the place in `Reader.at`. Nothing here allocates, raises or needs the GIL.

The functions are inline in these headers, so that the record decoder is compiled as one piece.
"""

from libc.stdint cimport int32_t, uint64_t
from libc.string cimport memcmp

from ext.json_scalars cimport (
    BROKEN, DEPTH_MAX, DUPLICATE_KEY, KEYS_MAX, T_LIST, T_OBJECT, T_TEXT, TEXT_MAX, TOO_DEEP, TOO_MANY_KEYS,
    Bytes, Key, Reader, Value,
    failed, is_digit, read_literal, read_number, read_text, resolve, skip_space, take, word_at,
)


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
