# cython: boundscheck=False, wraparound=False
"""Tracks (R60-R63): see tracks.pxd. Hot: `wait`, `on_passed`, `stop_waiting`."""

from libc.stdint cimport int32_t, int64_t, uint64_t

from ext cimport diverts, sights
from ext.exceptions cimport ID_MULTI, ID_UNRESOLVED
from ext.keys cimport fact_key, text_key
from ext.kinds cimport (
    K_DIVERT_CONFIRMED, K_ITEM_ARRIVED, K_ITEM_INDUCTED, K_ITEM_LOST, K_ITEM_RECIRCULATED, K_SCAN_NOREAD, K_SCAN_READ, K_WEIGH,
)
from ext.shipments cimport take_unit_fact
from ext.sources cimport Track
from ext.state cimport B_LIFE, B_MULTIREAD, B_TRACK
from ext.store cimport List, find, head_of, length, nth, pair, remove_at, remove_some
from ext.timers cimport RANK_TRACK
from ext.unit_episodes cimport FORCED, SAYS_WHOSE

cdef int LIVES_MAX = 4              # of one number: facts older than that cannot be told apart any more
cdef int EPOCHS_MAX = 4             # of one machine: likewise
cdef int WAITING_MAX = 1_024        # facts of one life, and as many that were given up: no item has more


cdef int take(Floor floor, Source* source, Fact* fact) except -1:
    """R60: a fact that names a track, with or without the unit that it is."""
    return wait(floor, source, fact, fact, TAG_RESOLVE)


cdef int take_multiread(Floor floor, Source* source, Fact* fact, Numbers* codes, bint closes) except -1:
    """R63: it waits for the watermark too, so that every sight before it is known."""
    cdef Multiread* multiread = <Multiread*>floor.store.new(B_MULTIREAD, sizeof(Multiread))
    multiread.fact, multiread.codes, multiread.closes = fact, codes, closes
    if not fact.track:
        sights.expect_read(floor, source, fact)
    return wait(floor, source, multiread, fact, TAG_MULTIREAD)


# ---------------------------------------------------------------------------------------------- waiting for the watermark

cdef int wait(Floor floor, Source* source, void* item, const Fact* fact, int tag) except -1:
    """R60: a fact that names a track waits for the watermark to pass it, in R3's order among equal times; for one that lags no
    longer than `hold_wall_max_ms` (R4). One timer a source sees to that, for nearly nothing waits so long."""
    cdef int at = length(source.tracked)
    while at > 0 and fact_in(nth(source.tracked, at - 1)).t_rx > fact.t_rx:
        at -= 1
    floor.store.insert(&source.tracked, at, item)
    floor.state.open_tracks += 1
    if not source.bounded:
        watch_bound(floor, source, due_of(floor, item))
    return floor.by_watermark.push(fact.t, RANK_TRACK, fact_key(fact.src), item, tag, 0)


cdef int watch_bound(Floor floor, Source* source, int64_t due) except -1:
    source.bounded = True
    return floor.by_wall.push(due, RANK_TRACK, text_key(source.src), source, TAG_BOUND, 0)


cdef inline Fact* fact_in(void* item) noexcept:
    return (<Multiread*>item).fact if head_of(item).type == B_MULTIREAD else <Fact*>item


cdef int stop_waiting(Floor floor, int32_t src, const void* item) noexcept:
    """It has waited long enough: mostly the oldest of its source."""
    cdef Source* source = <Source*>find(floor.state.sources, src)
    cdef int i
    for i in range(length(source.tracked) if source != NULL else 0):
        if nth(source.tracked, i) == item:
            remove_at(&source.tracked, i)
            break
    return 0


cdef int on_passed(Floor floor, Fact* fact) except -1:
    if fact.judged & FORCED:
        if fact.judged & SAYS_WHOSE:        # several codes of before it may have waited for longer (R63)
            end_multi(floor, fact)
        return sights.let_go(floor, fact)
    stop_waiting(floor, fact.src, fact)
    return resolve(floor, fact)


cdef int on_multiread_passed(Floor floor, Multiread* multiread) except -1:
    if multiread.forced:
        return 0
    stop_waiting(floor, multiread.fact.src, multiread)
    return resolve_multiread(floor, <Source*>find(floor.state.sources, multiread.fact.src), multiread)


cdef int on_bound(Floor floor, Source* source) except -1:
    """R4: what waited for so long takes effect without the watermark, in R3's order."""
    if <Source*>find(floor.state.sources, source.src) != source:
        return 0                        # it was forgotten
    force_all(floor, source, take_over(floor, source))
    source.bounded = False
    return watch_bound(floor, source, due_of(floor, nth(source.tracked, 0))) if length(source.tracked) else 0


