# cython: boundscheck=False, wraparound=False
"""What is over leaves, `retention_ms` after its end; planned work never does: see retention.pxd.

The watermark calls for a sweep now and then, so that what is remembered is a function of the records. Shipments go
first: only then nobody asks for their lines and cartons any more. An evicted window can be named by nothing that is not
dead by R29 already, as long as `retention_ms` is greater than `lateness_ms`. A sweep only takes out of tables and lists;
`garbage.collect` then frees what nothing points to.
"""

from libc.stdint cimport int32_t, uint64_t

from ext cimport carton_names, equipment, outcomes, pick_names, plans, returns, tombstones
from ext.batch cimport ABSENT
from ext.correlations cimport is_remembered
from ext.exceptions cimport RTN_OVER, RTN_UNEXPECTED, Episode, is_over as is_over_episode
from ext.families cimport ALLOC, BIND, CARTON, HOLDS, MANIFEST, ORDER, RMA, SHIPMENT, STOCK, TASK, WAVE, Revision
from ext.forgotten_units cimport Keys, drop_all, forget_units, goes_early
from ext.premises_data cimport Finding, LatePicks, Return, Rma, Scan, Signal, Subjects
from ext.sources cimport Gap, Source, Track, TrackLife
from ext.state cimport CartonPlan, Cycle, Fact, Line, Order, PickWindow, ScopeLine, Shipment, Trailer, Waiting
from ext.store cimport List, Table, find, last, length, nth, pair, remove_at, remove_some
from ext.timers cimport ANY_TIME, NEVER


cdef int sweep(Floor floor, int64_t before) except -1:
    """Forget what ended before the event time `before`."""
    floor.state.remembers = max(floor.state.remembers, before)
    forget_shipments(floor, before)
    forget_orders(floor, before)
    forget_units(floor, before)
    forget_cartons(floor, before)
    forget_tracks(floor, before)
    forget_loads(floor, before)
    forget_gaps(floor, before)
    forget_told(floor, before)
    forget_cancels(floor, before)
    tombstones.forget(floor, floor.state.watermark - floor.rules.lateness)
    for family in (BIND, WAVE, HOLDS, MANIFEST, ALLOC, STOCK):
        drop_older(floor, floor.state.revisions[<int>family], before, t_of_revision)
    return 0


# ---------------------------------------------------------------------------------------------- windows

cdef int forget_shipments(Floor floor, int64_t before) except -1:
    """Manifested or cancelled long ago, like all that share a line with it: what it had of that counts for none of them (R53)."""
    cdef Table* table = floor.state.shipments
    cdef Keys keys = Keys(table.count)
    cdef Shipment* shipment
    cdef uint64_t i
    mark_who_stays(floor, before)
    for i in range(table.capacity):
        shipment = <Shipment*>table.slots[i].value
        if shipment == NULL or shipment.stays:
            continue
        plans.forget_shipment(shipment)
        if shipment.alarms:
            forget_alarms(floor, shipment.alarms, floor.joined(b"shipment/", shipment.id))
        if goes_early(floor, before):
            tombstones.bury(floor, b"shipment/", shipment.id, before)
        keys.add(table.slots[i].key)
        floor.store.drop(floor.state.revisions[SHIPMENT], shipment.id)
    return drop_all(floor, table, keys)


cdef int mark_who_stays(Floor floor, int64_t before) except -1:
    """Those that are not over, and by their lines from one to the next."""
    cdef Table* table = floor.state.shipments
    cdef List* stay = NULL
    cdef Shipment* shipment
    cdef Shipment* other
    cdef Line* line
    cdef uint64_t i
    cdef int n = 0, k, m
    for i in range(table.capacity):
        shipment = <Shipment*>table.slots[i].value
        if shipment == NULL:
            continue
        shipment.stays = min(shipment.manifest_t, shipment.cancel_t) >= before
        if shipment.stays:
            floor.store.append(&stay, shipment)
    while n < length(stay):
        shipment = <Shipment*>nth(stay, n)
        n += 1
        for k in range(length(shipment.scope)):
            line = (<ScopeLine*>nth(shipment.scope, k)).line
            for m in range(length(line.scopes) if length(line.scopes) > 1 else 0):
                other = (<ScopeLine*>nth(line.scopes, m)).shipment
                if not other.stays:
                    other.stays = True
                    floor.store.append(&stay, other)
    floor.store.free(stay)
    return 0


