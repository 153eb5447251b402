# cython: boundscheck=False, wraparound=False
"""What makes a shipment manifested, and what is said of it from then on (R52, R54): see manifests.pxd."""

cimport cython
from libc.stdint cimport int32_t
from libc.string cimport memcpy

import msgspec

from ext cimport carton_names, carton_state, cartons, correlations, late_facts, stuck
from ext.batch cimport ABSENT
from ext.exceptions cimport (
    SHP_EMPTY, SHP_HELD_SHORT, SHP_LOAD_BEFORE_READY, SHP_PARTIAL_LOAD, SHP_POST_MANIFEST_CHANGE, SHP_WRONG_TRAILER,
    TIME_TOO_LATE,
)
from ext.json_writer cimport is_same
from ext.keys cimport text_key
from ext.kinds cimport K_MANIFEST_RESULT
from ext.leaving cimport has_left
from ext.outlet cimport EXACT, INCOMPLETE, SHIPMENT_MANIFESTED, SHIPMENT_VOIDED
from ext.packing cimport contents_of
from ext.plans cimport plan_at
from ext.readiness cimport READY, Verdict, verdict_of
from ext.shipment_cartons cimport cycles_of, unused_of
from ext.shipment_names cimport alarm, quiet, subject_of
from ext.state cimport B_DEPARTED, Bytes, Cycle, Departed, DepartedList
from ext.store cimport B_BYTES, List, Numbers, index_of, length, nth
from ext.timers cimport ANY_TIME, NEVER, RANK_SHIPMENT
from ext.tombstones cimport is_buried
from ext.truths cimport leave_pending

from ext.kinds import NAMES

cdef object encode = msgspec.json.Encoder(order="sorted").encode
cdef object decode = msgspec.json.decode


@cython.final
cdef class Departure:
    """A trailer that closed with cartons of a shipment inside."""
    cdef Fact* close
    cdef list cartons           # addresses of Cycles
    cdef list gone              # of the Cycles that left
    cdef bint took              # some of them left with this very trailer
    cdef list left_behind       # names of cartons, sorted


# ---------------------------------------------------------------------------------------------- evidence

cdef int take_result(Floor floor, Shipment* shipment, Fact* fact, bytes record) except -1:
    """R54: the owner's word counts from its arrival on; a higher revision revises."""
    cdef Bytes* kept = <Bytes*>floor.store.new(B_BYTES, sizeof(Bytes) + len(record))
    kept.length = <int32_t>len(record)
    memcpy(kept.text, <char*>record, len(record))
    floor.store.free(shipment.result_record)
    shipment.result, shipment.result_record = fact, kept
    floor.by_watermark.push(fact.t, RANK_SHIPMENT, text_key(shipment.id), shipment, TAG_PASSED, fact.t)
    return tell(floor, shipment, fact, False)


cdef int take_trailer(Floor floor, Shipment* shipment, Fact* close, bint forced) except -1:
    """R54: the watermark passed a `trailer.closed` (or the bound forces it) that found a carton of this shipment inside."""
    if index_of(shipment.trailer_closes, close) < 0:
        floor.insert_sorted(&shipment.trailer_closes, close)
        floor.by_watermark.push(close.t, RANK_SHIPMENT, text_key(shipment.id), shipment, TAG_PASSED, close.t)
        judge_partial(floor, shipment, departure_of(floor, shipment), close.t)
    return tell(floor, shipment, close, forced)


cdef Departure departure_of(Floor floor, Shipment* shipment):
    """R54: the first close that left none of its cartons behind, else the last that took any; None: none left the house."""
    cdef Departure departure, youngest = None
    cdef int i
    for i in range(length(shipment.trailer_closes)):
        departure = departure_at(floor, shipment, <Fact*>nth(shipment.trailer_closes, i))
        if departure.gone:
            youngest = departure if departure.took or youngest is None else youngest
            if not departure.left_behind:
                return departure
    return youngest


cdef Departure departure_at(Floor floor, Shipment* shipment, Fact* close):
    """Which of its cartons had left with this or an earlier trailer, and which had not."""
    cdef Departure departure = Departure()
    cdef Cycle* cycle
    cdef carton_state.CartonState state
    cdef Numbers* unused = unused_of(floor, shipment, close.t, ANY_TIME)
    cdef List* cycles = cycles_of(floor, shipment, close.t, ANY_TIME)
    cdef bint filled
    cdef int i
    add_gone(floor, shipment, close, &cycles)
    departure.close, departure.cartons, departure.gone, departure.left_behind = close, [], [], []
    for i in range(unused.count if unused != NULL else 0):
        departure.left_behind.append(floor.text(unused.items[i]))
    for i in range(length(cycles)):
        cycle = <Cycle*>nth(cycles, i)
        departure.cartons.append(<size_t>cycle)
        state = carton_state.state_of(floor, cycle, close.t)
        filled = contents_of(cycle, state.t_close if state.closed else close.t).count > 0
        if state.loaded and has_left(floor, state.loading, close):
            if filled:                  # an empty box on the road is no evidence of goods
                departure.gone.append(<size_t>cycle)
                departure.took = departure.took or state.loading.trailer == close.trailer
        elif filled or not state.closed:
            departure.left_behind.append(floor.text(carton_names.name_of(floor, cycle)))
    floor.store.free(unused)
    floor.store.free(cycles)
    departure.left_behind.sort()
    return departure


