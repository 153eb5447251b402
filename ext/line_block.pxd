"""Canonical lines in one piece, as they are made: what a driver hands over without an object a line."""

cimport cython
from libc.stdint cimport int64_t
from libc.string cimport memcpy


cdef enum:
    TIME_BYTES = 24     # of a number in decimal, and a little more


@cython.final
cdef class LineBlock:
    cdef char* data
    cdef readonly Py_ssize_t size       # bytes
    cdef readonly Py_ssize_t count      # lines, each ended by \n
    cdef Py_ssize_t capacity
    cdef int64_t time                   # see `put_time`
    cdef char time_text[TIME_BYTES]
    cdef Py_ssize_t time_length

    cdef int reserve(self, Py_ssize_t more) except -1
    cdef inline void put(self, const void* text, Py_ssize_t length) noexcept:
        """Without a check: `reserve` comes before."""
        memcpy(self.data + self.size, text, length)
        self.size += length

    cdef inline void put_number(self, int64_t number) noexcept:
        """A number of 0 or more in decimal; at most 19 bytes, reserved before."""
        cdef char digits[20]
        cdef int at = 20
        while True:
            at -= 1
            digits[at] = <char>(c"0" + number % 10)
            number //= 10
            if number == 0:
                break
        self.put(digits + at, 20 - at)

    cdef inline void put_time(self, int64_t time) noexcept:
        """A number that mostly is the same as the last: the moment in which all of this came. TIME_BYTES are reserved
        before."""
        cdef Py_ssize_t size = self.size
        if time == self.time and self.time_length:
            memcpy(self.data + size, self.time_text, TIME_BYTES)
            self.size += self.time_length
            return
        self.put_number(time)
        self.time = time
        self.time_length = self.size - size
        memcpy(self.time_text, self.data + size, self.time_length)

    cdef int line(self, bytes text) except -1
