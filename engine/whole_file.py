"""Files that are there whole or not at all, whenever the machine stops."""

from __future__ import annotations

import os
from pathlib import Path

NEW = ".new"


def write_whole(path: Path, content: bytes) -> None:
    """`path` has `content`, durably, when this returns; until then it is what it was. What a crash leaves is `.new`."""
    new = path.with_name(path.name + NEW)
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_folder(path.parent)


def put_aside(path: Path) -> Path:
    """A file that cannot be used is kept as evidence, under a name that nothing reads."""
    aside = path.with_name(path.name + ".bad")
    path.replace(aside)
    sync_folder(path.parent)
    return aside


def sync_folder(folder: Path) -> None:
    """The names in it are on disk: a file that was made, renamed or taken away stays so."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
