# cython: boundscheck=False, wraparound=False
"""See modbus_frames.pyi for the wire format. Every byte is read behind a check of how many there are, in the order in
which they arrive: so a fault is the same whether the bytes came whole or one at a time, and comes at once."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport INFINITY
from libc.stdint cimport uint8_t, uint16_t

cdef enum:
    MBAP_BYTES = 6  # up to and with the length
    REFUSAL = 0x80  # this bit of the function code
    DIAGNOSTICS = 8  # of its sub-functions 0, which returns what was asked


cdef enum:
    NOT_ASKED = 1
    TRANSACTION
    PROTOCOL
    LENGTH
    UNIT
    FUNCTION
    BYTE_COUNT
    ECHO
    CRC

IN_FLIGHT_MAX = SLOTS

FAULTS = {
    NOT_ASKED: "an answer that nobody asked for",
    TRANSACTION: "wrong transaction: a late or foreign answer",
    PROTOCOL: "wrong protocol id",
    LENGTH: "wrong length",
    UNIT: "wrong unit",
    FUNCTION: "wrong function",
    BYTE_COUNT: "wrong byte count",
    ECHO: "another request confirmed",
    CRC: "wrong checksum",
}

cdef uint16_t CRC_TABLE[256]


cdef void fill_crc_table() noexcept:
    cdef int value, bit
    cdef uint16_t crc
    for value in range(256):
        crc = <uint16_t>value
        for bit in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
        CRC_TABLE[value] = crc


fill_crc_table()


cdef uint16_t crc_of(const uint8_t* at, Py_ssize_t size) noexcept:
    cdef uint16_t crc = 0xFFFF
    cdef Py_ssize_t i
    for i in range(size):
        crc = (crc >> 8) ^ CRC_TABLE[(crc ^ at[i]) & 0xFF]
    return crc


cdef inline uint16_t word(const uint8_t* at) noexcept:
    return <uint16_t>(at[0] << 8 | at[1])


cdef inline void put_word(uint8_t* at, int value) noexcept:
    at[0] = <uint8_t>(value >> 8)
    at[1] = <uint8_t>(value & 0xFF)


def crc16(bytes data not None):
    return crc_of(<const uint8_t*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


cdef class Frames:
    def __cinit__(self, bint is_rtu=False):
        self.is_rtu = is_rtu
        self.tokens = []
        self.rest = b""

    def __len__(self):
        return self.count

    def read(self, token, int unit, int function, int address, int quantity, double deadline=INFINITY):
        if not 1 <= function <= 4:
            raise ValueError(f"function {function} reads nothing")
        return self.ask(token, unit, function, address, quantity, deadline)

    def write(self, token, int unit, int function, int address, int value, double deadline=INFINITY):
        if function != 6 and function != 16:
            raise ValueError(f"function {function} writes no register")
        return self.ask(token, unit, function, address, value, deadline)

    def echo(self, token, int unit, int number, double deadline=INFINITY):
        return self.ask(token, unit, DIAGNOSTICS, 0, number, deadline)

    def expect(self, token, int transaction, int unit, int function, int address, int last):
        self.put(token, transaction, unit, function, address, last, INFINITY)

    cdef int put(
        self, object token, int transaction, int unit, int function, int address, int last, double deadline
    ) except -1:
        cdef Asked* asked
        if self.count == SLOTS or (self.is_rtu and self.count):
            raise ValueError("too many requests are on their way")
        asked = &self.asked[self.count]
        asked.transaction = transaction & 0xFFFF
        asked.unit = unit & 0xFF
        asked.function = function & 0x7F
        asked.address = address & 0xFFFF
        asked.last = last & 0xFFFF
        asked.payload = payload_of(function, last)
        asked.is_abandoned = False
        asked.deadline = deadline
        asked.answers = self.answers
        self.tokens.append(token)
        self.count += 1
        self.waiting += 1
        return 0

    cdef bytes ask(self, object token, int unit, int function, int address, int last, double deadline):
        cdef uint8_t frame[32]
        cdef uint8_t* pdu = frame + MBAP_BYTES
        cdef int size = 6
        cdef uint16_t crc
        if not (0 <= unit <= 255 and 0 <= address <= 0xFFFF):
            raise ValueError(f"no unit {unit} or no address {address}")
        if function <= 4:
            if not 1 <= last <= (2000 if function <= 2 else 125) or address + last > 65536:
                raise ValueError(f"cannot read {last} from address {address}")
        elif not 0 <= last <= 0xFFFF:
            raise ValueError(f"{last} is no register's value")
        self.transaction = self.transaction + 1 if self.transaction != 0xFFFF else 1  # 0 is what a careless server says
        while self.count and self.find(self.transaction) >= 0:
            self.transaction = self.transaction + 1 if self.transaction != 0xFFFF else 1
        self.put(token, self.transaction, unit, function, address, 1 if function == 16 else last, deadline)
        pdu[0] = <uint8_t>unit
        pdu[1] = <uint8_t>function
        put_word(pdu + 2, address)
        put_word(pdu + 4, last)
        if function == 16:
            put_word(pdu + 4, 1)
            pdu[6] = 2
            put_word(pdu + 7, last)
            size = 9
        if self.is_rtu:
            crc = crc_of(pdu, size)
            pdu[size] = crc & 0xFF
            pdu[size + 1] = crc >> 8
            return PyBytes_FromStringAndSize(<char*>pdu, size + 2)
        put_word(frame, self.transaction)
        put_word(frame + 2, 0)
        put_word(frame + 4, size)
        return PyBytes_FromStringAndSize(<char*>frame, MBAP_BYTES + size)

    def abandon(self, token):
        cdef int at = self.slot(token)
        if at < 0 or self.is_rtu:
            return False
        if not self.asked[at].is_abandoned:
            self.asked[at].is_abandoned = True
            self.waiting -= 1
        return True

    def overdue(self, double now):
        cdef int i
        return [self.tokens[i] for i in range(self.count) if self.is_late(i, now)]

    def earliest(self):
        cdef double earliest = INFINITY
        cdef int i
        for i in range(self.count):
            if not self.asked[i].is_abandoned and self.asked[i].deadline < earliest:
                earliest = self.asked[i].deadline
        return earliest

    def is_alive(self, token):
        cdef int at = self.slot(token)
        return at >= 0 and self.answers > self.asked[at].answers

    def tokens_waiting(self):
        cdef int i
        return [self.tokens[i] for i in range(self.count) if not self.asked[i].is_abandoned]

    cdef bint is_late(self, int at, double now) noexcept:
        return not self.asked[at].is_abandoned and self.asked[at].deadline <= now

    cdef int slot(self, object token) noexcept:
        cdef int i
        for i in range(self.count):
            if self.tokens[i] is token:
                return i
        return -1

    def feed(self, bytes data not None):
        cdef list answers = []
        cdef const uint8_t* at
        cdef const uint8_t* end
        if self.rest:
            data = self.rest + data
        at = <const uint8_t*>PyBytes_AS_STRING(data)
        end = at + PyBytes_GET_SIZE(data)
        while self.next(&at, end):
            answers.append((self.token, self.content))
        return answers

    cdef bint next(self, const uint8_t** place, const uint8_t* end) except -1:
        cdef const uint8_t* at = place[0]
        cdef Py_ssize_t size = 0
        cdef int whose = 0
        cdef int code = 0
        cdef bint is_wanted
        self.token = self.content = None
        if self.fault is not None:
            return False
        while at < end:
            size = self.rtu(at, end - at, &whose, &code) if self.is_rtu else self.tcp(at, end - at, &whose, &code)
            if size <= 0:
                break
            is_wanted = not self.asked[whose].is_abandoned
            if is_wanted:
                self.answers += 1
                self.waiting -= 1
                self.token = self.tokens[whose]
                self.content = self.answer(whose, at, <int>size, code)
            else:
                self.stale += 1
            self.forget(whose)
            at += size
            if is_wanted:
                place[0] = at
                return True
        if size < 0:
            self.fault = FAULTS[-size]
            at = end
        # less than one frame, for a longer length than that of the answer is a fault
        self.rest = PyBytes_FromStringAndSize(<const char*>at, end - at)
        return False

    cdef int find(self, uint16_t transaction) noexcept:
        cdef int i
        for i in range(self.count):
            if self.asked[i].transaction == transaction:
                return i
        return -1

    cdef void forget(self, int at):
        self.count -= 1
        self.asked[at] = self.asked[self.count]
        self.tokens[at] = self.tokens[self.count]
        self.tokens.pop()

    cdef object answer(self, int at, const uint8_t* frame, int size, bint is_refusal):
        """The answer in a whole frame that was checked."""
        cdef const uint8_t* pdu = frame if self.is_rtu else frame + MBAP_BYTES
        if is_refusal:
            return pdu[2]
        return PyBytes_FromStringAndSize(<const char*>pdu + 3, self.asked[at].payload)

    cdef Py_ssize_t tcp(self, const uint8_t* at, Py_ssize_t size, int* whose, int* code) noexcept:
        """The length of the whole answer that begins here; 0: more has to come; below 0: a fault."""
        cdef Asked* asked
        cdef int length, found
        if self.count == 0:
            return -NOT_ASKED
        if size < 2:
            return 0
        found = self.find(word(at))
        if found < 0:
            return -TRANSACTION
        asked = &self.asked[found]
        if size < 4:
            return -PROTOCOL if size == 3 and at[2] != 0 else 0
        if word(at + 2) != 0:
            return -PROTOCOL
        if size < 6:
            return 0
        length = word(at + 4)
        if length != 3 and length != pdu_bytes(asked) + 1:
            return -LENGTH
        if size < 7:
            return 0
        if at[6] != asked.unit:
            return -UNIT
        if size < 8:
            return 0
        code[0] = at[7] & REFUSAL
        if at[7] & 0x7F != asked.function:
            return -FUNCTION
        if (length == 3) != (code[0] != 0):
            return -LENGTH
        whose[0] = found
        if code[0]:
            return MBAP_BYTES + 3 if size >= MBAP_BYTES + 3 else 0
        return body(asked, at, 8, size, MBAP_BYTES + length)

    cdef Py_ssize_t rtu(self, const uint8_t* at, Py_ssize_t size, int* whose, int* code) noexcept:
        """As `tcp`, for the one request that is on its way."""
        cdef Asked* asked = &self.asked[0]
        cdef Py_ssize_t whole
        if self.count == 0:
            return -NOT_ASKED
        whose[0] = 0
        if at[0] != asked.unit:
            return -UNIT
        if size < 2:
            return 0
        code[0] = at[1] & REFUSAL
        if at[1] & 0x7F != asked.function:
            return -FUNCTION
        if code[0]:
            whole = 5 if size >= 5 else 0
        else:
            whole = body(asked, at, 2, size, pdu_bytes(asked) + 3)
        if whole > 0 and crc_of(at, whole - 2) != (at[whole - 2] | at[whole - 1] << 8):
            return -CRC
        return whole


cdef inline int payload_of(int function, int quantity) noexcept:
    """Bytes of the registers or bits in a positive answer."""
    if function > 4:
        return 0
    return (quantity + 7) // 8 if function <= 2 else 2 * quantity


cdef inline int pdu_bytes(const Asked* asked) noexcept:
    """Function code and body of a positive answer."""
    return 2 + asked.payload if asked.function <= 4 else 5


cdef Py_ssize_t body(const Asked* asked, const uint8_t* at, int prefix, Py_ssize_t size, int whole) noexcept:
    """A positive answer behind its `prefix` (up to and with the function code), of which `size` bytes have come;
    `whole`: the length that it will have. Returns as `Frames.tcp`."""
    cdef uint8_t echo[4]
    cdef int i
    if asked.function <= 4:
        if size > prefix and at[prefix] != asked.payload:
            return -BYTE_COUNT
        return whole if size >= whole else 0
    put_word(echo, asked.address)
    put_word(echo + 2, asked.last)
    for i in range(4):
        if size > prefix + i and at[prefix + i] != echo[i]:
            return -ECHO
    return whole if size >= whole else 0
