# cython: boundscheck=False, wraparound=False
"""Sights of load units (R63, R64): see sights.pxd. Hot: `note`."""

from libc.stdint cimport uint64_t
from libc.string cimport memmove, memset

from ext cimport unit_episodes
from ext.batch cimport ABSENT
from ext.exceptions cimport ID_MULTI, RTE_LOST
from ext.keys cimport fact_key
from ext.kinds cimport (
    K_ASRS_EXCEPTION, K_CARTON_PLAN, K_DIVERT_FAILED, K_ITEM_LOST, K_ITEM_STRAY, K_LU_BIND, K_RETURN_GRADED, K_RETURN_SCANNED,
    K_ROUTE_ASSIGNED, K_SCAN_NOREAD, K_SCAN_READ, K_STORE_CONFIRMED,
)
from ext.sources cimport Glimpse, GlimpseList, Sighting
from ext.state cimport B_GLIMPSES, B_SIGHTING, Cycle
from ext.store cimport B_TABLE, Table, find, length, nth
from ext.timers cimport RANK_SIGHT, RANK_TRACK

cdef enum:
    KEPT_MIN = 2                # glimpses of a unit in an area
    KEPT_MAX = 64
    SIGHTS_MAX = 60_000         # timers of one read; `Fact.sights` counts to 65 535, and its source keeps the fact, too


# ---------------------------------------------------------------------------------------------- where it was seen

cdef bint note(Floor floor, Source* source, Fact* fact) except -1:
    """A device has named a load unit. True: it is a mere sight of one that was lost once."""
    cdef Sighting* sighting
    if fact.kind == K_ASRS_EXCEPTION and not crane_has_it(floor, fact):
        return False
    if floor.state.watermark >= floor.state.sightings_until:
        turn_over(floor)
    if not source.area:
        source.area = area_of(floor, source.src)
    sighting = sighting_in(<Sighting*>find(floor.state.sightings, fact.lu), source.area)
    if sighting == NULL:
        sighting = made_young(floor, source.area, fact)
    extend(sighting, fact.t, floor.rules.ident_wait)
    if is_mere_sight(fact.kind):
        keep_glimpse(floor, sighting, fact)
    if fact.kind == K_SCAN_READ:
        keep_read(floor, source, fact)
    return sighting.ever_lost and is_mere_sight(fact.kind)


cdef int keep_read(Floor floor, Source* source, Fact* fact) except -1:
    """R63: the last one ends the time without a read that a scan of several codes begins."""
    if source.read == NULL or floor.precedes(source.read, fact):
        let_go(floor, source.read)
        source.read = fact
        fact.sights += 1
    return await_read(floor, fact) if source.unread else 0


cdef int keep_glimpse(Floor floor, Sighting* sighting, const Fact* fact) except -1:
    """Those that a loss may still precede which waits for the watermark, and in any case the last two by event time."""
    cdef GlimpseList* kept = sighting.glimpses
    cdef int32_t i = kept.count if kept != NULL else 0, over = 0
    while i > 0 and not is_before(floor, &kept.items[i - 1], fact):
        i -= 1
    kept = sighting.glimpses = <GlimpseList*>floor.store.room(B_GLIMPSES, kept, i)
    kept.items[i] = Glimpse(name=fact.name, src=fact.src, sub=fact.sub, t=fact.t, t_rx=fact.t_rx, epoch=fact.epoch,
                            seq=fact.seq, arrival=fact.arrival)
    while kept.count - over > KEPT_MIN and (
            kept.items[over].t < floor.state.watermark or kept.count - over > KEPT_MAX):
        over += 1
    if over:
        kept.count -= over
        memmove(&kept.items[0], &kept.items[over], kept.count * sizeof(Glimpse))
    return 0


cdef bint is_before(Floor floor, const Glimpse* glimpse, const Fact* fact) noexcept:
    cdef Fact seen
    if glimpse.t != fact.t:
        return glimpse.t < fact.t
    seen = fact_of(glimpse)
    return floor.precedes(&seen, fact)