cdef inline int64_t due_of(Floor floor, void* item) noexcept:
    return fact_in(item).t_rx + floor.rules.hold_wall_max


cdef List* take_over(Floor floor, Source* source) except? NULL:
    """What has waited for so long waits no longer; sorted. It mostly came in order."""
    cdef List* over = NULL
    cdef int n = 0
    while n < length(source.tracked) and due_of(floor, nth(source.tracked, n)) <= floor.state.wall:
        insert_by_time(floor, &over, nth(source.tracked, n))
        n += 1
    remove_some(&source.tracked, 0, n)
    return over


cdef int force(Floor floor, Source* source, void* item) except -1:
    """`source`: asked for of several codes only."""
    cdef Fact* fact = fact_in(item)
    if head_of(item).type == B_MULTIREAD:
        (<Multiread*>item).forced = True
        return resolve_multiread(floor, source, <Multiread*>item)
    fact.judged |= FORCED
    fact.sights += 1                    # its timer is still to come
    return resolve(floor, fact)


cdef int resolve_settled(Floor floor) except -1:
    """R54, R60: the TMS's word of a shipment has come, and nothing can be told of it afterwards. What no record of its own
    machine can come before any more (R2) belongs to a unit by now, whatever source the watermark waits for."""
    cdef List* settled = NULL
    cdef Source* source
    cdef uint64_t i
    if floor.state.open_tracks == 0:
        return 0
    for i in range(floor.state.sources.capacity):       # in an order that is another one after a restart
        source = <Source*>floor.state.sources.slots[i].value
        if source != NULL and length(source.tracked):
            take_settled(floor, source, &settled)
    return force_all(floor, NULL, settled)


cdef int take_settled(Floor floor, Source* source, List** settled) except -1:
    """What the source's own watermark has passed waits no longer; inserted by R3's order. One that has left is as late as a
    partition without sources (R2). Codes wait for what other machines saw (R63)."""
    cdef void* item
    cdef int64_t passed = source.watermark if source.live else max(source.watermark, floor.state.wall - source.idle)
    cdef int i = 0, n
    while i < length(source.tracked):
        n = 0
        while i + n < length(source.tracked):
            item = nth(source.tracked, i + n)
            if head_of(item).type == B_MULTIREAD or fact_in(item).t >= passed:
                break
            insert_by_time(floor, settled, item)
            n += 1
        remove_some(&source.tracked, i, n)      # mostly once: they came in order
        i += 1
    return 0


cdef int insert_by_time(Floor floor, List** items, void* item) except -1:
    cdef int at = length(items[0])
    while at > 0 and floor.precedes(fact_in(item), fact_in(nth(items[0], at - 1))):
        at -= 1
    return floor.store.insert(items, at, item)


cdef int force_all(Floor floor, Source* source, List* items) except -1:
    cdef int i
    for i in range(length(items)):
        force(floor, source, nth(items, i))
    floor.store.free(items)
    return 0


# ---------------------------------------------------------------------------------------------- several codes

cdef int resolve_multiread(Floor floor, Source* source, Multiread* multiread) except -1:
    """R63: from here on it is a read of the one code that counts, or a no-read."""
    cdef Fact* fact = multiread.fact
    sights.choose(floor, source, fact, multiread.codes)
    if fact.lu:
        see(floor, fact)
        if multiread.closes:
            take_unit_fact(floor, fact)
    if fact.track:
        return resolve(floor, fact)
    floor.state.open_tracks -= 1
    return 0


cdef int see(Floor floor, const Fact* fact) except -1:
    """R64: any sight of a load unit that was lost brings it back."""
    cdef Fact* stray = sights.found(floor, fact)
    return take_unit_fact(floor, stray) if stray != NULL else 0


# ---------------------------------------------------------------------------------------------- lives

cdef Track* track_of(Floor floor, const Fact* fact) except NULL:
    """The machine's number, in the epoch of the fact."""
    cdef uint64_t key = pair(fact.src, fact.track)
    cdef Track* first = <Track*>find(floor.state.tracks, key)
    cdef Track* track = first
    cdef Track* made
    cdef int epochs = 1
    while track != NULL and track.epoch != fact.epoch:
        if epochs == EPOCHS_MAX:
            track.before = NULL
        track = track.before
        epochs += 1
    if track != NULL:
        return track
    made = <Track*>floor.store.new(B_TRACK, sizeof(Track))
    made.epoch, made.before = fact.epoch, first
    floor.store.put(floor.state.tracks, key, made)
    return made


