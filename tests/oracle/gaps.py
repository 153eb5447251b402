"""Gaps (R6) and how long they hold a conclusion back (R7)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.oracle.clock import ABOUT_SOURCES, Clock, Moment, is_old_death, speaks_for
from tests.oracle.facts import CONTEXT, Record, is_dead

NEVER = 2**62
PICK_KINDS = frozenset({"pick.confirm", "pick.short", "pick.reverse"})


@dataclass
class Gap:
    """`seen`, `filled`: arrivals of the records that showed and filled it. `missing`: empty for a stretch of time."""

    t_from: int
    t_to: int
    seen: int
    epoch: int = 0
    missing: set[int] = field(default_factory=set)
    filled: int = NEVER

    def overlaps(self, t_from: int, t_to: int) -> bool:
        return self.t_from <= t_to and self.t_to >= t_from

    def open_at(self, at: int) -> bool:
        """Before record `at` takes effect."""
        return self.seen < at <= self.filled


class _Source:
    def __init__(self) -> None:
        self.gaps: list[Gap] = []
        self.down: Gap | None = None
        self.highest: dict[int, tuple[int, int]] = {}  # by epoch: number, its event time
        self.epoch = -1
        self.last_t: int | None = None  # event time of the last record that was heard

    def hear(self, at: int, record: Record, t: int) -> None:
        follows = "seq" in record and self.number(at, record, t)
        if not record.get("hist") and self.down is not None:
            # R6: a time of link.down is filled at the first live record if its number follows on
            self.down.t_to = t
            if follows:
                self.down.filled = at
            self.down = None
        self.last_t = max(t, self.last_t or t)

    def number(self, at: int, record: Record, t: int) -> bool:
        """Whether nothing is missing before it."""
        epoch: int = record.get("epoch", 0)
        seq: int = record["seq"]
        before = self.highest.get(epoch)
        if before is None:
            self.highest[epoch] = seq, t
            return False
        number, t_before = before
        for gap in self.gaps:
            if gap.epoch == epoch and seq in gap.missing:
                gap.missing.remove(seq)
                if not gap.missing:
                    gap.filled = at
        if seq > number + 1:
            self.gaps.append(Gap(t_before, t, at, epoch, set(range(number + 1, seq))))
        if seq > number:
            self.highest[epoch] = seq, t
        return seq == number + 1


class Gaps:
    """All gaps of all sources. `repeated`: numbers of the records that are duplicates."""

    def __init__(self, records: Sequence[Record], times: Sequence[int], repeated: set[int], clock: Clock) -> None:
        self.clock = clock
        self.sources: dict[str, _Source] = {}
        self.pickers: dict[str, int] = {}  # source -> its first record of a pick kind
        for at, (record, t) in enumerate(zip(records, times, strict=True)):
            if record["kind"] in CONTEXT or at in repeated:
                continue
            if record["kind"] in ABOUT_SOURCES:
                if "seq" in record:
                    self.sources.setdefault(record["src"], _Source()).number(at, record, t)
                self._about(at, record, t)
                continue
            if record["kind"] in PICK_KINDS:
                self.pickers.setdefault(record["src"], at)
            self.sources.setdefault(record["src"], _Source()).hear(at, record, t)

    def _about(self, at: int, record: Record, t: int) -> None:
        if record["kind"] == "source.gap" and not is_dead(record, t, self.clock.rules):
            source = self.sources.setdefault(record["src"], _Source())
            source.gaps.append(Gap(record["t_from"], record["t_to"], at, -1))
        elif record["kind"] == "link.down":
            for name, source in self.sources.items():
                old = is_old_death(record, t, source.last_t, self.clock.rules)
                if speaks_for(record, name) and source.down is None and source.last_t is not None and not old:
                    source.down = Gap(source.last_t, NEVER, at, -1)
                    source.gaps.append(source.down)

    def release(
        self, asked: Moment, base: int, fed: Iterable[tuple[str, int, int]], sure: bool = False
    ) -> Moment | None:
        """R7: when a conclusion that was due at `asked` may be drawn; None: it is still held in the end.

        `base`: the wall clock from which on the hold counts. `fed`: sources and the stretch of time that they fed.
        `sure`: by those alone that turned out to be gaps (R6).
        """
        fed = list(fed)
        now = asked
        while True:
            tainting = [
                (src, gap)
                for src, t_from, t_to in fed
                for gap in (self.sources[src].gaps if src in self.sources else ())
                if gap.open_at(now.at) and gap.overlaps(t_from, t_to) and not (sure and self._is_none(gap))
            ]
            if not tainting:
                return now
            over = self.clock.reached(base + max(self.clock.rule(src, "gap_hold_ms") for src, _ in tainting))
            if over is not None and over.at <= now.at and over.wall <= now.wall:
                return now
            fills = [gap.filled + 1 for source in self.sources.values() for gap in source.gaps]
            again = min((at for at in fills if now.at < at < NEVER), default=NEVER)
            if over is not None and over.at < again:
                now = max(over, now)  # asked again: of a gap that was seen meanwhile, too
                continue
            if again == NEVER:
                return None
            # what a record fills is asked again as soon as it has taken effect
            now = Moment(again, self.clock.walls[again - 1])

    def _is_none(self, gap: Gap) -> bool:
        """R6: its numbers came before the watermark passed the record that jumped."""
        return gap.epoch >= 0 and gap.filled < NEVER and self.clock.marks[gap.filled] <= gap.t_to

    def all_pickers(self, at: int) -> list[str]:
        return [src for src, first in self.pickers.items() if first < at]
