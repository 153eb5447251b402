"""What `sortline doctor` found: how bad it is, where, what it means, and what to do."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class Level(Enum):
    """An ERROR loses or doubles something, or stops the engine; a WARNING may on a bad day; a NOTE is worth knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"
    GOOD = "good"


class Finding(NamedTuple):
    """`where`: as in the site file, or a path. `do`: one sentence for the person who has to act; "" for nothing."""

    level: Level
    where: str
    what: str
    do: str = ""


def error(where: str, what: str, do: str) -> Finding:
    return Finding(Level.ERROR, where, what, do)


def warning(where: str, what: str, do: str) -> Finding:
    return Finding(Level.WARNING, where, what, do)


def note(where: str, what: str, do: str = "") -> Finding:
    return Finding(Level.NOTE, where, what, do)


def good(where: str, what: str) -> Finding:
    return Finding(Level.GOOD, where, what)
