"""A side door of the running engine: who connects to its socket and names a source sees what comes from it.

    driver --payloads--> Tap.tell --+
       |                            +--> every watcher of the source (bounded, never waited for)
       +--records, faults, states---+--> Intake

`sortline tap` looks through it, so that no second connection takes anything away from a source. The socket is a file in
the data folder, for the engine's user alone.

The protocol: the watcher sends the source's name and a line feed, and gets a JSON list [what, where from, text] a line,
`what` being `payload`, `record`, `fault` or `state`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from engine.contracts import Delivery, Driver, Intake
from protocols.tapping import Tap

SOCKET = "tap.sock"
LOCKS = Path("/proc/locks")
UNREAD_BYTES_MAX = 1 << 20
"""What a watcher may leave unread; what comes then is not shown to it."""

TEXT_BYTES_MAX = 8_192
WATCHERS_MAX = 16
NAME_BYTES_MAX = 1_024
NAME_S = 5.0

log = logging.getLogger("sortline.taps")


class Watcher:
    """One who looks. It is told what it missed."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._missed = 0

    def tell(self, what: str, place: str, content: bytes) -> None:
        if self._writer.transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            self._missed += 1
            return
        if self._missed:
            self._write("state", "", f"{self._missed} lines were not shown: they came too fast")
            self._missed = 0
        self._write(what, place, content[:TEXT_BYTES_MAX].decode("utf-8", "backslashreplace"))

    def end(self) -> None:
        self._writer.transport.abort()

    def _write(self, what: str, place: str, text: str) -> None:
        if not self._writer.transport.is_closing():
            self._writer.write(msgspec.json.encode((what, place, text)) + b"\n")


class Taps:
    """An `Intake` before the engine's own, and the socket. `attach` each driver; `serve` once."""

    def __init__(self, intake: Intake, folder: Path) -> None:
        self._intake = intake
        self._folder = folder
        self._drivers: dict[str, Any] = {}
        self._states: dict[str, str] = {}
        self._watchers: dict[str, list[Watcher]] = {}

    async def put(self, delivery: Delivery) -> None:
        if delivery.source in self._watchers:
            for line in delivery.lines:
                self._tell(delivery.source, "record", "", line)
        await self._intake.put(delivery)

    def fault(self, source: str, cause: str, sample: bytes, place: str = "") -> None:
        if source in self._watchers:
            self._tell(source, "fault", place, f"{cause}: {sample[:TEXT_BYTES_MAX]!r}".encode())
        self._intake.fault(source, cause, sample, place)

    def state(self, source: str, state: str, detail: str = "") -> None:
        self._states[source] = f"{state} {detail}".strip()
        self._tell(source, "state", "", self._states[source].encode())
        self._intake.state(source, state, detail)

    def position(self, src: str) -> tuple[int, int] | None:
        return self._intake.position(src)

    async def recent(self, src: str, most: int) -> Sequence[bytes]:
        return await self._intake.recent(src, most)

    def attach(self, source: str, driver: Driver) -> None:
        """The source's driver; a new one takes the place of the one before."""
        self._drivers[source] = driver
        self._open_or_close(source)

    async def serve(self) -> None:
        """Until cancelled. Without the socket the engine is as good: that it cannot be made is said, and no more."""
        try:
            with listening(self._folder) as sock:
                server = await asyncio.start_unix_server(self._watched, sock=sock, limit=NAME_BYTES_MAX)
                try:
                    await asyncio.Event().wait()
                finally:
                    server.close()
                    for watcher in [one for watchers in self._watchers.values() for one in watchers]:
                        watcher.end()
        except OSError as error:
            log.warning("sortline tap cannot look in here: %s: %s", self._folder / SOCKET, error.strerror or error)

    async def _watched(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(NAME_S):
                source = (await reader.readline()).decode("utf-8", "replace").strip()
            watcher = Watcher(writer)
            if source not in self._drivers or sum(map(len, self._watchers.values())) >= WATCHERS_MAX:
                watcher.tell("state", "", b"the running engine does not show this source")
                return
            await self._watch(source, watcher, reader)
        except (OSError, ValueError, TimeoutError) as error:
            log.debug("a watcher has gone: %s", error)
        finally:
            writer.close()

    async def _watch(self, source: str, watcher: Watcher, reader: asyncio.StreamReader) -> None:
        """Until it goes."""
        watchers = self._watchers.setdefault(source, [])
        watchers.append(watcher)
        self._open_or_close(source)
        try:
            watcher.tell("state", "", self._states.get(source, "starting").encode())
            for place, content in self._tap_of(source).standing():
                watcher.tell("payload", place, content)
            await reader.read(1)
        finally:
            watchers.remove(watcher)
            if not watchers:
                del self._watchers[source]
            self._open_or_close(source)

    def _open_or_close(self, source: str) -> None:
        tap = self._tap_of(source)
        if source in self._watchers:
            tap.tell = partial(self._tell, source, "payload")
        else:
            tap.close()

    def _tap_of(self, source: str) -> Tap:
        """One that shows nothing where the driver has none."""
        tap: Tap | None = getattr(self._drivers[source], "tap", None)
        return tap if tap is not None else Tap()

    def _tell(self, source: str, what: str, place: str, content: bytes) -> None:
        for watcher in self._watchers.get(source, ()):
            watcher.tell(what, place, content)


@contextlib.contextmanager
def listening(folder: Path) -> Iterator[socket.socket]:
    """A socket that the folder's owner alone may connect to, gone at the end. The folder is ours by its lock, so what
    lies there is of a life that was killed."""
    with _short(folder) as name, socket.socket(socket.AF_UNIX) as sock:
        with contextlib.suppress(FileNotFoundError):
            name.unlink()
        sock.bind(str(name))
        try:
            name.chmod(0o600)
            yield sock
        finally:
            with contextlib.suppress(OSError):
                name.unlink()


async def look_in(folder: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    """A connection to the engine that runs on this folder; None: there is none."""
    try:
        with _short(folder) as name:
            return await asyncio.open_unix_connection(str(name), limit=1 << 20)
    except OSError:
        return None


async def engine_runs_on(folder: Path) -> bool:
    """Whether its lock is held; where that does not show, as on a file system in layers, whether the engine answers."""
    if _is_locked(folder / "journal"):
        return True
    inside = await look_in(folder)
    if inside is not None:
        inside[1].close()
    return inside is not None


def _is_locked(folder: Path) -> bool:
    """Told without taking the lock, which would refuse a start in this moment."""
    try:
        inode = folder.stat().st_ino
        held = [line.split() for line in LOCKS.read_text().splitlines()]
    except OSError:
        return False
    # proc_locks(5): number, kind, mode, access, process, device:device:inode, from, to
    return any(lock[1] == "FLOCK" and lock[5].endswith(f":{inode}") for lock in held)


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[Path]:
    """A name of the socket that is short enough for one: 108 bytes, which a folder's may exceed."""
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield Path(f"/proc/self/fd/{fd}/{SOCKET}")
    finally:
        os.close(fd)
