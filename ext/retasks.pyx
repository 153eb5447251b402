# cython: boundscheck=False, wraparound=False
"""What a task was asked for before, and cancels that overtook their task: see retasks.pxd."""

from libc.stdint cimport int32_t, int64_t

from ext cimport cartons, hindsight, inventory, packing, pick_alarms, pick_units, picks, post_ship, shipments
from ext.state cimport B_WAITING, Cycle, Waiting
from ext.store cimport List, Table, find, index_of, length, nth, remove
from ext.timers cimport NEVER


cdef int change_qty(Floor floor, PickWindow* window, int64_t qty, const Fact* fact, bint new) except -1:
    """R27a: another quantity is asked for, and the window judged anew. A note among its closings (see outcomes.is_note) keeps
    what was asked for up to then: a deadline or short that found the window full has changed nothing, and does not now."""
    cdef Fact* note
    if window.q_task == qty:
        return 0
    if not new and window.q_task >= 0:
        note = floor.copy_name(fact)
        note.qty = window.q_task + 1
        floor.insert_sorted(&window.closings, note)
    if window.trouble.closed_by != NULL:
        floor.troubled(window).closed_by = NULL
    window.q_task = qty
    return 0 if new else pick_alarms.expect(floor, window, fact.t)


cdef int change_line(Floor floor, PickWindow* window, Line* line, Fact* fact) except -1:
    """R10: the task is another line's from now on. So are its pieces, in the cartons where they lie, and whoever plans either
    line is concerned."""
    cdef Line* before = window.line
    cdef List* changed = NULL
    cdef int i
    remove(&before.windows, window)
    floor.store.append(&line.windows, window)
    window.line = line
    add_cycles(floor, window.facts, &changed)
    add_cycles(floor, window.trouble.other_sku, &changed)
    for i in range(length(changed)):
        packing.unsettle(<Cycle*>nth(changed, i), NULL)
    packing.settle(floor, &changed)
    cartons.follow(floor, changed, fact)
    for i in range(length(changed)):
        cartons.watch_alarms(floor, <Cycle*>nth(changed, i), fact.t)
        shipments.touch_cycle(floor, <Cycle*>nth(changed, i), fact)
    floor.store.free(changed)
    follow_line(floor, window, before, fact)
    return hindsight.take_word(floor, before, fact)


cdef int follow_line(Floor floor, PickWindow* window, const Line* before, Fact* fact) except -1:
    """R21 d, R27: the cancel of the line that it is of now holds for it, and that of the other does no more; the cutoffs from
    then on are those of the order. (A task that was cancelled itself goes nowhere, R10.)"""
    cdef List* cutoffs = window.line.of.cutoffs
    cdef int i
    if window.trouble.cancel_t != NEVER and before.changed.cancel_t != NEVER:
        picks.uncancel(floor, window, fact)
    if window.line.changed.cancel_t != NEVER:
        picks.cancel(floor, window, window.line.changed.cancelled_by)
    if window.line.of == before.of:
        return 0
    for i in range(length(before.of.cutoffs)):
        picks.move_closing(floor, window, <Fact*>nth(before.of.cutoffs, i), fact, window.trouble.closed_by)
    for i in range(length(cutoffs)):
        if (<Fact*>nth(cutoffs, i)).t >= fact.t:
            picks.take_closing(floor, window, <Fact*>nth(cutoffs, i))
    return 0


cdef int add_cycles(Floor floor, const List* facts, List** found) except -1:
    cdef Fact* fact
    cdef int i
    for i in range(length(facts)):
        fact = <Fact*>nth(facts, i)
        if fact.cycle != NULL and index_of(found[0], fact.cycle) < 0:
            floor.store.append(found, fact.cycle)
    return 0


