"""What a writer of lines can lose: see `protocols.checking`."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from engine.findings import Finding, note, warning
from protocols.checking import Reach
from protocols.file_lines.settings import STDIN, Settings


def reach(settings: Settings) -> Reach:
    return Reach()


def findings(where: str, settings: Settings) -> Iterator[Finding]:
    if settings.path == STDIN or _is_pipe(settings.path):
        yield warning(
            where,
            "a pipe cannot be read again: what the engine has in memory when the box dies is lost",
            "let the writer write a file, and name a bookmark",
        )
    elif settings.bookmark is None and settings.begin == "end":
        yield warning(where, "what is written while the engine is away is passed over", "name a bookmark")
    elif settings.bookmark is None:
        yield warning(
            where,
            "each start reads the file from its beginning: a line without `seq` and `t` counts twice then",
            "name a bookmark",
        )
    else:
        yield note(
            where,
            "what is moved to another folder, packed or deleted before the engine has read it is lost",
            "leave what is renamed in its folder, unpacked, for longer than the longest repair takes",
        )


def _is_pipe(path: str) -> bool:
    try:
        return stat.S_ISFIFO(Path(path).stat().st_mode)
    except OSError:
        return False
