"""The rows of an SQLite file, page by page: for what SQLite gives up. One bit of a page that only leads to others
hides all that is behind it, thousands of rows, and a file whose end or beginning is missing has none at all for SQLite.

A row stands in a leaf (https://sqlite.org/fileformat2.html#b_tree_pages): how long it is, its number, then a record,
what of it has no room in a chain of further pages. Which table it is of, its columns have to say. A page that is free
may have rows that are gone: those are not looked at, as far as the list of them can be read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from engine.disk import DISK
from engine.sqlite_log import FRAME_BYTES, HEADER, HEADER_BYTES, LOG, PAGE_SIZES, SALT

TABLE, INDEX = 13, 10  # leaves
HEAD, LEAF_HEAD = 100, 8  # bytes at the beginning of the file, and of a leaf
CELL_MIN = 4  # bytes that a row takes at least
FREE_AT = 32
PAGE_BYTES = 4096  # where the file does not say it any more
INTEGERS = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}  # kind in a record -> its bytes
REAL = 7

Value = int | float | str | bytes | None
Row = tuple[Value, ...]


def rows_in(path: Path) -> Iterator[tuple[int, Row]]:
    """(number, columns) of each row that can be read, the log's first; of a table without numbers, 0. A row may come
    more than once. Raises OSError where the file cannot be read."""
    for leaf in leaves_in(path):
        yield from leaf.rows


class Leaf(NamedTuple):
    """whole: it holds nothing but these rows, so none of it is missing."""

    rows: Sequence[tuple[int, Row]]
    whole: bool


def leaves_in(path: Path, *, free: bool = False) -> Iterator[Leaf]:
    """The same, leaf by leaf. free: also those that the list of free pages names, which may be damaged, too."""
    pages = _Pages(path)
    try:
        passed_over = set() if free else set(pages.free())
        yield from (pages.leaf(number) for number in pages.numbers() if number not in passed_over)
    finally:
        pages.close()


class _Pages:
    """Of a file, and of the commits in its log."""

    def __init__(self, path: Path) -> None:
        self._file = DISK.open_to_read(path)
        self._log = -1
        try:
            self._size = _page_bytes(DISK.read(self._file, 16, 2))
            self._last = -(-DISK.size(self._file) // self._size)
            self._logged: Mapping[int, int] = {}  # page -> where it stands in the log
            log = path.with_name(path.name + LOG)
            if DISK.bytes_of(log) > HEADER_BYTES:
                self._log = DISK.open_to_read(log)
                self._logged = self._in_log()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for file in (self._file, self._log):
            if file >= 0:
                DISK.close(file)

    def numbers(self) -> Iterator[int]:
        yield from self._logged
        yield from (number for number in range(1, self._last + 1) if number not in self._logged)

    def free(self) -> Iterator[int]:
        """Those that the list of free pages names."""
        (trunk,) = struct.unpack(">I", self._page(1)[FREE_AT : FREE_AT + 4].rjust(4, b"\0"))
        seen: set[int] = set()
        while trunk and trunk not in seen and len(page := self._page(trunk)) == self._size:
            seen.add(trunk)
            next_, count = struct.unpack_from(">II", page)
            yield trunk
            yield from struct.unpack_from(f">{min(count, self._size // 4 - 2)}I", page, 8)
            trunk = next_

    def leaf(self, number: int) -> Leaf:
        page = self._page(number)
        head = HEAD if number == 1 else 0
        kind = page[head] if len(page) == self._size else 0
        if kind not in (TABLE, INDEX):
            return Leaf((), whole=False)
        count, begin = struct.unpack_from(">HH", page, head + 3)
        rows: list[tuple[int, Row]] = []
        taken = _free_in(page, head)
        for cell in range(min(count, (self._size - head - LEAF_HEAD) // 2)):
            (at,) = struct.unpack_from(">H", page, head + LEAF_HEAD + 2 * cell)
            try:
                row, end = self._row(page, at, kind)
            except (IndexError, ValueError, struct.error):
                continue  # nothing of it makes sense
            rows.append(row)
            taken += max(end - at, CELL_MIN)
        return Leaf(rows, whole=begin + taken == self._size)

    def _row(self, page: bytes, at: int, kind: int) -> tuple[tuple[int, Row], int]:
        """And where it ends in its leaf."""
        size, at = _varint(page, at)
        number, at = _varint(page, at) if kind == TABLE else (0, at)
        if not 0 < size <= (self._last + len(self._logged)) * self._size:
            raise ValueError(size)
        most = self._size - 35 if kind == TABLE else (self._size - 12) * 64 // 255 - 23
        least = (self._size - 12) * 32 // 255 - 23
        here = size
        if size > most:
            here = least + (size - least) % (self._size - 4)
            here = here if here <= most else least
        payload = bytearray(page[at : at + here])
        end = at + here + (4 if size > here else 0)
        next_ = int.from_bytes(page[at + here : at + here + 4]) if size > here else 0
        while len(payload) < size:
            further = self._page(next_)
            if len(further) != self._size:
                raise ValueError(next_)
            payload += further[4 : 4 + size - len(payload)]
            next_ = int.from_bytes(further[:4])
        return (number, tuple(_record(bytes(payload)))), end

    def _page(self, number: int) -> bytes:
        if number in self._logged:
            return DISK.read(self._log, self._logged[number], self._size)
        return DISK.read(self._file, (number - 1) * self._size, self._size) if number else b""

    def _in_log(self) -> dict[int, int]:
        header = DISK.read(self._log, 0, HEADER_BYTES)
        found: dict[int, int] = {}
        begun: dict[int, int] = {}
        if HEADER.unpack(header)[2] != self._size:
            return found
        for begin in range(HEADER_BYTES, DISK.size(self._log), FRAME_BYTES + self._size):
            frame = DISK.read(self._log, begin, FRAME_BYTES)
            if len(frame) < FRAME_BYTES or frame[SALT] != header[16:24]:
                break
            begun[int.from_bytes(frame[:4])] = begin + FRAME_BYTES
            if any(frame[4:8]):
                found |= begun
                begun = {}
        return found


def _page_bytes(stored: bytes) -> int:
    size = int.from_bytes(stored)
    return size if size in PAGE_SIZES else PAGE_BYTES


def _free_in(page: bytes, head: int) -> int:
    """How many bytes behind the first cell of a leaf hold none: free blocks, and what is too small for one."""
    count, at, before = page[head + 7], int.from_bytes(page[head + 1 : head + 3]), 0
    while before < at <= len(page) - 4:
        before, (at, size) = at, struct.unpack_from(">HH", page, at)
        count += size
    return count


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(8):
        byte = data[at + place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + place + 1
    return value << 8 | data[at + 8], at + 9


def _record(payload: bytes) -> Iterator[Value]:
    end, at = _varint(payload, 0)
    value_at = end
    while at < end:
        kind, at = _varint(payload, at)
        size = INTEGERS[kind] if kind in INTEGERS else 8 if kind == REAL else (kind - 12) // 2
        raw = payload[value_at : value_at + size]
        if size < 0 or len(raw) != size:
            raise ValueError(kind)
        value_at += size
        yield _value(kind, raw)


def _value(kind: int, raw: bytes) -> Value:
    if kind == 0:
        return None
    if kind == REAL:
        return float(struct.unpack(">d", raw)[0])
    if kind in INTEGERS:
        return int.from_bytes(raw, signed=True) if raw else kind - 8
    return raw.decode("utf-8", "replace") if kind % 2 else raw
