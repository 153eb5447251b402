# cython: boundscheck=False, wraparound=False, cdivision=True
"""The pick window (R20-R31): see picks.pxd. Hot: `take_pick`, `decide`."""

from ext cimport asked, gaps, pick_alarms, pick_events, pick_names, touches
from ext.batch cimport ABSENT
from ext.exceptions cimport PCK_PUTBACK_REQUIRED
from ext.keys cimport Key
from ext.outcomes cimport (
    BY_DEADLINE, Outcome, decided_before, lowered_at, outcome, outcome_now, outcome_then, was_there,
)
from ext.outlet cimport EXACT, INCOMPLETE
from ext.pick_events cimport ask_stock, tell_confirmed, tell_short
from ext.pick_names cimport key_of
from ext.state cimport B_WINDOW
from ext.store cimport List, length, nth, remove
from ext.timers cimport ANY_TIME, NEVER, RANK_PICK
from ext.tombstones cimport is_buried


# ---------------------------------------------------------------------------------------------- for every pick

cdef int take_pick(Floor floor, PickWindow* window, Fact* fact) except -1:
    """A pick or reversal joins its window."""
    fact.window = window
    if fact.sku != window.sku:          # R31: it lies in the carton, but it is not what the task asked for
        floor.insert_sorted(&floor.troubled(window).other_sku, fact)
        return pick_alarms.expect(floor, window, fact.t)
    fact.late = window.trouble.closed_by != NULL and fact.t <= window.trouble.closed_by.t
    floor.insert_sorted(&window.facts, fact)
    window.q_sum += fact.qty
    window.reversed = window.reversed or fact.qty < 0
    return pick_alarms.expect(floor, window, fact.t)


cdef int decide(Floor floor, PickWindow* window, Fact* cause) except -1:
    """`cause` has just come: tell what the outcome says now."""
    if is_plainly_open(window):
        return 0
    if floor.state.deferring:
        floor.troubled(window).deferred_cause = cause
        if not window.trouble.deferred:
            floor.troubled(window).deferred = True
            floor.store.append(&floor.state.deferred, window)
        return 0
    return tell(floor, window, cause, ANY_TIME)


cdef bint is_plainly_open(const PickWindow* window) noexcept:
    """Without the walk: nothing was told, nothing can close it but its quantity, and that was never reached."""
    return (window.q_sum < window.q_task and not window.reversed and window.confirmed == NULL
            and length(window.closings) == 0 and window.trouble.short_told == NULL and window.trouble.cancel_t == NEVER)


# ---------------------------------------------------------------------------------------------- collecting facts

cdef PickWindow* new_window(Floor floor, Line* line, int32_t task) except NULL:
    """`task` 0: the line's own."""
    cdef PickWindow* window = <PickWindow*>floor.store.new(B_WINDOW, sizeof(PickWindow))
    window.line, window.task = line, task
    window.planned_t, window.trouble = NEVER, floor.state.no_trouble
    if has_grave(floor, window):
        floor.troubled(window).buried = True
    floor.store.append(&line.windows, window)
    return window


cdef int force(Floor floor, PickWindow* window, int64_t t) except -1:
    """R4: the wall clock's bound, not the watermark, decides the closings up to `t`."""
    floor.troubled(window).forced = max(window.trouble.forced, t)
    return 0


cdef bint has_grave(Floor floor, const PickWindow* window) except -1:
    if window.task:
        return is_buried(floor, b"task/", window.task)
    return is_buried(floor, b"order/", window.line.order)


cdef bint stays_dead(Floor floor, PickWindow* window) except -1:
    """R46: it was forgotten before its time, and the order systems have told of it once more: nothing counts for it, and
    nothing is told of it."""
    if window.trouble.buried:
        floor.troubled(window).buried = has_grave(floor, window)
    return window.trouble.buried


cdef bint has_tasks(const Line* line) noexcept:
    return length(line.windows) > (line.own != NULL)


cdef int open_line_window(Floor floor, Line* line) except -1:
    """R20: a line without any task has one window, opened by its first pick."""
    cdef PickWindow* window = new_window(floor, line, 0)
    line.own = window
    window.q_task, window.sku = line.qty, line.sku
    asked.recall(floor, window)
    take_cutoffs(floor, window)
    if line.changed.cancel_t != NEVER:
        floor.troubled(window).cancelled_by = line.changed.cancelled_by
        floor.troubled(window).cancel_t = line.changed.cancel_t
        floor.by_watermark.push(line.changed.cancel_t, RANK_PICK, key_of(window), window, TAG_CLOSING, line.changed.cancel_t)
    return 0