cdef Fact fact_of(const Glimpse* glimpse) noexcept:
    """What is left of the record."""
    cdef Fact fact
    memset(&fact, 0, sizeof(fact))
    fact.name, fact.src, fact.sub, fact.t, fact.t_rx = glimpse.name, glimpse.src, glimpse.sub, glimpse.t, glimpse.t_rx
    fact.epoch, fact.seq, fact.arrival = glimpse.epoch, glimpse.seq, glimpse.arrival
    return fact


cdef Sighting* any_of(Floor floor, int32_t lu) noexcept:
    cdef Sighting* sighting = <Sighting*>find(floor.state.sightings, lu)
    return sighting if sighting != NULL else <Sighting*>find(floor.state.older_sightings, lu)


cdef Sighting* sighting_in(Sighting* sighting, int32_t area) noexcept:
    while sighting != NULL and sighting.area != area:
        sighting = sighting.elsewhere
    return sighting


cdef Sighting* made_young(Floor floor, int32_t area, const Fact* fact) except NULL:
    """Its sighting in this area, made if it is new; all of the unit's go into the younger half of the table."""
    cdef Sighting* first = any_of(floor, fact.lu)
    cdef Sighting* sighting = sighting_in(first, area)
    if sighting == NULL:
        sighting = <Sighting*>floor.store.new(B_SIGHTING, sizeof(Sighting))
        sighting.area, sighting.elsewhere = area, first
        sighting.first = sighting.last = fact.t
        sighting.before = ABSENT
        sighting.ever_lost = was_lost(floor, fact.lu)
        first = sighting
    floor.store.drop(floor.state.older_sightings, fact.lu)
    floor.store.put(floor.state.sightings, fact.lu, first)
    return sighting


cdef int joins_nothing(Floor floor, Fact* fact) noexcept:
    """No window has the fact, so only sights keep it, and its room is used again: such reads are many. To be called last."""
    fact.only_seen = True
    fact.sights += 1
    return let_go(floor, fact)


cdef int let_go(Floor floor, Fact* fact) noexcept:
    """One place fewer keeps the fact as a sight; with the last, its room is free. NULL: none was kept."""
    if fact != NULL:
        fact.sights -= 1
        if fact.only_seen and fact.sights == 0:
            floor.store.free(fact)
    return 0


cdef int turn_over(Floor floor) except -1:
    """The younger half becomes the older, and the older is forgotten."""
    cdef Table* older = floor.state.older_sightings
    cdef uint64_t i
    for i in range(older.capacity):
        forget(floor, <Sighting*>older.slots[i].value)
    floor.state.older_sightings = floor.state.sightings
    floor.state.sightings = floor.store.table(B_TABLE)
    floor.state.sightings_until = floor.state.watermark + 2 * floor.rules.ident_wait
    floor.store.free(older.slots)
    floor.store.free(older)
    return 0


cdef int forget(Floor floor, Sighting* sighting) noexcept:
    cdef Sighting* elsewhere
    while sighting != NULL:
        floor.store.free(sighting.glimpses)
        elsewhere = sighting.elsewhere
        floor.store.free(sighting)
        sighting = elsewhere
    return 0


cdef int32_t area_of(Floor floor, int32_t src) except -1:
    """Number of `site/area`, the first two segments of a source's name."""
    return floor.intern("/".join(floor.text(src).split("/")[:2]))


cdef int extend(Sighting* sighting, int64_t t, int64_t wait) noexcept:
    if t > sighting.last + wait:
        sighting.before, sighting.first, sighting.last = sighting.last, t, t
    elif t < sighting.first - wait:
        sighting.before = max(sighting.before, t)
    else:
        sighting.first, sighting.last = min(sighting.first, t), max(sighting.last, t)
    return 0


cdef bint was_seen(Floor floor, int32_t area, int32_t lu, int64_t t) noexcept:
    """R63: in the same area within `ident_wait_ms` before `t`."""
    cdef Sighting* sighting = sighting_in(any_of(floor, lu), area)
    if sighting == NULL:
        return False
    if t >= sighting.first:
        return t - sighting.last <= floor.rules.ident_wait
    return sighting.before != ABSENT and sighting.before <= t <= sighting.before + floor.rules.ident_wait


