# cython: boundscheck=False, wraparound=False, cdivision=True
"""SHA-256: see sha256.pxd. Names are those of FIPS 180-4; the instructions are x86's SHA extensions."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef enum:
    BLOCK = 64                  # bytes
    LENGTH = 8                  # bytes of the length, at the end of the last block

cdef extern from *:
    """
    #include <stdint.h>

    static const uint32_t sortline_sha256_k[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

    #if defined(__x86_64__) && defined(__GNUC__)
    #include <cpuid.h>
    #include <immintrin.h>

    static int sortline_has_sha(void) {
        unsigned a, b, c, d;
        if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSE4_1)) return 0;
        return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & (1u << 29));
    }

    /* Two rounds an instruction, on the halves ABEF and CDGH; four words of the schedule at a time. */
    __attribute__((target("sha,sse4.1")))
    static void sortline_sha256_x86(uint32_t *h, const uint8_t *at, size_t blocks) {
        const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);
        __m128i abef = _mm_set_epi32(h[0], h[1], h[4], h[5]), cdgh = _mm_set_epi32(h[2], h[3], h[6], h[7]);
        uint32_t out[8];
        for (; blocks; blocks--, at += 64) {
            const __m128i abef_before = abef, cdgh_before = cdgh;
            __m128i w[4], k;
            int t;
            for (t = 0; t < 4; t++)
                w[t] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(at + 16 * t)), big_endian);
            #pragma GCC unroll 16
            for (t = 0; t < 16; t++) {
                k = _mm_add_epi32(w[t & 3], _mm_loadu_si128((const __m128i *)(sortline_sha256_k + 4 * t)));
                cdgh = _mm_sha256rnds2_epu32(cdgh, abef, k);
                abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(k, 0x0e));
                if (t < 12)
                    w[t & 3] = _mm_sha256msg2_epu32(
                        _mm_add_epi32(_mm_sha256msg1_epu32(w[t & 3], w[(t + 1) & 3]),
                                      _mm_alignr_epi8(w[(t + 3) & 3], w[(t + 2) & 3], 4)),
                        w[(t + 3) & 3]);
            }
            abef = _mm_add_epi32(abef, abef_before);
            cdgh = _mm_add_epi32(cdgh, cdgh_before);
        }
        _mm_storeu_si128((__m128i *)out, abef);
        _mm_storeu_si128((__m128i *)(out + 4), cdgh);
        h[0] = out[3]; h[1] = out[2]; h[4] = out[1]; h[5] = out[0];
        h[2] = out[7]; h[3] = out[6]; h[6] = out[5]; h[7] = out[4];
    }
    #else
    static int sortline_has_sha(void) { return 0; }
    static void sortline_sha256_x86(uint32_t *h, const uint8_t *at, size_t blocks) {}
    #endif
    """
    const uint32_t K "sortline_sha256_k"[64]
    bint has_sha "sortline_has_sha"()
    void blocks_x86 "sortline_sha256_x86"(uint32_t* h, const uint8_t* at, size_t blocks) noexcept nogil

cdef uint32_t* FIRST = [
    0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
]
cdef bint BY_INSTRUCTION = has_sha()


cdef inline uint32_t rotr(uint32_t x, int n) noexcept nogil:
    return x >> n | x << (32 - n)


cdef void blocks_plain(uint32_t* h, const uint8_t* at, size_t blocks) noexcept nogil:
    cdef uint32_t w[64]
    cdef uint32_t v[8]          # a to h
    cdef uint32_t s0, s1, t1, t2
    cdef int t
    while blocks:
        for t in range(16):
            w[t] = <uint32_t>at[4 * t] << 24 | <uint32_t>at[4 * t + 1] << 16 | <uint32_t>at[4 * t + 2] << 8 | at[4 * t + 3]
        for t in range(16, 64):
            s0 = rotr(w[t - 15], 7) ^ rotr(w[t - 15], 18) ^ w[t - 15] >> 3
            s1 = rotr(w[t - 2], 17) ^ rotr(w[t - 2], 19) ^ w[t - 2] >> 10
            w[t] = w[t - 16] + s0 + w[t - 7] + s1
        memcpy(v, h, sizeof(v))
        for t in range(64):
            s1 = rotr(v[4], 6) ^ rotr(v[4], 11) ^ rotr(v[4], 25)
            t1 = v[7] + s1 + (v[4] & v[5] ^ ~v[4] & v[6]) + K[t] + w[t]
            s0 = rotr(v[0], 2) ^ rotr(v[0], 13) ^ rotr(v[0], 22)
            t2 = s0 + (v[0] & v[1] ^ v[0] & v[2] ^ v[1] & v[2])
            v[7], v[6], v[5], v[4] = v[6], v[5], v[4], v[3] + t1
            v[3], v[2], v[1], v[0] = v[2], v[1], v[0], t1 + t2
        for t in range(8):
            h[t] += v[t]
        at += BLOCK
        blocks -= 1


cdef void hash_with(bint by_instruction, const char* text, size_t length, uint8_t* digest) noexcept nogil:
    cdef uint8_t tail[2 * BLOCK]
    cdef uint32_t h[8]
    cdef size_t whole = length // BLOCK, rest = length % BLOCK
    cdef size_t end = BLOCK if rest < BLOCK - LENGTH else 2 * BLOCK
    cdef int k
    memset(tail, 0, sizeof(tail))
    memcpy(tail, text + whole * BLOCK, rest)
    tail[rest] = 0x80
    for k in range(LENGTH):
        tail[end - 1 - k] = <uint8_t>(<uint64_t>length * 8 >> 8 * k)
    memcpy(h, FIRST, sizeof(h))
    if by_instruction:
        blocks_x86(h, <const uint8_t*>text, whole)
        blocks_x86(h, tail, end // BLOCK)
    else:
        blocks_plain(h, <const uint8_t*>text, whole)
        blocks_plain(h, tail, end // BLOCK)
    for k in range(DIGEST_BYTES):
        digest[k] = <uint8_t>(h[k // 4] >> (24 - 8 * (k % 4)))


cdef void sha256(const char* text, size_t length, uint8_t* digest) noexcept nogil:
    hash_with(BY_INSTRUCTION, text, length, digest)


def digest_both(bytes text not None):
    """The digest by instruction, where this processor has it, and the one without: for their test."""
    cdef uint8_t plain[DIGEST_BYTES]
    cdef uint8_t fast[DIGEST_BYTES]
    hash_with(False, text, len(text), plain)
    sha256(text, len(text), fast)
    return PyBytes_FromStringAndSize(<char*>fast, DIGEST_BYTES), PyBytes_FromStringAndSize(<char*>plain, DIGEST_BYTES)
