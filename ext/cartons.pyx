# cython: boundscheck=False, wraparound=False
"""Cartons (R42-R46, R56), and what a fact of a load unit sets going: see cartons.pxd. Hot: `attach`, `follow`."""

from libc.stdint cimport uint64_t

from ext cimport legality, packing, picks, riding, short_on_close, sights
from ext.batch cimport ABSENT
from ext.carton_events cimport tell_closed, tell_merged, tell_reopened, tell_voided
from ext.carton_names cimport name_at, sort_key, subject_text
from ext.carton_state cimport closes, reopens, void_of
from ext.cycles cimport place_fact, replace_fact, take_back
from ext.exceptions cimport PKG_DOUBLE_CLOSE, PKG_LABEL_MISMATCH, PKG_LABEL_NOREAD, PKG_WEIGHT_MISMATCH
from ext.floor cimport find_line
from ext.keys cimport Key, text_key
from ext.kinds cimport K_CARTON_CLOSE, K_CARTON_VOID, K_LABEL_VERIFIED, K_MANIFEST_RESULT, K_WEIGH
from ext.packing cimport contents_of
from ext.store cimport length, nth
from ext.timers cimport NEVER, RANK_CARTON

cdef uint64_t OF_THE_BOX = (<uint64_t>1 << PKG_WEIGHT_MISMATCH | <uint64_t>1 << PKG_LABEL_NOREAD
                            | <uint64_t>1 << PKG_LABEL_MISMATCH)


# ---------------------------------------------------------------------------------------------- collecting facts

cdef int attach(Floor floor, LoadUnit* unit, Fact* fact, List** changed) except -1:
    """A fact about a load unit takes effect. Appends the cycles that it changed."""
    place_fact(floor, unit, fact, changed)
    return follow_placed(floor, unit, fact, changed)


cdef int attach_instead(Floor floor, LoadUnit* unit, Fact* old, Fact* fact, List** changed) except -1:
    """As if it had come instead of `old`: nothing is told of how the unit stands without either."""
    replace_fact(floor, unit, old, fact, changed)
    return follow_placed(floor, unit, fact, changed)


cdef int follow_placed(Floor floor, LoadUnit* unit, Fact* fact, List** changed) except -1:
    """What a fact sets going that has just joined its unit."""
    cdef int kind = fact.kind
    packing.settle(floor, changed)
    sights.watch(floor, unit, fact)
    follow(floor, changed[0], fact)
    legality.watch_uses(floor, unit, fact)
    if kind == K_CARTON_VOID:
        watch_void(floor, fact)
    if kind == K_LABEL_VERIFIED or (kind == K_WEIGH and fact.cycle == NULL):   # what its use begins with may be on its way
        fact.late = fact.cycle == NULL
        floor.by_watermark.push(fact.t, RANK_CARTON, text_key(fact.lu), fact, TAG_LABEL, fact.t)
    if fact.cycle != NULL and (kind == K_WEIGH or kind == K_LABEL_VERIFIED or kind == K_CARTON_VOID
                               or kind == K_MANIFEST_RESULT):
        watch_alarms(floor, fact.cycle, fact.t)
    return 0


cdef int detach(Floor floor, LoadUnit* unit, Fact* fact, List** changed) except -1:
    """A fact that turned out to be none leaves the unit. Appends the cycles that changed by it."""
    take_back(floor, unit, fact, changed)
    packing.settle(floor, changed)
    return follow(floor, changed[0], fact)


cdef int follow(Floor floor, const List* changed, Fact* fact) except -1:
    """What cycles decide and tell that were changed by a fact."""
    cdef Cycle* cycle
    cdef int i
    for i in range(length(changed)):
        cycle = <Cycle*>nth(changed, i)
        if cycle.merged:
            tell_merged(floor, cycle, fact)
            continue
        if cycle.rebound:
            watch_alarms(floor, cycle, cycle.end)
        watch_end(floor, cycle)
        if cycle.any_close and (fact.context or fact.cycle != cycle or moves_close(fact.kind)):
            watch_transitions(floor, cycle)
        if floor.rules.short_on_close:
            short_on_close.close_picks(floor, cycle)
        if cycle.unit.ever_voided:
            follow_void(floor, cycle)
        if cycle.decided.until != ABSENT and (fact.context or not riding.is_place(fact.kind)):
            decide(floor, cycle, fact)
        if fact.carton and cycle.decided.until != ABSENT:
            watch_alarms(floor, cycle, fact.t)       # it may be planned under that name
        if cycle.renamed:
            retell_picks(floor, cycle, fact)
    return 0


