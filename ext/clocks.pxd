"""Time (R1-R4a): sources, the wall clock that is the greatest `t_rx`, the watermark that is the least over the sources.

`Clocks` moves the two clocks and asks `due_by_*` (overridden in `due`) to decide what each step makes due. Nothing
here reads a real clock.
"""

from libc.stdint cimport int32_t, int64_t

from ext.batch cimport ABSENT
from ext.floor cimport Floor
from ext.rates cimport MINUTE, begin_minute
from ext.seen cimport follows_on
from ext.sources cimport Source
from ext.state cimport Fact, State
from ext.store cimport length

cdef extern from *:
    void ask_for "__builtin_prefetch"(const void* at) noexcept nogil

cdef enum:
    MET = 4096              # sources that are found without a table: a power of two


cdef class Clocks:
    cdef Floor floor
    cdef State* state
    cdef int64_t idle           # of the partition, with no source in
    cdef Source* laggard        # the live source with the least watermark; NULL: to be looked for
    cdef int64_t next_leave     # lower bound of the next leave
    cdef list settings          # (src or prefix, parameters)
    cdef dict defaults
    cdef Source* met[MET]       # by number of the src, modulo MET: the one of these that spoke last; NULL: none

    cdef inline Source* source(self, int32_t number) except NULL:
        """The source of a src; made with its parameters when it is first met."""
        cdef Source* known = self.met[number & (MET - 1)]
        return known if known != NULL and known.src == number else self.meet(number)

    cdef inline void ask_for_source(self, int32_t number) noexcept:
        """That of the next record is mostly not in the cache: it comes while this record is taken."""
        cdef const char* at = <const char*>self.met[number & (MET - 1)]
        cdef size_t line
        if at != NULL:
            for line in range(0, sizeof(Source), 64):
                ask_for(at + line)

    cdef Source* meet(self, int32_t number) except NULL
    cdef void forget_met(self) noexcept
    cdef int configure(self, Source* source) except -1
    cdef inline bint note_next(self, Source* source, int64_t epoch, int64_t seq, int64_t sub, int64_t t, bint live) except -1:
        """`note`, with what is mostly the case told without a call."""
        if source.down == NULL and (seq == ABSENT or follows_on(source, epoch, seq, sub, t)):
            return True
        return self.note(source, epoch, seq, sub, t, live)

    cdef inline int64_t time_of(self, Source* source, int64_t t, int64_t t_rx, bint hist) except? -1:
        """`event_time` of a device's record, likewise."""
        if t == ABSENT:
            return t_rx
        if -source.skew_max <= t - t_rx <= source.skew_max and not source.skewed:
            return t
        return self.event_time(source, t, t_rx, hist, False)

    cdef inline int64_t date_record(self, Source* source, int64_t t, int64_t t_rx, bint hist) except? -1:
        """Count a device's record, noise or not, and say when it happened."""
        t = self.time_of(source, t, t_rx, hist)
        source.records += 1
        source.syncing = hist
        if t > source.greatest:
            source.greatest = t
            if t > self.state.greatest:
                self.state.greatest = t
        return t

    cdef inline int count_for_rate(self, Source* source, int64_t t, int64_t t_rx) except -1:
        """A live record, noise or not; `t` as it says itself."""
        if t_rx >= source.minute + MINUTE:
            begin_minute(self.floor, source, t_rx)
        source.heard += source.heard >= 0
        if t != ABSENT and t - t_rx > source.ahead:
            source.ahead = t - t_rx
        return 0

    cdef inline bint is_anyone_in(self) noexcept:
        return length(self.state.live[0]) > 0

    cdef inline bint is_behind(self) noexcept:
        """Nothing has moved that could decide anything."""
        return (self.laggard != NULL and self.laggard.watermark <= self.state.watermark
                and self.floor.by_watermark.soonest >= self.state.watermark)

    cdef bint note(self, Source* source, int64_t epoch, int64_t seq, int64_t sub, int64_t t, bint live) except -1
    cdef Fact this_record(self) except *
    cdef int link_down(self, Source* source, int32_t speaker, int64_t t) except -1
    cdef int link_up(self, Source* source, int32_t speaker, int64_t t) except -1
    cdef int speaks_again(self, Source* source, bint follows_on, int64_t t) except -1
    cdef int64_t event_time(self, Source* source, int64_t t, int64_t t_rx, bint hist, bint context) except? -1
    cdef int64_t doubted_time(self, Source* source, int64_t t, int64_t t_rx, bint counts, bint believed) except? -1
    cdef int arrive(self, Source* source, int64_t t, int64_t t_rx) except -1
    cdef int leave(self, Source* source) except -1
    cdef int advance_wall(self, int64_t wall) except -1
    cdef int advance_watermark(self, int64_t mark) except -1
    cdef int follow_sources(self) except -1
    cdef int due_by_watermark(self) except -1
    cdef int due_by_wall(self) except -1
