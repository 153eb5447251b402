# cython: boundscheck=False, wraparound=False
"""The window of a line without tasks (R20): see line_windows.pxd. Hot: `window_for`."""

from libc.stdint cimport int64_t
from libc.string cimport memset

from ext cimport cartons, inventory, pick_alarms, pick_events, pick_names, pick_units, picks, presses, shipments, touches
from ext.exceptions cimport PCK_STALLED
from ext.floor cimport find_line
from ext.keys cimport fact_key, text_key
from ext.kinds cimport K_CARTON_CLOSE, K_PICK_SHORT
from ext.outcomes cimport Outcome, outcome_now
from ext.outlet cimport EXACT
from ext.pick_names cimport key_of
from ext.state cimport B_WAITING, Cycle, Waiting
from ext.store cimport find, last, length, nth, remove
from ext.timers cimport ANY_TIME, NEVER, RANK_PICK, RANK_TRACK


# ---------------------------------------------------------------------------------------------- where a pick goes

cdef PickWindow* window_for(Floor floor, const Fact* fact) except? NULL:
    """R20: the window that a pick, short or reversal goes to; the line's own is opened by its first. NULL while the task or order is
    unknown (R11)."""
    cdef Line* line
    cdef PickWindow* pressed
    cdef const PickWindow* first
    if fact.task:
        return <PickWindow*>find(floor.state.tasks, fact.task)
    line = find_line(floor.state, fact.order, fact.line)
    if line == NULL:
        return NULL
    if picks.has_tasks(line):
        pressed = window_of_press(floor, line, fact)
        if pressed != NULL:
            return pressed
        first = first_task(floor, line)
        if fact.t >= first.planned_t:
            return picks.task_of_line(floor, line, fact.t)
        if line.own == NULL and line.known_t != NEVER:
            picks.open_line_window(floor, line)
            floor.by_watermark.push(max(first.planned_t, floor.state.watermark - 1), RANK_PICK, key_of(line.own), line,
                                    TAG_FIRST_TASK, 0)
        return line.own if line.own != NULL else picks.task_of_line(floor, line, fact.t)
    if line.known_t == NEVER:
        return NULL
    if line.own == NULL:
        picks.open_line_window(floor, line)
    return line.own


cdef PickWindow* window_of_press(Floor floor, const Line* line, const Fact* fact) except? NULL:
    """R30: the window that has this press already, of a record that named only the line, too; NULL: none has."""
    cdef PickWindow* window
    cdef const Fact* other
    cdef int i
    for i in range(length(line.windows) if fact.press and fact.qty > 0 else 0):
        window = <PickWindow*>nth(line.windows, i)
        other = presses.counted_press(window, fact, False)
        if other == NULL:
            other = presses.late_press(floor, window, fact, False)
        if other != NULL and not other.task:
            return window
    return NULL


cdef PickWindow* first_task(Floor floor, const Line* line) noexcept:
    """By event time, then id."""
    cdef PickWindow* window
    cdef PickWindow* first = NULL
    cdef int i
    for i in range(length(line.windows)):
        window = <PickWindow*>nth(line.windows, i)
        if window != line.own and (first == NULL or window.planned_t < first.planned_t or (
                window.planned_t == first.planned_t and floor.texts.precedes(window.task, first.task))):
            first = window
    return first


cdef bint waits_for_watermark(Floor floor, const Fact* fact) noexcept:
    """R20, R3: it names only its line, and which task of that is open can be said when everything before the pick is known."""
    cdef const Line* line = find_line(floor.state, fact.order, fact.line) if not fact.task else NULL
    return line != NULL and picks.has_tasks(line)


cdef int wait_for_watermark(Floor floor, Fact* fact, List* entries) except -1:
    """Until the watermark has passed it, or the wall clock's bound decides (R4). It counts as `open`."""
    cdef Waiting* waiting = <Waiting*>floor.store.new(B_WAITING, sizeof(Waiting))
    waiting.fact, waiting.entries = fact, entries
    floor.state.count_waiting += 1
    floor.by_watermark.push(fact.t, RANK_TRACK, fact_key(fact.src), waiting, TAG_IN_ORDER, 0)
    return floor.by_wall.push(fact.t_rx + floor.rules.hold_wall_max, RANK_TRACK, text_key(fact.src), waiting,
                              TAG_IN_ORDER, 0)