cdef int forget_alarms(Floor floor, uint64_t alarms, int32_t subject) except -1:
    """What was raised of a window that goes, and is not cleared yet."""
    cdef int code
    for code in range(64):
        if alarms >> code & 1:
            floor.outlet.forget(code, subject)
    return 0


cdef int forget_orders(Floor floor, int64_t before) except -1:
    """Every window closed long ago, and in the scope of no shipment."""
    cdef Table* table = floor.state.orders
    cdef Keys keys = Keys(table.count)
    cdef Order* order
    cdef uint64_t i
    cdef int k
    for i in range(table.capacity):
        order = <Order*>table.slots[i].value
        if order != NULL and is_over(order, before):
            for k in range(length(order.lines)):
                forget_line(floor, <Line*>nth(order.lines, k), before)
            if goes_early(floor, before):
                tombstones.bury(floor, b"order/", order.id, before)
            keys.add(table.slots[i].key)
            floor.store.drop(floor.state.revisions[ORDER], order.id)
    return drop_all(floor, table, keys)


cdef int forget_line(Floor floor, Line* line, int64_t before) except -1:
    cdef PickWindow* window
    cdef int i
    floor.store.drop(floor.state.lines, pair(line.order, line.number))
    for i in range(length(line.windows)):
        window = <PickWindow*>nth(line.windows, i)
        if window.trouble.alarms:
            forget_alarms(floor, window.trouble.alarms, pick_names.subject_text(floor, window))
        if window.trouble.finding != NULL:
            (<Finding*>window.trouble.finding).window = NULL
        if window.task:
            if goes_early(floor, before):
                tombstones.bury(floor, b"task/", window.task, before)
            floor.store.drop(floor.state.tasks, window.task)
            floor.store.drop(floor.state.revisions[TASK], window.task)
    return 0


cdef bint is_over(const Order* order, int64_t before) noexcept:
    cdef Line* line
    cdef outcomes.Outcome o
    cdef bint worked = order.cancelled_by != NULL and order.cancelled_by.t < before
    cdef int i, k
    for i in range(length(order.lines)):
        line = <Line*>nth(order.lines, i)
        if length(line.scopes):
            return False
        if line.changed.cancel_t < before:
            worked = True
            continue
        if length(line.windows) == 0:
            return False                # planned: its picks are still to come
        for k in range(length(line.windows)):
            o = outcomes.outcome(<PickWindow*>nth(line.windows, k), ANY_TIME, before)
            if not o.closed or o.t_close >= before:
                return False
            worked = True
    return worked


cdef int forget_cartons(Floor floor, int64_t before) except -1:
    cdef Table* table = floor.state.cartons
    cdef Keys keys = Keys(table.count)
    cdef CartonPlan* plan
    cdef uint64_t i
    for i in range(table.capacity):
        plan = <CartonPlan*>table.slots[i].value
        if plan != NULL and plan.shipment == NULL and t_of_plan(plan) < before and not carton_names.is_carried(floor, plan):
            keys.add(table.slots[i].key)
            floor.store.drop(floor.state.revisions[CARTON], plan.carton)
    return drop_all(floor, table, keys)


# ---------------------------------------------------------------------------------------------- the rest

cdef int forget_cancels(Floor floor, int64_t before) except -1:
    """Cancels of tasks that nobody has told of. What else waits is given up by the wall clock (R11)."""
    cdef Table* table = floor.state.waiting_tasks
    cdef Keys keys = Keys(table.count)
    cdef List* waiting
    cdef Fact* fact
    cdef uint64_t i
    for i in range(table.capacity):
        waiting = <List*>table.slots[i].value
        fact = (<Waiting*>last(waiting)).fact if length(waiting) == 1 else NULL
        if fact != NULL and fact.context and fact.t < before:
            keys.add(table.slots[i].key)
            floor.store.drop(floor.state.revisions[TASK], fact.task)
    return drop_all(floor, table, keys)


