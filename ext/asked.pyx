# cython: boundscheck=False, wraparound=False
"""What was asked for of a line: see asked.pxd."""

from libc.stdint cimport int64_t
from libc.string cimport memmove

from ext.kinds cimport K_ORDER_CHANGED
from ext.order_data cimport AskedList, FormerTask, FormerTaskList
from ext.state cimport B_ASKED, B_FORMER_TASK
from ext.timers cimport NEVER

cdef int FORMER_MAX = 16            # revisions of a task that are remembered; the oldest is forgotten first


cdef Asked asked_now(const Line* line) noexcept:
    return Asked(
        until=NEVER, qty=line.qty, over_tol_pct=line.over_tol_pct, policy=line.policy,
        alloc_short=line.changed.alloc_by.qty if line.changed.alloc_by != NULL else 0)


cdef Asked asked_at(const Line* line, int64_t as_of) noexcept:
    cdef Asked found = asked_now(line)
    cdef const Asked* other
    cdef int i
    for i in range(line.changed.before.count if line.changed.before != NULL else 0):
        other = &line.changed.before.items[i]
        if as_of < other.until < found.until:
            found = other[0]
    if line.changed.alloc_t > as_of:
        found.alloc_short = 0
    return found


cdef int remember(Floor floor, Line* line, const Asked* said, int64_t t) except -1:
    """`said`: what it said before a revision of `t`. One that has not changed the line matters to what is stuck alone."""
    cdef Asked now = asked_now(line)
    cdef int count = line.changed.before.count if line.changed.before != NULL else 0
    if (now.qty == said.qty and now.over_tol_pct == said.over_tol_pct and now.policy == said.policy
            and now.alloc_short == said.alloc_short and not floor.rules.stuck):
        return 0
    floor.changing(line).before = <AskedList*>floor.store.room(B_ASKED, line.changed.before, count)
    line.changed.before.items[count] = said[0]
    line.changed.before.items[count].until = t
    return 0


cdef int recall(Floor floor, PickWindow* window) except -1:
    """R27a, R3: a line's window opens with a pick that comes after a revision of its order: it is the window that it would
    be if the pick had come first."""
    cdef const AskedList* before = window.line.changed.before
    cdef Fact* note
    cdef int64_t then
    cdef int i, count = before.count if before != NULL else 0
    for i in range(count):
        then = before.items[i + 1].qty if i + 1 < count else window.q_task
        if before.items[i].qty == then:
            continue
        note = floor.new_fact()
        note.t, note.kind, note.context = before.items[i].until, K_ORDER_CHANGED, True
        note.qty = before.items[i].qty + 1
        floor.insert_sorted(&window.closings, note)
    return 0


cdef int remember_task(Floor floor, PickWindow* window, int64_t t) except -1:
    """Until a revision of `t`, which says otherwise, the pieces of the task went from where to where it says now."""
    cdef FormerTaskList* former = window.trouble.former
    if former != NULL and former.count == FORMER_MAX:
        former.count -= 1
        memmove(&former.items[0], &former.items[1], former.count * sizeof(FormerTask))
    former = <FormerTaskList*>floor.store.room(B_FORMER_TASK, former, former.count if former != NULL else 0)
    floor.troubled(window).former = former
    former.items[former.count - 1] = FormerTask(loc=window.loc, lu=window.lu, until=t)
    return 0


cdef const FormerTask* former_at(const PickWindow* window, int64_t t) noexcept:
    """The revision that was the last one then, before all of them the first; NULL: it is what the task says now."""
    cdef const FormerTaskList* former = window.trouble.former
    cdef const FormerTask* found = NULL
    cdef int i
    for i in range(former.count if former != NULL else 0):
        if t < former.items[i].until and (found == NULL or former.items[i].until < found.until):
            found = &former.items[i]
    return found


cdef int32_t lu_at(const PickWindow* window, int64_t t) noexcept:
    cdef const FormerTask* former = former_at(window, t)
    return former.lu if former != NULL else window.lu


cdef int32_t loc_at(const PickWindow* window, int64_t t) noexcept:
    cdef const FormerTask* former = former_at(window, t)
    return former.loc if former != NULL else window.loc


cdef int64_t told_at(const PickWindow* window, int64_t as_of) noexcept:
    cdef const FormerTaskList* former = window.trouble.former
    cdef int64_t t = window.planned_t
    cdef int i
    for i in range(former.count if former != NULL else 0):
        if former.items[i].until <= as_of:
            t = max(t, former.items[i].until)
    return t


cdef int64_t ordered_at(const Line* line, int64_t as_of) noexcept:
    cdef const AskedList* before = line.changed.before
    cdef int64_t t = line.known_t
    cdef int i
    if line.of.t <= as_of or line.known_t > as_of:
        return line.of.t
    for i in range(before.count if before != NULL else 0):
        if before.items[i].until <= as_of:
            t = max(t, before.items[i].until)
    return t
