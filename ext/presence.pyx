# cython: boundscheck=False, wraparound=False, cdivision=True
"""Who is in (R2): see presence.pxd."""

from libc.stdint cimport int32_t, int64_t

from ext.store cimport List, last, length, nth, remove_at, set_nth

cdef enum Order:
    BY_WATERMARK, BY_LEAVING, ORDERS


cdef inline int64_t rank_of(const Source* source, int order) noexcept:
    """Where it belongs now."""
    return source.watermark if order == BY_WATERMARK else source.last_rx + source.idle


cdef int join(Store store, State* state, Source* source) except -1:
    cdef int order
    for order in range(ORDERS):
        store.append(&state.live[order], source)
        source.placed[order] = rank_of(source, order)
        rise(&state.live[order], order, length(state.live[order]) - 1, source)
    return 0


cdef void leave(State* state, Source* source) noexcept:
    cdef Source* moved
    cdef int32_t at, count
    cdef int order
    for order in range(ORDERS):
        at, count = source.at[order], length(state.live[order]) - 1
        moved = <Source*>last(state.live[order])
        remove_at(&state.live[order], count)
        if at < count:
            sink(&state.live[order], order, rise(&state.live[order], order, at, moved), moved)


cdef void restore_order(State* state, Source* source) noexcept:
    """Its moment of leaving may be earlier than it was: by the clock that it is received with, or by its settings."""
    if source.live and rank_of(source, BY_LEAVING) < source.placed[<int>BY_LEAVING]:
        source.placed[<int>BY_LEAVING] = rank_of(source, BY_LEAVING)
        rise(&state.live[<int>BY_LEAVING], BY_LEAVING, source.at[<int>BY_LEAVING], source)


cdef Source* laggard(State* state) noexcept:
    """R2: the one with the least watermark; NULL: none is in."""
    return first_by(&state.live[<int>BY_WATERMARK], BY_WATERMARK)


cdef Source* first_to_leave(State* state) noexcept:
    """NULL: none is in."""
    return first_by(&state.live[<int>BY_LEAVING], BY_LEAVING)


cdef Source* first_by(List** live, int order) noexcept:
    cdef Source* source
    while length(live[0]):
        source = <Source*>nth(live[0], 0)
        if source.placed[order] == rank_of(source, order):
            return source
        source.placed[order] = rank_of(source, order)
        sink(live, order, 0, source)
    return NULL


cdef int32_t rise(List** live, int order, int32_t at, Source* source) noexcept:
    """Give it the free place `at`, or a better one: returns which."""
    cdef int32_t parent
    while at > 0:
        parent = (at - 1) // 2
        if placed(live, order, parent) <= source.placed[order]:
            break
        stand(live, order, at, <Source*>nth(live[0], parent))
        at = parent
    stand(live, order, at, source)
    return at


cdef void sink(List** live, int order, int32_t at, Source* source) noexcept:
    """Give it the free place `at`, or a worse one."""
    cdef int32_t child = 2 * at + 1, count = length(live[0])
    while child < count:
        if child + 1 < count and placed(live, order, child + 1) < placed(live, order, child):
            child += 1
        if placed(live, order, child) >= source.placed[order]:
            break
        stand(live, order, at, <Source*>nth(live[0], child))
        at, child = child, 2 * child + 1
    stand(live, order, at, source)


cdef inline void stand(List** live, int order, int32_t at, Source* source) noexcept:
    set_nth(live, at, source)
    source.at[order] = at


cdef inline int64_t placed(List** live, int order, int32_t at) noexcept:
    return (<Source*>nth(live[0], at)).placed[order]