cdef int forget_tracks(Floor floor, int64_t before) except -1:
    cdef Table* table = floor.state.tracks
    cdef Keys keys = Keys(table.count)
    cdef TrackLife* life
    cdef uint64_t i
    for i in range(table.capacity):
        if table.slots[i].value == NULL:
            continue
        life = <TrackLife*>last((<Track*>table.slots[i].value).lives)
        if life == NULL or (life.begin < before and length(life.waiting) == 0):
            keys.add(table.slots[i].key)
    return drop_all(floor, table, keys)


cdef int cut_before(List** facts, int64_t before) noexcept:
    """Take out the facts that are older."""
    cdef int count = 0
    while count < length(facts[0]) and (<Fact*>nth(facts[0], count)).t < before:
        count += 1
    remove_some(facts, 0, count)
    return 0


cdef int forget_loads(Floor floor, int64_t before) except -1:
    """What a trailer took on long ago: by then it has left, or its shipments have."""
    cdef Table* table = floor.state.trailers
    cdef Keys keys = Keys(table.count)
    cdef Trailer* trailer
    cdef uint64_t i
    for i in range(table.capacity):
        trailer = <Trailer*>table.slots[i].value
        if trailer == NULL:
            continue
        cut_before(&trailer.loads, before)
        cut_before(&trailer.closes, before)
        if length(trailer.loads) == 0 and length(trailer.closes) == 0:
            keys.add(table.slots[i].key)
    return drop_all(floor, table, keys)


cdef int forget_gaps(Floor floor, int64_t before) except -1:
    """Nothing that is still decided overlaps them."""
    cdef Source* source
    cdef uint64_t i
    cdef int k
    for i in range(floor.state.sources.capacity):
        source = <Source*>floor.state.sources.slots[i].value
        k = 0
        while source != NULL and k < length(source.gaps):
            if (<Gap*>nth(source.gaps, k)).t_to >= before:
                k += 1
            else:
                remove_at(&source.gaps, k)
                floor.state.gaps -= 1
    return 0


cdef int forget_told(Floor floor, int64_t before) except -1:
    """What was told under keys that no record can name again: late picks, and returns without an RMA, are dead by then. A
    serial or an SSCC that was used so long ago may be used again."""
    drop_older(floor, floor.state.told_before, before, t_of_cycles)
    drop_older(floor, floor.state.late_picks, before, t_of_late_picks)
    drop_older(floor, floor.state.serials, before, t_of_serial)
    drop_older(floor, floor.state.ssccs, before, t_of_fact)
    drop_older(floor, floor.state.signals, before, t_of_signal)
    forget_rmas(floor, before)
    forget_signalled(floor)
    return forget_episodes(floor, before)


cdef int drop_older(Floor floor, Table* table, int64_t before, int64_t (*t_of)(const void* value) noexcept) except -1:
    """Take out of a table what was last told of before then; `t_of` says when, NEVER of what stays."""
    cdef Keys keys = Keys(table.count)
    cdef uint64_t i
    for i in range(table.capacity):
        if table.slots[i].value != NULL and t_of(table.slots[i].value) < before:
            keys.add(table.slots[i].key)
    return drop_all(floor, table, keys)


cdef int64_t t_of_plan(const CartonPlan* plan) noexcept:
    cdef int64_t t = plan.fact.t if plan.fact != NULL else plan.t
    return max(t, (<Fact*>last(plan.releases)).t) if length(plan.releases) else t


cdef int64_t t_of_cycles(const void* value) noexcept:
    """When the last of them was closed, if it was."""
    cdef const Cycle* cycle
    cdef int64_t t = ABSENT
    cdef int i
    for i in range(length(<const List*>value)):
        cycle = <const Cycle*>nth(<const List*>value, i)
        t = max(t, cycle.decided.close.t if cycle.decided.close != NULL else cycle.begin)
    return t


cdef int64_t t_of_late_picks(const void* value) noexcept:
    return (<const LatePicks*>value).youngest.t


cdef int64_t t_of_serial(const void* value) noexcept:
    return (<Scan*>last(<const List*>value)).fact.t


cdef int64_t t_of_fact(const void* value) noexcept:
    return (<const Fact*>value).t


