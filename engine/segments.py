"""A segment of the journal: what its bytes mean, and what can still be read where they are damaged.

`00000001.journal`, little-endian:

    "sortjrnl"          8 bytes
    version             u32, 2
    number              u32, of the segment
    begun               u64, microseconds since 1970 UTC
    end before          u64, where the segment before it ends; 0: this is the first one
    flags               u32, 1: made by `sortline fsck --repair`, what stood before it is lost
    crc                 u32, CRC-32C over all before it
    frames              see ext/frames.pyx; each was written by one append, and synced before the next one
    noughts             the room that is reserved; a segment that is full has none

A frame's checksum covers where it stands, so a block that ended up elsewhere is none, nor are noughts. The next
segment says where this one ends. Only of the last one it is not known: what stands behind its last whole frame was
never acknowledged.

`00000001.journal.zst` is the same, packed: a zstd file (`zstd -dc` gives the bytes above) of frames of 64 KiB, in front
of each a skippable frame that says what it holds, and has the head of one of our own frames over that and the packed
piece, and so has what it packs: so two flipped bits are turned back, and what is worse costs no more than a piece.

Version 1, which is read but no longer written: magic and version only, frames at any place, CRC-32 (zlib) in them.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
import zstandard

from engine.disk import Disk
from engine.errors import Missing, Newer
from engine.two_flips import pairs
from engine.whole_file import read_whole
from ext import frames

MAGIC = b"sortjrnl"
VERSION = 2
VERSIONS_MAX = 99  # what says more is damage, and no newer program
HEADER = struct.Struct("<8sIIQQI")
HEADER_BYTES = HEADER.size + 4
LOSS = 1
SUFFIX = ".journal"
PACKED = ".journal.zst"
FRAME = struct.Struct("<II")  # length and checksum, of both versions
PIECE_BYTES = 1024 * 1024  # of the largest piece that is read
PACKED_BYTES = 64 * 1024  # of a piece as they are packed now: each may have its flipped bit
SKIPPED = struct.Struct("<II")  # skippable magic, its size
PLACE = struct.Struct("<QII")  # offset, bytes, nought
FIRST_PIECE = struct.Struct("<IIQII")  # skippable magic, its size, offset, bytes of it, bytes of it packed
PIECE_MAGIC = 0x184D2A5E
PIECE_FRAME_MAX = FRAME.size + PLACE.size + PIECE_BYTES + PIECE_BYTES // 64  # what cannot be packed gets longer by it
NO_NUMBER = 0
ABOUT = struct.Struct("<II")
ABOUT_MAGIC = 0x184D2A5F
ZSTD_LEVEL = 3
_EMPTY = memoryview(bytes(PIECE_BYTES))


class Header(NamedTuple):
    version: int
    number: int
    begun_us: int = 0
    end_before: int = 0
    flags: int = 0

    def encode(self) -> bytes:
        head = HEADER.pack(MAGIC, self.version, self.number, self.begun_us, self.end_before, self.flags)
        return head + struct.pack("<I", frames.crc32c(head))

    @property
    def size(self) -> int:
        return FORMATS[self.version].header_bytes


class Format(Protocol):
    """How frames stand in a segment of one version; the functions are those of ext.frames."""

    header_bytes: int

    def whole(self, data: bytes, at: int, number: int) -> int: ...
    def find(self, data: bytes, at: int, number: int) -> int: ...
    def flipped(self, data: bytes, at: int, number: int) -> int: ...
    def end(self, at: int, length: int) -> int: ...


class First:
    """Version 1."""

    header_bytes = 12
    _place = struct.Struct("<IQI")

    def whole(self, data: bytes, at: int, number: int) -> int:
        if len(data) - at < FRAME.size:
            return 0
        length, crc = FRAME.unpack_from(data, at)
        if not 0 < length <= min(len(data) - at - FRAME.size, frames.PAYLOAD_BYTES_MAX):
            return 0
        payload = memoryview(data)[at + FRAME.size : at + FRAME.size + length]
        return length if zlib.crc32(payload, zlib.crc32(self._place.pack(number, at, length))) == crc else 0

    def find(self, data: bytes, at: int, number: int) -> int:
        return next((place for place in sorted(_plausible(data, at)) if self.whole(data, place, number)), -1)

    def flipped(self, data: bytes, at: int, number: int) -> int:
        return -1

    def end(self, at: int, length: int) -> int:
        return at + FRAME.size + length


class Second:
    """Version 2."""

    header_bytes = HEADER_BYTES
    whole = staticmethod(frames.whole)
    find = staticmethod(frames.find)
    flipped = staticmethod(frames.flipped)

    def end(self, at: int, length: int) -> int:
        end = at + FRAME.size + length
        return end + -end % frames.ALIGN_BYTES


FORMATS: dict[int, Format] = {1: First(), 2: Second()}


def _plausible(data: bytes, at: int) -> Iterator[int]:
    """Where a length of version 1 stands that fits: seldom in text, whose bytes make numbers far too great."""
    for shift in range(at, at + 4):
        count = max(len(data) - shift, 0) // 4
        words = np.frombuffer(memoryview(data)[shift : shift + 4 * count], "<u4").astype(np.int64)
        room = len(data) - shift - FRAME.size - 4 * np.arange(count)
        yield from (int(4 * word + shift) for word in np.flatnonzero((words > 0) & (words <= room)))


class Part(NamedTuple):
    """What stands from `start` on up to `end`, where the next part begins. payload: of a frame; None: it is lost, or
    (`unfinished`) nothing whole follows. flaw: what is wrong, empty for a whole frame."""

    start: int
    end: int
    payload: bytes | None
    flaw: str = ""
    unfinished: bool = False


class Content:
    """The bytes of a segment, as they were before packing, and its header.

    Raises Newer where it is of a newer version, Refused where nothing in it is a journal's. One that was being made
    when the machine stopped has nothing in it.
    """

    def __init__(self, path: Path, number: int, data: bytes) -> None:
        self.path = path
        self.number = number
        self.data = data
        self.flaw = ""
        self.header = self._header()
        self._format = FORMATS[self.header.version]

    def parts(self, start: int, end: int | None) -> Iterator[Part]:
        """From `start` to `end`, which the next segment knows. None: the last one, up to its last whole frame."""
        at = max(start, self.header.size)
        stop = len(self.data) if end is None else end
        while at < stop:
            part = self._part(at, stop, last=end is None)
            if part is None:
                return
            yield part
            at = part.end

    def _part(self, at: int, stop: int, last: bool) -> Part | None:
        length = self._format.whole(self.data, at, self.number)
        if length:
            begin = at + FRAME.size
            return Part(at, self._format.end(at, length), self.data[begin : begin + length])
        if last and not any_byte(self.data, at):
            return None
        healed = self._healed(at)
        if healed is not None:
            return healed
        behind = self._format.find(self.data, at + 1, self.number)
        if behind < 0 and last:
            return Part(at, stop, None, f"{len(self.data) - at} bytes of an unfinished append", unfinished=True)
        until = min(behind if behind >= 0 else stop, stop)
        return Part(at, until, None, f"damaged from offset {at} to {until}: {until - at} bytes are lost")

    def _healed(self, at: int) -> Part | None:
        """The frame, if turning one bit over makes it whole, and only records come of it: checked twice, for damage of
        many bits may look like one."""
        bit = self._format.flipped(self.data, at, self.number)
        if bit < 0:
            return None
        place = bit // 8
        first = self.data[at : at + FRAME.size]
        if place < at + FRAME.size:
            first = _turned(first, [bit - 8 * at])
        length, _ = FRAME.unpack(first)
        begin = at + FRAME.size
        payload = self.data[begin : begin + length]
        if place >= begin:
            payload = _turned(payload, [bit - 8 * begin])
        if not _are_records(payload):
            return None
        return Part(at, self._format.end(at, length), payload, f"{_flips([bit])}, turned back")

    def _header(self) -> Header:
        data = self.data
        begin = data[:HEADER_BYTES]
        if begin[: len(MAGIC)] == MAGIC and begin[len(MAGIC) : First.header_bytes] == struct.pack("<I", 1):
            return Header(1, self.number)
        header = _decoded(begin, self.number)
        if header is not None:
            return header
        if newer := _newer(begin, self.number):
            raise Newer(self.path, f"is of version {newer}, this program reads {VERSION}")
        header = _mended(begin, self.number)
        if header is not None:
            self.flaw = "a flipped bit in its header, turned back"
            return header
        for version, format_ in FORMATS.items():
            if format_.find(data, format_.header_bytes, self.number) >= 0:
                self.flaw = "its header is damaged; what is in it can be read"
                return Header(version, self.number)
        return self._without_frames(begin)

    def _without_frames(self, begin: bytes) -> Header:
        version = struct.unpack_from("<I", begin, len(MAGIC))[0] if len(begin) >= First.header_bytes else 0
        if begin[: len(MAGIC)] == MAGIC and VERSION < version <= VERSIONS_MAX:
            raise Newer(self.path, f"is of version {version}, this program reads {VERSION}")
        if any_byte(self.data, HEADER_BYTES):
            raise Missing(
                f"{self.path}: damaged at offset 0: its first bytes are not those of a journal. Put the file back from "
                f"a copy. To give up what was in it: sortline fsck --repair {self.path.parent.parent}"
            )
        return Header(VERSION, self.number)


def read_content(disk: Disk, path: Path, number: int) -> Content:
    """The segment in `path`, packed or not."""
    data = read_whole(path, disk)
    if not path.name.endswith(PACKED):
        return Content(path, number, data)
    unpacked = unpack(data)
    content = Content(path, number, unpacked.data)
    content.flaw = content.flaw or unpacked.flaw
    return content


def read_header(disk: Disk, path: Path, number: int) -> Header:
    """Of a segment, without reading the rest; one that cannot be read says nothing."""
    file = disk.open_to_read(path)
    try:
        begin = disk.read(file, 0, ABOUT.size + HEADER_BYTES)
    finally:
        disk.close(file)
    begin = begin[ABOUT.size :] if path.name.endswith(PACKED) else begin[:HEADER_BYTES]
    if begin[: First.header_bytes] == MAGIC + struct.pack("<I", 1):
        return Header(1, number)
    return _decoded(begin, number) or _mended(begin, number) or Header(0, number)


def _decoded(begin: bytes, number: int) -> Header | None:
    """Of version 2; None: it is none, or not of this segment."""
    if len(begin) != HEADER_BYTES or begin[-4:] != struct.pack("<I", frames.crc32c(begin[:-4])):
        return None
    magic, version, of, begun_us, end_before, flags = HEADER.unpack_from(begin)
    return (
        Header(version, of, begun_us, end_before, flags) if (magic, version, of) == (MAGIC, VERSION, number) else None
    )


def _newer(begin: bytes, number: int) -> int:
    """The version of a header that is whole, and a later one's; 0: it is none. Frames of that version may look like
    ours, and mean something else."""
    if len(begin) != HEADER_BYTES or begin[-4:] != struct.pack("<I", frames.crc32c(begin[:-4])):
        return 0
    magic, version, of, *_ = HEADER.unpack_from(begin)
    return version if magic == MAGIC and of == number and VERSION < version <= VERSIONS_MAX else 0


def _mended(begin: bytes, number: int) -> Header | None:
    """The header, if turning one bit over makes it one."""
    tries = (_decoded(_turned(begin, [bit]), number) for bit in range(8 * len(begin)))
    return next((header for header in tries if header is not None), None)


def pack(data: bytes) -> bytes:
    """The segment's bytes as its packed file has them."""
    pieces = [ABOUT.pack(ABOUT_MAGIC, HEADER_BYTES), data[:HEADER_BYTES].ljust(HEADER_BYTES, b"\0")]
    at = sum(map(len, pieces))
    packer = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True, write_content_size=True)
    for offset in range(0, len(data), PACKED_BYTES):
        piece = data[offset : offset + PACKED_BYTES]
        payload = PLACE.pack(offset, len(piece), 0) + packer.compress(piece)
        skipped = SKIPPED.pack(PIECE_MAGIC, FRAME.size + PLACE.size)
        pieces += [skipped, frames.head(payload, NO_NUMBER, at + SKIPPED.size), payload]
        at += SKIPPED.size + FRAME.size + len(payload)
    return b"".join(pieces)