# ---------------------------------------------------------------------------------------------- a task comes

cdef int meet_first_task(Floor floor, Line* line, Fact* fact) except -1:
    """R20: a task of the line is told. What happened from the task's time on is in the line's window only because it arrived
    before the task."""
    cdef const PickWindow* first = first_task(floor, line)
    cdef PickWindow* own = line.own
    cdef int64_t since = max(first.planned_t, floor.state.watermark)
    send_back(floor, own, since)
    if not is_picked(own):
        withdraw_all(floor, own, fact)
    elif own.confirmed != NULL and not outcome_now(own, floor.state.watermark).told:
        pick_events.withdraw(floor, own, fact)
    else:
        picks.tell(floor, own, fact, ANY_TIME)
    if first.planned_t < floor.state.watermark:
        return judge(floor, line)
    floor.by_wall.push(fact.t_rx + floor.rules.hold_wall_max, RANK_PICK, key_of(own), line, TAG_FIRST_TASK, 0)
    return floor.by_watermark.push(first.planned_t, RANK_PICK, key_of(own), line, TAG_FIRST_TASK, 0)


cdef int withdraw_all(Floor floor, PickWindow* window, const Fact* cause) except -1:
    """R20: its short, too: what was picked of the line after a short of it was its task's."""
    cdef Outcome o
    pick_events.withdraw(floor, window, cause)
    if window.trouble.short_told == NULL or pick_events.closing_of_short(window) == NULL:
        return 0
    memset(&o, 0, sizeof(o))
    o.closing = pick_events.closing_of_short(window)
    o.q_asked, o.t_close = window.q_task, o.closing.t
    return pick_events.tell_short(floor, window, &o, cause, EXACT)


cdef int send_back(Floor floor, PickWindow* own, int64_t since) except -1:
    """Picks and shorts from `since` on wait for the watermark, as if they had come after the task."""
    cdef Fact* fact
    cdef int i = length(own.closings) - 1
    send_back_picks(floor, own, own.facts, since)
    send_back_picks(floor, own, own.trouble.other_sku, since)
    while i >= 0 and (<Fact*>nth(own.closings, i)).t >= since:
        fact = <Fact*>nth(own.closings, i)
        i -= 1
        if fact.kind == K_PICK_SHORT:
            remove(&own.closings, fact)
            wait_alone(floor, fact)
    return 0


cdef int send_back_picks(Floor floor, PickWindow* own, const List* picked, int64_t since) except -1:
    """The pieces stay in the load units that they name, whichever window they will belong to."""
    cdef Fact* fact
    cdef Fact* withdrawn = NULL         # R81: of one record, however many of its entries go
    cdef int i = length(picked) - 1
    while i >= 0 and (<Fact*>nth(picked, i)).t >= since:
        fact = <Fact*>nth(picked, i)
        i -= 1
        picks.take_back(floor, own, fact)
        if fact.qty < 0:
            if withdrawn == NULL or not presses.is_beside(withdrawn, fact):
                pick_events.withdraw_reversal(floor, own, fact)
            withdrawn = fact
        else:
            presses.forget_press(own, fact.press)
        inventory.take_back(floor, own, fact)
        if fact.follows and fact.lu:    # R43: of a reversal, that of the line's last pick: the task may have another, or none
            leave_unit(floor, fact)
            fact.lu = 0
        wait_alone(floor, fact)
    return 0


cdef int leave_unit(Floor floor, Fact* fact) except -1:
    """A pick that was sent back does not count after all: it leaves its load unit, too."""
    cdef List* changed = NULL
    cartons.detach(floor, floor.unit_of(fact.lu), fact, &changed)
    return touch(floor, changed, fact)


