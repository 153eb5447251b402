# cython: boundscheck=False, wraparound=False
"""What a record says, hashed: see payloads.pxd. Hot, of sources that do not number: `read_member`, `read_members`, `place`."""

import msgspec

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memchr, memcmp

from ext.batch cimport ABSENT
from ext.json_bytes cimport is_digit
from ext.json_scalars cimport read_number, read_text
from ext.json_types cimport SOUND, T_INT, Value, skip_space
from ext.json_writer cimport digest_of
from ext.outlet cimport write_base32_26
from ext.sha256 cimport sha256
from ext.state cimport B_NAME
from ext.store cimport B_PLAIN_TABLE, Table, find

cdef object encode = msgspec.json.Encoder(order="sorted").encode
cdef tuple PLACE = ("epoch", "sub")         # where a record stands among its source's
cdef tuple ENVELOPE = ("src", "kind", "seq", "t", "t_rx", "hist", *PLACE)


cdef inline Reader reader_of(Bytes at, Py_ssize_t length) noexcept nogil:
    return Reader(start=at, end=at + length, fault=SOUND, place=NULL, depth=1, odd=False, split=False, open_keys=0,
                  keys=NULL, scratch=NULL)


cdef inline bint is_called(const Member* member, const char* name, int32_t length) noexcept nogil:
    return member.name_length == length and memcmp(member.name, name, length) == 0


cdef inline bint is_place(const Member* member) noexcept nogil:
    return is_called(member, b"epoch", 5) or is_called(member, b"sub", 3)


cdef inline bint is_envelope(const Member* member) noexcept nogil:
    return (is_called(member, b"src", 3) or is_called(member, b"kind", 4) or is_called(member, b"seq", 3)
            or is_called(member, b"t", 1) or is_called(member, b"t_rx", 4) or is_called(member, b"hist", 4)
            or is_place(member))


cdef inline Bytes step_over(Reader* r, Bytes at) noexcept nogil:
    """Behind a value of a line that the decoder has found sound."""
    cdef Bytes text
    cdef int32_t length = 0, resolved = 0
    cdef int depth = 0
    while at != NULL and at < r.end:
        if at[0] == c'"':
            at = read_text(r, at, &text, &length, &resolved)
        elif at[0] == c"{" or at[0] == c"[":
            depth += 1
            at += 1
        elif depth and (at[0] == c"}" or at[0] == c"]"):
            depth -= 1
            at += 1
        elif depth:
            at += 1
            continue
        else:
            while at < r.end and at[0] != c"," and at[0] != c"}" and at[0] != c"]" and at[0] > c" ":
                at += 1
        if depth == 0:
            break
    return at


cdef inline Bytes read_member(Reader* r, Bytes at, Member* member) noexcept nogil:
    """Behind a member and its comma, on the next one or the bracket; NULL: its name has an escape."""
    cdef int32_t resolved = 0
    at = read_text(r, at, &member.name, &member.name_length, &resolved)
    if at == NULL or resolved != member.name_length:
        return NULL
    member.value = skip_space(r, skip_space(r, at) + 1)     # behind the colon
    at = step_over(r, member.value)
    if at == NULL:
        return NULL
    member.length = <int32_t>(at - member.value)
    at = skip_space(r, at)
    return skip_space(r, at + 1) if at[0] == c"," else at