# ---------------------------------------------------------------------------------------------- several codes at once

cdef int choose(Floor floor, Source* source, Fact* fact, const Numbers* codes) except -1:
    """R63: exactly one code that is bound or was seen here makes it a read of that; else it is a no-read."""
    cdef int32_t lu, known = 0
    cdef int i
    cdef bint several = False
    cdef set names = set()
    if not source.area:
        source.area = area_of(floor, source.src)
    for i in range(codes.count if codes != NULL else 0):
        lu = codes.items[i]
        names.add(floor.text(lu))
        if is_bound(floor, lu, fact.t) or was_seen(floor, source.area, lu, fact.t):
            several = several or (known != 0 and known != lu)
            known = lu
    if known and not several:
        fact.kind, fact.lu = K_SCAN_READ, known
        return note(floor, source, fact)
    fact.kind = K_SCAN_NOREAD
    return floor.outlet.raise_(ID_MULTI, subject_of(floor, fact), fact.t, fact, ", ".join(sorted(names)))


cdef int expect_read(Floor floor, Source* source, const Fact* multiread) except -1:
    """R63: a scan of several codes may tell nothing, until the next read of its scanner, which may have come first."""
    source.multi_t = max(source.multi_t, multiread.t) if source.unread else multiread.t
    source.unread = True
    if source.read != NULL and floor.precedes(multiread, source.read):
        return await_read(floor, source.read)
    return 0


cdef int await_read(Floor floor, Fact* fact) except -1:
    """Have a read judged when the watermark passes it: then they come in order."""
    if fact.sights >= SIGHTS_MAX:       # so many wait for it already
        return 0
    fact.sights += 1
    return floor.by_watermark.push(fact.t, RANK_TRACK, fact_key(fact.src), fact, TAG_READ, 0)


cdef int on_read(Floor floor, Fact* fact) except -1:
    """The watermark has passed a read."""
    cdef Source* source = <Source*>find(floor.state.sources, fact.src)
    floor.outlet.clear(ID_MULTI, fact.src, fact.t, fact)
    if source != NULL and fact.t > source.multi_t:
        source.unread = False
    return let_go(floor, fact)


cdef int32_t subject_of(Floor floor, const Fact* fact) except -1:
    """What an exception of a scan or track is about: the track, else the scanner."""
    if not fact.track:
        return fact.src
    return floor.intern(f"track/{floor.text(fact.src)}/{floor.text(fact.track)}")


cdef bint is_bound(Floor floor, int32_t lu, int64_t t) noexcept:
    """To a carton, an order or a task, at that moment (R40)."""
    cdef LoadUnit* unit = <LoadUnit*>find(floor.state.units, lu)
    cdef Cycle* cycle
    cdef int i
    if unit != NULL:
        for i in range(length(unit.cycles)):
            cycle = <Cycle*>nth(unit.cycles, i)
            if cycle.target and cycle.begin <= t < cycle.end and was_bound(cycle, t):
                return True
    return False


cdef bint was_bound(const Cycle* cycle, int64_t t) noexcept:
    """A use that runs without a target may be bound later on (R40), and that be heard of before the watermark has come there."""
    cdef const Fact* fact
    cdef int i
    for i in range(length(cycle.facts)):
        fact = <Fact*>nth(cycle.facts, i)
        if fact.t > t:
            break
        if fact.target and (fact.kind == K_LU_BIND or fact.kind == K_CARTON_PLAN):
            return True
    return False


# ---------------------------------------------------------------------------------------------- lost and found

cdef bint is_mere_sight(int kind) noexcept:
    """What names a load unit and does not join its facts by itself."""
    return (K_SCAN_READ <= kind <= K_ROUTE_ASSIGNED or kind == K_DIVERT_FAILED
            or K_STORE_CONFIRMED <= kind <= K_ASRS_EXCEPTION or kind == K_RETURN_SCANNED or kind == K_RETURN_GRADED)