cdef int wait_alone(Floor floor, Fact* fact) except -1:
    cdef List* entries = NULL
    floor.store.append(&entries, fact)
    return wait_for_watermark(floor, fact, entries)


cdef int touch(Floor floor, List* changed, Fact* cause) except -1:
    cdef int i
    for i in range(length(changed)):
        shipments.touch_cycle(floor, <Cycle*>nth(changed, i), cause)
    floor.store.free(changed)
    return 0


# ---------------------------------------------------------------------------------------------- whose it is

cdef int judge(Floor floor, Line* line) except -1:
    """R20: the watermark has passed the first task: the window of a line that has told nothing by then is that task's."""
    cdef PickWindow* own = line.own
    if own == NULL or not picks.has_tasks(line) or has_told(floor, own):
        return 0
    line.own = NULL
    remove(&line.windows, own)
    return take_over(floor, first_task(floor, line), own)


cdef bint has_told(Floor floor, const PickWindow* own) noexcept:
    """A reversal was told by itself (R28). R3: a confirmation from before its cancel was heard of, which holds no longer, is
    nothing; a short from before the cancel was told, or would have been, had its first pick come earlier."""
    cdef Outcome o = outcome_now(own, floor.state.watermark)
    if not is_picked(own):
        return False
    return (own.trouble.short_told != NULL or o.closing != NULL or has_put_back(own, NEVER)
            or (o.told and not (o.cancelled and o.q == 0)))


cdef bint is_picked(const PickWindow* own) noexcept:
    """R20, R23: without a pick a line has no window, and no short."""
    return length(own.facts) > 0 or length(own.trouble.other_sku) > 0


cdef bint has_put_back(const PickWindow* own, int64_t before) noexcept:
    return has_reversal(own.facts, before) or has_reversal(own.trouble.other_sku, before)


cdef bint has_reversal(const List* facts, int64_t before) noexcept:
    cdef Fact* fact
    cdef int i
    for i in range(length(facts)):
        fact = <Fact*>nth(facts, i)
        if fact.t >= before:
            break
        if fact.qty < 0:
            return True
    return False


cdef int take_over(Floor floor, PickWindow* task, PickWindow* own) except -1:
    """Its picks and shorts go where the task says."""
    cdef List* changed = NULL
    cdef Fact* closing
    cdef Fact* cause = NULL
    cdef int i
    for i in range(length(own.facts) + length(own.trouble.other_sku)):
        cause = <Fact*>(nth(own.facts, i) if i < length(own.facts) else
                        nth(own.trouble.other_sku, i - length(own.facts)))
        picks.take_pick(floor, task, cause)
        if cause.press:
            presses.note_press(floor, task, cause)
        pick_units.take_over(floor, task, cause, &changed)
        if cause.qty > 0 and (task.reversed or task.trouble.other_sku != NULL):
            pick_units.lead_reversals(floor, task, cause, &changed)
    for i in range(length(own.closings)):
        closing = <Fact*>nth(own.closings, i)
        if closing.kind == K_PICK_SHORT or closing.kind == K_CARTON_CLOSE:
            picks.take_closing(floor, task, closing)
            cause = closing if cause == NULL else cause
    empty(floor, own)
    if cause == NULL:
        return 0
    pick_names.quiet(floor, own, PCK_STALLED, task.planned_t, cause)
    picks.decide(floor, task, NULL)
    if length(task.facts):
        pick_alarms.watch(floor, task, (<Fact*>last(task.facts)).t)
    touches.touch_line(floor, task.line, cause.t, cause)
    return touch(floor, changed, cause)


cdef int empty(Floor floor, PickWindow* own) except -1:
    """Emptied and not freed: timers may still name it."""
    floor.store.free(own.facts)
    floor.store.free(own.closings)
    own.facts = own.closings = NULL
    own.q_sum = 0
    if own.trouble.other_sku != NULL:
        floor.store.free(own.trouble.other_sku)
        floor.troubled(own).other_sku = NULL
    return 0
