"""SHA-256 (FIPS 180-4) of a text that lies in memory: what names an event, and a record without a number.

Our own because of what surrounds a digest elsewhere: an object, its context and a call through the interpreter cost
several times the hash of so short a text. Processors with instructions for it use them.
"""

from libc.stdint cimport uint8_t

cdef enum:
    DIGEST_BYTES = 32


cdef void sha256(const char* text, size_t length, uint8_t* digest) noexcept nogil
