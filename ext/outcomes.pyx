# cython: boundscheck=False, wraparound=False, cdivision=True
"""When a pick window is done, with how many pieces: see outcomes.pxd. Hot: `walk`."""

from libc.string cimport memset

from ext.batch cimport ABSENT
from ext.kinds cimport K_CARTON_CLOSE, K_PICK_SHORT
from ext.store cimport length, nth
from ext.timers cimport NEVER


cdef Outcome outcome(const PickWindow* window, int64_t as_of, int64_t decided_before) noexcept:
    """R21, by what is asked for now (R27a)."""
    return walk(window, as_of, decided_before, window.q_task, NEVER)


cdef Outcome outcome_then(const PickWindow* window, int64_t as_of, int64_t decided_before) noexcept:
    """R21, by what was asked for at that moment (R27a)."""
    cdef int64_t q_task = window.q_task
    cdef const Fact* note
    cdef int i = length(window.closings) - 1
    while i >= 0 and (<Fact*>nth(window.closings, i)).t > as_of:
        note = <Fact*>nth(window.closings, i)
        q_task = asked_by(note) if is_note(note) else q_task
        i -= 1
    return walk(window, as_of, decided_before, q_task, as_of)


cdef Outcome walk(const PickWindow* window, int64_t as_of, int64_t decided_before, int64_t q_task, int64_t until) noexcept:
    """R21: walk picks and closings in the order of their event times, up to a closing that the watermark has not decided.
    What was asked for on the way is said by the notes among the closings (see `is_note`), those up to `until`; after the
    last of them it is `q_task`.

    At one event time a cancel comes first (a pick at t_c does not count), then picks, then b to d (q counts t <= t_close).
    """
    cdef Outcome o
    cdef Fact* picked = NULL
    cdef Fact* closing
    cdef Fact* fact
    cdef int i = 0, j = 0, n = length(window.facts), m = length(window.closings)
    cdef int64_t t_fact, t_closing, t_cancel = window.trouble.cancel_t if window.trouble.cancel_t <= as_of else NEVER
    cdef int64_t asked
    memset(&o, 0, sizeof(o))
    o.q_task, o.until, o.t_last = q_task, until, ABSENT
    asked = asked_from(&o, window, 0)
    if asked == 0 and window.task and window.planned_t <= as_of and asked_first(window, q_task) == 0:
        close_empty(&o, window.planned_t)
    while True:
        t_fact = (<Fact*>nth(window.facts, i)).t if i < n else NEVER
        t_closing = (<Fact*>nth(window.closings, j)).t if j < m else NEVER
        t_fact = t_fact if t_fact <= as_of else NEVER
        t_closing = t_closing if t_closing <= as_of else NEVER
        if t_cancel <= t_fact and t_cancel <= t_closing:
            if t_cancel < decided_before:
                close_by_cancel(&o, window, i, as_of)
            break
        if t_closing < t_fact or (t_closing == t_fact < NEVER and is_note(<Fact*>nth(window.closings, j))):
            closing = <Fact*>nth(window.closings, j)
            if is_note(closing):
                asked = ask_otherwise(&o, window, i, j)
            elif can_close(&o, window, j, picked, as_of):
                if t_closing >= decided_before:
                    break
                close_short(&o, closing)
            j += 1
        else:
            fact = <Fact*>nth(window.facts, i)
            count_pick(&o, window, fact, asked)
            if fact.qty > 0:
                picked = fact
            i += 1
    if o.closed or not o.told:
        o.q_asked = q_task
    return o


cdef int64_t ask_otherwise(Outcome* o, const PickWindow* window, int i, int j) noexcept:
    """R27a: the walk has come to a note, after `i` picks: what is asked for from there on. A full window may be open by it,
    an open one full."""
    cdef int64_t asked = asked_from(o, window, j + 1)
    open_again(o, asked)
    if i:
        cover_short(o, asked, <Fact*>nth(window.facts, i - 1))
        fill_again(o, asked, <Fact*>nth(window.facts, i - 1))
    elif asked == 0 and not o.closed:
        close_empty(o, (<Fact*>nth(window.closings, j)).t)
    if o.closed:                    # R26: if more is asked for later, that tells nothing by itself
        o.q_asked, o.cause = asked, <Fact*>nth(window.closings, j)
    return asked


