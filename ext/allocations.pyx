# cython: boundscheck=False, wraparound=False
"""Pieces that could not be allocated (R23): see allocations.pxd."""

from libc.stdint cimport int32_t

from ext.exceptions cimport TIME_TOO_LATE
from ext.keys cimport KEY_LINE, Key
from ext.outcomes cimport outcome_now
from ext.outlet cimport EXACT, PICK_SHORT, Subject
from ext.state cimport Fact, PickWindow
from ext.store cimport length, nth
from ext.timers cimport NEVER
from ext.tombstones cimport is_buried

POLICIES = ("SHIP_PARTIAL", "HOLD", "CANCEL_LINE", "BACKORDER")     # their numbers are state.Policy
cdef list POLICY_JSON = [f'"{name}"'.encode() for name in POLICIES]


cdef int put_policy(JsonWriter data, const Line* line) except -1:
    """That of the order, once it is known."""
    if line.known_t != NEVER:
        data.put(b',"policy":')
        data.put(<bytes>POLICY_JSON[line.policy])
    return 0


cdef int tell(Floor floor, Line* line) except -1:
    """R23: told where the line's own window is not short."""
    cdef const PickWindow* own = line.own
    if own != NULL and own.trouble.short_told != NULL and outcome_now(own, floor.state.watermark).q_short > 0:
        return 0
    return write(floor, line)


cdef int write(Floor floor, Line* line) except -1:
    """R23: it waits for the order (or a task), which says what it is of. Under the line's own key, like the short of a
    line's own window: one ledger, so that neither tells the other's revision again (R81)."""
    cdef Fact* fact = line.changed.alloc_by
    cdef JsonWriter data = floor.outlet.data
    cdef int32_t sku = line.sku
    cdef int i
    for i in range(length(line.windows)):
        sku = sku if sku else (<PickWindow*>nth(line.windows, i)).sku
    if not sku:
        return 0
    if line.changed.alloc_ledger == NULL:
        if is_buried(floor, b"order/", line.order):
            return floor.outlet.raise_(TIME_TOO_LATE, fact.src, fact.t_rx, fact, "pick.short")
        floor.outlet.key_is(line.order)
        floor.outlet.key.put(b"/")
        floor.outlet.key.integer(line.number)
        floor.changing(line).alloc_ledger = floor.outlet.ledger(PICK_SHORT, line.order)
    data.clear()
    data.integer_member(b'{"decided_by":"ALLOC","line":', line.number)
    data.text_member(b',"order":', line.order)
    put_policy(data, line)
    data.integer_member(b',"qty_picked":0,"qty_short":', fact.qty)
    data.integer_member(b',"qty_task":', fact.qty)
    data.text_member(b',"reason":', fact.code)
    data.text_member(b',"sku":', sku)
    data.integer_member(b',"t_close":', fact.t)
    data.put(b"}")
    floor.outlet.emit(
        line.changed.alloc_ledger, Subject(head=b"line/", key=Key(a=line.order, number=line.number, form=KEY_LINE)), fact.t,
        line.order, fact, EXACT)
    return 0
