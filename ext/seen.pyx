# cython: boundscheck=False, wraparound=False
"""Duplicates (R5): see seen.pxd. Hot: `add`, `add_number`."""

from libc.string cimport memmove

from ext.batch cimport ABSENT
from ext.sources cimport Interval
from ext.state cimport B_SEEN
from ext.store cimport B_BYTES, B_PLAIN_TABLE, Table, find, length, nth, remove_at

cdef int INTERVALS_MAX = 4096       # a source with more holes than this forgets its oldest numbers
cdef int64_t SUBS_MAX = 65536       # numbers with a `sub`
cdef int EPOCHS_MAX = 8
cdef int64_t CONTENTS_MAX = 1 << 18


cdef bint add(Store store, Source* source, int64_t epoch, int64_t seq, int64_t sub, int64_t t, int64_t lateness,
              Hole* hole) except -1:
    """Note a number. False: the same `dev_id` was here before, inside `lateness`."""
    hole.jumped = hole.filled = False
    if source.seen == NULL or source.seen.epoch != epoch:
        choose_epoch(store, source, epoch)
    if epoch > source.epoch or source.seq == ABSENT:
        source.epoch, source.seq = epoch, seq
    elif epoch == source.epoch and seq > source.seq:
        source.seq = seq
    if sub != 0:
        return add_sub(store, source.seen, seq, sub, t, lateness)
    return add_number(store, source.seen, seq, t, lateness, hole)


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
    cdef int i = seen.count - 1
    cdef Interval* here
    cdef Interval* after
    if i >= 0 and seq == seen.intervals[i].high + 1:            # the usual case
        seen.intervals[i].high = seq
        if t > seen.intervals[i].t:
            seen.intervals[i].t = t
        return True
    hole.filled = i >= 0 and seq < seen.intervals[i].high
    while i >= 0 and seen.intervals[i].low > seq:
        i -= 1
    after = &seen.intervals[i + 1] if i + 1 < seen.count else NULL
    if i >= 0:
        here = &seen.intervals[i]
        if seq <= here.high:
            if t - here.t <= lateness:
                return False
            seen.count = i                                      # the counter has begun anew without a new epoch
            i -= 1
            after = NULL
        elif seq == here.high + 1:
            here.high = seq
            here.t = max(here.t, t)
            if after != NULL and after.low == seq + 1:
                here.high = after.high
                here.t = max(here.t, after.t)
                cut(seen, i + 1)
            return True
    if after != NULL and after.low == seq + 1:
        after.low = seq
        after.t = max(after.t, t)
        return True
    if i >= 0 and i == seen.count - 1:
        hole.jumped = True
        hole.low, hole.high, hole.t = seen.intervals[i].high + 1, seq - 1, seen.intervals[i].t
    insert(store, seen, i + 1, seq, t)
    return True


cdef int cut(Seen* seen, int i) except -1:
    memmove(&seen.intervals[i], &seen.intervals[i + 1], (seen.count - i - 1) * sizeof(Interval))
    seen.count -= 1
    return 0


cdef int insert(Store store, Seen* seen, int i, int64_t seq, int64_t t) except -1:
    cdef Interval* bigger
    cdef int k
    if seen.count == INTERVALS_MAX:
        if i == 0:
            return 0
        cut(seen, 0)
        i -= 1
    if seen.count == seen.capacity:
        bigger = <Interval*>store.new(B_BYTES, max(4, 2 * seen.capacity) * sizeof(Interval))
        for k in range(seen.count):
            bigger[k] = seen.intervals[k]
        store.free(seen.intervals)
        seen.intervals = bigger
        seen.capacity = max(4, 2 * seen.capacity)
    memmove(&seen.intervals[i + 1], &seen.intervals[i], (seen.count - i) * sizeof(Interval))
    seen.intervals[i] = Interval(low=seq, high=seq, t=t)
    seen.count += 1
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


cdef bint add_sub(Store store, Seen* seen, int64_t seq, int64_t sub, int64_t t, int64_t lateness) except -1:
    """Telegrams with several facts: their further numbers, the oldest half forgotten when it is full."""
    cdef uint64_t key = <uint64_t>seq << 16 | <uint64_t>(sub & 0xFFFF)
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
    if known != NULL:
        return t - as_time(known) > lateness
    store.put(seen.subs, key, as_value(t))
    return True


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
