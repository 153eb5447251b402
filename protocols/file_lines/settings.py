"""The site file's `[sources.NAME]` with `protocol = "file_lines"`: a file, a pipe or standard input that lines are
written to.

    [sources.legacy]
    protocol = "file_lines"
    path = "/var/spool/wcs/events.ndjson"
    bookmark = "/var/lib/sortline/legacy.bookmark"
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from engine.places import place
from protocols.mapping.faults import record_faults
from protocols.mapping.settings import Constants, RecordSettings, When

STDIN = "-"

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
File = Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)]


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One writer of lines.

    path: the file, which may not be there yet, and may be replaced by a new one (rotated) or cut to nothing; or a named
      pipe; or `"-"`: standard input.
    format: `"canonical"` (default): a line is a canonical record, or with `each` a list of them. `"json"`: `record`
      says what it means.
    record: canonical field -> where it comes from (the mapping language, shared by all protocols).
    constants: canonical fields for records that lack them: `constants = { src = "dc1/wcs/main" }`.
    when: only lines with these values are meant. Others are passed over in silence.
    each: path of a list in the line; each element is a record, with its place in the list as `sub`.
    begin: where to begin with a file without a bookmark: `"beginning"` (default) or `"end"`.
    bookmark: a file of ours that keeps how far the lines are safe on our disk, so that a restart goes on there. It is
      written once a second: what was read again is known by its number (`seq`), or by its content and time. Without it
      each start begins anew.
    scope: prefixes of `src` that go blind when a pipe or standard input ends.
    line_bytes_max: a longer line does not fit, and is never held in memory.
    batch_lines: at most so many are handed to the engine at once.
    poll_ms: how often to look whether the file has grown.
    """

    path: File
    format: Literal["canonical", "json"] = "canonical"
    record: RecordSettings = {}
    constants: Constants = {}
    when: When = {}
    each: Text | None = None
    begin: Literal["beginning", "end"] = "beginning"
    bookmark: File | None = None
    scope: list[Annotated[str, msgspec.Meta(min_length=1, max_length=128)]] = []
    line_bytes_max: Annotated[int, msgspec.Meta(ge=64, le=16 << 20)] = 262_144
    batch_lines: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 500
    poll_ms: Annotated[int, msgspec.Meta(ge=1, le=60_000)] = 200

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yields (path inside the source's table, what is wrong and what to do) for what the types cannot say."""
        if self.path == STDIN and self.bookmark is not None:
            yield "bookmark", "standard input cannot be read again: leave it out"
        found = place(self.path)
        if found.why or found.is_folder:
            yield "path", found.why or f"{self.path} is a folder"
        if self.bookmark is not None:
            folder = Path(self.bookmark).absolute().parent
            why = place(self.bookmark).why or place(folder).why
            if why or not place(folder).is_folder:
                yield "bookmark", why or f"there is no folder {folder}"
            elif Path(self.bookmark).resolve() == Path(self.path).resolve():
                yield "bookmark", "is the file that is read: it would be written over"
        if self.format == "canonical" and self.record:
            yield "record", 'has no meaning with format = "canonical": the line says it all'
        for where, fault in record_faults(self.record, constants=self.constants, when=self.when, each=self.each):
            # a canonical line brings its own kind and src
            if self.format != "canonical" or where != "record":
                yield where, fault

    def alone(self) -> Iterator[tuple[str, str]]:
        """Yields (key, what no other source may have)."""
        if self.bookmark is not None:
            yield "bookmark", f"the file {Path(self.bookmark).absolute()}"
