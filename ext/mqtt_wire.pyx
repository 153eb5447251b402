# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""Splitting MQTT: see mqtt_wire.pxd for the way of the bytes, mqtt_wire.pyi for how it is used.

The fixed header of a packet that has not wholly arrived is read again at the next call: it has five bytes at most, so
that there is no state between two calls but where things lie.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.stdint cimport int64_t, uint16_t
from libc.string cimport memcpy, memmove

from ext.mqtt_wire cimport (
    ALIAS_TOPIC_MAX, ALIASES_MAX, CONTROL_MAX, HEAD_MAX, PUBLISH, ROOM_MAX, ROOM_MIN, SAMPLE_MAX, Bytes, Packet,
)

TOPIC_ALIASES = ALIASES_MAX


class WireFault(ValueError):
    """Bytes that are no MQTT: this connection is over."""


cdef int varint(Bytes at, Bytes end, int64_t* number) noexcept nogil:
    """A variable byte integer (section 1.5.5): how many bytes it has; 0: more are needed; -1: it is none."""
    cdef int i
    number[0] = 0
    for i in range(4):
        if at + i >= end:
            return 0
        number[0] |= <int64_t>(at[i] & 0x7F) << 7 * i
        if at[i] < 0x80:
            return i + 1
    return -1


cdef inline Py_ssize_t two(Bytes at) noexcept nogil:
    return at[0] << 8 | at[1]


cdef int property_length(Bytes at, Bytes end) noexcept nogil:
    """How long the property at `at` is, its identifier included (section 2.2.2.2); -1 if it is none or goes over."""
    cdef Py_ssize_t left = end - at
    cdef Py_ssize_t length
    cdef int64_t number
    cdef int kind = at[0]
    cdef int size
    if kind in (0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A):
        length = 2
    elif kind in (0x13, 0x21, 0x22, 0x23):
        length = 3
    elif kind in (0x02, 0x11, 0x18, 0x27):
        length = 5
    elif kind == 0x0B:
        size = varint(at + 1, end, &number)
        if size <= 0:
            return -1
        length = 1 + size
    elif kind in (0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F):
        if left < 3:
            return -1
        length = 3 + two(at + 1)
    elif kind == 0x26:
        if left < 3 or left < 5 + two(at + 1):
            return -1
        length = 5 + two(at + 1)
        length += two(at + length - 2)
    else:
        return -1
    return <int>length if length <= left else -1


