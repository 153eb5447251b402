# cython: boundscheck=False, wraparound=False
"""Waves and the cutoffs of their orders (R21 d): see cutoffs.pxd."""

from libc.stdint cimport int32_t

from ext cimport picks
from ext.outcomes cimport moved_at
from ext.state cimport Line, Order, PickWindow
from ext.store cimport Table, length, nth, remove
from ext.timers cimport NEVER

cdef int FORMER_CUTOFFS = 16             # of an order, whose time had come when they were moved


cdef int take(Floor floor, Fact* fact, dict record) except -1:
    """R21 d: with `short_at_cutoff` the wave's cutoff closes what its orders have not picked. A new revision may move
    it, or leave an order out. An order in several waves has the cutoff of each."""
    cdef Table* orders = floor.state.orders
    cdef Order* order
    cdef Fact* before
    cdef Fact* cutoff
    cdef int32_t wave = floor.intern(record["wave"])
    if not floor.rules.short_at_cutoff:
        return 0
    now = {floor.intern(name) for name in record["orders"]} if "cutoff" in record else ()
    names = sorted(     # by name: their order in the table means nothing
        floor.text((<Order*>orders.slots[i].value).id) for i in range(orders.capacity if record["rev"] > 1 else 0)
        if cutoff_of(<Order*>orders.slots[i].value, wave) != NULL and (<Order*>orders.slots[i].value).id not in now)
    for name in names:
        order = floor.order_of(floor.intern(name))
        set_cutoff(floor, order, cutoff_of(order, wave), NULL, fact)
    if "cutoff" not in record:
        return 0
    cutoff = at_time(floor, fact, record["cutoff"])
    cutoff.target = wave
    for name in record["orders"]:
        order = floor.order_of(floor.intern(name))
        before = cutoff_of(order, wave)
        if before == NULL or before.t != cutoff.t:
            set_cutoff(floor, order, before, cutoff, fact)
    return 0


cdef int set_cutoff(Floor floor, Order* order, Fact* before, Fact* cutoff, Fact* fact) except -1:
    """R21 d: `before` is what the wave said of the order, NULL: nothing. `cutoff` NULL: the wave has none any more, or not
    the order."""
    cdef Line* line
    cdef PickWindow* window
    cdef int i, k
    if before != NULL:
        leave_cutoff(order, before, fact.t)
    if cutoff != NULL:
        floor.store.append(&order.cutoffs, cutoff)
    for i in range(length(order.lines)):
        line = <Line*>nth(order.lines, i)
        for k in range(length(line.windows)):
            window = <PickWindow*>nth(line.windows, k)
            if cutoff != NULL:
                picks.take_closing(floor, window, cutoff)
            picks.move_closing(floor, window, before, fact, window.trouble.closed_by)
            picks.decide(floor, window, fact)
    return 0


cdef void leave_cutoff(Order* order, Fact* cutoff, int64_t t) noexcept:
    """The cutoff was moved, or taken from the order, at `t`. If its time had come by then it stays, for it has closed what was
    open (R26), also what arrives only later (R3). Of too many such the oldest goes."""
    cdef Fact* oldest = NULL
    cdef int i = length(order.cutoffs), former = 0
    if cutoff.t >= t:
        remove(&order.cutoffs, cutoff)
        return
    cutoff.qty = -t                     # see outcomes.moved_at
    while i > 0:
        i -= 1
        if moved_at(<Fact*>nth(order.cutoffs, i)) != NEVER:
            former += 1
            oldest = <Fact*>nth(order.cutoffs, i)
    if former > FORMER_CUTOFFS:
        remove(&order.cutoffs, oldest)


cdef Fact* cutoff_of(const Order* order, int32_t wave) noexcept:
    """That of this wave; NULL: it has none. NULL is no order."""
    cdef Fact* cutoff
    cdef int i
    for i in range(length(order.cutoffs) if order != NULL else 0):
        cutoff = <Fact*>nth(order.cutoffs, i)
        if cutoff.target == wave and moved_at(cutoff) == NEVER:
            return cutoff
    return NULL


cdef Fact* at_time(Floor floor, const Fact* fact, int64_t t) except NULL:
    """What a context record sets for later (a deadline, a cutoff), named by that record. Its bound counts from `t`."""
    cdef Fact* later = floor.copy_name(fact)
    later.t, later.t_rx = t, min(t, NEVER // 2)     # a bound is added to `t_rx`, and some sites say the last moment there is
    later.context = later.follows = True
    return later
