"""Time, sources, duplicates (R1-R6): see clocks.pxd."""

from ext cimport gaps
from ext.batch cimport ABSENT
from ext.floor cimport Floor
from ext.timers cimport NEVER

from ext.floor import DEFAULTS

from libc.stdlib cimport free, realloc
from libc.string cimport memmove

cdef int64_t MS = 1000
cdef Py_ssize_t INTERVALS_MAX = 4096    # a source with more holes than this forgets its oldest numbers
cdef Py_ssize_t SUBS_MAX = 65536
cdef Py_ssize_t EPOCHS_MAX = 8
cdef Py_ssize_t CONTENTS_MAX = 1 << 18
cdef int64_t GOOD_RUN = 100             # R1: records in a row inside the bound that end a skew


cdef class Seen:
    def __dealloc__(self):
        free(self.intervals)

    cdef bint add(self, int64_t seq, int64_t sub, int64_t t, int64_t lateness) except -1:
        """Note a number. False: it was there already, inside `lateness`."""
        cdef int64_t key
        self.jumped = self.filled = False
        if sub == 0:
            return self.add_number(seq, t, lateness)
        if self.subs is None:
            self.subs = {}
        key = seq << 16 | (sub & 0xFFFF)
        if key in self.subs:
            return t - <int64_t>self.subs[key] > lateness
        self.subs[key] = t
        if len(self.subs) > SUBS_MAX:
            del self.subs[next(iter(self.subs))]
        return True

    cdef bint add_number(self, int64_t seq, int64_t t, int64_t lateness) except -1:
        cdef Py_ssize_t i = self.count - 1
        cdef Interval* here
        self.jumped = False
        self.filled = i >= 0 and seq < self.intervals[i].high
        while i >= 0 and self.intervals[i].low > seq:       # numbers mostly come in order: look from the end
            i -= 1
        if i >= 0:
            here = &self.intervals[i]
            if seq <= here.high:
                if t - here.t <= lateness:
                    return False
                self.count = i                              # the counter runs anew without a new epoch
                i -= 1
            elif seq == here.high + 1:
                here.high = seq
                here.t = max(here.t, t)
                if i + 1 < self.count and self.intervals[i + 1].low == seq + 1:
                    here.high = self.intervals[i + 1].high
                    here.t = max(here.t, self.intervals[i + 1].t)
                    self.remove(i + 1)
                return True
        if i + 1 < self.count and self.intervals[i + 1].low == seq + 1:
            self.intervals[i + 1].low = seq
            self.intervals[i + 1].t = max(self.intervals[i + 1].t, t)
            return True
        if i >= 0 and i == self.count - 1:
            self.jumped = True
            self.hole_low, self.hole_high, self.hole_t = self.intervals[i].high + 1, seq - 1, self.intervals[i].t
        self.insert(i + 1, seq, t)
        return True

    def remove(self, Py_ssize_t i):
        memmove(&self.intervals[i], &self.intervals[i + 1], (self.count - i - 1) * sizeof(Interval))
        self.count -= 1

    def insert(self, Py_ssize_t i, int64_t seq, int64_t t):
        cdef void* bigger
        if self.count == INTERVALS_MAX:
            if i == 0:
                return
            self.remove(0)
            i -= 1
        if self.count == self.capacity:
            bigger = realloc(self.intervals, max(4, 2 * self.capacity) * sizeof(Interval))
            if bigger == NULL:
                raise MemoryError
            self.intervals = <Interval*>bigger
            self.capacity = max(4, 2 * self.capacity)
        memmove(&self.intervals[i + 1], &self.intervals[i], (self.count - i) * sizeof(Interval))
        self.intervals[i].low = self.intervals[i].high = seq
        self.intervals[i].t = t
        self.count += 1

    def state(self):
        """For a snapshot: the intervals and the numbers of telegrams with several facts."""
        return [(self.intervals[i].low, self.intervals[i].high, self.intervals[i].t)
                for i in range(self.count)], self.subs

    def set_state(self, tuple state):
        self.subs = state[1]
        for low, high, t in state[0]:
            self.insert(self.count, low, t)
            self.intervals[self.count - 1].high = high