class Unpacked(NamedTuple):
    """A piece that is damaged beyond one bit comes as noughts, in which no frame is whole. flaw: of one that was
    mended."""

    data: bytes
    flaw: str = ""


def unpack(packed: bytes) -> Unpacked:
    data = bytearray()
    flaw = ""
    magic = PIECE_MAGIC.to_bytes(4, "little")
    at, offset_max = ABOUT.size + HEADER_BYTES, packed.count(magic) * PIECE_BYTES
    while 0 <= at < len(packed):
        piece = _piece(packed, at) or _first_piece(packed, at, offset_max)
        if piece is None:
            at = packed.find(magic, at + 1)
            continue
        data += bytes(max(0, piece.offset - len(data)))
        data[piece.offset : piece.offset + len(piece.data)] = piece.data
        at, flaw = piece.end, flaw or piece.flaw
    if not any(data[:HEADER_BYTES]):
        data[:HEADER_BYTES] = packed[ABOUT.size : ABOUT.size + HEADER_BYTES]  # which stands in front of all pieces
    return Unpacked(bytes(data), flaw)


class _Piece(NamedTuple):
    """data: as it was before packing. end: of the piece in the packed file."""

    offset: int
    data: bytes
    end: int
    flaw: str = ""


def _piece(packed: bytes, at: int) -> _Piece | None:
    """What stands at `at`, where a piece may begin; what is in front of its frame is always the same, and not asked."""
    begin = at + SKIPPED.size
    frame = packed[begin : begin + PIECE_FRAME_MAX]
    if frames.whole(frame, 0, NO_NUMBER, begin):
        return _unpacked_piece(frame, begin)
    bit = frames.flipped(frame, 0, NO_NUMBER, begin)
    tries = [(bit,)] if bit >= 0 else pairs(frame, 0, NO_NUMBER, begin)
    found = [(bits, piece) for bits in tries if (piece := _unpacked_piece(_turned(frame, bits), begin)) is not None]
    if len(found) != 1:
        return None
    bits, piece = found[0]
    return piece._replace(flaw=f"{_flips([8 * begin + bit for bit in bits])} of the packed file, turned back")


