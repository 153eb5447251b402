# cython: boundscheck=False, wraparound=False, cdivision=True
"""The pick window (R20-R31): see picks.pxd. Hot: `outcome`, `window_for`, `take_pick`, `decide`."""

from libc.stdint cimport uint64_t
from libc.string cimport memset

from ext cimport gaps
from ext.batch cimport ABSENT
from ext.exceptions cimport (
    PCK_AFTER_CANCEL, PCK_LATE_AFTER_SHIP, PCK_OVER, PCK_PUTBACK_REQUIRED, PCK_STALLED, PCK_WRONG_SKU,
)
from ext.floor cimport B_LATE_PICKS, B_WINDOW, LatePicks, find_line
from ext.json_writer cimport JsonWriter
from ext.keys cimport KEY_LINE, text_key
from ext.kinds cimport K_CARTON_CLOSE, K_PICK_SHORT
from ext.outlet cimport (
    EXACT, INCOMPLETE, INVENTORY_DISCREPANCY, PICK_CONFIRMED, PICK_REVERSED, PICK_SHORT, Ledger,
)
from ext.store cimport find, last, length
from ext.timers cimport NEVER, RANK_INVENTORY, RANK_PICK

cdef int64_t ANY_TIME = NEVER - 1
cdef list POLICIES = [b'"SHIP_PARTIAL"', b'"HOLD"', b'"CANCEL_LINE"', b'"BACKORDER"']


# ---------------------------------------------------------------------------------------------- the window's outcome

cdef Outcome outcome(const PickWindow* window, int64_t as_of, int64_t decided_before) noexcept:
    """R21: walk facts and closings by event time; stop at a closing that the watermark has not decided.

    At one event time a cancel comes first (a pick at t_c does not count), then picks, then b to d (q counts t <= t_close).
    """
    cdef Outcome o
    cdef int i = 0, j = 0, n = length(window.facts), m = length(window.closings)
    cdef int64_t t_fact, t_closing, t_cancel = window.cancel_t if window.cancel_t <= as_of else NEVER
    memset(&o, 0, sizeof(o))
    o.t_last = ABSENT
    while True:
        t_fact = (<Fact*>window.facts.items[i]).t if i < n else NEVER
        t_closing = (<Fact*>window.closings.items[j]).t if j < m else NEVER
        t_fact = t_fact if t_fact <= as_of else NEVER
        t_closing = t_closing if t_closing <= as_of else NEVER
        if t_cancel <= t_fact and t_cancel <= t_closing:
            if t_cancel < decided_before:
                close_by_cancel(&o, window, i, as_of)
            break
        if t_closing < t_fact:
            if not o.closed:
                if t_closing >= decided_before:
                    break
                close_short(&o, window, <Fact*>window.closings.items[j])
            j += 1                      # closed already: a later b, c or d changes nothing
        else:
            count_pick(&o, window, <Fact*>window.facts.items[i], t_closing == t_fact)
            i += 1
    return o


cdef void count_pick(Outcome* o, const PickWindow* window, Fact* fact, bint closing_here) noexcept:
    """R21 a before the close, R25 and R26 after it; R28's reversals are picks of a negative quantity."""
    o.q_now += fact.qty
    if fact.qty > 0:
        o.t_last = fact.t
    if not o.closed:
        if window.decided != NULL and fact.t <= window.decided.t:
            return                      # R25: it came after the decision, whose t_close stays
        if window.q_task >= 0 and fact.qty > 0 and o.q_now >= window.q_task and not closing_here:
            o.closed = o.told = True
            o.by = BY_QUANTITY
            o.q, o.t_close, o.cause = o.q_now, fact.t, fact
        return
    o.q, o.t_close, o.cause = o.q_now, max(o.t_close, fact.t), fact
    if o.by == BY_QUANTITY and o.q < window.q_task:
        o.closed = False                # R26: a reversal opens it again, R21 applies anew
        o.by = OPEN
    o.q_short = max(0, window.q_task - o.q) if o.shorted else 0


