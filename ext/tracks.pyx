"""Tracks (R60-R63): see tracks.pxd."""

from ext cimport sights
from ext.kinds cimport (
    K_DIVERT_CONFIRMED, K_IDENT_ASSIGNED, K_ITEM_INDUCTED, K_ITEM_RECIRCULATED, K_SCAN_NOREAD, K_SCAN_READ,
)
from ext.shipments cimport take_unit_fact
from ext.timers cimport RANK_TRACK


cdef class Multiread:
    pass


cdef Py_ssize_t LIVES_MAX = 4       # of one number: facts older than that cannot be told apart any more


cdef int take(Floor floor, Fact fact) except -1:
    """It waits for the watermark to pass it; R3's order among equal times."""
    floor.open_tracks += 1
    floor.by_watermark.push(fact.t, RANK_TRACK, sort_key(floor, fact), fact, TAG_RESOLVE, 0)
    return 0


cdef str sort_key(Floor floor, Fact fact):
    return f"{floor.text(fact.src)}/{fact.epoch:020}/{fact.seq:020}/{fact.sub:05}"


cdef int take_multiread(Floor floor, Fact fact, list codes, bint closes) except -1:
    """R63: it waits for the watermark too, so that every sight before it is known."""
    cdef Multiread multiread = Multiread.__new__(Multiread)
    multiread.fact, multiread.codes, multiread.closes = fact, codes, closes
    floor.open_tracks += 1
    floor.by_watermark.push(fact.t, RANK_TRACK, sort_key(floor, fact), multiread, TAG_MULTIREAD, 0)
    return 0


cdef int resolve_multiread(Floor floor, Multiread multiread) except -1:
    """R63: from here on it is a read of the one code that counts, or a no-read."""
    cdef Fact fact = multiread.fact
    sights.choose(floor, fact, multiread.codes)
    if fact.lu:
        see(floor, fact)
        if multiread.closes:
            take_unit_fact(floor, fact)
    if fact.track:
        return resolve(floor, fact)
    floor.open_tracks -= 1
    return 0


cdef int see(Floor floor, Fact fact) except -1:
    """R64: any sight of a load unit that was lost brings it back."""
    cdef Fact stray = sights.found(floor, fact)
    return take_unit_fact(floor, stray) if stray is not None else 0


cdef int resolve(Floor floor, Fact fact) except -1:
    """R60: the fact joins the life of its track that holds its event time."""
    cdef tuple key = (fact.src, fact.epoch, fact.track)
    cdef list lives = floor.tracks.setdefault(key, [])
    cdef TrackLife life = life_at(lives, fact)
    if fact.kind == K_ITEM_INDUCTED or fact.kind == K_SCAN_READ or fact.kind == K_IDENT_ASSIGNED:
        floor.open_tracks -= 1
        if fact.lu:
            identify(floor, life, fact)
            floor.outlet.clear("ID_MULTI", subject_of(floor, fact), fact.t, floor.dev_id(fact))
    elif life.lu:
        floor.open_tracks -= 1
        give_to_unit(floor, life, fact)
    else:
        life.waiting.append(fact)
        floor.by_watermark.push(fact.t + floor.rules.ident_wait, RANK_TRACK, floor.text(fact.track), life,
                                TAG_UNRESOLVED, 0)
    return 0


cdef TrackLife life_at(list lives, Fact fact):
    """A life runs from its induction, else its first fact, to the next induction of that number."""
    cdef TrackLife life, made
    cdef Py_ssize_t i = len(lives)
    while i > 0 and (<TrackLife>lives[i - 1]).begin > fact.t:
        i -= 1
    if fact.kind != K_ITEM_INDUCTED:
        if i > 0:
            return <TrackLife>lives[i - 1]
        if lives and not (<TrackLife>lives[0]).inducted:
            (<TrackLife>lives[0]).begin = fact.t
            return <TrackLife>lives[0]
    made = TrackLife()
    made.begin = fact.t
    made.inducted = fact.kind == K_ITEM_INDUCTED
    if i > 0:                           # what waits in the life before and happened later belongs to this one
        life = <TrackLife>lives[i - 1]
        made.waiting = [item for item in life.waiting if (<Fact>item).t >= fact.t]
        life.waiting = [item for item in life.waiting if (<Fact>item).t < fact.t]
    lives.insert(i, made)
    if len(lives) > LIVES_MAX:
        del lives[0]
    return made


cdef int identify(Floor floor, TrackLife life, Fact fact) except -1:
    """R60: facts about it belong to its `lu` once known, with their own event times, also backwards."""
    cdef list waiting = life.waiting
    cdef Fact item
    life.lu = fact.lu
    life.waiting = []
    for item in waiting:
        if abs(fact.t - item.t) <= floor.rules.ident_wait:
            floor.open_tracks -= 1
            give_to_unit(floor, life, item)
        else:
            unresolved(floor, item)
    return 0


cdef int give_to_unit(Floor floor, TrackLife life, Fact fact) except -1:
    fact.lu = life.lu
    if fact.kind == K_ITEM_RECIRCULATED:        # R61: emits nothing, closes nothing
        life.loops += 1
        if life.loops > floor.rules.loops_max:
            floor.outlet.raise_("RTE_MAX_RECIRC", f"lu/{floor.text(fact.lu)}", fact.t, floor.dev_id(fact),
                                f"{life.loops} loops")
    elif fact.kind == K_SCAN_NOREAD:
        return see(floor, fact)
    check_item(floor, fact)
    return take_unit_fact(floor, fact)


cdef int check_item(Floor floor, Fact fact) except -1:
    """R62: the place is where it really went; elsewhere than asked is an exception."""
    if fact.kind == K_DIVERT_CONFIRMED and fact.dest_req:
        if fact.dest_req != fact.dest:
            floor.outlet.raise_("RTE_WRONG_DEST", f"lu/{floor.text(fact.lu)}", fact.t, floor.dev_id(fact),
                                f"{floor.text(fact.dest)} instead of {floor.text(fact.dest_req)}")
        else:
            floor.outlet.clear("RTE_WRONG_DEST", f"lu/{floor.text(fact.lu)}", fact.t, floor.dev_id(fact))
    return 0


cdef int give_up(Floor floor, TrackLife life, int64_t due) except -1:
    """R60: nobody identified it within `ident_wait_ms`."""
    cdef list waiting = life.waiting
    cdef Fact item
    life.waiting = []
    for item in waiting:
        if item.t + floor.rules.ident_wait <= due:
            unresolved(floor, item)
        else:
            life.waiting.append(item)
    return 0


cdef int unresolved(Floor floor, Fact fact) except -1:
    floor.open_tracks -= 1
    floor.outlet.raise_("ID_UNRESOLVED", subject_of(floor, fact), fact.t, floor.dev_id(fact), "")
    return 0


cdef str subject_of(Floor floor, Fact fact):
    return f"track/{floor.text(fact.src)}/{floor.text(fact.track)}"
