"""Segments that are damaged: one flipped bit is turned back, more is never read as a record and hides nothing whole."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import zstandard

from engine.disk import DISK
from engine.errors import Refused
from engine.segment_folder import SegmentFolder
from engine.segments import (
    ABOUT,
    ABOUT_MAGIC,
    FIRST_PIECE,
    FORMATS,
    HEADER_BYTES,
    PACKED_BYTES,
    PIECE_MAGIC,
    SKIPPED,
    Content,
    pack,
    read_content,
    read_header,
    unpack,
)
from ext.frames import HEAD_BYTES, crc32c
from tests.unit.test_journal import Unsynced, opened, write

RECORDS = [f'{{"kind":"scan.read","n":{n}}}\n'.encode() * (1 + n % 3) for n in range(100, 112)]


def test_the_checksum_is_the_one_of_its_standard() -> None:
    """RFC 3720 appendix B.4, by the processor's instruction and by tables."""
    vectors = {bytes(32): 0x8A9136AA, b"\xff" * 32: 0x62A8AB43, bytes(range(32)): 0x46DD794E, b"123456789": 0xE3069283}
    for data, crc in vectors.items():
        assert crc32c(data) == crc32c(data, portable=True) == crc
    draw = random.Random(1)
    for size in range(70):
        data = draw.randbytes(size)
        assert crc32c(data) == crc32c(data, portable=True)


def test_every_flipped_bit_is_turned_back(tmp_path: Path) -> None:
    """Also one in the header, in a length and in a checksum; also in the very last frame."""
    write(tmp_path, RECORDS)
    path = tmp_path / "00000001.journal"
    content = path.read_bytes()
    pads = {at for at in range(len(content)) if not any(at in whole for whole in places(content))}
    for bit in range(8 * len(content)):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        read = Content(path, 1, bytes(flipped))
        assert [part.payload for part in read.parts(0, None) if part.payload] == RECORDS, bit
        told = [part.flaw for part in read.parts(0, None) if part.flaw]
        in_header = bit // 8 < HEADER_BYTES
        assert bool(read.flaw) == in_header, bit
        assert bool(told) == (not in_header and bit // 8 not in pads), bit


def places(content: bytes) -> list[range]:
    """Header and frames of a segment, without what fills up to eight."""
    found = [range(HEADER_BYTES)]
    at = HEADER_BYTES
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "little") + 8
        found.append(range(at, at + size))
        at += size + -size % 8
    return found


@pytest.mark.parametrize("packed", [False, True])
def test_damage_of_any_kind_is_never_read_as_a_record_and_never_hides_what_is_whole(
    tmp_path: Path, packed: bool
) -> None:
    write(tmp_path, RECORDS, segment_bytes=400)
    write(tmp_path, RECORDS[:1])
    if packed:
        journal = opened(tmp_path)
        list(journal.recover())
        while journal.pack_before(journal.position):
            pass
        journal.close()
    chance = random.Random(7)
    for path in sorted(tmp_path.glob("*.journal*"))[:-2]:
        content = path.read_bytes()
        for _ in range(60):
            path.write_bytes(damaged(content, chance))
            try:
                journal = opened(tmp_path)
                found = list(journal.recover())
                assert set(found) <= set(RECORDS)
                assert found == sorted(found) or found[-1] == RECORDS[0]
                assert len(found) == len(RECORDS) + 1 or journal.lost_bytes or path.name.startswith(last_name(tmp_path))
                assert not journal.lost_bytes or any(path.name[:8] in line for line in journal.reports)
            except Refused as error:
                assert f"{path.parent}" in str(error)
            finally:
                journal.close()
                for more in tmp_path.glob("*.journal"):
                    if more.stem > f"{len(RECORDS):08d}":
                        more.unlink()
        path.write_bytes(content)


def last_name(folder: Path) -> str:
    return max(path.name for path in folder.glob("*.journal*"))[:8]


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Noughts, noise, two blocks in each other's place, a piece cut out, the end cut off."""
    spoiled = bytearray(content)
    at, size = chance.randrange(len(content)), chance.choice((2, 16, 64, 512))
    match chance.randrange(5):
        case 0:
            spoiled[at : at + size] = bytes(len(spoiled[at : at + size]))
        case 1:
            spoiled[at : at + size] = chance.randbytes(len(spoiled[at : at + size]))
        case 2:
            other = chance.randrange(len(content))
            a, b = spoiled[at : at + size], spoiled[other : other + size]
            size = min(len(a), len(b))
            spoiled[at : at + size], spoiled[other : other + size] = b[:size], a[:size]
        case 3:
            del spoiled[at : at + size]
        case 4:
            del spoiled[at:]
    return bytes(spoiled)


def pieces_of(found: bytes, data: bytes, size: int) -> list[bool]:
    """Which of its pieces are what they were; what is not is noughts, but for the header."""
    places = [slice(n, n + size) for n in range(0, len(data), size)]
    assert found[:HEADER_BYTES] == data[:HEADER_BYTES]
    assert all(found[place] == data[place] or not any(found[place][HEADER_BYTES:]) for place in places)
    return [found[place] == data[place] for place in places]


