# cython: boundscheck=False, wraparound=False, cdivision=True
"""Duplicates (R5): see seen.pxd. Hot: `add`, `add_number`."""

from libc.stdlib cimport llabs
from libc.string cimport memmove

from ext.batch cimport ABSENT
from ext.sources cimport Interval
from ext.state cimport B_SEEN
from ext.store cimport B_BYTES, B_PLAIN_TABLE, Table, find, length, nth, remove_at

cdef int INTERVALS_MAX = 4096       # a source with more holes than this forgets its oldest numbers
cdef int GRAINS = 16                # in one `lateness`: how well it is known when a number was here
cdef int64_t SUBS_MAX = 65536       # numbers with a `sub`
cdef int EPOCHS_MAX = 8
cdef int64_t CONTENTS_MAX = 1 << 18


cdef bint add(Store store, Source* source, int64_t epoch, int64_t seq, int64_t sub, int64_t t, int64_t lateness,
              Hole* hole) except -1:
    """Note a number. False: the same `dev_id` was here before, inside `lateness`."""
    hole.jumped = hole.early = hole.filled = False
    if source.seen == NULL or source.seen.epoch != epoch:
        choose_epoch(store, source, epoch)
    if epoch > source.epoch or source.seq == ABSENT:
        source.epoch, source.seq = epoch, seq
    elif epoch == source.epoch and seq > source.seq:
        source.seq = seq
    if sub == 0:
        return add_number(store, source.seen, seq, t, lateness, hole) or take_owed(store, source.seen, seq, t, lateness)
    if not add_sub(store, source.seen, sub_key(seq, sub), t, lateness):
        return False
    if add_number(store, source.seen, seq, t, lateness, hole):      # R6: the number is there, whatever `sub` it came with
        store.put(source.seen.subs, sub_key(seq, 0), as_value(t))
    return True


cdef int choose_epoch(Store store, Source* source, int64_t epoch) except -1:
    """The last few are kept; the least goes first."""
    cdef int i, least = 0
    cdef Seen* seen
    source.seen = NULL
    for i in range(length(source.epochs)):
        seen = <Seen*>nth(source.epochs, i)
        if seen.epoch == epoch:
            source.seen = seen
            return 0
        if seen.epoch < (<Seen*>nth(source.epochs, least)).epoch:
            least = i
    seen = <Seen*>store.new(B_SEEN, sizeof(Seen))
    seen.epoch = epoch
    source.seen = seen
    store.append(&source.epochs, seen)
    if length(source.epochs) > EPOCHS_MAX:
        if (<Seen*>nth(source.epochs, least)).epoch > epoch:
            least = length(source.epochs) - 1
        remove_at(&source.epochs, least)
    return 0


cdef bint add_number(Store store, Seen* seen, int64_t seq, int64_t t, int64_t lateness, Hole* hole) except -1:
    """R5: False, if it was here before, inside `lateness`. An interval holds what came within a GRAIN, so that its `t` says of
    all its numbers when they were here; there may be no hole between it and the next."""
    cdef int64_t grain = lateness // GRAINS
    cdef int i = interval_at(seen, seq)
    if i >= 0 and seq <= seen.intervals[i].high:
        if t - seen.intervals[i].t <= lateness:
            return False
        forget_old(seen, t - lateness)                          # the counter has begun anew without a new epoch
        i = interval_at(seen, seq)
    hole.filled = seen.count > 0 and seq < seen.intervals[seen.count - 1].high
    if i >= 0 and seq == seen.intervals[i].high + 1 and t <= seen.intervals[i].until:
        seen.intervals[i].high = seq
        seen.intervals[i].last = t
        seen.intervals[i].t = max(seen.intervals[i].t, t)
        if i + 1 < seen.count and llabs(seen.intervals[i + 1].t - seen.intervals[i].t) <= grain:
            join_next(seen, i)
        return True
    if i + 1 < seen.count and seen.intervals[i + 1].low == seq + 1 and t <= seen.intervals[i + 1].until:
        seen.intervals[i + 1].low = seq
        seen.intervals[i + 1].first = t
        seen.intervals[i + 1].t = max(seen.intervals[i + 1].t, t)
        return True
    if i >= 0 and i == seen.count - 1 and seq > seen.intervals[i].high + 1:
        hole.jumped = True
        hole.low, hole.high = seen.intervals[i].high + 1, seq - 1
        hole.t_from, hole.t_to = seen.intervals[i].last, t
    elif i < 0 and seen.count and seq + 1 < seen.intervals[0].low and t <= seen.intervals[0].first:
        hole.jumped = hole.early = True
        hole.low, hole.high = seq + 1, seen.intervals[0].low - 1
        hole.t_from, hole.t_to = t, seen.intervals[0].first
    return insert(store, seen, Interval(low=seq, high=seq, first=t, last=t, t=t, until=t + grain), t - lateness)


cdef inline int interval_at(const Seen* seen, int64_t seq) noexcept:
    """The last interval that begins at or before a number, -1: none. Looked for from the end: most are young."""
    cdef int i = seen.count - 1
    while i >= 0 and seen.intervals[i].low > seq:
        i -= 1
    return i


cdef int forget_old(Seen* seen, int64_t before) except -1:
    cdef int i, kept = 0
    for i in range(seen.count):
        if seen.intervals[i].t >= before:
            seen.intervals[kept] = seen.intervals[i]
            kept += 1
    seen.count = kept
    return 0


