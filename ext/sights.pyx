"""Sights of load units (R63, R64): see sights.pxd."""

from ext.batch cimport ABSENT
from ext.floor cimport Cycle, precedes
from ext.kinds cimport (
    K_DIVERT_FAILED, K_IDENT_ASSIGNED, K_ITEM_INDUCTED, K_ITEM_LOST, K_ITEM_STRAY, K_RETRIEVE_CONFIRMED, K_SCAN_NOREAD,
    K_SCAN_READ, K_STORE_CONFIRMED,
)
from ext.timers cimport RANK_TRACK


cdef class Sighting:
    pass


# ---------------------------------------------------------------------------------------------- where it was seen

cdef int note(Floor floor, Fact fact) except -1:
    """A device has named a load unit."""
    cdef int64_t key = <int64_t>area_of(floor, fact.src) << 32 | fact.lu
    cdef dict younger, older
    cdef Sighting sighting
    if floor.watermark >= floor.sightings_until:
        floor.sightings = [{}, floor.sightings[0]]
        floor.sightings_until = floor.watermark + 2 * floor.rules.ident_wait
    younger, older = floor.sightings
    sighting = younger.get(key)
    if sighting is None:
        sighting = older.pop(key, None)
        if sighting is None:
            sighting = Sighting.__new__(Sighting)
            sighting.first = sighting.last = fact.t
            sighting.before = ABSENT
        younger[key] = sighting
    extend(sighting, fact.t, floor.rules.ident_wait)
    if is_mere_sight(fact.kind) and (sighting.latest is None or precedes(sighting.latest, fact, floor.texts)):
        sighting.earlier, sighting.latest = sighting.latest, fact
    if fact.kind == K_SCAN_READ and fact.src in floor.unread:
        floor.unread.remove(fact.src)
        floor.outlet.clear("ID_MULTI", floor.text(fact.src), fact.t, floor.dev_id(fact))
    return 0


cdef int area_of(Floor floor, int src) except -1:
    """Number of `site/area`, the first two segments of a source's name."""
    cdef object area = floor.areas.get(src)
    if area is None:
        area = floor.areas[src] = floor.texts.number("/".join(floor.text(src).split("/")[:2]))
    return area


cdef int extend(Sighting sighting, int64_t t, int64_t wait) except -1:
    if t > sighting.last + wait:
        sighting.before, sighting.first, sighting.last = sighting.last, t, t
    elif t < sighting.first - wait:
        sighting.before = max(sighting.before, t)
    else:
        sighting.first, sighting.last = min(sighting.first, t), max(sighting.last, t)
    return 0


cdef bint was_seen(Floor floor, Fact fact, int lu) except -1:
    """R63: in the same area within `ident_wait_ms` before the fact."""
    cdef int64_t key = <int64_t>area_of(floor, fact.src) << 32 | lu, t = fact.t
    cdef Sighting sighting = floor.sightings[0].get(key)
    if sighting is None:
        sighting = floor.sightings[1].get(key)
    if sighting is None:
        return False
    if t >= sighting.first:
        return t - sighting.last <= floor.rules.ident_wait
    return sighting.before != ABSENT and sighting.before <= t <= sighting.before + floor.rules.ident_wait


# ---------------------------------------------------------------------------------------------- several codes at once

cdef int choose(Floor floor, Fact fact, list codes) except -1:
    """R63: exactly one code that is bound or was seen here makes it a read of that; else it is a no-read."""
    cdef str name = floor.text(fact.src)
    cdef set known = set()
    for code in codes:
        lu = floor.texts.number(code)
        if is_bound(floor, lu, fact.t) or was_seen(floor, fact, lu):
            known.add(lu)
    if len(known) == 1:
        fact.kind, fact.lu = K_SCAN_READ, known.pop()
        return note(floor, fact)
    fact.kind = K_SCAN_NOREAD
    if not fact.track:
        floor.unread.add(fact.src)
    floor.outlet.raise_("ID_MULTI", f"track/{name}/{floor.text(fact.track)}" if fact.track else name, fact.t,
                        floor.dev_id(fact), ", ".join(sorted(set(codes))))
    return 0


