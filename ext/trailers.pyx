"""Trailers: what is scanned into them, and that they close (R54, R55): see trailers.pxd."""

from libc.stdint cimport int64_t

from ext cimport cartons, manifests, riding
from ext.batch cimport ABSENT
from ext.floor cimport Cycle, Shipment, Trailer, insert_sorted
from ext.kinds cimport K_LOAD_SCANNED
from ext.readiness cimport cycles_of, home_of, truth_of
from ext.timers cimport RANK_SHIPMENT


cdef int take_load(Floor floor, Fact fact) except -1:
    """A carton, or a pallet with all on it, was scanned in or taken out again; it may come after the trailer's close."""
    cdef Trailer trailer = floor.trailer_of(fact.trailer)
    cdef Fact close
    floor.by_watermark.push(fact.t, RANK_SHIPMENT, floor.text(fact.lu), fact, TAG_LOAD, fact.t)
    if fact.kind == K_LOAD_SCANNED:
        insert_sorted(trailer.loads, fact, floor.texts)
    for close in trailer.closes:
        if close.t >= fact.t:
            floor.by_watermark.push(close.t, RANK_SHIPMENT, floor.text(fact.trailer), close, TAG_CLOSED, close.t)
    return 0


cdef int take_close(Floor floor, Fact fact) except -1:
    """R54: decided when the watermark passes it, or by the wall clock's bound."""
    insert_sorted(floor.trailer_of(fact.trailer).closes, fact, floor.texts)
    floor.by_watermark.push(fact.t, RANK_SHIPMENT, floor.text(fact.trailer), fact, TAG_CLOSED, fact.t)
    floor.by_wall.push(fact.t_rx + floor.rules.hold_wall_max, RANK_SHIPMENT, floor.text(fact.trailer), fact, TAG_CLOSED,
                       fact.t)
    return 0


cdef int on_closed(Floor floor, Fact close, bint forced) except -1:
    """R54: every shipment with a carton scanned into this visit of the trailer has it as evidence."""
    cdef Trailer trailer = floor.trailer_of(close.trailer)
    cdef int64_t before = ABSENT
    cdef dict found = {}
    cdef Fact fact
    cdef Cycle cycle
    cdef Shipment shipment
    for fact in trailer.closes:
        if fact.t < close.t:
            before = fact.t
    for fact in trailer.loads:
        if before < fact.t <= close.t:
            for cycle in loaded_by(floor, fact):
                shipment = home_of(cycle, close.t)
                if shipment is not None:
                    found[shipment.key] = shipment
    for key in sorted(found):
        manifests.take_trailer(floor, <Shipment>found[key], close, forced)
    return 0


cdef list loaded_by(Floor floor, Fact fact):
    """The cartons that a scan speaks of: the unit's own, and those that ride on it (R48)."""
    cdef list found = riding.riders_at(floor, floor.unit_of(fact.lu), fact.t)
    if fact.cycle is not None and fact.cycle not in found:
        found.append(fact.cycle)
    return found


# ---------------------------------------------------------------------------------------------- R55

cdef int on_load(Floor floor, Fact fact) except -1:
    """Everything before the load is known: was its shipment ready, and is the rest of it in the same trailer?"""
    cdef Cycle cycle
    cdef Shipment shipment
    for cycle in loaded_by(floor, fact):
        shipment = home_of(cycle, fact.t)
        if shipment is None:
            continue
        judge_trailer(floor, shipment, cycle, fact)
        if (fact.kind == K_LOAD_SCANNED and shipment.plan_rev and shipment.manifest_t >= fact.t
                and truth_of(floor, shipment, fact.t - 1) is None):
            floor.outlet.raise_("SHP_LOAD_BEFORE_READY", f"shipment/{shipment.key}", fact.t, floor.dev_id(fact),
                                cartons.name_of(floor, cycle))
    return 0


cdef int judge_trailer(Floor floor, Shipment shipment, Cycle cycle, Fact fact) except -1:
    """R55: `SHP_WRONG_TRAILER` while the shipment has cartons in another trailer that is not closed; taking the carton
    out, or scanning it into the right one, clears it."""
    cdef str subject = cartons.subject_of(floor, cycle)
    cdef Cycle other
    cdef cartons.CartonState state
    if fact.kind == K_LOAD_SCANNED:
        for other in cycles_of(floor, shipment, fact.t):
            state = cartons.state_of(floor, other, fact.t)
            if (other is not cycle and state.loaded and state.trailer != fact.trailer
                    and not manifests.has_left(floor, state.trailer, state.t_loaded, fact.t)):
                floor.outlet.raise_(
                    "SHP_WRONG_TRAILER", subject, fact.t, floor.dev_id(fact),
                    f"in {floor.text(fact.trailer)}; {cartons.name_of(floor, other)} is in {floor.text(state.trailer)}")
                return 0
    floor.outlet.clear("SHP_WRONG_TRAILER", subject, fact.t, floor.dev_id(fact))
    return 0
