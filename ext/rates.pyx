# cython: boundscheck=False, wraparound=False, cdivision=True
"""What is usual of a source: see rates.pxd."""

from ext.batch cimport ABSENT
from ext.exceptions cimport SRC_RATE
from ext.keys cimport text_key
from ext.outlet cimport named_source
from ext.state cimport Fact
from ext.store cimport find
from ext.timers cimport RANK_CONTEXT

cdef enum:
    SCALE = 1 << 10         # of `usual`: records a minute in 1/1024
    LEARNED = 60            # minutes before anything is unusual
    REMEMBERED = 240        # minutes that the mean looks back
    DOUBT = 16              # four standard deviations, squared: so far a few records a minute stray by chance


cdef int begin_minute(Floor floor, Source* source, int64_t t_rx) except -1:
    """The first record of a minute. A source that is to be watched is so from here on: the clock ends its minutes."""
    cdef int64_t minute = t_rx - t_rx % MINUTE
    source.ahead_before = source.ahead if minute == source.minute + MINUTE else ABSENT
    source.ahead = ABSENT
    source.minute = minute
    if source.rate_band and not source.watched:
        source.watched, source.usual, source.minutes = True, 0, 0
        source.heard = -1           # the rest of a minute says nothing
        floor.by_wall.push(minute + MINUTE, RANK_CONTEXT, text_key(source.src), source, TAG_MINUTE, 0)
    return 0


cdef int minute_over(Floor floor, Source* source, int64_t wall) except -1:
    """A minute of a watched source has ended at `wall`, with or without a record of it."""
    cdef Fact cause = named_source(source.src)
    if <Source*>find(floor.state.sources, source.src) != source:
        return 0                    # it was forgotten
    if source.rate_band == 0:       # the rules have changed
        source.watched = False
        return floor.outlet.clear(SRC_RATE, source.src, wall, &cause)
    if source.down == NULL and source.heard >= 0:
        judge(floor, source, source.heard, wall, &cause)
    source.heard = 0 if source.down == NULL else -1
    return floor.by_wall.push(wall + MINUTE, RANK_CONTEXT, text_key(source.src), source, TAG_MINUTE, 0)


cdef int judge(Floor floor, Source* source, int64_t heard, int64_t wall, const Fact* cause) except -1:
    cdef int64_t usual = source.usual, count = heard * SCALE, off = count - usual
    if source.minutes >= LEARNED:
        if (count * source.rate_band < usual or count > usual * source.rate_band) and off // SCALE * off > DOUBT * usual:
            floor.outlet.raise_(SRC_RATE, source.src, wall, cause, f"{heard} records a minute, usually {usual // SCALE}")
        else:
            floor.outlet.clear(SRC_RATE, source.src, wall, cause)
    source.minutes = min(source.minutes + 1, REMEMBERED)
    source.usual += off // source.minutes
    return 0


cdef int64_t ahead_us(const Source* source) noexcept:
    """How far its clock is ahead of ours, as the last minute or two have it; ABSENT: it told no time."""
    return max(source.ahead, source.ahead_before)
