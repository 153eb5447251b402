# cython: boundscheck=False, wraparound=False
"""Records without a number: see unnumbered.pxd. Hot: `write_flat`, `read_flat`, `read_member`, `place`."""

import hashlib

import msgspec

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcmp, memcpy

from ext.batch cimport ABSENT
from ext.json_reader cimport next_member
from ext.json_scalars cimport SOUND, T_INT, Value, read_literal, read_number, read_text, skip_space, take
from ext.outlet cimport write_base32_26
from ext.state cimport B_NAME
from ext.store cimport B_PLAIN_TABLE, Table, find

cdef object sha256 = hashlib.sha256
cdef object encode = msgspec.json.Encoder(order="sorted").encode
cdef tuple PLACE = ("epoch", "sub")             # of the payload unless 0: where a record stands among its source's
cdef tuple ENVELOPE = ("src", "kind", "seq", "t", "t_rx", "hist", *PLACE)


cdef inline bint named(const Member* member, const char* name, int32_t length) noexcept nogil:
    return member.name_length == length and memcmp(member.name, name, length) == 0


cdef inline bint read_member(Reader* r, Member* member) noexcept nogil:
    """A member of an object that the decoder has found sound; False: its value is none that stands for itself."""
    cdef Value value
    cdef Bytes at
    cdef int32_t resolved = 0
    skip_space(r)
    if not read_text(r, &member.name, &member.name_length, &resolved) or resolved != member.name_length:
        return False
    skip_space(r)
    take(r, c":")
    skip_space(r)
    member.value = r.at
    if r.at[0] == c'"':
        if not read_text(r, &at, &member.length, &resolved) or resolved != member.length:
            return False
    elif r.at[0] == c"{" or r.at[0] == c"[":
        return False
    elif r.at[0] == c"-" or c"0" <= r.at[0] <= c"9":
        if not read_number(r, &value) or value.token != T_INT:
            return False
    elif not read_literal(r, &value):
        return False
    member.length = <int32_t>(r.at - member.value)
    return True


cdef class Unnumbered:
    def __init__(self, Floor floor not None):
        self.floor = floor
        self.text = JsonWriter(floor.texts)

    cdef bytes digest(self, Batch batch, Py_ssize_t i, dict record):
        """`record`: the row decoded, if the caller has it."""
        cdef Py_ssize_t before_t
        cdef bytes digest
        if record is not None or not self.write_flat(batch, i):
            self.write_decoded(batch.fields(i) if record is None else record)
        before_t = self.text.length
        if batch.t[i] != ABSENT:
            self.text.integer(batch.t[i])
            self.text.put(b"]")
            return sha256(self.text.bytes()).digest()
        self.text.put(b"null]")
        digest = sha256(self.text.bytes()).digest()
        self.text.length = before_t
        self.text.integer(batch.t_rx[i])
        self.text.put(b",")
        self.text.integer(self.count_equal(digest, batch.t_rx[i]))
        self.text.put(b"]")
        return sha256(self.text.bytes()).digest()

    cdef bint write_flat(self, Batch batch, Py_ssize_t i) except -1:
        """`[src,kind,{payload},` out of the line itself; False: it has to be decoded."""
        cdef Bytes line = <Bytes>batch.lines + batch.at[i]
        cdef Reader r = Reader(
            start=line, at=line, end=line + batch.size[i], fault=SOUND, depth=1, open_keys=0, keys=NULL, scratch=NULL)
        cdef const Member* member
        cdef int k
        if not self.read_flat(&r):
            return False
        self.text.clear()
        self.text.put(b"[")
        self.text.raw(<const char*>self.src.value, self.src.length)
        self.text.put(b",")
        self.text.raw(<const char*>self.kind.value, self.kind.length)
        self.text.put(b",{")
        for k in range(self.members):
            member = &self.payload[k]
            self.text.put(b',"' if k else b'"')
            self.text.raw(<const char*>member.name, member.name_length)
            self.text.put(b'":')
            self.text.raw(<const char*>member.value, member.length)
        self.text.put(b"},")
        return True

    cdef bint read_flat(self, Reader* r) noexcept:
        cdef Member member
        cdef bint more = True
        self.members = self.src.length = self.kind.length = 0
        take(r, c"{")
        while more:
            if self.members == KEYS_MAX or not read_member(r, &member):
                return False
            if named(&member, b"src", 3):
                self.src = member
            elif named(&member, b"kind", 4):
                self.kind = member
            elif named(&member, b"epoch", 5) or named(&member, b"sub", 3):
                if member.length > 1 or member.value[0] != c"0":
                    self.place(&member)
            elif not (named(&member, b"t", 1) or named(&member, b"t_rx", 4) or named(&member, b"hist", 4)):
                self.place(&member)
            if not next_member(r, c"}", &more):
                return False
        return self.src.length and self.kind.length

    cdef void place(self, const Member* member) noexcept:
        """Sorted by name, as canonical JSON has it."""
        cdef int i = self.members, order
        cdef const Member* other
        while i > 0:
            other = &self.payload[i - 1]
            order = memcmp(member.name, other.name, min(member.name_length, other.name_length))
            if order > 0 or (order == 0 and member.name_length > other.name_length):
                break
            self.payload[i] = other[0]
            i -= 1
        self.payload[i] = member[0]
        self.members += 1

    cdef int write_decoded(self, dict record) except -1:
        cdef bytes content = encode({name: value for name, value in record.items() if name in PLACE and value or
                                     name not in ENVELOPE})
        cdef bytes head = b"[%b,%b,%b," % (encode(record["src"]), encode(record["kind"]), content)
        self.text.clear()
        return self.text.raw(head, len(head))

    cdef int count_equal(self, bytes digest, int64_t t_rx) except -1:
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


cdef bytes content_of(dict record):
    """What a record says, without who says it, when, and under which number: canonical JSON."""
    cdef dict content = record.copy()
    for name in ENVELOPE:
        content.pop(name, None)
    return encode(content)


cdef Name* new_name(Floor floor, bytes digest) except NULL:
    cdef Name* name = <Name*>floor.store.new(B_NAME, sizeof(Name))
    write_base32_26(digest, name.text)
    return name
