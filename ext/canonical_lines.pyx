# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Payloads that are canonical records already: checked against the model where they lie, and copied as they stand.

`t_rx` is written behind the last field, or over the one that is there; constants go before the first. Only records whose
every field fits are for this plan (see line_plan.pxd): nulls, double keys and misfits are not, nor is a list in which
something is not what the decoder behind the journal wants, or a number that is no plain count.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from ext.json_bytes cimport Bytes, is_digit
from ext.json_types cimport T_LIST, T_NULL, T_OBJECT, T_TEXT, Reader, Value, is_space, skip_space, stands
from ext.kinds cimport K_CLOCK_TICK, K_COUNT, K_JAM, K_UNKNOWN, is_noise
from ext.line_block cimport LineBlock
from ext.line_plan cimport LinePlan, Scope, Slice
from ext.ndjson cimport NdjsonDecoder
from ext.record_fields cimport Fields, has_needs, is_there, read_object
from ext.record_types cimport FIELDS_MAX, N_KIND, N_SRC, N_SUB, N_T_RX, W_FREE, W_TEXTS, RecordTypes, Wants, fits

cdef enum:
    CONSTANTS_MAX = 64      # one bit each
    LINE_BYTES_MAX = 262144 # what the decoder behind the journal takes
    DIGITS_MAX = 18         # of a number that every reader of JSON takes for the same integer


cdef struct Constant:
    int32_t number          # of the field
    Bytes text              # "name":value,
    int32_t length
    Value value


