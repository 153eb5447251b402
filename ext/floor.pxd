"""What the engine knows of the floor: the data of every window, and nothing else.

Who points at whom:

    Order -> Line -> PickWindow -> Fact <- Cycle <- LoadUnit         Shipment -> ScopeLine -> Line
                                                ^                       ^
                                             CartonPlan (by carton) ----+

A Fact is one record that took effect (or one entry of a press for several tasks). Windows hold their facts sorted by
event time (R3) and are functions of them: every decision can be made again "as of" any event time, which is what makes
the last revision independent of the order of arrival. Times are microseconds; texts are numbers of the `Texts` table.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t

from ext.outlet cimport Ledger, Outlet
from ext.texts cimport Texts
from ext.timers cimport Timers


cdef class Rules:
    """RULES parameters, durations in microseconds. The names are those of the site file, less their unit."""
    cdef int64_t ctx_wait
    cdef int64_t close_hold
    cdef int64_t ready_hold
    cdef int64_t hold_wall_max
    cdef int64_t lateness
    cdef int64_t retention
    cdef int64_t pick_stall
    cdef int64_t ident_wait
    cdef int64_t expectation_ttl
    cdef int64_t loops_max
    cdef bint short_on_close
    cdef bint short_at_cutoff
    cdef bint emit_partial_load # R54: `partial_load = "emit"`
    cdef set closing_points     # names of the read points that stand for a close (R42)


cdef class Fact:
    cdef int64_t t              # event time (R1)
    cdef int64_t t_rx
    cdef int64_t epoch
    cdef int64_t seq            # ABSENT: the source does not number
    cdef int64_t qty            # signed: a reversal is negative
    cdef int64_t weight_g
    cdef int64_t arrival        # the last tie-breaker of R3
    cdef int32_t src
    cdef int32_t sub
    cdef int32_t task
    cdef int32_t order
    cdef int32_t line
    cdef int32_t sku
    cdef int32_t lu
    cdef int32_t carton
    cdef int32_t track
    cdef int32_t lot
    cdef int32_t loc
    cdef int32_t dest
    cdef int32_t dest_req
    cdef int32_t code
    cdef int32_t press
    cdef int32_t trailer        # of a loading
    cdef int32_t parent         # of a bind: the pallet or cart that the unit is on
    cdef int32_t target         # of a bind or release: number of "carton/C", "order/O" or "task/T"; 0: none
    cdef uint8_t kind
    cdef bint context
    cdef str name               # dev_id of an unnumbered record, else None
    cdef dict record            # the whole record, of kinds whose rare fields a rule needs (labels); else None
    cdef PickWindow window
    cdef Cycle cycle


cdef class Packing(Fact):
    """One end of a `pack.confirm` (R47): what left a unit, or what came into another."""
    cdef bint out               # it left here
    cdef Packing other          # the other end
    cdef bint all_of_it         # without `sku`: everything in `from_lu`
    cdef dict moved             # (Line, sku, lot) -> pieces


cdef class Line:
    """An order line, known from its order, from a task or from a shipment's scope."""
    cdef int32_t order
    cdef int32_t number
    cdef int32_t sku
    cdef bint known             # its order told it
    cdef int64_t qty
    cdef int64_t over_tol_pct
    cdef str policy
    cdef int64_t cancel_t       # NEVER: not cancelled
    cdef Fact cancelled_by
    cdef list windows           # PickWindow
    cdef PickWindow own         # the window of a line without tasks (R20)
    cdef int64_t alloc_short    # R23
    cdef int64_t alloc_t
    cdef Fact alloc_by
    cdef Ledger alloc_ledger    # of shorts under the line's own key: R23's, and those of its own window
    cdef list scopes            # ScopeLine of every shipment that plans it


