# cython: boundscheck=False, wraparound=False
"""Load units and cartons (R40-R48): see cartons.pxd. Hot: `attach`, `follow`."""

from libc.stdint cimport int32_t, uint64_t

from ext cimport legality, packing, picks, riding, short_on_close, sights
from ext.batch cimport ABSENT
from ext.carton_names cimport key_at, name_at, name_of, quiet, quiet_but, sort_key, subject_of, subject_text, told_by
from ext.carton_state cimport closes, last_good_label, reopens, weight_of
from ext.cycles cimport place_fact, replace_fact, take_back
from ext.exceptions cimport (
    PKG_DOUBLE_CLOSE, PKG_EMPTY, PKG_LABEL_MISMATCH, PKG_LABEL_NOREAD, PKG_WEIGHT_MISMATCH, TIME_TOO_LATE,
)
from ext.floor cimport find_line
from ext.json_writer cimport JsonWriter
from ext.keys cimport Key, text_key
from ext.kinds cimport K_CARTON_CLOSE, K_CARTON_VOID, K_LABEL_VERIFIED, K_MANIFEST_RESULT, K_SCAN_READ, K_WEIGH
from ext.outlet cimport CARTON_CLOSED, CARTON_REOPENED, CARTON_VOIDED, EXACT, INCOMPLETE, INFERRED
from ext.packing cimport Piece, contents_of
from ext.plans cimport home_at
from ext.state cimport CartonPlan, Ledger, Shipment
from ext.store cimport find, length, nth
from ext.timers cimport ANY_TIME, NEVER, RANK_CARTON
from ext.tombstones cimport is_buried

from ext.kinds import NAMES

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


# ---------------------------------------------------------------------------------------------- telling

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


cdef Fact* void_of(const Cycle* cycle) noexcept:
    cdef int i = length(cycle.facts) - 1
    while i >= 0 and (<Fact*>nth(cycle.facts, i)).kind != K_CARTON_VOID:
        i -= 1
    return <Fact*>nth(cycle.facts, i) if i >= 0 else NULL


cdef int follow_void(Floor floor, Cycle* cycle) except -1:
    """R56: a use that has come by a void tells it when the record that brought it is taken to its end: a late manifest ends a
    use, and then takes back what seemed to begin the next."""
    cdef Fact* fact = void_of(cycle)
    if fact == NULL or cycle.decided.voided != NULL or floor.state.watermark <= fact.t:
        return tell_voided(floor, cycle)
    return floor.by_watermark.push(fact.t, RANK_CARTON, text_key(fact.lu), fact, TAG_VOID, fact.t)


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
