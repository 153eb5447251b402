# cython: boundscheck=False, wraparound=False
"""See websocket_frames.pyi. A head is read byte by byte: so a fault is the same however the bytes are cut."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t
from libc.string cimport memmove

cdef enum:
    CONTINUATION = 0
    BINARY_ = 2
    CLOSE_ = 8
    PING_ = 9
    PONG_ = 10
    CONTROL = 8             # this bit of an opcode
    LAST = 0x80             # of the first byte
    RESERVED = 0x70
    MASKED = 0x80           # of the second
    SHORT_MAX = 125         # a longer payload has its length in two bytes (126) or eight (127)

BINARY, CLOSE, PONG = BINARY_, CLOSE_, PONG_


class FrameFault(ValueError):
    pass


@cython.final
cdef class Unframer:
    cdef uint8_t head[10]
    cdef int begun              # so many bytes of a head are there
    cdef int64_t left           # so many bytes of the frame are still to come
    cdef int opcode             # of the frame
    cdef bint is_within         # a message, whose last frame has not begun
    cdef bytearray control      # what the control frame carries
    cdef public object ping
    cdef public object closed

    def __cinit__(self):
        self.control = bytearray()

    def strip(self, unsigned char[::1] room, Py_ssize_t count):
        cdef Py_ssize_t at = 0, to = 0, size
        if count > room.shape[0]:
            raise ValueError("more than there is room for")
        while at < count and self.closed is None:
            if not self.left:
                self.head[self.begun] = room[at]
                self.begun += 1
                at += 1
                self.begin()
                continue
            size = <Py_ssize_t>min(self.left, count - at)
            if self.opcode & CONTROL:
                self.control += room[at : at + size]
            else:
                memmove(&room[to], &room[at], size)
                to += size
            at += size
            self.left -= size
            if not self.left:
                self.end()
        return to

    cdef int begin(self) except -1:
        """Looks at a head as far as it is there."""
        cdef int length, size, i
        if self.begun == 1:
            self.check_first()
            return 0
        length = self.head[1] & 0x7F
        if self.begun == 2:
            if self.head[1] & MASKED:
                raise FrameFault("a frame that is masked")
            if self.opcode & CONTROL and length > SHORT_MAX:
                raise FrameFault("a control frame that is too long")
        if self.begun < 2 + (length == 126) * 2 + (length == 127) * 8:
            return 0
        size, self.begun = self.begun, 0
        if length == 127 and self.head[2] & 0x80:
            raise FrameFault("a frame of more than 2**63 bytes")
        self.left = length if size == 2 else 0
        for i in range(2, size):
            self.left = self.left << 8 | self.head[i]
        if not self.left:
            self.end()
        return 0

    cdef int check_first(self) except -1:
        cdef int first = self.head[0]
        self.opcode = first & 0x0F
        if first & RESERVED:
            raise FrameFault("a frame with reserved bits")
        if self.opcode in (CLOSE_, PING_, PONG_):
            if not first & LAST:
                raise FrameFault("a control frame in pieces")
        elif self.opcode == (CONTINUATION if self.is_within else BINARY_):
            self.is_within = not first & LAST
        else:
            raise FrameFault(f"a frame of type {self.opcode} that does not belong here")
        return 0

    cdef int end(self) except -1:
        if self.opcode & CONTROL:
            if self.opcode == PING_:
                self.ping = bytes(self.control)
            elif self.opcode == CLOSE_:
                self.closed = bytes(self.control)
            self.control.clear()
        return 0


def frame(int opcode, bytes payload not None, bytes key not None):
    cdef Py_ssize_t size = PyBytes_GET_SIZE(payload), i
    cdef bytes head = bytes([LAST | opcode])
    if PyBytes_GET_SIZE(key) != 4:
        raise ValueError("a key has four bytes")
    if size <= SHORT_MAX:
        head += bytes([MASKED | size]) + key
    elif size < 65_536:
        head += bytes([MASKED | 126]) + int(size).to_bytes(2, "big") + key
    else:
        head += bytes([MASKED | 127]) + int(size).to_bytes(8, "big") + key
    cdef bytes masked = PyBytes_FromStringAndSize(NULL, size)
    cdef uint8_t* into = <uint8_t*>PyBytes_AS_STRING(masked)
    cdef const uint8_t* out_of = <const uint8_t*>PyBytes_AS_STRING(payload)
    cdef const uint8_t* with_ = <const uint8_t*>PyBytes_AS_STRING(key)
    for i in range(size):
        into[i] = out_of[i] ^ with_[i & 3]
    return head + masked
