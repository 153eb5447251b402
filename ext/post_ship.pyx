# cython: boundscheck=False, wraparound=False, cdivision=True
"""R29: see post_ship.pxd."""

from libc.stdint cimport int32_t, uint64_t

from ext.asked cimport loc_of
from ext.exceptions cimport PCK_LATE_AFTER_SHIP
from ext.json_writer cimport JsonWriter
from ext.keys cimport text_key
from ext.outlet cimport EXACT, INVENTORY_DISCREPANCY, Subject
from ext.pick_names cimport alarm, key_of
from ext.premises_data cimport LatePicks
from ext.state cimport B_LATE_PICKS
from ext.store cimport Table, find, index_of, last, length, nth, remove
from ext.timers cimport RANK_PICK


cdef int count_late(Floor floor, PickWindow* window, Fact* fact, bint known) except -1:
    """R29: its shipment has left: no revision, but the stock of that place is not what was told. The event goes out at once,
    the exception when the watermark passes the pick, so that of several the first by event time raises it (R3). `known`:
    where it lay is known for good, and it is not asked again whether it is late."""
    fact.window = window
    count_late_here(floor, window, fact)
    floor.troubled(window).alarms |= <uint64_t>1 << PCK_LATE_AFTER_SHIP
    return floor.by_watermark.push(fact.t, RANK_PICK, key_of(window), fact, TAG_LATE, known)


cdef int count_late_here(Floor floor, PickWindow* window, Fact* fact) except -1:
    """Where it was, as far as is known now."""
    cdef LatePicks* late = late_picks_of(floor, window, fact)
    floor.insert_sorted(&late.picks, fact)
    return tell_post_ship(floor, late, place_text(floor, window, fact))


cdef int uncount_late(Floor floor, PickWindow* window, const Fact* fact) except -1:
    """R30: another record tells of its press. R70: or its task names another place."""
    cdef LatePicks* late = late_picks_of(floor, window, fact)
    remove(&late.picks, fact)
    return tell_post_ship(floor, late, place_text(floor, window, fact))


cdef bint is_late(Floor floor, const PickWindow* window, const Fact* fact) except -1:
    """Whether it still is told as one from after the manifest: another may have told of its press since."""
    cdef const LatePicks* late = <const LatePicks*>find(floor.state.late_picks, late_key(floor, window, fact))
    return late != NULL and index_of(late.picks, fact) >= 0


cdef int raise_late(Floor floor, const Fact* fact) except -1:
    if not is_late(floor, fact.window, fact):
        return 0
    return alarm(floor, fact.window, PCK_LATE_AFTER_SHIP, fact.t, fact, f"{fact.qty:+d}")


cdef int add_late_since(Floor floor, const PickWindow* window, int64_t t, List** found) except -1:
    """Appends its late picks of that moment on that do not say themselves where they were."""
    cdef const LatePicks* late
    cdef Fact* fact
    cdef uint64_t i
    cdef int k
    if not window.trouble.alarms >> PCK_LATE_AFTER_SHIP & 1:
        return 0
    for i in range(floor.state.late_picks.capacity):
        late = <const LatePicks*>floor.state.late_picks.slots[i].value
        for k in range(length(late.picks) if late != NULL else 0):
            fact = <Fact*>nth(late.picks, k)
            if fact.window == window and fact.t >= t and not fact.loc:
                floor.insert_sorted(found, fact)
    return 0


cdef int tell_post_ship(Floor floor, LatePicks* late, str place) except -1:
    """`expected` is what the last `pick.confirmed` said of the task of the youngest pick, `actual` what was picked in truth."""
    cdef JsonWriter data = floor.outlet.data
    cdef const Fact* fact
    cdef int64_t qty = 0
    cdef int i
    for i in range(length(late.picks)):
        qty += (<Fact*>nth(late.picks, i)).qty
    if length(late.picks):
        late.youngest = <Fact*>last(late.picks)
    fact = late.youngest
    data.clear()
    data.integer_member(b'{"actual":', fact.window.told_q + qty)
    data.integer_member(b',"as_of":', fact.t)
    data.integer_member(b',"expected":', fact.window.told_q)
    data.put(b',"kind":"POST_SHIP"}')
    floor.outlet.emit(late.ledger, Subject(head=b"stock/", key=text_key(floor.intern(place))), fact.t,
                      fact.window.line.order, fact, EXACT)
    return 0


cdef int retell_late(Floor floor, const PickWindow* window) except -1:
    """R29: something else was told of the task than when a pick came late. Rare: its places are looked for."""
    cdef Table* known = floor.state.late_picks
    cdef Py_ssize_t i, end = len(floor.text(window.task)) + 1
    names = [floor.text(<int32_t>known.slots[i].key) for i in range(<Py_ssize_t>known.capacity)
             if known.slots[i].value != NULL and (<LatePicks*>known.slots[i].value).youngest.window == window]
    for name in sorted(names):
        tell_post_ship(floor, <LatePicks*>find(known, floor.intern(name)), name[:-end])
    return 0


cdef int32_t late_key(Floor floor, const PickWindow* window, const Fact* fact) except -1:
    return floor.intern(f"{place_text(floor, window, fact)}/{floor.text(window.task)}")


cdef LatePicks* late_picks_of(Floor floor, const PickWindow* window, const Fact* fact) except NULL:
    cdef int32_t key = late_key(floor, window, fact)
    cdef LatePicks* late = <LatePicks*>find(floor.state.late_picks, key)
    if late == NULL:
        late = <LatePicks*>floor.store.new(B_LATE_PICKS, sizeof(LatePicks))
        floor.outlet.key_is(key)
        late.ledger = floor.outlet.ledger(INVENTORY_DISCREPANCY, key)
        floor.store.put(floor.state.late_picks, key, late)
    return late


cdef str place_text(Floor floor, const PickWindow* window, const Fact* fact):
    return "/".join((floor.text(loc_of(window, fact)), floor.text(fact.sku), floor.text(fact.lot)))