cdef PickWindow* task_of_line(Floor floor, const Line* line, int64_t t) noexcept:
    """R20: of the line's tasks known at `t`, the open one with the smallest id; else the one closed last, then id."""
    cdef PickWindow* window
    cdef PickWindow* best = NULL
    cdef Outcome o
    cdef bint best_open = False
    cdef int64_t best_close = 0
    cdef int i
    for i in range(length(line.windows)):
        window = <PickWindow*>nth(line.windows, i)
        if window == line.own or (window.planned_t > t and best != NULL):
            continue                    # told later; it gets the pick only where there is no other
        o = outcome_then(window, t - 1, t)      # presses of one event time find the same tasks open
        if window.trouble.cancel_t == t:
            o.closed, o.t_close = True, t
        if best == NULL or best.planned_t > t or (not o.closed and not best_open):
            pass
        elif o.closed != (not best_open):
            continue
        elif not o.closed:
            if not floor.texts.precedes(window.task, best.task):
                continue
        elif o.t_close < best_close or (
                o.t_close == best_close and not floor.texts.precedes(best.task, window.task)):
            continue
        best, best_open, best_close = window, not o.closed, o.t_close
    return best


cdef int take_back(Floor floor, PickWindow* window, Fact* fact) except -1:
    """A pick leaves its window: another record tells of its press, or it belongs elsewhere."""
    if fact.sku == window.sku:
        window.q_sum -= fact.qty
        remove(&window.facts, fact)
    else:
        remove(&floor.troubled(window).other_sku, fact)
    return 0


cdef int take_closing(Floor floor, PickWindow* window, Fact* closing) except -1:
    """R21 b, c, d: it is decided when the watermark passes it, or by the wall clock's bound. Whoever plans the line may have to
    be judged as of it before that (see shipments.tell_lasted)."""
    cdef Key key = key_of(window)
    floor.insert_sorted(&window.closings, closing)
    floor.by_watermark.push(closing.t, RANK_PICK, key, window, TAG_CLOSING, closing.t)
    floor.by_wall.push(closing.t_rx + floor.rules.hold_wall_max, RANK_PICK, key, window, TAG_CLOSING, closing.t)
    return touches.touch_line(floor, window.line, closing.t, closing)


cdef int take_cutoffs(Floor floor, PickWindow* window) except -1:
    """Those of its order's waves: the first that comes closes it."""
    cdef List* cutoffs = window.line.of.cutoffs
    cdef int i
    for i in range(length(cutoffs)):
        take_closing(floor, window, <Fact*>nth(cutoffs, i))
    return 0


cdef int move_closing(Floor floor, PickWindow* window, Fact* closing, Fact* fact, const Fact* closed_by) except -1:
    """R21 d: a revision moves a deadline or cutoff, or takes it away. `closing`: the old one; NULL: there was none. One whose
    time had come by then has closed the window, if that was there, and stays (R26), unless it waits for a gap. `closed_by`: what
    had closed the window when the revision came."""
    cdef bint closed = closed_by == closing
    if closing == NULL:
        return 0
    if closing.t >= fact.t or (window.trouble.gap_held and not closed):
        remove(&window.closings, closing)
    elif was_there(window, closing):
        return 0
    if closed:
        floor.troubled(window).closed_by = NULL
        undo(floor, window, closing, fact)
    return 0


cdef int undo(Floor floor, PickWindow* window, const Fact* closing, Fact* fact) except -1:
    """R10, R3: `fact` says that the close that was told never was, and nothing else closes the window: take it back."""
    cdef Outcome o = outcome_now(window, floor.state.watermark)
    if o.told:
        return 0
    o.t_close, o.closing = closing.t, closing
    if window.trouble.short_told != NULL:
        tell_short(floor, window, &o, fact, EXACT)
    never_full(floor, window, fact)
    pick_alarms.watch(floor, window, fact.t)        # R22: it is open, and may have been silent for long
    return touches.touch_line(floor, window.line, fact.t, fact)


cdef int cancel(Floor floor, PickWindow* window, Fact* fact) except -1:
    """R21 e, R27: takes effect at its event time."""
    cdef Key key = key_of(window)
    if fact.t >= window.trouble.cancel_t:
        return 0
    floor.troubled(window).cancel_t = fact.t
    floor.troubled(window).cancelled_by = fact
    floor.by_watermark.push(fact.t, RANK_PICK, key, window, TAG_CLOSING, fact.t)
    floor.by_wall.push(fact.t_rx + floor.rules.hold_wall_max, RANK_PICK, key, window, TAG_CLOSING, fact.t)
    touches.touch_holders(floor, window, fact)
    return pick_alarms.expect(floor, window, fact.t)


cdef int uncancel(Floor floor, PickWindow* window, Fact* fact) except -1:
    """R10, R27: what was cancelled is a line that its task is none of any more, as `fact` says."""
    cdef Outcome o
    floor.troubled(window).cancel_t = NEVER
    floor.troubled(window).cancelled_by = NULL
    o = outcome_now(window, floor.state.watermark)
    if not o.told:
        never_full(floor, window, fact)
    pick_alarms.watch(floor, window, fact.t)
    return pick_names.quiet(floor, window, PCK_PUTBACK_REQUIRED, fact.t, fact)


# ---------------------------------------------------------------------------------------------- deciding

cdef int decide_closing(Floor floor, PickWindow* window, int64_t t) except -1:
    """R21: a closing of `t` is due. First tell what it decides, by the picks up to it; then what later ones, which waited for it,
    make of that (R26)."""
    if window.confirmed == NULL or window.told_t <= t:
        tell(floor, window, NULL, t)
    elif window.trouble.alarms:
        pick_alarms.expect(floor, window, t)        # R22: it ends a stall, also where a later pick was told already
    return tell(floor, window, NULL, ANY_TIME)


