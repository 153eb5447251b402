"""What is over leaves, `retention_ms` after its end; planned work never does."""

from libc.stdint cimport int64_t

from ext.context cimport Context
from ext.floor cimport Floor


cdef int sweep(Floor floor, Context context, int64_t before) except -1