cdef int add_gone(Floor floor, Shipment* shipment, const Fact* close, List** found) except -1:
    """R54: a carton that was its own when it left stays so, whatever is planned afterwards; one that stands here still may
    be dropped."""
    cdef List* then = cycles_of(floor, shipment, close.t, close.t)
    cdef Cycle* cycle
    cdef carton_state.CartonState state
    cdef int i
    for i in range(length(then)):
        cycle = <Cycle*>nth(then, i)
        state = carton_state.state_of(floor, cycle, close.t)
        if index_of(found[0], cycle) < 0 and state.loaded and has_left(floor, state.loading, close):
            floor.store.append(found, cycle)
    floor.store.free(then)
    return 0


cdef list cartons_then(Floor floor, Shipment* shipment, Departure departure, int64_t t):
    """Addresses of its Cycles (R50a) as of its first evidence."""
    cdef List* cycles
    cdef int i
    if departure is not None:
        return departure.cartons
    cycles = cycles_of(floor, shipment, t, t)
    found = [<size_t>nth(cycles, i) for i in range(length(cycles))]
    floor.store.free(cycles)
    return found


# ---------------------------------------------------------------------------------------------- telling

cdef int tell(Floor floor, Shipment* shipment, Fact* cause, bint forced) except -1:
    """R54: what the evidence says now. A shipment that is partly loaded waits, unless the site's policy lets it go."""
    cdef Departure departure = departure_of(floor, shipment)
    cdef Fact* result = shipment.result
    cdef Fact* evidence = result
    cdef bytes data
    judge_partial(floor, shipment, departure, floor.state.watermark - 1)
    if departure is not None and departure.left_behind and not floor.rules.emit_partial_load:
        departure = None
    if result == NULL and departure is None:
        return 0
    if shipment.manifested == NULL and is_buried(floor, b"shipment/", shipment.id):
        return floor.outlet.raise_(TIME_TOO_LATE, cause.src, floor.state.wall, cause, "shipment.manifested")
    if departure is not None and (result == NULL or departure.close.t > result.t):
        evidence = departure.close
    data = encode(manifest_data(floor, shipment, departure, plan_at(shipment, evidence.t).carrier))
    leave(floor, shipment, departure)
    if shipment.manifested == NULL:
        floor.outlet.key_is(shipment.id)
        shipment.manifested = floor.outlet.ledger(SHIPMENT_MANIFESTED, shipment.id)
    floor.outlet.data.clear()
    floor.outlet.data.raw(data, len(data))
    floor.outlet.emit(shipment.manifested, subject_of(shipment), evidence.t,
                      correlations.of_shipment(shipment, evidence.t), evidence, INCOMPLETE if forced else EXACT)
    if shipment.cancelled_by != NULL and left_before(floor, shipment, shipment.cancelled_by):
        tell_voided(floor, shipment)
    return 0


cdef int judge_partial(Floor floor, Shipment* shipment, Departure departure, int64_t as_of) except -1:
    """R54: raised while a carton stands there and others have left; a full load or, where it was held, the owner's word
    ends it, whichever came first: as of the trailer's close that word may be still to come."""
    cdef Fact* result = shipment.result
    cdef bint settled = result != NULL and result.t <= as_of and not floor.rules.emit_partial_load
    cdef str names
    if departure is None:
        return 0
    if departure.left_behind and not settled:
        names = ", ".join(departure.left_behind)
        return alarm(floor, shipment, SHP_PARTIAL_LOAD, departure.close.t, departure.close, f"left behind: {names}")
    if departure.left_behind and result.t > departure.close.t:
        return quiet(floor, shipment, SHP_PARTIAL_LOAD, result.t, result)
    return quiet(floor, shipment, SHP_PARTIAL_LOAD, departure.close.t, departure.close)