cdef void close_short(Outcome* o, const PickWindow* window, Fact* closing) noexcept:
    """R21 b, c, d: q counts the picks up to it."""
    o.closed = o.told = True
    if closing.kind == K_PICK_SHORT:
        o.by = BY_OPERATOR
    elif closing.kind == K_CARTON_CLOSE:
        o.by = BY_CARTON
    else:
        o.by = BY_DEADLINE
    o.q, o.t_close, o.cause = o.q_now, closing.t, closing
    o.q_short = max(0, window.q_task - o.q)
    o.shorted = True
    o.closing = closing


cdef void close_by_cancel(Outcome* o, const PickWindow* window, int first, int64_t as_of) noexcept:
    """R27: picks before t_c count, later ones do not; later reversals cut q; never a short."""
    cdef int i
    cdef Fact* fact
    o.told = o.told or o.q_now > 0 or window.confirmed != NULL
    for i in range(first, length(window.facts)):
        fact = <Fact*>window.facts.items[i]
        if fact.t <= as_of and fact.qty < 0:
            o.q_now += fact.qty
    o.closed = o.cancelled = True
    o.by = BY_CANCEL
    o.q, o.t_close, o.cause = max(0, o.q_now), window.cancel_t, window.cancelled_by
    o.shorted, o.q_short = False, 0


# ---------------------------------------------------------------------------------------------- collecting facts

cdef PickWindow* new_window(Floor floor, Line* line) except NULL:
    cdef PickWindow* window = <PickWindow*>floor.store.new(B_WINDOW, sizeof(PickWindow))
    window.line = line
    window.cancel_t = window.planned_t = NEVER
    window.forced = window.held_t = window.gap_over_t = ABSENT
    floor.store.append(&line.windows, window)
    return window


cdef PickWindow* window_for(Floor floor, const Fact* fact) except? NULL:
    """R20: the window that a pick, short or reversal goes to; NULL while its task or order is unknown (R11)."""
    cdef Line* line
    if fact.task:
        return <PickWindow*>find(floor.state.tasks, fact.task)
    line = find_line(floor.state, fact.order, fact.line)
    if line == NULL:
        return NULL
    if length(line.windows) and line.own == NULL:
        return task_of_line(floor, line, fact.t)
    if not line.known:
        return NULL
    if line.own == NULL:
        open_line_window(floor, line)
    return line.own


cdef int open_line_window(Floor floor, Line* line) except -1:
    """R20: a line without any task has one window, opened by its first pick."""
    cdef PickWindow* window = new_window(floor, line)
    line.own = window
    window.q_task, window.sku = line.qty, line.sku
    window.cancel_t, window.cancelled_by = line.cancel_t, line.cancelled_by
    if line.of.cutoff != NULL:
        take_closing(floor, window, line.of.cutoff)
    if line.cancel_t != NEVER:
        floor.by_watermark.push(line.cancel_t, RANK_PICK, key_of(window), window, TAG_CLOSING, line.cancel_t)
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
        window = <PickWindow*>line.windows.items[i]
        if window.planned_t > t and best != NULL:
            continue                    # told later; it gets the pick only where there is no other
        o = outcome(window, t, t)
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


cdef bint take_pick(Floor floor, PickWindow* window, Fact* fact) except -1:
    """A pick or reversal joins its window. False: the same press again (R30), a duplicate."""
    if fact.press and is_known_press(floor, window, fact):
        return False
    fact.window = window
    if fact.sku != window.sku:          # R31: it lies in the carton, but it is not what the task asked for
        floor.outlet.raise_(PCK_WRONG_SKU, subject_text(floor, window), fact.t, fact,
                            f"{floor.text(fact.sku)} instead of {floor.text(window.sku)}")
        return True
    floor.insert_sorted(&window.facts, fact)
    window.q_sum += fact.qty
    window.reversed = window.reversed or fact.qty < 0
    if fact.t >= window.cancel_t and fact.qty > 0:
        floor.outlet.raise_(PCK_AFTER_CANCEL, subject_text(floor, window), fact.t, fact, "")
    if window.alarms:
        quiet(floor, window, PCK_STALLED, fact.t, fact)
    return True


