# cython: boundscheck=False, wraparound=False
"""What is told of a carton: see carton_events.pxd."""

from libc.stdint cimport int32_t, int64_t, uint64_t

from ext.batch cimport ABSENT
from ext.carton_names cimport key_at, name_at, name_of, quiet, quiet_but, subject_of, told_by
from ext.carton_state cimport last_good_label, void_of, weight_of
from ext.exceptions cimport PKG_EMPTY, TIME_TOO_LATE
from ext.json_writer cimport JsonWriter
from ext.kinds cimport K_SCAN_READ
from ext.outlet cimport CARTON_CLOSED, CARTON_REOPENED, CARTON_VOIDED, EXACT, INCOMPLETE, INFERRED
from ext.packing cimport Contents, Piece, contents_of
from ext.plans cimport home_at
from ext.state cimport CartonPlan, Ledger, Shipment
from ext.store cimport List, find, length, nth
from ext.timers cimport ANY_TIME
from ext.tombstones cimport is_buried

from ext.kinds import NAMES


cdef int tell_closed(Floor floor, Cycle* cycle, Fact* close, const Fact* cause) except -1:
    """R43, R45: the close, with what lay in it then, and weight and label as they are known."""
    cdef Contents contents = contents_of(cycle, close.t)
    cdef int32_t shipment = shipment_of_close(floor, cycle, close, cause)
    show_empty(floor, cycle, contents.count == 0, close, cause)
    if cycle.decided.closed == NULL:
        if contents.count == 0:
            return 0
        if is_buried(floor, b"carton/", name_of(floor, cycle)):
            return floor.outlet.raise_(TIME_TOO_LATE, close.src, floor.state.wall, cause, "carton.closed")
        floor.deciding(cycle).closed = ledger(floor, cycle, CARTON_CLOSED, close.t + floor.rules.close_hold)
    if is_carried_on(cycle):
        return 0
    contents.sort(floor)
    if cycle.decided.close != NULL and cycle.decided.shipment != shipment:
        write_closed(floor, cycle, close, contents, cycle.decided.shipment)
        if floor.outlet.is_said(cycle.decided.closed, close.t):     # R53: a plan alone makes no revision
            return 0
    write_closed(floor, cycle, close, contents, shipment)
    floor.deciding(cycle).close = close
    floor.deciding(cycle).shipment = shipment
    floor.outlet.emit(cycle.decided.closed, subject_of(cycle), close.t, correlation(cycle, contents, shipment), cause,
                      INCOMPLETE if cycle.decided.forced >= close.t else INFERRED if close.kind == K_SCAN_READ else EXACT)
    return 0


cdef int show_empty(Floor floor, Cycle* cycle, bint empty, const Fact* close, const Fact* cause) except -1:
    """R44, R45: nothing lies in it. What was told before gets a revision that says so; else there is no event, and it goes by
    the name that an event of this close would have had (R40a)."""
    cdef int32_t name
    if not empty:
        return quiet(floor, cycle, PKG_EMPTY, close.t, cause)
    name = cycle.key if cycle.key else name_at(floor, cycle, close.t + floor.rules.close_hold)
    quiet_but(floor, cycle, PKG_EMPTY, name, close.t, cause)
    floor.deciding(cycle).alarms |= <uint64_t>1 << PKG_EMPTY
    return floor.outlet.raise_(PKG_EMPTY, floor.joined(b"carton/", name), close.t, cause, "")


cdef int tell_merged(Floor floor, Cycle* cycle, const Fact* cause) except -1:
    """What it was said to hold lies in the earlier carton: a revision without contents, and nothing is wrong with it."""
    cdef Contents nothing = Contents.__new__(Contents)
    cdef int code
    for code in range(64):
        quiet(floor, cycle, code, cause.t, cause)
    if cycle.decided.closed == NULL:
        return 0
    write_closed(floor, cycle, cycle.decided.close, nothing, shipment_at(cycle, ANY_TIME))
    floor.outlet.emit(cycle.decided.closed, subject_of(cycle), cycle.decided.close.t,
                      correlation(cycle, nothing, shipment_at(cycle, ANY_TIME)), cause, EXACT)
    return 0


cdef int write_closed(Floor floor, const Cycle* cycle, const Fact* close, Contents contents, int32_t shipment) except -1:
    cdef JsonWriter data = floor.outlet.data
    cdef int64_t weight = weight_of(floor, cycle, close.t)
    cdef const Fact* label = last_good_label(floor, cycle, True)
    cdef const Piece* piece
    cdef int i
    data.clear()
    data.text_member(b'{"carton":', name_of(floor, cycle))
    data.put(b',"contents":[')
    for i in range(contents.count):
        piece = &contents.pieces[i]
        data.integer_member(b',{"line":' if i else b'{"line":', piece.line.number)
        if piece.lot:
            data.text_member(b',"lot":', piece.lot)
        data.text_member(b',"order":', piece.line.order)
        data.integer_member(b',"qty":', piece.qty)
        data.text_member(b',"sku":', piece.sku)
        data.put(b"}")
    data.text_member(b'],"lu":', cycle.unit.lu)
    if shipment:
        data.text_member(b',"shipment":', shipment)
    if label != NULL:
        data.text_member(b',"sscc":', label.sscc)
    data.integer_member(b',"t_close":', close.t)
    data.integer_member(b',"t_open":', cycle.begin)
    if weight != ABSENT:
        data.integer_member(b',"weight_g":', weight)
    return data.put(b"}")


