# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Payloads that are canonical records already: checked against the model where they lie, and copied as they stand.

`t_rx` is written behind the last field, or over the one that is there; constants go before the first. Only flat records
whose every field fits are for this plan (see line_plan.pxd): lists, nulls, double keys and misfits are not.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memchr, memcmp, memset

from ext.json_scalars cimport T_LIST, T_NULL, T_OBJECT, T_TEXT, Bytes, Key, Value, word_at
from ext.json_tape cimport Node
from ext.kinds cimport K_CLOCK_TICK, K_JAM, is_noise
from ext.line_block cimport LineBlock
from ext.line_plan cimport LinePlan, Scope
from ext.ndjson cimport NdjsonDecoder
from ext.record_types cimport FIELDS_MAX, N_KIND, N_SRC, N_SUB, N_T_RX, Needs, RecordTypes, find, fits

cdef enum:
    CONSTANTS_MAX = 64
    UNKNOWN_MAX = 32        # fields that the model does not know
    LINE_BYTES_MAX = 262144 # what the decoder behind the journal takes


cdef struct Constant:
    int32_t number          # of the field
    Bytes text              # "name":value,
    int32_t length
    Value value


cdef class CanonicalLines(LinePlan):
    cdef RecordTypes types
    cdef Constant constants[CONSTANTS_MAX]
    cdef int constants_count
    cdef list alive
    cdef Py_ssize_t constants_length
    # of the record at hand
    cdef uint8_t there[FIELDS_MAX]
    cdef int32_t unknown[UNKNOWN_MAX]
    cdef int unknown_count
    cdef const Value* kind_value
    cdef const Value* t_rx_value

    def __init__(self, NdjsonDecoder decoder not None, constants, **named):
        cdef bytes raw
        cdef int i, quote
        super().__init__(**named)
        if len(constants) > CONSTANTS_MAX:
            raise ValueError("too many constants")
        self.types = decoder.types
        self.alive = []
        self.constants_count = len(constants)
        self.constants_length = 0
        for i, (name, key, value, token, number) in enumerate(constants):
            raw = key + value + b","
            quote = token == T_TEXT
            self.alive.append(raw)
            self.constants[i].number = self.types.numbers[name]
            self.constants[i].text = raw
            self.constants[i].length = <int32_t>len(raw)
            self.constants[i].value = Value(
                stamp=0, at=self.constants[i].text + <int>len(key) + quote, number=number,
                length=<int32_t>len(value) - 2 * quote, resolved=<int32_t>len(value) - 2 * quote, token=token,
            )
            self.constants_length += len(raw)

    cdef int record(self, const Scope* scope, LineBlock out) except -1:
        cdef const Node* top = &self.tape.nodes[scope.item]
        cdef int kind
        if top.value.token != T_OBJECT or top.after == scope.item + 1 or not self.survey(scope.item):
            return 0
        kind = self.kind()
        if kind < 0 or not self.check(scope.item, kind):
            return 0
        # the only place where a line feed may stand in a JSON text is between its tokens
        if memchr(top.value.at, c"\n", top.value.length) or memchr(top.value.at, c"\r", top.value.length):
            return 0
        if top.value.length + self.constants_length + 64 > LINE_BYTES_MAX:
            return 0
        self.write_line(scope, &top.value, out)
        return 1

    cdef bint survey(self, int32_t item) noexcept:
        """Which fields are there; False: something is not for this plan."""
        cdef Node* nodes = self.tape.nodes
        cdef int32_t i = item + 1
        cdef Key key
        cdef int number
        memset(self.there, 0, sizeof(self.there))
        self.unknown_count = 0
        self.kind_value = NULL
        self.t_rx_value = NULL
        while i < nodes[item].after:
            if nodes[i].value.token in (T_NULL, T_LIST, T_OBJECT):
                return False
            key.at = key.plain = nodes[i].key
            key.length = key.resolved = nodes[i].key_length
            key.head = nodes[i].key_head
            key.tail = word_at(key.at + key.length - 8) if key.length > 8 else 0
            number = find(self.types.fields, &key)
            nodes[i].value.stamp = <uint64_t><int64_t>number
            if number < 0:
                if not self.add_unknown(i):
                    return False
            elif self.there[number]:
                return False
            else:
                self.there[number] = 1
                if number == N_KIND:
                    self.kind_value = &nodes[i].value
                elif number == N_T_RX:
                    self.t_rx_value = &nodes[i].value
            i = nodes[i].after
        return True

    cdef bint add_unknown(self, int32_t node) noexcept:
        """Remember a field that the model does not know; False: it comes twice, or there are too many."""
        cdef const Node* nodes = self.tape.nodes
        cdef const Node* new = &nodes[node]
        cdef const Node* old
        cdef int k
        for k in range(self.unknown_count):
            old = &nodes[self.unknown[k]]
            if old.key_length == new.key_length and memcmp(old.key, new.key, new.key_length) == 0:
                return False
        if self.unknown_count == UNKNOWN_MAX:
            return False
        self.unknown[self.unknown_count] = node
        self.unknown_count += 1
        return True

    cdef int kind(self) noexcept:
        """The number of the record's kind; -1: not for this plan."""
        cdef const Value* value = self.kind_value
        cdef Key key
        cdef int k
        cdef int number
        if value == NULL:
            for k in range(self.constants_count):
                if self.constants[k].number == N_KIND:
                    value = &self.constants[k].value
        if value == NULL or value.token != T_TEXT or value.length != value.resolved or value.length == 0:
            return -1
        key.at = key.plain = value.at
        key.length = key.resolved = value.length
        # a text of the payload has a quote behind it and more before it: eight bytes may be short of its end
        key.head = first_word(value.at, value.length)
        key.tail = word_at(key.at + key.length - 8) if key.length > 8 else 0
        number = find(self.types.kinds, &key)
        return -1 if number == K_CLOCK_TICK else number

    cdef bint check(self, int32_t item, int kind) noexcept:
        """Types of all fields, then presence of what the kind needs."""
        cdef const Node* nodes = self.tape.nodes
        cdef const uint8_t* wants = self.types.wants[K_JAM if is_noise(kind) else kind]
        cdef int32_t i = item + 1
        cdef int64_t number
        cdef int k
        while i < nodes[item].after:
            number = <int64_t>nodes[i].value.stamp
            if number >= 0 and number != N_T_RX and not fits(wants[number], &nodes[i].value):
                return False
            i = nodes[i].after
        for k in range(self.constants_count):
            number = self.constants[k].number
            if not self.there[number]:
                if not fits(wants[number], &self.constants[k].value):
                    return False
                self.there[number] = 2
        return self.there[N_SRC] and self.has_needs(&self.types.needs[kind])

    cdef bint has_needs(self, const Needs* needs) noexcept:
        cdef int i, k
        for i in range(needs.choices):
            for k in range(needs.counts[i]):
                if not self.there[needs.fields[i][k]]:
                    break
            else:
                return True
        return False

    cdef int write_line(self, const Scope* scope, const Value* top, LineBlock out) except -1:
        cdef const Value* old = self.t_rx_value
        cdef int k
        out.reserve(top.length + self.constants_length + 64)
        out.put(b"{", 1)
        for k in range(self.constants_count):
            if self.there[self.constants[k].number] == 2:
                out.put(self.constants[k].text, self.constants[k].length)
        if old != NULL:
            out.put(top.at + 1, old.at - top.at - 1 - (old.token == T_TEXT))
            out.put_number(scope.t_rx)
            out.put(old.at + old.length + (old.token == T_TEXT), top.at + top.length - 1 - old.at - old.length
                    - (old.token == T_TEXT))
        else:
            out.put(top.at + 1, top.length - 2)
            out.put(b',"t_rx":', 8)
            out.put_number(scope.t_rx)
        if scope.sub and not self.there[N_SUB]:
            out.put(b',"sub":', 7)
            out.put_number(scope.sub)
        out.put(b"}\n", 2)
        out.count += 1
        return 0


cdef inline uint64_t first_word(Bytes at, int32_t length) noexcept nogil:
    """See json_reader.head_word, for a text about whose end nothing is known."""
    cdef uint64_t word = 0
    cdef int i
    if length >= 8:
        return word_at(at)
    for i in range(length):
        word |= <uint64_t>at[i] << 8 * i
    return word
