"""Recordings: canonical records as NDJSON in files, plain, `.zst` or `.parquet`, or on stdin and stdout (`-`). A data
folder, its journal or a segment of it can be read like one.

Read and written in pieces, so that memory stays flat whatever the size of the recording.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple, Protocol, cast

import zstandard

from engine.disk import DISK
from engine.errors import Refused
from engine.held_rules import held_in
from engine.rule_book import RuleSet
from engine.segment_folder import Kept, kept_in
from ext.ndjson import LINE_BYTES_MAX

CHUNK_BYTES = 1 << 20
ZSTD_PIECE_BYTES = 4096


class Chunk(NamedTuple):
    """Whole lines. `first_line`: the number of the first one, from 1; `done`: how much of the recording is read, 0..1,
    negative where that is not known; `rules`: by which an engine decided on them, where the recording is its journal.
    """

    first_line: int
    data: bytes
    done: float = -1.0
    rules: RuleSet | None = None


class Output(Protocol):
    """A file being written."""

    def write(self, lines: bytes) -> None:
        """Append whole lines, each with its line feed."""

    def flush(self) -> None:
        """Let a reader see everything written so far."""

    def sync(self) -> None:
        """Everything written so far is on disk when this returns."""

    def close(self) -> None: ...


# Reading.


def read(name: str, chunk_bytes: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """The lines of a recording in chunks of about `chunk_bytes`, cut at line ends; `-` is stdin.

    A line that no decoder would take for its length comes shortened, still too long, so that it costs no memory.
    Raises Refused where the file is missing, unreadable or not what its name says.
    """
    try:
        journal = kept_in(Path(name), say)
        if journal is not None:
            yield from _journal(journal, chunk_bytes)
        elif name.endswith(".parquet"):
            from engine import parquet

            yield from cut(parquet.read(Path(name)))
        else:
            yield from cut(_blocks(name, chunk_bytes))
    except IsADirectoryError as error:
        raise Refused(f"{name}: cannot be read: {error.strerror}, and there is no journal in it") from None
    except OSError as error:
        raise Refused(f"{name}: cannot be read: {error.strerror or error}") from None
    except zstandard.ZstdError as error:
        raise Refused(f"{name}: not a whole zstd file: {error}") from None


def say(what: str) -> None:
    """To whoever reads a journal: what cannot be read is passed over, and must not be missed."""
    print(f"sortline: {what}", file=sys.stderr)


def _journal(journal: Kept, chunk_bytes: int) -> Iterator[Chunk]:
    """No chunk has records of two rule sets."""
    held = held_in(journal.folder, say)
    line = 1
    for rules, group in groupby(journal.payloads, lambda at: held(at[0])):
        for chunk in cut((payload, -1.0) for payload in joined((payload for _, payload in group), chunk_bytes)):
            yield chunk._replace(first_line=line, rules=rules)
            line += chunk.data.count(b"\n")


def joined(payloads: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The same bytes in pieces of at least `size`, but for the last."""
    held: list[bytes] = []
    length = 0
    for payload in payloads:
        held.append(payload)
        length += len(payload)
        if length >= size:
            yield b"".join(held)
            held, length = [], 0
    yield b"".join(held)


def _blocks(name: str, chunk_bytes: int) -> Iterator[tuple[bytes, float]]:
    """Pieces of the recording's text, cut anywhere."""
    if name == "-":
        # `read1` hands over what a pipe has now: a live feed is not held back until a whole chunk is there
        stdin = cast(io.BufferedReader, sys.stdin.buffer)
        while block := stdin.read1(chunk_bytes):
            yield block, -1.0
        return
    with Path(name).open("rb") as file:
        bytes_total = os.fstat(file.fileno()).st_size
        pieces = (
            _decompressed(file, chunk_bytes) if name.endswith(".zst") else iter(lambda: file.read(chunk_bytes), b"")
        )
        for block in pieces:
            yield block, file.tell() / bytes_total if bytes_total else -1.0


def _decompressed(file: IO[bytes], chunk_bytes: int) -> Iterator[bytes]:
    """The text of all frames. Raises ZstdError where one is broken, or has no end: zstandard's own reader takes a file
    that was cut off for a whole one."""
    frame = None
    text = bytearray()
    frames = 0
    # little at a time: what a piece of noughts unpacks to is thirty thousand times as long
    while packed := file.read(ZSTD_PIECE_BYTES):
        while packed:
            if frame is None:
                frame = zstandard.ZstdDecompressor().decompressobj()
                frames += 1
            text += frame.decompress(packed)
            packed = frame.unused_data if frame.eof else b""
            if frame.eof:
                frame = None
        if len(text) >= chunk_bytes:
            yield bytes(text)
            text.clear()
    yield bytes(text)
    if not frames:
        raise zstandard.ZstdError("it is empty")
    if frame is not None:
        raise zstandard.ZstdError(
            "it ends in the middle: cut off, or still being written; `zstd -dc` gives what is there"
        )