cdef bint join_next(Seen* seen, int i) except -1:
    """Make one of two intervals if there is no hole between them."""
    cdef Interval* here = &seen.intervals[i]
    cdef Interval* after = here + 1
    if here.high + 1 != after.low:
        return False
    here.high, here.last, here.t = after.high, after.last, max(here.t, after.t)
    cut(seen, i + 1)
    return True


cdef int cut(Seen* seen, int i) except -1:
    memmove(&seen.intervals[i], &seen.intervals[i + 1], (seen.count - i - 1) * sizeof(Interval))
    seen.count -= 1
    return 0


cdef bint insert(Store store, Seen* seen, Interval interval, int64_t old) except -1:
    """`old`: of what was here before that nobody asks when it was."""
    cdef int i
    if seen.count == seen.capacity:
        make_room(store, seen, old)
    i = interval_at(seen, interval.low) + 1
    if seen.count == INTERVALS_MAX:
        if i == 0:
            return True
        cut(seen, 0)
        i -= 1
    memmove(&seen.intervals[i + 1], &seen.intervals[i], (seen.count - i) * sizeof(Interval))
    seen.intervals[i] = interval
    seen.count += 1
    return True


cdef int make_room(Store store, Seen* seen, int64_t old) except -1:
    """Old intervals without a hole between them become one; where that leaves little room, the block grows."""
    cdef Interval* bigger
    cdef int i = 0, capacity = min(max(4, 2 * seen.capacity), INTERVALS_MAX)
    while i + 1 < seen.count:
        if seen.intervals[i].t >= old or seen.intervals[i + 1].t >= old or not join_next(seen, i):
            i += 1
    if seen.count < seen.capacity // 4 * 3 or capacity == seen.capacity:
        return 0
    bigger = <Interval*>store.new(B_BYTES, capacity * sizeof(Interval))
    for i in range(seen.count):
        bigger[i] = seen.intervals[i]
    store.free(seen.intervals)
    seen.intervals, seen.capacity = bigger, capacity
    return 0


# ---------------------------------------------------------------------------------------------- two halves of a table

# Times are kept as numbers that are never 0, which stands for a free slot.

cdef inline void* as_value(int64_t t) noexcept:
    return <void*><uint64_t>(<uint64_t>t << 1 | 1)


cdef inline int64_t as_time(void* value) noexcept:
    return <int64_t><uint64_t>value >> 1


cdef int free_table(Store store, Table* table) except -1:
    if table != NULL:
        store.free(table.slots)
        store.free(table)
    return 0


cdef inline uint64_t sub_key(int64_t seq, int64_t sub) noexcept:
    """Two are the same only of numbers that lie billions apart."""
    return <uint64_t>seq * 0x9E3779B97F4A7C15u + <uint64_t>sub


cdef bint add_sub(Store store, Seen* seen, uint64_t key, int64_t t, int64_t lateness) except -1:
    """Telegrams with several facts: their further numbers, the oldest half forgotten when it is full."""
    cdef void* known = NULL
    if seen.subs == NULL:
        seen.subs = store.table(B_PLAIN_TABLE)
    elif seen.subs.count >= SUBS_MAX // 2:
        free_table(store, seen.older_subs)
        seen.older_subs = seen.subs
        seen.subs = store.table(B_PLAIN_TABLE)
    known = find(seen.subs, key)
    if known == NULL and seen.older_subs != NULL:
        known = find(seen.older_subs, key)
    if known != NULL and t - as_time(known) <= lateness:
        return False
    store.put(seen.subs, key, as_value(t))
    return True


cdef bint take_owed(Store store, Seen* seen, int64_t seq, int64_t t, int64_t lateness) except -1:
    """R5: a number came with a later fact of its telegram. Its first fact (`sub` 0) is still owed, and taken once."""
    cdef Table* table = seen.subs
    cdef void* owed = NULL
    cdef Interval* here
    if table != NULL:
        owed = find(table, sub_key(seq, 0))
    if owed == NULL and seen.older_subs != NULL:
        table = seen.older_subs
        owed = find(table, sub_key(seq, 0))
    if owed == NULL:
        return False
    store.drop(table, sub_key(seq, 0))
    here = &seen.intervals[interval_at(seen, seq)]
    if here.t < t <= here.until:
        here.t = t
    return t - as_time(owed) <= lateness


cdef bint add_content(Store store, Source* source, uint64_t digest, int64_t t_rx) except -1:
    """R5 without numbers: the same content within `dedupe_noseq_ms` of one that was taken is a duplicate."""
    cdef void* known = NULL
    if source.contents == NULL:
        source.contents = store.table(B_PLAIN_TABLE)
        source.contents_since = t_rx
    elif t_rx - source.contents_since > source.dedupe_noseq or source.contents.count >= CONTENTS_MAX // 2:
        free_table(store, source.older_contents)
        source.older_contents = source.contents
        source.contents = store.table(B_PLAIN_TABLE)
        source.contents_since = t_rx
    known = find(source.contents, digest)
    if known == NULL and source.older_contents != NULL:
        known = find(source.older_contents, digest)
    if known != NULL and t_rx - as_time(known) <= source.dedupe_noseq:
        return False
    store.put(source.contents, digest, as_value(t_rx))
    return True
