"""Loops and diverts (R61, R62): how often a unit went round before it came to a place, and whether that is where it was
asked to go."""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.state cimport Fact

cdef enum DivertTag:
    TAG_ITEM = 34           # the watermark has passed a loop or a divert of a unit


cdef int watch(Floor floor, Fact* fact) except -1
cdef int judge(Floor floor, Fact* fact) except -1
cdef int check_loops(Floor floor, const Fact* fact, int64_t loops) except -1
