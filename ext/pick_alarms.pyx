# cython: boundscheck=False, wraparound=False, cdivision=True
"""What is wrong with a pick window: see pick_alarms.pxd. Hot: `expect`."""

from libc.stdint cimport uint64_t

from ext.asked cimport asked_at, tolerance_at
from ext.exceptions cimport (
    PCK_AFTER_CANCEL, PCK_OVER, PCK_PUTBACK_REQUIRED, PCK_STALLED, PCK_WRONG_SKU,
)
from ext.floor cimport find_line
from ext.keys cimport KEY_LINE, Key
from ext.kinds cimport K_ORDER_CHANGED
from ext.outcomes cimport Outcome, decided_before, is_note, outcome_then
from ext.pick_names cimport alarm, key_of, quiet, subject_text
from ext.store cimport List, last, length, nth
from ext.timers cimport NEVER, RANK_PICK

cdef enum:
    WATCHED = 63                # the bit of `Trouble.alarms` that says so: no code is that high


# ---------------------------------------------------------------------------------------------- for every pick

cdef int expect(Floor floor, PickWindow* window, int64_t t) except -1:
    """A fact of `t` has come: have the window judged when the watermark passes it, if anything may be wrong with it. Once that
    was so, it is judged at every fact."""
    if not window.trouble.alarms >> WATCHED & 1:
        if not may_be_wrong(window):
            return 0
        floor.troubled(window).alarms |= <uint64_t>1 << WATCHED
        expect_all(floor, window, window.facts)
    return floor.by_watermark.push(t, RANK_PICK, key_of(window), window, TAG_ALARMS, 0)


cdef bint may_be_wrong(const PickWindow* window) noexcept:
    """Whether anything may be wrong with it at any moment, by what is known so far. (Without a reversal a window never held
    more than it does now.)"""
    cdef int i
    if (window.trouble.alarms or window.reversed or length(window.trouble.other_sku) or window.trouble.cancel_t != NEVER
            or window.line.changed.before != NULL or window.q_sum > window.q_task + tolerance_at(window.line, window.q_task, NEVER)):
        return True
    for i in range(length(window.closings)):
        if is_note(<Fact*>nth(window.closings, i)):
            return True
    return False


# ---------------------------------------------------------------------------------------------- R22

cdef int watch(Floor floor, PickWindow* window, int64_t t) except -1:
    """R22: watch a window from its first pick on while it is not full, and again when a fact of `t` has opened it. One timer
    a window."""
    if window.stall_watched or window.q_sum <= 0 or window.q_sum >= window.q_task >= 0:
        return 0
    return watch_until(floor, window, max(t, last_pick(window, t) + floor.rules.pick_stall))


cdef int64_t last_pick(const PickWindow* window, int64_t as_of) noexcept:
    """When it was, or the first of all; a reversal is none. Mostly the last fact."""
    cdef int i = length(window.facts) - 1
    while i > 0 and ((<Fact*>nth(window.facts, i)).qty <= 0 or (<Fact*>nth(window.facts, i)).t > as_of):
        i -= 1
    return (<Fact*>nth(window.facts, i)).t


cdef int judge_stall(Floor floor, PickWindow* window, int64_t now) except -1:
    """R22: an alarm after `pick_stall_ms` without a pick in an open window, and nothing more. By all that the watermark has
    passed: the pick that ends it may have come already (R3)."""
    cdef int64_t as_of = floor.state.watermark - 1
    cdef Outcome o = outcome_then(window, as_of, decided_before(window, as_of + 1))
    cdef const Fact* newest = <Fact*>last(window.facts) if length(window.facts) else NULL
    window.stall_watched = False
    if not o.closed and o.q_now > 0 and o.t_last + floor.rules.pick_stall <= now:
        alarm(floor, window, PCK_STALLED, now, younger(floor, NULL, window.facts, as_of), f"{o.q_now} of {o.q_task}")
        expect_all(floor, window, window.facts)
    elif not o.closed and o.q_now > 0:
        return watch_until(floor, window, o.t_last + floor.rules.pick_stall)
    if newest != NULL and newest.t > as_of:
        return watch_until(floor, window, max(newest.t, last_pick(window, newest.t) + floor.rules.pick_stall))
    return 0


