# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Frames of a journal segment: their checksum, the next whole one behind damage, and the bit that was flipped.

    length   u32   of the payload, 1 .. PAYLOAD_BYTES_MAX
    crc      u32   CRC-32C (Castagnoli, RFC 3720 appendix B.4) over segment number u32, the frame's offset u64, length
                   u32 and payload
    payload
    noughts        up to a multiple of 8 bytes

all little-endian. Every function takes the segment's bytes and the place where they begin in it.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>

    #define CASTAGNOLI 0x82F63B78u /* reflected */

    static uint32_t crc_table[8][256];

    static void crc_make_tables(void) {
        for (uint32_t n = 0; n < 256; n++) {
            uint32_t crc = n;
            for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (CASTAGNOLI & (0u - (crc & 1u)));
            crc_table[0][n] = crc;
        }
        for (uint32_t n = 0; n < 256; n++)
            for (int t = 1; t < 8; t++)
                crc_table[t][n] = (crc_table[t - 1][n] >> 8) ^ crc_table[0][crc_table[t - 1][n] & 0xFF];
    }

    /* Slicing by 8: eight tables, eight bytes a step. */
    static uint32_t crc_portable(uint32_t crc, const uint8_t *data, size_t size) {
        while (size >= 8) {
            crc ^= (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
            crc = crc_table[7][crc & 0xFF] ^ crc_table[6][(crc >> 8) & 0xFF] ^ crc_table[5][(crc >> 16) & 0xFF]
                ^ crc_table[4][crc >> 24] ^ crc_table[3][data[4]] ^ crc_table[2][data[5]] ^ crc_table[1][data[6]]
                ^ crc_table[0][data[7]];
            data += 8;
            size -= 8;
        }
        while (size--) crc = (crc >> 8) ^ crc_table[0][(crc ^ *data++) & 0xFF];
        return crc;
    }

    #if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
    __attribute__((target("sse4.2")))
    static uint32_t crc_by_instruction(uint32_t crc, const uint8_t *data, size_t size) {
        uint64_t wide = crc, word;
        while (size >= 8) {
            memcpy(&word, data, 8);
            wide = __builtin_ia32_crc32di(wide, word);
            data += 8;
            size -= 8;
        }
        crc = (uint32_t)wide;
        while (size--) crc = __builtin_ia32_crc32qi(crc, *data++);
        return crc;
    }
    static int crc_instruction(void) { __builtin_cpu_init(); return __builtin_cpu_supports("sse4.2") != 0; }
    #else
    #define crc_by_instruction crc_portable
    static int crc_instruction(void) { return 0; }
    #endif

    static int crc_quick = 0;

    static uint32_t crc_update(uint32_t crc, const uint8_t *data, size_t size) {
        return crc_quick ? crc_by_instruction(crc, data, size) : crc_portable(crc, data, size);
    }
    """
    const uint32_t CASTAGNOLI
    void crc_make_tables() noexcept nogil
    uint32_t crc_portable(uint32_t crc, const uint8_t *data, size_t size) noexcept nogil
    uint32_t crc_update(uint32_t crc, const uint8_t *data, size_t size) noexcept nogil
    int crc_instruction() noexcept nogil
    int crc_quick

cdef enum:
    HEAD = 8
    ALIGNED = 8
    LENGTH_MAX = 256 * 1024 * 1024

PAYLOAD_BYTES_MAX = LENGTH_MAX
HEAD_BYTES = HEAD
ALIGN_BYTES = ALIGNED

crc_make_tables()
crc_quick = crc_instruction()


def crc32c(const uint8_t[::1] data, bint portable=False):
    cdef size_t size = data.shape[0]
    cdef const uint8_t *at = &data[0] if size else NULL
    return ~(crc_portable(0xFFFFFFFF, at, size) if portable else crc_update(0xFFFFFFFF, at, size)) & 0xFFFFFFFF


cdef uint32_t _crc(uint32_t number, uint64_t offset, uint32_t length, const uint8_t *payload) noexcept nogil:
    cdef uint8_t place[16]
    memcpy(place, &number, 4)
    memcpy(place + 4, &offset, 8)
    memcpy(place + 12, &length, 4)
    return ~crc_update(crc_update(0xFFFFFFFF, place, 16), payload, length)


cdef inline uint32_t _word(const uint8_t *at) noexcept nogil:
    cdef uint32_t word
    memcpy(&word, at, 4)
    return word


cdef int64_t _length(const uint8_t *data, int64_t size, int64_t at, uint32_t number, uint64_t base) noexcept nogil:
    """Length of the payload of the whole frame at `at`; 0: there is none."""
    cdef uint32_t length
    if at < 0 or size - at < HEAD:
        return 0
    length = _word(data + at)
    if length == 0 or length > LENGTH_MAX or <int64_t>length > size - at - HEAD:
        return 0
    if _crc(number, base + at, length, data + at + HEAD) != _word(data + at + 4):
        return 0
    return length


def head(const uint8_t[::1] payload, uint32_t number, uint64_t offset):
    cdef uint32_t length = payload.shape[0]
    cdef uint32_t words[2]
    words[0] = length
    words[1] = _crc(number, offset, length, &payload[0] if length else NULL)
    return (<const char *>words)[:HEAD]


def whole(const uint8_t[::1] data, int64_t at, uint32_t number, uint64_t base=0):
    if data.shape[0] == 0:
        return 0
    return _length(&data[0], data.shape[0], at, number, base)


def find(const uint8_t[::1] data, int64_t at, uint32_t number, uint64_t base=0):
    cdef int64_t size = data.shape[0]
    cdef int64_t place = at + (-<int64_t>((base + at) % ALIGNED)) % ALIGNED
    cdef const uint8_t *start
    if place < at:
        place += ALIGNED
    if size == 0:
        return -1
    start = &data[0]
    with nogil:
        while place + HEAD < size:
            if _length(start, size, place, number, base):
                break
            place += ALIGNED
    return place if place + HEAD < size else -1


def flipped(const uint8_t[::1] data, int64_t at, uint32_t number, uint64_t base=0):
    cdef int64_t size = data.shape[0]
    cdef uint32_t length, other, syndrome
    cdef int64_t bit
    if at < 0 or size - at < HEAD:
        return -1
    length = _word(&data[at])
    if 0 < length <= LENGTH_MAX and <int64_t>length <= size - at - HEAD:
        syndrome = _word(&data[at + 4]) ^ _crc(number, base + at, length, &data[at + HEAD])
        bit = _flipped_bit(syndrome, length)
        if bit >= 0:
            return 8 * at + bit
    for bit in range(32):
        other = length ^ (<uint32_t>1 << bit)
        if not 0 < other <= LENGTH_MAX or <int64_t>other > size - at - HEAD:
            continue
        if _crc(number, base + at, other, &data[at + HEAD]) == _word(&data[at + 4]):
            return 8 * at + bit
    return -1


def differences(int64_t bits):
    cdef bytearray found = bytearray(4 * bits)
    cdef uint8_t *at = found
    cdef uint32_t register = CASTAGNOLI
    cdef int64_t behind
    for behind in range(bits):
        memcpy(at + 4 * behind, &register, 4)
        register = (register >> 1) ^ (CASTAGNOLI & (<uint32_t>0 - (register & 1)))
    return found


cdef int64_t _flipped_bit(uint32_t syndrome, uint32_t length) noexcept:
    """Which bit of a frame, from its beginning, makes this difference of its checksum; -1: no single one does.

    A flipped bit of the payload changes the checksum by what a lone 1 followed by as many noughts as there are bits
    after it would leave in the register: no two bits leave the same, up to 2^31 of them.
    """
    cdef uint32_t register = CASTAGNOLI
    cdef int64_t behind
    cdef int64_t bits = 8 * <int64_t>length
    if syndrome == 0:
        return -1
    if syndrome & (syndrome - 1) == 0:
        behind = 0
        while syndrome != 1:
            syndrome >>= 1
            behind += 1
        return 32 + behind  # of the checksum itself
    with nogil:
        for behind in range(bits):
            if register == syndrome:
                break
            register = (register >> 1) ^ (CASTAGNOLI & (<uint32_t>0 - (register & 1)))
        else:
            behind = -1
    return 8 * HEAD + bits - 1 - behind if behind >= 0 else -1
