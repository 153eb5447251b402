"""How the engine goes on after a stop: from the newest snapshot, and what the journal holds after it.

    newest snapshot ─► core ◄─ the journal's tail, by the rules that held then ─► outbox passes over what it has
    core ─► snapshot, when the journal has grown ─► older segments of the journal are packed, and the oldest may go

A snapshot stands for a place of the journal, and is only taken when every event that the core told before is in the
outbox. So with any of the last two, the journal after it and the outbox, nothing is missing and nothing is told twice.

Where accepted records are lost (a damaged disk), the core tells fewer events than the outbox has had. The sequence then
goes on behind the last one that was told, and the outbox passes over by their ids what it has.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from engine.clock import Clock
from engine.contracts import Emitted, Outbox
from engine.crashes import DEATHS, PASSED_OVER_MAX, RESTORED, Crashes
from engine.disk import DISK, Disk
from engine.errors import MissingWithLoss, Refused
from engine.journal import BEGINNING, NO_SPACE, Journal, Position
from engine.metrics import Metrics
from engine.passed_over import INSTEAD
from engine.rule_book import NAME as RULES
from engine.rule_book import RuleBook, RuleSet
from engine.slices import NoRoom, Slicer, raised
from engine.snapshots import Snapshot, Snapshots
from ext.snapshot import SnapshotError

REPLAY_BYTES = 1024 * 1024
PROGRESS_S = 5.0
FULL_S = 0.5
FORCED = 4  # at so many times the usual growth a snapshot no longer waits for a quiet moment
MEGABYTE = 1e6
REPORTS_SHOWN = 50

log = logging.getLogger("sortline.recovery")

Build = Callable[[RuleSet], Slicer]
Publish = Callable[[list[Emitted]], Awaitable[None]]
Bury = Callable[[bytes, str], Awaitable[None]]
"""Takes a record that is put aside, and why."""


class Keep(NamedTuple):
    """every_bytes: how much the journal grows between snapshots. bytes_kept, us_kept: how much of the journal stays,
    and for how long, although snapshots stand for it; 0 microseconds: as long as there is room."""

    every_bytes: int
    bytes_kept: int
    us_kept: int = 0


class Recovery:
    """`run` at the start; then `decided` after each group; `keep` when `is_due`, and at a clean stop; `pack` beside it.
    `slicer` is the one that counts now.

    rules: as the site file has them now. build: a new core with new texts, by some rules. data_dir: where snapshots and
    `rules.json` are. limits: what is kept; sizes are held well below the journal's cap. crashes: how the last start
    ended; None: that it came to its end.
    """

    def __init__(
        self,
        rules: RuleSet,
        build: Build,
        journal: Journal,
        outbox: Outbox,
        data_dir: Path,
        metrics: Metrics,
        clock: Clock,
        limits: Keep,
        disk: Disk = DISK,
        crashes: Crashes | None = None,
    ) -> None:
        self.slicer = build(rules)
        self._wanted = rules
        self._rules = rules
        self._build = build
        self._journal = journal
        self._outbox = outbox
        self._snapshots = Snapshots(data_dir / "snapshots", disk)
        self._book = RuleBook(data_dir / RULES, disk)
        self._metrics = metrics
        self._clock = clock
        self._crashes = crashes
        self._every_bytes = min(limits.every_bytes, journal.bytes_max // 16)
        self._keep_bytes = min(limits.bytes_kept, journal.bytes_max // 2)
        self._keep_us = limits.us_kept
        self._at = BEGINNING  # up to where the core has decided, and the outbox has what it told
        self._done = 0  # bytes of the journal that it has decided on since the start
        self._kept_at = 0  # the same when the last snapshot was taken
        self._unwritten = False  # that one could not be written: it is tried again when room is wanted
        self._to_pack = asyncio.Event()
        self._tidying = asyncio.Lock()
        self._bury: Bury | None = None
        self._fits: Callable[[], None] = lambda: None
        self._of_another = False  # there is a snapshot that another version of the program goes on from
        self._proven: bool | None = None  # whether this program can go on from its own snapshots; None: not tried yet

    async def run(self, publish: Publish, bury: Bury | None = None, fits: Callable[[], None] = lambda: None) -> None:
        """Bring the core to the journal's end; every event after the snapshot goes to `publish`, a record on which the
        process has died to `bury`. `fits` is called once it is known from where on, before anything waits. Raises
        Refused for what does not fit together, NoRoom where the table of names is too small."""
        began_s = time.monotonic()
        self._bury, self._fits = bury, fits
        told = await asyncio.to_thread(self._outbox.last_sequence)
        at = await self._restore(told)
        shift = self.slicer.shift
        for change in self._book.changes_from(at):
            await self._replay(self._journal.read(at, change.position), publish, told)
            await self._turn_to(change.rules)
            at = change.position
        await self._replay(self._journal.recover(at), publish, told)
        differed = await self._tell_what_differs(publish)
        if self._crashes:
            self._crashes.over()
        self._say_what_was_found(time.monotonic() - began_s, told)
        self._at, self._done = self._journal.position, self._journal.passed
        if not self._rules.same(self._wanted):
            await self._change_rules()
        elif differed or self.slicer.shift != shift or self._grown() >= self._every_bytes // FORCED:
            self._kept_at = -1
            await self.keep()

    async def _tell_what_differs(self, publish: Publish) -> bool:
        """Where another program had told of these records otherwise: what it told stays, what it should have told goes
        out behind that, and the next revision of each key comes after its last one."""
        found = await asyncio.to_thread(self._outbox.untold)
        if found is None:
            return False
        untold, revisions = found
        here = max(self.slicer.sequence, await asyncio.to_thread(self._outbox.last_sequence))
        await publish([raised(event, here + n - event.sequence) for n, event in enumerate(untold, 1)])
        self.slicer.pass_to(here + len(untold))
        self.slicer.core.go_on_from(revisions)
        log.warning(
            "another version of the program told of these records otherwise: that stays, and %d events that it had not "
            "told are told now",
            len(untold),
        )
        return True

    def _say_what_was_found(self, took_s: float, told: int) -> None:
        """What is damaged, one line each, and the sum. Raises Refused where journal and outbox do not fit together."""
        lost = self._journal.lost_bytes
        if told > self.slicer.sequence:
            # what was decided on had been whole
            lost += self._journal.unfinished_bytes
        for line in self._journal.reports[:REPORTS_SHOWN]:
            (log.error if lost else log.warning)("journal: %s", line)
        if lost:
            log.error("journal: %d bytes of what was accepted are lost; all lines: sortline fsck", lost)
        elif told > self.slicer.sequence:
            raise self._lost(
                f"{self._journal.folder} accounts for {self.slicer.sequence} business events, the outbox for {told}: "
                "they do not belong together. Put the journal back from a copy, or begin with a new data_dir. To go on "
                f"without what is missing: sortline fsck --repair --accept-loss {self._journal.folder.parent}"
            )
        self.slicer.pass_to(told)
        log.info(
            "recovered %d records in %.1f s: the journal has %.1f MB, of which %.1f MB came after the snapshot; "
            "%d events were told before, %d are told now",
            self._metrics.replayed,
            took_s,
            self._journal.bytes / MEGABYTE,
            self._journal.passed / MEGABYTE,
            told,
            self.slicer.sequence,
        )

    def _lost(self, what: str) -> Refused:
        """Where another version of the program may still go on, a person has to say which."""
        return Refused(what) if self._of_another else MissingWithLoss(what)

    def decided(self, position: Position, size: int) -> None:
        """The core has decided on everything before `position`, `size` bytes more than before, and all that it told is
        in the outbox."""
        self._at, self._done = position, self._done + size

    def is_due(self, idle: bool) -> bool:
        """Whether the journal has grown enough for another snapshot. idle: nothing waits."""
        return self._grown() >= self._every_bytes * (1 if idle else FORCED)

    async def keep(self) -> None:
        """A snapshot of the core as it is, which has to be what the journal and the outbox hold; nothing if there is
        one already. Old segments of the journal go."""
        if self._snapshots.has_no_room if self._unwritten else not self._grown():
            return
        self._kept_at = self._done
        self._unwritten = False
        began_s = time.perf_counter()
        try:  # whatever goes wrong here, the journal still has everything: only the next start takes longer
            state = await asyncio.to_thread(self.slicer.snapshot)
            took_us = int((time.perf_counter() - began_s) * 1e6)
            snapshot = Snapshot(self._at, self.slicer.sequence, self._rules, state, self.slicer.shift)
            await asyncio.to_thread(self._outbox.settle)
            size = await asyncio.to_thread(self._snapshots.write, snapshot)
        except OSError as error:
            self._unwritten = True
            log.warning("snapshot: cannot be written: %s", error)
            return
        except Exception as error:
            log.error("snapshot: nobody expected this error", exc_info=error)
            return
        self._metrics.snapshot.taken(self._clock(), len(state), took_us, size)
        log.info("snapshot: %.1f MB in %d ms, %.1f MB on disk", len(state) / MEGABYTE, took_us // 1000, size / MEGABYTE)
        await self._drop(self._keep_bytes)
        self._to_pack.set()

    async def make_room(self) -> bool:
        """The disk is full: a snapshot, and whether old segments went. Not while the core is at work."""
        before = self._journal.bytes
        await self.keep()
        await self.trim(0)
        return self._journal.bytes < before

    async def trim(self, bytes_kept: int) -> None:
        """No more than so much of the journal stays that snapshots stand for."""
        await self._drop(min(bytes_kept, self._keep_bytes))

    async def pack(self) -> None:
        """Packs the segments that snapshots stand for, one at a time, for ever."""
        while True:
            await self._to_pack.wait()
            self._to_pack.clear()
            try:
                while await self._pack_one():
                    pass
            except OSError as error:
                log.warning("journal: a segment cannot be packed: %s", error)

    async def _pack_one(self) -> bool:
        async with self._tidying:
            needed = self._snapshots.oldest_needed
            if needed is None or not await asyncio.to_thread(self._journal.pack_before, needed):
                return False
        self._metrics.journal.bytes = self._journal.bytes
        return True

    def _grown(self) -> int:
        return self._done - self._kept_at

    async def _drop(self, bytes_kept: int) -> None:
        needed = self._snapshots.oldest_needed
        over = self._journal.bytes > bytes_kept or self._keep_us
        if needed is None or not over or not await self._prove():
            return
        since_us = max(0, self._clock() - self._keep_us) if self._keep_us else 0
        async with self._tidying:
            dropped = await asyncio.to_thread(self._journal.drop_before, needed, bytes_kept, since_us)
        self._metrics.journal.bytes = self._journal.bytes
        if dropped:
            log.info("journal: its oldest %.1f MB went, snapshots stand for them", dropped / MEGABYTE)

    async def _prove(self) -> bool:
        """Nothing is dropped for snapshots of which none was ever gone on from: that is tried once, beside the core."""
        if self._proven is None:
            _, snapshot = await asyncio.to_thread(next, self._snapshots.newest_first(), (None, "it is gone"))
            try:
                if isinstance(snapshot, Snapshot):
                    await asyncio.to_thread(self._build(snapshot.rules).restore, snapshot.state, snapshot.sequence, 0)
                self._proven = isinstance(snapshot, Snapshot)
            except (SnapshotError, NoRoom) as error:
                self._proven = False
                log.error("snapshots cannot be gone on from, the journal stays whole: %s", error)
        return self._proven

    async def _restore(self, told: int) -> Position:
        """The core as the newest usable snapshot has it, or as it begins; returns the place in the journal."""
        why: list[str] = []
        found = self._snapshots.newest_first()
        while entry := await asyncio.to_thread(next, found, None):
            path, snapshot = entry
            slicer = snapshot if isinstance(snapshot, str) else await self._restored(path, snapshot, told)
            if isinstance(slicer, str):
                log.warning("snapshot %s cannot be used: %s", path, slicer)
                why.append(f"{path.name}: {slicer}")
                self._of_another |= not isinstance(slicer, Ahead) and self._snapshots.holds(path)
            elif isinstance(snapshot, Snapshot):
                self.slicer = slicer
                self._proven = True
                self._snapshots.trust(snapshot.position)
                await self._trust_older(found, told)
                await self._begin_with(snapshot.rules, snapshot.position)
                return snapshot.position
        self._begins_at_its_beginning(why)
        self._outbox.retell()
        rules = self._book.held_at(BEGINNING) or self._wanted
        self._same_site(rules)
        if not rules.same(self._rules):
            self.slicer = self._build(rules)
        await self._begin_with(rules, BEGINNING)
        return BEGINNING

    async def _trust_older(self, found: Iterator[tuple[Path, Snapshot | str]], told: int) -> None:
        """The snapshot before the newest: where this program could go on from it as well, the journal before it may go
        at once. A disk that filled up before the stop might never have room for another one."""
        while entry := await asyncio.to_thread(next, found, None):
            path, snapshot = entry
            try:
                slicer = snapshot if isinstance(snapshot, str) else await self._restored(path, snapshot, told)
            except NoRoom as error:
                slicer = str(error)
            if isinstance(slicer, str):
                log.warning("snapshot %s cannot be used: %s", path, slicer)
            elif isinstance(snapshot, Snapshot):
                self._snapshots.trust(snapshot.position)
                return

    async def _restored(self, path: Path, snapshot: Snapshot, told: int) -> Slicer | str:
        """A core as the snapshot says, or why it cannot be gone on from."""
        self._same_site(snapshot.rules)
        if snapshot.sequence > told:
            return Ahead(f"{snapshot.sequence} events had been told, and the outbox has {told}")
        if self._crashes and self._crashes.condemns(snapshot.position, RESTORED):
            return f"the process died on it, {DEATHS} starts in a row: {self._snapshots.put_aside(path)}"
        if self._crashes:
            self._crashes.reading(snapshot.position, RESTORED)
        slicer = self._build(snapshot.rules)
        try:
            await asyncio.to_thread(slicer.restore, snapshot.state, snapshot.sequence, snapshot.shift)
        except SnapshotError as error:
            return f"{error}. It was written by another version of the program"
        return slicer

    async def _begin_with(self, rules: RuleSet, at: Position) -> None:
        """These rules hold at `at`: written down, if nothing else is."""
        self._fits()
        if self._book.report:
            log.warning("%s", self._book.report)
        self._rules = rules
        if self._book.held_at(at) is None:
            if self._journal.first() and not self._book.report:
                log.warning(
                    "%s: is not there: a new one is begun; which rules held before is not known", self._book.path
                )
            await self._write_down(at, rules)

    async def _write_down(self, at: Position, rules: RuleSet, needed_from: Position = BEGINNING) -> None:
        """In the rule book, before anything is decided by them. A full disk is waited for; sinks get what is there."""
        while True:
            try:
                await asyncio.to_thread(self._book.write, at, rules, needed_from)
                return
            except OSError as error:
                if error.errno not in NO_SPACE:
                    raise
                log.warning("%s: cannot be written, the start waits for room: %s", self._book.path, error)
                await asyncio.sleep(FULL_S)

    def _begins_at_its_beginning(self, why: list[str]) -> None:
        if not self._journal.begins():
            raise self._lost(
                f"{self._journal.folder}: {BEGINNING.segment:08d}.journal is missing; put it back from a copy, or move "
                f"the folder away to begin with a new data_dir. No snapshot stands for it: "
                f"{'; '.join(why) or f'there is none in {self._snapshots.folder}'}. To go on without what is missing: "
                f"sortline fsck --repair --accept-loss {self._journal.folder.parent}"
            )

    def _same_site(self, rules: RuleSet) -> None:
        if rules.site != self._wanted.site:
            raise Refused(
                f'{self._journal.folder} holds the records of site "{rules.site}", and the site file says '
                f'"{self._wanted.site}": give each site an engine.data_dir of its own, or put the name back'
            )

    async def _replay(self, payloads: Iterator[bytes], publish: Publish, told: int) -> None:
        """The outbox takes in what was decided while the rules decide on the next piece."""
        joined = pieces(self._journal, payloads, REPLAY_BYTES, self._crashes)
        said_s = time.monotonic()
        published: asyncio.Future[None] = asyncio.ensure_future(publish([]))
        try:
            while piece := await asyncio.to_thread(next, joined, None):
                if piece.lost_before:
                    self.slicer.pass_to(told)
                events = await self._decided_on(piece)
                await published
                published = asyncio.ensure_future(publish(events))
                self._metrics.replayed += piece.payload.count(b"\n")
                if time.monotonic() - said_s >= PROGRESS_S:
                    said_s = time.monotonic()
                    log.info("recovering: %d MB of the journal read", self._journal.passed // 10**6)
            await published
        except NoRoom as error:
            await published
            await publish(error.events)
            raise
        finally:
            published.cancel()

    async def _decided_on(self, piece: Piece) -> list[Emitted]:
        """A fault of the rules would meet the same records at every start: nobody is helped by trying again."""
        try:
            if self._crashes is None:
                return await self.slicer.feed(piece.payload, _passed_over)
            if self._crashes.suspects(piece.begin):
                return await self._one_by_one(piece, self._crashes)
            self._crashes.reading(piece.begin, through=self._journal.at)
            return await self.slicer.feed(piece.payload, _passed_over)
        except (NoRoom, Refused):
            raise
        except Exception as error:
            log.error("recovering: the rules have failed", exc_info=error)
            raise Refused(
                f"{self._journal.folder}: the rules fail on records from {piece.begin} on, and no further than "
                f"{self._journal.at}: {type(error).__name__}: {error}. This is a fault of the program, and nothing is "
                "lost: start the version that ran before, or wait for one that is mended. The records: sortline "
                f"journal export {self._journal.folder.parent} --first {piece.begin.segment} --last "
                f"{self._journal.at.segment} --out records.ndjson"
            ) from error

    async def _one_by_one(self, frame: Piece, crashes: Crashes) -> list[Emitted]:
        """A frame of the piece on which a start has died: so that the next one knows the record."""
        events: list[Emitted] = []
        for number, line in enumerate(frame.payload.split(b"\n")[:-1]):
            if crashes.condemns(frame.begin, number):
                await self._put_aside(frame.begin, number, line, crashes)
                line = INSTEAD
            crashes.reading(frame.begin, number)
            events += await self.slicer.feed(line + b"\n", _passed_over)
        return events

    async def _put_aside(self, at: Position, number: int, line: bytes, crashes: Crashes) -> None:
        """First to the dead letters: a start that is killed in between only counts it once more."""
        if len(crashes.passed_over) >= PASSED_OVER_MAX:
            raise Refused(
                f"{self._journal.folder}: the process has died on {PASSED_OVER_MAX} records, which are passed over, "
                f"and dies on the one at {at} line {number}. This is a fault of the program, and nothing is lost: "
                f"start the version that ran before. What is found wrong here: sortline fsck "
                f"{self._journal.folder.parent}"
            )
        why = f"the process died on it: {DEATHS} starts in a row, {at} line {number}"
        log.error("recovering: a record is passed over, and is a dead letter: %s", why)
        if self._bury is not None:
            await self._bury(line, why)
        await asyncio.to_thread(crashes.passed_over.add, at, number)

    async def _change_rules(self) -> None:
        """What came until now was decided by the old rules, what comes is by the new ones."""
        changed = ", ".join(self._rules.changed(self._wanted))
        log.info("rules: %s changed; what was recorded before stays as it was decided", changed)
        first = Position(self._journal.first(), 0)
        await self._turn_to(self._wanted)  # first: rules that cannot take over must not stand in the book
        await self._write_down(self._journal.position, self._wanted, first)
        self._kept_at = -1  # also where nothing was recorded since the last one
        await self.keep()

    async def _turn_to(self, rules: RuleSet) -> None:
        """A new core by other rules goes on where this one stands."""
        if rules.same(self._rules):
            return
        state = await asyncio.to_thread(self.slicer.snapshot)
        slicer = self._build(rules)
        try:
            await asyncio.to_thread(slicer.restore, state, self.slicer.sequence, self.slicer.shift)
        except SnapshotError as error:
            raise Refused(f"these rules cannot take over from those of before ({error}): put those back") from error
        self.slicer, self._rules = slicer, rules


class Ahead(str):
    """Why a snapshot cannot be gone on from: the outbox knows less."""


class Piece(NamedTuple):
    """Payloads joined; begin: where the first one stood. lost_before: something accepted is lost in front of them."""

    payload: bytes
    lost_before: bool
    begin: Position


def pieces(journal: Journal, payloads: Iterator[bytes], size: int, crashes: Crashes | None = None) -> Iterator[Piece]:
    """The same payloads, small ones joined until they have `size` bytes, for a replay; never across a loss, nor where
    the process has died. What is passed over is not in them."""
    held: list[bytes] = []
    length, known, lost_before, begin = 0, 0, False, BEGINNING
    for payload in payloads:
        lost = journal.lost_bytes > known
        alone = crashes is not None and (crashes.suspects(journal.at) or crashes.suspects(begin))
        if held and (lost or alone or length >= size):
            yield Piece(b"".join(held), lost_before, begin)
            held, length, lost_before = [], 0, False
        known, lost_before = journal.lost_bytes, lost_before or lost
        begin = begin if held else journal.at
        held.append(crashes.passed_over.without(journal.at, payload) if crashes else payload)
        length += len(payload)
    if held:
        yield Piece(b"".join(held), lost_before, begin)


def _passed_over(line: int, reason: str) -> None:
    """A line of the journal that is no record: it was reported when it came."""