cdef int watch_alarms(Floor floor, Cycle* cycle, int64_t t) except -1:
    """R45: look at weight, label and contents when the watermark has passed `t`."""
    return floor.by_watermark.push(t, RANK_CARTON, sort_key(cycle), cycle, TAG_CHECK, t)


cdef int watch_end(Floor floor, Cycle* cycle) except -1:
    """R45: what is wrong with the weight or label of an empty carton ends with the use of its unit."""
    if cycle.end != NEVER and cycle.decided.alarms & OF_THE_BOX:
        return watch_alarms(floor, cycle, cycle.end)
    return 0


cdef int watch_transitions(Floor floor, Cycle* cycle) except -1:
    """Every close and reopening not decided yet is due when the watermark passes it by its hold, or at the bound."""
    cdef List* doubles = NULL
    cdef List* transitions = transitions_of(floor, cycle, &doubles)
    cdef int i
    for i in range(decided_of(cycle, transitions), length(transitions)):
        watch_transition(floor, cycle, <Fact*>nth(transitions, i))
    for i in range(decided_of(cycle, doubles), length(doubles)):
        watch_transition(floor, cycle, <Fact*>nth(doubles, i))
    floor.store.free(transitions)
    floor.store.free(doubles)
    return 0


cdef int watch_transition(Floor floor, Cycle* cycle, const Fact* fact) except -1:
    cdef Key key = sort_key(cycle)
    floor.by_watermark.push(fact.t + floor.rules.close_hold, RANK_CARTON, key, cycle, TAG_TRANSITION, fact.t)
    return floor.by_wall.push(fact.t_rx + floor.rules.hold_wall_max, RANK_CARTON, key, cycle, TAG_TRANSITION, fact.t)


cdef int watch_void(Floor floor, Fact* fact) except -1:
    """R56: told when the watermark has passed it, or by the wall clock's bound: a bind may still come that makes it
    another carton's."""
    floor.by_watermark.push(fact.t, RANK_CARTON, text_key(fact.lu), fact, TAG_VOID, fact.t)
    return floor.by_wall.push(fact.t_rx + floor.rules.hold_wall_max, RANK_CARTON, text_key(fact.lu), fact, TAG_VOID, fact.t)


cdef int follow_void(Floor floor, Cycle* cycle) except -1:
    """R56: a use that has come by a void tells it when the record that brought it is taken to its end: a late manifest ends a
    use, and then takes back what seemed to begin the next."""
    cdef Fact* fact = void_of(cycle)
    if fact == NULL or cycle.decided.voided != NULL or floor.state.watermark <= fact.t:
        return tell_voided(floor, cycle)
    return floor.by_watermark.push(fact.t, RANK_CARTON, text_key(fact.lu), fact, TAG_VOID, fact.t)


cdef int retell_picks(Floor floor, Cycle* cycle, Fact* cause) except -1:
    """R31: a carton that is learned after its picks were told: `pick.confirmed` names it in a revision. A line may be forgotten
    while its pieces still lie in the unit: of that nothing is told."""
    cdef Fact* fact
    cdef int i
    cycle.renamed = False
    for i in range(length(cycle.facts)):
        fact = <Fact*>nth(cycle.facts, i)
        if (fact.window != NULL and fact.window.confirmed != NULL
                and find_line(floor.state, fact.window.line.order, fact.window.line.number) == fact.window.line):
            picks.decide(floor, fact.window, cause)
    return 0


# ---------------------------------------------------------------------------------------------- what a carton is

cdef bint moves_close(int kind) noexcept:
    """A fact that closes, opens or ends."""
    return reopens(kind) or closes(kind) or kind == K_CARTON_VOID


cdef List* transitions_of(Floor floor, const Cycle* cycle, List** doubles) except? NULL:
    """R42, R44: closes and reopenings in turn, in order of event time. A second close without a reopening is none (R46);
    those go to `doubles`, unless that is NULL.

    The lists are the caller's, to be freed.
    """
    cdef List* found = NULL
    cdef bint closed = False
    cdef int64_t t_close = ABSENT
    cdef Fact* fact
    cdef int i
    for i in range(length(cycle.facts)):
        fact = <Fact*>nth(cycle.facts, i)
        if closes(fact.kind):
            if not closed:
                floor.store.append(&found, fact)
                closed, t_close = True, fact.t
            elif fact.kind == K_CARTON_CLOSE and doubles != NULL:
                floor.store.append(doubles, fact)
        elif closed and fact.t > t_close and reopens(fact.kind):
            floor.store.append(&found, fact)
            closed = False
        elif fact.kind == K_CARTON_VOID:        # section 10: its pieces are put back or packed anew, it opens no more
            break
    return found


