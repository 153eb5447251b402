# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Record tables of the site file, compiled: the C side of `protocols.mapping.plan.RecordPlan`.

    payload ──tape──► for each field: origin ─ trim, absent ─ bits, table ─ type ─ absent ─ default ──► Found
                      all of them there? ──► {"field":value,...} in order of their names

Hot: `record`, `value`, `origin`, `typed`, `write_line`. Indexes run over the plan's own fields and parts.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from ext.counters cimport Sequences
from ext.json_found cimport (
    DECIMAL, DOUBTFUL, NO, NOTHING, TEXT, WHOLE, YES,
    Found, found_in, make_time, make_whole, trim,
)
from ext.json_bytes cimport Bytes
from ext.json_types cimport TEXT_MAX
from ext.line_block cimport LineBlock
from ext.line_plan cimport JsonPath, LinePlan, Scope
from ext.text_map cimport TextMap

cdef enum:
    FIELDS_MAX = 63         # one bit each
    SCRATCH_BYTES = 16384   # texts of templates and numbers of one record
    SRC_MAX = 128

cdef enum Origin:
    FROM_PATH
    FROM_CAPTURE
    FROM_TEMPLATE
    FROM_CONST

cdef enum Wanted:
    WANT_TEXT
    WANT_INT
    WANT_BOOL

cdef struct Field:
    int origin
    int capture
    int wanted
    int bit                 # -1: none
    int bits
    bint trim
    bint required
    bint rfc3339
    int64_t num             # to multiply by; den 0: a whole number as it is
    int64_t den
    int64_t top             # greatest number, or bytes of a text
    Bytes name              # "name":
    int32_t name_length
    Found constant          # of FROM_CONST
    Found default
    Found other             # of a table
    Found* table            # by number in its keys


@cython.final
cdef class FieldText:
    """What of a field is Python: paths, maps, and the texts that its struct points into."""
    cdef JsonPath path
    cdef TextMap absent
    cdef TextMap keys
    cdef list parts         # of a template: bytes, ints (captures), JsonPaths
    cdef list alive


