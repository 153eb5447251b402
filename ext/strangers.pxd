"""Names that nobody knows (`state_bytes_max`): a full state refuses them to those who bring many."""

from libc.stdint cimport int64_t

from ext.batch cimport Batch
from ext.floor cimport Floor
from ext.state cimport Strangers


cdef bint is_known(Floor floor, Batch batch, Py_ssize_t i) except -1
cdef bint are_few(Strangers* strangers, int64_t t_rx) noexcept