cdef dict manifest_data(Floor floor, Shipment* shipment, Departure departure, int32_t carrier):
    """R54: numbers are the TMS's, trailer and seal the dock's; none is ever invented. `carrier`: as planned; 0: nobody said."""
    cdef dict result = {}, rows = rows_of(floor, shipment, departure)
    cdef dict data = {"left_behind": departure.left_behind if departure is not None else []}
    if shipment.result != NULL:
        result = decode(shipment.result_record.text[:shipment.result_record.length])
    for entry in result.get("tracking", ()):
        rows.setdefault(entry["carton"], {"carton": entry["carton"]})["tracking_no"] = entry["tracking_no"]
    data["cartons"] = [rows[name] for name in sorted(rows)]
    for name in ("manifest_no", "freight"):
        if name in result:
            data[name] = result[name]
    if "carrier" in result or carrier:
        data["carrier"] = result["carrier"] if "carrier" in result else floor.text(carrier)
    if departure is not None:
        data["trailer"] = floor.text(departure.close.trailer)
        if departure.close.seal:
            data["seal"] = floor.text(departure.close.seal)
    return data


cdef dict rows_of(Floor floor, Shipment* shipment, Departure departure):
    """Carton -> its row: those that left; without a trailer all that were closed and not empty."""
    cdef dict rows = {}, row
    cdef Cycle* cycle
    cdef Fact* label
    cdef carton_state.CartonState state
    cdef int64_t t = shipment.result.t if shipment.result != NULL else departure.close.t, weight, t_close
    cdef str name
    for address in cartons_then(floor, shipment, departure, min(t, shipment.manifest_t)):
        cycle = <Cycle*><size_t>address
        state = carton_state.state_of(floor, cycle, t)
        if not state.closed and (departure is None or <size_t>cycle not in departure.gone):
            continue
        t_close = state.t_close if state.closed else t
        if not contents_of(cycle, t_close).count:
            continue
        name = floor.text(carton_names.name_of(floor, cycle))       # R40: only what is told has to be named
        if departure is not None and name in departure.left_behind:
            continue
        rows[name] = row = {"carton": name}
        weight = carton_state.weight_of(floor, cycle, t_close)
        label = carton_state.last_good_label(floor, cycle, False)
        if weight != ABSENT:
            row["weight_g"] = weight
        if label != NULL:
            row["tracking_no"] = floor.text(label.tracking_no)
    return rows


cdef int leave(Floor floor, Shipment* shipment, Departure departure) except -1:
    """R40, R51: from its first evidence on it is manifested, and what left of it is no longer in the house."""
    cdef Fact* first = shipment.result
    cdef Cycle* cycle
    if departure is not None and (first == NULL or departure.close.t < first.t):
        first = departure.close
    if shipment.manifest_t == NEVER:
        shipment.was_told_ready = shipment.told_ready
    if first.t < shipment.manifest_t:
        shipment.manifest_t = first.t
        shipment.told_ready = False
        leave_pending(floor, shipment, first.t)
    cycles = cartons_then(floor, shipment, departure, shipment.manifest_t)
    if floor.state.watermark <= shipment.manifest_t + 1:
        bring_back(floor, shipment, cycles)
    for address in cycles:
        cycle = <Cycle*><size_t>address
        if departure is None or floor.text(carton_names.name_of(floor, cycle)) not in departure.left_behind:
            end_cycle(floor, shipment, cycle, first)
    if first.t == shipment.manifest_t:
        late_facts.take_back_later(floor, shipment)
    return stuck.on_end(floor, shipment, first)


cdef int end_cycle(Floor floor, Shipment* shipment, Cycle* cycle, const Fact* evidence) except -1:
    """R40: the manifest of its shipment ends a cycle, at the event time of the first evidence."""
    cdef Departed* departed = departed_of(floor, shipment, cycle)
    cdef Fact* before = departed.by
    cdef List* changed = NULL
    if before != NULL and before.t <= evidence.t:
        return 0
    departed.by = floor.copy_name(evidence)
    departed.by.kind, departed.by.context = K_MANIFEST_RESULT, True
    if is_followed(cycle, evidence.t):
        return 0
    if before != NULL and index_of(cycle.unit.facts, before) >= 0:
        cartons.attach_instead(floor, cycle.unit, before, departed.by, &changed)
    else:
        cartons.attach(floor, cycle.unit, departed.by, &changed)
    floor.store.free(changed)
    return 0


cdef bint is_followed(const Cycle* cycle, int64_t t) noexcept:
    """Its unit was used anew before the manifest, which does not end that use."""
    cdef const Cycle* other
    cdef int i = length(cycle.unit.cycles) - 1
    while i >= 0 and (<const Cycle*>nth(cycle.unit.cycles, i)).begin >= t:
        i -= 1
    other = <const Cycle*>nth(cycle.unit.cycles, i) if i >= 0 else NULL
    return other != NULL and other != cycle and other.begin > cycle.begin


