"""What the order systems said of a line or a task before, and what they have just made known. As in state.pxd."""

from libc.stdint cimport int32_t, int64_t


cdef struct Asked:
    # What was asked for of a line until one of its revisions said otherwise.
    int64_t until               # event time of that revision
    int64_t qty
    int64_t over_tol_pct
    int64_t policy
    int64_t alloc_short


cdef struct FormerTask:
    # From where to where the pieces of a task went until one of its revisions said otherwise.
    int32_t loc                 # 0: it did not say; likewise
    int32_t lu
    int64_t until               # event time of that revision


cdef struct FormerTaskList:
    int32_t count
    int32_t capacity
    FormerTask items[1]


cdef struct AskedList:
    int32_t count
    int32_t capacity
    Asked items[1]


cdef struct Arrived:
    int32_t key                 # a task or order that became known: what waits for it takes effect (R11)
    int32_t is_task


cdef struct ArrivedList:
    int32_t count, capacity
    Arrived items[1]
