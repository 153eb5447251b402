# cython: boundscheck=False, wraparound=False
"""What a task was asked for before, and cancels that overtook their task: see retasks.pxd."""

from ext cimport inventory, pick_alarms, picks
from ext.asked cimport remember_place
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


cdef int lay_elsewhere(Floor floor, PickWindow* window, const Fact* fact) except -1:
    """R31, R70: a revision names another place. What was picked or not found before its event time was so at the place that
    the task named then; picks of later event times that came first are taken from the new one."""
    cdef List* moved = NULL
    cdef int i
    if window.loc == fact.loc:
        return 0
    picked_since(floor, window.facts, fact.t, &moved)
    picked_since(floor, window.trouble.strangers, fact.t, &moved)
    for i in range(length(moved)):
        inventory.take_back(floor, window, <Fact*>nth(moved, i))
    remember_place(floor, window, fact.t)
    window.loc = fact.loc
    for i in range(length(moved)):
        inventory.take_pick(floor, window, <Fact*>nth(moved, i))
    floor.store.free(moved)
    return 0


cdef int picked_since(Floor floor, const List* facts, int64_t t, List** found) except -1:
    """Appends what does not say itself where it was."""
    cdef Fact* fact
    cdef int i
    for i in range(length(facts)):
        fact = <Fact*>nth(facts, i)
        if fact.t >= t and not fact.loc:
            floor.store.append(found, fact)
    return 0


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
