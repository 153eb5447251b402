# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""From a connection's bytes to canonical lines and the PUBACKs owed for them, a batch at a time.

    Splitter ──Packet──► what its topic means (looked up once a topic) ──► LinePlan ──► batch ──► take
                                                     └── not for a compiled plan ──► `spell_out`, in Python ──┘

Hot: `drain`, `message`, `meaning`, `topic_hash`. No Python object a message that a compiled plan takes.
"""

cimport cython
from collections import deque

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy

from ext.json_bytes cimport word_at
from ext.line_block cimport LineBlock
from ext.line_plan cimport CAPTURES_MAX, LinePlan, Slice
from ext.mqtt_wire cimport PUBACK, PUBLISH, PUBREC, Bytes, Control, Packet, Splitter


cdef enum:
    TOPIC_BYTES_MAX = 1024
    TOPICS_BYTES_MAX = 33554432     # what is remembered of topics; beyond it all are looked up again
    TOPIC_COST = 512                # of one, beside four times its length
    SLOW_COST = 32                  # a message that is spelled out, in messages that are not,
    SLOW_BYTES = 1024               # and so much of it costs as one of them
    SLOTS_FIRST = 256


@cython.final
cdef class Meaning:
    """What one topic means: for each filter that matches, a plan and the captures."""
    cdef bytes topic
    cdef uint64_t hash
    cdef list plans             # LinePlan; None: always spelled out
    cdef list retained          # whether what the broker kept is taken
    cdef list captures          # of bytes each
    cdef Slice* slices          # `stride` a plan
    cdef Py_ssize_t stride

    def __cinit__(self, bytes topic not None, list routes not None):
        cdef Py_ssize_t i, k
        cdef bytes text
        self.topic = topic
        self.plans = [plan for plan, _, _ in routes]
        self.retained = [bool(retained) for _, retained, _ in routes]
        self.captures = [list(captures) for _, _, captures in routes]
        self.stride = max(1, max(map(len, self.captures), default=1))
        if self.stride > CAPTURES_MAX:
            raise ValueError("too many captures")
        self.slices = <Slice*>calloc(max(1, len(routes)) * self.stride, sizeof(Slice))
        if self.slices == NULL:
            raise MemoryError
        for i, captures in enumerate(self.captures):
            for k, text in enumerate(captures):
                self.slices[i * self.stride + k] = Slice(at=<Bytes><const char*>text, length=len(text))

    def __dealloc__(self):
        free(self.slices)


cdef inline uint64_t topic_hash(Bytes at, Py_ssize_t length) noexcept nogil:
    cdef uint64_t h = 0x9E3779B97F4A7C15u ^ <uint64_t>length
    cdef uint64_t word
    while length >= 8:
        h = (h ^ word_at(at)) * 0xD6E8FEB86659FD93u
        h ^= h >> 32
        at += 8
        length -= 8
    if length:
        word = 0
        memcpy(&word, at, length)
        h = (h ^ word) * 0xD6E8FEB86659FD93u
        h ^= h >> 32
    return h


@cython.final
cdef class MessageLines:
    cdef Splitter splitter
    cdef object resolve
    cdef object spell_out
    cdef object owes
    cdef Py_ssize_t messages_max
    cdef Py_ssize_t bytes_max
    # topics by hash: open addressing, at most half full
    cdef PyObject** slots
    cdef uint64_t mask
    cdef list meanings          # what the slots point at
    cdef Py_ssize_t topics_bytes
    # the batch at hand, and those before it
    cdef LineBlock lines
    cdef LineBlock acks
    cdef Py_ssize_t messages
    cdef object ready
    cdef readonly Py_ssize_t pending_messages
    cdef readonly Py_ssize_t pending_bytes
    cdef readonly uint64_t seen
    cdef readonly uint64_t spelled_out
    cdef readonly bint more
    cdef list faults

    def __init__(
        self, Splitter splitter not None, resolve, spell_out, owes, *, Py_ssize_t batch_messages, Py_ssize_t batch_bytes
    ):
        self.splitter = splitter
        self.resolve = resolve
        self.spell_out = spell_out
        self.owes = owes
        self.messages_max = batch_messages
        self.bytes_max = batch_bytes
        self.lines = LineBlock()
        self.acks = LineBlock()
        self.ready = deque()
        self.faults = []
        self.meanings = []
        self.make_slots(SLOTS_FIRST)

    def __dealloc__(self):
        free(self.slots)

    # Messages.

    def drain(self, int64_t t_rx, Py_ssize_t budget):
        cdef Packet packet
        cdef list control = []
        self.more = False
        while self.splitter.next(&packet):
            if packet.type != PUBLISH:
                control.append((packet.type, packet.flags, (<const char*>packet.body)[:packet.length]))
                continue
            budget -= self.message(&packet, t_rx)
            if budget <= 0:
                self.more = True
                break
        return control

    cdef Py_ssize_t message(self, const Packet* packet, int64_t t_rx) except -1:
        """One PUBLISH into the batch; what it cost."""
        cdef Meaning meaning = None
        cdef Py_ssize_t size = self.lines.size
        cdef Py_ssize_t cost = 1
        cdef bint taken = False
        self.seen += 1
        if packet.topic != NULL and packet.properties != NULL and packet.topic_length <= TOPIC_BYTES_MAX:
            meaning = self.meaning(packet.topic, packet.topic_length)
        if meaning is not None and packet.length == packet.payload_length:
            taken = self.take_message(meaning, packet, t_rx)
        if not taken:
            cost = SLOW_COST + packet.length // SLOW_BYTES
            self.spell(packet, t_rx)
        if packet.qos:
            self.owe(PUBREC if packet.qos == 2 else PUBACK, packet.number)
        self.added(self.lines.size - size)
        return cost

    cdef bint take_message(self, Meaning meaning, const Packet* packet, int64_t t_rx) except -1:
        """By compiled plans; False: one of them does not take it, and nothing was done."""
        cdef Py_ssize_t size = self.lines.size
        cdef Py_ssize_t count = self.lines.count
        cdef Py_ssize_t i
        cdef LinePlan plan
        for i in range(len(meaning.plans)):
            if packet.retained and not <bint>meaning.retained[i]:
                continue
            plan = <LinePlan>meaning.plans[i]
            if plan is not None and plan.write(
                    packet.body, packet.length, meaning.slices + i * meaning.stride, t_rx, self.lines):
                continue
            self.lines.size = size
            self.lines.count = count
            return False
        # a topic that nothing describes is a fault, and those are spelled out
        return len(meaning.plans) > 0

    cdef int spell(self, const Packet* packet, int64_t t_rx) except -1:
        cdef bytes payload = PyBytes_FromStringAndSize(<const char*>packet.body, packet.length)
        cdef bytes topic = None
        cdef bytes properties = None
        cdef bytes line
        self.spelled_out += 1
        if packet.topic != NULL:
            topic = (<const char*>packet.topic)[:packet.topic_length]
        if packet.properties != NULL:
            properties = (<const char*>packet.properties)[:packet.properties_length]
        lines, causes = self.spell_out(
            topic, payload, packet.payload_length, packet.retained, properties, t_rx, packet.qos > 0
        )
        for line in lines:
            self.lines.line(line)
        for cause in causes:
            self.faults.append((cause, payload, topic or b""))
        return 0

    cdef int owe(self, Control type, int number) except -1:
        """PUBACK or PUBREC (sections 3.4, 3.5): without a reason code, which then means success, they are the same in
        both versions."""
        cdef unsigned char packet[4]
        packet[0] = type << 4
        packet[1] = 2
        packet[2] = number >> 8
        packet[3] = number & 0xFF
        self.acks.reserve(4)
        self.acks.put(packet, 4)
        return 0

    # Batches.

    cdef int added(self, Py_ssize_t size) except -1:
        """One more message is in the batch, with so many bytes of lines."""
        self.messages += 1
        self.pending_messages += 1
        self.pending_bytes += size
        if self.messages >= self.messages_max or self.lines.size >= self.bytes_max:
            self.close()
        return 0

    cdef int close(self) except -1:
        cdef bytes acks = b""
        # one that is held back holds back those behind it: they have to go out in order (section 4.6)
        if self.acks.size and not self.owes():
            acks, _ = self.acks.take()
        if self.lines.count or acks:
            data, count = self.lines.take()
            self.ready.append((data, count, acks, self.messages))
        else:
            self.pending_messages -= self.messages
        self.messages = 0
        return 0

    def take(self):
        if not self.ready:
            self.close()
        if not self.ready:
            return None
        data, count, acks, messages = self.ready.popleft()
        self.pending_messages -= <Py_ssize_t>messages
        self.pending_bytes -= <Py_ssize_t>len(data)
        return data, count, acks

    def add(self, bytes line not None):
        self.lines.line(line)
        self.added(len(line) + 1)

    def take_faults(self):
        faults, self.faults = self.faults, []
        return faults

    # Topics.

    cdef int make_slots(self, uint64_t capacity) except -1:
        cdef Meaning meaning
        free(self.slots)
        self.mask = capacity - 1
        self.slots = <PyObject**>calloc(capacity, sizeof(PyObject*))
        if self.slots == NULL:
            raise MemoryError
        for meaning in self.meanings:
            self.put_slot(meaning)
        return 0

    cdef void put_slot(self, Meaning meaning) noexcept:
        cdef uint64_t i = meaning.hash & self.mask
        while self.slots[i] != NULL:
            i = (i + 1) & self.mask
        self.slots[i] = <PyObject*>meaning

    cdef Meaning meaning(self, Bytes topic, Py_ssize_t length):
        cdef uint64_t h = topic_hash(topic, length)
        cdef uint64_t i = h & self.mask
        cdef Meaning meaning
        while self.slots[i] != NULL:
            meaning = <Meaning>self.slots[i]
            if meaning.hash == h and len(meaning.topic) == length and (
                    memcmp(<const char*>meaning.topic, topic, length) == 0):
                return meaning
            i = (i + 1) & self.mask
        return self.new_meaning(topic, length, h)

    cdef Meaning new_meaning(self, Bytes topic, Py_ssize_t length, uint64_t h):
        cdef bytes text = (<const char*>topic)[:length]
        cdef Meaning meaning
        meaning = Meaning(text, self.resolve(text))
        meaning.hash = h
        self.topics_bytes += TOPIC_COST + 4 * length
        if self.topics_bytes > TOPICS_BYTES_MAX:
            self.meanings = []
            self.topics_bytes = 0
            self.make_slots(SLOTS_FIRST)
        self.meanings.append(meaning)
        if 2 * <uint64_t>len(self.meanings) > self.mask:
            self.make_slots(2 * (self.mask + 1))
        else:
            self.put_slot(meaning)
        return meaning

    @property
    def topics(self):
        return len(self.meanings)
