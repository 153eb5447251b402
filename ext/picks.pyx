"""The pick window (R20-R31): see picks.pxd."""

from ext cimport gaps
from ext.batch cimport ABSENT
from ext.floor cimport LatePicks, insert_sorted
from ext.kinds cimport K_CARTON_CLOSE, K_PICK_SHORT
from ext.timers cimport NEVER, RANK_INVENTORY, RANK_PICK

from libc.string cimport memset

cdef int64_t ANY_TIME = NEVER - 1


# ---------------------------------------------------------------------------------------------- the window's outcome

cdef Outcome outcome(PickWindow window, int64_t as_of, int64_t decided_before):
    """R21: walk facts and closings by event time; stop at a closing that the watermark has not decided.

    At one event time a cancel comes first (a pick at t_c does not count), then picks, then b to d (q counts t <= t_close).
    """
    cdef Outcome o
    cdef list facts = window.facts, closings = window.closings
    cdef Py_ssize_t i = 0, j = 0, n = len(facts), m = len(closings)
    cdef int64_t t_fact, t_closing, t_cancel = window.cancel_t if window.cancel_t <= as_of else NEVER
    memset(&o, 0, sizeof(o))
    o.t_last = ABSENT
    while True:
        t_fact = (<Fact>facts[i]).t if i < n else NEVER
        t_closing = (<Fact>closings[j]).t if j < m else NEVER
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
                close_short(&o, window, <Fact>closings[j])
            j += 1                      # closed already: a later b, c or d changes nothing
        else:
            count_pick(&o, window, <Fact>facts[i], t_closing == t_fact)
            i += 1
    return o


cdef int count_pick(Outcome* o, PickWindow window, Fact fact, bint closing_here) except -1:
    """R21 a before the close, R25 and R26 after it; R28's reversals are picks of a negative quantity."""
    o.q_now += fact.qty
    if fact.qty > 0:
        o.t_last = fact.t
    if not o.closed:
        if window.decided is not None and fact.t <= window.decided.t:
            return 0                    # R25: it came after the decision, whose t_close stays
        if window.q_task >= 0 and fact.qty > 0 and o.q_now >= window.q_task and not closing_here:
            o.closed = o.told = True
            o.by = BY_QUANTITY
            o.q, o.t_close, o.cause = o.q_now, fact.t, <PyObject*>fact
        return 0
    o.q, o.t_close, o.cause = o.q_now, max(o.t_close, fact.t), <PyObject*>fact
    if o.by == BY_QUANTITY and o.q < window.q_task:
        o.closed = False                # R26: a reversal opens it again, R21 applies anew
        o.by = OPEN
    o.q_short = max(0, window.q_task - o.q) if o.shorted else 0
    return 0


cdef int close_short(Outcome* o, PickWindow window, Fact closing) except -1:
    """R21 b, c, d: q counts the picks up to it."""
    o.closed = o.told = True
    if closing.kind == K_PICK_SHORT:
        o.by = BY_OPERATOR
    elif closing.kind == K_CARTON_CLOSE:
        o.by = BY_CARTON
    else:
        o.by = BY_DEADLINE
    o.q, o.t_close, o.cause = o.q_now, closing.t, <PyObject*>closing
    o.q_short = max(0, window.q_task - o.q)
    o.shorted = True
    o.closing = <PyObject*>closing
    return 0


cdef int close_by_cancel(Outcome* o, PickWindow window, Py_ssize_t first, int64_t as_of) except -1:
    """R27: picks before t_c count, later ones do not; later reversals cut q; never a short."""
    cdef Py_ssize_t i
    cdef Fact fact
    o.told = o.told or o.q_now > 0 or window.confirmed is not None
    for i in range(first, len(window.facts)):
        fact = <Fact>window.facts[i]
        if fact.t <= as_of and fact.qty < 0:
            o.q_now += fact.qty
    o.closed = o.cancelled = True
    o.by = BY_CANCEL
    o.q, o.t_close, o.cause = max(0, o.q_now), window.cancel_t, <PyObject*>window.cancelled_by
    o.shorted, o.q_short = False, 0
    return 0


# ---------------------------------------------------------------------------------------------- collecting facts