cdef int resolve(Floor floor, Fact* fact) except -1:
    """R60: the fact joins the life of its track that holds its event time."""
    cdef TrackLife* life = life_at(floor, track_of(floor, fact), fact)
    if fact.kind == K_ITEM_INDUCTED or (fact.lu and fact.kind != K_SCAN_NOREAD):
        floor.state.open_tracks -= 1
        if fact.lu:
            identify(floor, life, fact)
            see(floor, fact)                # the loss before it may not have been known to be this unit's when it came
            fact.judged |= SAYS_WHOSE
            end_multi(floor, fact)
        if fact.kind == K_ITEM_RECIRCULATED:
            count_loop(floor, life, fact)
        if not joins_its_unit(fact.kind):
            sights.joins_nothing(floor, fact)
    elif life.lu and fact.t - life.known_t <= floor.rules.ident_wait:
        floor.state.open_tracks -= 1
        name_it(floor, life, fact)
        give_to_unit(floor, fact)
    else:
        await_name(floor, life, fact)
    return 0


cdef bint joins_its_unit(int kind) noexcept:
    """A read may stand for a close (R42)."""
    return (kind == K_SCAN_READ or kind == K_WEIGH or kind == K_DIVERT_CONFIRMED
            or K_ITEM_RECIRCULATED <= kind <= K_ITEM_ARRIVED)


cdef int end_multi(Floor floor, const Fact* fact) except -1:
    """R63: the track is identified."""
    if not floor.state.open_episodes[ID_MULTI]:
        return 0
    return floor.outlet.clear(ID_MULTI, sights.subject_of(floor, fact), fact.t, fact)


cdef int await_name(Floor floor, TrackLife* life, Fact* fact) except -1:
    """R60: until somebody identifies the item. Of too many facts the oldest is given up."""
    cdef Fact* oldest
    if floor.insert_sorted(&life.waiting, fact) == 0:
        watch(floor, life)
    if length(life.waiting) <= WAITING_MAX:
        return 0
    oldest = <Fact*>nth(life.waiting, 0)
    remove_at(&life.waiting, 0)
    return unresolved(floor, life, oldest, fact.t)


cdef int watch(Floor floor, TrackLife* life) except -1:
    """Its oldest fact waits no longer than `ident_wait_ms`: an identification of that very moment is in time."""
    cdef Fact* oldest
    if length(life.waiting) == 0:
        return 0
    oldest = <Fact*>nth(life.waiting, 0)
    return floor.by_watermark.push(oldest.t + floor.rules.ident_wait + 1, RANK_TRACK, text_key(life.track), life,
                                   TAG_UNRESOLVED, 0)


cdef TrackLife* life_at(Floor floor, Track* track, const Fact* fact) except NULL:
    """R60: the life that holds the fact, begun by it if need be: a life runs from its induction, else its first fact, to the next
    induction of that number."""
    cdef TrackLife* life
    cdef int i = length(track.lives)
    while i > 0 and begins_after(<TrackLife*>nth(track.lives, i - 1), fact):
        i -= 1
    if fact.kind != K_ITEM_INDUCTED and i > 0:
        return <TrackLife*>nth(track.lives, i - 1)
    life = <TrackLife*>nth(track.lives, i) if i < length(track.lives) else NULL
    if life == NULL or life.inducted:           # else what was thought to be its first fact was not
        life = <TrackLife*>floor.store.new(B_LIFE, sizeof(TrackLife))
        life.track = fact.track
        floor.store.insert(&track.lives, i, life)
    life.begin, life.inducted = fact.t, fact.kind == K_ITEM_INDUCTED
    life.begin_seq, life.begin_sub = fact.seq, fact.sub
    if i > 0:
        move_later(floor, <TrackLife*>nth(track.lives, i - 1), life, fact)
    if length(track.lives) > LIVES_MAX:
        forget_first(floor, track)
    return life


cdef bint begins_after(const TrackLife* life, const Fact* fact) noexcept:
    """R3: of one moment an induction goes by its number among what its machine tells."""
    if life.begin != fact.t or not life.inducted:
        return life.begin > fact.t
    return life.begin_seq > fact.seq or (life.begin_seq == fact.seq and life.begin_sub > fact.sub)


cdef int forget_first(Floor floor, Track* track) except -1:
    """What waited in it can be identified no more."""
    cdef TrackLife* life = <TrackLife*>nth(track.lives, 0)
    cdef int i
    for i in range(length(life.waiting)):
        unresolved(floor, life, <Fact*>nth(life.waiting, i), floor.by_watermark.due)
    life.waiting = NULL
    remove_at(&track.lives, 0)
    return 0