def test_a_flipped_bit_of_what_is_packed_is_turned_back(tmp_path: Path) -> None:
    """Any: in the copy of the header, in what says how long a piece is and where it belongs, in the piece."""
    write(tmp_path, RECORDS)
    data = (tmp_path / "00000001.journal").read_bytes()
    packed = pack(data)
    path = tmp_path / "00000001.journal.zst"
    for bit in range(0, 8 * len(packed), 3):
        spoiled = bytearray(packed)
        spoiled[bit // 8] ^= 1 << bit % 8
        assert unpack(bytes(spoiled)).data == data, bit
        if bit % 8 == 1:
            path.write_bytes(spoiled)
            read = read_content(DISK, path, 1)
            assert [part.payload for part in read.parts(0, None)] == RECORDS
            assert bool(read.flaw) == (bit // 8 >= ABOUT.size + HEADER_BYTES + SKIPPED.size), bit
    large = random.Random(2).randbytes(3 * 1024 * 1024 + 7)
    packed = pack(large)
    for at in random.Random(3).sample(range(len(packed)), 6):
        assert unpack(packed[:at] + bytes([packed[at] ^ 4]) + packed[at + 1 :]).data == large


def test_two_flipped_bits_of_a_piece_are_turned_back() -> None:
    """Bits that flip at different times meet in one piece: a packed file is kept for long."""
    draw = random.Random(5)
    data = b"".join(b'{"n":%d,"lu":"%x"}\n' % (n, draw.getrandbits(64)) for n in range(4_000))
    packed = pack(data)
    first = ABOUT.size + HEADER_BYTES + SKIPPED.size + HEAD_BYTES
    for turn in range(6):
        spoiled = bytearray(packed)
        for bit in draw.sample(range(8 * first, 8 * (first + 20_000)), 2):
            spoiled[bit // 8] ^= 1 << bit % 8
        if turn == 0:  # the checksum's own, and one of what it covers
            spoiled = bytearray(packed)
            spoiled[first - 1] ^= 8
            spoiled[first + 77] ^= 2
        found = unpack(bytes(spoiled))
        assert found.data == data, turn
        assert "flipped bits at offsets" in found.flaw


def test_damage_to_what_is_packed_costs_a_piece() -> None:
    draw = random.Random(2)
    data = draw.randbytes(3 * 1024 * 1024 + 7)
    packed = pack(data)
    assert zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True).read() == data
    for _ in range(12):
        at = draw.randrange(ABOUT.size + HEADER_BYTES, len(packed))
        found = pieces_of(unpack(packed[:at] + draw.randbytes(5) + packed[at + 5 :]).data, data, PACKED_BYTES)
        assert found.count(False) <= 1


def test_what_is_packed_is_known_without_its_first_piece(tmp_path: Path) -> None:
    """Four bits of it, one after the other: nothing that was not hit is refused for it."""
    write(tmp_path, RECORDS)
    packed = bytearray(pack((tmp_path / "00000001.journal").read_bytes()))
    for at in (-20, -30, -40, -50):
        packed[at] ^= 8
    path = tmp_path / "00000001.journal.zst"
    path.write_bytes(packed)
    content = read_content(DISK, path, 1)
    assert content.header == read_header(DISK, path, 1)
    assert [part.payload for part in content.parts(0, None)] == []


def first_packed(data: bytes) -> bytes:
    """As 0.1.0 did it."""
    pieces = [ABOUT.pack(ABOUT_MAGIC, HEADER_BYTES), data[:HEADER_BYTES]]
    for offset in range(0, len(data), 1024 * 1024):
        piece = data[offset : offset + 1024 * 1024]
        packed = zstandard.ZstdCompressor(write_checksum=True).compress(piece)
        pieces += [FIRST_PIECE.pack(PIECE_MAGIC, 16, offset, len(piece), len(packed)), packed]
    return b"".join(pieces)


def test_what_was_packed_by_an_earlier_version_is_read() -> None:
    data = b"".join(bytes([n]) * 1024 * 1024 for n in (1, 2, 3)) + b"end"
    packed = first_packed(data)
    assert unpack(packed).data == data
    begin = ABOUT.size + HEADER_BYTES
    for bit in range(8 * (begin + 8), 8 * (begin + 16)):  # its offset: of exabytes, for instance
        spoiled = bytearray(packed)
        spoiled[bit // 8] ^= 1 << bit % 8
        assert sum(pieces_of(unpack(bytes(spoiled)).data[: len(data)], data, 1024 * 1024)) >= 3


@pytest.mark.parametrize("version", FORMATS)
def test_what_is_shorter_than_a_head_is_no_frame(version: int) -> None:
    for length in range(HEAD_BYTES):
        assert FORMATS[version].whole(b"\1" * length, 0, 1) == 0


class Forgetful(Unsynced):
    """What it is given for a packed file is not what it keeps."""

    forgets = True

    def write(self, file: int, offset: int, parts: Sequence[bytes]) -> None:
        whole = b"".join(parts)
        kept = (
            whole.replace(whole[40:80], bytes(40))
            if self.forgets and whole.startswith(ABOUT.pack(ABOUT_MAGIC, HEADER_BYTES))
            else whole
        )
        super().write(file, offset, [kept])


def test_what_does_not_come_back_from_a_packed_file_stays_as_it_was(tmp_path: Path) -> None:
    """The file was read before the segment that it packs goes: that one stays, the other does not stand beside it."""
    write(tmp_path, RECORDS, segment_bytes=200)
    disk = Forgetful()
    folder = SegmentFolder(tmp_path, disk)
    with pytest.raises(OSError, match="has not come back as it was written"):
        folder.pack(1)
    assert [path.name for path in tmp_path.glob("00000001.journal*")] == ["00000001.journal"]
    disk.forgets = False
    assert folder.pack(1) > 0
    assert [path.name for path in tmp_path.glob("00000001.journal*")] == ["00000001.journal.zst"]
