# cython: boundscheck=False, wraparound=False
"""Columns of records: see batch.pxd for the layout."""

import msgspec
import numpy as np

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

cdef object decode_json = msgspec.json.Decoder(dict).decode


cdef void* resized(void* column, size_t length) except NULL:
    cdef void* bigger = realloc(column, length)
    if bigger == NULL:
        raise MemoryError
    return bigger


cdef class Batch:
    def __init__(self, Texts texts not None):
        self.texts = texts

    def __dealloc__(self):
        if self.count and self.texts is not None:
            self.texts.holders -= 1
        free(self.lines)
        free(self.t_rx)
        free(self.t)
        free(self.epoch)
        free(self.seq)
        free(self.qty)
        free(self.weight_g)
        free(self.at)
        free(self.src)
        free(self.sub)
        free(self.task)
        free(self.order)
        free(self.line)
        free(self.sku)
        free(self.lu)
        free(self.carton)
        free(self.track)
        free(self.lot)
        free(self.loc)
        free(self.dest)
        free(self.dest_req)
        free(self.code)
        free(self.press)
        free(self.size)
        free(self.kind)
        free(self.flags)

    def __len__(self):
        return self.count

    cdef int reserve(self, Py_ssize_t rows) except -1:
        """Make room for `rows` more; doubles, so that a push costs O(1) amortised."""
        cdef Py_ssize_t n = self.capacity
        if self.count + rows <= n:
            return 0
        n = max(2 * n, self.count + rows, 64)
        self.t_rx = <int64_t*>resized(self.t_rx, n * sizeof(int64_t))
        self.t = <int64_t*>resized(self.t, n * sizeof(int64_t))
        self.epoch = <int64_t*>resized(self.epoch, n * sizeof(int64_t))
        self.seq = <int64_t*>resized(self.seq, n * sizeof(int64_t))
        self.qty = <int64_t*>resized(self.qty, n * sizeof(int64_t))
        self.weight_g = <int64_t*>resized(self.weight_g, n * sizeof(int64_t))
        self.at = <int64_t*>resized(self.at, n * sizeof(int64_t))
        self.src = <int32_t*>resized(self.src, n * sizeof(int32_t))
        self.sub = <int32_t*>resized(self.sub, n * sizeof(int32_t))
        self.task = <int32_t*>resized(self.task, n * sizeof(int32_t))
        self.order = <int32_t*>resized(self.order, n * sizeof(int32_t))
        self.line = <int32_t*>resized(self.line, n * sizeof(int32_t))
        self.sku = <int32_t*>resized(self.sku, n * sizeof(int32_t))
        self.lu = <int32_t*>resized(self.lu, n * sizeof(int32_t))
        self.carton = <int32_t*>resized(self.carton, n * sizeof(int32_t))
        self.track = <int32_t*>resized(self.track, n * sizeof(int32_t))
        self.lot = <int32_t*>resized(self.lot, n * sizeof(int32_t))
        self.loc = <int32_t*>resized(self.loc, n * sizeof(int32_t))
        self.dest = <int32_t*>resized(self.dest, n * sizeof(int32_t))
        self.dest_req = <int32_t*>resized(self.dest_req, n * sizeof(int32_t))
        self.code = <int32_t*>resized(self.code, n * sizeof(int32_t))
        self.press = <int32_t*>resized(self.press, n * sizeof(int32_t))
        self.size = <int32_t*>resized(self.size, n * sizeof(int32_t))
        self.kind = <uint8_t*>resized(self.kind, n * sizeof(uint8_t))
        self.flags = <uint8_t*>resized(self.flags, n * sizeof(uint8_t))
        self.capacity = n
        return 0

    cdef int reserve_lines(self, Py_ssize_t length) except -1:
        """Make room for so many more bytes of lines, likewise."""
        if self.lines_len + length > self.lines_cap:
            self.lines_cap = max(2 * self.lines_cap, self.lines_len + length, 4096)
            self.lines = <char*>resized(self.lines, self.lines_cap)
        return 0

    cdef Py_ssize_t begin_row(self, Py_ssize_t length) except -1:
        """A row with a line of so many bytes: its number. All its columns have to be set before `end_row`."""
        if self.count == self.capacity:
            self.reserve(1)
        if self.lines_len + length >= self.lines_cap:
            self.reserve_lines(length + 1)
        return self.count

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
        if name == "size":
            return np.array(<int32_t[:n]>self.size) if n else np.empty(0, np.int32)
        if name == "kind":
            return np.array(<uint8_t[:n]>self.kind) if n else np.empty(0, np.uint8)
        if name == "flags":
            return np.array(<uint8_t[:n]>self.flags) if n else np.empty(0, np.uint8)
        raise KeyError(name)
