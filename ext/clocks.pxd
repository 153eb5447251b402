"""Time (R1-R4a): sources, the wall clock that is the greatest `t_rx`, the watermark that is the least over the sources.

`Clocks` moves the two clocks and asks `due` (overridden by the core) to decide what each step makes due. Nothing here
reads a real clock.
"""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Floor, Gap


cdef struct Interval:
    int64_t low
    int64_t high
    int64_t t               # greatest event time of a number in it


cdef class Seen:
    """Which sequence numbers of one (src, epoch) were seen: sorted intervals, not a set (R5)."""
    cdef Interval* intervals
    cdef Py_ssize_t count
    cdef Py_ssize_t capacity
    cdef bint jumped        # the last number left a hole before it: hole_low..hole_high, after event time hole_t
    cdef bint filled        # the last number filled a hole
    cdef int64_t hole_low
    cdef int64_t hole_high
    cdef int64_t hole_t
    cdef dict subs          # seq << 16 | sub, for telegrams with several facts; bounded, the oldest go first

    cdef bint add(self, int64_t seq, int64_t sub, int64_t t, int64_t lateness) except -1
    cdef bint add_number(self, int64_t seq, int64_t t, int64_t lateness) except -1


cdef class Source:
    cdef int32_t number
    cdef str name
    cdef int64_t skew_max
    cdef int64_t disorder
    cdef int64_t idle
    cdef int64_t dedupe_noseq
    cdef int64_t gap_hold
    cdef bint live              # it is in: it holds the partition's watermark
    cdef int64_t greatest       # event time
    cdef int64_t watermark
    cdef int64_t last_rx
    cdef int64_t records
    cdef int64_t gaps
    cdef int64_t epoch          # of the last record, with its number
    cdef int64_t seq
    cdef bint skewed
    cdef Gap down               # R6: the link is down; None: it is not
    cdef int64_t good_run
    cdef dict epochs            # epoch -> Seen, the last few
    cdef Seen seen              # that of `seen_epoch`, the last one asked for
    cdef int64_t seen_epoch
    cdef dict contents          # digest of an unnumbered record -> its t_rx, oldest first

    cdef bint is_new(self, int64_t epoch, int64_t seq, int64_t sub, int64_t t, int64_t lateness) except -1
    cdef bint is_new_content(self, bytes digest, int64_t t_rx) except -1


cdef class Clocks:
    cdef Floor floor
    cdef int64_t idle           # of the partition, with no source in
    cdef list sources_          # by number of the src; None where a number is no source
    cdef list live              # Source
    cdef Source laggard         # the live source with the least watermark; None: to be looked for
    cdef int64_t next_leave     # lower bound of the next leave
    cdef list settings          # (src or prefix, parameters)
    cdef dict defaults
    cdef int64_t greatest       # event time of all

    cdef Source source(self, int32_t number)
    cdef int configure(self, Source source) except -1
    cdef bint note(self, Source source, int64_t epoch, int64_t seq, int64_t sub, int64_t t, bint live) except -1
    cdef int link_down(self, Source source) except -1
    cdef int64_t event_time(self, Source source, int64_t t, int64_t t_rx, bint hist, bint context) except? -1
    cdef int arrive(self, Source source, int64_t t, int64_t t_rx) except -1
    cdef int leave(self, Source source) except -1
    cdef int advance_wall(self, int64_t wall) except -1
    cdef int advance_watermark(self, int64_t mark) except -1
    cdef int follow_sources(self) except -1
    cdef int due_by_watermark(self) except -1
    cdef int due_by_wall(self) except -1
