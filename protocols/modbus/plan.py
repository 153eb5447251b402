"""Which requests read a set of named registers: neighbours merged, small holes read along, device limits kept."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from protocols.modbus.registers import Table, as_register
from protocols.modbus.settings import Profile

COILS_PER_REGISTER = 16  # a hole is measured by what it costs to read along


class Point(NamedTuple):
    """Where one named value lies: `width` registers, or one bit, from `address`."""

    name: str
    table: Table
    address: int
    width: int

    @property
    def end(self) -> int:
        return self.address + self.width


class Read(NamedTuple):
    """One request: `quantity` registers or bits from `start`, and the points that it answers, by address."""

    table: Table
    start: int
    quantity: int
    points: tuple[Point, ...]


class Limits(NamedTuple):
    """`gap_registers`: a hole up to this is read along (16 times as many bits); `registers`, `bits`: one request."""

    gap_registers: int
    registers: int
    bits: int


def points_of(unit: Profile, names: Collection[str]) -> list[Point]:
    """The points of the named registers of a unit; `names` empty: of all."""
    points: list[Point] = []
    tables: tuple[Table, Table] = ("holding", "input")
    for table, entries in zip(tables, (unit.holding, unit.input), strict=True):
        for name, entry in entries.items():
            register = as_register(entry)
            points.append(Point(name, table, register.address, register.width))
    points.extend(Point(name, "coil", address, 1) for name, address in unit.coil.items())
    points.extend(Point(name, "discrete", address, 1) for name, address in unit.discrete.items())
    return [point for point in points if not names or point.name in names]


def plan_reads(points: Sequence[Point], limits: Limits, first: Collection[str] = ()) -> list[Read]:
    """The fewest requests in order of table and address; those that answer a name of `first` come before the others."""
    reads: list[Read] = []
    pending: list[Point] = []
    for point in sorted(points, key=lambda point: (point.table, point.address, point.width)):
        if pending and not _joins(pending, point, limits):
            reads.append(_read(pending))
            pending = []
        pending.append(point)
    if pending:
        reads.append(_read(pending))
    return sorted(reads, key=lambda read: not any(point.name in first for point in read.points))


def split_read(read: Read) -> list[Read]:
    """Two requests in place of one that the device refused, parted at the widest hole; none for a single point."""
    ends = [max(point.end for point in read.points[: index + 1]) for index in range(len(read.points) - 1)]
    if not ends:
        return []
    holes = [following.address - end for end, following in zip(ends, read.points[1:], strict=True)]
    widest = max(holes)
    middle = len(holes) / 2
    # of equal holes the middle one: as few requests as possible find the register that does not exist
    part = min((index for index, hole in enumerate(holes) if hole == widest), key=lambda index: abs(index - middle)) + 1
    return [_read(read.points[:part]), _read(read.points[part:])]


def _joins(pending: Sequence[Point], point: Point, limits: Limits) -> bool:
    start, end = pending[0].address, max(point.end for point in pending)
    if point.table != pending[0].table:
        return False
    is_bit = point.table in ("coil", "discrete")
    gap_max = limits.gap_registers * (COILS_PER_REGISTER if is_bit else 1)
    count_max = limits.bits if is_bit else limits.registers
    return point.address - end <= gap_max and max(end, point.end) - start <= count_max


def _read(points: Sequence[Point]) -> Read:
    start = points[0].address
    return Read(points[0].table, start, max(point.end for point in points) - start, tuple(points))