cdef int64_t t_of_signal(const void* value) noexcept:
    """What is set stands until it is cleared."""
    cdef const Signal* signal = <const Signal*>value
    return signal.fact.t if not signal.on else NEVER


cdef int64_t t_of_revision(const void* value) noexcept:
    return (<const Revision*>value).t


cdef int forget_signalled(Floor floor) except -1:
    """What a device set long ago, and is cleared since."""
    cdef Table* table = floor.state.signalled
    cdef Keys keys = Keys(table.count)
    cdef Subjects* known
    cdef uint64_t i
    for i in range(table.capacity):
        known = <Subjects*>table.slots[i].value
        if known == NULL:
            continue
        equipment.keep_signalled(floor, table.slots[i].key >> 32, known.deep, False)
        if equipment.keep_signalled(floor, table.slots[i].key >> 32, known.subjects, False) == 0:
            keys.add(table.slots[i].key)
    return drop_all(floor, table, keys)


cdef int forget_rmas(Floor floor, int64_t before) except -1:
    """With all that came back on them. One of which something is still to come is planned work."""
    cdef Table* table = floor.state.rmas
    cdef Table* homes = floor.state.returns
    cdef Keys keys = Keys(table.count), home_keys = Keys(homes.count)
    cdef Rma* rma
    cdef Return* home
    cdef int32_t subject
    cdef uint64_t i
    for i in range(table.capacity):
        rma = <Rma*>table.slots[i].value
        if rma != NULL and rma_is_over(floor, rma, before):
            keys.add(table.slots[i].key)
            floor.store.drop(floor.state.revisions[RMA], rma.id)
    for i in range(homes.capacity):
        home = <Return*>homes.slots[i].value
        if home != NULL and (rma_is_over(floor, home.rma, before) if home.rma != NULL else home.last_t < before):
            home_keys.add(homes.slots[i].key)
            subject = floor.joined(b"return/", home.key)
            floor.outlet.forget(RTN_UNEXPECTED, subject)
            floor.outlet.forget(RTN_OVER, subject)
            if goes_early(floor, before):
                returns.bury(floor, home, before)
    drop_all(floor, homes, home_keys)
    return drop_all(floor, table, keys)


cdef bint rma_is_over(Floor floor, const Rma* rma, int64_t before) noexcept:
    cdef const Return* home
    cdef const Revision* told = <Revision*>find(floor.state.revisions[RMA], rma.id)
    cdef int64_t came
    cdef int i, k
    if told != NULL and told.t >= before:
        return False
    for i in range(length(rma.returns)):
        if (<Return*>nth(rma.returns, i)).last_t >= before:
            return False
    for i in range(rma.expected.count if rma.expected != NULL else 0):
        came = 0
        for k in range(length(rma.returns)):
            home = <Return*>nth(rma.returns, k)
            if home.sku == rma.expected.items[i].sku:
                came += received(home)
        if came < returns.expected_of(rma, rma.expected.items[i].sku, ANY_TIME):
            return False
    return True


cdef int64_t received(const Return* home) noexcept:
    cdef int64_t qty = 0
    cdef int i
    for i in range(length(home.scans)):
        if (<Scan*>nth(home.scans, i)).counts:
            qty += (<Scan*>nth(home.scans, i)).fact.qty
    return qty


cdef int forget_episodes(Floor floor, int64_t before) except -1:
    """Episodes of subjects that come once and are forgotten themselves. Those of the others have to be numbered on, and so have
    those that a late fact can still raise."""
    cdef int64_t late = floor.state.watermark - floor.rules.lateness
    cdef Table* table = floor.state.episodes
    cdef Keys keys = Keys(table.count)
    cdef Episode* episode
    cdef uint64_t i
    for i in range(table.capacity):
        episode = <Episode*>table.slots[i].value
        if (episode != NULL and episode.t < min(before, late)
                and is_over_episode(<int>(table.slots[i].key >> 32), episode.open)
                and not is_remembered(floor.state, floor.texts, <int32_t>table.slots[i].key)):
            floor.state.open_episodes[table.slots[i].key >> 32] -= episode.open
            keys.add(table.slots[i].key)
    return drop_all(floor, table, keys)
