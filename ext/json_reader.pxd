"""JSON text read in place (RFC 8259): a pointer, an end, and functions that check every read against it.

Strict: UTF-8 without surrogates, no duplicate key in an object, no number that a double cannot hold, and the limits of
json_types.pxd, each looked at before anything is stored. A function that reads gives back the place behind what it
has read; NULL, if it leaves a fault in `Reader.fault` and `Reader.place`. Nothing here allocates, raises or needs the
GIL.

The functions are inline in these headers, so that the record decoder is compiled as one piece.
"""

from libc.stdint cimport int32_t, uint64_t
from libc.string cimport memcmp

from ext.json_bytes cimport Bytes, is_digit, likely_so, word_at
from ext.json_scalars cimport read_number, read_text
from ext.json_special cimport read_rare_value, resolve
from ext.json_types cimport (
    BROKEN, DUPLICATE_KEY, KEYS_MAX, T_TEXT, TEXT_MAX, TOO_MANY_KEYS, Key, Reader, Value, failed, skip_space, stands,
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


cdef inline Bytes read_key(Reader* r, Bytes at, Key* key) noexcept nogil:
    """A key and its colon."""
    at = skip_space(r, at)
    if not stands(at, r.end, c'"'):
        return failed(r, BROKEN, at)
    at = read_text(r, at, &key.at, &key.length, &key.resolved)
    if at == NULL:
        return NULL
    name_words(r, key)
    at = skip_space(r, at)
    return at + 1 if stands(at, r.end, c":") else failed(r, BROKEN, at)


cdef inline bint push_key(Reader* r, const Key* key, int first) noexcept nogil:
    """Remember a key of the object whose keys begin at `first` on the stack; False: there is one like it."""
    cdef int i
    if r.open_keys - first == KEYS_MAX:
        failed(r, TOO_MANY_KEYS, key.at)
        return False
    for i in range(first, r.open_keys):
        if equal_keys(r, &r.keys[i], key):
            failed(r, DUPLICATE_KEY, key.at)
            return False
    r.keys[r.open_keys] = key[0]
    r.open_keys += 1
    return True


# Objects and lists.

cdef inline Bytes first_member(Reader* r, Bytes at, unsigned char closing, bint* more) noexcept nogil:
    """Over the opening bracket, and the closing one if that comes next; `more`: it does not."""
    at = skip_space(r, at + 1)
    more[0] = not stands(at, r.end, closing)
    return at if more[0] else at + 1


cdef inline Bytes next_member(Reader* r, Bytes at, unsigned char closing, bint* more) noexcept nogil:
    """After a member: over a comma and `more`, or over the closing bracket."""
    if not stands(at, r.end, c","):
        at = skip_space(r, at)
    more[0] = stands(at, r.end, c",")
    return at + 1 if more[0] or stands(at, r.end, closing) else failed(r, BROKEN, at)


cdef inline Bytes read_value(Reader* r, Bytes at, Value* value) noexcept nogil:
    """Any value, perhaps after white space. Objects and lists are only looked through."""
    if likely_so(at < r.end):
        if at[0] == c'"':
            value.token = T_TEXT
            at = read_text(r, at, &value.at, &value.length, &value.resolved)
            value.number = value.resolved
            return at
        if likely_so(is_digit(at[0])):
            value.at = at
            at = read_number(r, at, value)
            value.length = <int32_t>(at - value.at)
            return at
    return read_rare_value(r, at, value)
