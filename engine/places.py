"""Places on this box that somebody has named: what stands there, and in words what the operating system has against it.

`Path.is_file()` and its like raise where a folder on the way may not be entered, or a name is too long.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
MISPLACED = frozenset({errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
SHOWN_MAX = 200


class Place(NamedTuple):
    """mode: of what stands there, 0: nothing does. why: it cannot be told; empty: it can. bytes: of a file."""

    mode: int
    why: str = ""
    bytes: int = 0

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)


def place(path: str | Path) -> Place:
    try:
        found = Path(path).stat()
        return Place(found.st_mode, bytes=found.st_size)
    except (FileNotFoundError, NotADirectoryError):
        return Place(0)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return Place(0, f"{shown(path)}: {why}")


def no_file(path: str | Path) -> str:
    """Why there is no file to read; empty: there is one."""
    found = place(path)
    if found.is_file:
        return "" if os.access(path, os.R_OK) else f"{shown(path)}: cannot be read by this user"
    return found.why or f"there is no file {shown(path)}"


def shown(path: str | Path) -> str:
    """As it may stand in a message."""
    text = str(path)
    return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}..."


def for_the_operator(error: OSError) -> str:
    """What somebody has to put right who is none of the program's makers: rights, or something that stands in a file's
    place. Empty: it is another kind of error."""
    if error.filename is None:  # of a connection
        return ""
    where = shown(os.fsdecode(error.filename))
    if error.errno in FORBIDDEN:
        return (
            f"{where}: {error.strerror}: this user (number {os.geteuid()}) needs the right to it. Run the command as "
            "the engine's user, or give that user what somebody else has put there, as a restore by root does: chown -R"
        )
    if error.errno in MISPLACED:
        return f"{where}: {error.strerror}: something else belongs there. In a data folder sortline fsck --repair helps"
    return ""