def cut(blocks: Iterator[tuple[bytes, float]]) -> Iterator[Chunk]:
    """Pieces cut anywhere to chunks cut at line ends."""
    line = 1
    begun = bytearray()  # of a line whose end has not come yet
    done = -1.0
    for block, done in blocks:
        end = block.rfind(b"\n") + 1
        if end:
            data = bytes(begun) + block[:end]
            yield Chunk(line, data, done)
            line += data.count(b"\n")
            begun = bytearray(block[end:])
        else:
            begun += block
        del begun[LINE_BYTES_MAX + 2 :]
    if begun:
        yield Chunk(line, bytes(begun), done)


# Writing.


class Plain:
    """NDJSON as it is; `-` is stdout."""

    def __init__(self, name: str, *, keep: bool = False) -> None:
        self.file: IO[bytes] = sys.stdout.buffer if name == "-" else create(name, keep)

    def write(self, lines: bytes) -> None:
        self.file.write(lines)

    def flush(self) -> None:
        self.file.flush()

    def sync(self) -> None:
        self.file.flush()
        if self.file is not sys.stdout.buffer:
            os.fsync(self.file.fileno())

    def close(self) -> None:
        self.file.flush()
        if self.file is not sys.stdout.buffer:
            self.file.close()


class Compressed:
    """NDJSON in one zstd frame; what was flushed can be read while the file is still being written."""

    def __init__(self, name: str, *, keep: bool = False) -> None:
        self.file = create(name, keep)
        self.stream = zstandard.ZstdCompressor(level=3).stream_writer(self.file, closefd=False)

    def write(self, lines: bytes) -> None:
        self.stream.write(lines)

    def flush(self) -> None:
        self.stream.flush(zstandard.FLUSH_BLOCK)
        self.file.flush()

    def sync(self) -> None:
        self.flush()
        os.fsync(self.file.fileno())

    def close(self) -> None:
        self.stream.close()  # type: ignore[no-untyped-call]
        self.file.close()


class Columns:
    """Parquet. A Parquet file is whole only when it is closed, so the lines go to NDJSON beside it (`NAME.part`) and
    are turned into columns at the end; after a crash that file is what there is."""

    def __init__(self, name: str, *, keep: bool = False) -> None:
        create(name, keep).close()
        self.name = name
        self.part = f"{name}.part"
        self.lines = Plain(self.part)
        self.write, self.flush, self.sync = self.lines.write, self.lines.flush, self.lines.sync

    def close(self) -> None:
        from engine import parquet

        self.lines.close()
        parquet.write(Path(self.name), (chunk.data for chunk in read(self.part)))
        Path(self.part).unlink()


class Writer:
    """A recording being written, as a context: the format goes by the name's ending.

    `keep`: refuse a file that is there already. Raises Refused where the file cannot be created.
    """

    def __init__(self, name: str, *, keep: bool = False) -> None:
        format_ = Columns if name.endswith(".parquet") else Compressed if name.endswith(".zst") else Plain
        self.file: Output = format_(name, keep=keep)

    def __enter__(self) -> Output:
        return self.file

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.file.close()


@contextlib.contextmanager
def new_file(name: str, mode: int = 0o666, *, replaces: bool = False) -> Iterator[str]:
    """Where to write what is to be `name`: it gets its name once it is whole and on disk. What a command that was
    killed leaves is taken away by the next. `-` stays what it is, and so does what is no file (a pipe, /dev/null).
    Raises Refused where there is such a file already, unless it is to be replaced, or another process is writing one.
    """
    if name == "-" or (replaces and Path(name).exists() and not Path(name).is_file()):
        yield name
        return
    path = Path(name).resolve() if replaces else Path(name)  # not the link goes, but what it leads to
    if path.exists() and not replaces:
        raise Refused(f"{name}: is there already; choose another name")
    part = path.with_name(f"{path.stem}.part{path.suffix}")  # the ending says the format
    lock = _made(name, part, mode)
    try:
        if path.exists() and not replaces:
            raise Refused(f"{name}: is there already; choose another name")
        yield str(part)
        file = DISK.open_to_read(part)
        DISK.sync(file)
        DISK.close(file)
        DISK.rename(part, path)
        DISK.sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
    finally:
        os.close(lock)


def _made(name: str, part: Path, mode: int) -> int:
    """`part`, new and empty, locked: the end of the process lets it go, whatever ends it. One that a command which was
    killed has left goes; two commands with one name would write into one file."""
    while True:
        try:
            new = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            if _locked(new, part):
                return new
        except FileExistsError:
            _take_away(name, part)
            continue
        except OSError as error:
            raise Refused(f"{name}: cannot be written: {error.strerror}") from None
        os.close(new)  # another command has just taken it for one that was left


def _take_away(name: str, part: Path) -> None:
    try:
        left = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if not _locked(left, part):
                raise Refused(f"{name}: another process is writing it")
            part.unlink()
        finally:
            os.close(left)
    except FileNotFoundError:
        return
    except OSError as error:
        raise Refused(f"{name}: cannot be written: {part}: {error.strerror}") from None


def _locked(file: int, path: Path) -> bool:
    with contextlib.suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file), path.stat())  # it may have its name by now, or be gone
    return False


def create(name: str, keep: bool) -> IO[bytes]:
    try:
        return Path(name).open("xb" if keep else "wb")
    except FileExistsError:
        raise Refused(f"{name}: is there already; choose another name") from None
    except OSError as error:
        raise Refused(f"{name}: cannot be written: {error.strerror}") from None
