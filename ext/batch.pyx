# cython: boundscheck=False, wraparound=False
"""Columns of records: see batch.pxd for the layout."""

import msgspec
import numpy as np

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from ext.texts cimport TEXT_BYTES, Entry

cdef object decode_json = msgspec.json.Decoder(dict).decode


cdef enum:
    LINE = 64                   # bytes of memory that the processor fetches at once
    COLUMNS_64 = 7
    COLUMNS_32 = 17
    COLUMNS_8 = 2


cdef void* resized(void* block, size_t length) except NULL:
    cdef void* bigger = realloc(block, length)
    if bigger == NULL:
        raise MemoryError
    return bigger


cdef size_t place_of(Py_ssize_t rows, size_t size) noexcept:
    """Bytes that a column takes: whole lines, and two more. Columns of 2**n bytes in a row would have row i at one place of
    the processor's cache each, which holds eight of them."""
    return (<size_t>rows * size + LINE - 1) // LINE * LINE + 2 * LINE


cdef size_t size_of_columns(Py_ssize_t rows) noexcept:
    return (COLUMNS_64 * place_of(rows, sizeof(int64_t)) + COLUMNS_32 * place_of(rows, sizeof(int32_t))
            + COLUMNS_8 * place_of(rows, sizeof(uint8_t)))


cdef void* moved(const void* column, Py_ssize_t count, Py_ssize_t rows, size_t size, char** free_at) noexcept:
    """A column of so many rows at `free_at`, which moves on behind it, with the first `count` of the one before."""
    cdef char* to = free_at[0]
    if count:
        memcpy(to, column, count * size)
    free_at[0] += place_of(rows, size)
    return to