cdef class Payloads:
    def __init__(self, Floor floor not None):
        self.floor = floor
        self.text = JsonWriter(floor.texts)

    # ------------------------------------------------------------------------------------------ hashed

    cdef const uint8_t* digest(self, Batch batch, Py_ssize_t i) except NULL:
        """R5, of a record without a number: SHA-256 of `[src,kind,{payload},t]`; without `t` too, of
        `[src,kind,{payload},t_rx,count]`. `write` has written its beginning. Valid until the next one."""
        cdef Py_ssize_t before_t = self.text.length
        if batch.t[i] != ABSENT:
            self.text.integer(batch.t[i])
            self.text.put(b"]")
        else:
            self.text.put(b"null]")
            sha256(self.text.at, self.text.length, self.hash)
            self.text.length = before_t
            self.text.integer(batch.t_rx[i])
            self.text.put(b",")
            self.text.integer(self.count_equal(self.hash, batch.t_rx[i]))
            self.text.put(b"]")
        sha256(self.text.at, self.text.length, self.hash)
        return self.hash

    cdef Digest content(self) noexcept:
        """R10: what context says, whoever says it, when, and under which number. `write` has written it."""
        return digest_of(self.text.at + self.payload_at, self.payload_end - self.payload_at)

    cdef int count_equal(self, const uint8_t* digest, int64_t t_rx) except -1:
        """How many equal records without `t` came at that very `t_rx` before."""
        cdef Table* equal = self.floor.state.equal
        cdef uint64_t count
        if t_rx != self.floor.state.equal_at:
            self.floor.state.equal_at = t_rx
            self.floor.store.free(equal.slots)
            self.floor.store.free(equal)
            equal = self.floor.state.equal = self.floor.store.table(B_PLAIN_TABLE)
        count = <uint64_t>find(equal, first_word(digest))       # one more than the number of the last equal one
        self.floor.store.put(equal, first_word(digest), <void*>(count + 1))
        return <int>count

    # ------------------------------------------------------------------------------------------ written

    cdef int write(self, Batch batch, Py_ssize_t i, dict record, bint with_place) except -1:
        """`[src,kind,{payload},`. `record`: the row decoded, if the caller has it. `with_place`: epoch and sub are part of
        the payload unless they are 0."""
        cdef Reader r = reader_of(<Bytes>batch.lines + batch.at[i], batch.size[i])
        self.text.clear()
        self.count = 0
        if not self.read_members(&r, r.start) or not self.write_record(with_place):
            self.write_decoded(batch.fields(i) if record is None else record, with_place)
        return 0

    cdef int write_decoded(self, dict record, bint with_place) except -1:
        cdef bytes head = b"[%b,%b," % (encode(record["src"]), encode(record["kind"]))
        cdef bytes payload = encode({
            name: value for name, value in record.items()
            if name not in ENVELOPE or (with_place and name in PLACE and value)})
        self.text.clear()
        self.text.raw(head, len(head))
        self.payload_at = self.text.length
        self.text.raw(payload, len(payload))
        self.payload_end = self.text.length
        return self.text.put(b",")

    cdef bint write_record(self, bint with_place) except -1:
        """Out of the members; False: it has to be decoded."""
        cdef const Member* member
        cdef int k, of_record = self.count
        cdef bint first = True
        self.text.put(b"[")
        if not self.write_field(b"src", 3) or not self.write_field(b"kind", 4):
            return False
        self.payload_at = self.text.length
        self.text.put(b"{")
        for k in range(of_record):
            member = &self.members[k]
            if not is_envelope(member) or (with_place and is_place(member) and member.value[0] != c"0"):
                if not self.write_member(member, first):
                    return False
                first = False
        self.text.put(b"}")
        self.payload_end = self.text.length
        self.text.put(b",")
        return True

    cdef bint write_field(self, const char* name, int32_t length) except -1:
        """The value of a field that every record has, and a comma."""
        cdef int k
        for k in range(self.count):
            if is_called(&self.members[k], name, length):
                return self.write_value(self.members[k].value, self.members[k].length) and self.text.put(b",") == 0
        return False

    cdef bint write_object(self, Reader* r) except -1:
        cdef int k, first = self.count
        if not self.read_members(r, r.start):
            return False
        self.text.put(b"{")
        for k in range(first, self.count):
            if not self.write_member(&self.members[k], k == first):
                return False
        self.text.put(b"}")
        self.count = first
        return True

    cdef bint write_list(self, Reader* r) except -1:
        cdef Bytes at = skip_space(r, r.start + 1)
        cdef Bytes end
        self.text.put(b"[")
        while at[0] != c"]":
            end = step_over(r, at)
            if end == NULL or not self.write_value(at, <int32_t>(end - at)):
                return False
            at = skip_space(r, end)
            if at[0] == c",":
                self.text.put(b",")
                at = skip_space(r, at + 1)
        self.text.put(b"]")
        return True

    cdef bint write_member(self, const Member* member, bint first) except -1:
        self.text.put(b'"' if first else b',"')
        self.text.raw(<const char*>member.name, member.name_length)
        self.text.put(b'":')
        return self.write_value(member.value, member.length)

    cdef bint write_value(self, Bytes at, int32_t length) except -1:
        """False: it does not stand for itself."""
        cdef Reader r = reader_of(at, length)
        cdef Value value
        if at[0] == c"{":
            return self.write_object(&r)
        if at[0] == c"[":
            return self.write_list(&r)
        if at[0] == c'"':
            if memchr(at, c"\\", length) != NULL:
                return False
        elif at[0] == c"-" or (is_digit(at[0]) and (read_number(&r, at, &value) == NULL or value.token != T_INT)):
            return False
        self.text.raw(<const char*>at, length)
        return True

    # ------------------------------------------------------------------------------------------ read

    cdef bint read_members(self, Reader* r, Bytes at) noexcept:
        """An object, its members put behind those that are there, sorted by name; False: a name with an escape."""
        cdef Member member
        cdef int first = self.count
        at = skip_space(r, at + 1)
        while at[0] != c"}":
            at = read_member(r, at, &member)
            if at == NULL or not self.place(&member, first):
                return False
        return True

    cdef bint place(self, const Member* member, int first) noexcept:
        """Where canonical JSON has it: by the bytes of its name. False: there is no room."""
        cdef int i = self.count, order
        cdef const Member* other
        if i == MEMBERS_MAX:
            return False
        while i > first:
            other = &self.members[i - 1]
            order = memcmp(member.name, other.name, min(member.name_length, other.name_length))
            if order > 0 or (order == 0 and member.name_length > other.name_length):
                break
            self.members[i] = other[0]
            i -= 1
        self.members[i] = member[0]
        self.count += 1
        return True


cdef str text_in(Batch batch, Py_ssize_t i, const char* name, int32_t length):
    """A text that has no column, out of the row's line; None: the record has none of that name."""
    cdef Reader r = reader_of(<Bytes>batch.lines + batch.at[i], batch.size[i])
    cdef Bytes at = skip_space(&r, r.start + 1)
    cdef Member member
    while at[0] != c"}":
        at = read_member(&r, at, &member)
        if at == NULL:
            break
        if is_called(&member, name, length):
            if member.value[0] != c'"' or memchr(member.value, c"\\", member.length) != NULL:
                break
            return (<const char*>member.value)[1:member.length - 1].decode("utf-8")
    else:
        return None
    return batch.fields(i).get(name[:length].decode("ascii"))


cdef Name* new_name(Floor floor, const uint8_t* digest) except NULL:
    cdef Name* name = <Name*>floor.store.new(B_NAME, sizeof(Name))
    write_base32_26(digest, name.text)
    return name