cdef PickWindow window_for(Floor floor, Fact fact):
    """R20: the window that a pick, short or reversal goes to; None while its task or order is unknown (R11)."""
    cdef Line line
    if fact.task:
        return floor.tasks.get(fact.task)
    line = floor.lines.get((<int64_t>fact.order << 32) | <int64_t>fact.line)
    if line is None:
        return None
    if line.windows and line.own is None:
        return task_of_line(line, fact.t)
    if not line.known:
        return None
    if line.own is None:
        line.own = PickWindow()
        line.own.line = line
        line.own.key = f"{floor.text(line.order)}/{line.number}"
        line.own.q_task = line.qty
        line.own.sku = line.sku
        line.own.cancel_t = line.cancel_t
        line.own.cancelled_by = line.cancelled_by
        line.windows.append(line.own)
        if line.order in floor.cutoffs:
            take_closing(floor, line.own, floor.cutoffs[line.order])
        if line.cancel_t != NEVER:
            floor.by_watermark.push(line.cancel_t, RANK_PICK, line.own.key, line.own, TAG_CLOSING, line.cancel_t)
    return line.own


cdef PickWindow task_of_line(Line line, int64_t t):
    """R20: of the line's tasks known at `t`, the open one with the smallest id; else the one closed last, then id."""
    cdef PickWindow window, best = None
    cdef Outcome o
    cdef bint best_open = False
    cdef int64_t best_close = 0
    for window in line.windows:
        if window.planned_by.t > t and best is not None:
            continue                    # told later; it gets the pick only where there is no other
        o = outcome(window, t, t)
        if best is None or best.planned_by.t > t or (not o.closed and not best_open):
            pass
        elif o.closed != (not best_open):
            continue
        elif not o.closed:
            if window.key >= best.key:
                continue
        elif (o.t_close, window.key) <= (best_close, best.key):
            continue
        best, best_open, best_close = window, not o.closed, o.t_close
    return best


cdef bint take_pick(Floor floor, PickWindow window, Fact fact) except -1:
    """A pick or reversal joins its window. False: the same press again (R30), a duplicate."""
    if is_known_press(window, fact):
        return False
    fact.window = window
    if fact.sku != window.sku:          # R31: it lies in the carton, but it is not what the task asked for
        floor.outlet.raise_("PCK_WRONG_SKU", subject_of(floor, window), fact.t, floor.dev_id(fact),
                            f"{floor.text(fact.sku)} instead of {floor.text(window.sku)}")
        return True
    insert_sorted(window.facts, fact, floor.texts)
    if fact.t >= window.cancel_t and fact.qty > 0:
        floor.outlet.raise_("PCK_AFTER_CANCEL", subject_of(floor, window), fact.t, floor.dev_id(fact), "")
    floor.outlet.clear("PCK_STALLED", subject_of(floor, window), fact.t, floor.dev_id(fact))
    return True


cdef bint is_known_press(PickWindow window, Fact fact) except -1:
    """R30: the same press on one task is one pick; from now on it is known."""
    if not fact.press or fact.qty < 0:
        return False
    if window.presses is None:
        window.presses = set()
    if fact.press in window.presses:
        return True
    window.presses.add(fact.press)
    return False


cdef int take_closing(Floor floor, PickWindow window, Fact closing) except -1:
    """R21 b, c, d: it is decided when the watermark passes it, or by the wall clock's bound."""
    insert_sorted(window.closings, closing, floor.texts)
    floor.by_watermark.push(closing.t, RANK_PICK, window.key, window, TAG_CLOSING, closing.t)
    floor.by_wall.push(closing.t_rx + floor.rules.hold_wall_max, RANK_PICK, window.key, window, TAG_CLOSING, closing.t)
    return 0


cdef int cancel(Floor floor, PickWindow window, Fact fact) except -1:
    """R21 e, R27: takes effect at its event time."""
    if fact.t >= window.cancel_t:
        return 0
    window.cancel_t = fact.t
    window.cancelled_by = fact
    floor.by_watermark.push(fact.t, RANK_PICK, window.key, window, TAG_CLOSING, fact.t)
    floor.by_wall.push(fact.t_rx + floor.rules.hold_wall_max, RANK_PICK, window.key, window, TAG_CLOSING, fact.t)
    return 0


# ---------------------------------------------------------------------------------------------- telling

cdef int decide_closing(Floor floor, PickWindow window, int64_t t) except -1:
    """A closing is due: what it decides counts the picks up to it; later ones waited for it and follow R26."""
    if window.confirmed is None or window.told_t <= t:
        tell(floor, window, None, t)
    return tell(floor, window, None, ANY_TIME)


cdef int decide(Floor floor, PickWindow window, Fact cause) except -1:
    """`cause` has just come: tell what the outcome says now."""
    if floor.deferring:
        floor.deferred[window] = cause
        return 0
    return tell(floor, window, cause, ANY_TIME)


