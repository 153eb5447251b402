"""Whose records were not taken while the disk filled up, and when: for a `source.gap` in the journal once it is over.

`shed.json` in the data folder keeps it over a kill, as far as there is room for it: a line with version and digest,
then `{src: [t_from, t_to, records]}`. It goes when the journal has the gaps. What came in the last second before a kill
may not be in it, and a kill at the wrong moment tells a gap twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from engine.disk import DISK
from engine.whole_file import body_of, is_sealed, mended, read_whole, refuse_newer, sealed, write_whole

NAME = "shed.json"
VERSION = b"sortline-shed-1"
GAPS_MAX = 65_536
EVERY_S = 1.0
EVERY_TIMES = 20  # it is not written more than a part of the time, however much there is

log = logging.getLogger("sortline.overload")


class Gap(NamedTuple):
    """Of one source. Microseconds."""

    t_from: int
    t_to: int
    records: int

    def with_one_at(self, at: int) -> Gap:
        return Gap(min(self.t_from, at), max(self.t_to, at), self.records + 1)


class ShedGaps:
    """`add`, and `keep` every now and then; once it is over `take`, tell the journal, and say so (`told`).

    path: of the file; None: only in memory.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._gaps = _begun(path) if path is not None else {}
        self._telling: dict[str, Gap] = {}
        self._changed = False
        self._writing = asyncio.Lock()
        self._next_s = 0.0

    def add(self, src: str, at: int) -> None:
        if src in self._gaps or len(self._gaps) < GAPS_MAX:
            self._gaps[src] = self._gaps.get(src, Gap(at, at, 0)).with_one_at(at)
            self._changed = True

    def __len__(self) -> int:
        return len(self._gaps)

    def take(self) -> dict[str, Gap]:
        self._telling, self._gaps = self._gaps, {}
        return self._telling

    async def told(self) -> None:
        """What was taken is in the journal."""
        self._telling, self._changed = {}, True
        await self._keep()

    async def keep(self) -> None:
        if self._changed and time.monotonic() >= self._next_s:
            await self._keep()

    async def _keep(self) -> None:
        async with self._writing:
            self._changed, began_s = False, time.monotonic()
            try:
                await asyncio.to_thread(_write, self._path, {**self._telling, **self._gaps})
            except OSError:
                self._changed = True  # there is no room: later
            now_s = time.monotonic()
            self._next_s = now_s + max(EVERY_S, EVERY_TIMES * (now_s - began_s))


def _write(path: Path | None, gaps: dict[str, Gap]) -> None:
    if path is None:
        return
    if gaps:
        body = msgspec.json.encode(gaps)
        write_whole(path, sealed(VERSION, body))
        return
    with contextlib.suppress(FileNotFoundError):
        DISK.unlink(path)
        DISK.sync_folder(path.parent)


def read(path: Path, *, mend: bool) -> tuple[dict[str, Gap] | None, str]:
    """What stands in it, None: it is damaged; and what is to be said of that. A flipped bit is turned back. mend: in
    the file, too, and any other that cannot be read, or a folder in its place, is put aside."""
    if path.name not in DISK.names(path.parent):
        return {}, ""
    found = read_whole(path) if DISK.bytes_of(path) >= 0 else b""
    refuse_newer(path, found, VERSION)
    content, said = mended(path, found, partial(is_sealed, version=VERSION), mend=mend)
    return None if content is None else msgspec.json.decode(body_of(content), type=dict[str, Gap]), said


def _begun(path: Path) -> dict[str, Gap]:
    gaps, said = read(path, mend=True)
    if said:
        log.warning("%s", said)
    return gaps or {}