cdef class Source:
    def __init__(self):
        self.greatest = self.watermark = self.last_rx = ABSENT
        self.seq = ABSENT
        self.epochs = {}
        self.contents = {}

    cdef bint is_new(self, int64_t epoch, int64_t seq, int64_t sub, int64_t t, int64_t lateness) except -1:
        """R5: note the number; False: the same `dev_id` was here before."""
        if self.seen is None or epoch != self.seen_epoch:
            self.seen = self.epochs.get(epoch)
            self.seen_epoch = epoch
            if self.seen is None:
                self.seen = self.epochs[epoch] = Seen.__new__(Seen)
                if len(self.epochs) > EPOCHS_MAX:
                    del self.epochs[min(self.epochs)]
        if epoch > self.epoch or self.seq == ABSENT:
            self.epoch, self.seq = epoch, seq
        elif epoch == self.epoch and seq > self.seq:
            self.seq = seq
        return self.seen.add(seq, sub, t, lateness)

    cdef bint is_new_content(self, bytes digest, int64_t t_rx) except -1:
        """R5 without numbers: the same content within `dedupe_noseq_ms` is a duplicate."""
        cdef object first = self.contents.get(digest)
        if first is not None and t_rx - <int64_t>first <= self.dedupe_noseq:
            return False
        self.contents.pop(digest, None)
        self.contents[digest] = t_rx
        while len(self.contents) > 1:
            digest = next(iter(self.contents))
            if t_rx - <int64_t>self.contents[digest] <= self.dedupe_noseq and len(self.contents) <= CONTENTS_MAX:
                break
            del self.contents[digest]
        return True


