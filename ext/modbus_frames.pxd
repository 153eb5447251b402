"""The requests of one Modbus connection that wait for their answers: see modbus_frames.pyi."""

cimport cython
from libc.stdint cimport uint8_t, uint16_t


cdef enum:
    SLOTS = 64  # requests on their way, with the abandoned ones
    ADU_BYTES_MAX = 260  # of Modbus TCP; RTU has 256


cdef struct Asked:
    uint16_t transaction
    uint16_t address
    uint16_t last      # the request's last two bytes: a quantity to read or to write, or the value of function 6
    uint16_t payload   # bytes that a positive answer to a read carries; 0: a write
    uint8_t unit
    uint8_t function
    bint is_abandoned  # nobody waits any more: its answer is checked, and dropped
    double deadline    # seconds of the caller's clock
    unsigned long answers  # how many had come when it was sent


@cython.final
cdef class Frames:
    cdef Asked asked[SLOTS]  # the first `count`, in no order
    cdef list tokens                 # beside them
    cdef int count
    cdef bint is_rtu
    cdef uint16_t transaction        # of the last request
    cdef bytes rest                  # of an answer that is not whole yet
    cdef readonly str fault
    cdef readonly unsigned long stale
    cdef readonly unsigned long answers
    cdef readonly int waiting
    cdef object token                # of the answer that `next` found last
    cdef object content              # and what it says

    cdef bytes ask(self, object token, int unit, int function, int address, int last, double deadline)
    # The next whole answer that somebody waits for, from `place` on, which it moves on; False: there is none, and what is
    # left of the bytes is in `rest`.
    cdef bint next(self, const uint8_t** place, const uint8_t* end) except -1
    cdef int slot(self, object token) noexcept
    cdef bint is_late(self, int at, double now) noexcept
    cdef int put(
        self, object token, int transaction, int unit, int function, int address, int last, double deadline
    ) except -1
    cdef int find(self, uint16_t transaction) noexcept
    cdef void forget(self, int at)
    cdef object answer(self, int at, const uint8_t* body, int length, bint is_refusal)
    cdef Py_ssize_t tcp(self, const uint8_t* at, Py_ssize_t size, int* whose, int* code) noexcept
    cdef Py_ssize_t rtu(self, const uint8_t* at, Py_ssize_t size, int* whose, int* code) noexcept
