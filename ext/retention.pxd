"""What is over leaves (section 1, `retention_ms`, `state_bytes_max`)."""

from libc.stdint cimport int64_t

from ext.floor cimport Floor


cdef int sweep(Floor floor, int64_t before) except -1
