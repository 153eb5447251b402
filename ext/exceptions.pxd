"""The codes of exceptions (section 11 of the rules), one number each; what each means stands in exceptions.pyx.

A code below 63 is also a bit (see WATCHED in pick_alarms): a window, a carton or a shipment remembers in `alarms` which ones it has raised, so that
"does anything have to be cleared?" costs nothing where nothing is wrong.
"""

from libc.stdint cimport int64_t, uint8_t

cdef struct Episode:
    int64_t number              # episodes so far, this one included
    int64_t t                   # of its last sight, or of its end
    int64_t count               # of its sights
    uint8_t open


cdef enum:
    SRC_DOWN
    SEQ_GAP
    TIME_SKEW
    TIME_TOO_LATE
    CTX_MISSING
    CTX_CONFLICT
    CTX_OUTDATED
    CTX_AFTER_CANCEL
    CTX_CANCEL_TOO_LATE
    PCK_STALLED
    PCK_OVER
    PCK_AFTER_CANCEL
    PCK_PUTBACK_REQUIRED
    PCK_WRONG_SKU
    PCK_LATE_AFTER_SHIP
    PKG_EMPTY
    PKG_DOUBLE_CLOSE
    PKG_TOTE_REBOUND_OPEN
    PKG_CONTENT_MISMATCH
    PKG_WEIGHT_MISMATCH
    PKG_LABEL_NOREAD
    PKG_LABEL_MISMATCH
    ID_SSCC_REUSE
    SHP_HELD_SHORT
    SHP_EMPTY
    SHP_LOAD_BEFORE_READY
    SHP_POST_MANIFEST_CHANGE
    SHP_PARTIAL_LOAD
    SHP_WRONG_TRAILER
    RTE_MAX_RECIRC
    RTE_WRONG_DEST
    RTE_LOST
    ID_UNRESOLVED
    ID_MULTI
    RTE_LANE_FULL
    DEV_JAM
    DEV_FAULT
    DEV_ESTOP
    ASR_SOURCE_EMPTY
    ASR_DEST_OCCUPIED
    ASR_LU_MISMATCH
    ASR_UNREACHABLE
    ASR_PICKUP
    ASR_DROPOFF
    ASR_OTHER
    RTN_UNEXPECTED
    RTN_OVER
    RTN_DUP_SERIAL
    CFG_STATE_FULL
    PCK_STUCK
    PKG_STUCK
    SHP_STUCK
    PKG_AFTER_VOID
    SRC_RATE
    CODES           # how many there are


cdef enum:
    # How an episode lives.
    ONCE = 1            # its subject does not come again, as places, devices, units and serials do: over, it is forgotten
    DROPPED = 2         # also while it is open, for nothing is still to clear it
    LATE = 4            # what ends it comes late, and is from before: it is cleared no earlier than it was last seen
    COUNTED = 8         # R65: its end says how often it was told


cdef list NAMES         # of the codes, by number
cdef list SEVERITIES
cdef bint lives(int code, int how) noexcept
cdef bint is_over(int code, bint open) noexcept
