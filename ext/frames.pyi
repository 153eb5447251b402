"""Frames of a journal segment: their checksum, the next whole one behind damage, and the bit that was flipped.

The layout is told in frames.pyx. `data` is any part of a segment, `base` where that part begins in the segment (a frame
knows its place), `number` the segment's. Nothing here raises for bytes that are no frame.
"""

from typing import Final

from _typeshed import ReadableBuffer

PAYLOAD_BYTES_MAX: Final[int]
HEAD_BYTES: Final[int]
ALIGN_BYTES: Final[int]

def crc32c(data: ReadableBuffer, portable: bool = False) -> int:
    """CRC-32C as RFC 3720 appendix B.4 has it. `portable`: by tables, also where the processor has an instruction."""

def head(payload: ReadableBuffer, number: int, offset: int) -> bytes:
    """What stands before `payload` in a frame at `offset` of the segment."""

def whole(data: ReadableBuffer, at: int, number: int, base: int = 0) -> int:
    """Length of the payload of the frame at `at`, which begins at `at + HEAD_BYTES`; 0: no whole frame is there."""

def find(data: ReadableBuffer, at: int, number: int, base: int = 0) -> int:
    """Where the first whole frame at or behind `at` begins; -1: there is none."""

def flipped(data: ReadableBuffer, at: int, number: int, base: int = 0) -> int:
    """The one bit (8 * place in `data` + number in its byte, 0 the lowest) that makes the frame at `at` whole when it
    is turned over; -1: no single bit does."""

def differences(bits: int) -> bytearray:
    """u32 each: by what each of the last so many bits of a payload, the last one first, changes the checksum when it is
    turned over."""
