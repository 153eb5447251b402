"""SQLite files that must survive a power cut: WAL, every commit synced, and a version that a newer program raises.

The version stands twice in a file, as `user_version` and in `application_id`: one flipped bit of it, which would make a
newer program's file of it, is known by the other.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from engine.disk import DISK, MODE
from engine.errors import Newer, Refused
from engine.sqlite_log import LOG, newest_page
from engine.whole_file import put_aside, read_whole

BESIDE = ("", LOG, "-shm")  # the files of a database, by what follows its name
BUSY_S_MAX = 10.0
LOG_BYTES_MAX = 4 * 1024 * 1024
MAP_BYTES = 32 * 1024  # of a `-shm`, as long as the log is no longer than that by far
MAP_ROOM_BYTES = MAP_BYTES + 8 * 1024  # and what the file system writes down about it
DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH})
VERSIONS_MAX = 99  # what says more is damage, and no newer program
WITNESS = 0x534C0000  # the upper half of application_id; the lower one is the version, twice
MAGIC = b"SQLite format 3\0"
HEAD_BYTES = 100
VERSIONS_AT = (60, 68)  # user_version and application_id, https://sqlite.org/fileformat2.html#the_database_header
FORMAT_AT, FORMATS = 18, b"\x02"
PASSING = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

log = logging.getLogger("sortline.recovery")


class _File(sqlite3.Connection):
    """What SQLite says of a damaged file may have bytes of it that are no text: then Python has none of its errors."""

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        try:
            return super().execute(*arguments)
        except UnicodeDecodeError as error:
            raise _damage(error) from error

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        try:
            return super().executemany(*arguments)
        except UnicodeDecodeError as error:
            raise _damage(error) from error


def _damage(error: UnicodeDecodeError) -> sqlite3.DatabaseError:
    return sqlite3.DatabaseError(bytes(error.object).decode("utf-8", "replace"))


def open_file(
    path: Path,
    schema: Sequence[str],
    version: int,
    mend: str,
    upgrades: Mapping[int, Sequence[str]] | None = None,
    functions: Mapping[str, Callable[..., int]] | None = None,
) -> sqlite3.Connection:
    """A connection in autocommit mode that any thread may use, one at a time. `schema` is run in a file that is new.

    upgrades: version -> the statements that make the next one of it; all that are needed are run at once. functions:
    what these and `schema` may call, by name. mend: what the operator can do about a damaged file, for the message.
    Raises Refused for a file that is damaged, is something else, or was written by a newer version;
    sqlite3.OperationalError where it cannot be opened.
    """
    if not path.parent.is_dir():
        DISK.make_folder(path.parent)
    with damage_refused(path, mend):
        try:
            return _opened(path, schema, version, upgrades or {}, functions or {})
        except sqlite3.OperationalError as error:
            error.args = (f"{path}: {error}",)
            raise


def open_to_look(path: Path, version: int, mend: str) -> sqlite3.Connection:
    """As `open_file`, but nothing of what the file holds can be changed, an earlier version stays one, and there has to
    be a file."""
    with damage_refused(path, mend):
        file = _read_only(path)
        try:
            found = version_of(file)
            if found > version:
                raise Newer(path, f"is of version {found}, this program reads {version}")
        except BaseException:
            file.close()
            raise
        return file


def _read_only(path: Path) -> sqlite3.Connection:
    return _connected(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _connected(place: str | Path, *, uri: bool = False) -> sqlite3.Connection:
    file = sqlite3.connect(
        place, uri=uri, timeout=BUSY_S_MAX, isolation_level=None, check_same_thread=False, factory=_File
    )
    file.text_factory = partial(str, encoding="utf-8", errors="replace")  # what is damaged can be looked at, too
    return file


def _opened(
    path: Path,
    schema: Sequence[str],
    version: int,
    upgrades: Mapping[int, Sequence[str]],
    functions: Mapping[str, Callable[..., int]],
) -> sqlite3.Connection:
    _folders_aside(path)
    _look_for_room(path)
    _create(path)
    file = _connected(path)
    try:
        for name, function in functions.items():
            file.create_function(name, -1, function)
        file.execute("PRAGMA journal_mode = WAL")
        _reserve_map(path)
        file.execute("PRAGMA wal_autocheckpoint = 0")  # see log_is_long
        file.execute("PRAGMA synchronous = FULL")
        # some distributions have it on: then a row that goes is written once more, as noughts
        file.execute("PRAGMA secure_delete = OFF")
        with transaction(file):
            found = version_of(file)
            if found > version:
                raise Newer(path, f"is of version {found}, this program reads {version}")
            if found == 0:
                for statement in schema:
                    file.execute(statement)
            for number in range(found, version) if found else ():
                for statement in upgrades[number]:
                    file.execute(statement)
            if found != version:
                _write_version(file, version)
        if lacking := _lacking(file, schema):
            raise sqlite3.DatabaseError(f"it has no {lacking}")
        if _pragma(file, "user_version") != version or _pragma(file, "application_id") != _witness(version):
            _put_version_right(file, path, version)
    except BaseException:
        file.close()
        raise
    return file


def _folders_aside(path: Path) -> None:
    """A folder in the place of what SQLite keeps beside the file is no more than if nothing stood there."""
    for beside in (path.with_name(path.name + suffix) for suffix in BESIDE if suffix):
        if beside.is_dir():
            log.error("%s: is a folder: renamed to %s", beside, put_aside(beside).name)


def _create(path: Path) -> None:
    """With the rights of our other files: SQLite would open it to everybody. What it puts beside it gets the same. One
    that is there is not touched: to close it would take the locks away that another connection of ours has."""
    with contextlib.suppress(OSError):  # SQLite will say it
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE))


def _look_for_room(path: Path) -> None:
    """SQLite begins `-shm` anew, and maps it after it has written one byte to each page of it. Where a block is smaller
    than a page the others are holes, and on a full disk the first touch of one ends the process by SIGBUS."""
    device = os.statvfs(path.parent)
    if device.f_bsize < mmap.PAGESIZE and device.f_bavail * device.f_frsize < MAP_ROOM_BYTES:
        raise _full()


def _reserve_map(path: Path) -> None:
    """No holes in `-shm` from here on. By SQLite's own descriptor: to close any other takes its locks away."""
    if os.statvfs(path.parent).f_bsize >= mmap.PAGESIZE:
        return
    name = f"{path.resolve()}-shm"
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # of the listing itself
            if str(entry.readlink()) == name:
                try:
                    DISK.reserve(int(entry.name), MAP_BYTES)
                except OSError as error:
                    raise _full() from error


