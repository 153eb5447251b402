"""Records of the journal that are passed over: the process died each time that the rules read them (see crashes).

`passed_over.json` in the data folder: a line with version and digest, then

    [[segment, offset, line], ...]

A place is that of a frame in the journal, and the number of a line in it, from 0. The journal keeps the record as it
was accepted; whoever decides on the journal again (a start, `sortline replay`) reads something there that is none: the
decoder refuses it and the account counts it as rejected. So both come to the same.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import msgspec

from engine.disk import DISK, Disk
from engine.whole_file import body_of, is_sealed, mended, read_whole, refuse_newer, sealed, write_whole

NAME = "passed_over.json"
VERSION = b"sortline-passed-over-1"
INSTEAD = b'"a record that ended the process"'

Place = tuple[int, int]


class PassedOver:
    """`lines`: by frame, the numbers of its lines. A flipped bit is turned back; any other file that cannot be read is
    put aside as `.bad` and counts as none: what it named is found again. `report` says so then."""

    def __init__(self, path: Path, disk: Disk = DISK, *, put_damaged_aside: bool = True) -> None:
        self.path = path
        self.report = ""
        self.damaged = False
        self.lines: dict[Place, set[int]] = {}
        self._disk = disk
        if path.name in disk.names(path.parent):
            self._read(put_damaged_aside)

    def __len__(self) -> int:
        return sum(map(len, self.lines.values()))

    def add(self, place: Place, line: int) -> None:
        """Durable when it returns."""
        lines = {**self.lines, place: {*self.lines.get(place, ()), line}}
        body = msgspec.json.encode(sorted((*at, each) for at, held in lines.items() for each in held))
        write_whole(self.path, sealed(VERSION, body), self._disk)
        self.lines = lines

    def without(self, place: Place, payload: bytes) -> bytes:
        """The frame's payload with something that is no record in place of what is passed over."""
        numbers = self.lines.get(place)
        if not numbers:
            return payload
        return b"\n".join(INSTEAD if at in numbers else line for at, line in enumerate(payload.split(b"\n")))

    def _read(self, put_damaged_aside: bool) -> None:
        found = read_whole(self.path, self._disk) if self._disk.bytes_of(self.path) >= 0 else b""
        refuse_newer(self.path, found, VERSION)
        content, self.report = mended(
            self.path, found, partial(is_sealed, version=VERSION), self._disk, mend=put_damaged_aside
        )
        self.damaged = content is None
        if content is None:
            return
        body = body_of(content)
        for segment, offset, line in msgspec.json.decode(body, type=list[tuple[int, int, int]]):
            self.lines.setdefault((segment, offset), set()).add(line)
