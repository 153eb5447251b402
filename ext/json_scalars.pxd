"""The scalars of JSON, read in place: plain texts and plain integers; json_special has the others.

A function that reads takes the place where it begins and gives back the one behind what it has read, NULL where that is
no JSON; so the place stays in a register. Texts are looked at 32 bytes at a time and numbers 8, where so many are left
before `Reader.end`.
"""

from libc.stdint cimport int32_t, int64_t, uint64_t

from ext.json_bytes cimport Bytes, likely_so, plain_end, read_digits
from ext.json_special cimport read_special_number, read_special_text
from ext.json_types cimport T_INT, TEXT_MAX, Reader, Value


cdef inline Bytes read_text(Reader* r, Bytes at, Bytes* first, int32_t* length, int32_t* resolved) noexcept nogil:
    """A text, from its quote on: where it lies, its bytes in the line, its bytes with escapes resolved."""
    cdef Bytes end = r.end
    cdef Bytes p = plain_end(at + 1, end)
    first[0] = at + 1
    length[0] = resolved[0] = <int32_t>(p - at - 1)
    if likely_so(p < end and p[0] == c'"' and p - at - 1 <= TEXT_MAX):
        return p + 1
    return read_special_text(r, at + 1, p, length, resolved)


cdef inline Bytes read_number(Reader* r, Bytes at, Value* value) noexcept nogil:
    """A number, from its first digit or its sign on."""
    cdef uint64_t number
    cdef Bytes end = r.end
    cdef Bytes p = read_digits(at, end, &number)
    value.token = T_INT
    value.number = <int64_t>number
    if likely_so(p - at <= 18 and p < end and (p[0] == c"," or p[0] == c"}") and (
            at[0] - c"1" < 9u or (at[0] == c"0" and p == at + 1))):
        return p
    return read_special_number(r, at, value)
