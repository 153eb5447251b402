"""Pieces that could not be allocated (R23): a short of the line itself, under the key of the short of its own window. What that
one says is all that is missing, so the failed allocation is told where the window is short of nothing."""

from ext.floor cimport Floor
from ext.json_writer cimport JsonWriter
from ext.state cimport Line


cdef int tell(Floor floor, Line* line) except -1
# Whatever the line's own window is short of.
cdef int write(Floor floor, Line* line) except -1
cdef int put_policy(JsonWriter data, const Line* line) except -1