cdef int watch_until(Floor floor, PickWindow* window, int64_t due) except -1:
    window.stall_watched = True
    return floor.by_watermark.push(due, RANK_PICK, key_of(window), window, TAG_STALL, 0)


# ---------------------------------------------------------------------------------------------- what is to be judged


cdef int expect_all(Floor floor, PickWindow* window, const List* facts) except -1:
    """Have it judged at the facts, too, that came before and that the watermark has not passed."""
    cdef int64_t t
    cdef int i = length(facts) - 1
    while i >= 0 and (<Fact*>nth(facts, i)).t >= floor.state.watermark:
        t = (<Fact*>nth(facts, i)).t
        floor.by_watermark.push(t, RANK_PICK, key_of(window), window, TAG_ALARMS, 0)
        i -= 1
    return 0


cdef int expect_cover(Floor floor, Line* line, const Fact* order) except -1:
    """R24: a revision of the order asks for another quantity from its time on; what it covers is judged then."""
    cdef Fact* cover = floor.copy_name(order)
    cover.order, cover.line = line.order, line.number
    return floor.by_watermark.push(
        cover.t, RANK_PICK, Key(a=line.order, number=line.number, form=KEY_LINE), cover, TAG_COVER, 0)


# ---------------------------------------------------------------------------------------------- judging

cdef int due(Floor floor, void* target, int tag) except -1:
    if tag == TAG_STALL:
        return judge_stall(floor, <PickWindow*>target, floor.by_watermark.due)
    if tag == TAG_COVER:
        return judge_cover(floor, <Fact*>target)
    return judge(floor, <PickWindow*>target, youngest(floor, <PickWindow*>target, floor.state.watermark - 1))


cdef int judge(Floor floor, PickWindow* window, const Fact* cause) except -1:
    """Raise and clear what is wrong by all that the watermark has passed. `cause`: the last fact of it."""
    cdef int64_t as_of = floor.state.watermark - 1
    cdef Outcome o
    if window.trouble.buried or window.q_task < 0 or cause == NULL:
        return 0
    o = outcome_then(window, as_of, decided_before(window, as_of + 1))
    judge_sku(floor, window, as_of)
    judge_after_cancel(floor, window, as_of)
    if window.trouble.alarms >> PCK_STALLED & 1:
        end_stall(floor, window, &o, cause, as_of)
    judge_over(floor, window, &o, cause, as_of)
    return judge_putback(floor, window, &o, cause)


cdef int judge_sku(Floor floor, PickWindow* window, int64_t as_of) except -1:
    """R31: a pick of another SKU."""
    cdef const Fact* wrong = <Fact*>nth(window.trouble.other_sku, 0) if length(window.trouble.other_sku) else NULL
    if wrong == NULL or wrong.t > as_of:
        return 0
    return floor.outlet.raise_(PCK_WRONG_SKU, subject_text(floor, window), wrong.t, wrong,
                               f"{floor.text(wrong.sku)} instead of {floor.text(window.sku)}")


cdef int judge_after_cancel(Floor floor, PickWindow* window, int64_t as_of) except -1:
    """R27: a pick at or after the cancel."""
    cdef const Fact* wrong = first_after_cancel(window, as_of)
    if wrong == NULL:
        return 0
    return floor.outlet.raise_(PCK_AFTER_CANCEL, subject_text(floor, window), wrong.t, wrong, "")


cdef int end_stall(Floor floor, PickWindow* window, const Outcome* o, const Fact* cause, int64_t as_of) except -1:
    """R22: the next pick ends it, or the close; a reversal does not, unless nothing is left."""
    cdef bint stalled = not o.closed and o.q_now > 0 and o.t_last + floor.rules.pick_stall <= as_of
    if stalled or not (cause.window == window or o.closed):
        return 0
    return quiet(floor, window, PCK_STALLED, cause.t, cause)


