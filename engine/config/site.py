"""The site file: what one site connects, by which rules it decides, and where its business events go.

    site = "dc1"
    [engine]            # where data is kept, and the limits of everything that could grow
    [rules]             # the parameters of the rules, by name
    [sources.NAME]      # protocol = "mqtt" | "modbus" | ... (protocols/registry.py), and its settings
    [sinks.NAME]        # kind = "queue" | "redis", and its settings; none: one embedded queue named "queue"
    [[routes]]          # which types go to which queue; none: every type to its own queue, at every sink

A source's table may also say which sources stand behind it (`covers`) and repeat some of the rules' parameters for
them. A source without `protocol` does only that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec

from engine.config.faults import suggest
from engine.config.rules import Rules, SourceRules
from engine.model import BUSINESS

Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64)]
SourceName = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", max_length=128)]
Src = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
MIB = 1024 * 1024


class EngineSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Where the engine keeps its data, and how much of anything it may hold.

    data_dir: folder of journal, outbox and queue, made at the first start; a relative one starts at the working
      directory. One engine a folder.
    intake_records_max, intake_bytes_max: records that drivers have handed over and that are not yet on disk; when
      either is reached, drivers wait (and a broker keeps what it has).
    journal_bytes_max: size of the journal at which the engine waits with a reason instead of filling the disk.
    journal_keep_bytes: how much of the journal stays, to look at and to replay, although snapshots stand for it; half
      of journal_bytes_max where that is less.
    snapshot_every_bytes: how much the journal grows between two snapshots, and up to four times as much where there is
      no quiet moment; a start reads no more than that. A sixteenth of journal_bytes_max where that is less.
    outbox_rows_max: business events that sinks do not have yet; when reached, drivers wait.
    texts_bytes_max: all names that were ever seen (load units, orders, tasks, ...), in bytes.
    samples_max: refused payloads that are kept to look at, per source and cause.
    sample_bytes_max: how much of each is kept.
    """

    data_dir: Annotated[str, msgspec.Meta(min_length=1)] = "data"
    intake_records_max: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 65_536
    intake_bytes_max: Annotated[int, msgspec.Meta(ge=MIB, le=2**34)] = 64 * MIB
    journal_bytes_max: Annotated[int, msgspec.Meta(ge=MIB, le=2**44)] = 16 * 1024 * MIB
    journal_keep_bytes: Annotated[int, msgspec.Meta(ge=0, le=2**44)] = 4 * 1024 * MIB
    snapshot_every_bytes: Annotated[int, msgspec.Meta(ge=64 * 1024, le=2**40)] = 64 * MIB
    outbox_rows_max: Annotated[int, msgspec.Meta(ge=1_000, le=10**9)] = 1_000_000
    texts_bytes_max: Annotated[int, msgspec.Meta(ge=MIB, le=2**34)] = 256 * MIB
    samples_max: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 4
    sample_bytes_max: Annotated[int, msgspec.Meta(ge=64, le=MIB)] = 4_096

    def faults(self) -> Iterator[tuple[str, str]]:
        folder = Path(self.data_dir)
        present = next((parent for parent in (folder, *folder.absolute().parents) if parent.exists()), folder)
        if not present.is_dir():
            yield "data_dir", f"{present} is not a folder"
        elif not os.access(present, os.W_OK | os.X_OK):
            yield "data_dir", f"{present} cannot be written to by this user"


class Route(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Which types of business events go to which queue, at which sinks.

    types: bare types (`pick.confirmed`), or patterns with `*` (`pick.*`).
    queue: the queue's (stream's) name; absent: each type's own default.
    sinks: names of sinks; absent: every sink.

    A type that no route names goes to its default queue at every sink. A type that routes name goes only where they
    say; where several speak of the same type and sink, the first one counts.
    """

    types: Annotated[list[str], msgspec.Meta(min_length=1)]
    queue: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", max_length=128)] | None = None
    sinks: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None

    def matches(self, type_: str) -> bool:
        return any(fnmatchcase(type_, pattern) for pattern in self.types)

    def faults(self) -> Iterator[tuple[str, str]]:
        known = [*BUSINESS, *{type_.partition(".")[0] + ".*" for type_ in BUSINESS}]
        for index, pattern in enumerate(self.types):
            if not any(fnmatchcase(type_, pattern) for type_ in BUSINESS):
                yield f"types[{index}]", f"no business event has the type {pattern}: {suggest(pattern, known)}"
            elif pattern in self.types[:index]:
                yield f"types[{index}]", f"{pattern} stands here twice"


class Source(NamedTuple):
    """`[sources.NAME]`. `covers`: the `src` values, or their beginnings up to a slash, that stand behind it."""

    name: str
    protocol: str | None
    settings: Any
    covers: tuple[str, ...]
    rules: SourceRules


class SinkTable(NamedTuple):
    """`[sinks.NAME]`."""

    name: str
    kind: str
    settings: Any


class Site(NamedTuple):
    """A site file without faults."""

    site: str
    engine: EngineSettings
    rules: Rules
    sources: tuple[Source, ...]
    sinks: tuple[SinkTable, ...]
    routes: tuple[Route, ...]

    def source_rules(self) -> list[tuple[str, dict[str, int]]]:
        """(src or beginning of src, its own parameters), as the core takes them; only sources that have any."""
        return [(src, source.rules.given()) for source in self.sources if source.rules.given() for src in source.covers]

    def routing(self) -> dict[str, dict[str, str]]:
        """type -> sink -> queue, for every type of business event; a sink that does not get a type is not in there."""
        return routing(self.routes, [sink.name for sink in self.sinks])


def routing(routes: tuple[Route, ...], sinks: list[str]) -> dict[str, dict[str, str]]:
    """type -> sink -> queue as `Route` says it."""
    table: dict[str, dict[str, str]] = {}
    for type_, business in BUSINESS.items():
        matching = [route for route in routes if route.matches(type_)] or [Route(types=[type_])]
        for route in reversed(matching):
            for sink in route.sinks or sinks:
                table.setdefault(type_, {})[sink] = route.queue or business.queue
    return table
