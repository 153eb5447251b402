"""The premises: see premises.pxd."""

from ext cimport equipment, inventory, returns
from ext.kinds cimport (
    K_ASRS_EXCEPTION, K_COUNT_REPORTED, K_ESTOP, K_FAULT, K_JAM, K_LANE_FULL, K_RETRIEVE_CONFIRMED, K_RETURN_GRADED,
    K_RETURN_SCANNED, K_STORE_CONFIRMED,
)


cdef bint concerns(int kind) noexcept:
    return (K_LANE_FULL <= kind <= K_ASRS_EXCEPTION or kind == K_COUNT_REPORTED or kind == K_RETURN_SCANNED
            or kind == K_RETURN_GRADED)


cdef int take(Floor floor, Fact* fact, dict record) except -1:
    """A device's record takes effect. `record`: the decoded line."""
    cdef int kind = fact.kind
    if kind == K_JAM or kind == K_FAULT or kind == K_ESTOP or kind == K_LANE_FULL:
        return equipment.take(floor, fact, record["state"])
    if kind == K_STORE_CONFIRMED or kind == K_RETRIEVE_CONFIRMED:
        return equipment.take_crane_done(floor, fact)
    if kind == K_ASRS_EXCEPTION:
        equipment.take_crane(floor, fact)
        return inventory.take_crane(floor, fact)
    if kind == K_COUNT_REPORTED:
        return inventory.take_count(floor, fact)
    fact.rma = floor.intern(record["rma"]) if "rma" in record else 0
    fact.serial = floor.intern(record["serial"]) if "serial" in record else 0
    if kind == K_RETURN_SCANNED:
        return returns.take_scan(floor, fact)
    return returns.take_graded(floor, fact, record["grade"], record["disposition"])