cdef int judge_over(Floor floor, PickWindow* window, const Outcome* o, const Fact* cause, int64_t as_of) except -1:
    """R24: more than the tolerance allows, and than a change of the order covers."""
    cdef int64_t allowed = o.q_task + tolerance_at(window.line, o.q_task, as_of)
    cdef int64_t t = max(o.t_close, cause.t)
    if o.told and not o.cancelled and o.q > allowed and not is_covered(window, o.q, as_of):
        return alarm(floor, window, PCK_OVER, t, cause, f"{o.q} of {o.q_task}")
    return quiet(floor, window, PCK_OVER, t, cause)


cdef int judge_putback(Floor floor, PickWindow* window, const Outcome* o, const Fact* cause) except -1:
    """R27: what was picked before the cancel, until reversals have brought it to 0."""
    if o.cancelled and o.q > 0:
        return alarm(floor, window, PCK_PUTBACK_REQUIRED, o.t_close, cause, f"{o.q} to put back")
    return quiet(floor, window, PCK_PUTBACK_REQUIRED, max(o.t_close, cause.t), cause)


cdef Fact* first_after_cancel(const PickWindow* window, int64_t as_of) noexcept:
    """R27: the first pick that was made although it was cancelled."""
    cdef Fact* fact
    cdef int i
    for i in range(length(window.facts) if window.trouble.cancel_t <= as_of else 0):
        fact = <Fact*>nth(window.facts, i)
        if window.trouble.cancel_t <= fact.t <= as_of and fact.qty > 0:
            return fact
    return NULL


cdef int judge_cover(Floor floor, const Fact* order) except -1:
    """R24: a revision of the order may cover what was picked of a line; or cover it no more."""
    cdef Line* line = find_line(floor.state, order.order, order.line)
    cdef PickWindow* window
    cdef int i
    for i in range(length(line.windows) if line != NULL else 0):
        window = <PickWindow*>nth(line.windows, i)
        if window.trouble.alarms:
            judge(floor, window, order)
    return 0


cdef bint is_covered(const PickWindow* window, int64_t q, int64_t as_of) noexcept:
    """R24: the last `order.changed` by then asked for all that had been picked of the line, and of this no more was since."""
    cdef const Line* line = window.line
    cdef const Fact* change = NULL
    cdef const Fact* word
    cdef int64_t picked = 0
    cdef int i
    for i in range(length(line.changed.words)):
        word = <Fact*>nth(line.changed.words, i)
        if word.kind == K_ORDER_CHANGED and word.t <= as_of and (change == NULL or word.t >= change.t):
            change = word
    if change == NULL:
        return False
    for i in range(length(line.windows)):
        picked += told_by(<PickWindow*>nth(line.windows, i), change.t)
    return picked <= asked_at(line, change.t).qty and q <= told_by(window, change.t)


cdef int64_t told_by(const PickWindow* window, int64_t t) noexcept:
    """What its confirmation said by then; nothing if it was cancelled."""
    cdef Outcome o = outcome_then(window, t, decided_before(window, t + 1))
    return o.q if o.told and not o.cancelled else 0


cdef const Fact* youngest(Floor floor, const PickWindow* window, int64_t as_of) noexcept:
    """The last of its facts by then."""
    cdef const Fact* found = window.trouble.cancelled_by if window.trouble.cancel_t <= as_of else NULL
    found = younger(floor, found, window.facts, as_of)
    found = younger(floor, found, window.trouble.other_sku, as_of)
    return younger(floor, found, window.closings, as_of)


cdef const Fact* younger(Floor floor, const Fact* found, const List* facts, int64_t as_of) noexcept:
    cdef const Fact* fact
    cdef int i = length(facts) - 1
    while i >= 0 and (<Fact*>nth(facts, i)).t > as_of:
        i -= 1
    if i < 0:
        return found
    fact = <Fact*>nth(facts, i)
    return fact if found == NULL or floor.precedes(found, fact) else found
