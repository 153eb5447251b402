"""What makes a shipment manifested, and what is said of it from then on (R52, R54): see manifests.pxd."""

from ext cimport cartons
from ext.floor cimport Cycle, Trailer, insert_sorted, name_alike
from ext.kinds cimport K_MANIFEST_RESULT
from ext.readiness cimport correlation, cycles_of, truth_of, unused_of
from ext.timers cimport NEVER, RANK_SHIPMENT

from ext.kinds import NAMES


cdef class Departure:
    """A trailer that closed with cartons of a shipment inside."""
    cdef Fact close
    cdef list gone              # Cycle
    cdef list left_behind       # names of cartons, sorted


# ---------------------------------------------------------------------------------------------- evidence

cdef int take_result(Floor floor, Shipment shipment, Fact fact, dict record) except -1:
    """The owner's word counts from its arrival on; a higher revision revises."""
    shipment.result, shipment.result_record = fact, record
    floor.by_watermark.push(fact.t, RANK_SHIPMENT, shipment.key, shipment, TAG_PASSED, fact.t)
    return tell(floor, shipment, fact, False)


cdef int take_trailer(Floor floor, Shipment shipment, Fact close, bint forced) except -1:
    """The watermark passed a `trailer.closed` (or the bound forces it) that found a carton of this shipment inside."""
    if close not in shipment.trailer_closes:
        insert_sorted(shipment.trailer_closes, close, floor.texts)
        floor.by_watermark.push(close.t, RANK_SHIPMENT, shipment.key, shipment, TAG_PASSED, close.t)
    return tell(floor, shipment, close, forced)


cdef Departure departure_of(Floor floor, Shipment shipment):
    """The first close that left none of its cartons behind, else the last with any; None: none left the house."""
    cdef Departure departure, last = None
    cdef Fact close
    for close in shipment.trailer_closes:
        departure = departure_at(floor, shipment, close)
        if departure.gone:
            last = departure
            if not departure.left_behind:
                break
    return last


cdef Departure departure_at(Floor floor, Shipment shipment, Fact close):
    """Which of its cartons had left with this or an earlier trailer, and which had not."""
    cdef Departure departure = Departure()
    cdef Cycle cycle
    cdef cartons.CartonState state
    departure.close, departure.gone = close, []
    departure.left_behind = unused_of(floor, shipment, close.t)
    for cycle in cycles_of(floor, shipment, close.t):
        state = cartons.state_of(floor, cycle, close.t)
        if state.loaded and has_left(floor, state.trailer, state.t_loaded, close.t):
            departure.gone.append(cycle)
        elif not state.closed or cartons.contents_of(cycle, state.t_close):
            departure.left_behind.append(cartons.name_of(floor, cycle))
    departure.left_behind.sort()
    return departure


cdef bint has_left(Floor floor, int trailer, int64_t t_loaded, int64_t t) except -1:
    """Did the trailer close between a loading and `t`? A trailer comes again."""
    cdef Fact close
    for close in floor.trailer_of(trailer).closes:
        if t_loaded <= close.t <= t:
            return True
    return False


# ---------------------------------------------------------------------------------------------- telling

cdef int tell(Floor floor, Shipment shipment, Fact cause, bint forced) except -1:
    """R54: what the evidence says now. A shipment that is partly loaded waits, unless the site's policy lets it go."""
    cdef Departure departure = departure_of(floor, shipment)
    cdef Fact result = shipment.result
    cdef dict data
    cdef int64_t t
    tell_partial(floor, shipment, departure)
    if departure is not None and departure.left_behind and not floor.rules.emit_partial_load:
        departure = None
    if result is None and departure is None:
        return 0
    data = manifest_data(floor, shipment, departure)
    leave(floor, shipment, departure)
    if shipment.manifested is None:
        shipment.manifested = floor.outlet.ledger(
            "shipment.manifested", shipment.key, f"shipment/{shipment.key}", shipment.key)
    t = result.t if departure is None else departure.close.t if result is None else max(result.t, departure.close.t)
    floor.outlet.emit(shipment.manifested, data, t, correlation(floor, shipment), floor.dev_id(cause),
                      "incomplete" if forced else "exact")
    if shipment.cancelled_by is not None and shipment.cancel_t >= shipment.manifest_t:
        tell_voided(floor, shipment)
    return 0


cdef int tell_partial(Floor floor, Shipment shipment, Departure departure) except -1:
    """R54: raised while a carton stands there and others have left; a full load or, where it was held, the owner's word
    ends it."""
    cdef str subject = f"shipment/{shipment.key}", names
    cdef bint settled = shipment.result is not None and not floor.rules.emit_partial_load
    if departure is None:
        return 0
    if departure.left_behind and not settled:
        names = ", ".join(departure.left_behind)
        floor.outlet.raise_("SHP_PARTIAL_LOAD", subject, departure.close.t, floor.dev_id(departure.close),
                            f"left behind: {names}")
    else:
        floor.outlet.clear("SHP_PARTIAL_LOAD", subject, departure.close.t, floor.dev_id(departure.close))
    return 0


