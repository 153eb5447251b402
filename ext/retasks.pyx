# cython: boundscheck=False, wraparound=False
"""What a task was asked for before, and cancels that overtook their task: see retasks.pxd."""

from ext cimport pick_alarms, picks
from ext.outcomes cimport outcome
from ext.state cimport B_WAITING, Waiting
from ext.store cimport List, Table, find, length, nth
from ext.timers cimport NEVER


cdef int ask(Floor floor, PickWindow* window, int64_t qty, const Fact* fact, bint new) except -1:
    """R27a: another quantity is asked for, and the window judged anew. A note among its closings (see outcomes.is_note) keeps
    what was asked for up to then: a deadline or short that found the window full has changed nothing, and does not now."""
    cdef Fact* note
    if window.q_task == qty:
        return 0
    if not new and window.q_task >= 0:
        note = floor.copy_name(fact)
        note.qty = window.q_task + 1
        note.follows = qty < window.q_task or outcome(window, NEVER - 1, floor.state.watermark).shorted
        floor.insert_sorted(&window.closings, note)
    if window.trouble.decided != NULL:
        floor.troubled(window).decided = NULL
    window.q_task = qty
    return 0 if new else pick_alarms.expect(floor, window, fact.t)


cdef int keep_cancel(Floor floor, Fact* fact) except -1:
    """R3: `pick.task_cancelled` of a task that nobody has told of yet, to be found when somebody does."""
    cdef Table* table = floor.state.waiting_tasks
    cdef List* others = <List*>find(table, fact.task)
    cdef Waiting* waiting = <Waiting*>floor.store.new(B_WAITING, sizeof(Waiting))
    waiting.fact, waiting.key, waiting.is_task = fact, fact.task, True
    floor.store.append(&others, waiting)
    return floor.store.put(table, fact.task, others)


cdef int take_cancels(Floor floor, PickWindow* window) except -1:
    """Those that came before the task: of its line, and its own."""
    cdef List* waiting = <List*>find(floor.state.waiting_tasks, window.task)
    cdef Fact* fact
    cdef int i
    if window.line.changed.cancel_t != NEVER:
        picks.cancel(floor, window, window.line.changed.cancelled_by)
    for i in range(length(waiting)):
        fact = (<Waiting*>nth(waiting, i)).fact
        if fact.context:
            picks.cancel(floor, window, fact)
    return 0