def _unpacked_piece(frame: bytes, begin: int) -> _Piece | None:
    length, _ = FRAME.unpack_from(frame)
    if length < PLACE.size:
        return None
    end = FRAME.size + length
    offset, size, _ = PLACE.unpack_from(frame, FRAME.size)
    data = _unpacked(frame[FRAME.size + PLACE.size : end], size)
    return None if data is None else _Piece(offset, data, begin + end)


def _first_piece(packed: bytes, at: int, offset_max: int) -> _Piece | None:
    """As pieces were packed at first: without a checksum that says which bit it was."""
    if len(packed) - at < FIRST_PIECE.size:
        return None
    magic, size, offset, length, packed_length = FIRST_PIECE.unpack_from(packed, at)
    begin = at + FIRST_PIECE.size
    if magic != PIECE_MAGIC or size != FIRST_PIECE.size - SKIPPED.size:
        return None
    if offset % PIECE_BYTES or offset > offset_max:
        return None
    data = _unpacked(packed[begin : begin + packed_length], length)
    return None if data is None else _Piece(offset, data, begin + packed_length)


def _unpacked(piece: bytes, length: int) -> bytes | None:
    if length > PIECE_BYTES:
        return None
    try:
        found = zstandard.ZstdDecompressor().decompress(piece, max_output_size=length)
    except zstandard.ZstdError:
        return None
    return found if len(found) == length else None


def any_byte(data: bytes, start: int) -> bool:
    """Whether anything but noughts stands from `start` on."""
    view = memoryview(data)
    return any(
        view[at : at + PIECE_BYTES] != _EMPTY[: min(PIECE_BYTES, len(data) - at)]
        for at in range(start, len(data), PIECE_BYTES)
    )


def _turned(data: bytes, bits: Sequence[int]) -> bytes:
    turned = bytearray(data)
    for bit in bits:
        turned[bit // 8] ^= 1 << bit % 8
    return bytes(turned)


def _flips(bits: Sequence[int]) -> str:
    what = "a flipped bit at offset" if len(bits) == 1 else "flipped bits at offsets"
    return f"{what} {' and '.join(str(bit // 8) for bit in bits)}"


def _are_records(payload: bytes) -> bool:
    if not payload.endswith(b"\n"):
        return False
    try:
        for line in payload[:-1].split(b"\n"):
            msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    return True