cdef class Clocks:
    def __init__(self, Floor floor, dict rules, list settings):
        self.floor = floor
        self.defaults = {**DEFAULTS, **rules}
        self.idle = self.defaults["idle_source_ms"] * MS
        self.settings = sorted(settings, key=lambda pair: len(pair[0]), reverse=True)
        self.sources_ = []
        self.live = []
        self.next_leave = NEVER
        self.greatest = ABSENT

    cdef Source source(self, int32_t number):
        """The source of a src; made with its parameters when it is first met."""
        cdef Source source
        if number < len(self.sources_):
            source = <Source>self.sources_[number]
            if source is not None:
                return source
        else:
            self.sources_.extend([None] * (number + 1 - len(self.sources_)))
        source = Source()
        source.number = number
        source.name = self.floor.texts.get(number)
        self.configure(source)
        self.sources_[number] = source
        return source

    cdef int configure(self, Source source) except -1:
        """Its parameters: the site's, and what its own table repeats."""
        values = self.defaults
        for prefix, given in self.settings:
            if source.name == prefix or source.name.startswith(prefix + "/"):
                values = {**values, **given}
                break
        source.skew_max = values["skew_max_ms"] * MS
        source.disorder = values["disorder_ms"] * MS
        source.idle = values["idle_source_ms"] * MS
        source.dedupe_noseq = values["dedupe_noseq_ms"] * MS
        source.gap_hold = values["gap_hold_ms"] * MS
        return 0

    cdef bint note(self, Source source, int64_t epoch, int64_t seq, int64_t sub, int64_t t, bint live) except -1:
        """R5, R6: note a record's number (ABSENT: none). False: the same `dev_id` was here before."""
        cdef int64_t last_epoch = source.epoch, last_seq = source.seq
        cdef bint new = True
        if seq != ABSENT:
            new = source.is_new(epoch, seq, sub, t, self.floor.rules.lateness)
            if source.seen.jumped:
                gaps.open_gap(self.floor, source.number, source.gap_hold, source.seen.hole_t, t, epoch,
                              source.seen.hole_low, source.seen.hole_high)
                source.gaps += 1
            elif source.seen.filled and new and self.floor.gaps:
                gaps.fill(self.floor, source.number, epoch, seq)
        if live and new and source.down is not None:        # what a broker sends again says nothing of the time between
            self.link_up(source, seq != ABSENT and epoch == last_epoch and seq == last_seq + 1, t)
        return new

    cdef int link_down(self, Source source) except -1:
        """R2: it leaves. R6: from its last record on it is a gap."""
        self.leave(source)
        if source.down is None and source.greatest != ABSENT:
            source.down = gaps.open_gap(self.floor, source.number, source.gap_hold, source.greatest, NEVER, 0, -1, -1)
            self.floor.outlet.raise_("SRC_DOWN", source.name, self.floor.wall, source.name, "")
        return 0

    def link_up(self, Source source, bint follows_on, int64_t t):
        """R6: its first live record ends the gap; if its number follows on, there was none."""
        source.down.t_to = t
        if follows_on:
            gaps.close_gap(self.floor, source.down, f"{source.name}/{source.epoch}/{source.seq}/0")
        else:
            source.gaps += 1
        source.down = None
        self.floor.outlet.clear("SRC_DOWN", source.name, t, source.name)

    cdef int64_t event_time(self, Source source, int64_t t, int64_t t_rx, bint hist, bint context) except? -1:
        """R1: what the source says if it can be believed, else when it was received."""
        if t == ABSENT:
            return t_rx
        if t - t_rx <= source.skew_max and (hist or context or t_rx - t <= source.skew_max):
            if source.skewed and not (hist or context):
                source.good_run += 1
                if source.good_run >= GOOD_RUN:
                    source.skewed = False
                    self.floor.outlet.clear("TIME_SKEW", source.name, t, source.name)
            return t
        source.good_run = 0
        if not source.skewed:
            source.skewed = True
            self.floor.outlet.raise_("TIME_SKEW", source.name, t_rx, source.name, f"{(t - t_rx) // MS} ms")
        return t_rx

    cdef int arrive(self, Source source, int64_t t, int64_t t_rx) except -1:
        """R2: a record that is not `hist` moves its source's watermark; the source is in from now on."""
        source.last_rx = t_rx
        if t > source.greatest:
            source.greatest = t
            source.watermark = max(source.watermark, t - source.disorder)
            if source is self.laggard:
                self.laggard = None
        if not source.live:
            source.live = True
            self.live.append(source)
            self.laggard = None
            self.next_leave = min(self.next_leave, t_rx + source.idle)
        return 0

    cdef int leave(self, Source source) except -1:
        if source.live:
            source.live = False
            self.live.remove(source)
            self.laggard = None
        return 0

    cdef int advance_wall(self, int64_t wall) except -1:
        """R4: a jump is taken in the order of what falls due within it; a leaving, and what the watermark then passes,
        before a bound that lies later."""
        cdef Source leaver
        cdef int64_t leave, bound, mark, due
        while True:
            leaver = self.first_to_leave()
            leave = leaver.last_rx + leaver.idle if leaver is not None else NEVER
            bound = self.floor.by_wall.next_due()
            due = self.floor.by_watermark.next_due() if not self.live else NEVER
            mark = due + self.idle + 1 if due < NEVER - self.idle - 1 else NEVER
            if min(leave, bound, mark) > wall:
                break
            self.floor.wall = max(self.floor.wall, min(leave, bound, mark))
            if leave <= bound and leave <= mark:
                self.leave(leaver)
                self.follow_sources()
            elif mark <= bound:
                self.advance_watermark(due + 1)
            else:
                self.due_by_wall()
        self.next_leave = leave
        self.floor.wall = max(self.floor.wall, wall)
        if not self.live:
            self.advance_watermark(self.floor.wall - self.idle)
        return 0

    def first_to_leave(self):
        cdef Source source, first = None
        for source in self.live:
            if first is None or source.last_rx + source.idle < first.last_rx + first.idle:
                first = source
        return first

    cdef int follow_sources(self) except -1:
        """R2: the partition's watermark is the least over the sources that are in; with none in, the wall clock less
        `idle_source_ms`."""
        cdef Source source
        if not self.live:
            return self.advance_watermark(self.floor.wall - self.idle)
        if self.laggard is None:
            for source in self.live:
                if self.laggard is None or source.watermark < self.laggard.watermark:
                    self.laggard = source
        return self.advance_watermark(self.laggard.watermark)

    cdef int advance_watermark(self, int64_t mark) except -1:
        """Everything that the watermark passes on its way is decided in order of due time; it never goes back."""
        cdef Floor floor = self.floor
        cdef int64_t due
        mark = max(mark, floor.watermark)
        while True:
            due = floor.by_watermark.next_due()
            if due >= mark:
                break
            floor.watermark = max(floor.watermark, due + 1)
            self.due_by_watermark()
        floor.watermark = mark
        return 0

    cdef int due_by_watermark(self) except -1:
        """Decide the first entry of `by_watermark`."""
        raise NotImplementedError

    cdef int due_by_wall(self) except -1:
        """Decide the first entry of `by_wall`."""
        raise NotImplementedError