cdef bint can_close(const Outcome* o, const PickWindow* window, int j, const Fact* picked, int64_t as_of) noexcept:
    """R21: whether closing number `j` finds the window open, and is one of its own. R23: a line without tasks or picks has
    no short. `picked`: the last pick before it."""
    cdef const Fact* closing = <Fact*>nth(window.closings, j)
    return (not o.closed and is_felt(o, window, j, o.q_now - o.q_late) and (window.task or has_begun(window, as_of))
            and was_there(window, closing) and not went_elsewhere(window, picked, closing))


cdef bint has_begun(const PickWindow* window, int64_t as_of) noexcept:
    """R20: a task's window is opened by its pick.task or its first pick, a line's own by its first pick."""
    if length(window.facts) and (<Fact*>nth(window.facts, 0)).t <= as_of:
        return True
    if length(window.trouble.other_sku) and (<Fact*>nth(window.trouble.other_sku, 0)).t <= as_of:
        return True
    return window.task != 0 and window.planned_t <= as_of


cdef bint was_there(const PickWindow* window, const Fact* closing) noexcept:
    """R20, R21 d: a cutoff that had come when it was moved has closed the windows that had begun by then, and no others."""
    cdef int64_t moved = moved_at(closing)
    return moved == NEVER or (window.planned_t < moved if window.task else has_begun(window, moved - 1))


cdef int64_t moved_at(const Fact* closing) noexcept:
    """When a cutoff was moved whose time had come, or was taken from the order; NEVER: it stands (see cutoffs)."""
    return -closing.qty if closing.context and closing.qty < 0 else NEVER


cdef bint is_note(const Fact* closing) noexcept:
    """R27a: a note is no closing, though it stands among them: up to its time `qty` - 1 was asked for, and something else
    since (see retasks)."""
    return closing.context and closing.qty > 0


cdef int64_t asked_by(const Fact* note) noexcept:
    return note.qty - 1


cdef int64_t lowered_at(const PickWindow* window) noexcept:
    """R27a: event time of the last revision that asked for less; ABSENT: none did."""
    cdef const Fact* note
    cdef int64_t asked = window.q_task
    cdef int j = length(window.closings) - 1
    while j >= 0:
        note = <Fact*>nth(window.closings, j)
        if is_note(note):
            if asked_by(note) > asked:
                return note.t
            asked = asked_by(note)
        j -= 1
    return ABSENT


cdef int64_t asked_first(const PickWindow* window, int64_t q_task) noexcept:
    """R27a: what the first revision of all asked for."""
    cdef int j
    for j in range(length(window.closings)):
        if is_note(<Fact*>nth(window.closings, j)):
            return asked_by(<Fact*>nth(window.closings, j))
    return q_task


cdef int64_t asked_from(const Outcome* o, const PickWindow* window, int j) noexcept:
    """R27a: what was asked for when closing number `j` came."""
    cdef const Fact* note
    for j in range(j, length(window.closings)):
        note = <Fact*>nth(window.closings, j)
        if note.t > o.until:
            break
        if is_note(note):
            return asked_by(note)
    return o.q_task


cdef bint is_felt(const Outcome* o, const PickWindow* window, int j, int64_t q) noexcept:
    """R21, R27a: a b, c or d that found the window full, by what was asked for then, changes nothing."""
    cdef int64_t asked = asked_from(o, window, j + 1)
    return asked == o.q_task or q < asked


cdef bint went_elsewhere(const PickWindow* window, const Fact* picked, const Fact* closing) noexcept:
    """R21 c: the last pick before the close, of whatever SKU, did not go into the carton that is closed. (It may have arrived
    after the close.)"""
    cdef const Fact* other
    cdef int i
    for i in range(length(window.trouble.other_sku) if closing.kind == K_CARTON_CLOSE else 0):
        other = <Fact*>nth(window.trouble.other_sku, i)
        if other.qty > 0 and other.t <= closing.t and (picked == NULL or other.t > picked.t):
            picked = other
    return (closing.kind == K_CARTON_CLOSE and picked != NULL and picked.cycle != closing.cycle
            and window.trouble.closed_by != closing)


