"""Which records of a source were here before (R5): by number, or by content where it does not number."""

from libc.stdint cimport int64_t, uint64_t

from ext.sources cimport Interval, Seen, Source
from ext.store cimport Store


cdef struct Hole:
    # What a number says of its neighbours (R6).
    bint jumped             # there is a hole beside it: low..high, between the event times of its neighbours
    bint early              # after it, for it came before the lowest so far
    bint filled             # it came after a greater one
    int64_t low
    int64_t high
    int64_t t_from
    int64_t t_to


cdef inline bint follows_on(Source* source, int64_t epoch, int64_t seq, int64_t sub, int64_t t) noexcept:
    """Note a number that comes right after the last one of its epoch, as it mostly does. False: nothing was noted."""
    cdef Seen* seen = source.seen
    cdef Interval* youngest
    if seen == NULL or seen.epoch != epoch or sub != 0 or epoch != source.epoch or seen.count == 0:
        return False
    youngest = &seen.intervals[seen.count - 1]
    if seq != youngest.high + 1 or t > youngest.until:
        return False
    youngest.high = source.seq = seq
    youngest.last = t
    if t > youngest.t:
        youngest.t = t
    return True


cdef bint add(Store store, Source* source, int64_t epoch, int64_t seq, int64_t sub, int64_t t, int64_t lateness,
              Hole* hole) except -1
cdef bint add_content(Store store, Source* source, uint64_t digest, int64_t t_rx) except -1
