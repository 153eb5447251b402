"""A record's known fields, found in its text: where the value of each lies, and whether it is what the kind wants.

Records of one kind mostly have the same fields in the same order, so a key is first held against the one that stood
there in the last record of the kind: sixteen bytes at once. Only if it is another one is it read and looked up.
"""

from libc.stdint cimport int64_t, uint8_t, uint64_t

from ext.json_bytes cimport Bytes, likely_so
from ext.json_reader cimport first_member, next_member, read_value
from ext.json_types cimport DUPLICATE_KEY, KEYS_MAX, TOO_MANY_KEYS, Reader, Value, failed, skip_space
from ext.kinds cimport K_COUNT, K_UNKNOWN
from ext.record_types cimport FIELDS_MAX, N_KIND, Needs, RecordTypes, Wants, fits_at_once, stands_at

cdef struct Fields:
    uint64_t stamp              # of the record at hand
    int kind                    # its kind's number; K_UNKNOWN also where it does not say
    bint doubtful               # a field has to be looked at once more, or does not fit
    uint64_t stamps[FIELDS_MAX] # by number: the last record that had the field
    Value values[FIELDS_MAX]    # likewise
    # by kind (K_UNKNOWN before it is known) and number of a field: the one that came behind it last; the first one of all
    uint8_t next[K_COUNT][FIELDS_MAX + 1]


cdef inline bint is_there(const Fields* fields, int number) noexcept nogil:
    return fields.stamps[number] == fields.stamp


cdef inline int how_many(const Fields* fields) noexcept nogil:
    cdef int number, count = 0
    for number in range(FIELDS_MAX):
        count += is_there(fields, number)
    return count


cdef inline int64_t integer(const Fields* fields, int number, int64_t absent) noexcept nogil:
    return fields.values[number].number if is_there(fields, number) else absent


cdef inline bint has_needs(const Fields* fields, const Needs* needs) noexcept nogil:
    """Whether all fields of one of the alternatives are there."""
    cdef int i, k
    for i in range(needs.choices):
        for k in range(needs.counts[i]):
            if not is_there(fields, needs.fields[i][k]):
                break
        else:
            return True
    return False


cdef inline Bytes read_object(
    Reader* r, Bytes at, Fields* fields, RecordTypes types, const Wants* wants
) noexcept nogil:
    """An object, from its bracket on. Unknown fields are looked through. wants: by kind."""
    cdef Bytes end = r.end
    cdef int first = r.open_keys
    cdef int named
    cdef size_t number, last = FIELDS_MAX
    cdef uint64_t stamp = fields.stamp + 1
    cdef const uint8_t* wanted = &wants[<int>K_UNKNOWN].of[0]
    cdef uint8_t* next = fields.next[<int>K_UNKNOWN]
    cdef bint more
    cdef Bytes key
    cdef Value* value
    fields.stamp = stamp
    fields.kind = K_UNKNOWN
    fields.doubtful = False
    at = first_member(r, at, c"}", &more)
    while more:
        key = at
        number = next[last]
        if likely_so(end - at >= 16 and stands_at(&types.quoted[number], at)):
            at += types.quoted[number].length
        elif end - at > 16 and at[0] == c" " and stands_at(&types.quoted[number], at + 1):
            at += 1 + types.quoted[number].length       # a blank after the comma, as many write it
        else:
            at = types.read_name(r, at, first, &named)
            if at == NULL:
                return NULL
            if named < 0:
                at = next_member(r, at, c"}", &more)
                if at == NULL:
                    return NULL
                continue
            number = named
            next[last] = <uint8_t>number
        if fields.stamps[number] == stamp:
            return failed(r, DUPLICATE_KEY, skip_space(r, key) + 1)
        fields.stamps[number] = stamp
        last = number
        value = &fields.values[number]
        at = read_value(r, at, value)
        if at == NULL:
            return NULL
        if not fits_at_once(wanted[number], value):
            fields.doubtful = True
        if number == N_KIND:
            fields.kind = types.kind_of(r, value)
            wanted = &wants[fields.kind].of[0]
            next = fields.next[fields.kind]
        if likely_so(at < end and at[0] == c","):
            at += 1
            continue
        at = next_member(r, at, c"}", &more)
        if at == NULL:
            return NULL
    if r.open_keys - first > KEYS_MAX - FIELDS_MAX and r.open_keys - first + how_many(fields) > KEYS_MAX:
        return failed(r, TOO_MANY_KEYS, at)
    r.open_keys = first
    return at
