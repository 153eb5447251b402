"""Polls of the layouts in which a machine hands over records: mailboxes and rings. See `polling` for the calls."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial

from engine.clock import Clock
from engine.contracts import Delivery, Intake
from engine.errors import DecodeError
from protocols.mapping.plan import compile_record
from protocols.modbus.decode import words_of
from protocols.modbus.layouts import Mailbox, Ring
from protocols.modbus.mailbox import Letter, Look, MailboxReader
from protocols.modbus.plan import Limits, Point, plan_reads
from protocols.modbus.polling import Ask, Debt, Outcome, Place, Poll, word
from protocols.modbus.records import blind_line, contradicts, fact, gap_line, has_number
from protocols.modbus.ring import Chunk, Entry, Haul, Head, RingReader
from protocols.modbus.timing import PollClass

RECENT_MAX = 64
"""The last records of a source stand among so many of its lines: starts without one have told of its link."""
KNOWN_MAX = 16
"""So many records show whether a ring is still in the life that is known."""
TORN_S = 1.0
"""No machine takes so long to write a block."""


class HandshakePoll(Poll):
    """What both have: acknowledgements that a machine waits for. `recheck_s`: how often a machine that shows nothing
    new is looked at for a lost one.

    One is written at once over the connection that the record came by. After a new connection or an outage the machine
    may be another one, or have started again: then what it shows says whether it still waits.
    """

    def __init__(
        self, place: Place, layout: Mailbox | Ring, timing: PollClass, recheck_s: float, intake: Intake, clock: Clock
    ) -> None:
        super().__init__(place, timing, intake, clock)
        self._layout = layout
        self._recheck_s = recheck_s
        self._check_at = 0.0
        self._undurable = 0  # deliveries whose acknowledgement is not owed yet
        self._outages = 0
        self._is_backlog = True
        self._last_us = 0  # time of the last record

    def forget(self, is_told: bool) -> None:
        self._is_backlog = True
        self.doubt()

    def doubt(self) -> None:
        self.owed = None
        self._outages += 1
        self._check_at = 0.0

    def _owing(self, lines: list[bytes], shown: int) -> Delivery:
        """`shown`: what to write once they are durable."""
        if self._layout.ack is None:
            return Delivery(self.place.source, lines)
        self._undurable += 1
        return Delivery(self.place.source, lines, partial(self._durable, shown, self._outages))

    def _durable(self, shown: int, outages: int) -> None:
        self._undurable -= 1
        if outages == self._outages:
            self._owe(shown)
        else:
            self._check_at = 0.0

    def _blind(self, t_rx: int) -> bytes:
        """The machine has started again: what it had written, and we had not read, is gone, and nobody knows what."""
        return blind_line(self.place.src, self._last_us, t_rx)

    def _owe(self, shown: int) -> None:
        if self._layout.ack is not None:
            self.owe(Debt(self._layout.ack, shown, self._layout.write_function))

    async def _lacks_ack(self, ask: Ask, shown: int, now: float) -> bool:
        """Whether the machine, of which we have everything, waits for its acknowledgement: a write was lost or refused,
        we restarted between the journal and the write, or the machine restarted. Looked at now and then."""
        address = self._layout.ack
        if address is None or self._undurable or self.owed is not None or now < self._check_at:
            return False
        self._check_at = now + self._recheck_s
        return await word(ask, "holding", address) != shown


class MailboxPoll(HandshakePoll):
    """One mailbox."""

    def __init__(
        self, place: Place, mailbox: Mailbox, timing: PollClass, recheck_s: float, intake: Intake, clock: Clock
    ) -> None:
        super().__init__(place, mailbox, timing, recheck_s, intake, clock)
        self.probe = (mailbox.table, mailbox.seq, 1)
        self._mailbox = mailbox
        self._reader = MailboxReader(mailbox, intake.position(place.src))
        self._plan = compile_record(mailbox.record, constants={"src": place.src})
        self._letter: Letter | None = None  # taken, perhaps not handed over yet
        self._letter_us = 0
        self._torn_from: float | None = None  # since when no reading was whole

    async def poll(self, ask: Ask, now: float) -> Outcome:
        mailbox = self._mailbox
        shown_epoch = await self._epoch(ask)
        words = await self._untorn(ask)
        if words is None:
            self._torn(now)
            return Outcome()
        self._torn_from = None
        look = self._reader.look(words, shown_epoch)
        if look is Look.SAME and await self._lacks_ack(ask, words[0], now):
            if self._reader.is_from_before and mailbox.epoch is None:
                self._reader.recognise(words if await self._is_ours(words) else ())
            if self._reader.is_another(words):
                look = Look.NEW
            else:
                self._owe(words[0])
        if look is Look.NEW:
            acknowledged = None if mailbox.ack is None else await word(ask, "holding", mailbox.ack)
            if shown_epoch != await self._epoch(ask):
                return Outcome(more=True)
            self._letter = self._reader.take(words, acknowledged, shown_epoch)
            if self._letter is not None:
                return Outcome(self._delivery(self._letter))
        self._is_backlog = False
        if self._reader.is_anew:
            return Outcome(Delivery(self.place.source, [self._blind(self._clock())]))
        return Outcome()

    def accepted(self) -> None:
        self._reader.is_anew = False
        if self._letter is None:
            return
        self._reader.accept(self._letter)
        self._last_us = self._letter_us
        self._letter = None
        self._is_backlog = False

    async def _is_ours(self, words: Sequence[int]) -> bool:
        """Whether this is the record of its number that the engine had before our start, as far as its journal still
        knows: the machine may have started again, too, and have come as far as it was."""
        letter = self._reader.last(words)
        before = await self._intake.recent(self.place.src, RECENT_MAX)
        try:
            line = fact(self._plan, letter.values, self._clock(), (letter.epoch, letter.seq)).line
        except DecodeError:
            return True
        return not any(contradicts(line, known) for known in before)

    async def _epoch(self, ask: Ask) -> int | None:
        if self._mailbox.epoch is None:
            return None
        return await word(ask, self._mailbox.table, self._mailbox.epoch)

    async def _untorn(self, ask: Ask) -> Sequence[int] | None:
        for _ in range(1 + self._mailbox.rereads):
            words = words_of(await ask(self._mailbox.table, self._mailbox.seq, self._reader.quantity))
            if words[0] == words[-1]:
                return words
        return None

    def _torn(self, now: float) -> None:
        """Many a machine writes its block over several of its cycles, so that all readings of one poll are torn."""
        if self._torn_from is None:
            self._torn_from = now
        elif now - self._torn_from >= TORN_S:
            self.fault(
                f"seq and seq2 have differed for {TORN_S:g} s: the machine never finishes writing, or seq2 is elsewhere"
            )

    def _delivery(self, letter: Letter) -> Delivery:
        """The record and what is missing before it. A record that does not fit is acknowledged all the same: it would
        block the machine for ever."""
        t_rx = self._clock()
        lines = [self._blind(t_rx)] if self._reader.is_anew else []
        if letter.lost:
            first = letter.seq - letter.lost
            lines.append(gap_line(self.place.src, letter.epoch, first, letter.lost, self._last_us, t_rx))
        for cause in letter.faults.values():
            self.fault(cause, letter.words)
        self._letter_us = t_rx
        try:
            made = fact(self._plan, letter.values, t_rx, (letter.epoch, letter.seq), backlog=self._is_backlog)
            lines.append(made.line)
            self._letter_us = made.at_us
        except DecodeError as error:
            self.fault(error.cause, letter.words)
        return self._owing(lines, letter.shown)


class RingPoll(HandshakePoll):
    """One ring. Each poll fetches one chunk of neighbouring records, so that a long backlog lets the others through."""

    def __init__(
        self,
        place: Place,
        ring: Ring,
        timing: PollClass,
        limits: Limits,
        recheck_s: float,
        intake: Intake,
        clock: Clock,
    ) -> None:
        super().__init__(place, ring, timing, recheck_s, intake, clock)
        self.probe = (ring.table, ring.head, 1)
        self._ring = ring
        self._reader = RingReader(ring, intake.position(place.src), limits.registers)
        self._plan = compile_record(ring.record, constants={"src": place.src})
        counters = (("head", ring.head), ("size", ring.size_address), ("epoch", ring.epoch))
        points = [Point(name, ring.table, address, 1) for name, address in counters if address is not None]
        self._counters = plan_reads(points, limits, first=("epoch",))
        self._known: deque[bytes] = deque(maxlen=RECENT_MAX)  # the last that were handed over
        self._knows_journal = not self._reader.started
        self._is_sure = not self._reader.started  # that the machine is still in the life that is known
        self._haul: Haul | None = None  # fetched, perhaps not handed over yet
        self._doubted: tuple[tuple[Head, tuple[int, ...]], float] | None = None  # a record, and since when
        self._haul_us = 0
        self._lines: list[bytes] = []  # of the haul

    async def poll(self, ask: Ask, now: float) -> Outcome:
        shown = await self._show(ask)
        if shown.get("size", self._ring.size) != self._ring.size:
            self.fault("the machine's ring has another size than the site file says: it is not read")
            return Outcome()
        if not self._reader.started:
            ack = self._ring.ack
            acknowledged = None if ack is None else await word(ask, "holding", ack)
            self._reader.start(shown["head"], acknowledged, shown.get("epoch"))
        head = self._head(shown)
        if not self._is_sure and self._ring.epoch is None:
            if await self._is_another_life(ask, head):
                ack = self._ring.ack
                self._reader.begin_anew(None if ack is None else await word(ask, "holding", ack))
                head = self._head(shown)
            self._is_sure = True
        chunk = self._reader.chunk(head)
        if chunk is None:
            self._is_backlog = False
            tail = self._reader.tail(head)
            if await self._lacks_ack(ask, tail, now):
                self._owe(tail)
            return Outcome()
        self._haul = await self._fetch(ask, chunk, now)
        if self._haul is None:
            return Outcome(more=self._doubted is None)
        return Outcome(self._delivery(self._haul), more=self._haul.following < head.number)

    def accepted(self) -> None:
        if self._haul is None:
            return
        self._reader.accept(self._haul)
        self._last_us = self._haul_us
        self._haul = None
        self._known.extend(self._lines)

    def doubt(self) -> None:
        super().doubt()
        self._is_sure = False

    async def _is_another_life(self, ask: Ask, head: Head) -> bool:
        """Whether the machine has started again, and has come as far as it was or farther: a record that we have taken
        says something else in the ring. What is read would have wrong numbers, and what was not would be
        acknowledged."""
        if not self._knows_journal:
            self._known.extend(await self._intake.recent(self.place.src, RECENT_MAX))
            self._knows_journal = True
        chunk = self._reader.past(head, KNOWN_MAX)
        if chunk is None:
            return False
        words = words_of(await ask(self._ring.table, chunk.address, chunk.quantity))
        t_rx = self._clock()
        for entry in self._reader.entries(chunk, words, self._head(await self._show(ask))):
            try:
                line = fact(self._plan, entry.values, t_rx, (chunk.epoch, entry.seq)).line
            except DecodeError:
                # it did fit
                if any(has_number(known, chunk.epoch, entry.seq) for known in self._known):
                    return True
                continue
            if any(contradicts(line, known) for known in self._known):
                return True
        return False

    async def _show(self, ask: Ask) -> dict[str, int]:
        """The ring's counters by name."""
        shown: dict[str, int] = {}
        for read in self._counters:
            words = words_of(await ask(read.table, read.start, read.quantity))
            shown.update({point.name: words[point.address - read.start] for point in read.points})
        return shown

    def _head(self, shown: dict[str, int]) -> Head:
        return self._reader.head(shown["head"], shown.get("epoch"))

    async def _fetch(self, ask: Ask, chunk: Chunk, now: float) -> Haul | None:
        """Read the chunk and look at the head again; None if the machine restarted meanwhile, or may be writing over
        one of its records."""
        words = words_of(await ask(self._ring.table, chunk.address, chunk.quantity))
        after = self._head(await self._show(ask))
        if after.epoch != chunk.epoch:
            return None
        overwritten = False
        if doubtful := self._reader.doubtful(chunk, words, after):
            seen = (after, tuple(doubtful))
            if self._doubted is None:
                self._doubted = seen, now
            doubted, since = self._doubted
            overwritten = doubted != seen
            if not overwritten and now - since < TORN_S:
                return None
        self._doubted = None
        return self._reader.take(chunk, words, after, overwritten)

    def _delivery(self, haul: Haul) -> Delivery:
        t_rx = self._clock()
        self._haul_us = self._last_us
        lines = [self._blind(t_rx)] if self._reader.is_anew else []
        if haul.lost:
            lines.append(gap_line(self.place.src, haul.epoch, haul.lost_from, haul.lost, self._last_us, t_rx))
            self._haul_us = t_rx
        self._lines = [line for entry in haul.entries if (line := self._line(haul.epoch, entry, t_rx)) is not None]
        return self._owing([*lines, *self._lines], self._reader.shown(haul))

    def _line(self, epoch: int, entry: Entry, t_rx: int) -> bytes | None:
        for cause in entry.faults.values():
            self.fault(cause, entry.words)
        try:
            made = fact(self._plan, entry.values, t_rx, (epoch, entry.seq), backlog=self._is_backlog)
        except DecodeError as error:
            self.fault(error.cause, entry.words)
            return None
        self._haul_us = made.at_us
        return made.line
