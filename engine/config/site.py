"""The site file: what one site connects, by which rules it decides, and where its business events go.

    site = "dc1"
    [engine]            # where data is kept, and the limits of everything that could grow
    [rules]             # the parameters of the rules, by name
    [sources.NAME]      # protocol = "mqtt" | "modbus" | ... (protocols/registry.py), and its settings
    [sinks.NAME]        # kind = "queue" | "redis" | "http", and its settings; none: one embedded queue named "queue"
    [sinks.NAME.delivery]  # how fast, in which order of queues, and what follows a dead letter
    [dead_letters]      # how much of what cannot go on is kept
    [[routes]]          # which types go to which queue; none: every type to its own queue, at every sink

A source's table may also say which sources stand behind it (`covers`) and repeat some of the rules' parameters for
them. A source without `protocol` does only that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from engine.config.faults import suggest
from engine.config.rules import Rules, SourceRules
from engine.dead_letters import Settings as DeadLetters
from engine.disk import DISK
from engine.model import BUSINESS
from engine.places import place
from engine.throttle import Settings as Delivery


def _name(marks: str, length: int) -> msgspec.Meta:
    """A name that begins with a letter or digit, and may have these marks after it."""
    return msgspec.Meta(
        pattern=rf"^[A-Za-z0-9][A-Za-z0-9{marks}]*$",
        max_length=length,
        description=f"a name of letters, digits and {' '.join(marks)} that begins with a letter or digit",
    )


Name = Annotated[str, _name("._-", 64)]
SourceName = Annotated[str, _name("._/-", 128)]
Src = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
MIB = 1024 * 1024
DAY_US = 86_400 * 1_000_000


class OverloadSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What happens when so much of the journal's room, or of the outbox, is used: `run` nothing; `trim` the journal
    keeps only what a start needs; `shed` and nothing is taken any more that nobody acknowledges (QoS 0, plain polling),
    which is counted and told as a gap; `wait` and nobody is acknowledged any more. What was acknowledged is never
    dropped. Each ends by itself when 5 % less are used.
    """

    at_70_pct: Literal["run", "trim", "shed", "wait"] = "trim"
    at_90_pct: Literal["run", "trim", "shed", "wait"] = "shed"
    at_100_pct: Literal["wait"] = "wait"

    def steps(self) -> tuple[tuple[int, str], ...]:
        return (70, self.at_70_pct), (90, self.at_90_pct), (100, self.at_100_pct)

    def faults(self) -> Iterator[tuple[str, str]]:
        order = ("run", "trim", "shed", "wait")
        if order.index(self.at_90_pct) < order.index(self.at_70_pct):
            yield "at_90_pct", f'must be no less than at_70_pct, which is "{self.at_70_pct}"'


class EngineSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Where the engine keeps its data, and how much of anything it may hold.

    data_dir: folder of journal, outbox and queue, made at the first start; a relative one starts at the working
      directory. One engine a folder.
    intake_records_max, intake_bytes_max: records that drivers have handed over and that are not yet decided on; when
      either is reached, drivers wait (and a broker keeps what it has).
    journal_bytes_max: size of the journal at which the engine waits with a reason instead of filling the disk.
    journal_keep_bytes: how much of the journal stays, packed, to look at and to replay, although snapshots stand for
      it; half of journal_bytes_max where that is less.
    journal_keep_days: what is older goes, also where there is room; 0: it stays as long as there is room.
    journal_commit_ms: between two syncs of the journal it waits so long for more records, unless many are there.
    disk_reserve_bytes: so much of the data folder's device (a sixteenth of it where that is less) is never taken by the
      journal, so that the outbox, snapshots and queues find room.
    snapshot_every_bytes: how much the journal grows between two snapshots, and up to four times as much where there is
      no quiet moment; a start reads no more than that. A sixteenth of journal_bytes_max where that is less.
    outbox_rows_max: business events that sinks do not have yet; when reached, drivers wait.
    texts_bytes_max: all names that were ever seen (load units, orders, tasks, ...), in bytes.
    samples_max: refused payloads that are kept to look at, per source and cause.
    sample_bytes_max: how much of each is kept.
    overload: what happens while the disk fills up.
    """

    data_dir: Annotated[str, msgspec.Meta(min_length=1)] = "data"
    intake_records_max: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 65_536
    intake_bytes_max: Annotated[int, msgspec.Meta(ge=MIB, le=2**34)] = 64 * MIB
    journal_bytes_max: Annotated[int, msgspec.Meta(ge=MIB, le=2**44)] = 16 * 1024 * MIB
    journal_keep_bytes: Annotated[int, msgspec.Meta(ge=0, le=2**44)] = 4 * 1024 * MIB
    journal_keep_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] = 0
    journal_commit_ms: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 2
    disk_reserve_bytes: Annotated[int, msgspec.Meta(ge=0, le=2**40)] = 64 * MIB
    snapshot_every_bytes: Annotated[int, msgspec.Meta(ge=64 * 1024, le=2**40)] = 64 * MIB
    outbox_rows_max: Annotated[int, msgspec.Meta(ge=1_000, le=10**9)] = 1_000_000
    texts_bytes_max: Annotated[int, msgspec.Meta(ge=MIB, le=2**34)] = 256 * MIB
    samples_max: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 4
    sample_bytes_max: Annotated[int, msgspec.Meta(ge=64, le=MIB)] = 4_096
    overload: OverloadSettings = OverloadSettings()

    @property
    def journal_keep_us(self) -> int:
        return self.journal_keep_days * DAY_US

    def faults(self) -> Iterator[tuple[str, str]]:
        folder = Path(self.data_dir)
        present = next(at for at in (folder, *folder.absolute().parents) if place(at).mode or place(at).why)
        if place(present).why:
            yield "data_dir", place(present).why
        elif not place(present).is_folder:
            yield "data_dir", f"{present} is not a folder"
        elif not os.access(present, os.W_OK | os.X_OK) and not DISK.only_read(present):
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
    queue: Annotated[str, _name("._:-", 128)] | None = None
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
    delivery: Delivery


class Site(NamedTuple):
    """A site file without faults."""

    site: str
    engine: EngineSettings
    rules: Rules
    sources: tuple[Source, ...]
    sinks: tuple[SinkTable, ...]
    routes: tuple[Route, ...]
    dead_letters: DeadLetters
    digest: str = ""  # of the file's content, so that what was made by it can be told later

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