cdef bint crane_has_it(Floor floor, const Fact* fact) except -1:
    """R64, R66: the unit cannot be put down, or is not the one that was expected. Else it is missed rather than seen."""
    return fact.code and floor.text(fact.code) in ("DEST_OCCUPIED", "DROPOFF", "LU_MISMATCH")


cdef bint was_lost(Floor floor, int32_t lu) noexcept:
    """Once: its sights matter."""
    cdef LoadUnit* unit = <LoadUnit*>find(floor.state.units, lu)
    return unit != NULL and unit.ever_lost


cdef int were_lost(Floor floor, LoadUnit* unit) noexcept:
    """From its first loss on the sights of a unit matter; `note` asks its sightings alone."""
    cdef Sighting* sighting = any_of(floor, unit.lu)
    unit.ever_lost = True
    while sighting != NULL:
        sighting.ever_lost = True
        sighting = sighting.elsewhere
    return 0


cdef Fact* found(Floor floor, const Fact* fact) except? NULL:
    """R64: a sight of a unit that was lost once is as good as an `item.stray`; NULL: it was never lost, or it stands among
    its facts already."""
    if not is_mere_sight(fact.kind) or not was_lost(floor, fact.lu):
        return NULL
    return as_stray(floor, fact, fact.lu)


cdef int found_after(Floor floor, const Fact* lost, List** strays) except -1:
    """R64: appends the sights that arrived before the loss that they followed."""
    cdef Sighting* sighting = any_of(floor, lost.lu)
    cdef Fact sight
    cdef Fact* stray
    cdef int i
    while sighting != NULL:
        for i in range(sighting.glimpses.count if sighting.glimpses != NULL else 0):
            sight = fact_of(&sighting.glimpses.items[i])
            stray = as_stray(floor, &sight, lost.lu) if floor.precedes(lost, &sight) else NULL
            if stray != NULL:
                floor.store.append(strays, stray)
        sighting = sighting.elsewhere
    return 0


cdef Fact* as_stray(Floor floor, const Fact* fact, int32_t lu) except? NULL:
    """NULL: it is one already."""
    cdef LoadUnit* unit = <LoadUnit*>find(floor.state.units, lu)
    cdef Fact* stray
    cdef int i = length(unit.facts) - 1 if unit != NULL else -1
    while i >= 0 and (<Fact*>nth(unit.facts, i)).t >= fact.t:
        stray = <Fact*>nth(unit.facts, i)
        if stray.kind == K_ITEM_STRAY and stray.arrival == fact.arrival:
            return NULL
        i -= 1
    stray = floor.copy_name(fact)
    stray.kind = K_ITEM_STRAY
    stray.context = False
    stray.lu = lu
    return stray


cdef int watch(Floor floor, LoadUnit* unit, Fact* fact) except -1:
    """R64: losses, and sights after one, are told in order of event time."""
    cdef Fact* later
    cdef int i = length(unit.facts) - 1
    if fact.kind == K_ITEM_LOST:
        were_lost(floor, unit)
        while i >= 0 and (<Fact*>nth(unit.facts, i)).t >= fact.t:      # sights that came before the loss they followed
            later = <Fact*>nth(unit.facts, i)
            if later.kind != K_ITEM_LOST and not later.context and not unit_episodes.is_judged(later, RTE_LOST):
                wait_for_watermark(floor, later, TAG_LOST)
            i -= 1
    if unit.ever_lost and not fact.context:
        wait_for_watermark(floor, fact, TAG_LOST)
    return 0


cdef int wait_for_watermark(Floor floor, Fact* fact, int tag) except -1:
    """To be judged in order of event time, when all tracks of its moment are known."""
    return floor.by_watermark.push(fact.t, RANK_SIGHT, fact_key(fact.src), fact, tag, 0)


cdef int judge(Floor floor, Fact* fact) except -1:
    """The watermark has passed a loss or a sight: `RTE_LOST` stands from a loss to the first sight after it."""
    unit_episodes.judge(floor, fact, RTE_LOST)
    return 0
