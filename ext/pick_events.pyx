# cython: boundscheck=False, wraparound=False, cdivision=True
"""What is told of a pick window (R23, R28, R31): see pick_events.pxd."""

from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from ext cimport allocations
from ext.allocations cimport put_policy
from ext.asked cimport loc_at, loc_of
from ext.batch cimport ABSENT
from ext.exceptions cimport PCK_LATE_AFTER_SHIP
from ext.json_writer cimport JsonWriter
from ext.kinds cimport K_CARTON_CLOSE, K_PICK_SHORT
from ext.outcomes cimport is_note, outcome_then
from ext.outlet cimport EXACT, PICK_CONFIRMED, PICK_REVERSED, PICK_SHORT
from ext.pick_names cimport key_of, put_key, subject_of
from ext.post_ship cimport late_key, retell_late
from ext.premises_data cimport LatePicks
from ext.presses cimport is_beside
from ext.state cimport Ledger
from ext.store cimport List, find, length, nth
from ext.timers cimport NEVER, RANK_PICK


cdef int tell_confirmed(Floor floor, PickWindow* window, const Outcome* o, const Fact* cause, int evidence) except -1:
    """R23. R29: `POST_SHIP` of its late picks names what the last confirmation said, so it is told anew."""
    cdef int32_t order = window.line.order
    if window.confirmed == NULL:
        put_key(floor, window)
        window.confirmed = floor.outlet.ledger(PICK_CONFIRMED, order)
    write_confirmed(floor, window, o)
    floor.outlet.emit(window.confirmed, subject_of(window), o.t_close, order, cause, evidence)
    window.told_q, window.told_t = max(0, o.q), o.t_close
    return retell_late(floor, window) if window.trouble.alarms >> PCK_LATE_AFTER_SHIP & 1 else 0


cdef int withdraw(Floor floor, PickWindow* window, const Fact* cause) except -1:
    """R20, R21, R3: nothing of what was told holds; a revision of quantity 0 means the same as no event."""
    cdef Outcome o
    if window.confirmed == NULL or window.told_t == ABSENT:
        return 0
    memset(&o, 0, sizeof(o))
    o.q_asked, o.t_close = window.q_task, window.told_t
    write_confirmed(floor, window, &o)
    floor.outlet.emit(window.confirmed, subject_of(window), o.t_close, window.line.order, cause, EXACT)
    window.told_q, window.told_t = 0, ABSENT
    return 0


cdef int write_confirmed(Floor floor, const PickWindow* window, const Outcome* o) except -1:
    """R23."""
    cdef JsonWriter data = floor.outlet.data
    cdef Picked picked = picked_by(window, o)
    data.clear()
    data.put(b'{"cancelled":true,' if o.cancelled else b"{")
    if picked.carton:
        data.text_member(b'"carton":', picked.carton)
        data.put(b",")
    data.integer_member(b'"line":', window.line.number)
    if picked.loc:
        data.text_member(b',"loc":', picked.loc)
    if picked.lu:
        data.text_member(b',"lu":', picked.lu)
    data.text_member(b',"order":', window.line.order)
    data.integer_member(b',"over_qty":', max(0, o.q - o.q_asked))
    data.integer_member(b',"qty":', max(0, o.q))
    data.integer_member(b',"qty_task":', o.q_asked)
    data.text_member(b',"sku":', window.sku)
    data.integer_member(b',"t_close":', o.t_close)
    data.integer_member(b',"t_first":', picked.t_first)
    if window.task:
        data.text_member(b',"task":', window.task)
    return data.put(b"}")


cdef struct Picked:             # when, from where and into what the pieces of a confirmation were picked
    int64_t t_first
    int32_t loc                 # 0: nobody said, or several places; likewise
    int32_t lu
    int32_t carton


cdef Picked picked_by(const PickWindow* window, const Outcome* o) noexcept:
    """R31: `lu` and `carton` are those of the last pick, left out if picks went into several; likewise `loc`, if they came
    from several."""
    cdef Picked found = Picked(t_first=o.t_close, loc=loc_at(window, o.t_close), lu=0, carton=0)
    cdef const Fact* fact
    cdef bint first = True, one_loc = True, one_lu = True, one_carton = True
    cdef int i
    for i in range(length(window.facts)):
        fact = <Fact*>nth(window.facts, i)
        if fact.qty <= 0 or fact.t > o.t_close or (o.cancelled and fact.t >= o.t_close):
            continue
        if first:
            found.t_first, first = fact.t, False
        else:
            one_loc = one_loc and loc_of(window, fact) == found.loc
            one_lu = one_lu and fact.lu == found.lu
            one_carton = one_carton and carton_number(fact) == found.carton
        found.loc, found.lu, found.carton = loc_of(window, fact), fact.lu, carton_number(fact)
    found.loc = found.loc if one_loc else 0
    found.lu = found.lu if one_lu else 0
    found.carton = found.carton if one_carton else 0
    return found


cdef int32_t carton_number(const Fact* fact) noexcept:
    return fact.cycle.carton if fact.cycle != NULL else 0