cdef class PickWindow:
    cdef str key                # task, else order/line
    cdef int32_t task           # 0: the line's own window
    cdef int32_t sku
    cdef int32_t loc
    cdef int32_t lu
    cdef Line line
    cdef int64_t q_task
    cdef list facts             # picks and reversals that count, sorted
    cdef list closings          # what may close it but its quantity: shorts, deadline, carton closes, sorted (R21 b c d)
    cdef int64_t cancel_t       # NEVER: not cancelled (R21 e)
    cdef Fact cancelled_by
    cdef Fact planned_by        # the pick.task
    cdef Fact deadline
    cdef Fact decided           # the b, c or d that was told: what comes late leaves its t_close (R25)
    cdef int64_t told_q         # of the last pick.confirmed
    cdef int64_t told_t
    cdef Ledger confirmed
    cdef Ledger short
    cdef int64_t forced         # closings up to here are decided by a bound of the wall clock, not by the watermark
    cdef set presses            # R30
    cdef bint stall_watched
    cdef bint gap_held          # R7: its deadline's short waits for a gap
    cdef int64_t held_t         # which closing waits
    cdef int64_t gap_over_t     # the closing that has waited long enough


cdef class LatePicks:
    """What was picked of a task at a place after its shipment had left (R29)."""
    cdef int64_t qty
    cdef Ledger ledger


cdef class LoadUnit:
    cdef int32_t lu
    cdef list facts             # all of it, sorted
    cdef list cycles            # sorted by begin
    cdef int64_t met            # cycles met so far: numbers never change (R40)
    cdef list destined          # PickWindow of the tasks that go into this unit
    cdef bint rides             # R48: it was bound to a parent
    cdef list riders            # R48: LoadUnits that were ever bound to this one
    cdef bint ever_lost         # R64: whether its sights matter


cdef class Cycle:
    """One use of a load unit: a carton, from open to release."""
    cdef LoadUnit unit
    cdef int64_t number
    cdef int64_t begin
    cdef int64_t end            # NEVER: it runs
    cdef int32_t target         # of its bind, 0: none
    cdef int32_t carton         # 0: none
    cdef list facts             # of the unit, from begin to end, sorted
    cdef Fact anchor            # the fact that began it
    cdef bint rebound           # ended by a bind to something else
    cdef str key                # fixed by the first event (R40a); None: no event yet
    cdef Ledger closed
    cdef Ledger reopened
    cdef Ledger voided
    cdef Py_ssize_t decided     # closes and reopenings that were decided
    cdef bint any_close
    cdef bint packs             # R47: goods were moved into it or out of it
    cdef int64_t forced         # decided by a bound up to here
    cdef CartonPlan plan


cdef class CartonPlan:
    cdef int32_t carton
    cdef int64_t rev
    cdef Shipment shipment
    cdef list contents          # (Line, qty) or None: not given
    cdef int64_t weight_g       # ABSENT
    cdef int64_t tol_g          # ABSENT
    cdef bint withdrawn         # planned again without contents (R50a)
    cdef int64_t t              # event time of the plan in force
    cdef Fact released_by       # hold.released
    cdef list cycles            # of load units that carried this carton
    cdef Fact fact


cdef class ScopeLine:
    cdef Line line
    cdef Shipment shipment
    cdef int64_t qty


cdef class Shipment:
    cdef int32_t id
    cdef str key
    cdef str partition          # partition key, the shipment
    cdef int64_t plan_rev       # 0: only named so far
    cdef int64_t plan_t
    cdef list scope             # ScopeLine
    cdef bint stage_required
    cdef set lanes
    cdef int64_t cutoff
    cdef str carrier
    cdef dict plans             # carton number -> CartonPlan planned to it
    cdef int64_t cancel_t
    cdef int64_t manifest_t     # NEVER: not manifested
    cdef Fact result            # manifest.result of the highest revision
    cdef dict result_record
    cdef list trailer_closes    # trailer.closed Facts that found a carton of it inside, sorted
    cdef dict gone              # Cycle -> the Fact that ended it: it left the house (R40)
    cdef dict shipped_data      # what was true just before the manifest
    cdef list touches           # (event time, Fact) of what concerns it, sorted
    cdef int64_t evaluated      # as of when it was last evaluated
    cdef bint true_now
    cdef dict true_data         # what was true at the last evaluation
    cdef list pending           # (event time, data, cause) of truths that wait for their hold
    cdef bint stands            # the last event under its key said ready
    cdef bint stood             # it did when the manifest came
    cdef Fact cancelled_by      # shipment.cancelled
    cdef int64_t unready_at     # event time of the last shipment.unready
    cdef Ledger ready
    cdef Ledger unready
    cdef Ledger manifested
    cdef Ledger voided
    cdef int64_t held_since     # R7: which truth waits for a gap
    cdef bint bound_watched     # a timer of the wall clock's bound is running