cdef dict manifest_data(Floor floor, Shipment shipment, Departure departure):
    """Numbers are the TMS's, trailer and seal the dock's; no number is ever invented."""
    cdef dict result = shipment.result_record if shipment.result is not None else {}, rows = rows_of(floor, shipment, departure)
    cdef dict data = {"left_behind": departure.left_behind if departure is not None else []}
    for entry in result.get("tracking", ()):
        rows.setdefault(entry["carton"], {"carton": entry["carton"]})["tracking_no"] = entry["tracking_no"]
    data["cartons"] = [rows[name] for name in sorted(rows)]
    for name in ("manifest_no", "freight"):
        if name in result:
            data[name] = result[name]
    if "carrier" in result or shipment.carrier is not None:
        data["carrier"] = result.get("carrier", shipment.carrier)
    if departure is not None:
        data["trailer"] = floor.text(departure.close.trailer)
        if "seal" in departure.close.record:
            data["seal"] = departure.close.record["seal"]
    return data


cdef dict rows_of(Floor floor, Shipment shipment, Departure departure):
    """Carton -> its row: those that left; without a trailer all that were closed and not empty."""
    cdef dict rows = {}, row
    cdef Cycle cycle
    cdef Fact label
    cdef cartons.CartonState state
    cdef int64_t t = shipment.result.t if shipment.result is not None else departure.close.t, weight
    cdef str name
    for cycle in cycles_of(floor, shipment, t):
        name = cartons.name_of(floor, cycle)
        state = cartons.state_of(floor, cycle, t)
        if departure is not None and name in departure.left_behind:
            continue
        if not state.closed and (departure is None or cycle not in departure.gone):
            continue
        if not cartons.contents_of(cycle, state.t_close if state.closed else t):
            continue
        rows[name] = row = {"carton": name}
        weight = cartons.weight_of(floor, cycle, state.t_close if state.closed else t)
        label = cartons.last_good_label(cycle, "tracking_no")
        if weight:
            row["weight_g"] = weight
        if label is not None:
            row["tracking_no"] = label.record["tracking_no"]
    return rows


cdef int leave(Floor floor, Shipment shipment, Departure departure) except -1:
    """R40, R51: from its first evidence on it is manifested, and what left of it is no longer in the house."""
    cdef Fact first = shipment.result
    cdef Cycle cycle
    cdef str code, subject = f"shipment/{shipment.key}"
    if departure is not None and (first is None or departure.close.t < first.t):
        first = departure.close
    if shipment.manifest_t == NEVER:
        shipment.stood = shipment.stands
        for code in ("SHP_EMPTY", "SHP_HELD_SHORT"):
            floor.outlet.clear(code, subject, first.t, floor.dev_id(first))
    if first.t < shipment.manifest_t:
        shipment.manifest_t = first.t
        shipment.stands = False
        shipment.pending = []
    for cycle in cycles_of(floor, shipment, shipment.manifest_t):
        if departure is None or cartons.name_of(floor, cycle) not in departure.left_behind:
            end_cycle(floor, shipment, cycle, first)
    return 0


cdef int end_cycle(Floor floor, Shipment shipment, Cycle cycle, Fact evidence) except -1:
    """R40: the manifest of its shipment ends a cycle, at the event time of the first evidence."""
    cdef Fact known = shipment.gone.get(cycle), gone
    if known is not None:
        if known.t <= evidence.t:
            return 0
        cartons.detach(floor, cycle.unit, known)
    floor.outlet.clear("SHP_WRONG_TRAILER", cartons.subject_of(floor, cycle), evidence.t, floor.dev_id(evidence))
    gone = Fact.__new__(Fact)
    name_alike(gone, evidence)
    gone.kind, gone.context = K_MANIFEST_RESULT, True
    shipment.gone[cycle] = gone
    cartons.attach(floor, cycle.unit, gone)
    return 0


cdef int tell_voided(Floor floor, Shipment shipment) except -1:
    """R56: cancelled after its manifest."""
    cdef Fact fact = shipment.cancelled_by
    if shipment.voided is None:
        shipment.voided = floor.outlet.ledger("shipment.voided", shipment.key, f"shipment/{shipment.key}", shipment.key)
    floor.outlet.emit(shipment.voided, {"cause": NAMES[fact.kind]}, fact.t, correlation(floor, shipment),
                      floor.dev_id(fact), "exact")
    return 0


# ---------------------------------------------------------------------------------------------- afterwards

cdef int on_passed(Floor floor, Shipment shipment, int64_t t) except -1:
    """The watermark passed an evidence: all that came before it is known. R54: was it ready just before?"""
    cdef Fact cause = shipment.result
    for close in shipment.trailer_closes:
        if (<Fact>close).t == t:
            cause = <Fact>close
    tell(floor, shipment, cause, False)
    if t != shipment.manifest_t:
        return 0
    shipment.shipped_data = truth_of(floor, shipment, t - 1)
    if shipment.shipped_data is None and shipment.plan_rev:
        floor.outlet.raise_("SHP_LOAD_BEFORE_READY", f"shipment/{shipment.key}", t, floor.dev_id(cause), "")
    return 0


cdef int on_later_fact(Floor floor, Shipment shipment, int64_t t, Fact cause) except -1:
    """A fact about a shipment with evidence. R45: a late weight or number revises the manifest; R52: any other change of
    what had been ready is an exception, and nothing else."""
    cdef str subject = f"shipment/{shipment.key}"
    if not cause.context or shipment.manifest_t == NEVER:
        tell(floor, shipment, cause, False)
    if shipment.shipped_data is None or shipment.cancelled_by is not None:
        return 0
    if truth_of(floor, shipment, max(t, floor.watermark - 1)) == shipment.shipped_data:
        floor.outlet.clear("SHP_POST_MANIFEST_CHANGE", subject, t, floor.dev_id(cause))
    else:
        floor.outlet.raise_("SHP_POST_MANIFEST_CHANGE", subject, t, floor.dev_id(cause), NAMES[cause.kind])
    return 0