cdef int tell_short(Floor floor, PickWindow* window, const Outcome* o, const Fact* cause, int evidence) except -1:
    """R23, R81: a line's own short and its failed allocation go out under one key, so they share a ledger; what the allocation
    failed of is told again where the line's own short has come down to nothing."""
    cdef int32_t order = window.line.order
    if window.trouble.short_told == NULL and not window.task:
        floor.troubled(window).short_told = window.line.changed.alloc_ledger
    if window.trouble.short_told == NULL:
        put_key(floor, window)
        floor.troubled(window).short_told = floor.outlet.ledger(PICK_SHORT, order)
        if not window.task:
            floor.changing(window.line).alloc_ledger = window.trouble.short_told
    if o.q_short == 0 and not window.task and window.line.changed.alloc_by != NULL:
        allocations.write(floor, window.line)     # the line's own is none any more
        return ask_stock(floor, window, o.t_close)
    write_short(floor, window, o)
    if floor.outlet.emit(window.trouble.short_told, subject_of(window), o.t_close, order, cause, evidence):
        ask_stock(floor, window, o.t_close)
    return 0


cdef int ask_stock(Floor floor, PickWindow* window, int64_t t_close) except -1:
    """R70: what its short says of the stock, as soon as all else of the moment is done. R3: also where nothing was told of a
    short, for the pieces that followed it were heard of first."""
    return floor.by_watermark.push(
        min(t_close, floor.state.watermark - 1), RANK_PICK, key_of(window), window, TAG_SHORT_TOLD, 0)


cdef int write_short(Floor floor, const PickWindow* window, const Outcome* o) except -1:
    """R23, R31; a short that no longer stands (R25, R27, R27a) says so with `qty_short` 0 and keeps its reason."""
    cdef JsonWriter data = floor.outlet.data
    cdef const Fact* closing = o.closing
    cdef bint by_operator, by_carton
    cdef int32_t loc
    if closing == NULL:
        closing = closing_of_short(window)
    loc = loc_at(window, closing.t if closing != NULL else o.t_close)
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
    put_policy(data, window.line)
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


cdef Fact* closing_of_short(const PickWindow* window) noexcept:
    """The closing that a short was told by which no longer stands: the first b, c or d that closed the window, by what was asked
    for then. One that found it full told none."""
    cdef Fact* closing
    cdef Fact* first = NULL
    cdef int i
    for i in range(length(window.closings)):
        closing = <Fact*>nth(window.closings, i)
        if is_note(closing):
            continue
        if outcome_then(window, closing.t, NEVER).closing == closing:
            return closing
        first = closing if first == NULL else first
    return first


cdef int tell_reversal(Floor floor, PickWindow* window, const Fact* fact) except -1:
    """R28: a reversal is told by itself, besides the revisions that it causes. Where one record names the task several times
    (`alloc`) each entry revises what was told of those before it."""
    return write_reversal(floor, window, fact, False)


cdef int withdraw_reversal(Floor floor, PickWindow* window, const Fact* fact) except -1:
    """R20, R3: it was told as this window's, and is another's; a revision of quantity 0 means the same as no event."""
    return write_reversal(floor, window, fact, True)


cdef int write_reversal(Floor floor, PickWindow* window, const Fact* fact, bint withdrawn) except -1:
    cdef JsonWriter data = floor.outlet.data
    cdef Ledger* ledger
    cdef const LatePicks* late
    cdef int32_t order = window.line.order
    cdef int64_t qty = -fact.qty
    put_key(floor, window)
    floor.outlet.key.put(b"/")
    put_plain_dev_id(floor, fact)
    ledger = floor.outlet.ledger(PICK_REVERSED, order)
    add_entries_before(window, window.facts, fact, ledger, &qty)
    add_entries_before(window, window.trouble.other_sku, fact, ledger, &qty)
    if window.trouble.alarms >> PCK_LATE_AFTER_SHIP & 1:
        late = <const LatePicks*>find(floor.state.late_picks, late_key(floor, window, fact))
        add_entries_before(window, late.picks if late != NULL else NULL, fact, ledger, &qty)
    ledger.revision += withdrawn
    data.clear()
    data.integer_member(b'{"line":', window.line.number)
    data.text_member(b',"order":', order)
    data.integer_member(b',"qty":', 0 if withdrawn else qty)
    data.text_member(b',"sku":', fact.sku)
    if window.task:
        data.text_member(b',"task":', window.task)
    data.put(b"}")
    floor.outlet.emit(ledger, subject_of(window), fact.t, order, fact, EXACT)
    floor.store.free(ledger)            # nothing more comes of it
    return 0


cdef int add_entries_before(
        const PickWindow* window, const List* facts, const Fact* fact, Ledger* ledger, int64_t* qty) noexcept:
    """Those of the same record that its window has."""
    cdef const Fact* other
    cdef int i
    for i in range(length(facts)):
        other = <const Fact*>nth(facts, i)
        if other != fact and other.window == window and other.qty < 0 and is_beside(other, fact):
            qty[0] -= other.qty
            ledger.revision += 1
    return 0


cdef int put_plain_dev_id(Floor floor, const Fact* fact) except -1:
    """Into the business key, where nothing is escaped."""
    cdef bytes dev_id = floor.dev_id(fact).encode()
    return floor.outlet.key.raw(dev_id, len(dev_id))