cdef bint is_known_press(Floor floor, PickWindow* window, const Fact* fact) except -1:
    """R30: the same press on one task is one pick; from now on it is known."""
    cdef int i
    if fact.qty < 0:
        return False
    if window.presses != NULL:
        for i in range(window.presses.count):
            if window.presses.items[i] == fact.press:
                return True
    floor.store.add_number(&window.presses, fact.press)
    return False


cdef int take_closing(Floor floor, PickWindow* window, Fact* closing) except -1:
    """R21 b, c, d: it is decided when the watermark passes it, or by the wall clock's bound."""
    cdef Key key = key_of(window)
    floor.insert_sorted(&window.closings, closing)
    floor.by_watermark.push(closing.t, RANK_PICK, key, window, TAG_CLOSING, closing.t)
    floor.by_wall.push(closing.t_rx + floor.rules.hold_wall_max, RANK_PICK, key, window, TAG_CLOSING, closing.t)
    return 0


cdef int cancel(Floor floor, PickWindow* window, Fact* fact) except -1:
    """R21 e, R27: takes effect at its event time."""
    cdef Key key = key_of(window)
    if fact.t >= window.cancel_t:
        return 0
    window.cancel_t = fact.t
    window.cancelled_by = fact
    floor.by_watermark.push(fact.t, RANK_PICK, key, window, TAG_CLOSING, fact.t)
    floor.by_wall.push(fact.t_rx + floor.rules.hold_wall_max, RANK_PICK, key, window, TAG_CLOSING, fact.t)
    return 0


# ---------------------------------------------------------------------------------------------- deciding

cdef int decide_closing(Floor floor, PickWindow* window, int64_t t) except -1:
    """A closing is due: what it decides counts the picks up to it; later ones waited for it and follow R26."""
    if window.confirmed == NULL or window.told_t <= t:
        tell(floor, window, NULL, t)
    return tell(floor, window, NULL, ANY_TIME)


cdef int decide(Floor floor, PickWindow* window, Fact* cause) except -1:
    """`cause` has just come: tell what the outcome says now."""
    if floor.state.deferring:
        window.deferred_cause = cause
        if not window.deferred:
            window.deferred = True
            floor.store.append(&floor.state.deferred, window)
        return 0
    if is_plainly_open(window):
        return 0
    return tell(floor, window, cause, ANY_TIME)


cdef bint is_plainly_open(const PickWindow* window) noexcept:
    """Without the walk: nothing was told, nothing can close it but its quantity, and that was never reached."""
    return (window.q_sum < window.q_task and not window.reversed and window.confirmed == NULL
            and window.short_told == NULL and length(window.closings) == 0 and window.cancel_t == NEVER)


cdef int tell(Floor floor, PickWindow* window, Fact* cause, int64_t as_of) except -1:
    """R23: confirmed before short. `cause`: the fact that just came, NULL when time decided."""
    cdef Outcome o
    cdef int evidence
    cdef int64_t blind
    if window.q_task < 0:
        return 0
    o = outcome(window, as_of, max(floor.state.watermark, window.forced + 1))
    if not o.told:
        if window.confirmed == NULL or cause == NULL or cause.window != window or o.q_now == window.told_q:
            return 0
        o.q, o.t_close, o.cause = o.q_now, window.told_t, cause     # R25: a reversal that came late
    evidence = INCOMPLETE if o.told and window.forced >= o.t_close else EXACT
    if o.by == BY_DEADLINE and window.decided == NULL:
        blind = gaps.hold_of_window(floor, window, o.t_close)
        if blind and o.t_close != window.gap_over_t:
            return hold(floor, window, o.t_close, blind)
        evidence = INCOMPLETE if blind else evidence
    if o.closing != NULL and window.decided == NULL:
        window.decided = o.closing
    if cause == NULL:
        cause = o.cause
    if o.q > 0 or window.confirmed != NULL:
        tell_confirmed(floor, window, &o, cause, evidence)
    if window.short_told != NULL or (o.shorted and o.q_short > 0):
        tell_short(floor, window, &o, cause, evidence)
    return tell_exceptions(floor, window, &o, cause)