cdef int tell(Floor floor, PickWindow window, Fact cause, int64_t as_of) except -1:
    """R23: confirmed before short. `cause`: the fact that just came, None when time decided."""
    cdef Outcome o = outcome(window, as_of, max(floor.watermark, window.forced + 1))
    cdef str evidence = "incomplete" if o.told and window.forced >= o.t_close else "exact"
    cdef str dev_id, order = floor.text(window.line.order)
    cdef int64_t blind
    if window.q_task < 0:
        return 0
    if not o.told:
        if window.confirmed is None or cause is None or cause.window is not window or o.q_now == window.told_q:
            return 0
        o.q, o.t_close, o.cause = o.q_now, window.told_t, <PyObject*>cause      # R25: a reversal that came late
    blind = gaps.hold_of_window(floor, window, o.t_close) if o.by == BY_DEADLINE and window.decided is None else 0
    if blind:
        if o.t_close != window.gap_over_t:
            return hold(floor, window, o.t_close, blind)
        evidence = "incomplete"
    if o.closing != NULL and window.decided is None:
        window.decided = <Fact>o.closing
    dev_id = floor.dev_id(<Fact>o.cause if cause is None else cause)
    if o.q > 0 or window.confirmed is not None:
        if window.confirmed is None:
            window.confirmed = floor.outlet.ledger("pick.confirmed", window.key, subject_of(floor, window), order)
        floor.outlet.emit(window.confirmed, confirmed_data(floor, window, &o), o.t_close, order, dev_id, evidence)
        window.told_q, window.told_t = max(0, o.q), o.t_close
    if window.short is not None or (o.shorted and o.q_short > 0):
        if window.short is None:
            window.short = window.line.alloc_ledger if not window.task else None
        if window.short is None:
            window.short = floor.outlet.ledger("pick.short", window.key, subject_of(floor, window), order)
            if not window.task:
                window.line.alloc_ledger = window.short
        if floor.outlet.emit(window.short, short_data(floor, window, &o), o.t_close, order, dev_id, evidence):
            floor.by_watermark.push(min(o.t_close, floor.watermark - 1), RANK_INVENTORY, window.key, window,
                                    TAG_SHORT_TOLD, 0)
    tell_exceptions(floor, window, &o, dev_id)
    return 0


cdef int hold(Floor floor, PickWindow window, int64_t t, int64_t blind) except -1:
    """R7: a short by deadline rests on silence; inside a gap it waits, with the `pick.confirmed` of the same close."""
    if not window.gap_held or window.held_t != t:
        if not window.gap_held:
            floor.held.append(window)
        window.gap_held, window.held_t = True, t
        floor.by_wall.push(t + blind, RANK_PICK, window.key, window, gaps.TAG_GAP_HOLD, t)
    return 0


cdef dict confirmed_data(Floor floor, PickWindow window, Outcome* o):
    """R31: `lu` and `carton` are those of the last pick, left out if picks went into several."""
    cdef dict data = place_data(floor, window)
    cdef Fact fact, last = None
    cdef int64_t t_first = o.t_close
    cdef bint one_lu = True, one_carton = True
    for fact in window.facts:
        if fact.qty <= 0 or fact.t > o.t_close or (o.cancelled and fact.t >= o.t_close):
            continue
        if last is None:
            t_first = fact.t
        else:
            one_lu = one_lu and fact.lu == last.lu
            one_carton = one_carton and carton_number(fact) == carton_number(last)
        last = fact
    data["qty"] = max(0, o.q)
    data["qty_task"] = window.q_task
    data["over_qty"] = max(0, o.q - window.q_task)
    data["t_first"] = t_first
    data["t_close"] = o.t_close
    if last is not None:
        if last.lu and one_lu:
            data["lu"] = floor.text(last.lu)
        if carton_number(last) and one_carton:
            data["carton"] = floor.text(carton_number(last))
        if last.loc:
            data["loc"] = floor.text(last.loc)
    if o.cancelled:
        data["cancelled"] = True
    return data


cdef int carton_number(Fact fact) except -1:
    return fact.cycle.carton if fact.cycle is not None else 0


cdef dict short_data(Floor floor, PickWindow window, Outcome* o):
    """R23; a short that no longer stands (R25, R27, R27a) says so with `qty_short` 0 and keeps its reason."""
    cdef dict data = place_data(floor, window)
    cdef Fact closing = None
    if o.closing != NULL:
        closing = <Fact>o.closing
    elif window.closings:
        closing = <Fact>window.closings[0]
    if closing is None or (closing.kind != K_PICK_SHORT and closing.kind != K_CARTON_CLOSE):
        data["decided_by"] = data["reason"] = "DEADLINE"
    elif closing.kind == K_PICK_SHORT:
        data["decided_by"] = "OPERATOR"
        data["reason"] = floor.text(closing.code)
        if closing.loc:
            data["loc"] = floor.text(closing.loc)
    else:
        data["decided_by"] = data["reason"] = "CLOSE"
    data["qty_task"] = window.q_task
    data["qty_picked"] = max(0, o.q)
    data["qty_short"] = o.q_short
    data["t_close"] = o.t_close
    if window.line.known:
        data["policy"] = window.line.policy
    return data