cdef int change_sku(Floor floor, PickWindow* window, int32_t sku) except -1:
    """R31: another SKU is asked for. What was picked of that one counts, and what was picked of the other does not."""
    cdef List* picked = NULL
    cdef Fact* fact
    cdef int i
    if window.sku == sku:
        return 0
    for i in range(length(window.facts)):
        floor.store.append(&picked, nth(window.facts, i))
    for i in range(length(window.trouble.other_sku)):
        floor.store.append(&picked, nth(window.trouble.other_sku, i))
    for i in range(length(picked)):
        picks.take_back(floor, window, <Fact*>nth(picked, i))
    window.sku = sku
    for i in range(length(picked)):
        fact = <Fact*>nth(picked, i)
        picks.take_pick(floor, window, fact)
    floor.store.free(picked)
    return 0


cdef int change_unit(Floor floor, PickWindow* window, int32_t lu, Fact* fact) except -1:
    """R43: the task goes into another load unit, and so do the pieces from after that that name none."""
    cdef List* changed = NULL
    cdef int i
    if window.lu == lu:
        return 0
    window.lu = lu
    move_since(floor, window.facts, lu, fact.t, &changed)
    move_since(floor, window.trouble.other_sku, lu, fact.t, &changed)
    for i in range(length(changed)):
        shipments.touch_cycle(floor, <Cycle*>nth(changed, i), fact)
    floor.store.free(changed)
    return 0


cdef int move_since(Floor floor, const List* facts, int32_t lu, int64_t t, List** changed) except -1:
    cdef Fact* fact
    cdef int i
    for i in range(length(facts)):
        fact = <Fact*>nth(facts, i)
        if fact.t >= t and fact.follows:
            pick_units.move(floor, fact, lu, changed)
    return 0


cdef int change_place(Floor floor, PickWindow* window, const Fact* fact) except -1:
    """R29, R31, R70: a revision names another place. What was picked or not found before its event time was so at the place
    that the task named then; picks of later event times that came first are taken from the new one."""
    cdef List* moved = NULL
    cdef List* late = NULL
    cdef int i
    if window.loc == fact.loc:
        return 0
    picked_since(floor, window.facts, fact.t, &moved)
    picked_since(floor, window.trouble.other_sku, fact.t, &moved)
    post_ship.add_late_since(floor, window, fact.t, &late)
    for i in range(length(late)):
        post_ship.uncount_late(floor, window, <Fact*>nth(late, i))
        floor.store.append(&moved, nth(late, i))
    for i in range(length(moved)):
        inventory.take_back(floor, window, <Fact*>nth(moved, i))
    window.loc = fact.loc
    for i in range(length(moved)):
        inventory.take_pick(floor, window, <Fact*>nth(moved, i))
    for i in range(length(late)):
        post_ship.count_late_here(floor, window, <Fact*>nth(late, i))
    floor.store.free(moved)
    floor.store.free(late)
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
    """R10, R3: `pick.task_cancelled` of a task that nobody has told of yet, to be found when somebody does."""
    cdef Table* table = floor.state.waiting_tasks
    cdef List* others = <List*>find(table, fact.task)
    cdef Waiting* waiting = <Waiting*>floor.store.new(B_WAITING, sizeof(Waiting))
    waiting.fact, waiting.key, waiting.is_task = fact, fact.task, True
    floor.store.append(&others, waiting)
    return floor.store.put(table, fact.task, others)


cdef int take_cancels(Floor floor, PickWindow* window) except -1:
    """R10, R27: cancels that came before the task: of its line, and its own."""
    cdef List* waiting = <List*>find(floor.state.waiting_tasks, window.task)
    cdef Fact* fact
    cdef int i
    if window.line.changed.cancel_t != NEVER:
        picks.cancel(floor, window, window.line.changed.cancelled_by)
    for i in range(length(waiting)):
        fact = (<Waiting*>nth(waiting, i)).fact
        if fact.context:
            picks.cancel(floor, window, fact)
            hindsight.take_word(floor, window.line, fact)
    return 0
