"""Record kinds as small integers. The order is that of `NAMES` in kinds.pyx; a test holds the two together.

Groups lie in runs, so that "is it noise?" or "is it context?" is one comparison on the hot path.
"""

cdef enum Kind:
    K_UNKNOWN = 0
    # noise: metrics only, never forwarded
    K_PHOTO_EYE
    K_MOTOR_STATE
    K_ZONE_STATE
    K_MACHINE_STATE
    K_TELEMETRY
    # about the source itself
    K_CLOCK_TICK
    K_LINK_UP
    K_LINK_DOWN
    K_SOURCE_GAP
    # identification
    K_SCAN_READ
    K_SCAN_NOREAD
    K_SCAN_MULTIREAD
    K_IDENT_ASSIGNED
    # conveyor, sorter
    K_ITEM_INDUCTED
    K_ROUTE_ASSIGNED
    K_DIVERT_CONFIRMED
    K_DIVERT_FAILED
    K_ITEM_RECIRCULATED
    K_ITEM_LOST
    K_ITEM_STRAY
    K_ITEM_ARRIVED
    K_WEIGH
    K_LANE_FULL
    K_JAM
    K_FAULT
    K_ESTOP
    # AS/RS
    K_STORE_CONFIRMED
    K_RETRIEVE_CONFIRMED
    K_ASRS_EXCEPTION
    # pick station
    K_PICK_CONFIRM
    K_PICK_SHORT
    K_PICK_REVERSE
    K_COUNT_REPORTED
    # pack
    K_PACK_CONFIRM
    K_CARTON_OPEN
    K_CARTON_CLOSE
    K_CARTON_REOPEN
    K_CARTON_VOID
    K_LABEL_VERIFIED
    # ship
    K_LOAD_SCANNED
    K_LOAD_REMOVED
    K_TRAILER_CLOSED
    # returns
    K_RETURN_SCANNED
    K_RETURN_GRADED
    # context
    K_ORDER_RELEASED
    K_ORDER_CHANGED
    K_ORDER_CANCELLED
    K_WAVE_RELEASED
    K_PICK_TASK
    K_PICK_TASK_CANCELLED
    K_ALLOC_FAILED
    K_CARTON_PLAN
    K_SHIPMENT_PLAN
    K_SHIPMENT_CANCELLED
    K_LU_BIND
    K_LU_RELEASE
    K_HOLD_RELEASED
    K_RMA_AUTHORISED
    K_STOCK_EXPECTATION
    K_MANIFEST_RESULT
    K_COUNT   # how many there are


cdef inline bint is_noise(int kind) noexcept nogil:
    return K_PHOTO_EYE <= kind <= K_TELEMETRY


cdef inline bint is_device(int kind) noexcept nogil:
    """A fact that a machine reported: brings its source in, moves its watermark (R2)."""
    return K_SCAN_READ <= kind <= K_RETURN_GRADED


cdef inline bint is_context(int kind) noexcept nogil:
    return K_ORDER_RELEASED <= kind <= K_MANIFEST_RESULT
