"""A data value of OPC UA as columns hold it, and as one Python object: see opcua_values.pyi."""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from ext.json_bytes cimport Bytes
from ext.opcua_reader cimport Reader

cdef enum Form:
    SCALAR = 0
    ARRAY = 1
    MATRIX = 2
    ABSENT = 3              # no value was sent

cdef struct Row:            # a column each
    int64_t source_us       # NO_TIME: not sent, or no time
    int64_t server_us
    int64_t number          # integers, booleans, status codes; a double's bits; microseconds of a date
    int64_t at              # where the variant begins in its message
    uint32_t handle
    uint32_t status
    int32_t length          # bytes of the variant
    int32_t count           # bytes of a text, elements of an array; -1: null
    uint8_t type
    uint8_t form

cdef int64_t NO_TIME

cdef bint take_data_value(Reader* r, Bytes start, Row* row) noexcept nogil

@cython.final
cdef class Reading:
    cdef readonly object value
    cdef readonly object fault
    cdef readonly uint32_t status
    cdef int64_t source
    cdef int64_t server

cdef Reading make_reading(const Row* row, Bytes start, object library)

cdef object take_plain(Reader* r, object library)