cdef class Trailer:
    cdef int32_t id
    cdef list loads             # load.scanned, sorted
    cdef list closes            # trailer.closed, sorted


cdef class Gap:
    """A stretch that a source did not tell of (R6)."""
    cdef int32_t src
    cdef int64_t t_from
    cdef int64_t t_to           # NEVER: the link is still down
    cdef int64_t low            # missing numbers, -1: none known
    cdef int64_t high
    cdef int64_t missing
    cdef int64_t hold           # how long a conclusion waits for it
    cdef int64_t epoch          # of its numbers
    cdef bint closed


cdef class TrackLife:
    """One item's time on a machine (R60)."""
    cdef int64_t begin
    cdef bint inducted
    cdef int32_t lu             # 0: not identified
    cdef list waiting           # facts that wait for the lu
    cdef int64_t loops


cdef class Floor:
    cdef Texts texts
    cdef Rules rules
    cdef Outlet outlet
    cdef Timers by_watermark    # event time: due passes when the watermark becomes greater
    cdef Timers by_wall         # wall clock: due at >=
    cdef int64_t watermark
    cdef int64_t wall
    cdef int64_t arrivals
    cdef dict tasks             # task -> PickWindow
    cdef dict lines             # order << 32 | line -> Line
    cdef dict orders            # order -> its Lines
    cdef dict units             # lu -> LoadUnit
    cdef dict cartons           # carton -> CartonPlan
    cdef dict shipments         # shipment -> Shipment
    cdef dict trailers          # trailer -> Trailer
    cdef dict ssccs             # sscc -> the label.verified of its last use, oldest first (R46)
    cdef dict mismatched        # Cycles whose contents are not what was planned (R45), in order of their finding
    cdef dict late_picks        # key of a POST_SHIP discrepancy -> LatePicks (R29)
    cdef dict cutoffs           # order -> the Fact of its wave, at the wave's cutoff
    cdef dict tracks            # (src, epoch, track) -> its TrackLives, sorted by begin
    cdef int64_t open_tracks    # records that wait for an identification (R60)
    cdef dict gaps              # src -> its open Gaps
    cdef set pick_sources       # src that ever sent a pick kind
    cdef list held              # PickWindow and Shipment that wait for a gap to close (R7)
    cdef bint gap_closed        # one has: ask the held again
    cdef dict places            # (loc, sku, lot) -> inventory.Place
    cdef dict shelves           # loc -> inventory.Shelf: its places, and when it was found empty
    cdef dict short_findings    # PickWindow -> the inventory.Finding of its short (R70)
    cdef dict unit_findings     # loc/lu -> inventory.UnitFinding
    cdef dict returns           # key -> returns.Return
    cdef dict rmas              # rma -> returns.Rma
    cdef dict serials           # (sku or lu, serial) -> the scans that named it, sorted (R72)
    cdef dict signals           # (code, subject) -> the last equipment.Signal of it (R65)
    cdef dict signalled         # (code, src) -> the subjects that it ever set
    cdef dict areas             # src -> number of its site/area
    cdef list sightings         # two generations of (area << 32 | lu) -> sights.Sighting (R63)
    cdef int64_t sightings_until    # the watermark at which the younger one becomes the older
    cdef set unread             # src whose last scan of several codes told nothing (R63)
    cdef bint deferring         # context is being taken: windows are told when all that waited for it is in
    cdef dict deferred          # PickWindow -> the Fact that asked for it to be told
    cdef list arrived           # tasks and orders that became known: what waits for them takes effect (R11)

    cdef str text(self, int32_t number)
    cdef str dev_id(self, Fact fact)
    cdef Line line_of(self, int32_t order, int32_t number)
    cdef LoadUnit unit_of(self, int32_t lu)
    cdef CartonPlan carton_of(self, int32_t carton)
    cdef Shipment shipment_of(self, int32_t shipment)
    cdef Trailer trailer_of(self, int32_t trailer)


cdef int name_alike(Fact made, Fact fact) except -1
cdef bint precedes(Fact a, Fact b, Texts texts)
cdef Py_ssize_t insert_sorted(list facts, Fact fact, Texts texts) except -1