cdef dict place_data(Floor floor, PickWindow window):
    cdef dict data = {
        "order": floor.text(window.line.order), "line": window.line.number, "sku": floor.text(window.sku),
    }
    if window.task:
        data["task"] = floor.text(window.task)
    if window.loc:
        data["loc"] = floor.text(window.loc)
    return data


cdef int tell_exceptions(Floor floor, PickWindow window, Outcome* o, str dev_id) except -1:
    """R24: above tolerance; R27: pieces of a cancelled task that lie in a carton."""
    cdef str subject = subject_of(floor, window)
    cdef int64_t tolerance = window.q_task * window.line.over_tol_pct // 100
    if not o.cancelled and o.q > window.q_task + tolerance:
        floor.outlet.raise_("PCK_OVER", subject, o.t_close, dev_id, f"{o.q} of {window.q_task}")
    else:
        floor.outlet.clear("PCK_OVER", subject, o.t_close, dev_id)
    if o.cancelled and o.q > 0:
        floor.outlet.raise_("PCK_PUTBACK_REQUIRED", subject, o.t_close, dev_id, f"{o.q} to put back")
    else:
        floor.outlet.clear("PCK_PUTBACK_REQUIRED", subject, o.t_close, dev_id)
    return 0


cdef int tell_reversal(Floor floor, PickWindow window, Fact fact) except -1:
    """R28: a reversal is told by itself, besides the revisions that it causes."""
    cdef str dev_id = floor.dev_id(fact), order = floor.text(window.line.order)
    cdef dict data = {"order": order, "line": window.line.number, "sku": floor.text(fact.sku), "qty": -fact.qty}
    if window.task:
        data["task"] = floor.text(window.task)
    floor.outlet.emit(
        floor.outlet.ledger("pick.reversed", f"{window.key}/{dev_id}", subject_of(floor, window), order),
        data, fact.t, order, dev_id, "exact")
    return 0


cdef bint tell_late(Floor floor, PickWindow window, Fact fact) except -1:
    """R29: its shipment has left: no revision, but the stock of that place is not what was told. False: a duplicate (R30).

    `expected` is what the last `pick.confirmed` said of the task, `actual` what was picked of it in truth.
    """
    cdef str stock, key
    cdef LatePicks late
    if is_known_press(window, fact):
        return False
    stock = "/".join((floor.text(fact.loc or window.loc), floor.text(fact.sku), floor.text(fact.lot)))
    key = f"{stock}/{floor.text(window.task)}"
    late = floor.late_picks.get(key)
    if late is None:
        late = floor.late_picks[key] = LatePicks()
        late.ledger = floor.outlet.ledger("inventory.discrepancy", key, f"stock/{stock}", key)
    late.qty += fact.qty
    floor.outlet.emit(
        late.ledger,
        {"kind": "POST_SHIP", "expected": window.told_q, "actual": window.told_q + late.qty, "as_of": fact.t},
        fact.t, floor.text(window.line.order), floor.dev_id(fact), "exact")
    floor.outlet.raise_("PCK_LATE_AFTER_SHIP", subject_of(floor, window), fact.t, floor.dev_id(fact), f"{fact.qty:+d}")
    return True


cdef int watch_stall(Floor floor, PickWindow window, int64_t due) except -1:
    """R22: an alarm after `pick_stall_ms` without a pick in an open window, and nothing more. One timer a window."""
    cdef Outcome o = outcome(window, ANY_TIME, floor.watermark)
    window.stall_watched = False
    if o.closed or o.q_now <= 0:
        return 0
    if o.t_last + floor.rules.pick_stall <= due:
        floor.outlet.raise_("PCK_STALLED", subject_of(floor, window), due, floor.dev_id(<Fact>window.facts[-1]),
                            f"{o.q_now} of {window.q_task}")
        return 0
    window.stall_watched = True
    floor.by_watermark.push(o.t_last + floor.rules.pick_stall, RANK_PICK, window.key, window, TAG_STALL, 0)
    return 0


cdef str subject_of(Floor floor, PickWindow window):
    return f"task/{window.key}" if window.task else f"line/{window.key}"