cdef int hold(Floor floor, PickWindow* window, int64_t t, int64_t blind) except -1:
    """R7: a short by deadline rests on silence; inside a gap it waits, with the `pick.confirmed` of the same close."""
    if not window.gap_held or window.held_t != t:
        if not window.gap_held:
            floor.store.append(&floor.state.held, window)
        window.gap_held, window.held_t = True, t
        floor.by_wall.push(t + blind, RANK_PICK, key_of(window), window, gaps.TAG_GAP_HOLD, t)
    return 0


cdef int watch(Floor floor, PickWindow* window, int64_t t) except -1:
    """R22: from its first pick on, while it is not full. One timer a window."""
    if window.stall_watched or window.q_sum <= 0 or window.q_sum >= window.q_task >= 0:
        return 0
    window.stall_watched = True
    return floor.by_watermark.push(t + floor.rules.pick_stall, RANK_PICK, key_of(window), window, TAG_STALL, 0)


cdef int watch_stall(Floor floor, PickWindow* window, int64_t due) except -1:
    """R22: an alarm after `pick_stall_ms` without a pick in an open window, and nothing more."""
    cdef Outcome o = outcome(window, ANY_TIME, floor.state.watermark)
    window.stall_watched = False
    if o.closed or o.q_now <= 0:
        return 0
    if o.t_last + floor.rules.pick_stall <= due:
        alarm(floor, window, PCK_STALLED, due, <Fact*>last(window.facts), f"{o.q_now} of {window.q_task}")
        return 0
    window.stall_watched = True
    floor.by_watermark.push(o.t_last + floor.rules.pick_stall, RANK_PICK, key_of(window), window, TAG_STALL, 0)
    return 0


# ---------------------------------------------------------------------------------------------- telling

cdef int tell_confirmed(Floor floor, PickWindow* window, const Outcome* o, const Fact* cause, int evidence) except -1:
    cdef int32_t order = window.line.order
    if window.confirmed == NULL:
        put_key(floor, window)
        window.confirmed = floor.outlet.ledger(PICK_CONFIRMED, order)
    write_confirmed(floor, window, o)
    floor.outlet.emit(window.confirmed, subject_of(window), o.t_close, order, cause, evidence)
    window.told_q, window.told_t = max(0, o.q), o.t_close
    return 0


cdef int write_confirmed(Floor floor, const PickWindow* window, const Outcome* o) except -1:
    """R31: `lu` and `carton` are those of the last pick, left out if picks went into several."""
    cdef JsonWriter data = floor.outlet.data
    cdef const Fact* fact
    cdef const Fact* youngest = NULL
    cdef int64_t t_first = o.t_close
    cdef int32_t loc = window.loc, carton = 0
    cdef bint one_lu = True, one_carton = True
    cdef int i
    for i in range(length(window.facts)):
        fact = <Fact*>window.facts.items[i]
        if fact.qty <= 0 or fact.t > o.t_close or (o.cancelled and fact.t >= o.t_close):
            continue
        if youngest == NULL:
            t_first = fact.t
        else:
            one_lu = one_lu and fact.lu == youngest.lu
            one_carton = one_carton and carton_number(fact) == carton
        youngest = fact
        carton = carton_number(fact)
    if youngest != NULL and youngest.loc:
        loc = youngest.loc
    data.clear()
    data.put(b'{"cancelled":true,' if o.cancelled else b"{")
    if carton and one_carton:
        data.text_member(b'"carton":', carton)
        data.put(b",")
    data.integer_member(b'"line":', window.line.number)
    if loc:
        data.text_member(b',"loc":', loc)
    if youngest != NULL and youngest.lu and one_lu:
        data.text_member(b',"lu":', youngest.lu)
    data.text_member(b',"order":', window.line.order)
    data.integer_member(b',"over_qty":', max(0, o.q - window.q_task))
    data.integer_member(b',"qty":', max(0, o.q))
    data.integer_member(b',"qty_task":', window.q_task)
    data.text_member(b',"sku":', window.sku)
    data.integer_member(b',"t_close":', o.t_close)
    data.integer_member(b',"t_first":', t_first)
    if window.task:
        data.text_member(b',"task":', window.task)
    return data.put(b"}")


cdef int32_t carton_number(const Fact* fact) noexcept:
    return fact.cycle.carton if fact.cycle != NULL else 0