cdef int bring_back(Floor floor, Shipment* shipment, list cycles) except -1:
    """R3, R40: what has come since, from before the manifest, says that a use is none of the shipment's, or was over by then:
    the manifest does not end it. `cycles`: addresses of those that are its own."""
    cdef Departed departed
    cdef List* changed = NULL
    cdef int i = shipment.gone.count - 1 if shipment.gone != NULL else -1
    while i >= 0:
        departed = shipment.gone.items[i]
        if <size_t>departed.cycle not in cycles:
            shipment.gone.count -= 1
            shipment.gone.items[i] = shipment.gone.items[shipment.gone.count]
        elif not is_followed(departed.cycle, departed.by.t):
            i -= 1
            continue
        if index_of(departed.cycle.unit.facts, departed.by) >= 0:
            cartons.detach(floor, departed.cycle.unit, departed.by, &changed)
        i -= 1
    floor.store.free(changed)
    return 0


cdef Departed* departed_of(Floor floor, Shipment* shipment, Cycle* cycle) except NULL:
    cdef int i, count = shipment.gone.count if shipment.gone != NULL else 0
    for i in range(count):
        if shipment.gone.items[i].cycle == cycle:
            return &shipment.gone.items[i]
    shipment.gone = <DepartedList*>floor.store.room(B_DEPARTED, shipment.gone, count)
    shipment.gone.items[count] = Departed(cycle=cycle, by=NULL)
    return &shipment.gone.items[count]


cdef bint left_before(Floor floor, const Shipment* shipment, const Fact* cancel) noexcept:
    """R56, R3: was it manifested before its cancel? Of one moment the dock speaks after the order systems."""
    cdef const Fact* result = shipment.result
    if shipment.manifest_t != cancel.t:
        return shipment.manifest_t < cancel.t
    return result != NULL and result.t == cancel.t and floor.precedes(result, cancel)


cdef int tell_voided(Floor floor, Shipment* shipment) except -1:
    """R56: cancelled after its manifest."""
    cdef Fact* fact = shipment.cancelled_by
    if shipment.voided == NULL:
        floor.outlet.key_is(shipment.id)
        shipment.voided = floor.outlet.ledger(SHIPMENT_VOIDED, shipment.id)
    floor.outlet.data.clear()
    floor.outlet.data.put(b'{"cause":')
    floor.outlet.data.text_of(NAMES[fact.kind])
    floor.outlet.data.put(b"}")
    floor.outlet.emit(shipment.voided, subject_of(shipment), fact.t, correlations.of_shipment(shipment, fact.t), fact, EXACT)
    return 0


# ---------------------------------------------------------------------------------------------- afterwards

cdef int on_passed(Floor floor, Shipment* shipment, int64_t t) except -1:
    """The watermark passed an evidence: all that came before it is known. R54: was it ready just before?"""
    cdef Fact* cause = shipment.result
    cdef Fact* close
    cdef Verdict verdict
    cdef int i
    for i in range(length(shipment.trailer_closes)):
        close = <Fact*>nth(shipment.trailer_closes, i)
        if close.t == t:
            cause = close
    tell(floor, shipment, cause, False)
    for i in range(shipment.gone.count if shipment.gone != NULL else 0):
        if shipment.gone.items[i].by.t == t:
            carton_names.quiet(floor, shipment.gone.items[i].cycle, SHP_WRONG_TRAILER, t, cause)
    if t != shipment.manifest_t:
        return 0
    quiet(floor, shipment, SHP_EMPTY, t, cause)
    quiet(floor, shipment, SHP_HELD_SHORT, t, cause)
    verdict = verdict_of(floor, shipment, t - 1)
    shipment.shipped_true = verdict.kind == READY
    shipment.shipped_data = verdict.data
    if not shipment.shipped_true and plan_at(shipment, t).rev:
        alarm(floor, shipment, SHP_LOAD_BEFORE_READY, t, cause, "")
    return 0


cdef int on_later_fact(Floor floor, Shipment* shipment, int64_t t, Fact* cause) except -1:
    """A fact about a shipment that has evidence of leaving. R54: a late weight or number revises the manifest. R52: any other
    change of what had been ready is an exception, and nothing else."""
    cdef Verdict verdict
    if not cause.context or shipment.manifest_t == NEVER or cause.t <= shipment.manifest_t:
        tell(floor, shipment, cause, False)
    if not shipment.shipped_true or shipment.cancel_t <= t:     # R3: its cancel may have come before it happened
        return 0
    verdict = verdict_of(floor, shipment, min(max(t, floor.state.watermark - 1), shipment.cancel_t - 1))
    if verdict.kind == READY and is_same(&verdict.data, &shipment.shipped_data):
        return quiet(floor, shipment, SHP_POST_MANIFEST_CHANGE, t, cause)
    return alarm(floor, shipment, SHP_POST_MANIFEST_CHANGE, t, cause, NAMES[cause.kind])
