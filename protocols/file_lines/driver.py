"""Reads the lines of a file that grows, of a pipe, or of standard input.

file --bytes--> Cutter -> Decoder.decode -> Delivery -> Intake.put
  ^--- bookmark, once a second <--- Delivery.ack (after the journal's fsync)
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import stat
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from gzip import GzipFile
from pathlib import Path
from typing import NoReturn

from engine.clock import Clock
from engine.contracts import Delivery, Intake
from engine.errors import Refused
from protocols.file_lines.bookmark import (
    Bookmark,
    Finished,
    Place,
    copied,
    has_moved_on,
    identity,
    leads_to,
    place_of,
    renamed,
    renamed_after,
    written_after,
)
from protocols.file_lines.decode import Cut, Cutter, Decoder
from protocols.file_lines.packed import DAMAGED, packed_behind, packed_since
from protocols.file_lines.rounds import round_of
from protocols.file_lines.settings import STDIN, Settings
from protocols.linking import LinkNews, speaking_for
from protocols.mapping.sequence import Sequences
from protocols.tapping import Tap

READ_BYTES = 65_536
BOOKMARK_S = 1.0
LINGER_S = 1.0
"""A file whose name is another's is done when nobody has written to it for so long: who rotates files tells the writer
only when the new one is there."""

STDIN_FD = 0

log = logging.getLogger("sortline.file_lines")


class Driver:
    """See `engine.contracts.Driver`."""

    def __init__(self, name: str, settings: Settings, intake: Intake, clock: Clock) -> None:
        self._name = name
        self._settings = settings
        self._intake = intake
        self._clock = clock
        self._decoder = Decoder(settings, Sequences(intake.position))
        self._bookmark = Bookmark(settings.bookmark) if settings.bookmark is not None else None
        self._link = LinkNews(name, speaking_for(settings.scope), intake, clock)
        self._safe: Place | None = None  # up to here everything is on our disk
        self._moved = asyncio.Event()  # and that is not in the bookmark yet
        self._done = 0  # bytes of the file that is read, up to the last line that was handed over
        self._files = 0  # how many were opened
        self._finished = Finished()
        self._read = Place(device=0, inode=0, offset=0)  # up to here the file was read
        self._news = asyncio.Event()  # more of it is safe
        self.tap = Tap()

    async def run(self) -> NoReturn:
        """Until cancelled; the end of a pipe is the end of its writer, and the next one is waited for."""
        bookmarking = asyncio.create_task(self._keep_bookmark()) if self._bookmark is not None else None
        try:
            with readable(self._settings.path):
                await self._read_renamed()
                while True:
                    await self._read_whatever_it_is()
        finally:
            if bookmarking is not None:
                bookmarking.cancel()
                await asyncio.wait({bookmarking})
            self._write_bookmark()

    async def _read_whatever_it_is(self) -> None:
        if self._settings.path == STDIN:
            await self._read_stdin()
        else:
            await self._read_from(await self._opened())

    async def _read_from(self, fd: int | None) -> None:
        """What is open, and then what had its name after it."""
        while fd is not None:
            try:
                following = await self._read_one(fd)
            finally:
                os.close(fd)
            fd = following

    async def _read_one(self, fd: int) -> int | None:
        """Until there is something else to read, which is returned if it is open already."""
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise Refused(f"{self._settings.path}: is a folder")
        if not stat.S_ISREG(mode):
            await self._stream(fd, has_more_writers=True)
            return None
        if not await self._follow(fd):
            return os.dup(fd)
        self._finished.add(fd)
        for file in packed_behind(Path(self._settings.path), fd):
            await self._read_packed(file)
        return self._following(fd)

    def _following(self, fd: int) -> int | None:
        """Of the files that had the name after this one, the first that was not read; the one that has it now is opened
        before the others are looked for, so that it is not lost if it is renamed meanwhile."""
        path = Path(self._settings.path)
        named = _opened_if_there(path)
        before = renamed_after(path, fd, named, self._finished)
        if before is None or (later := _opened_if_there(before)) is None:
            return named
        log.info("%s: %s had the name meanwhile: it is read next", self._name, before)
        if named is not None:
            os.close(named)
        return later

    async def _opened(self) -> int:
        """The file, once it is there."""
        while True:
            try:
                # without O_NONBLOCK a named pipe would be opened only when somebody writes to it
                return os.open(self._settings.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                self._intake.state(self._name, "down", f"cannot open it: {error.strerror}")
            await asyncio.sleep(self._settings.poll_ms / 1000)

    async def _read_stdin(self) -> None:
        # a copy, so that closing and O_NONBLOCK are no business of others who read it
        fd = os.dup(STDIN_FD)
        try:
            if stat.S_ISREG(os.fstat(fd).st_mode):
                self._intake.state(self._name, "up")
                cutter = Cutter(self._settings.line_bytes_max)
                while data := await asyncio.to_thread(os.read, fd, READ_BYTES):
                    await self._hand_over(cutter.feed(data), fd)
                await self._hand_over(cutter.end(), None)
            else:
                await self._stream(fd, has_more_writers=False)
        finally:
            os.close(fd)
        self._intake.state(self._name, "down", "standard input has ended")
        await asyncio.Event().wait()

    # a file

    async def _read_renamed(self) -> None:
        """While we were away the file may have got another name, and lines that we have not seen."""
        self._safe = self._bookmark.read() if self._bookmark is not None else None
        if self._safe is None:
            return
        path, known = Path(self._settings.path), self._safe
        # opened before it is looked for, for it may be renamed meanwhile
        fd = _opened_if_there(path)
        # at its beginning there is nothing to know a file by that got the inode
        is_new = known.offset == 0 and written_after(path, known) is not None
        if fd is not None and (is_new or not leads_to(known, fd)):
            os.close(fd)
            fd = None
        if fd is None and (other := renamed(path, known)) is not None and (fd := _opened_if_there(other)) is not None:
            log.info("%s: %s is the file of the bookmark: it is read first", self._name, other)
        await self._read_from(fd if fd is not None else await self._after_what_is_gone(path, known))

    async def _after_what_is_gone(self, path: Path, known: Place) -> int | None:
        """The file of the bookmark is gone, was packed, or was cut; what followed it may be there still."""
        if (copy := copied(path, known)) is not None:
            os.close(copy)
            return None
        rest, packed = await asyncio.to_thread(packed_since, path, known)
        if rest is None:
            self._intake.fault(self._name, "the file of the bookmark is gone: what was not read of it is lost", b"")
        else:
            await self._read_packed(Path(rest.name), rest)
        for file in packed:
            await self._read_packed(file)
        later = written_after(path, known)
        if later is not None:
            log.info("%s: %s was written after it: it is read first", self._name, later)
        return _opened_if_there(later) if later is not None else None

    async def _read_packed(self, file: Path, rest: GzipFile | None = None) -> None:
        """A file that was packed before it was read, or the rest of it."""
        log.info("%s: %s was packed before it was read to its end: it is read from there", self._name, file)
        cutter = Cutter(self._settings.line_bytes_max)
        try:
            with rest or gzip.open(file) as unpacked:
                while data := await asyncio.to_thread(unpacked.read, READ_BYTES):
                    await self._hand_over(cutter.feed(data), None)
        except DAMAGED:
            why = "cannot be unpacked: what was not read of it is lost"
            self._intake.fault(self._name, f"{file.name}: {why}", b"")
        await self._hand_over(cutter.end(), None)
        await self._until_all_is_safe()

    async def _follow(self, fd: int) -> bool:
        """Until another file has its name; or, False, it was cut."""
        self._files += 1
        cutter = Cutter(self._settings.line_bytes_max)
        self._done = await self._start(fd, cutter)
        os.lseek(fd, self._done, os.SEEK_SET)
        self._intake.state(self._name, "up")
        self._read = place_of(fd, self._done)
        is_cut = not await self._read_to_end(fd, cutter)
        poll_s = self._settings.poll_ms / 1000
        looks = round_of(poll_s)
        loop = asyncio.get_running_loop()
        looked_s, quiet_s = loop.time(), 0.0
        while not is_cut:
            is_left, unread = self._look(fd)
            # a standstill of our own says nothing of the writer
            quiet_s += min(poll_s, loop.time() - looked_s)
            looked_s = loop.time()
            is_cut = unread < 0
            if unread > 0:
                is_cut = not await self._read_to_end(fd, cutter)
            if unread > 0 or not is_left:
                quiet_s = 0.0
            elif quiet_s >= LINGER_S or has_moved_on(Path(self._settings.path), fd, LINGER_S):
                await self._hand_over(cutter.end(), fd)
                await self._until_safe()
                return True
            if not is_cut:
                await looks.until(partial(self._has_news, fd))
        await self._was_cut(self._read, cutter)
        self._is_safe(place_of(fd, 0))
        return False

    async def _was_cut(self, read: Place, cutter: Cutter) -> None:
        """What had not been read of it yet stands in its copy, if there is one."""
        log.info("%s: the file was cut: it is read from its beginning", self._name)
        copy = copied(Path(self._settings.path), read)
        if copy is None:
            return
        try:
            log.info("%s: what was not read before it was cut is read from its copy", self._name)
            while data := await asyncio.to_thread(os.read, copy, READ_BYTES):
                await self._hand_over(cutter.feed(data), None)
            await self._hand_over(cutter.end(), None)
        finally:
            os.close(copy)
        await self._until_all_is_safe()

    async def _until_all_is_safe(self) -> None:
        """Of what was handed over without a place in the bookmark."""
        if self._bookmark is not None:
            is_safe = asyncio.Event()
            await self._intake.put(Delivery(self._name, [], is_safe.set))
            await is_safe.wait()

    async def _start(self, fd: int, cutter: Cutter) -> int:
        """Where to begin with a file."""
        known = self._safe
        if known is not None:
            if leads_to(known, fd):
                return known.offset
            if identity(os.fstat(fd)) == (known.device, known.inode) and known.before is not None:
                await self._was_cut(known, cutter)
            return 0
        first = os.fstat(fd).st_size if self._settings.begin == "end" else 0
        self._is_safe(place_of(fd, first))
        return first

    def _has_news(self, fd: int) -> bool:
        return self._look(fd) != (False, 0)

    def _look(self, fd: int) -> tuple[bool, int]:
        """Whether another file has its name, and how many bytes of it were not read; negative: it was cut. Asking costs
        a tenth of reading nothing in a thread."""
        read = self._read
        try:
            named = os.stat(self._settings.path)  # noqa: PTH116 - five times a second, for each of many files
        except OSError:
            return False, os.fstat(fd).st_size - read.offset  # renamed, and the next one is not there yet
        if identity(named) == (read.device, read.inode):
            return False, named.st_size - read.offset
        return True, os.fstat(fd).st_size - read.offset

    async def _read_to_end(self, fd: int, cutter: Cutter) -> bool:
        """False: it was cut, and has grown beyond where we were."""
        if not self._read.offset and (first := _first_data(fd)):
            self._done = os.lseek(fd, first, os.SEEK_SET)
            self._read = place_of(fd, first)
        while True:
            data, place = await asyncio.to_thread(_read_on, fd, self._read)
            if place is None:
                return False
            if not data:
                return True
            self._read = place
            await self._hand_over(cutter.feed(data), fd)

    # a pipe

    async def _stream(self, fd: int, *, has_more_writers: bool) -> None:
        """Until its writer has gone; or, where another one may come, until another pipe has its name. It stays open in
        between: what the next one writes before we look is kept in it."""
        os.set_blocking(fd, False)
        cutter = Cutter(self._settings.line_bytes_max)
        is_up = False
        while True:
            data = await self._read_when_ready(fd)
            if data is None:
                continue
            if data and not is_up:
                is_up = True
                self._intake.state(self._name, "up")
                await self._link.tell("link.up")
            await self._hand_over(cutter.feed(data) if data else cutter.end(), None)
            if data:
                continue
            if is_up:
                is_up = False
                self._intake.state(self._name, "down", "its writer has gone")
                await self._link.tell("link.down")
            if not has_more_writers:
                return
            # until somebody comes it is always at its end
            await asyncio.sleep(self._settings.poll_ms / 1000)
            if self._is_another(fd):
                return

    def _is_another(self, fd: int) -> bool:
        """Whether its name is that of another pipe, or of a file, meanwhile."""
        try:
            return identity(Path(self._settings.path).stat()) != identity(os.fstat(fd))
        except OSError:
            return False

    async def _read_when_ready(self, fd: int) -> bytes | None:
        """None: nothing yet. Empty: nobody has it open for writing."""
        loop = asyncio.get_running_loop()
        ready = loop.create_future()
        loop.add_reader(fd, _mark, ready)
        try:
            await ready
        finally:
            loop.remove_reader(fd)
        try:
            return os.read(fd, READ_BYTES)
        except BlockingIOError:
            return None

    # all of them

    async def _hand_over(self, cuts: list[Cut], fd: int | None) -> None:
        """Whole lines. `fd`: of the file that they come from, if it can be read again."""
        size = self._settings.batch_lines
        for first in range(0, len(cuts), size):
            batch = cuts[first : first + size]
            if self.tap.tell is not None:
                for cut in batch:
                    self.tap.tell("", cut.sample if cut.line is None else cut.line)
            lines = [line for cut in batch for line in self._decoded(cut)]
            ack: Callable[[], None] = _can_wait
            if fd is not None and self._bookmark is not None:
                self._done += sum(cut.size for cut in batch)
                ack = partial(self._mark_safe, self._files, place_of(fd, self._done))
            if lines or ack is not _can_wait:
                await self._intake.put(Delivery(self._name, lines, ack))

    def _decoded(self, cut: Cut) -> list[bytes]:
        if cut.line is None:
            self._intake.fault(self._name, "line: longer than line_bytes_max", cut.sample)
            return []
        found = self._decoder.decode(cut.line, self._clock())
        for cause in found.causes:
            self._intake.fault(self._name, cause, cut.line)
        return found.lines

    def _mark_safe(self, file: int, place: Place) -> None:
        # not for lines of the file before this one
        if file == self._files:
            self._is_safe(place)
            self._news.set()

    def _is_safe(self, place: Place) -> None:
        self._safe = place
        self._moved.set()

    async def _until_safe(self) -> None:
        """Everything of this file is on our disk: only then the next one may take its place in the bookmark."""
        while self._bookmark is not None and self._safe is not None and self._safe.offset < self._done:
            self._news.clear()
            await self._news.wait()

    async def _keep_bookmark(self) -> NoReturn:
        """Once a second at the most."""
        while True:
            await self._moved.wait()
            self._moved.clear()
            if self._bookmark is not None and self._safe is not None:
                try:
                    await _to_its_end(asyncio.to_thread(self._bookmark.write, self._safe))
                except OSError as error:
                    log.error("%s: the bookmark cannot be written: %s", self._name, error)
                    self._moved.set()
            await asyncio.sleep(BOOKMARK_S)

    def _write_bookmark(self) -> None:
        if self._bookmark is not None and self._safe is not None:
            try:
                self._bookmark.write(self._safe)
            except OSError as error:
                log.error("%s: the bookmark cannot be written: %s", self._name, error)


def _read_on(fd: int, read: Place) -> tuple[bytes, Place | None]:
    """What follows, and the place behind it; None: what was read before is not there any more."""
    data = os.read(fd, READ_BYTES)
    if place_of(fd, read.offset).before != read.before:
        return b"", None
    return data, place_of(fd, read.offset + len(data)) if data else read


def _first_data(fd: int) -> int:
    """A writer that goes on where it was in a file that was cut leaves a hole, which reads as zeros."""
    with suppress(OSError):
        first = os.lseek(fd, 0, os.SEEK_DATA)
        os.lseek(fd, 0, os.SEEK_SET)
        return first
    return 0


def _can_wait() -> None:
    """Nobody is told. But what is not read yet stays in file or pipe: on a disk that fills up it is held, not shed."""


async def _to_its_end(write: Coroutine[None, None, None]) -> None:
    """Also when cancelled: a disk that takes its time must not put an earlier place over the last one."""
    writing = asyncio.ensure_future(write)
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        with suppress(OSError):
            await writing
        raise


@contextmanager
def readable(path: str) -> Iterator[None]:
    """What the operating system refuses of it is the operator's to put right: raised as Refused."""
    try:
        yield
    except OSError as error:
        raise Refused(f"{error.filename or path}: cannot be read: {error.strerror or error}") from None


def _opened_if_there(path: Path) -> int | None:
    """None: it has gone meanwhile."""
    try:
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _mark(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