def _full() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error


@contextmanager
def damage_refused(path: Path, mend: str) -> Iterator[None]:
    """An error that says that the file's content is not what it should be is raised as Refused."""
    try:
        yield
    except sqlite3.Error as error:
        if tells_damage(error):
            raise Refused(f"{path}: is damaged, or no SQLite file ({error}). {mend}") from error
        raise


def tells_damage(error: sqlite3.Error) -> bool:
    """A text that is no UTF-8 has no code: Python finds it, not SQLite."""
    return isinstance(error, sqlite3.DatabaseError) and _code_of(error) in DAMAGED


def version_of(file: sqlite3.Connection) -> int:
    """0: it is new. Raises sqlite3.DatabaseError for what no program has written."""
    found = _version_said(file)
    if not 0 <= found <= VERSIONS_MAX:
        raise sqlite3.DatabaseError(f"its version is {found}")
    return found


def is_newer(file: sqlite3.Connection, version: int) -> bool:
    """Whether a file, damaged or not, is of a later version than this one."""
    return version < _version_said(file) <= VERSIONS_MAX


def newer_version(path: Path, ours: int) -> int:
    """The version of a file of a newer program, as its bytes say, and those of its write-ahead log; 0: it is none. Not
    by SQLite, which would put files beside it. Raises OSError where there is no file. Not while this process has a
    connection to it: to close any file of it takes the locks of all away."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    with contextlib.suppress(OSError):
        head = newest_page(read_whole(path.with_name(path.name + LOG)), 1)[:HEAD_BYTES] or head
    if len(head) < HEAD_BYTES or not head.startswith(MAGIC):
        return 0
    said = _version_of_both(*(int.from_bytes(head[at : at + 4], "big", signed=True) for at in VERSIONS_AT))
    return said if ours < said <= VERSIONS_MAX else 0


def _version_said(file: sqlite3.Connection) -> int:
    return _version_of_both(_pragma(file, "user_version"), _pragma(file, "application_id"))


def _version_of_both(said: int, witness: int) -> int:
    """A flipped bit of the one is known by the other; files of earlier programs have only one."""
    other = witness & 0xFF
    return other if witness == _witness(other) and (said ^ other).bit_count() == 1 else said


def _pragma(file: sqlite3.Connection, name: str) -> int:
    return int(file.execute(f"PRAGMA {name}").fetchone()[0])


def _witness(version: int) -> int:
    return WITNESS | version << 8 | version


def _write_version(file: sqlite3.Connection, version: int) -> None:
    file.execute(f"PRAGMA user_version = {version}")
    file.execute(f"PRAGMA application_id = {_witness(version)}")


def _lacking(file: sqlite3.Connection, schema: Sequence[str]) -> str:
    """The first column of the schema that the file does not have: SQLite takes a flipped bit in a name for another
    name, and no statement that asks for it would work any more. Empty: it has all."""
    new = sqlite3.connect(":memory:")
    try:
        for statement in schema:
            new.execute(statement)
        for (table,) in new.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            has = _columns(file, table)
            for column in _columns(new, table):
                if column not in has:
                    return f"{table}.{column}"
    finally:
        new.close()
    return ""


def _columns(file: sqlite3.Connection, table: str) -> list[str]:
    """In small letters: to SQLite they are the same."""
    return [name.lower() for (name,) in file.execute("SELECT name FROM pragma_table_info(?)", (table,))]


def _put_version_right(file: sqlite3.Connection, path: Path, version: int) -> None:
    """Where a bit of it has flipped, or an earlier program wrote it once. A full disk does not matter for that."""
    if _pragma(file, "application_id"):
        log.warning("%s: a flipped bit of its version, turned back", path)
    with contextlib.suppress(sqlite3.OperationalError), transaction(file):
        _write_version(file, version)


def only_to_read(path: Path) -> str:
    """Why SQLite would only read a file, as if the disk were to blame; empty: it would not. Not while this process has
    a connection to it: to close any file of it takes the locks of all away."""
    with path.open("rb") as header:
        head = header.read(FORMAT_AT + 1)
    who_writes = head[FORMAT_AT:] if head.startswith(MAGIC) else b""  # what is no database at all SQLite says itself
    return f"is damaged: its format is {who_writes[0]}" if who_writes > FORMATS else ""


def not_whole(file: sqlite3.Connection, what: str = "1") -> str:
    """What SQLite itself finds wrong with the structure of the file, or of one table; empty: nothing. A `quick_check`
    would not ask whether an index leads to its rows: where it does not, the first that is deleted is an error."""
    found = str(file.execute(f"PRAGMA integrity_check({what})").fetchone()[0])
    return "" if found == "ok" else found.removeprefix("*** in database main ***").strip()


def empty_log(file: sqlite3.Connection) -> bool:
    """All commits are in the file itself, and its write-ahead log is empty; where somebody else reads, or there is no
    room, as much of that as can be without waiting, and False."""
    (busy_ms,) = file.execute("PRAGMA busy_timeout").fetchone()
    file.execute("PRAGMA busy_timeout = 0")
    try:
        (busy, *_) = file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy
    except sqlite3.OperationalError as error:
        if not passes(error):
            raise
        return False
    finally:
        file.execute(f"PRAGMA busy_timeout = {busy_ms}")


def log_is_long(path: Path) -> bool:
    """SQLite would by itself leave a log in place of which a part, or all, is in the file already: with a damaged
    frame in it, what stands before that would be put over what is newer. So it is emptied at once, and whole."""
    return log_bytes(path) > LOG_BYTES_MAX


def log_bytes(path: Path) -> int:
    """How long it is."""
    return max(0, DISK.bytes_of(path.with_name(path.name + LOG)))


class ShortLog:
    """Of a database that nothing else can make again: its log is emptied when something stands in it for `stays_s`, so
    that a log whose end is lost takes no more than that with it."""

    def __init__(self, file: sqlite3.Connection, path: Path, stays_s: float) -> None:
        self._file = file
        self._path = path
        self._stays_s = stays_s
        self._emptied_s = time.monotonic()
        self._has_news = False

    def written(self) -> None:
        """After a commit."""
        self._has_news = True
        self.look()

    def look(self) -> None:
        """Every now and then, outside of a transaction."""
        stood_s = time.monotonic() - self._emptied_s
        if self._has_news and (stood_s >= self._stays_s or log_is_long(self._path)):
            self.empty()

    def empty(self) -> bool:
        """False: not now, somebody else reads, or there is no room."""
        self._emptied_s = time.monotonic()
        self._has_news = not empty_log(self._file)
        return not self._has_news


@contextmanager
def open_to_read(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that changes nothing of what the file holds, beside an engine at work too. Raises
    sqlite3.OperationalError where there is no file or it may not be read, other sqlite3.DatabaseErrors for one that is
    damaged."""
    file = _read_only(path)
    try:
        yield file
    finally:
        file.close()


@contextmanager
def open_damaged(path: Path) -> Iterator[sqlite3.Connection]:
    """The same, for what can still be read: of a file whose end is missing SQLite would else give nothing at all."""
    with open_to_read(path) as file:
        file.execute("PRAGMA writable_schema = ON")
        yield file


@contextmanager
def reading(file: sqlite3.Connection) -> Iterator[None]:
    """All that is read inside is of one moment."""
    file.execute("BEGIN")
    try:
        yield
    finally:
        file.execute("COMMIT")


def passes(error: sqlite3.Error) -> bool:
    """Whether the same call may succeed later, and nothing of it was written: no room on the disk, or another process
    holds the file."""
    return _code_of(error) in PASSING


@contextmanager
def transaction(file: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing; the commit is on disk when it returns."""
    file.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if file.in_transaction:
            file.execute("ROLLBACK")
        raise
    file.execute("COMMIT")


def _code_of(error: sqlite3.Error) -> int:
    # the low byte is the primary code; what Python itself finds has none
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