cdef int tell(Floor floor, PickWindow* window, Fact* cause, int64_t as_of) except -1:
    """R23: what the window comes to now, confirmed before short; R25, R26: as a revision of what was told before. `cause`: the fact
    that just came, NULL when time decided."""
    cdef Outcome o
    cdef int evidence, silence
    if window.q_task < 0 or stays_dead(floor, window):
        return 0
    o = outcome(window, as_of, decided_before(window, floor.state.watermark))
    if not o.told and not revises_open(floor, window, &o, cause):
        return 0
    evidence = INCOMPLETE if o.told and window.trouble.forced >= o.t_close else EXACT
    silence = listen(floor, window, &o)
    if o.q_short > 0 and silence == IN_GAP:
        return 0
    if o.q_short > 0 and silence == GIVEN_UP:
        evidence = INCOMPLETE
    if o.closing != NULL and window.trouble.closed_by == NULL and silence != IN_GAP:
        set_closed_by(floor, window, o.closing)
    if cause == NULL or (o.told and is_earlier(floor, cause, o.cause)):
        cause = o.cause                     # R3: the one that decided, whichever came last
    if o.q > 0 or window.confirmed != NULL:
        tell_confirmed(floor, window, &o, cause, evidence)
    if window.trouble.short_told != NULL or (o.shorted and o.q_short > 0):
        tell_short(floor, window, &o, cause, evidence)
    elif o.shorted:
        ask_stock(floor, window, o.t_close)
    return pick_alarms.expect(floor, window, max(o.t_close, cause.t))


cdef bint revises_open(Floor floor, PickWindow* window, Outcome* o, Fact* cause) except -1:
    """R25, R26: by what is known now nothing has closed the window, but a close was told. If that may rest on the order of arrival
    alone, it is taken back (see `never_full`); else `o` says what is left. False: there is nothing more to tell."""
    cdef bint young
    if window.confirmed == NULL or cause == NULL or window.told_t == ABSENT:
        return False
    young = max(window.told_t, lowered_at(window)) >= floor.state.watermark
    if o.q_now == window.told_q and (cause.window == window or not young):
        return False
    if young:
        never_full(floor, window, cause)
        return False
    o.q, o.t_close, o.cause = o.q_now, window.told_t, cause     # R25: a reversal that came late
    if length(window.facts):
        o.t_close = max(o.t_close, (<Fact*>nth(window.facts, length(window.facts) - 1)).t)      # R26
    return True


cdef bint is_earlier(Floor floor, const Fact* cause, const Fact* decided) noexcept:
    """Whether what has just come is not what decided: another record that came in time (R3: and that may have waited for the
    watermark), or a word from before that."""
    return cause.t >= floor.state.watermark or floor.in_order or (cause.context and floor.precedes(cause, decided))


cdef int never_full(Floor floor, PickWindow* window, const Fact* cause) except -1:
    """R3, R21: told full on arrival, and a record within the disorder says that it never was. Nothing is told of it until
    it closes, as if that record had come first."""
    return pick_events.withdraw(floor, window, cause)


cdef int set_closed_by(Floor floor, PickWindow* window, Fact* closing) except -1:
    """A b, c or d closes the window. The picks that are known now were in time for it; those that arrive later are `late`
    (R25)."""
    cdef int i
    floor.troubled(window).closed_by = closing
    for i in range(length(window.facts)):
        (<Fact*>nth(window.facts, i)).late = False
    return 0


cdef enum Silence:
    MEANT               # nothing that was said is missing, or no conclusion rests on it
    IN_GAP              # it may be that of a gap, which is waited for
    GIVEN_UP            # `gap_hold_ms` have passed, and the gap is still there


cdef int listen(Floor floor, PickWindow* window, const Outcome* o) except -1:
    """R7: what the silence before a deadline is, on which its short rests. The deadline is decided when its gap is, whatever
    pieces have covered its short meanwhile."""
    cdef int64_t blind
    if o.by != BY_DEADLINE or window.trouble.closed_by != NULL:
        return MEANT
    blind = gaps.hold_of_window(floor, window, o.closing.t, False)
    if not blind:
        return MEANT
    if o.closing.t + blind <= floor.state.wall:
        return GIVEN_UP
    hold(floor, window, o.closing.t, blind)
    return IN_GAP


cdef int hold(Floor floor, PickWindow* window, int64_t t, int64_t blind) except -1:
    """R7: a short by deadline waits, with the `pick.confirmed` of the same close."""
    if not window.trouble.gap_held:
        floor.store.append(&floor.state.held, window)
        floor.troubled(window).gap_held = True
    floor.troubled(window).held_t = t
    if window.trouble.gap_over_t != t + blind:
        floor.troubled(window).gap_over_t = t + blind
        floor.by_wall.push(t + blind, RANK_PICK, key_of(window), window, gaps.TAG_GAP_HOLD, t)
    return 0