@cython.final
cdef class RecordLines(LinePlan):
    cdef Field* fields
    cdef Found* found
    cdef int count
    cdef list texts             # a FieldText each
    cdef int kind, src, epoch, seq
    cdef int before_sub         # fields whose names come before `sub`; `t_rx` comes behind `before_t_rx`
    cdef int before_t_rx
    cdef TextMap kinds
    cdef list needs             # by kind: alternatives, as masks of fields
    cdef int64_t modulus        # of seq; 0: it does not wrap
    cdef Sequences sequences
    cdef unsigned char scratch[SCRATCH_BYTES]
    cdef Py_ssize_t used

    def __init__(self, fields, kinds, needs, modulus, Sequences sequences not None, **named):
        super().__init__(**named)
        names = [field["name"] for field in fields]
        if names != sorted(names) or len(names) > FIELDS_MAX:
            raise ValueError("the fields have to be sorted, and not too many")
        self.count = len(names)
        self.fields = <Field*>calloc(self.count, sizeof(Field))
        self.found = <Found*>calloc(self.count, sizeof(Found))
        if self.fields == NULL or self.found == NULL:
            raise MemoryError
        self.kind = names.index("kind")
        self.src = names.index("src")
        self.epoch = names.index("epoch") if "epoch" in names else -1
        self.seq = names.index("seq") if "seq" in names else -1
        self.before_sub = sum(name < "sub" for name in names)
        self.before_t_rx = sum(name < "t_rx" for name in names)
        self.kinds = TextMap(kinds)
        self.needs = list(needs)
        self.modulus = modulus
        self.sequences = sequences
        self.texts = [self.field_text(&self.fields[i], field) for i, field in enumerate(fields)]

    def __dealloc__(self):
        cdef int i
        if self.fields != NULL:
            for i in range(self.count):
                free(self.fields[i].table)
        free(self.fields)
        free(self.found)

    cdef FieldText field_text(self, Field* field, dict told):
        cdef FieldText text = FieldText()
        cdef bytes name = b'"%b":' % told["name"].encode()
        text.alive = [name]
        field.name = name
        field.name_length = <int32_t>len(name)
        field.wanted = {"text": WANT_TEXT, "int": WANT_INT, "bool": WANT_BOOL}[told["wanted"]]
        field.trim = told["trim"]
        field.required = told["required"]
        field.rfc3339 = told["rfc3339"]
        field.bit = told["bit"]
        field.bits = told["bits"]
        field.num, field.den = told["factor"]
        field.top = told["top"]
        field.capture = told["capture"]
        text.path = told["path"]
        text.parts = told["parts"]
        field.origin = (
            FROM_PATH if text.path is not None else FROM_TEMPLATE if text.parts is not None
            else FROM_CAPTURE if field.capture >= 0 else FROM_CONST)
        text.absent = TextMap(told["absent"]) if told["absent"] else None
        text.keys = None
        self.set_ready(&field.constant, told["constant"], text)
        self.set_ready(&field.default, told["default"], text)
        self.set_ready(&field.other, told["other"], text)
        if told["table"] is not None:
            text.keys = TextMap(told["table"])
            field.table = <Found*>calloc(len(told["table"]), sizeof(Found))
            if field.table == NULL:
                raise MemoryError
            for i, ready in enumerate(told["table"].values()):
                self.set_ready(&field.table[<int>i], ready, text)
        return text

    cdef int set_ready(self, Found* ready, told, FieldText text) except -1:
        """`told`: a text, an int, a bool; None for nothing; ... for what does not fit."""
        cdef bytes raw
        ready.what = NOTHING
        if told is None:
            return 0
        if told is True or told is False:
            ready.what = YES if told else NO
        elif isinstance(told, int):
            ready.what = WHOLE
            ready.number = told
        elif isinstance(told, bytes):
            raw = told
            text.alive.append(raw)
            ready.what = TEXT
            ready.at = raw
            ready.length = len(raw)
        else:
            ready.what = DOUBTFUL
        return 0

    # One record.

    cdef int record(self, const Scope* scope, LineBlock out) except -1:
        cdef uint64_t there = 0
        cdef int i, kind
        self.used = 0
        for i in range(self.count):
            self.found[i] = self.value(i, scope)
            if self.found[i].what == DOUBTFUL:
                return 0
            if self.found[i].what != NOTHING:
                there |= <uint64_t>1 << i
        if not there >> self.src & 1 or self.found[self.kind].what != TEXT:
            return 0
        kind = self.kinds.find(self.found[self.kind].at, self.found[self.kind].length)
        if kind < 0 or not self.has_needs(kind, there):
            return 0
        if self.modulus and there >> self.seq & 1 and not self.count_on():
            return 0
        self.write_line(scope, out)
        return 1

    cdef bint has_needs(self, int kind, uint64_t there) except -1:
        cdef uint64_t mask
        for wanted in <list>self.needs[kind]:
            mask = wanted
            if there & mask == mask:
                return True
        return False

    cdef bint count_on(self) except -1:
        """The device's counter goes on where it wrapped; False: its number is not below the modulus."""
        cdef Found* seq = &self.found[self.seq]
        cdef Found* src = &self.found[self.src]
        cdef int64_t epoch = 0
        if seq.number >= self.modulus:
            return False
        if self.epoch >= 0 and self.found[self.epoch].what == WHOLE:
            epoch = self.found[self.epoch].number
        seq.number = self.sequences.number((<const char*>src.at)[:src.length], epoch, seq.number, self.modulus)
        if seq.number < 0:
            seq.what = NOTHING
        return True

    cdef int write_line(self, const Scope* scope, LineBlock out) except -1:
        cdef Py_ssize_t size = 64
        cdef int i
        for i in range(self.count):
            size += self.fields[i].name_length + self.found[i].length + 24
        out.reserve(size)
        out.put(b"{", 1)
        for i in range(self.count + 1):
            if i == self.before_sub and scope.sub:
                out.put(b'"sub":', 6)
                out.put_number(scope.sub)
                out.put(b",", 1)
            if i == self.before_t_rx:
                out.put(b'"t_rx":', 7)
                out.put_time(scope.t_rx)
                out.put(b",", 1)
            if i < self.count and self.found[i].what != NOTHING:
                out.put(self.fields[i].name, self.fields[i].name_length)
                self.write_value(&self.found[i], out)
        # over the last comma
        out.size -= 1
        out.put(b"}\n", 2)
        out.count += 1
        return 0

    cdef void write_value(self, const Found* found, LineBlock out) noexcept:
        if found.what == TEXT:
            out.put(b'"', 1)
            out.put(found.at, found.length)
            out.put(b'",', 2)
        elif found.what == WHOLE:
            out.put_number(found.number)
            out.put(b",", 1)
        elif found.what == YES:
            out.put(b"true,", 5)
        else:
            out.put(b"false,", 6)

    # One field: see `protocols.mapping.plan.FieldPlan.value`, whose steps these are.

    cdef Found value(self, int i, const Scope* scope) except *:
        cdef Field* field = &self.fields[i]
        cdef FieldText text = <FieldText>self.texts[i]
        cdef Found found = self.origin(field, text, scope)
        if field.origin != FROM_CONST:
            self.present(field, text, &found)
            if found.what != NOTHING and found.what != DOUBTFUL:
                self.looked_up(field, text, &found)
        if found.what == NOTHING:
            if field.required and field.default.what == NOTHING:
                found.what = DOUBTFUL
                return found
            return field.default
        if found.what == TEXT and found.length > (field.top if field.wanted == WANT_TEXT else TEXT_MAX):
            found.what = DOUBTFUL
        return found

    cdef Found origin(self, Field* field, FieldText text, const Scope* scope) except *:
        cdef Found found
        cdef int32_t node
        if field.origin == FROM_PATH:
            node = text.path.follow(&self.tape, scope.item)
            if node >= 0:
                return found_in(&self.tape.nodes[node].value)
            found.what = NOTHING
            found.length = 0
            return found
        if field.origin == FROM_TEMPLATE:
            return self.filled(text, scope)
        if field.origin == FROM_CAPTURE:
            found.what = TEXT
            found.at = scope.captures[field.capture].at
            found.length = scope.captures[field.capture].length
            return found
        return field.constant

    cdef Found filled(self, FieldText text, const Scope* scope) except *:
        """A template; with any part absent it is absent as a whole."""
        cdef Found found = Found(what=TEXT, at=&self.scratch[self.used], length=0, number=0)
        cdef Found part
        cdef int32_t node
        for piece in text.parts:
            if isinstance(piece, bytes):
                part.what = TEXT
                part.at = <Bytes><const char*>(<bytes>piece)
                part.length = len(<bytes>piece)
            elif isinstance(piece, JsonPath):
                node = (<JsonPath>piece).follow(&self.tape, scope.item)
                part.what = NOTHING
                if node >= 0:
                    part = found_in(&self.tape.nodes[node].value)
            else:
                part.what = TEXT
                part.at = scope.captures[<int>piece].at
                part.length = scope.captures[<int>piece].length
            if part.what == TEXT and not isinstance(piece, bytes):
                trim(&part)
            if part.what == NOTHING or part.length == 0:
                found.what = NOTHING
                return found
            if part.what not in (TEXT, WHOLE) or self.used + part.length > SCRATCH_BYTES:
                found.what = DOUBTFUL
                return found
            memcpy(&self.scratch[self.used], part.at, part.length)
            self.used += part.length
            found.length += part.length
        return found

    cdef int present(self, Field* field, FieldText text, Found* found) except -1:
        """NOTHING for what means that nothing is there; texts are trimmed on the way."""
        if found.what == TEXT:
            if field.trim:
                trim(found)
            if found.length == 0:
                found.what = NOTHING
        if text.absent is None or found.what == NOTHING or found.what == DOUBTFUL:
            return 0
        if found.what == DECIMAL:
            found.what = DOUBTFUL
        elif self.number_in(text.absent, found) >= 0:
            found.what = NOTHING
        return 0

    cdef int32_t number_in(self, TextMap keys, Found* found) except -2:
        """The place of a value among keys, by its spelling."""
        if found.what == YES:
            return keys.find(<Bytes><const char*>b"true", 4)
        if found.what == NO:
            return keys.find(<Bytes><const char*>b"false", 5)
        if found.what == WHOLE and found.at == NULL:
            self.spell(found)
            if found.what == DOUBTFUL:
                return -1
        return keys.find(found.at, found.length)

    cdef void spell(self, Found* found) noexcept:
        """Give a number its digits."""
        cdef int64_t number = found.number
        cdef int count = 1
        cdef int i
        while number >= 10:
            number //= 10
            count += 1
        if self.used + count > SCRATCH_BYTES:
            found.what = DOUBTFUL
            return
        number = found.number
        found.at = &self.scratch[self.used]
        found.length = count
        for i in range(count - 1, -1, -1):
            self.scratch[self.used + i] = <unsigned char>(c"0" + number % 10)
            number //= 10
        self.used += count

    cdef int looked_up(self, Field* field, FieldText text, Found* found) except -1:
        cdef int32_t number
        if field.bit >= 0:
            self.take_bits(field, found)
        if found.what == DOUBTFUL:
            return 0
        if text.keys is None:
            self.typed(field, found)
            self.present(field, text, found)
            return 0
        if found.what == DECIMAL:
            found.what = DOUBTFUL
            return 0
        number = self.number_in(text.keys, found)
        if found.what != DOUBTFUL:
            found[0] = field.table[number] if number >= 0 else field.other
        return 0

    cdef void take_bits(self, Field* field, Found* found) noexcept:
        cdef uint64_t mask = <uint64_t>-1 if field.bits == 64 else (<uint64_t>1 << field.bits) - 1
        if found.what == YES or found.what == NO:
            found.number = found.what == YES
            found.what = WHOLE
        else:
            make_whole(found, 1, 0, 0x7FFFFFFFFFFFFFFF)
        if found.what == WHOLE:
            found.number = <int64_t>(<uint64_t>found.number >> field.bit & mask)
            found.at = NULL
            found.length = 0

    cdef void typed(self, Field* field, Found* found) noexcept:
        if field.wanted == WANT_TEXT:
            if found.what == WHOLE:
                if found.at == NULL:
                    self.spell(found)
                if found.what == WHOLE:
                    found.what = TEXT
            elif found.what != TEXT:
                found.what = DOUBTFUL
        elif field.wanted == WANT_INT:
            if field.rfc3339:
                make_time(found, field.top)
            else:
                make_whole(found, field.num, field.den, field.top)
            found.at = NULL
            found.length = 0
        elif found.what == WHOLE or found.what == TEXT:
            self.yes_or_no(found)
        elif found.what != YES and found.what != NO:
            found.what = DOUBTFUL

    cdef void yes_or_no(self, Found* found) noexcept:
        cdef bytes text
        if found.at == NULL:
            self.spell(found)
        if found.what == DOUBTFUL:
            return
        text = (<const char*>found.at)[:found.length]
        found.what = YES if text in (b"1", b"true") else NO if text in (b"0", b"false") else DOUBTFUL