cdef int tell_reopened(Floor floor, Cycle* cycle, const Fact* cause) except -1:
    """R44."""
    if cycle.decided.closed == NULL:            # it was closed empty: nothing was told that could be reopened
        return 0
    if cycle.decided.reopened == NULL:
        floor.deciding(cycle).reopened = ledger(floor, cycle, CARTON_REOPENED, cause.t)
    return tell_cause(floor, cycle, cycle.decided.reopened, cause, INCOMPLETE if cycle.decided.forced >= cause.t else EXACT)


cdef int tell_voided(Floor floor, Cycle* cycle) except -1:
    """R56: once it is due; its contents left the shipment at once."""
    cdef Fact* fact = void_of(cycle)
    if fact == NULL:
        return 0
    if floor.state.watermark <= fact.t and cycle.decided.forced < fact.t:
        return 0
    if cycle.decided.voided == NULL:
        floor.deciding(cycle).voided = ledger(floor, cycle, CARTON_VOIDED, fact.t)
    return tell_cause(floor, cycle, cycle.decided.voided, fact, INCOMPLETE if cycle.decided.forced >= fact.t else EXACT)


cdef int tell_cause(Floor floor, const Cycle* cycle, Ledger* ledger, const Fact* cause, int evidence) except -1:
    floor.outlet.data.clear()
    floor.outlet.data.put(b'{"cause":')
    floor.outlet.data.text_of(NAMES[cause.kind])
    floor.outlet.data.put(b"}")
    floor.outlet.emit(
        ledger, subject_of(cycle), cause.t,
        correlation(cycle, contents_of(cycle, cause.t), shipment_at(cycle, cause.t)), cause, evidence)
    return 0


cdef Ledger* ledger(Floor floor, Cycle* cycle, int type, int64_t due) except NULL:
    """R40a, R81: one row of revisions a key, whichever cycles were that carton."""
    cdef int32_t key = key_at(floor, cycle, due)
    cdef Ledger* told = told_by(cycle.plan.cycles if cycle.plan != NULL else NULL, key, type)
    cdef const CartonPlan* meant
    if told == NULL and cycle.carton and cycle.carton != key:   # another unit told as the carton that it was by then
        meant = <const CartonPlan*>find(floor.state.cartons, key)
        told = told_by(meant.cycles if meant != NULL else NULL, key, type)
    if told == NULL:                    # no other unit was this carton, but a use may have been taken for it
        told = told_by(<List*>find(floor.state.told_before, key), key, type)
    if told != NULL:
        return told
    floor.outlet.key_is(key)
    return floor.outlet.ledger(type, shipment_at(cycle, due) if is_planned_at(cycle, due) else cycle.key)


cdef bint is_planned_at(const Cycle* cycle, int64_t due) noexcept:
    """Whether its plan had given it a shipment by then, under its name: that makes the partition, as it does the key."""
    return cycle.key == cycle.carton and shipment_at(cycle, due) != 0


cdef bint is_carried_on(const Cycle* cycle) noexcept:
    """Another unit has been this carton since, and told so: it is that one's now."""
    cdef const Cycle* other
    cdef int i
    for i in range(length(cycle.plan.cycles) if cycle.plan != NULL else 0):
        other = <Cycle*>nth(cycle.plan.cycles, i)
        if other.begin > cycle.begin and other.decided.closed != NULL and other.key == cycle.key:
            return True
    return False


# ---------------------------------------------------------------------------------------------- whose it is

cdef int32_t shipment_at(const Cycle* cycle, int64_t t) noexcept:
    """R53: that of the highest plan known by then; 0: none."""
    cdef Shipment* shipment = home_at(cycle.plan, t).shipment
    return shipment.id if shipment != NULL else 0


cdef int32_t shipment_of_close(Floor floor, const Cycle* cycle, const Fact* close, const Fact* cause) except -1:
    """R53, R3: by what was planned when the close was due, or when its name or label came, wherever the watermark was. What
    another late fact revises is told by what is planned now."""
    cdef int64_t due = close.t + floor.rules.close_hold
    cdef int32_t now = shipment_at(cycle, ANY_TIME)
    cdef const Fact* label
    if shipment_at(cycle, due) == now or (cause != close and cause.t <= due) or name_at(floor, cycle, due) != name_of(
            floor, cycle):
        return now
    label = last_good_label(floor, cycle, True)
    return shipment_at(cycle, max(due, label.t) if label != NULL else due)


cdef int32_t correlation(const Cycle* cycle, Contents contents, int32_t shipment) noexcept:
    """The order if exactly one is concerned, else the shipment, else the key."""
    cdef int i
    cdef bint one = contents.count > 0
    for i in range(1, contents.count):
        one = one and contents.pieces[i].line.order == contents.pieces[0].line.order
    if one:
        return contents.pieces[0].line.order
    return shipment if shipment else cycle.key
