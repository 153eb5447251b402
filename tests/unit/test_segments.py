"""Segments that are damaged: one flipped bit is turned back, more is never read as a record and hides nothing whole."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from engine.errors import Refused
from engine.segments import HEADER_BYTES, Content, pack, unpack
from ext.frames import crc32c
from tests.unit.test_journal import opened, write

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


def test_damage_to_what_is_packed_costs_a_piece() -> None:
    draw = random.Random(2)
    data = draw.randbytes(3 * 1024 * 1024 + 7)
    packed = pack(data)
    assert unpack(packed) == data
    for _ in range(40):
        at = draw.randrange(len(packed))
        spoiled = packed[:at] + bytes([packed[at] ^ 1 << draw.randrange(8)]) + packed[at + 1 :]
        found = unpack(spoiled)
        pieces = [found[n : n + 1024 * 1024] for n in range(0, len(data), 1024 * 1024)]
        good = [piece == data[n * 1024 * 1024 : (n + 1) * 1024 * 1024] for n, piece in enumerate(pieces)]
        assert sum(good) >= 3
        assert all(same or not any(piece) for same, piece in zip(good, pieces, strict=True))
