"""Whether the file is there, and may be read. A pipe is not opened: its writer would take us for its reader."""

from __future__ import annotations

import os
import stat

from engine.places import place
from protocols.file_lines.settings import STDIN, Settings
from protocols.trial import DOWN, NOT_TRIED, REACHED, Trial


async def trial(settings: Settings) -> Trial:
    if settings.path == STDIN:
        return Trial(NOT_TRIED, "standard input is the engine's own")
    found = place(settings.path)
    if not found.mode:
        return Trial(DOWN, found.why or f"there is no file {settings.path} yet")
    if not os.access(settings.path, os.R_OK):
        return Trial(DOWN, f"{settings.path}: cannot be read by this user")
    what = "a pipe, which was not opened" if stat.S_ISFIFO(found.mode) else f"{found.bytes} bytes"
    return Trial(REACHED, f"{settings.path}: {what}; its lines are left to the engine")