cdef void open_again(Outcome* o, int64_t asked) noexcept:
    """R26, R27a: after a reversal, or when more is asked for, a window that was full is open, and R21 applies anew."""
    if o.by == BY_QUANTITY and o.q_now - o.q_late < asked:
        o.closed = False
        o.by = OPEN


cdef void fill_again(Outcome* o, int64_t asked, Fact* youngest) noexcept:
    """R27a: less is asked for than before. An open window that has so much is closed by a, at its last pick or reversal:
    q of a close counts what is not later."""
    if o.closed or o.q_now - o.q_late < asked:
        return
    o.closed = o.told = True
    o.by = BY_QUANTITY
    o.q, o.q_asked, o.t_close, o.cause = o.q_now, asked, max(o.t_close, youngest.t), youngest
    o.q_short = missing(o) if o.shorted else 0


cdef void cover_short(Outcome* o, int64_t asked, Fact* youngest) noexcept:
    """R27a: no more is asked for than there is. A window that a b, c or d had closed is now closed by a, at its last pick or
    reversal, and short of nothing: a reversal or a greater quantity opens it again."""
    if o.closed and o.shorted and o.q_now >= asked:
        o.by, o.shorted, o.q_short = BY_QUANTITY, False, 0
        o.q, o.q_asked, o.t_close, o.cause = o.q_now, asked, youngest.t, youngest


cdef void close_empty(Outcome* o, int64_t t) noexcept:
    """R21 a, R27a: nothing is asked for and nothing was picked. There is nothing to tell of it."""
    o.closed, o.by, o.t_close = True, BY_QUANTITY, t


cdef inline void count_pick(Outcome* o, const PickWindow* window, Fact* fact, int64_t asked) noexcept:
    """A pick, or a reversal, which is a pick of a negative quantity (R28)."""
    o.q_now += fact.qty
    if window.trouble.closed_by != NULL and fact.late:
        o.q_late += fact.qty            # R25: it came after the decision, whose t_close stays
    if fact.qty > 0:
        o.t_last = fact.t
        close_when_full(o, asked)
    if o.told:
        follow_close(o, fact, asked)


cdef inline void close_when_full(Outcome* o, int64_t asked) noexcept:
    """R21 a."""
    if not (o.closed and o.told) and asked >= 0 and o.q_now - o.q_late >= asked:
        o.closed = o.told = True
        o.by = BY_QUANTITY


cdef inline void follow_close(Outcome* o, Fact* fact, int64_t asked) noexcept:
    """R26: what comes after a close revises it, also while the window is open again."""
    o.q, o.q_asked, o.t_close, o.cause = o.q_now, asked, max(o.t_close, fact.t), fact
    open_again(o, asked)
    o.q_short = missing(o) if o.shorted else 0


cdef void close_short(Outcome* o, Fact* closing) noexcept:
    """R21 b, c, d: q counts the picks up to it."""
    o.closed = o.told = True
    if closing.kind == K_PICK_SHORT:
        o.by = BY_OPERATOR
    elif closing.kind == K_CARTON_CLOSE:
        o.by = BY_CARTON
    else:
        o.by = BY_DEADLINE
    o.q, o.t_close, o.cause = o.q_now, closing.t, closing
    o.q_late = 0
    o.q_short = missing(o)
    o.shorted = True
    o.closing = closing


cdef int64_t missing(const Outcome* o) noexcept:
    """What it is short of: no more than was asked for, even if more was put back than is known to be picked."""
    return max(0, o.q_task - max(0, o.q))


cdef void close_by_cancel(Outcome* o, const PickWindow* window, int first, int64_t as_of) noexcept:
    """R27: picks before t_c count, later ones do not; later reversals cut q; never a short."""
    cdef int i
    cdef Fact* fact
    o.told = o.told or o.q_now > 0 or window.confirmed != NULL or window.trouble.short_told != NULL
    for i in range(first, length(window.facts)):
        fact = <Fact*>nth(window.facts, i)
        if fact.t <= as_of and fact.qty < 0:
            o.q_now += fact.qty
    o.closed = o.cancelled = True
    o.by = BY_CANCEL
    o.q, o.t_close, o.cause = max(0, o.q_now), window.trouble.cancel_t, window.trouble.cancelled_by
    o.shorted, o.q_short = False, 0
