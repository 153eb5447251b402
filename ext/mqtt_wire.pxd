"""MQTT packets out of whatever pieces a socket reads (MQTT 5 and 3.1.1, section 2).

    socket ──room──► buffer ──next──► Packet (where its parts lie) ──► the mapping
                       └── a packet that has not wholly arrived waits at the front for the next read

Bounded before anything is stored: a control packet has at most CONTROL_MAX bytes, the head of a PUBLISH (topic, number,
properties) HEAD_MAX. A PUBLISH with a longer payload than the limit keeps its head and SAMPLE_MAX bytes of payload; the
rest is dropped while it arrives.
"""

cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t

ctypedef const unsigned char* Bytes

cdef enum:
    ROOM_MIN = 8192             # bytes that a read is given at least; the buffer begins with twice as much
    ROOM_MAX = 262144           # and to which it grows when reads fill it
    CONTROL_MAX = 1048576
    HEAD_MAX = 81920            # a topic of 65 535 bytes and some properties
    SAMPLE_MAX = 4096
    ALIASES_MAX = 256           # topic aliases that the broker may use (MQTT 5 section 3.3.2.3.4)
    ALIAS_TOPIC_MAX = 1024      # bytes of a topic that is remembered for its alias

cdef enum Control:
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5

cdef struct Packet:
    uint8_t type            # upper four bits of the first byte
    uint8_t flags           # lower four
    # a control packet: its whole body; a PUBLISH: its payload, as much of it as is there
    Bytes body
    Py_ssize_t length
    # of a PUBLISH
    Bytes topic             # after a topic alias was resolved; NULL: the alias stands for nothing that was remembered
    Py_ssize_t topic_length
    Bytes properties        # NULL: too long to be kept
    Py_ssize_t properties_length
    int64_t payload_length  # as announced; more than `length` if it was cut
    uint16_t number         # packet identifier, 0 under QoS 0
    uint8_t qos
    bint retained
    bint duplicate


@cython.final
cdef class Splitter:
    cdef bytearray buffer
    cdef unsigned char* base
    cdef Py_ssize_t capacity
    cdef Py_ssize_t at          # where the next packet begins
    cdef Py_ssize_t fill        # what has been read ends here
    cdef Py_ssize_t kept        # of a packet that is too long: so many bytes stay, then
    cdef int64_t dropping       # so many are still to be dropped
    cdef Py_ssize_t payload_max
    cdef bint newest            # MQTT 5
    cdef list aliases           # topics by alias, None where there is none yet

    cdef int next(self, Packet* packet) except -1
    cdef int drop(self) noexcept
    cdef int shorten(self, Py_ssize_t head, int64_t length) noexcept
    cdef int read_publish(self, Bytes at, Bytes end, int64_t length, Packet* packet) except -1
    cdef int read_alias(self, Packet* packet) except -1
    cdef int grow(self, Py_ssize_t capacity) except -1


cdef int property_length(Bytes at, Bytes end) noexcept nogil
cdef int varint(Bytes at, Bytes end, int64_t* number) noexcept nogil