cdef int tell_short(Floor floor, PickWindow* window, const Outcome* o, const Fact* cause, int evidence) except -1:
    cdef int32_t order = window.line.order
    if window.short_told == NULL and not window.task:
        window.short_told = window.line.alloc_ledger
    if window.short_told == NULL:
        put_key(floor, window)
        window.short_told = floor.outlet.ledger(PICK_SHORT, order)
        if not window.task:
            window.line.alloc_ledger = window.short_told
    write_short(floor, window, o)
    if floor.outlet.emit(window.short_told, subject_of(window), o.t_close, order, cause, evidence):
        floor.by_watermark.push(min(o.t_close, floor.state.watermark - 1), RANK_INVENTORY, key_of(window), window,
                                TAG_SHORT_TOLD, 0)
    return 0


cdef int write_short(Floor floor, const PickWindow* window, const Outcome* o) except -1:
    """R23; a short that no longer stands (R25, R27, R27a) says so with `qty_short` 0 and keeps its reason."""
    cdef JsonWriter data = floor.outlet.data
    cdef const Fact* closing = o.closing
    cdef bint by_operator, by_carton
    cdef int32_t loc = window.loc
    if closing == NULL and length(window.closings):
        closing = <Fact*>window.closings.items[0]
    by_operator = closing != NULL and closing.kind == K_PICK_SHORT
    by_carton = closing != NULL and closing.kind == K_CARTON_CLOSE
    if by_operator and closing.loc:
        loc = closing.loc
    data.clear()
    data.put(b'{"decided_by":')
    data.put(b'"OPERATOR"' if by_operator else b'"CLOSE"' if by_carton else b'"DEADLINE"')
    data.integer_member(b',"line":', window.line.number)
    if loc:
        data.text_member(b',"loc":', loc)
    data.text_member(b',"order":', window.line.order)
    if window.line.known:
        data.put(b',"policy":')
        data.put(<bytes>POLICIES[window.line.policy])
    data.integer_member(b',"qty_picked":', max(0, o.q))
    data.integer_member(b',"qty_short":', o.q_short)
    data.integer_member(b',"qty_task":', window.q_task)
    if by_operator:
        data.text_member(b',"reason":', closing.code)
    else:
        data.put(b',"reason":"CLOSE"' if by_carton else b',"reason":"DEADLINE"')
    data.text_member(b',"sku":', window.sku)
    data.integer_member(b',"t_close":', o.t_close)
    if window.task:
        data.text_member(b',"task":', window.task)
    return data.put(b"}")


cdef int tell_exceptions(Floor floor, PickWindow* window, const Outcome* o, const Fact* cause) except -1:
    """R24: above tolerance; R27: pieces of a cancelled task that lie in a carton."""
    cdef int64_t tolerance = window.q_task * window.line.over_tol_pct // 100
    if not o.cancelled and o.q > window.q_task + tolerance:
        alarm(floor, window, PCK_OVER, o.t_close, cause, f"{o.q} of {window.q_task}")
    elif window.alarms:
        quiet(floor, window, PCK_OVER, o.t_close, cause)
    if o.cancelled and o.q > 0:
        alarm(floor, window, PCK_PUTBACK_REQUIRED, o.t_close, cause, f"{o.q} to put back")
    elif window.alarms:
        quiet(floor, window, PCK_PUTBACK_REQUIRED, o.t_close, cause)
    return 0


cdef int alarm(Floor floor, PickWindow* window, int code, int64_t t, const Fact* cause, str detail) except -1:
    """Raise an exception that this window can clear."""
    window.alarms |= <uint64_t>1 << code
    return floor.outlet.raise_(code, subject_text(floor, window), t, cause, detail)


cdef int quiet(Floor floor, PickWindow* window, int code, int64_t t, const Fact* cause) except -1:
    """Clear it, if it was raised."""
    if window.alarms >> code & 1:
        window.alarms &= ~(<uint64_t>1 << code)
        floor.outlet.clear(code, subject_text(floor, window), t, cause)
    return 0