cdef bint is_bound(Floor floor, int lu, int64_t t) except -1:
    """To a carton, an order or a task, at that moment (R40)."""
    cdef LoadUnit unit = floor.units.get(lu)
    cdef Cycle cycle
    if unit is not None:
        for cycle in unit.cycles:
            if cycle.target and cycle.begin <= t < cycle.end:
                return True
    return False


# ---------------------------------------------------------------------------------------------- lost and found

cdef bint is_mere_sight(int kind) noexcept:
    """What names a load unit and does not join its facts by itself."""
    return kind in (K_SCAN_READ, K_SCAN_NOREAD, K_ITEM_INDUCTED, K_IDENT_ASSIGNED, K_DIVERT_FAILED, K_STORE_CONFIRMED,
                    K_RETRIEVE_CONFIRMED)


cdef Fact found(Floor floor, Fact fact):
    """R64: a sight of a unit that was lost once is as good as an `item.stray`; None: it was never lost."""
    cdef LoadUnit unit
    if not is_mere_sight(fact.kind):
        return None
    unit = floor.units.get(fact.lu)
    return as_stray(fact) if unit is not None and unit.ever_lost else None


cdef list found_after(Floor floor, Fact lost):
    """Sights that came before the loss they followed."""
    cdef list strays = []
    cdef Sighting sighting
    cdef Fact sight
    for area in set(floor.areas.values()):
        for table in floor.sightings:
            sighting = table.get(<int64_t>area << 32 | lost.lu)
            if sighting is not None:
                for sight in (sighting.earlier, sighting.latest):
                    if sight is not None and precedes(lost, sight, floor.texts):
                        strays.append(as_stray(sight))
    return strays


cdef Fact as_stray(Fact fact):
    cdef Fact stray = Fact.__new__(Fact)
    stray.kind = K_ITEM_STRAY
    stray.t, stray.t_rx, stray.arrival, stray.name = fact.t, fact.t_rx, fact.arrival, fact.name
    stray.src, stray.epoch, stray.seq, stray.sub = fact.src, fact.epoch, fact.seq, fact.sub
    stray.lu, stray.qty, stray.weight_g = fact.lu, ABSENT, ABSENT
    return stray


cdef int watch(Floor floor, LoadUnit unit, Fact fact) except -1:
    """R64: losses, and sights after one, are told in order of event time."""
    if fact.kind == K_ITEM_LOST:
        unit.ever_lost = True
    if unit.ever_lost and not fact.context:
        floor.by_watermark.push(fact.t, RANK_TRACK, floor.text(fact.lu), fact, TAG_LOST, 0)
    return 0


cdef int judge(Floor floor, Fact fact) except -1:
    """The watermark has passed a loss or a sight: `RTE_LOST` stands from the loss to the first sight after it."""
    cdef str subject = f"lu/{floor.text(fact.lu)}"
    cdef bint lost = fact.kind == K_ITEM_LOST
    cdef Fact other
    if lost:
        floor.outlet.raise_("RTE_LOST", subject, fact.t, floor.dev_id(fact), "")
    for other in (<LoadUnit>floor.units[fact.lu]).facts:
        if other.context or not precedes(fact, other, floor.texts) or other.t >= floor.watermark:
            continue
        if lost and other.kind != K_ITEM_LOST:          # this loss came late: it was found since
            floor.outlet.clear("RTE_LOST", subject, other.t, floor.dev_id(other))
            return 0
        if not lost and other.kind == K_ITEM_LOST:      # this sight came late: it was lost again since
            return 0
    if not lost:
        floor.outlet.clear("RTE_LOST", subject, fact.t, floor.dev_id(fact))
    return 0
