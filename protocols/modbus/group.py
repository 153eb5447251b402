"""What all units of one profile share of a group: which requests read it, where its values lie in the image, and how
they are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ext.modbus_image import RegisterImage
from protocols.modbus.decode import Values, take_register
from protocols.modbus.layouts import Group
from protocols.modbus.plan import Limits, Point, Read, plan_reads, points_of, split_read
from protocols.modbus.registers import Register, Table, as_register
from protocols.modbus.settings import Profile


class Field(NamedTuple):
    """A named value in the image: `register` is None for a coil or a discrete input."""

    name: str
    register: Register | None
    column: int
    width: int


class GroupPlan:
    """`leading`: the requests that hold a trigger's value, in order; `following`: the others.

    They are shared by all units: where one of them refused a request that reads a hole along, the parts stand here for
    all of them, and for good.
    """

    def __init__(self, profile: Profile, group: Group, limits: Limits, rows: int) -> None:
        registers = {name: as_register(entry) for name, entry in {**profile.holding, **profile.input}.items()}
        owners = {bit: name for name, register in registers.items() for bit in register.bits}
        watched = {owners.get(trigger.register, trigger.register) for trigger in group.triggers if trigger.register}
        points = points_of(profile, {*group.registers, *watched} if group.registers else ())
        planned = plan_reads(points, limits)
        self._watched = watched
        self._columns: dict[tuple[Table, int], int] = {}  # by table and start: a Read's hash is that of all its points
        columns = 0
        for read in planned:
            self._columns[read.table, read.start] = columns
            columns += read.quantity
        self._fields = [
            Field(point.name, registers.get(point.name), self._column(read, point.address), point.width)
            for read in planned
            for point in read.points
        ]
        self._watched_fields = [field for field in self._fields if field.name in watched]
        self._by_name = {field.name: field for field in self._fields}
        is_watched = bytearray(columns)
        for field in self._watched_fields:
            is_watched[field.column : field.column + field.width] = b"\1" * field.width
        self.image = RegisterImage(rows, bytes(is_watched))
        self.leading: tuple[Read, ...] = ()
        self.following: tuple[Read, ...] = ()
        self._order(planned)

    def _order(self, reads: Sequence[Read]) -> None:
        self.leading = tuple(read for read in reads if self._is_leading(read.points))
        self.following = tuple(read for read in reads if not self._is_leading(read.points))

    def _is_leading(self, points: Sequence[Point]) -> bool:
        return any(point.name in self._watched for point in points)

    def part(self, read: Read) -> list[Read]:
        """Two requests in the place of one that was refused; none: it is a single value."""
        parts = split_read(read)
        for part in parts:
            self._columns[part.table, part.start] = self._column(read, part.start)
        if parts:
            standing = [*self.leading, *self.following]
            # another unit may have parted it meanwhile
            self._order([part for each in standing for part in (parts if each == read else (each,))])
        return parts

    def _column(self, read: Read, address: int) -> int:
        return self._columns[read.table, read.start] + address - read.start

    def holds(self, read: Read) -> bool:
        """Whether it still is one request."""
        return read in self.leading or read in self.following

    def store(self, row: int, read: Read, payload: bytes) -> bool:
        """What came for a unit; whether a watched value of it has changed since it was looked at."""
        column = self._columns[read.table, read.start]
        if read.table in ("coil", "discrete"):
            return self.image.store_bits(row, column, payload, read.quantity)
        return self.image.store(row, column, payload)

    def raw(self, row: int) -> bytes:
        """A unit's registers, big-endian."""
        return self.image.words(row).astype(">u2").tobytes()

    def words(self, row: int, name: str) -> list[int]:
        """The registers of one value."""
        field = self._by_name[name]
        words: list[int] = self.image.words(row)[field.column : field.column + field.width].astype(np.int64).tolist()
        return words

    def decode(self, raw: bytes, absent: frozenset[str]) -> tuple[Values, dict[str, str]]:
        """All values but the `absent` ones, and name -> what is wrong for those that do not fit their description."""
        return _decoded(self._fields, raw, absent)

    def decode_watched(self, raw: bytes, absent: frozenset[str]) -> tuple[Values, dict[str, str]]:
        """Only what triggers look at."""
        return _decoded(self._watched_fields, raw, absent)


def _decoded(fields: Sequence[Field], raw: bytes, absent: frozenset[str]) -> tuple[Values, dict[str, str]]:
    values: Values = {}
    faults: dict[str, str] = {}
    for name, register, column, width in fields:
        if name in absent:
            continue
        own = raw[2 * column : 2 * (column + width)]
        if register is None:
            values[name] = own != b"\0\0"
            continue
        take_register(name, register, own, values, faults)
    return values, faults