cdef int move_later(Floor floor, TrackLife* before, TrackLife* made, const Fact* induction) except -1:
    """What waits in the life before and happened later belongs to the new one; so does what waited in vain."""
    sort_out(floor, &before.waiting, &made.waiting, induction)
    sort_out(floor, &before.given_up, &made.given_up, induction)
    return watch(floor, made)


cdef int sort_out(Floor floor, List** kept, List** moved, const Fact* induction) except -1:
    cdef List* facts = kept[0]
    cdef Fact* item
    cdef int i
    kept[0] = NULL
    for i in range(length(facts)):
        item = <Fact*>nth(facts, i)
        floor.insert_sorted(moved if floor.precedes(induction, item) else kept, item)
    floor.store.free(facts)
    return 0


cdef int identify(Floor floor, TrackLife* life, const Fact* fact) except -1:
    """R60: facts about it belong to its `lu` once known, with their own event times, also backwards."""
    cdef List* waiting = life.waiting
    cdef Fact* item
    cdef int i
    life.lu, life.known_t = fact.lu, fact.t
    life.waiting = NULL
    if length(life.given_up):
        identify_late(floor, life, fact)
    for i in range(length(waiting)):
        item = <Fact*>nth(waiting, i)
        if is_near(floor, fact, item):
            floor.state.open_tracks -= 1
            name_it(floor, life, item)
        else:
            unresolved(floor, life, item, fact.t)
    give_named(floor, waiting)
    floor.store.free(waiting)
    return 0


cdef int identify_late(Floor floor, TrackLife* life, const Fact* fact) except -1:
    """The same of what waited in vain: the identification comes late, with a backlog."""
    cdef List* given_up = life.given_up
    cdef Fact* item
    cdef int i
    life.given_up = NULL
    for i in range(length(given_up)):
        item = <Fact*>nth(given_up, i)
        if is_near(floor, fact, item):
            name_it(floor, life, item)
        else:
            floor.store.append(&life.given_up, item)
    give_named(floor, given_up)
    floor.store.free(given_up)
    return floor.outlet.clear(ID_UNRESOLVED, sights.subject_of(floor, fact), fact.t, fact) if not life.given_up else 0


cdef bint is_near(Floor floor, const Fact* known, const Fact* item) noexcept:
    return -floor.rules.ident_wait <= known.t - item.t <= floor.rules.ident_wait


cdef int name_it(Floor floor, TrackLife* life, Fact* fact) except -1:
    fact.lu = life.lu
    return count_loop(floor, life, fact) if fact.kind == K_ITEM_RECIRCULATED else 0


cdef int count_loop(Floor floor, TrackLife* life, const Fact* fact) except -1:
    life.loops += 1
    return diverts.check_loops(floor, fact, life.loops)


cdef int give_named(Floor floor, const List* facts) except -1:
    """R52: the last first. A loss that is known together with the sight after it makes no shipment unready."""
    cdef Fact* item
    cdef int i
    for i in range(length(facts)):
        item = <Fact*>nth(facts, i)
        if item.lu and item.kind == K_ITEM_LOST:    # no-reads after it are sights (R64)
            sights.were_lost(floor, floor.unit_of(item.lu))
    for i in range(length(facts) - 1, -1, -1):
        item = <Fact*>nth(facts, i)
        if item.lu:
            give_to_unit(floor, item)
    return 0


cdef int give_to_unit(Floor floor, Fact* fact) except -1:
    if fact.kind == K_SCAN_NOREAD:
        return see(floor, fact)
    diverts.watch(floor, fact)
    return take_unit_fact(floor, fact)


cdef int give_up(Floor floor, TrackLife* life, int64_t due) except -1:
    """R60: nobody identified it within `ident_wait_ms`."""
    cdef Fact* oldest
    while length(life.waiting):
        oldest = <Fact*>nth(life.waiting, 0)
        if oldest.t + floor.rules.ident_wait >= due:
            return watch(floor, life)
        remove_at(&life.waiting, 0)
        unresolved(floor, life, oldest, oldest.t + floor.rules.ident_wait)
    return 0


cdef int unresolved(Floor floor, TrackLife* life, Fact* fact, int64_t t) except -1:
    """It is kept for a backlog that identifies it yet. Of too many the first is forgotten."""
    floor.state.open_tracks -= 1
    floor.store.append(&life.given_up, fact)
    if length(life.given_up) > WAITING_MAX:
        remove_at(&life.given_up, 0)
    return floor.outlet.raise_(ID_UNRESOLVED, sights.subject_of(floor, fact), t, fact, "")
