# cython: boundscheck=False, wraparound=False, cdivision=True
"""Time and sources (R1-R6): see clocks.pxd. Hot: `meet`, `note`, `event_time`, `arrive`, `follow_sources`."""

from ext cimport gaps, presence, seen
from ext.batch cimport ABSENT
from ext.exceptions cimport SRC_DOWN, TIME_SKEW
from ext.rates cimport ahead_us
from ext.state cimport B_SOURCE, Fact
from ext.store cimport find
from ext.timers cimport NEVER

from ext.floor import DEFAULTS

from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memset

cdef int64_t MS = 1000
cdef int64_t GOOD_RUN = 100             # R1: records in a row inside the bound that end a skew


cdef str state_of(const Source* source):
    """Section 10. DOWN ends with `link.up` or a backlog, SYNCING with the first record that is none; who is silent is
    STALE."""
    if source.syncing:
        return "SYNCING"
    if source.down != NULL:
        return "DOWN"
    return "LIVE" if source.live else "STALE"


cdef class Clocks:
    def __init__(self, Floor floor not None, dict rules not None, list settings not None):
        self.floor = floor
        self.state = floor.state
        self.defaults = {**DEFAULTS, **rules}
        self.idle = self.defaults["idle_source_ms"] * MS
        self.settings = sorted(settings, key=lambda pair: len(pair[0]), reverse=True)
        self.next_leave = NEVER
        self.state.greatest = ABSENT

    # ------------------------------------------------------------------------------------------ sources

    cdef Source* meet(self, int32_t number) except NULL:
        """`source`, of one that was not met lately."""
        cdef Source* source = <Source*>find(self.state.sources, <uint64_t>number)
        if source == NULL:
            source = <Source*>self.floor.store.new(B_SOURCE, sizeof(Source))
            source.src = number
            source.greatest = source.watermark = source.last_rx = source.ahead = source.ahead_before = ABSENT
            source.seq = ABSENT
            source.gaps_due = NEVER
            self.configure(source)
            self.floor.store.put(self.state.sources, <uint64_t>number, source)
        self.met[number & (MET - 1)] = source
        return source

    cdef void forget_met(self) noexcept:
        """After a restore, and when sources were forgotten."""
        memset(self.met, 0, sizeof(self.met))

    cdef int configure(self, Source* source) except -1:
        """Its parameters: the site's, and what its own table repeats."""
        cdef str name = self.floor.text(source.src)
        values = self.defaults
        for prefix, given in self.settings:
            if name == prefix or name.startswith(prefix + "/"):
                values = {**values, **given}
                break
        source.skew_max = values["skew_max_ms"] * MS
        source.disorder = values["disorder_ms"] * MS
        source.idle = values["idle_source_ms"] * MS
        source.dedupe_noseq = values["dedupe_noseq_ms"] * MS
        source.gap_hold = values["gap_hold_ms"] * MS
        source.rate_band = values["rate_band"]
        return 0

    def sources(self):
        """What is known of every source, in the order of their names: for the live view."""
        cdef Source* source
        cdef uint64_t i
        found = []
        for i in range(self.state.sources.capacity):
            source = <Source*>self.state.sources.slots[i].value
            if source != NULL:
                found.append({
                    "src": self.floor.text(source.src), "live": bool(source.live), "watermark_us": source.watermark,
                    "last_rx_us": source.last_rx, "records": source.records, "gaps": source.gap_count,
                    "ahead_us": None if ahead_us(source) == ABSENT else ahead_us(source),
                    "state": state_of(source),
                })
        return sorted(found, key=lambda row: row["src"])

    # ------------------------------------------------------------------------------------------ numbers and links

    cdef bint note(self, Source* source, int64_t epoch, int64_t seq, int64_t sub, int64_t t, bint live) except -1:
        """R5, R6: note a record's number (ABSENT: none). False: the same `dev_id` was here before."""
        cdef int64_t last_epoch = source.epoch, last_seq = source.seq
        cdef bint new = True
        cdef seen.Hole hole
        if seq != ABSENT:
            new = seen.add(self.floor.store, source, epoch, seq, sub, t, self.floor.rules.lateness, &hole)
            # A source's first number is no gap; but which was its first is known only when the watermark has passed it (R3).
            if hole.jumped and (not hole.early or (live and hole.t_to >= self.state.watermark)):
                gaps.open_gap(self.floor, source, hole.t_from, hole.t_to, epoch, hole.low, hole.high)
                source.gap_count += 1
            elif hole.filled and new and source.gaps != NULL:
                gaps.fill(self.floor, source, epoch, seq, t)
        if live and new and source.down != NULL:            # what a broker sends again says nothing of the time between
            if seq != ABSENT and hole.jumped and not hole.early:
                source.down.t_to = t
                gaps.await_numbers(self.floor, source.down, epoch, hole.low, hole.high)
            self.speaks_again(source, seq != ABSENT and epoch == last_epoch and seq == last_seq + 1, t)
        return new

    cdef Fact this_record(self) except *:
        """The record that is being taken, by its name alone: for what is told of its source."""
        raise NotImplementedError

    cdef int link_down(self, Source* source, int32_t speaker, int64_t t) except -1:
        """R2: it leaves. R6: from its last record on it is a gap. `speaker`: who says so."""
        cdef Fact cause
        self.leave(source)
        source.syncing = False
        if source.greatest == ABSENT:
            return 0
        cause = self.this_record()
        if source.down == NULL:
            source.down = gaps.open_gap(self.floor, source, source.greatest, NEVER, 0, -1, -1)
        if not self.floor.outlet.is_raised(SRC_DOWN, source.src):
            source.down_by = speaker
            self.floor.outlet.raise_(SRC_DOWN, source.src, t, &cause, "")
        return 0

    cdef int link_up(self, Source* source, int32_t speaker, int64_t t) except -1:
        """Section 10: it can be heard again, if that comes from who said that it could not: of two links only one is up. What
        it told meanwhile is missing all the same, until it speaks (R6)."""
        cdef Fact cause
        if source.down != NULL and source.down_by == speaker:
            cause = self.this_record()
            source.syncing = True
            self.floor.outlet.clear(SRC_DOWN, source.src, t, &cause)
        return 0

    cdef int speaks_again(self, Source* source, bint follows_on, int64_t t) except -1:
        """R6: its first live record ends the gap; if its number follows on, there was none."""
        cdef Fact cause = self.this_record()
        source.down.t_to = t
        if follows_on:
            gaps.close_gap(self.floor, source.down, &cause)
        else:
            source.gap_count += 1
        source.down = NULL
        return self.floor.outlet.clear(SRC_DOWN, source.src, t, &cause)

    cdef int64_t event_time(self, Source* source, int64_t t, int64_t t_rx, bint hist, bint context) except? -1:
        """R1: what the source says if it can be believed, else when it was received."""
        cdef bint believed
        if t == ABSENT:
            return t_rx
        believed = t - t_rx <= source.skew_max and (hist or context or t_rx - t <= source.skew_max)
        if believed and not source.skewed:
            return t
        return self.doubted_time(source, t, t_rx, not (hist or context), believed)

    cdef int64_t doubted_time(self, Source* source, int64_t t, int64_t t_rx, bint counts, bint believed) except? -1:
        """R1: an episode begins with one record outside the bound, and ends with a hundred in a row inside it."""
        cdef Fact cause
        if believed:
            if counts:
                source.good_run += 1
                if source.good_run >= GOOD_RUN:
                    source.skewed = False
                    cause = self.this_record()
                    self.floor.outlet.clear(TIME_SKEW, source.src, t, &cause)
            return t
        source.good_run = 0
        if not source.skewed:
            source.skewed = True
            cause = self.this_record()
            ms = (t - t_rx) // MS - ((t - t_rx) % MS < 0)
            self.floor.outlet.raise_(TIME_SKEW, source.src, t_rx, &cause, f"{ms} ms")
        return t_rx

    cdef int arrive(self, Source* source, int64_t t, int64_t t_rx) except -1:
        """R2: a record that is not `hist` moves its source's watermark; the source is in from now on."""
        cdef bint back = t_rx < source.last_rx
        source.last_rx = t_rx
        if back:
            presence.restore_order(self.state, source)
        if t - source.disorder > source.watermark:
            source.watermark = t - source.disorder
            if source == self.laggard:
                self.laggard = NULL
        if not source.live:
            source.live = True
            presence.join(self.floor.store, self.state, source)     # cold
            self.laggard = NULL
            self.next_leave = min(self.next_leave, t_rx + source.idle)
        return 0

    cdef int leave(self, Source* source) except -1:
        """R2: its link is down, or it has been silent for `idle_source_ms`: it holds the watermark back no longer."""
        if source.live:
            source.live = False
            presence.leave(self.state, source)
            self.laggard = NULL
        return 0

    # ------------------------------------------------------------------------------------------ the two clocks

    cdef int advance_wall(self, int64_t wall) except -1:
        """R4: a jump is taken in the order of what falls due within it; a leaving, and what the watermark then passes,
        before a bound that lies later."""
        cdef Source* leaver = NULL
        cdef int64_t bound, mark, due
        if wall == ABSENT:              # nothing has come yet
            return 0
        while True:
            if wall >= self.next_leave:
                leaver = presence.first_to_leave(self.state)
                self.next_leave = leaver.last_rx + leaver.idle if leaver != NULL else NEVER
            bound = due = NEVER
            if self.floor.by_wall.is_due(wall + 1):
                bound = self.floor.by_wall.next_due()
            if not self.is_anyone_in() and self.floor.by_watermark.is_due(wall - self.idle):
                due = self.floor.by_watermark.next_due()
            mark = due + self.idle + 1 if due != NEVER else NEVER
            if min(self.next_leave, bound, mark) > wall:
                break
            self.state.wall = max(self.state.wall, min(self.next_leave, bound, mark))
            if self.next_leave <= bound and self.next_leave <= mark:
                self.leave(leaver)
                self.follow_sources()
            elif mark <= bound:
                self.advance_watermark(due + 1)
            else:
                self.due_by_wall()
        self.state.wall = max(self.state.wall, wall)
        if not self.is_anyone_in():
            self.advance_watermark(self.state.wall - self.idle)
        return 0

    cdef int follow_sources(self) except -1:
        """R2: the partition's watermark is the least over the sources that are in; with none in, the wall clock less
        `idle_source_ms`."""
        if not self.is_anyone_in():
            return self.advance_watermark(self.state.wall - self.idle) if self.state.wall != ABSENT else 0
        if self.laggard == NULL:
            self.laggard = presence.laggard(self.state)
        return self.advance_watermark(self.laggard.watermark)

    cdef int advance_watermark(self, int64_t mark) except -1:
        """R2, R4: everything that the watermark passes on its way is decided in order of due time; it never goes back."""
        mark = max(mark, self.state.watermark)
        while self.floor.by_watermark.is_due(mark):
            self.state.watermark = max(self.state.watermark, self.floor.by_watermark.soonest + 1)
            self.due_by_watermark()
        self.state.watermark = mark
        return 0

    cdef int due_by_watermark(self) except -1:
        """Decide the first entry of `by_watermark`."""
        raise NotImplementedError

    cdef int due_by_wall(self) except -1:
        """Decide the first entry of `by_wall`."""
        raise NotImplementedError
