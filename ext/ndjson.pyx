# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Canonical NDJSON to rows: see ndjson.pxd for the way of a record, ndjson.pyi for what is refused.

Hot: `line`, `read`, `check`, `read_object`, `find`. The loops over fixed tables run over numbers that the tables'
constructors have bounded (`FIELDS_MAX`, `K_COUNT`), so they need no index checks.
"""

import json

from libc.stdint cimport int32_t, int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr

from ext.batch cimport ABSENT, F_ALLOC, F_HIST
from ext.json_reader cimport name_words, next_member, push_key, read_key, read_value
from ext.json_scalars cimport (
    BROKEN, DEPTH_MAX, DUPLICATE_KEY, KEYS_MAX, NOT_UTF8, SOUND, T_INT, T_NULL, T_NUMBER, T_TEXT, T_TRUE,
    TEXT_MAX, TEXT_TOO_LONG, TOO_DEEP, TOO_MANY_KEYS,
    failed, is_space, read_text, resolve, skip_space, take,
)
from ext.kinds cimport K_CLOCK_TICK, K_UNKNOWN, is_noise
from ext.record_types cimport (
    N_ALLOC, N_CARTON, N_CODE, N_DEST, N_DEST_REQ, N_EPOCH, N_HIST, N_KIND, N_LINE, N_LOC, N_LOT, N_LU, N_ORDER,
    N_PRESS, N_QTY, N_SEQ, N_SKU, N_SRC, N_SUB, N_T, N_T_RX, N_TASK, N_TRACK, N_WEIGHT_G,
    SRC_MAX, W_AMOUNT, W_BOOL, W_FREE, W_INT, W_INT32, W_LIST, W_SRC, W_TEXT, W_TEXTS, W_TIME,
    FIELDS_MAX, Needs, RecordTypes, find, fits, stands_at,
)

from ext.kinds import NAMES as KIND_NAMES

LINE_BYTES_MAX = LINE_MAX

EXPECTED = {
    W_TEXT: "text", W_SRC: "text", W_INT: "integer", W_INT32: "integer", W_TIME: "integer", W_AMOUNT: "integer",
    W_BOOL: "true or false", W_TEXTS: "list of texts", W_LIST: "list",
}


cdef bint read_object(Reader* r, Fields* fields, RecordTypes types) noexcept nogil:
    """An object, from its bracket on: where the values of the known fields lie. Unknown ones are looked through."""
    cdef int first = r.open_keys
    cdef int members = 0
    cdef int number, last = FIELDS_MAX
    cdef bint more = True
    cdef Key key
    cdef Value unknown
    cdef Value* value
    fields.stamp += 1
    fields.count = 0
    r.at += 1
    skip_space(r)
    if take(r, c"}"):
        return True
    while more:
        key.at = r.at + 1
        number = fields.next[last]
        if r.end - r.at >= 16 and stands_at(&types.quoted[number], r.at):   # as in the record before, mostly
            r.at += types.quoted[number].length
            skip_space(r)
        elif read_key(r, &key):
            number = find(types.fields, &key)
        else:
            return False
        if members == KEYS_MAX:
            return failed(r, TOO_MANY_KEYS, key.at)
        members += 1
        if number < 0:
            if not push_key(r, &key, first):
                return False
            value = &unknown
        else:
            value = &fields.values[number]
            if value.stamp == fields.stamp:
                return failed(r, DUPLICATE_KEY, key.at)
            value.stamp = fields.stamp
            fields.seen[fields.count] = number
            fields.count += 1
            fields.next[last] = number
            last = number
        if not read_value(r, value) or not next_member(r, c"}", &more):
            return False
    r.open_keys = first
    return True


cdef inline bint is_there(const Fields* fields, int number) noexcept nogil:
    return fields.values[number].stamp == fields.stamp


cdef inline int64_t integer(const Fields* fields, int number, int64_t absent) noexcept nogil:
    return fields.values[number].number if is_there(fields, number) else absent


cdef bint has_needs(const Fields* fields, const Needs* needs) noexcept nogil:
    """Whether all fields of one of the alternatives are there."""
    cdef int i, k
    for i in range(needs.choices):
        for k in range(needs.counts[i]):
            if not is_there(fields, needs.fields[i][k]):
                break
        else:
            return True
    return False


cdef class NdjsonDecoder:
    def __cinit__(self):
        self.keys = <Key*>malloc(DEPTH_MAX * KEYS_MAX * sizeof(Key))
        self.scratch = <unsigned char*>malloc(2 * TEXT_MAX)
        if self.keys == NULL or self.scratch == NULL:
            raise MemoryError

    def __init__(self, Texts texts not None, kinds, fields, exceptions, elements):
        self.texts = texts
        self.types = RecordTypes(kinds, fields, exceptions, elements)

    def __dealloc__(self):
        free(self.keys)
        free(self.scratch)

    # One record.

    cdef Reader reader(self, Bytes at, Bytes end) noexcept:
        return Reader(start=at, at=at, end=end, fault=SOUND, depth=1, open_keys=0, keys=self.keys, scratch=self.scratch)

    cdef bint line(self, Bytes at, Bytes end, Batch batch) except -1:
        """Read one line and push its row; False if it is refused, with `reason`. Blank lines are passed over."""
        cdef Row row
        if end - at > 0 and (end - 1)[0] == c"\r":
            end -= 1
        if end - at > LINE_MAX:
            self.reason = f"longer than {LINE_MAX} bytes"
            return False
        if end - at >= 3 and at[0] == 0xEF and at[1] == 0xBB and at[2] == 0xBF:
            at += 3
        while at < end and is_space(at[0]):
            at += 1
        while at < end and is_space((end - 1)[0]):
            end -= 1
        if at == end:
            return True
        if not self.read(at, end, &row):
            return False
        batch.push(&row, <const char*>at, end - at)
        return True

    cdef bint read(self, Bytes at, Bytes end, Row* row) except -1:
        """One record into a row; False if it is refused, with `reason`."""
        cdef Reader r = self.reader(at, end)
        cdef Fields* f = &self.record
        cdef int kind
        if at[0] != c"{":
            self.reason = "a JSON object expected"
            return False
        if not read_object(&r, f, self.types) or (r.at != r.end and not failed(&r, BROKEN, r.at)):
            self.reason = fault_reason(&r)
            return False
        kind = self.kind(&r)
        if kind == K_UNKNOWN or not self.check(kind):
            return False
        row.kind = kind
        row.flags = F_HIST if is_there(f, N_HIST) and f.values[N_HIST].token == T_TRUE else 0
        row.t_rx = f.values[N_T_RX].number
        row.t = integer(f, N_T, ABSENT)
        row.epoch = integer(f, N_EPOCH, 0)
        row.seq = integer(f, N_SEQ, ABSENT)
        row.sub = <int32_t>integer(f, N_SUB, 0)
        row.src = self.text(N_SRC)
        if is_noise(kind):
            self.leave_payload(row)
        else:
            self.fill_payload(row)
        return True

    cdef int kind(self, Reader* r) except -1:
        """The number of the record's kind; K_UNKNOWN if it is refused for it."""
        cdef const Value* value = &self.record.values[N_KIND]
        cdef Key key
        cdef int number = -1
        if not is_there(&self.record, N_KIND):
            self.reason = "kind: missing"
            return K_UNKNOWN
        if value.token != T_TEXT:
            self.reason = type_reason("kind", W_TEXT, value)
            return K_UNKNOWN
        key.at = value.at
        key.length = value.length
        key.resolved = value.resolved
        name_words(r, &key)
        number = find(self.types.kinds, &key)
        if number < 0:
            self.reason = f"unknown kind {quoted(value.at, r.end)}"
            return K_UNKNOWN
        return number

    cdef bint check(self, int kind) except -1:
        """Hold the fields that are there against the kind: types, then presence."""
        cdef Fields* f = &self.record
        cdef int i, number, want
        for i in range(f.count):
            number = f.seen[i]
            want = self.types.wants[kind][number]
            if not fits(want, &f.values[number]):
                self.reason = type_reason(self.types.names[number], want, &f.values[number])
                return False
            if want >= W_TEXTS and not self.check_list(kind, number):
                return False
        if not is_there(f, N_T_RX):
            self.reason = "t_rx: missing"
            return False
        if not is_there(f, N_SRC) and kind != K_CLOCK_TICK:
            self.reason = "src: missing"
            return False
        if not has_needs(f, &self.types.needs[kind]):
            self.reason = f"{KIND_NAMES[kind]} needs {self.types.needs_text(&self.types.needs[kind])}"
            return False
        return True

    cdef void leave_payload(self, Row* row) noexcept:
        row.qty = row.weight_g = ABSENT
        row.line = -1
        row.task = row.order = row.sku = row.lu = row.carton = row.track = row.lot = row.loc = 0
        row.dest = row.dest_req = row.code = row.press = 0

    cdef int fill_payload(self, Row* row) except -1:
        cdef const Fields* f = &self.record
        row.flags |= F_ALLOC if is_there(f, N_ALLOC) else 0
        row.qty = integer(f, N_QTY, ABSENT)
        row.weight_g = integer(f, N_WEIGHT_G, ABSENT)
        row.line = <int32_t>integer(f, N_LINE, -1)
        row.task = self.text(N_TASK)
        row.order = self.text(N_ORDER)
        row.sku = self.text(N_SKU)
        row.lu = self.text(N_LU)
        row.carton = self.text(N_CARTON)
        row.track = self.text(N_TRACK)
        row.lot = self.text(N_LOT)
        row.loc = self.text(N_LOC)
        row.dest = self.text(N_DEST)
        row.dest_req = self.text(N_DEST_REQ)
        row.code = self.text(N_CODE)
        row.press = self.text(N_PRESS)
        return 0

    cdef int32_t text(self, int number) except -1:
        """Intern a text field of the record; 0 if it is absent."""
        cdef const Value* value = &self.record.values[number]
        if value.stamp != self.record.stamp:
            return 0
        if value.length == value.resolved:
            return self.texts.intern(<const char*>value.at, value.length)
        resolve(value.at, value.length, self.scratch)
        return self.texts.intern(<const char*>self.scratch, value.resolved)

    # Lists: the slow path, rare kinds only. Their syntax has been read already.

    cdef bint check_list(self, int kind, int number) except -1:
        cdef const Value* value = &self.record.values[number]
        cdef Reader r = self.reader(value.at, value.at + value.length)
        cdef int shape = self.types.shape_of[kind][number]
        cdef int want = W_TEXT if self.types.wants[kind][number] == W_TEXTS else W_FREE
        cdef bint of_objects = shape > 0 and self.types.shapes[shape].choices > 0
        cdef bint more = True
        cdef int i = 0
        if shape > 0 and not of_objects:
            want = W_INT32
        r.at += 1
        skip_space(&r)
        if take(&r, c"]"):
            return True
        while more:
            skip_space(&r)
            if not (self.check_object(&r, &self.types.shapes[shape]) if of_objects else self.check_scalar(&r, want)):
                self.reason = f"{self.types.names[number]}[{i}]{self.reason}"
                return False
            next_member(&r, c"]", &more)
            i += 1
        return True

    cdef bint check_scalar(self, Reader* r, int want) except -1:
        cdef Value value
        read_value(r, &value)
        if fits(want, &value):
            return True
        self.reason = type_reason("", want, &value)
        return False

    cdef bint check_object(self, Reader* r, const Needs* needs) except -1:
        cdef Fields* f = &self.element
        cdef int i, number, want
        if r.at[0] != c"{":
            self.reason = ": object expected"
            return False
        read_object(r, f, self.types)
        for i in range(f.count):
            number = f.seen[i]
            want = self.types.element_wants[number]
            if not fits(want, &f.values[number]):
                self.reason = "." + type_reason(self.types.names[number], want, &f.values[number])
                return False
        if not has_needs(f, needs):
            self.reason = f" needs {self.types.needs_text(needs)}"
            return False
        return True

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

