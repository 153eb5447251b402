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
    """`seen`, `filled`: arrivals of the records that showed and filled it. `missing`: empty for a stretch of time.

    `parts`: what was still missing around a number that came, and is two gaps from then on.
    """

    t_from: int
    t_to: int
    seen: int
    epoch: int = 0
    missing: range = range(0)
    filled: int = NEVER
    parts: list[Gap] = field(default_factory=list)

    def overlaps(self, t_from: int, t_to: int) -> bool:
        return min(self.t_from, self.t_to) <= t_to and max(self.t_from, self.t_to) >= t_from

    def open_at(self, at: int) -> bool:
        """Before record `at` takes effect."""
        return self.seen < at <= self.filled

    def fill(self, at: int, number: int, t: int) -> None:
        self.filled = at
        if before := range(self.missing.start, number):
            self.parts.append(Gap(self.t_from, t, at, self.epoch, before))
        if after := range(number + 1, self.missing.stop):
            self.parts.append(Gap(t, self.t_to, at, self.epoch, after))


class _Source:
    def __init__(self) -> None:
        self.gaps: list[Gap] = []
        self.down: Gap | None = None
        self.awaiting: list[tuple[Gap, range]] = []  # what a time of link.down waits for after its end
        self.first: dict[int, tuple[int, int]] = {}  # by epoch: the least number and its event time
        self.last: dict[int, tuple[int, int]] = {}  # and the greatest
        self.last_t: int | None = None  # event time of the last record that was heard

    def hear(self, at: int, record: Record, t: int, mark: int) -> None:
        epoch = record.get("epoch", 0)
        last = self.last[epoch][0] if "seq" in record and epoch in self.last else None
        follows = "seq" in record and self.number(at, record, t, mark)
        if not record.get("hist") and self.down is not None:
            # R6: a time of link.down is filled at the first live record if its number follows on
            self.down.t_to = t
            if follows:
                self.down.filled = at
            elif last is not None and record["seq"] > last:
                # R3: or if what it has jumped over comes before the watermark passes it
                self.down.filled = at
                self.awaiting.append((Gap(self.down.t_from, t, at, epoch), range(last + 1, record["seq"])))
                self.gaps.append(self.awaiting[-1][0])
            self.down = None
        self.last_t = max(t, self.last_t or t)

    def number(self, at: int, record: Record, t: int, mark: int) -> bool:
        """Whether it follows on the greatest number so far. `mark`: the watermark."""
        epoch: int = record.get("epoch", 0)
        seq: int = record["seq"]
        if epoch not in self.last:
            self.first[epoch] = self.last[epoch] = seq, t
            return False
        (first, t_first), (last, t_last) = self.first[epoch], self.last[epoch]
        for gap in [gap for gap in self.gaps if gap.filled == NEVER and gap.epoch == epoch and seq in gap.missing]:
            gap.fill(at, seq, t)
            self.gaps += gap.parts
        for down, missing in self.awaiting:
            if down.epoch == epoch and seq in missing and down.filled == NEVER and mark <= down.t_to:
                down.filled = NEVER if self.lacks(epoch, missing) else at
        if seq > last + 1:
            self.gaps.append(Gap(t_last, t, at, epoch, range(last + 1, seq)))
        elif seq + 1 < first and t <= t_first and mark <= t_first and not record.get("hist"):
            # R3: what was heard first was not the first number, only out of order
            self.gaps.append(Gap(t, t_first, at, epoch, range(seq + 1, first)))
        self.first[epoch] = min(self.first[epoch], (seq, t))
        self.last[epoch] = max(self.last[epoch], (seq, t))
        return seq == last + 1

    def lacks(self, epoch: int, numbers: range) -> bool:
        return any(
            gap.epoch == epoch and gap.filled == NEVER and any(number in gap.missing for number in numbers)
            for gap in self.gaps
        )


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
                    source = self.sources.setdefault(record["src"], _Source())
                    source.number(at, record | {"hist": True}, t, clock.marks[at])
                self._about(at, record, t)
                continue
            if record["kind"] in PICK_KINDS:
                self.pickers.setdefault(record["src"], at)
            self.sources.setdefault(record["src"], _Source()).hear(at, record, t, clock.marks[at])

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
        if gap.parts:
            return all(map(self._is_none, gap.parts))
        return gap.epoch >= 0 and gap.filled < NEVER and self.clock.marks[gap.filled] <= gap.t_to

    def all_pickers(self, at: int) -> list[str]:
        return [src for src, first in self.pickers.items() if first < at]
