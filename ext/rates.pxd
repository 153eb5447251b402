"""How often a source speaks, and where its clock stands. None of it decides anything but its own alarm.

By the wall clock (`t_rx`), minute by minute. The offset of a clock is seen from its quickest record: the greatest
`t` - `t_rx` of a minute, the way to us counted as if it took no time. What is usual is the mean of the last hours; a minute
far from it (`rate_band`) raises SRC_RATE, the next one inside clears it. While a link is down its silence says nothing.
"""

from libc.stdint cimport int64_t

from ext.floor cimport Floor
from ext.sources cimport Source

cdef enum:
    TAG_MINUTE = 101        # a minute of a watched source is over
    MINUTE = 60_000_000     # microseconds

cdef int begin_minute(Floor floor, Source* source, int64_t t_rx) except -1
cdef int minute_over(Floor floor, Source* source, int64_t wall) except -1
cdef int64_t ahead_us(const Source* source) noexcept
