"""What is over leaves (section 1, `retention_ms`, `state_bytes_max`), and so do the texts that nothing names any more."""

from libc.stdint cimport int64_t

from ext.floor cimport Floor


cdef int sweep(Floor floor, int64_t before) except -1
cdef int collect(Floor floor) except -1
cdef int collect_names(Floor floor) except -1