cdef class Batch:
    def __init__(self, Texts texts not None):
        self.texts = texts

    def __dealloc__(self):
        if self.count and self.texts is not None:
            self.texts.holders -= 1
        free(self.lines)
        free(self.columns)

    def __len__(self):
        return self.count

    cdef int reserve(self, Py_ssize_t rows) except -1:
        """Make room for `rows` more; doubles, so that a push costs O(1) amortised."""
        cdef Py_ssize_t n = self.capacity
        cdef char* old = self.columns
        cdef char* free_at
        if self.count + rows <= n:
            return 0
        n = max(2 * n, self.count + rows, 64)
        free_at = self.columns = <char*>resized(NULL, size_of_columns(n))
        self.t_rx = <int64_t*>moved(self.t_rx, self.count, n, sizeof(int64_t), &free_at)
        self.t = <int64_t*>moved(self.t, self.count, n, sizeof(int64_t), &free_at)
        self.epoch = <int64_t*>moved(self.epoch, self.count, n, sizeof(int64_t), &free_at)
        self.seq = <int64_t*>moved(self.seq, self.count, n, sizeof(int64_t), &free_at)
        self.qty = <int64_t*>moved(self.qty, self.count, n, sizeof(int64_t), &free_at)
        self.weight_g = <int64_t*>moved(self.weight_g, self.count, n, sizeof(int64_t), &free_at)
        self.at = <int64_t*>moved(self.at, self.count, n, sizeof(int64_t), &free_at)
        self.src = <int32_t*>moved(self.src, self.count, n, sizeof(int32_t), &free_at)
        self.sub = <int32_t*>moved(self.sub, self.count, n, sizeof(int32_t), &free_at)
        self.task = <int32_t*>moved(self.task, self.count, n, sizeof(int32_t), &free_at)
        self.order = <int32_t*>moved(self.order, self.count, n, sizeof(int32_t), &free_at)
        self.line = <int32_t*>moved(self.line, self.count, n, sizeof(int32_t), &free_at)
        self.sku = <int32_t*>moved(self.sku, self.count, n, sizeof(int32_t), &free_at)
        self.lu = <int32_t*>moved(self.lu, self.count, n, sizeof(int32_t), &free_at)
        self.carton = <int32_t*>moved(self.carton, self.count, n, sizeof(int32_t), &free_at)
        self.track = <int32_t*>moved(self.track, self.count, n, sizeof(int32_t), &free_at)
        self.lot = <int32_t*>moved(self.lot, self.count, n, sizeof(int32_t), &free_at)
        self.loc = <int32_t*>moved(self.loc, self.count, n, sizeof(int32_t), &free_at)
        self.dest = <int32_t*>moved(self.dest, self.count, n, sizeof(int32_t), &free_at)
        self.dest_req = <int32_t*>moved(self.dest_req, self.count, n, sizeof(int32_t), &free_at)
        self.code = <int32_t*>moved(self.code, self.count, n, sizeof(int32_t), &free_at)
        self.press = <int32_t*>moved(self.press, self.count, n, sizeof(int32_t), &free_at)
        self.names = <int32_t*>moved(self.names, self.count, n, sizeof(int32_t), &free_at)
        self.size = <int32_t*>moved(self.size, self.count, n, sizeof(int32_t), &free_at)
        self.kind = <uint8_t*>moved(self.kind, self.count, n, sizeof(uint8_t), &free_at)
        self.flags = <uint8_t*>moved(self.flags, self.count, n, sizeof(uint8_t), &free_at)
        assert <size_t>(free_at - self.columns) == size_of_columns(n)
        self.capacity = n
        free(old)
        return 0

    cdef int reserve_lines(self, Py_ssize_t length) except -1:
        """Make room for so many more bytes of lines, likewise."""
        if self.lines_len + length > self.lines_cap:
            self.lines_cap = max(2 * self.lines_cap, self.lines_len + length, 4096)
            self.lines = <char*>resized(self.lines, self.lines_cap)
        return 0

    cdef void end_row(self, const char* line, Py_ssize_t length) noexcept:
        cdef Py_ssize_t i = self.count
        self.at[i] = self.lines_len
        self.size[i] = <int32_t>length
        memcpy(self.lines + self.lines_len, line, length)
        self.lines[self.lines_len + length] = c"\n"
        self.lines_len += length + 1
        self.count = i + 1
        if i == 0:
            self.texts.holders += 1

    cdef int32_t names_of(self, Py_ssize_t i) noexcept:
        """Bytes of the texts that a fact of this row would keep, as if one of them was new. Asked while they are warm: the core
        comes later."""
        cdef const Entry* of = self.texts.entries
        return (TEXT_BYTES + of[self.task[i]].length + of[self.order[i]].length + of[self.sku[i]].length
                + of[self.lu[i]].length + of[self.carton[i]].length + of[self.lot[i]].length + of[self.loc[i]].length
                + of[self.code[i]].length + of[self.track[i]].length + of[self.dest[i]].length)

    cdef dict fields(self, Py_ssize_t i):
        """The whole record as a dict: for rare decisions and nested context only."""
        return decode_json(self.line_of(i))

    cdef bytes line_of(self, Py_ssize_t i):
        """The record's line, as it came."""
        return PyBytes_FromStringAndSize(self.lines + self.at[i], self.size[i])

    def record(self, Py_ssize_t i):
        if not 0 <= i < self.count:
            raise IndexError(f"the batch has {self.count} rows, not {i}")
        return self.fields(i)

    def ndjson(self):
        return PyBytes_FromStringAndSize(self.lines, self.lines_len)

    def clear(self):
        """Forget all rows, keep the memory: a driver's batch is used again."""
        if self.count:
            self.texts.holders -= 1
        self.count = 0
        self.lines_len = 0

    def column(self, str name):
        """A copy of one column as a numpy array."""
        cdef Py_ssize_t n = self.count
        if name == "t_rx":
            return np.array(<int64_t[:n]>self.t_rx) if n else np.empty(0, np.int64)
        if name == "t":
            return np.array(<int64_t[:n]>self.t) if n else np.empty(0, np.int64)
        if name == "epoch":
            return np.array(<int64_t[:n]>self.epoch) if n else np.empty(0, np.int64)
        if name == "seq":
            return np.array(<int64_t[:n]>self.seq) if n else np.empty(0, np.int64)
        if name == "qty":
            return np.array(<int64_t[:n]>self.qty) if n else np.empty(0, np.int64)
        if name == "weight_g":
            return np.array(<int64_t[:n]>self.weight_g) if n else np.empty(0, np.int64)
        if name == "at":
            return np.array(<int64_t[:n]>self.at) if n else np.empty(0, np.int64)
        if name == "src":
            return np.array(<int32_t[:n]>self.src) if n else np.empty(0, np.int32)
        if name == "sub":
            return np.array(<int32_t[:n]>self.sub) if n else np.empty(0, np.int32)
        if name == "task":
            return np.array(<int32_t[:n]>self.task) if n else np.empty(0, np.int32)
        if name == "order":
            return np.array(<int32_t[:n]>self.order) if n else np.empty(0, np.int32)
        if name == "line":
            return np.array(<int32_t[:n]>self.line) if n else np.empty(0, np.int32)
        if name == "sku":
            return np.array(<int32_t[:n]>self.sku) if n else np.empty(0, np.int32)
        if name == "lu":
            return np.array(<int32_t[:n]>self.lu) if n else np.empty(0, np.int32)
        if name == "carton":
            return np.array(<int32_t[:n]>self.carton) if n else np.empty(0, np.int32)
        if name == "track":
            return np.array(<int32_t[:n]>self.track) if n else np.empty(0, np.int32)
        if name == "lot":
            return np.array(<int32_t[:n]>self.lot) if n else np.empty(0, np.int32)
        if name == "loc":
            return np.array(<int32_t[:n]>self.loc) if n else np.empty(0, np.int32)
        if name == "dest":
            return np.array(<int32_t[:n]>self.dest) if n else np.empty(0, np.int32)
        if name == "dest_req":
            return np.array(<int32_t[:n]>self.dest_req) if n else np.empty(0, np.int32)
        if name == "code":
            return np.array(<int32_t[:n]>self.code) if n else np.empty(0, np.int32)
        if name == "press":
            return np.array(<int32_t[:n]>self.press) if n else np.empty(0, np.int32)
        if name == "names":
            return np.array(<int32_t[:n]>self.names) if n else np.empty(0, np.int32)
        if name == "size":
            return np.array(<int32_t[:n]>self.size) if n else np.empty(0, np.int32)
        if name == "kind":
            return np.array(<uint8_t[:n]>self.kind) if n else np.empty(0, np.uint8)
        if name == "flags":
            return np.array(<uint8_t[:n]>self.flags) if n else np.empty(0, np.uint8)
        raise KeyError(name)
