"""What the box itself gives the engine: a disk that keeps what it was told to, room, a clock, files, rights.

Nothing is changed but a file of a few kilobytes in the data folder, which is taken away again.
"""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import sqlite3
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from engine.clock import now_us
from engine.findings import Finding, error, good, note, warning

PROBE = ".doctor"
FSYNCS = 20
FSYNC_S_SLOW = 0.05
FSYNC_S_IMPOSSIBLE = 30e-6  # not even memory on a bus answers faster
FREE_PART_MIN = 0.05
GIB = 1024**3
FILES_MIN = 1_024
EARLIEST_US = 1_735_689_600_000_000  # 2025: no box has a right to an older clock
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
SQLITE_GOOD = (3, 51, 3)

# statfs names, as /proc/mounts has them: what does not keep its promises about locks and fsync, or keeps nothing
REMOTE = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "fuse.sshfs", "fuse.glusterfs", "afs"}
FORGETFUL = {"tmpfs", "ramfs", "devtmpfs"}
WEAK = {"vfat", "exfat", "msdos", "ntfs", "ntfs3", "fuseblk"}


def box_findings(data_dir: Path, needs_bytes: int) -> Iterator[Finding]:
    """needs_bytes: what the caps of the site file allow the engine to take."""
    yield from _folder(data_dir, needs_bytes)
    yield from _clock()
    yield from _files()
    yield from _user()
    yield from _sqlite()


def _folder(data_dir: Path, needs_bytes: int) -> Iterator[Finding]:
    if not data_dir.is_dir():
        yield note("engine.data_dir", f"{data_dir} is not there yet: the first start makes it")
        data_dir = next(parent for parent in data_dir.absolute().parents if parent.is_dir())
    yield from _file_system(data_dir)
    yield from _room(data_dir, needs_bytes)
    try:
        took_s = _fsync_s(data_dir)
    except OSError as failure:
        yield error(
            "engine.data_dir", f"{data_dir}: {failure.strerror}", "give the engine's user the right to write there"
        )
        return
    median = statistics.median(took_s)
    if median < FSYNC_S_IMPOSSIBLE:
        yield warning(
            "engine.data_dir",
            f"an fsync takes {median * 1e6:.0f} us: sooner than any disk is done, so something pretends",
            "put the data folder on a disk that keeps what it says (no memory file system, no cache without a battery)",
        )
    elif median > FSYNC_S_SLOW:
        yield warning(
            "engine.data_dir",
            f"an fsync takes {median * 1e3:.0f} ms, the slowest of {FSYNCS} {max(took_s) * 1e3:.0f} ms: records wait",
            "use a faster disk (an SSD with power-loss protection), or take other writers off this one",
        )
    else:
        yield good("engine.data_dir", f"fsync: {median * 1e3:.2f} ms, slowest {max(took_s) * 1e3:.2f} ms")


def _fsync_s(folder: Path) -> list[float]:
    path = folder / f"{PROBE}.{os.getpid()}"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        took = []
        for n in range(FSYNCS):
            os.pwrite(file, os.urandom(4_096), n * 4_096)
            before = time.perf_counter()
            os.fdatasync(file)
            took.append(time.perf_counter() - before)
        return took
    finally:
        os.close(file)
        path.unlink()


def _file_system(folder: Path) -> Iterator[Finding]:
    kind = file_system(folder)
    if kind in REMOTE:
        yield error(
            "engine.data_dir",
            f"{folder} is on a network file system ({kind}): its locks and its fsync cannot be relied on",
            "put the data folder on a local disk",
        )
    elif kind in FORGETFUL:
        yield error(
            "engine.data_dir", f"{folder} is in memory ({kind}): a power cut takes all of it", "put it on a disk"
        )
    elif kind in WEAK:
        yield warning(
            "engine.data_dir",
            f"{folder} is on {kind}, which has no journal",
            "use ext4, xfs or btrfs for the data folder",
        )
    else:
        yield good("engine.data_dir", f"file system: {kind or 'unknown'}")


def file_system(folder: Path) -> str:
    """The type of the file system that holds the folder; "" if it cannot be told."""
    try:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return ""
    place = folder.resolve()
    found, depth = "", -1
    for line in lines:
        # proc(5): id parent major:minor root mount-point options [fields ...] - type source options
        fields, _, rest = line.partition(" - ")
        mount = Path(fields.split()[4].replace("\\040", " "))
        if place.is_relative_to(mount) and len(mount.parts) >= depth:
            found, depth = rest.split()[0], len(mount.parts)
    return found


def _room(folder: Path, needs_bytes: int) -> Iterator[Finding]:
    usage = shutil.disk_usage(folder)
    taken = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    still_bytes = max(0, needs_bytes - taken)
    text = f"{usage.free / GIB:.1f} GiB of {usage.total / GIB:.1f} are free"
    if usage.free < usage.total * FREE_PART_MIN:
        yield error(
            "engine.data_dir", f"{text}: sources will soon be held back", "make room on this disk, or use another"
        )
    elif usage.free < still_bytes:
        yield warning(
            "engine.data_dir",
            f"{text}, and the caps of [engine] allow {still_bytes / GIB:.1f} GiB more",
            "make room, or lower journal_bytes_max, outbox_rows_max and dead_letters.bytes_max",
        )
    else:
        yield good("engine.data_dir", text)


def _clock() -> Iterator[Finding]:
    if now_us() < EARLIEST_US:
        yield error("clock", "the clock is years behind: every record would be stamped with it", "set it, and use NTP")
        return
    state = _clock_state()
    if state == TIME_ERROR:
        yield warning(
            "clock", "nobody sets this clock (NTP is off, or reaches no server)", "start chrony or systemd-timesyncd"
        )
    elif state >= 0:
        yield good("clock", "synchronised")


def _clock_state() -> int:
    """adjtimex(2) with nothing to change: the clock's state, or -1 where it cannot be asked."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "adjtimex"):
        return -1
    return int(library.adjtimex(ctypes.create_string_buffer(512)))  # modes = 0: only reads


def _files() -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FILES_MIN:
        yield warning(
            "files",
            f"a process may have {soft} files open here (at most {hard})",
            f"allow {FILES_MIN} or more: LimitNOFILE= in the service, `ulimit -n` in a shell",
        )
    else:
        yield good("files", f"a process may have {soft} files open")


def _user() -> Iterator[Finding]:
    if os.geteuid() == 0:
        yield warning(
            "user", "this is root: what breaks in has everything", "run as a user of its own: deploy/sortline.service"
        )


def _sqlite() -> Iterator[Finding]:
    version = sqlite3.sqlite_version_info
    if version < SQLITE_GOOD:
        wanted = ".".join(map(str, SQLITE_GOOD))
        yield note("sqlite", f"version {sqlite3.sqlite_version}; {wanted} has a fix for a rare damage of WAL files")
    else:
        yield good("sqlite", f"version {sqlite3.sqlite_version}")