@cython.final
cdef class CanonicalLines(LinePlan):
    cdef NdjsonDecoder decoder
    cdef RecordTypes types
    cdef Wants wants[K_COUNT]   # as the decoder's, but all that noise has is looked at, and `t_rx` is not
    cdef Fields fields          # of the record at hand
    cdef bint whole             # the payload is the one record
    cdef Constant constants[CONSTANTS_MAX]
    cdef int constants_count
    cdef int kind               # that the constants say
    cdef list alive
    cdef Py_ssize_t constants_length

    def __init__(self, NdjsonDecoder decoder not None, constants, **named):
        cdef bytes raw
        cdef int i, quote
        cdef int32_t length
        cdef Reader r
        super().__init__(**named)
        if len(constants) > CONSTANTS_MAX:
            raise ValueError("too many constants")
        self.decoder = decoder
        self.types = decoder.types
        for i in range(<int>K_COUNT):
            self.wants[i] = self.types.wants[<int>K_JAM if is_noise(i) else i]
            self.wants[i].of[<int>N_T_RX] = W_FREE
        self.whole = self.each is None and not self.when
        self.alive = []
        self.constants_count = len(constants)
        self.constants_length = 0
        self.kind = K_UNKNOWN
        for i, (name, key, value, token, number) in enumerate(constants):
            raw = key + value + b","
            quote = token == T_TEXT
            length = <int32_t>len(value) - 2 * quote
            self.alive.append(raw)
            self.constants[i].number = self.types.numbers[name]
            self.constants[i].text = raw
            self.constants[i].length = <int32_t>len(raw)
            self.constants[i].value = Value(
                at=self.constants[i].text + <int>len(key) + quote, number=length if quote else number,
                length=length, resolved=length, token=token,
            )
            self.constants_length += len(raw)
            if name == "kind":
                r = decoder.reader(self.constants[i].text, self.constants[i].text + len(raw))
                self.kind = self.types.kind_of(&r, &self.constants[i].value)

    cdef int write(
        self, Bytes payload, Py_ssize_t length, const Slice* captures, int64_t t_rx, LineBlock out
    ) except -1:
        cdef Scope scope
        if not self.whole:
            return LinePlan.write(self, payload, length, captures, t_rx, out)
        scope = Scope(item=0, sub=0, t_rx=t_rx, captures=captures)
        return length <= self.payload_max and self.pass_on(payload, payload + length, &scope, out)

    cdef int record(self, const Scope* scope, LineBlock out) except -1:
        cdef const Value* top = &self.tape.nodes[scope.item].value
        return top.token == T_OBJECT and self.pass_on(top.at, top.at + top.length, scope, out)

    cdef int pass_on(self, Bytes at, Bytes end, const Scope* scope, LineBlock out) except -1:
        """The record there as a line: 1; 0: it is not for this plan."""
        cdef Fields* f = &self.fields
        cdef uint64_t added
        cdef Reader r
        while at < end and is_space(at[0]):
            at += 1
        while at < end and is_space((end - 1)[0]):
            end -= 1
        if end - at + self.constants_length + 64 > LINE_BYTES_MAX or not stands(at, end, c"{"):
            return 0
        r = self.decoder.reader(at, end)
        if read_object(&r, at, f, self.types, self.wants) != end or r.odd or r.split:
            return 0
        # constants are for records that have something of their own
        if stands(skip_space(&r, at + 1), end, c"}"):
            return 0
        added = self.add_constants()
        if not self.is_sound():
            return 0
        self.write_line(at, end, added, scope, out)
        return 1

    cdef uint64_t add_constants(self) noexcept:
        """To the fields that are there; a bit for each that is not there without."""
        cdef uint64_t added = 0
        cdef int number, k
        for k in range(self.constants_count):
            number = self.constants[k].number
            if not is_there(&self.fields, number):
                self.fields.stamps[number] = self.fields.stamp
                self.fields.doubtful = True
                self.fields.values[number] = self.constants[k].value
                added |= <uint64_t>1 << k
                if number == N_KIND:
                    self.fields.kind = self.kind
        return added

    cdef bint is_sound(self) except -1:
        """Types of all fields, then presence of what the kind needs."""
        cdef const Fields* f = &self.fields
        cdef const uint8_t* wanted = &self.wants[f.kind].of[0]
        cdef int number
        if f.kind == K_UNKNOWN or f.kind == K_CLOCK_TICK:
            return False
        if f.doubtful:
            for number in range(FIELDS_MAX):
                if not is_there(f, number):
                    continue
                if not fits(wanted[number], &f.values[number]):
                    return False
                if f.values[number].token >= T_NULL and not self.is_sound_list(number):
                    return False
        if not is_there(f, N_SRC) or not has_needs(f, &self.types.needs[f.kind]):
            return False
        return self.decoder.check_closed(f, &self.types.closed[f.kind])

    cdef bint is_sound_list(self, int number) except -1:
        """Whether it is a list that the kind wants, with plain counts for numbers (quantities are integers)."""
        cdef int kind = self.fields.kind
        cdef const Value* value = &self.fields.values[number]
        return (value.token == T_LIST and self.types.wants[kind].of[number] >= W_TEXTS
                and counts_plainly(value.at, value.at + value.length) and self.decoder.check_list(kind, number, value))

    cdef int write_line(self, Bytes at, Bytes end, uint64_t added, const Scope* scope, LineBlock out) except -1:
        cdef const Value* old = &self.fields.values[N_T_RX]
        cdef int k, quote
        out.reserve(end - at + self.constants_length + 64)
        out.put(b"{", 1)
        for k in range(self.constants_count):
            if added >> k & 1:
                out.put(self.constants[k].text, self.constants[k].length)
        if is_there(&self.fields, N_T_RX):
            quote = old.token == T_TEXT
            out.put(at + 1, old.at - quote - at - 1)
            out.put_time(scope.t_rx)
            out.put(old.at + old.length + quote, end - 1 - old.at - old.length - quote)
        else:
            out.put(at + 1, end - at - 2)
            out.put(b',"t_rx":', 8)
            out.put_time(scope.t_rx)
        if scope.sub and not is_there(&self.fields, N_SUB):
            out.put(b',"sub":', 7)
            out.put_number(scope.sub)
        out.put(b"}\n", 2)
        out.count += 1
        return 0


cdef bint counts_plainly(Bytes at, Bytes end) noexcept nogil:
    """Whether every number in a piece of sound JSON is written in no more than DIGITS_MAX digits, and nothing else."""
    cdef int digits = 0
    while at < end:
        if is_digit(at[0]):
            digits += 1
            if digits > DIGITS_MAX:
                return False
        elif at[0] == c"-" or at[0] == c"." or (digits and (at[0] | 0x20) == c"e"):
            return False
        else:
            digits = 0
            if at[0] == c'"':
                at += 1
                while at[0] != c'"':
                    at += 2 if at[0] == c"\\" else 1
        at += 1
    return True
