"""Records through the decoder and the rules, a few milliseconds at a time, so that the event loop never waits long.

The rules see the same records in the same order however they are cut: slices change when something is decided on this
machine, never what.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import starmap
from typing import Protocol

from engine.contracts import Emitted
from engine.errors import Full
from ext.batch import Batch

BUDGET_S = 0.003
SLICE_BYTES_MIN = 512
SLICE_BYTES_MAX = 64 * 1024
SLICE_BYTES_FIRST = 16 * 1024
WINDOW_SLOTS = 4096
WINDOWS_PART = 0.02  # of the time, at most, goes into counting windows


class Core(Protocol):
    """The rules (ext.core): synchronous, no clock, no I/O; all of it is a function of what was fed, in order."""

    def feed(self, batch: Batch, start: int = 0, stop: int = -1) -> None: ...
    def take(self) -> list[tuple[int, str, str, str, bytes, bytes]]: ...
    def reject(self, count: int) -> None: ...
    def wall_us(self) -> int: ...
    def due_us(self) -> int: ...
    def account(self) -> Mapping[str, int]: ...
    def slots(self) -> int: ...
    def windows(self, start: int = 0, stop: int = -1) -> Mapping[str, int]: ...
    def sources(self) -> Sequence[Mapping[str, object]]: ...
    def position(self, src: str) -> tuple[int, int] | None: ...
    def snapshot(self) -> bytes: ...
    def restore(self, data: bytes) -> None: ...
    def go_on_from(self, revisions: Mapping[str, int]) -> None: ...


class Decoder(Protocol):
    """Canonical lines to rows (ext.ndjson); returns (index of the line from 0, reason) of the refused ones."""

    def decode(self, data: bytes, batch: Batch) -> list[tuple[int, str]]: ...


class NoRoom(Full):
    """The core has no room for more names: it can decide nothing more, and is not what the journal says. events: what
    it had decided before."""

    def __init__(self, why: str, events: list[Emitted]) -> None:
        super().__init__(why)
        self.events = events


class Slicer:
    """Feeds payloads to the core; the size of its slices follows the time that the last one took.

    core: what it feeds. sequence: of the last event that was told. sound: whether the core holds all that it was fed,
    so that a snapshot may stand for it.

    shift: where records of the journal were lost, the core counts fewer events than were told: its own sequence is
    raised by so much in everything that it tells, so that no sequence is ever used for two events.

    budget_s: how long one slice should hold the event loop. timer: seconds that only grow.
    """

    def __init__(
        self,
        core: Core,
        decoder: Decoder,
        batch: Batch,
        *,
        budget_s: float = BUDGET_S,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.core = core
        self.sequence = 0
        self.shift = 0
        self.sound = True
        self._decoder = decoder
        self._batch = batch
        self._budget_s = budget_s
        self._timer = timer
        self.slice_bytes = SLICE_BYTES_FIRST
        self._windows: Mapping[str, int] = {}
        self._windows_again_s = 0.0

    async def feed(self, payload: bytes, refused: Callable[[int, str], None]) -> list[Emitted]:
        """Every line of `payload` (each ended by a line feed); returns what the core decided on the way.

        refused: called with number in the payload, from 0, and reason of each line that is no record. Raises NoRoom
        where the table of names is full; this slicer is at its end then.
        """
        events: list[Emitted] = []
        line = at = 0
        while at < len(payload):
            before = self._timer()
            end = self._end_of_slice(payload, at)
            part = payload[at:end]
            try:
                faults = self._decode(part)
            except MemoryError as error:
                raise NoRoom(str(error) or "no memory is left", events) from error
            for index, reason in faults:
                refused(line + index, reason)
            events.extend(self._told(self.core.take()))
            self.sequence = events[-1].sequence if events else self.sequence
            line += part.count(b"\n")
            at = end
            self._adapt(self._timer() - before)
            await asyncio.sleep(0)
        return events

    async def windows(self) -> Mapping[str, int]:
        """The open windows, by name. There may be a million: they are counted a few at a time, what changes meanwhile
        or not, and so seldom that it takes little of the whole; in between it is the last count."""
        if self._timer() < self._windows_again_s:
            return self._windows
        found: Counter[str] = Counter()
        took_s = 0.0
        for start in range(0, self.core.slots(), WINDOW_SLOTS):
            before = self._timer()
            found.update(self.core.windows(start, start + WINDOW_SLOTS))
            took_s += self._timer() - before
            await asyncio.sleep(0)
        self._windows, self._windows_again_s = found, self._timer() + took_s / WINDOWS_PART
        return found

    def snapshot(self) -> bytes:
        """The core's state, between two calls of `feed`. Takes as long as the state is large."""
        return self.core.snapshot()

    def pass_to(self, sequence: int) -> None:
        """The next event is told as the one after `sequence`, if that is not where it is anyway."""
        self.shift += max(0, sequence - self.sequence)
        self.sequence = max(self.sequence, sequence)

    def restore(self, state: bytes, sequence: int, shift: int = 0) -> None:
        """Of a new slicer. Raises SnapshotError for the state of another version, Full where its names find no room."""
        self.sound = False
        try:
            self.core.restore(state)
        except MemoryError as error:
            raise NoRoom(str(error) or "no memory is left", []) from error
        self.sequence = sequence
        self.shift = shift
        self.sound = True

    def _told(self, events: Sequence[tuple[int, str, str, str, bytes, bytes]]) -> Iterator[Emitted]:
        if not self.shift:
            return starmap(Emitted, events)
        return (raised(Emitted(*event), self.shift) for event in events)

    def _decode(self, part: bytes) -> list[tuple[int, str]]:
        self.sound = False
        self._batch.clear()
        refused = self._decoder.decode(part, self._batch)
        if refused:
            self.core.reject(len(refused))
        self.core.feed(self._batch)
        self.sound = True
        return refused

    def _end_of_slice(self, payload: bytes, at: int) -> int:
        end = payload.find(b"\n", min(at + self.slice_bytes, len(payload)) - 1)
        return len(payload) if end < 0 else end + 1

    def _adapt(self, took_s: float) -> None:
        """Shrinks at once, grows at most twofold: one quick slice does not vouch for the next."""
        factor = min(2.0, self._budget_s / max(took_s, 1e-6))
        self.slice_bytes = int(min(max(self.slice_bytes * factor, SLICE_BYTES_MIN), SLICE_BYTES_MAX))


def raised(event: Emitted, shift: int) -> Emitted:
    """The same event with a greater sequence, also in its body; its content does not cover that."""
    sequence = event.sequence + shift
    was, is_ = (b'"sequence":"%020d"' % number for number in (event.sequence, sequence))
    if event.body.count(was) != 1:
        raise ValueError(f"event {event.id} does not name its sequence {event.sequence} once")
    return event._replace(sequence=sequence, body=event.body.replace(was, is_))
