"""Every exception that the core knows: severity, subject, and the fact that ends an episode of it.

Episodes are numbered per (code, subject) from 1, raised once and cleared once. "an operator" ends what no record can.
"""

from libc.stdint cimport uint8_t

TABLE = (
    # code, severity, subject, cleared by, how an episode lives
    ("SRC_DOWN", "error", "the source", "link.up, or its first live record", 0),
    ("SEQ_GAP", "warning", "the source", "the last of the missing numbers", LATE),
    ("TIME_SKEW", "warning", "the source", "a hundred records in a row inside the bound (R1)", 0),
    ("TIME_TOO_LATE", "warning", "the source", "an operator", 0),
    ("CTX_MISSING", "warning", "the task or order", "its context (R11)", ONCE | DROPPED | LATE),
    ("CTX_CONFLICT", "error", "the object", "an operator", LATE),
    ("CTX_OUTDATED", "info", "the object", "an operator", LATE),
    ("CTX_AFTER_CANCEL", "warning", "the object", "an operator", LATE),
    ("CTX_CANCEL_TOO_LATE", "error", "the task or line", "an operator", ONCE | DROPPED | LATE),
    ("PCK_STALLED", "info", "the task or line", "its next pick, or its end (R22)", ONCE | LATE),
    ("PCK_OVER", "warning", "the task or line", "a quantity that covers it, or a reversal (R24)", ONCE | LATE),
    ("PCK_AFTER_CANCEL", "warning", "the task or line", "an operator", ONCE | DROPPED | LATE),
    ("PCK_PUTBACK_REQUIRED", "warning", "the task or line", "reversals that bring it to 0 (R27)", ONCE | LATE),
    ("PCK_WRONG_SKU", "error", "the task or line", "an operator", ONCE | DROPPED | LATE),
    ("PCK_LATE_AFTER_SHIP", "error", "the task or line", "an operator", ONCE | DROPPED | LATE),
    ("PKG_EMPTY", "warning", "the carton", "a late pick or binding that fills it (R45)", ONCE | LATE),
    ("PKG_DOUBLE_CLOSE", "info", "the carton", "an operator", ONCE | DROPPED | LATE),
    ("PKG_TOTE_REBOUND_OPEN", "error", "the carton", "a close from before the bind, told late (R41)", ONCE | LATE),
    ("PKG_CONTENT_MISMATCH", "warning", "the carton", "contents that fit, or its end (R45)", ONCE | LATE),
    ("PKG_WEIGHT_MISMATCH", "warning", "the carton", "a good weighing, a release, or its end (R45)", ONCE | LATE),
    ("PKG_LABEL_NOREAD", "warning", "the carton", "a good label, a release, or its end (R45)", ONCE | LATE),
    ("PKG_LABEL_MISMATCH", "error", "the carton", "a good label, a release, or its end (R45)", ONCE | LATE),
    ("ID_SSCC_REUSE", "error", "the SSCC", "an operator", 0),
    ("SHP_HELD_SHORT", "warning", "the shipment", "the OMS's word, its manifest or its cancel (R50)", ONCE | LATE),
    ("SHP_EMPTY", "warning", "the shipment", "a packed unit, its manifest or its cancel (R50)", ONCE | LATE),
    ("SHP_LOAD_BEFORE_READY", "warning", "the shipment", "its readiness (R55)", ONCE | LATE),
    ("SHP_POST_MANIFEST_CHANGE", "error", "the shipment", "what was shipped being true again (R52)", ONCE | LATE),
    ("SHP_PARTIAL_LOAD", "error", "the shipment", "a full load or the owner's word (R54)", ONCE | LATE),
    ("SHP_WRONG_TRAILER", "error", "the carton", "the right trailer, its unloading, its manifest (R55)", ONCE | LATE),
    ("RTE_MAX_RECIRC", "warning", "the load unit", "an operator", 0),
    ("RTE_WRONG_DEST", "warning", "the load unit", "a divert to where it was asked (R62)", 0),
    ("RTE_LOST", "error", "the load unit", "any later sight of it (R64)", 0),
    ("ID_UNRESOLVED", "warning", "the track", "its identification, told late with a backlog", 0),
    ("ID_MULTI", "warning", "the track or scanner", "its identification, else the scanner's next read (R63)", 0),
    ("RTE_LANE_FULL", "warning", "the lane", "its clear (R65)", COUNTED),
    ("DEV_JAM", "warning", "the device", "its clear (R65)", COUNTED),
    ("DEV_FAULT", "error", "the device", "its clear (R65)", COUNTED),
    ("DEV_ESTOP", "error", "the device", "its clear (R65)", COUNTED),
    ("ASR_SOURCE_EMPTY", "error", "the location, unit or crane", "the next store or retrieval there (R66)", COUNTED),
    ("ASR_DEST_OCCUPIED", "error", "the location, unit or crane", "the next store or retrieval there (R66)", COUNTED),
    ("ASR_LU_MISMATCH", "error", "the location, unit or crane", "the next store or retrieval there (R66)", COUNTED),
    ("ASR_UNREACHABLE", "warning", "the location, unit or crane", "the next store or retrieval there (R66)", COUNTED),
    ("ASR_PICKUP", "warning", "the location, unit or crane", "the next store or retrieval there (R66)", COUNTED),
    ("ASR_DROPOFF", "warning", "the location, unit or crane", "the next store or retrieval there (R66)", COUNTED),
    ("ASR_OTHER", "warning", "the location, unit or crane", "the next store or retrieval there (R66)", COUNTED),
    ("RTN_UNEXPECTED", "warning", "the return", "its rma.authorised (R72)", ONCE),
    ("RTN_OVER", "warning", "the return", "a revision of the RMA that covers it (R72)", ONCE),
    ("RTN_DUP_SERIAL", "warning", "the serial", "a scan of it that counts again (R72)", 0),
    ("CFG_STATE_FULL", "error", "the site", "state that is below its cap again (`state_bytes_max`)", 0),
    ("PCK_STUCK", "warning", "the order", "its lines moving on (section 10)", ONCE),
    ("PKG_STUCK", "warning", "the carton", "its moving on, or its end (section 10)", ONCE),
    ("SHP_STUCK", "warning", "the shipment", "its readiness, its manifest or its cancel (section 10)", ONCE),
    ("PKG_AFTER_VOID", "warning", "the carton", "its moves turning out to be the next use's (section 10)",
     ONCE | DROPPED | LATE),
    ("SRC_RATE", "warning", "the source", "a minute as it usually is (`rate_band`)", 0),
)

NAMES = [row[0] for row in TABLE]
SEVERITIES = [row[1] for row in TABLE]
cdef uint8_t LIVES[CODES]
for code, row in enumerate(TABLE):
    LIVES[code] = row[4]


cdef bint lives(int code, int how) noexcept:
    return LIVES[code] & how != 0


cdef bint is_over(int code, bint open) noexcept:
    """Whether an episode that was last seen long ago can be forgotten."""
    return lives(code, DROPPED if open else ONCE)


if len(TABLE) != CODES:
    raise AssertionError("exceptions.pxd and exceptions.pyx name other codes")