cdef class Splitter:
    def __init__(self, *, bint newest, Py_ssize_t payload_bytes_max):
        self.newest = newest
        self.payload_max = payload_bytes_max
        self.aliases = [None] * (ALIASES_MAX + 1)
        self.at = self.fill = self.kept = 0
        self.dropping = 0
        self.buffer = bytearray()
        self.capacity = 0
        self.grow(2 * ROOM_MIN)

    cdef int grow(self, Py_ssize_t capacity) except -1:
        cdef bytearray larger = bytearray(capacity)
        cdef unsigned char* base = <unsigned char*>PyByteArray_AS_STRING(larger)
        if self.fill > self.at:
            memcpy(base, self.base + self.at, self.fill - self.at)
        self.fill -= self.at
        self.at = 0
        # an older buffer may still be looked at by whoever was given room in it: it is let go, never resized
        self.buffer = larger
        self.base = base
        self.capacity = capacity
        return 0

    def room(self):
        cdef Py_ssize_t wanted = max(ROOM_MIN, self.capacity // 4)
        if self.at == self.fill:
            self.at = self.fill = 0
        elif self.capacity - self.fill < wanted:
            memmove(self.base, self.base + self.at, self.fill - self.at)
            self.fill -= self.at
            self.at = 0
        if self.capacity - self.fill < wanted:
            self.grow(2 * self.capacity)
        return memoryview(self.buffer)[self.fill:]

    def filled(self, Py_ssize_t count):
        if count < 0 or count > self.capacity - self.fill:
            raise ValueError("more than there was room for")
        self.fill += count
        # a read that fills its room asks for a larger one
        if self.fill == self.capacity and count >= self.capacity // 2 and self.capacity < ROOM_MAX:
            self.grow(2 * self.capacity)

    @property
    def held(self):
        return self.fill - self.at

    @property
    def capacity_bytes(self):
        return self.capacity

    cdef int next(self, Packet* packet) except -1:
        """1: the next packet; it lies where it lies until the next call of `room`. 0: none has wholly arrived."""
        cdef Bytes at = self.base + self.at
        cdef Bytes end = self.base + self.fill
        cdef int64_t length = 0
        cdef Py_ssize_t whole
        cdef int head
        if self.dropping and not self.drop():
            return 0
        if end - at < 2:
            return 0
        head = varint(at + 1, end, &length)
        if head <= 0:
            if head < 0:
                raise WireFault("a packet length of more than four bytes")
            return 0
        head += 1
        packet.type = at[0] >> 4
        packet.flags = at[0] & 0x0F
        if packet.type == PUBLISH and length > HEAD_MAX + self.payload_max:
            if not self.kept and not self.shorten(head, length):
                return 0
            whole = self.kept
            self.kept = 0
        else:
            if packet.type != PUBLISH and length > CONTROL_MAX:
                raise WireFault("a control packet that is too long")
            whole = head + length
            if end - at < whole:
                return 0
        self.at += whole
        if packet.type == PUBLISH:
            self.read_publish(at + head, at + whole, length, packet)
        else:
            packet.body = at + head
            packet.length = whole - head
        return 1

    cdef int shorten(self, Py_ssize_t head, int64_t length) noexcept:
        """A PUBLISH that is too long: when its beginning has arrived, the rest is dropped. 1: all of it was there."""
        cdef Py_ssize_t kept = head + HEAD_MAX + SAMPLE_MAX
        # the payload limit may be smaller than a sample
        if kept > head + length:
            kept = head + length
        if self.fill - self.at < kept:
            return 0
        self.kept = kept
        self.dropping = head + length - kept
        return self.drop()

    cdef int drop(self) noexcept:
        """Take out what has arrived of the part that is not kept; 1 when all of it has gone."""
        cdef Py_ssize_t arrived = self.fill - self.at - self.kept
        cdef Py_ssize_t gone = <Py_ssize_t>min(<int64_t>arrived, self.dropping)
        cdef unsigned char* hole = self.base + self.at + self.kept
        memmove(hole, hole + gone, arrived - gone)
        self.fill -= gone
        self.dropping -= gone
        return self.dropping == 0

    cdef int read_publish(self, Bytes at, Bytes end, int64_t length, Packet* packet) except -1:
        """Section 3.3. `length`: the remaining length as announced; [at, end) is as much of it as is kept."""
        cdef Bytes first = at
        cdef int64_t properties = 0
        cdef int size
        packet.qos = packet.flags >> 1 & 3
        packet.retained = packet.flags & 1
        packet.duplicate = packet.flags >> 3 & 1
        packet.number = 0
        packet.properties = at
        packet.properties_length = 0
        if packet.qos == 3:
            raise WireFault("a PUBLISH of a quality of service that there is not")
        if end - at < 2:
            raise WireFault("a PUBLISH without a topic")
        packet.topic_length = two(at)
        packet.topic = at + 2
        at += 2 + packet.topic_length
        if end - at < (2 if packet.qos else 0):
            raise WireFault("a PUBLISH whose topic goes over its end")
        if packet.qos:
            packet.number = <uint16_t>two(at)
            at += 2
            if packet.number == 0:
                raise WireFault("a PUBLISH without a number")
        if self.newest:
            size = varint(at, end, &properties)
            if size <= 0 or length - (at + size - first) < properties:
                raise WireFault("a PUBLISH with a wrong length of properties")
            at += size
            packet.properties_length = <Py_ssize_t>properties
            packet.properties = at if properties <= end - at else NULL
            at += properties if packet.properties != NULL else end - at
        packet.body = at
        packet.length = end - at
        packet.payload_length = length - (at - first)
        if packet.properties == NULL:
            return 0
        if packet.properties_length:
            self.read_alias(packet)
        if packet.topic_length == 0 and packet.topic != NULL:
            raise WireFault("a PUBLISH without a topic")
        return 0

    cdef int read_alias(self, Packet* packet) except -1:
        """Check the properties, and set or use a topic alias (section 3.3.2.3.4)."""
        cdef Bytes at = packet.properties
        cdef Bytes end = at + packet.properties_length
        cdef Py_ssize_t alias = 0
        cdef int length
        cdef bytes topic
        while at < end:
            length = property_length(at, end)
            if length < 0:
                raise WireFault("a PUBLISH with a property that cannot be read")
            if at[0] == 0x23:
                if alias:
                    raise WireFault("a PUBLISH with two topic aliases")
                alias = two(at + 1)
                if not 0 < alias <= ALIASES_MAX:
                    raise WireFault("a topic alias beyond what we allowed")
            at += length
        if alias == 0:
            return 0
        if packet.topic_length:
            # a longer topic is refused anyway, and so is every message that names it by its alias
            topic = (<const char*>packet.topic)[:packet.topic_length] if packet.topic_length <= ALIAS_TOPIC_MAX else b""
            self.aliases[alias] = topic
            return 0
        topic = self.aliases[alias]
        if topic is None:
            raise WireFault("a topic alias that was never set")
        packet.topic = <Bytes><const char*>topic if topic else NULL
        packet.topic_length = len(topic)
        return 0

    def packets(self):
        cdef Packet packet
        cdef list found = []
        while self.next(&packet):
            found.append(as_tuple(&packet))
        return found


cdef tuple as_tuple(const Packet* packet):
    cdef bytes body = (<const char*>packet.body)[:packet.length]
    cdef bytes topic = None
    cdef bytes properties = None
    if packet.type != PUBLISH:
        return packet.type, packet.flags, body
    if packet.topic != NULL:
        topic = (<const char*>packet.topic)[:packet.topic_length]
    if packet.properties != NULL:
        properties = (<const char*>packet.properties)[:packet.properties_length]
    return (
        PUBLISH, packet.flags & ~8, topic, properties, body, packet.payload_length, packet.number,
        bool(packet.duplicate),
    )


def properties_of(bytes block not None):
    cdef Bytes at = block
    cdef Bytes end = at + len(block)
    cdef int length
    cdef list found = []
    cdef int64_t number
    while at < end:
        length = property_length(at, end)
        if length < 0:
            raise WireFault("a property that cannot be read")
        found.append((at[0], property_value(at, length)))
        at += length
    return found


cdef object property_value(Bytes at, int length):
    cdef bytes raw = (<const char*>at)[1:length]
    cdef int64_t number = 0
    cdef int name
    if at[0] == 0x26:
        name = 2 + int(two(at + 1))
        return raw[2:name], raw[name + 2:]
    if at[0] == 0x0B:
        varint(at + 1, at + length, &number)
        return number
    if at[0] in (0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F):
        return raw[2:]
    return int.from_bytes(raw, "big")
