"""What the engine knows of the floor: the data of every window, and nothing else.

Who points at whom:

    Order -> Line -> PickWindow -> Fact <- Cycle <- LoadUnit         Shipment -> ScopeLine -> Line
                                                ^                       ^
                                             CartonPlan (by carton) ----+

A Fact is one record that took effect (or one entry of a press for several). Windows are functions of their facts, sorted
by event time (R3): all can be decided again "as of" any. Times are microseconds; texts are numbers of the `Texts` table.
All of it lies in the region of `Store`: pointers first, then text numbers, then plain values. `State` is its root.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint64_t

from ext.json_writer cimport Digest
from ext.order_data cimport ArrivedList, AskedList, FormerTaskList
from ext.store cimport List, Numbers, Table
from ext.wheel cimport Wheel

cdef enum:
    B_STATE = 10
    B_FACT, B_NAME, B_MOVE, B_MOVED, B_LEDGER, B_REVISION, B_TIMER, B_WHEEL
    B_ORDER, B_LINE, B_WINDOW, B_LATE_PICKS, B_UNIT, B_CYCLE, B_PLAN, B_PLANNED, B_SCOPE_LINE, B_SHIPMENT, B_TOUCHES
    B_PENDING, B_DEPARTED, B_TRAILER, B_GAP, B_TRACK, B_LIFE, B_MULTIREAD, B_GLIMPSES, B_SIGHTING, B_WAITING, B_ARRIVED, B_SOURCE
    B_SEEN, B_PLACE, B_EXPECTATIONS, B_FINDING, B_STATEMENT, B_SHELF, B_UNIT_FINDING, B_SCAN, B_GRADED, B_RETURN
    B_RMA, B_RMA_LINES, B_SIGNAL, B_SUBJECTS, B_EPISODE, B_TROUBLE, B_CHANGED, B_DECIDED, B_ASKED
    B_FORMER_PLAN, B_FORMER_SCOPE, B_FORMER_HOME, B_FORMER_TASK


cdef enum Policy:
    SHIP_PARTIAL, HOLD, CANCEL_LINE, BACKORDER


cdef extern from *:
    """
    #ifndef SORTLINE_FACT
    #define SORTLINE_FACT
    struct sortline_PickWindow; struct sortline_Cycle; struct sortline_Move; struct sortline_Name;
    /* What no kind of record has together shares its place. */
    struct sortline_Fact {
        struct sortline_PickWindow *window;
        struct sortline_Cycle *cycle;
        struct sortline_Move *move;
        struct sortline_Name *name;
        int32_t src, task, order, sku, lu, carton, lot, loc, code, track;
        union { int32_t press, dest, trailer, target, sscc, rma; };
        union { int32_t dest_req, parent, tracking_no, seal, serial; };
        int64_t t, t_rx, epoch, seq, arrival;
        union { int64_t qty, weight_g; };
        int32_t sub, line;
        uint8_t kind, context, late, follows, only_seen, judged;
        uint16_t sights;
    };
    #endif
    """
    struct Fact "sortline_Fact":
        PickWindow* window
        Cycle* cycle
        Move* move              # of one end of a `pack.confirm` (R47)
        Name* name              # dev_id of an unnumbered record, else NULL
        int32_t src
        int32_t task
        int32_t order
        int32_t sku
        int32_t lu
        int32_t carton
        int32_t lot
        int32_t loc
        int32_t code            # also the result of a label
        int32_t track
        int32_t press           # of a pick
        int32_t dest            # of a divert or a signal
        int32_t trailer         # of a loading or a close
        int32_t target          # of a bind or release: the text "carton/C", "order/O" or "task/T"; 0: none. Of a plan: the shipment
        int32_t sscc            # of a label
        int32_t rma             # of a return
        int32_t dest_req        # of a divert
        int32_t parent          # of a bind: the pallet or cart that the unit is on
        int32_t tracking_no     # of a label
        int32_t seal            # of a trailer's close
        int32_t serial          # of a return
        int64_t t               # event time (R1)
        int64_t t_rx
        int64_t epoch
        int64_t seq             # ABSENT: the source does not number
        int64_t arrival         # the last tie-breaker of R3
        int64_t qty             # signed: a reversal is negative
        int64_t weight_g        # of a weighing
        int32_t sub
        int32_t line
        uint8_t kind
        uint8_t context
        uint8_t late            # R25: of a pick that came after the decision of a closing that it lies before; R29: that was
                                # told as a late one, and is taken anew; R45: of a label or weighing that was there before
                                # the use that it is of
        uint8_t follows         # R43: a pick or reversal names no unit, and goes where its task or the pick before it does; R21:
                                # a record set this for later; of a bind: a mark of what is forgotten (see forgotten_units)
        uint8_t only_seen       # nothing but sights keeps it
        uint8_t judged          # R60 to R64: what for, see unit_episodes.pxd
        uint16_t sights         # places that keep it as a sight (R63): of its Source, timers of a read


cdef struct Strangers:          # names that nobody knew when the state was full
    int64_t count               # half of them are forgotten a minute
    int64_t since               # t_rx at which this was done last


cdef struct Name "sortline_Name":
    char text[26]               # base32 of the digest


cdef struct Moved:              # pieces of one line, SKU and lot
    Line* line
    int32_t sku, lot
    int64_t qty


cdef struct MovedList:
    int32_t count, capacity
    Moved items[1]


cdef struct Move "sortline_Move":
    # One end of a `pack.confirm` (R47): what left a unit, or what came into another.
    Fact* other                 # the other end
    MovedList* moved
    PickWindow* window          # of the task that it names, else
    Line* line                  # the line; kept, for they may be forgotten before the unit is
    uint8_t out                 # it left here
    uint8_t all_of_it           # without `sku`: everything in `from_lu`
    uint8_t emptied             # nothing is left there, and what was moved up to here is worked out


cdef struct Watch:
    # Section 10: how long a thing has stood in one state (see stuck).
    int64_t stuck_at            # event time of the report; below 0: it is not stuck, and this is minus the time of its timer,
                                # the last one that was set; 0: it has none


cdef struct Order:
    List* lines                 # Line
    List* cutoffs               # Fact, of each wave that it is in
    Fact* cancelled_by          # R27: the whole of it, with the lines that are not known yet
    Fact* youngest              # told of it
    Line* slowest               # the line that had stood longest when it was looked at last
    int32_t id
    int32_t spare
    int64_t t                   # event time of what was last told of it
    Watch watch


cdef struct Line:
    # An order line, known from its order, from a task or from a shipment's scope.
    Order* of
    List* windows               # PickWindow
    List* scopes                # ScopeLine of every shipment that plans it
    List* packed                # ends of moves that brought pieces of it out of a unit that had none (R47)
    PickWindow* own             # the window of a line without tasks (R20)
    const Changed* changed      # to be written by `Floor.changing` alone
    int32_t order
    int32_t sku
    int32_t number
    int32_t need                # where it stands among the needs of the shipment that is being judged
    uint8_t policy
    int64_t qty
    int64_t over_tol_pct
    int64_t known_t             # event time of the first word of its order on it; NEVER: there was none


cdef struct Changed:
    # What few lines have: a cancel, pieces that could not be allocated, other words of their order. All others share
    # `State.nothing_changed`, for a million of them wait; likewise the Trouble of a window, the Decided of a carton.
    Fact* cancelled_by
    Fact* alloc_by              # R23
    Ledger* alloc_ledger        # of shorts under the line's own key: R23's, and those of its own window
    AskedList* before           # its revisions changed; NULL: what it says now it has always said
    List* former                # FormerScope of every shipment that planned it once (see plan_data)
    List* words                 # context Facts that changed what is asked for of it, as they came (see hindsight)
    int64_t cancel_t            # NEVER: not cancelled
    int64_t alloc_t             # event time of the first alloc.failed; NEVER: there is none


cdef struct PickWindow "sortline_PickWindow":
    Line* line
    List* facts                 # picks and reversals that count, sorted
    List* closings              # shorts, carton closes, deadlines, cutoffs, sorted (R21 b, c, d); and notes (R27a, see outcomes)
    Fact* deadline
    Ledger* confirmed
    Numbers* presses            # R30
    const Trouble* trouble      # to be written by `Floor.troubled` alone
    int32_t task                # 0: the line's own window
    int32_t sku
    int32_t loc
    int32_t lu
    int64_t q_task
    int64_t q_sum               # of `facts`, whenever they happened
    int64_t planned_t           # of its pick.task; NEVER: it has none
    int64_t told_q              # of the last pick.confirmed
    int64_t told_t
    uint8_t reversed            # a reversal is among `facts`
    uint8_t stall_watched


cdef struct Trouble "sortline_Trouble":
    # What few pick windows have; all others share `State.no_trouble`.
    List* other_sku             # picks and reversals of another SKU, sorted (R31)
    Fact* cancelled_by
    Fact* closed_by             # the b, c or d that was told: what comes late leaves its t_close (R25)
    Fact* deferred_cause        # R11: it is told when all that came with its context is in
    Ledger* short_told
    FormerTaskList* former      # R43, R70: its revisions named others; NULL: what it says now it has always said
    void* finding               # R70: the Finding (see premises_data) of what its short says of the stock
    int64_t cancel_t            # NEVER: not cancelled (R21 e)
    int64_t forced              # closings up to here are decided by the wall clock's bound, not by the watermark (R4)
    int64_t held_t              # R7: which closing waits for a gap,
    int64_t gap_over_t          # and until when by the wall clock, if no gap closes before
    uint64_t alarms             # bit a Code
    uint8_t gap_held            # R7: its deadline's short waits for a gap
    uint8_t deferred
    uint8_t buried              # R46: one of this key had gone before its time when this one was told


cdef struct LoadUnit:
    List* facts                 # all of it, sorted
    List* cycles                # sorted by begin
    List* destined              # PickWindow of the tasks that go into this unit
    List* riders                # R48: LoadUnits that were ever bound to this one
    List* refused               # section 10: moves of a voided carton, sorted; they are none of `facts`
    int32_t lu
    int32_t met                 # cycles met so far: numbers never change (R40)
    int64_t youngest_t          # none of `facts` has a greater event time
    uint8_t rides               # R48: it was bound to a parent
    uint8_t ever_lost           # R64: whether its sights matter
    uint8_t ever_voided         # section 10: whether its moves have to be judged
    uint8_t numbered            # a carton was told as lu#cycle: its numbers are never given out again


cdef struct Cycle "sortline_Cycle":
    # One use of a load unit: a carton, from open to release.
    LoadUnit* unit
    List* facts                 # of the unit, from begin to end, sorted
    Fact* anchor                # the fact that began it
    CartonPlan* plan
    Fact* youngest              # told of it, or of its shipment's end
    const Decided* decided      # to be written by `Floor.deciding` alone
    int32_t target              # of its bind, 0: none
    int32_t carton              # 0: none
    int32_t key                 # fixed by the first event (R40a), as a text; 0: no event yet
    int32_t number
    int64_t begin
    int64_t end                 # NEVER: it runs
    int64_t round               # `State.round` in which it was last looked at
    uint8_t rebound             # ended by a bind to something else
    uint8_t any_close
    uint8_t packs               # R47: goods were moved into it or out of it
    uint8_t mismatched          # R45: it stands in `State.mismatched`
    uint8_t merged              # it turned out to be a part of an earlier cycle, which has its facts now
    uint8_t renamed             # picks in it may have been told with another carton, or none (R31)
    Watch watch


cdef struct Decided:
    # What was decided and told of a carton; all that were not closed yet share `State.nothing_decided`.
    Fact* close                 # told by the last carton.closed
    Ledger* closed
    Ledger* reopened
    Ledger* voided
    int32_t shipment            # told by the last carton.closed, 0: none
    int32_t spare
    int64_t forced              # decided by a bound up to here
    int64_t until               # closes and reopenings up to here are decided, whenever they come; ABSENT: none is
    uint64_t alarms


cdef struct Planned:
    Line* line
    int64_t qty


cdef struct PlannedList:
    int32_t count, capacity
    Planned items[1]


cdef struct CartonPlan:
    Shipment* shipment
    PlannedList* contents
    List* cycles                # of load units that carried this carton
    List* releases              # hold.released, sorted
    List* former                # FormerHome, by event time
    Fact* fact
    Fact* youngest              # told of it
    int32_t carton
    int32_t spare
    int64_t weight_g            # ABSENT: not planned
    int64_t tol_g               # likewise
    int64_t t                   # event time since which it is planned so
    uint8_t has_contents        # they were given, maybe as an empty list
    uint8_t withdrawn           # planned again without contents (R50a)
    Watch watch


cdef struct ScopeLine:
    Line* line
    Shipment* shipment
    int64_t qty


cdef struct Touch:
    Fact* cause
    int64_t t


cdef struct TouchList:
    int32_t count, capacity
    Touch items[1]


cdef struct Bytes:
    int32_t length
    int32_t spare
    char text[8]


cdef struct Pending:            # a truth that waits for its hold
    Fact* cause
    Bytes* data
    int64_t t


cdef struct PendingList:
    int32_t count, capacity
    Pending items[1]


cdef struct Departed:           # a carton that left the house, and the fact that ended its cycle (R40)
    Cycle* cycle
    Fact* by


cdef struct DepartedList:
    int32_t count, capacity
    Departed items[1]


cdef struct Shipment:
    List* scope                 # ScopeLine
    List* plans                 # CartonPlan planned to it, now or once
    List* former                # FormerPlan, by event time
    Fact* result                # manifest.result of the highest revision
    Bytes* result_record        # its line
    List* trailer_closes        # trailer.closed Facts that found a carton of it inside, sorted
    DepartedList* gone
    TouchList* touches          # what concerns it, by event time
    PendingList* pending
    Fact* cancelled_by          # shipment.cancelled
    Fact* youngest              # told of it
    Fact* ready_cause           # what made it ready when that was told last
    Ledger* ready
    Ledger* unready
    Ledger* manifested
    Ledger* voided
    Numbers* lanes
    int32_t id
    int32_t carrier
    int64_t plan_rev            # 0: only named so far
    int64_t planned_t           # event time of the plan in force
    int64_t cutoff
    int64_t cancel_t
    int64_t manifest_t          # NEVER: not manifested
    Digest true_data            # what was true at the last evaluation
    Digest shipped_data         # what was true just before the manifest
    int64_t evaluated           # as of when it was last evaluated
    int64_t ready_at            # event time of the last shipment.ready
    int64_t unready_at          # and shipment.unready
    int64_t turned              # when `true_now` changed last
    int64_t held_truth          # R7: which truth waits for a gap
    int64_t held_from           # since when, by the wall clock,
    int64_t held_until          # and until when, if no gap closes before
    uint64_t alarms
    uint8_t stage_required
    uint8_t true_now
    uint8_t shipped_true        # it was true just before the manifest
    uint8_t told_ready          # by the last event under its key
    uint8_t was_told_ready      # when the manifest came
    uint8_t bound_watched       # a timer of the wall clock's bound is running
    uint8_t held                # it stands in `State.held`
    uint8_t early_load_told     # a load before its last shipment.ready was raised, and that has cleared it (R55)
    uint8_t stays               # the sweep: it is not over, or shares a line with one that is not
    int32_t unfilled            # of the scope: which line to ask first whether it lacks something
    Watch watch


cdef struct Trailer:
    List* loads                 # load.scanned, sorted
    List* closes                # trailer.closed, sorted
    int32_t id


cdef struct Waiting:
    # A record whose task or order is unknown (R11), or that waits for what happened before it (R20).
    Fact* fact
    List* entries               # Fact: one a press, several with `alloc`
    int32_t key                 # the task or the order
    uint8_t is_task
    uint8_t over                # took effect, or is dead


cdef struct State:
    # The root of all that is kept.
    Wheel* by_watermark
    Wheel* by_wall
    Table* tasks                # task -> PickWindow
    Table* orders               # order -> Order
    Table* lines                # order << 32 | number -> Line
    Table* units                # lu -> LoadUnit
    Table* cartons              # carton -> CartonPlan
    Table* shipments            # shipment -> Shipment
    Table* trailers             # trailer -> Trailer
    Table* sources              # src -> Source
    Table* tracks               # src << 32 | track -> Track
    Table* sightings            # two generations of lu -> its first Sighting (R63)
    Table* older_sightings
    Table* shelves              # loc -> Shelf
    Table* places               # loc << 32 | sku -> the Place of the lot that came last; those of the others behind it
    Table* unit_findings        # loc << 32 | lu -> UnitFinding
    Table* told_before          # a carton's key -> List of Cycles that told under it and are that carton no more (R81)
    Table* late_picks           # the key of a POST_SHIP discrepancy -> LatePicks (R29)
    Table* ssccs                # sscc -> the label.verified of its last use (R46)
    Table* returns              # key -> Return
    Table* rmas                 # rma -> Rma
    Table* serials              # sku, or lu with the high bit, << 32 | serial -> List of Scan, sorted (R72)
    Table* signals              # code << 32 | subject -> the last Signal of it (R65)
    Table* signalled            # code << 32 | src -> Subjects
    Table* episodes             # code << 32 | subject -> Episode
    Table* waiting_tasks        # task -> List of Waiting (R11)
    Table* waiting_orders       # order -> List of Waiting
    Table* equal                # digest of an unnumbered, untimed record -> how many came at `equal_at`
    Table* tombstones           # hash of the key of a window that went early -> its t_close (R46)
    Table* revisions[12]        # by family of objects (R10): key -> Revision
    List* live[2]               # Source, in two orders (see presence)
    List* held                  # PickWindow and Shipment that wait for a gap to close (R7)
    List* mismatched            # Cycles whose contents are not what was planned (R45), in order of their finding
    List* deferred              # PickWindow that are told when all that waited for their context is in (R11)
    ArrivedList* arrived
    Trouble* no_trouble
    Changed* nothing_changed
    Decided* nothing_decided
    int32_t site                # the text: whose state it is
    # words of the contract that rules ask for
    int32_t ok
    int32_t noread
    int32_t mismatch
    int32_t empty
    int32_t insufficient
    int32_t not_found
    int32_t spare
    int64_t watermark
    int64_t wall
    int64_t arrivals
    int64_t greatest            # event time of all
    int64_t next_sweep          # event time at which what is over leaves
    int64_t equal_at
    int64_t sightings_until     # the watermark at which the younger generation becomes the older
    int64_t gaps                # open ones, of all sources
    int64_t round               # counts collections of cycles (see shipment_cartons)
    int64_t sequence            # of the last event
    # of the account (R82)
    int64_t count_in
    int64_t count_taken         # used or open
    int64_t count_duplicate
    int64_t count_late
    int64_t count_rejected
    int64_t count_noise
    int64_t count_waiting       # for their context (R11), or for the watermark (R20)
    int64_t open_tracks         # records that wait for an identification (R60)
    int64_t open_episodes[64]   # by code
    Strangers strangers         # new sources
    # Of `state_bytes_max`: functions of the records, however these are grouped, so that a replay refuses what the run did.
    uint64_t names_bytes        # of the texts that windows named at the last collection, and of all said since then
    uint64_t collect_at         # bytes of windows at which it is worth looking for what nothing points to
    uint64_t relieve_at         # bytes of windows and names at which it is looked for what can go
    int64_t remembers           # event time up to which what is over was forgotten last, or at which all began
    uint8_t full                # names that nobody knows are refused (`state_bytes_max`)
    uint8_t gaps_changed        # one is filled, shorter, or sure now (R6): what is held is to be asked again (R7)
    uint8_t deferring           # context is being taken


cdef struct Ledger:
    # What left under one business key: its id, the last revision, what it said.
    int32_t partitionkey        # fixed by revision 0
    int32_t revision            # of the last event; -1: none left yet
    Digest said                 # of the last event's data and time
    char id[26]                 # base32 of the key's hash
    uint8_t type
