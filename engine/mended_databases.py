"""Databases of the data folder that are damaged: put aside as `.bad`, a new one of what can be read in their place.

A start does so by itself, as `sortline fsck --repair` does. Events of the outbox that cannot be read the journal makes
again; so it is refused where the journal has not what that takes (see recovery). Dead letters are kept as far as they
can be read; nothing waits for them.
"""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from engine import letters_salvage, outbox_salvage, sqlite_log
from engine.errors import Newer, Refused
from engine.salvage import in_place, put_all_aside
from engine.sqlite_file import not_whole, only_to_read, open_to_read, tells_damage, version_of

OUTBOX = "outbox.sqlite"
LETTERS = "dead.sqlite"
SALVAGES = {OUTBOX: outbox_salvage.salvage, LETTERS: letters_salvage.salvage}

Opened = TypeVar("Opened")

log = logging.getLogger("sortline.recovery")


def put_in_order(path: Path, what: str) -> Iterator[str]:
    """A damaged one; says what was done, one line each. what: is wrong with it."""
    if path.is_file():
        SALVAGES[path.name](path)
    yield f"{path}: {what}: renamed to {put_all_aside(path)}"
    yield from in_place(path)
    if not path.exists():
        yield f"{path}: nothing of it could be used: a new one is begun"


def finish(data_dir: Path) -> Iterator[str]:
    """What was cut short between putting one aside and putting the new one in its place."""
    for name in SALVAGES:
        yield from in_place(data_dir / name)


def logs_in_order(data_dir: Path) -> Iterator[str]:
    """Before any of them is opened; says what was done, one line each."""
    for name in SALVAGES:
        yield from sqlite_log.put_in_order(data_dir / name)


def opened(path: Path, open_: Callable[[], Opened]) -> Opened:
    """At a start, what is refused put in order first."""
    try:
        if path.is_file() and not os.access(path, os.W_OK):
            # SQLite would open it, and refuse the first commit
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        if path.is_file() and (what := only_to_read(path)):
            raise Refused(what)
        return open_()
    except Newer:
        raise
    except Refused as error:
        if not path.is_file():
            raise
        what = str(error).removeprefix(f"{path}: ").partition(". ")[0]
    for said in put_in_order(path, what):
        log.error("%s", said)
    return open_()


def letters_in_order(path: Path) -> None:
    """At a start, before they are opened."""
    what = flaw(path) if path.is_file() else ""
    for said in put_in_order(path, what) if what else ():
        log.error("%s", said)


def flaw(path: Path) -> str:
    """What is wrong with how a database hangs together; empty: nothing, or it cannot be asked now."""
    try:
        with open_to_read(path) as file:
            version_of(file)
            found = not_whole(file)
    except sqlite3.DatabaseError as error:
        return f"is damaged, or no SQLite file ({error})" if tells_damage(error) else ""
    return f"is damaged: {found}" if found else ""