cdef str quoted(Bytes at, Bytes end):
    """The text at `at` (behind its quote) as JSON, cut to 40 characters: safe to print."""
    cdef Reader r
    cdef int32_t length = 0, resolved = 0
    r.at = at - 1
    r.end = end
    read_text(&r, &at, &length, &resolved)
    return json.dumps(json.loads(b'"' + (<const char*>at)[:length] + b'"')[:40])


cdef str fault_reason(const Reader* r):
    cdef Py_ssize_t place = r.at - r.start
    if r.fault == NOT_UTF8:
        return f"not UTF-8 at byte {place}"
    if r.fault == TOO_DEEP:
        return f"nested deeper than {DEPTH_MAX}"
    if r.fault == TOO_MANY_KEYS:
        return f"more than {KEYS_MAX} keys in an object"
    if r.fault == TEXT_TOO_LONG:
        return f"a text longer than {TEXT_MAX} bytes at byte {place}"
    if r.fault == DUPLICATE_KEY:
        return f"duplicate key {quoted(r.at, r.end)}"
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
    if value.token in (T_INT, T_NUMBER) and want in (W_INT, W_INT32, W_TIME, W_AMOUNT):
        raw = (<const char*>value.at)[:value.length]
        if not set(raw) & set(b".eE"):
            return f"{name}: out of range"
    return f"{name}: {EXPECTED[want]} expected"
