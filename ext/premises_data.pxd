"""What is known of the premises: stock, returns, equipment.

As in state.pxd: pointers first, then text numbers, then plain values.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t

from ext.state cimport Fact, Ledger, PickWindow
from ext.store cimport List, Numbers


cdef struct LatePicks:
    # What was picked of a task at a place after its shipment had left (R29).
    Ledger* ledger
    List* picks                 # Fact, sorted
    Fact* youngest              # the last of them, or the last that was one (R30)


cdef struct Expectation:
    int64_t rev
    int64_t as_of
    int64_t qty


cdef struct ExpectationList:
    int32_t count
    int32_t capacity
    Expectation items[1]


cdef struct Finding:
    # A count, an operator's short or an empty shelf (R66, R70, R71).
    Place* place
    Fact* fact
    PickWindow* window          # of a short, until that is forgotten
    int32_t order               # of a short
    int32_t spare
    int64_t qty                 # counted, or short; ABSENT: the short no longer stands
    uint8_t found
    uint8_t decided
    uint8_t forced              # by the wall clock's bound


cdef struct Statement:
    # What one finding says of its place.
    Finding* finding
    int64_t expected
    int64_t actual              # ABSENT: left out
    int64_t as_of
    uint8_t is_count            # COUNT_DIFF, else SHORT_AT_LOC
    uint8_t wrong               # the books and the place differ


cdef struct Place:
    # Stock at a location: loc/sku/lot.
    List* picks                 # Fact, sorted; a reversal puts back
    List* findings              # Finding, sorted by its fact
    ExpectationList* expectations
    Statement* before           # what stood when older findings were forgotten
    Ledger* ledger              # NULL: never wrong so far
    Fact* cause                 # what came late
    Place* other_lot            # of the same `loc` and `sku`
    int32_t loc
    int32_t sku
    int32_t lot
    int32_t prune_at            # picks
    int64_t last_t              # the greatest event time of anything here
    int64_t picked_t            # and of a pick


cdef struct Shelf:
    # A location of the AS/RS or the floor, whatever lies there.
    List* places                # Place
    List* empties               # Fact: the crane found nothing (R66), sorted
    int32_t loc


cdef struct UnitFinding:
    # What the crane said last of a load unit at a location (R66).
    Fact* fact
    Ledger* ledger


cdef struct Scan:
    Fact* fact
    Return* home
    uint8_t counts


cdef struct Graded:
    # The total of one grade and disposition.
    Ledger* ledger
    Fact* youngest
    int32_t grade
    int32_t disposition
    int64_t qty


cdef struct Return:
    # Business key: rma/sku, rma/lu, or unexpected/dev_id.
    Rma* rma                    # NULL: without one
    List* scans                 # Scan
    List* graded                # Graded
    Ledger* ledger
    int32_t key
    int32_t sku                 # 0: only its load unit is named
    int64_t last_t


cdef struct RmaLine:
    int32_t sku                 # 0: what every revision has
    int32_t spare
    int64_t qty
    int64_t t                   # of its revision
    int64_t number              # of that, in the order of arrival


cdef struct RmaLines:
    int32_t count
    int32_t capacity
    RmaLine items[1]


cdef struct Rma:
    RmaLines* expected          # by the revisions that count, or did at a moment that is still to be judged
    List* returns               # Return
    int32_t id
    uint8_t known               # authorised; else only named by a scan
    int64_t authorised_t        # event time since which it is


cdef struct Signal:
    # A set or clear of equipment (R65, R66).
    Fact* fact
    int32_t subject             # 0: of a crane's success, which speaks of its place, its unit and the crane
    int32_t device              # the subject of the whole device
    uint16_t code
    uint8_t on                  # set, or clear
    uint8_t whole               # a clear that names neither `code` nor `dest`: everything of this device
    uint8_t done


cdef struct Subjects:
    # What a device has set, by code.
    Numbers* subjects           # since all of it was cleared
    Numbers* deep               # that have a `dest` and a `code`: what a clear that names one of them may mean