cdef int decided_of(const Cycle* cycle, const List* transitions) noexcept:
    """How many of them are decided. One that arrives late is, if a later one is decided."""
    cdef int count = length(transitions)
    while count > 0 and (<Fact*>nth(transitions, count - 1)).t > cycle.decided.until:
        count -= 1
    return count


cdef inline bint is_close(const void* fact) noexcept:
    return closes((<const Fact*>fact).kind)


# ---------------------------------------------------------------------------------------------- deciding

cdef int decide(Floor floor, Cycle* cycle, Fact* cause) except -1:
    """R43, R44: tell the closes and reopenings whose hold has passed, then what late facts changed in the last close."""
    cdef List* doubles = NULL
    cdef List* transitions = transitions_of(floor, cycle, &doubles)
    cdef Fact* transition
    cdef int i, decided = decided_of(cycle, transitions)
    revise(floor, cycle, transitions, decided, cause)
    for i in range(decided, length(transitions)):
        transition = <Fact*>nth(transitions, i)
        if not is_due(floor, cycle, transition):
            break
        floor.deciding(cycle).until = transition.t
        if is_close(transition):
            tell_closed(floor, cycle, transition, transition)
            watch_alarms(floor, cycle, transition.t + floor.rules.close_hold)
        else:
            tell_reopened(floor, cycle, transition)
    for i in range(length(doubles)):
        transition = <Fact*>nth(doubles, i)
        if is_due(floor, cycle, transition):
            raise_double(floor, cycle, transition)
    floor.store.free(transitions)
    floor.store.free(doubles)
    return 0


cdef int raise_double(Floor floor, Cycle* cycle, const Fact* close) except -1:
    """R46, once: the key that a later close has fixed is no reason to raise it again."""
    if floor.outlet.is_raised(PKG_DOUBLE_CLOSE, floor.joined(b"carton/", name_at(floor, cycle, close.t))):
        return 0
    return floor.outlet.raise_(PKG_DOUBLE_CLOSE, subject_text(floor, cycle, close.t), close.t, close, "")


cdef bint is_due(Floor floor, const Cycle* cycle, const Fact* transition) noexcept:
    return floor.state.watermark > transition.t + floor.rules.close_hold or cycle.decided.forced >= transition.t


cdef int force(Floor floor, Cycle* cycle, int64_t t) except -1:
    """The wall clock's bound decides what happened up to `t`."""
    floor.deciding(cycle).forced = max(cycle.decided.forced, t)
    return 0


cdef int decide_void(Floor floor, const Fact* void_) except -1:
    """Which carton the void ended is known now. None, if it was refused (section 10)."""
    return tell_voided(floor, void_.cycle) if void_.cycle != NULL else 0


cdef int force_void(Floor floor, const Fact* void_) except -1:
    if void_.cycle != NULL and floor.state.watermark <= void_.t:
        force(floor, void_.cycle, void_.t)
        tell_voided(floor, void_.cycle)
    return 0


cdef int revise(Floor floor, Cycle* cycle, const List* transitions, int decided, Fact* cause) except -1:
    """What a late fact changed in the last reopening that was decided, then in the last close. A close that it has filled
    is told before its reopening (R44: no reopening swallows a close).

    R3: what is only out of order, such as a label of just after the hold, might as well have come before: then the close
    decides.
    """
    cdef Fact* close = NULL
    cdef bint filled, late = cause != NULL and (cause.context or cause.t < floor.state.watermark)
    cdef int i = decided - 1
    while i >= 0 and is_close(nth(transitions, i)):
        i -= 1
    if i > 0:
        close = <Fact*>nth(transitions, i - 1)
        filled = contents_of(cycle, close.t).count > 0
        if i == decided - 1 or (filled and cycle.decided.reopened == NULL and cycle.decided.close != close):
            tell_closed(floor, cycle, close, cause if late else close)
        if filled:
            tell_reopened(floor, cycle, <Fact*>nth(transitions, i))
    if i < decided - 1:
        close = <Fact*>nth(transitions, decided - 1)
        tell_closed(floor, cycle, close, cause if late else close)
    if close != NULL and cause != NULL and cause.t <= close.t:      # what opens it again says nothing of that close
        watch_alarms(floor, cycle, cause.t)
    return 0


cdef Fact* last_close(Floor floor, Cycle* cycle) except? NULL:
    """The last close that was decided; NULL: none, or it was reopened."""
    cdef List* transitions
    cdef Fact* close = NULL
    cdef int i
    if cycle.decided.until == ABSENT:
        return NULL
    transitions = transitions_of(floor, cycle, NULL)
    i = decided_of(cycle, transitions) - 1
    if i >= 0 and is_close(nth(transitions, i)):
        close = <Fact*>nth(transitions, i)
    floor.store.free(transitions)
    return close
