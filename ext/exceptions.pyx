"""Every exception that the core knows: severity, subject, and the fact that ends an episode of it.

Episodes are numbered per (code, subject) from 1, raised once and cleared once. "an operator" ends what no record can.
"""

TABLE = (
    # code, severity, subject, cleared by
    ("SRC_DOWN", "error", "the source", "link.up, or its first live record"),
    ("SEQ_GAP", "warning", "the source", "the last of the missing numbers"),
    ("TIME_SKEW", "warning", "the source", "a hundred records in a row inside the bound (R1)"),
    ("TIME_TOO_LATE", "warning", "the source", "an operator"),
    ("CTX_MISSING", "warning", "the task or order", "its context (R11)"),
    ("CTX_CONFLICT", "error", "the object", "an operator"),
    ("CTX_OUTDATED", "info", "the object", "an operator"),
    ("CTX_AFTER_CANCEL", "warning", "the object", "an operator"),
    ("CTX_CANCEL_TOO_LATE", "error", "the task or line", "an operator"),
    ("PCK_STALLED", "info", "the task or line", "its next pick, or its end (R22)"),
    ("PCK_OVER", "warning", "the task or line", "a quantity that covers it, or a reversal (R24)"),
    ("PCK_AFTER_CANCEL", "warning", "the task or line", "an operator"),
    ("PCK_PUTBACK_REQUIRED", "warning", "the task or line", "reversals that bring it to 0 (R27)"),
    ("PCK_WRONG_SKU", "error", "the task or line", "an operator"),
    ("PCK_LATE_AFTER_SHIP", "error", "the task or line", "an operator"),
    ("PKG_EMPTY", "warning", "the carton", "a late pick or binding that fills it (R45)"),
    ("PKG_DOUBLE_CLOSE", "info", "the carton", "an operator"),
    ("PKG_TOTE_REBOUND_OPEN", "error", "the carton", "a close from before the bind, told late (R41)"),
    ("PKG_CONTENT_MISMATCH", "warning", "the carton", "contents that fit, or its end (R45)"),
    ("PKG_WEIGHT_MISMATCH", "warning", "the carton", "a good weighing, a release, or its end (R45)"),
    ("PKG_LABEL_NOREAD", "warning", "the carton", "a good label, a release, or its end (R45)"),
    ("PKG_LABEL_MISMATCH", "error", "the carton", "a good label, a release, or its end (R45)"),
    ("ID_SSCC_REUSE", "error", "the SSCC", "an operator"),
    ("SHP_HELD_SHORT", "warning", "the shipment", "the OMS's word, its manifest or its cancel (R50)"),
    ("SHP_EMPTY", "warning", "the shipment", "a packed unit, its manifest or its cancel (R50)"),
    ("SHP_LOAD_BEFORE_READY", "warning", "the shipment", "its readiness (R55)"),
    ("SHP_POST_MANIFEST_CHANGE", "error", "the shipment", "what was shipped being true again (R52)"),
    ("SHP_PARTIAL_LOAD", "error", "the shipment", "a full load or the owner's word (R54)"),
    ("SHP_WRONG_TRAILER", "error", "the carton", "the right trailer, its unloading, its manifest (R55)"),
    ("RTE_MAX_RECIRC", "warning", "the load unit", "an operator"),
    ("RTE_WRONG_DEST", "warning", "the load unit", "a divert to where it was asked (R62)"),
    ("RTE_LOST", "error", "the load unit", "any later sight of it (R64)"),
    ("ID_UNRESOLVED", "warning", "the track", "its identification, told late with a backlog"),
    ("ID_MULTI", "warning", "the track or scanner", "its identification, else the scanner's next read (R63)"),
    ("RTE_LANE_FULL", "warning", "the lane", "its clear (R65)"),
    ("DEV_JAM", "warning", "the device", "its clear (R65)"),
    ("DEV_FAULT", "error", "the device", "its clear (R65)"),
    ("DEV_ESTOP", "error", "the device", "its clear (R65)"),
    ("ASR_SOURCE_EMPTY", "error", "the location, unit or crane", "the next store or retrieval there (R66)"),
    ("ASR_DEST_OCCUPIED", "error", "the location, unit or crane", "the next store or retrieval there (R66)"),
    ("ASR_LU_MISMATCH", "error", "the location, unit or crane", "the next store or retrieval there (R66)"),
    ("ASR_UNREACHABLE", "warning", "the location, unit or crane", "the next store or retrieval there (R66)"),
    ("ASR_PICKUP", "warning", "the location, unit or crane", "the next store or retrieval there (R66)"),
    ("ASR_DROPOFF", "warning", "the location, unit or crane", "the next store or retrieval there (R66)"),
    ("ASR_OTHER", "warning", "the location, unit or crane", "the next store or retrieval there (R66)"),
    ("RTN_UNEXPECTED", "warning", "the return", "its rma.authorised (R72)"),
    ("RTN_OVER", "warning", "the return", "a revision of the RMA that covers it (R72)"),
    ("RTN_DUP_SERIAL", "warning", "the serial", "a scan of it that counts again (R72)"),
    ("CFG_STATE_FULL", "error", "the site", "state that is below its cap again (`state_bytes_max`)"),
    ("PCK_STUCK", "warning", "the order", "its lines moving on (section 10)"),
    ("PKG_STUCK", "warning", "the carton", "its moving on, or its end (section 10)"),
    ("SHP_STUCK", "warning", "the shipment", "its readiness, its manifest or its cancel (section 10)"),
    ("PKG_AFTER_VOID", "warning", "the carton", "its moves turning out to be the next use's (section 10)"),
    ("SRC_RATE", "warning", "the source", "a minute as it usually is (`rate_band`)"),
)

NAMES = [code for code, _, _, _ in TABLE]
SEVERITIES = [severity for _, severity, _, _ in TABLE]
cdef bint IS_PASSING[CODES]
cdef bint IS_FORGETTABLE[CODES]
cdef tuple PASSING = (                  # subjects that come once: places, devices, units, objects and serials come again
    "the task or order", "the task or line", "the order", "the carton", "the shipment", "the return",
)
for code, (_, _, subject, cleared_by) in enumerate(TABLE):
    IS_PASSING[code] = subject in PASSING
    IS_FORGETTABLE[code] = IS_PASSING[code] and (
        cleared_by == "an operator" or code == CTX_MISSING or code == PKG_AFTER_VOID)


cdef bint is_over(int code, bint open) noexcept:
    """Whether an episode that was last seen long ago can be forgotten: its subject does not come again, and nothing is
    still to clear it."""
    return IS_FORGETTABLE[code] if open else IS_PASSING[code]


if len(TABLE) != CODES or NAMES[RTN_DUP_SERIAL] != "RTN_DUP_SERIAL" or NAMES[RTE_LOST] != "RTE_LOST":
    raise AssertionError("exceptions.pxd and exceptions.pyx name other codes")
