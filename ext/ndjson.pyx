# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Canonical NDJSON to rows: see ndjson.pxd for the way of a record, ndjson.pyi for what is refused.

Hot: `line`, `check`, `add_row` and what record_fields.pxd has. The loops over fixed tables run over numbers that the
tables' constructors have bounded (`FIELDS_MAX`, `K_COUNT`), so they need no index checks.
"""

import json

from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr

from ext.batch cimport ABSENT, F_ALLOC, F_HIST
from ext.json_bytes cimport likely_so
from ext.json_reader cimport first_member, next_member, read_value
from ext.json_scalars cimport read_text
from ext.json_special cimport resolve
from ext.json_types cimport (
    BROKEN, DEPTH_MAX, DUPLICATE_KEY, KEYS_MAX, NOT_UTF8, SOUND, T_INT, T_NULL, T_NUMBER, T_TEXT, T_TRUE, TEXT_MAX,
    TEXT_TOO_LONG, TOO_DEEP, TOO_MANY_KEYS, failed, is_space, skip_space,
)
from ext.kinds cimport K_CLOCK_TICK, K_UNKNOWN, is_noise
from ext.record_fields cimport has_needs, integer, is_there, read_object
from ext.record_types cimport (
    FIELDS_MAX, N_ALLOC, N_CARTON, N_CODE, N_DEST, N_DEST_REQ, N_EPOCH, N_HIST, N_KIND, N_LINE, N_LOC, N_LOT, N_LU, N_ORDER,
    N_PRESS, N_QTY, N_SEQ, N_SKU, N_SRC, N_SUB, N_T, N_T_RX, N_TASK, N_TRACK, N_WEIGHT_G,
    SRC_MAX, W_AMOUNT, W_BOOL, W_FREE, W_INT, W_INT32, W_LIST, W_PERCENT, W_REV, W_SRC, W_TEXT, W_TEXTS, W_TIME,
    ClosedList, Needs, RecordTypes, fits, is_one_of,
)

from ext.kinds import NAMES as KIND_NAMES

LINE_BYTES_MAX = LINE_MAX

EXPECTED = {
    W_TEXT: "text", W_SRC: "text", W_INT: "integer", W_INT32: "integer", W_TIME: "integer", W_AMOUNT: "integer",
    W_REV: "integer", W_PERCENT: "integer",
    W_BOOL: "true or false", W_TEXTS: "list of texts", W_LIST: "list",
}


cdef class NdjsonDecoder:
    def __cinit__(self):
        self.keys = <Key*>malloc(DEPTH_MAX * KEYS_MAX * sizeof(Key))
        self.scratch = <unsigned char*>malloc(2 * TEXT_MAX)
        if self.keys == NULL or self.scratch == NULL:
            raise MemoryError

    def __init__(self, Texts texts not None, kinds, fields, exceptions, elements, values, element_values):
        self.texts = texts
        self.types = RecordTypes(kinds, fields, exceptions, elements, values, element_values)

    def __dealloc__(self):
        free(self.keys)
        free(self.scratch)

    # One record.

    cdef Reader reader(self, Bytes at, Bytes end) noexcept:
        return Reader(
            start=at, end=end, fault=SOUND, place=at, depth=1, odd=False, split=False, open_keys=0, keys=self.keys,
            scratch=self.scratch)

    cdef bint line(self, Bytes at, Bytes end, Batch batch) except -1:
        """Read one line and add its row; False if it is refused, with `reason`. Blank lines are passed over."""
        if end - at > 0 and (end - 1)[0] == c"\r":
            end -= 1
        if end - at > LINE_MAX:
            self.reason = f"longer than {LINE_MAX} bytes"   # cold
            return False
        if not likely_so(end - at > 0 and at[0] == c"{" and (end - 1)[0] == c"}"):
            if end - at >= 3 and at[0] == 0xEF and at[1] == 0xBB and at[2] == 0xBF:
                at += 3
            while at < end and is_space(at[0]):
                at += 1
            while at < end and is_space((end - 1)[0]):
                end -= 1
            if at == end:
                return True
        if not self.read(at, end):
            return False
        self.add_row(at, end, batch)
        return True

    cdef inline bint read(self, Bytes at, Bytes end) except -1:
        """The fields of one record; False if it is refused, with `reason`."""
        cdef Reader r = self.reader(at, end)
        cdef Bytes behind
        if at[0] != c"{":
            self.reason = "a JSON object expected"  # cold
            return False
        behind = read_object(&r, at, &self.record, self.types, self.types.wants)
        if behind != end:
            if behind != NULL:
                failed(&r, BROKEN, behind)
            self.reason = fault_reason(&r)  # cold
            return False
        if self.record.kind == K_UNKNOWN:
            self.reason = kind_reason(&self.record, end)     # cold
            return False
        if (self.record.doubtful and not self.check_types()) or not self.check_presence():
            return False
        return (self.types.closed[self.record.kind].count == 0
                or self.check_closed(&self.record, &self.types.closed[self.record.kind]))

    cdef bint check_types(self) except -1:
        """All fields that are there: slow, and mostly known already."""
        cdef Fields* f = &self.record
        cdef int number, want
        for number in range(FIELDS_MAX):
            if not is_there(f, number):
                continue
            want = self.types.wants[f.kind].of[number]
            if not fits(want, &f.values[number]):
                self.reason = type_reason(self.types.names[number], want, &f.values[number])
                return False
            if want >= W_TEXTS and not self.check_list(f.kind, number, &f.values[number]):
                return False
        return True

    cdef inline bint check_presence(self) except -1:
        cdef const Fields* f = &self.record
        cdef int kind = f.kind
        if not is_there(f, N_T_RX):
            self.reason = "t_rx: missing"   # cold
            return False
        if not is_there(f, N_SRC) and kind != K_CLOCK_TICK:
            self.reason = "src: missing"    # cold
            return False
        if not has_needs(f, &self.types.needs[kind]):
            self.reason = f"{KIND_NAMES[kind]} needs {self.types.needs_text(&self.types.needs[kind])}"  # cold
            return False
        return True

    cdef bint check_closed(self, const Fields* f, const ClosedList* closed) except -1:
        """Whether the field that takes some texts only has one of them, or is not there."""
        cdef const Value* value = &f.values[closed.number]
        cdef Bytes at = value.at
        if closed.count == 0 or not is_there(f, closed.number):
            return True
        if value.length != value.resolved:
            resolve(at, value.length, self.scratch)
            at = self.scratch
        if is_one_of(closed, at, value.resolved):
            return True
        allowed = ", ".join([closed.texts[i].decode() for i in range(closed.count)])
        self.reason = f"{self.types.names[closed.number]}: one of {allowed} expected"
        return False

    cdef int add_row(self, Bytes at, Bytes end, Batch batch) except -1:
        """The record that was read and checked, into the columns."""
        cdef Fields* f = &self.record
        cdef Py_ssize_t i = batch.begin_row(end - at)
        batch.kind[i] = f.kind
        batch.flags[i] = F_HIST if is_there(f, N_HIST) and f.values[N_HIST].token == T_TRUE else 0
        batch.t_rx[i] = f.values[N_T_RX].number
        batch.t[i] = integer(f, N_T, ABSENT)
        batch.epoch[i] = integer(f, N_EPOCH, 0)
        batch.seq[i] = integer(f, N_SEQ, ABSENT)
        batch.sub[i] = <int32_t>integer(f, N_SUB, 0)
        batch.src[i] = self.text(N_SRC)
        if is_noise(f.kind):    # its payload means nothing: there is none
            batch.leave_empty(i)
        else:
            self.add_payload(f, i, batch)
        batch.end_row(<const char*>at, end - at)
        return 0

    cdef int add_payload(self, const Fields* f, Py_ssize_t i, Batch batch) except -1:
        batch.qty[i] = integer(f, N_QTY, ABSENT)
        batch.weight_g[i] = integer(f, N_WEIGHT_G, ABSENT)
        batch.line[i] = <int32_t>integer(f, N_LINE, -1)
        batch.task[i] = self.text(N_TASK)
        batch.order[i] = self.text(N_ORDER)
        batch.sku[i] = self.text(N_SKU)
        batch.lu[i] = self.text(N_LU)
        batch.carton[i] = self.text(N_CARTON)
        batch.track[i] = self.text(N_TRACK)
        batch.lot[i] = self.text(N_LOT)
        batch.loc[i] = self.text(N_LOC)
        batch.dest[i] = self.text(N_DEST)
        batch.dest_req[i] = self.text(N_DEST_REQ)
        batch.code[i] = self.text(N_CODE)
        batch.press[i] = self.text(N_PRESS)
        if is_there(f, N_ALLOC):
            batch.flags[i] |= F_ALLOC
        batch.names[i] = batch.names_of(i)
        return 0

    cdef inline int32_t text(self, int number) except -1:
        """Intern a text field of the record; 0 if it is absent."""
        return self.interned(&self.record.values[number]) if is_there(&self.record, number) else 0

    cdef int32_t interned(self, const Value* value) except -1:
        if value.length == value.resolved:
            return self.texts.intern(<const char*>value.at, value.length)
        resolve(value.at, value.length, self.scratch)
        return self.texts.intern(<const char*>self.scratch, value.resolved)

    # Lists: the slow path, rare kinds only. Their syntax has been read already.

    cdef bint check_list(self, int kind, int number, const Value* value) except -1:
        cdef Reader r = self.reader(value.at, value.at + value.length)
        cdef Bytes at = value.at
        cdef int shape = self.types.shape_of[kind][number]
        cdef int want = W_TEXT if self.types.wants[kind].of[number] == W_TEXTS else W_FREE
        cdef bint of_objects = shape > 0 and self.types.shapes[shape].choices > 0
        cdef bint more
        cdef int i = 0
        if shape > 0 and not of_objects:
            want = W_INT32
        at = first_member(&r, at, c"]", &more)
        while more:
            at = self.check_object(&r, at, &self.types.shapes[shape]) if of_objects else self.check_scalar(&r, at, want)
            if at == NULL:
                self.reason = f"{self.types.names[number]}[{i}]{self.reason}"
                return False
            at = next_member(&r, at, c"]", &more)
            i += 1
        return True

    cdef Bytes check_scalar(self, Reader* r, Bytes at, int want) except? NULL:
        """The place behind it; NULL if it is refused."""
        cdef Value value
        at = read_value(r, at, &value)
        if fits(want, &value):
            return at
        self.reason = type_reason("", want, &value)
        return NULL

    cdef Bytes check_object(self, Reader* r, Bytes at, const Needs* needs) except? NULL:
        """Likewise."""
        cdef Fields* f = &self.element
        cdef int number, want
        at = skip_space(r, at)
        if at[0] != c"{":
            self.reason = ": object expected"
            return NULL
        at = read_object(r, at, f, self.types, self.types.wants)
        for number in range(FIELDS_MAX):
            if not is_there(f, number):
                continue
            want = self.types.element_wants[number]
            if not fits(want, &f.values[number]):
                self.reason = "." + type_reason(self.types.names[number], want, &f.values[number])
                return NULL
            if not self.check_closed(f, &self.types.element_closed[number]):
                self.reason = "." + self.reason
                return NULL
        if not has_needs(f, needs):
            self.reason = f" needs {self.types.needs_text(needs)}"
            return NULL
        return at

    # Many.

    def decode(self, bytes data not None, Batch batch not None):
        cdef Bytes at = data
        cdef Bytes end = at + len(data)
        cdef Bytes stop
        cdef Py_ssize_t index = 0
        cdef list refused = []
        self.check_texts(batch)
        batch.reserve_lines(end - at + 1)
        while at < end:
            stop = <Bytes>memchr(at, c"\n", end - at)
            if stop == NULL:
                stop = end
            if not self.line(at, stop, batch):
                refused.append((index, self.reason))
            at = stop + 1
            index += 1
        return refused

    def decode_lines(self, lines, Batch batch not None):
        cdef bytes line
        cdef bytes body
        cdef Py_ssize_t index
        cdef Bytes at
        cdef list refused = []
        self.check_texts(batch)
        for index, line in enumerate(lines):
            at = line
            if memchr(at, c"\n", len(line)) != NULL and b"\n" in line.strip():
                refused.append((index, "a line feed inside the record"))
            elif not self.line(at, at + len(line), batch):
                refused.append((index, self.reason))
        return refused

    cdef int check_texts(self, Batch batch) except -1:
        if batch.texts is not self.texts:
            raise ValueError("the batch interns in another table of texts than its decoder")
        return 0


# Reasons: only for records that are refused.

cdef str kind_reason(const Fields* fields, Bytes end):
    cdef const Value* value = &fields.values[N_KIND]
    if not is_there(fields, N_KIND):
        return "kind: missing"
    return f"unknown kind {quoted(value.at, end)}" if value.token == T_TEXT else type_reason("kind", W_TEXT, value)


cdef str quoted(Bytes at, Bytes end):
    """The text at `at` (behind its quote) as JSON, cut to 40 characters: safe to print."""
    cdef Reader r
    cdef int32_t length = 0, resolved = 0
    r.end = end
    read_text(&r, at - 1, &at, &length, &resolved)
    return json.dumps(json.loads(b'"' + (<const char*>at)[:length] + b'"')[:40])


cdef str fault_reason(const Reader* r):
    cdef Py_ssize_t place = r.place - r.start
    if r.fault == NOT_UTF8:
        return f"not UTF-8 at byte {place}"
    if r.fault == TOO_DEEP:
        return f"nested deeper than {DEPTH_MAX}"
    if r.fault == TOO_MANY_KEYS:
        return f"more than {KEYS_MAX} keys in an object"
    if r.fault == TEXT_TOO_LONG:
        return f"a text longer than {TEXT_MAX} bytes at byte {place}"
    if r.fault == DUPLICATE_KEY:
        return f"duplicate key {quoted(r.place, r.end)}"
    if r.fault == BROKEN:
        return f"broken JSON at byte {place}"
    return f"number too large at byte {place}"


cdef str type_reason(str name, int want, const Value* value):
    cdef bytes raw
    if value.token == T_NULL:
        return f"{name}: null, leave it out"
    if value.token == T_TEXT and want == W_TEXT:
        return f"{name}: empty, leave it out"
    if value.token == T_TEXT and want == W_SRC:
        return f"{name}: {f'longer than {SRC_MAX} bytes' if value.resolved > 0 else 'empty'}"
    if value.token == T_INT and want == W_TIME:
        return f"{name}: after the year 2200"
    if value.token in (T_INT, T_NUMBER) and want in (W_INT, W_INT32, W_TIME, W_AMOUNT, W_REV, W_PERCENT):
        raw = (<const char*>value.at)[:value.length]
        if not set(raw) & set(b".eE"):
            return f"{name}: out of range"
    return f"{name}: {EXPECTED[want]} expected"