cdef int tell_reversal(Floor floor, PickWindow* window, const Fact* fact) except -1:
    """R28: a reversal is told by itself, besides the revisions that it causes."""
    cdef JsonWriter data = floor.outlet.data
    cdef Ledger* ledger
    cdef int32_t order = window.line.order
    put_key(floor, window)
    floor.outlet.key.put(b"/")
    put_plain_dev_id(floor, fact)
    ledger = floor.outlet.ledger(PICK_REVERSED, order)
    data.clear()
    data.integer_member(b'{"line":', window.line.number)
    data.text_member(b',"order":', order)
    data.integer_member(b',"qty":', -fact.qty)
    data.text_member(b',"sku":', fact.sku)
    if window.task:
        data.text_member(b',"task":', window.task)
    data.put(b"}")
    floor.outlet.emit(ledger, subject_of(window), fact.t, order, fact, EXACT)
    floor.store.free(ledger)            # a reversal is told once
    return 0


cdef int put_plain_dev_id(Floor floor, const Fact* fact) except -1:
    """Into the business key, where nothing is escaped."""
    cdef bytes dev_id = floor.dev_id(fact).encode()
    return floor.outlet.key.raw(dev_id, len(dev_id))


cdef bint tell_late(Floor floor, PickWindow* window, Fact* fact) except -1:
    """R29: its shipment has left: no revision, but the stock of that place is not what was told. False: a duplicate (R30).

    `expected` is what the last `pick.confirmed` said of the task, `actual` what was picked of it in truth.
    """
    cdef str stock, key
    cdef int32_t key_number
    cdef LatePicks* late
    cdef JsonWriter data = floor.outlet.data
    if fact.press and is_known_press(floor, window, fact):
        return False
    stock = "/".join((floor.text(fact.loc or window.loc), floor.text(fact.sku), floor.text(fact.lot)))
    key = f"{stock}/{floor.text(window.task)}"
    key_number = floor.intern(key)
    late = <LatePicks*>find(floor.state.late_picks, key_number)
    if late == NULL:
        late = <LatePicks*>floor.store.new(B_LATE_PICKS, sizeof(LatePicks))
        floor.outlet.key.clear()
        floor.outlet.key.raw(floor.texts.bytes_of(key_number), floor.texts.length_of(key_number))
        late.ledger = floor.outlet.ledger(INVENTORY_DISCREPANCY, key_number)
        floor.store.put(floor.state.late_picks, key_number, late)
    late.qty += fact.qty
    late.t = max(late.t, fact.t)
    data.clear()
    data.integer_member(b'{"actual":', window.told_q + late.qty)
    data.integer_member(b',"as_of":', fact.t)
    data.integer_member(b',"expected":', window.told_q)
    data.put(b',"kind":"POST_SHIP"}')
    floor.outlet.emit(late.ledger, Subject(head=b"stock/", key=text_key(floor.intern(stock))), fact.t,
                      window.line.order, fact, EXACT)
    floor.outlet.raise_(PCK_LATE_AFTER_SHIP, subject_text(floor, window), fact.t, fact, f"{fact.qty:+d}")
    return True


# ---------------------------------------------------------------------------------------------- names

cdef Key key_of(const PickWindow* window) noexcept:
    if window.task:
        return text_key(window.task)
    return Key(a=window.line.order, number=window.line.number, form=KEY_LINE)


cdef Subject subject_of(const PickWindow* window) noexcept:
    return Subject(head=b"task/" if window.task else b"line/", key=key_of(window))


cdef int32_t subject_text(Floor floor, const PickWindow* window) except -1:
    """The subject as a text, for exceptions."""
    if window.task:
        return floor.joined(b"task/", window.task)
    return floor.joined(b"line/", floor.numbered(window.line.order, c"/", window.line.number))


cdef int put_key(Floor floor, const PickWindow* window) except -1:
    """The business key: the task, else order/line."""
    cdef int32_t text = window.task if window.task else window.line.order
    floor.outlet.key.clear()
    floor.outlet.key.raw(floor.texts.bytes_of(text), floor.texts.length_of(text))
    if not window.task:
        floor.outlet.key.put(b"/")
        floor.outlet.key.integer(window.line.number)
    return 0
