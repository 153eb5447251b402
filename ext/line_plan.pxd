"""What a payload means, compiled: payload bytes in, canonical lines out, and no Python object on the way.

A plan knows when it does not know: `write` gives 0 for everything that is rare or does not fit, leaves nothing behind,
and its owner then asks `protocols.mapping.plan`, which spells out what is meant and finds the words for what is wrong.
So the two may never disagree on what this one takes.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint64_t

from ext.json_bytes cimport Bytes
from ext.json_tape cimport Tape
from ext.line_block cimport LineBlock
from ext.text_map cimport TextMap

cdef enum:
    CAPTURES_MAX = 64       # a topic has no more levels

cdef struct Slice:
    Bytes at
    Py_ssize_t length

cdef struct Scope:
    int32_t item            # the node that paths begin at
    int32_t sub             # its place in the list of `each`
    int64_t t_rx
    const Slice* captures


cdef struct Step:
    Bytes name              # NULL: an index
    uint64_t head
    int32_t length
    int32_t index


@cython.final
cdef class JsonPath:
    """A `protocols.mapping.paths.Path`."""
    cdef bint from_root
    cdef Step whole         # name NULL: the steps say the same
    cdef Step* steps
    cdef int count
    cdef list alive         # the names

    cdef int32_t follow(self, const Tape* tape, int32_t item) noexcept nogil
    cdef int set_name(self, Step* step, str name) except -1


cdef class LinePlan:
    cdef Tape tape
    cdef bint of_text           # the payload is a bare text
    cdef readonly Py_ssize_t payload_max
    cdef JsonPath each
    cdef list when              # JsonPaths
    cdef list wanted            # a TextMap for each

    cdef int write(self, Bytes payload, Py_ssize_t length, const Slice* captures, int64_t t_rx, LineBlock out) except -1
    cdef int select(self, const Slice* captures, int64_t t_rx, LineBlock out) except -1
    cdef bint read_payload(self, Bytes payload, Py_ssize_t length) noexcept
    cdef int meant(self, int32_t item) except -1
    cdef int record(self, const Scope* scope, LineBlock out) except -1
