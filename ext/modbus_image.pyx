# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""See modbus_image.pyi. `store` and `store_bits` check their bounds once, before the loop."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint16_t

import numpy as np


@cython.final
cdef class RegisterImage:
    cdef readonly object now
    cdef object dirty
    cdef uint16_t[:, ::1] cells
    cdef uint8_t[::1] is_changed
    cdef bytes watched
    cdef Py_ssize_t rows, columns

    def __init__(self, Py_ssize_t rows, bytes watched not None):
        if rows < 0:
            raise ValueError("a number of rows below 0")
        self.rows = rows
        self.columns = len(watched)
        self.watched = watched
        self.now = np.zeros((rows, self.columns), np.uint16)
        self.dirty = np.ones(rows, np.uint8)
        self.cells = self.now
        self.is_changed = self.dirty

    def store(self, Py_ssize_t row, Py_ssize_t column, bytes payload not None):
        cdef const uint8_t* wire = <const uint8_t*>PyBytes_AS_STRING(payload)
        cdef const uint8_t* watched = <const uint8_t*>PyBytes_AS_STRING(self.watched) + column
        cdef Py_ssize_t count = PyBytes_GET_SIZE(payload) // 2
        cdef uint16_t* cells
        cdef uint16_t word, differs = 0
        cdef Py_ssize_t i
        self.check(row, column, count)
        if count == 0:
            return self.is_changed[row] != 0
        cells = &self.cells[row, column]
        for i in range(count):
            word = <uint16_t>(wire[2 * i] << 8 | wire[2 * i + 1])
            differs |= (cells[i] ^ word) & <uint16_t>(-<int>(watched[i] != 0))
            cells[i] = word
        self.is_changed[row] |= differs != 0
        return self.is_changed[row] != 0

    def store_bits(self, Py_ssize_t row, Py_ssize_t column, bytes payload not None, Py_ssize_t quantity):
        cdef const uint8_t* wire = <const uint8_t*>PyBytes_AS_STRING(payload)
        cdef const uint8_t* watched = <const uint8_t*>PyBytes_AS_STRING(self.watched) + column
        cdef uint16_t* cells
        cdef uint16_t bit
        cdef bint differs = False
        cdef Py_ssize_t i
        if quantity > 8 * PyBytes_GET_SIZE(payload):
            raise IndexError("more bits than there are")
        self.check(row, column, quantity)
        if quantity <= 0:
            return self.is_changed[row] != 0
        cells = &self.cells[row, column]
        for i in range(quantity):
            bit = wire[i >> 3] >> (i & 7) & 1
            differs |= cells[i] != bit and watched[i] != 0
            cells[i] = bit
        self.is_changed[row] |= differs
        return self.is_changed[row] != 0

    def seen(self, Py_ssize_t row):
        self.check(row, 0, 0)
        self.is_changed[row] = 0

    def unsettle(self, Py_ssize_t row):
        self.check(row, 0, 0)
        self.is_changed[row] = 1

    def changed(self):
        return np.flatnonzero(self.dirty)

    def words(self, Py_ssize_t row):
        self.check(row, 0, 0)
        return self.now[row]

    cdef int check(self, Py_ssize_t row, Py_ssize_t column, Py_ssize_t count) except -1:
        if not 0 <= row < self.rows or column < 0 or count < 0 or column + count > self.columns:
            raise IndexError(f"{count} registers at row {row}, column {column} of {self.rows} x {self.columns}")
        return 0
