"""Returns (R72): see returns.pxd."""

from ext.batch cimport ABSENT
from ext.floor cimport precedes


cdef class Scan:
    pass


cdef class Graded:
    pass


cdef class Return:
    def __init__(self):
        self.scans = []
        self.graded = {}


cdef class Rma:
    def __init__(self):
        self.expected = {}
        self.returns = []


# ---------------------------------------------------------------------------------------------- collecting facts

cdef int take_scan(Floor floor, Fact fact, dict record) except -1:
    """`return.scanned`: each scan a revision, told at once."""
    cdef Scan scan = Scan.__new__(Scan)
    scan.fact, scan.home, scan.serial = fact, return_of(floor, fact, record), record.get("serial")
    scan.counts = True
    scan.home.scans.append(scan)
    if scan.serial is not None:
        take_serial(floor, scan)
    return tell(floor, scan.home, fact)


cdef int take_serial(Floor floor, Scan scan) except -1:
    """The same serial twice within `retention_ms` counts once, with the first by event time."""
    cdef tuple key = (scan.fact.sku if scan.fact.sku else -scan.fact.lu, scan.serial)
    cdef list scans = floor.serials.setdefault(key, [])
    cdef Scan other, first = None
    cdef Py_ssize_t i = len(scans)
    cdef bint counts
    while i > 0 and precedes(scan.fact, (<Scan>scans[i - 1]).fact, floor.texts):
        i -= 1
    scans.insert(i, scan)
    for other in scans:
        counts = first is None or other.fact.t - first.fact.t > floor.rules.retention
        if not counts and (other is scan or other.counts):
            floor.outlet.raise_("RTN_DUP_SERIAL", f"serial/{scan.serial}", other.fact.t, floor.dev_id(other.fact),
                                other.home.key)
        elif counts and other is scan and first is not None:
            floor.outlet.clear("RTN_DUP_SERIAL", f"serial/{scan.serial}", scan.fact.t, floor.dev_id(scan.fact))
        if counts:
            first = other
        if counts != other.counts:
            other.counts = counts
            if other is not scan:
                tell(floor, other.home, scan.fact)
    return 0


cdef int take_graded(Floor floor, Fact fact, dict record) except -1:
    """`return.graded`: the total of that grade and disposition."""
    cdef Return home = return_of(floor, fact, record)
    cdef tuple verdict = (record["grade"], record["disposition"])
    cdef Graded graded = home.graded.get(verdict)
    cdef str key = f"{home.key}/{verdict[0]}/{verdict[1]}", partition = partition_of(home)
    cdef dict data
    if graded is None:
        graded = home.graded[verdict] = Graded.__new__(Graded)
        graded.last_t = ABSENT
        graded.ledger = floor.outlet.ledger("return.dispositioned", key, f"return/{key}", partition)
    graded.qty += fact.qty
    graded.last_t = max(graded.last_t, fact.t)
    data = {"qty": graded.qty, "grade": verdict[0], "disposition": verdict[1]}
    if home.sku:
        data["sku"] = floor.text(home.sku)
    floor.outlet.emit(graded.ledger, data, graded.last_t, partition, floor.dev_id(fact), "exact")
    return 0


cdef int authorise(Floor floor, Fact fact, dict record) except -1:
    """`rma.authorised`: what is expected back; what is already here is judged again."""
    cdef Rma rma = rma_of(floor, record["rma"])
    cdef Return home
    cdef dict expected = {}
    for row in record["lines"]:
        sku = floor.texts.number(row["sku"])
        expected[sku] = expected.get(sku, 0) + row["qty"]
    rma.known, rma.expected = True, expected
    for home in rma.returns:
        if home.scans:
            tell(floor, home, fact)
    return 0


cdef Return return_of(Floor floor, Fact fact, dict record):
    cdef str id = record.get("rma"), thing = floor.text(fact.sku if fact.sku else fact.lu)
    cdef str key = f"{id}/{thing}" if id is not None else f"unexpected/{floor.dev_id(fact)}"
    cdef Return home = floor.returns.get((id is None, key))
    if home is None:
        home = floor.returns[(id is None, key)] = Return()
        home.key, home.sku = key, fact.sku
        if id is not None:
            home.rma = rma_of(floor, id)
            home.rma.returns.append(home)
    return home


cdef Rma rma_of(Floor floor, str id):
    cdef Rma rma = floor.rmas.get(id)
    if rma is None:
        rma = floor.rmas[id] = Rma()
        rma.id = id
    return rma


# ---------------------------------------------------------------------------------------------- telling

cdef str partition_of(Return home):
    return home.rma.id if home.rma is not None else "unexpected"


cdef int tell(Floor floor, Return home, Fact cause) except -1:
    """The whole new state; nothing while no scan of it has ever counted."""
    cdef Scan scan
    cdef int64_t qty = 0, t = ABSENT
    cdef list serials = []
    cdef dict data
    for scan in home.scans:
        if scan.counts:
            qty += scan.fact.qty
            if scan.serial is not None:
                serials.append(scan.serial)
            t = max(t, scan.fact.t)
    if t == ABSENT:                     # every scan of it was one of another return
        t = cause.t
    if home.ledger is None:
        if not qty:
            return 0
        home.ledger = floor.outlet.ledger("return.received", home.key, f"return/{home.key}", partition_of(home))
    data = {"qty": qty, "condition": condition_of(floor, home, qty, t, cause)}
    if home.sku:
        data["sku"] = floor.text(home.sku)
        if home.rma is not None and home.rma.known:
            data["expected_qty"] = home.rma.expected.get(home.sku, 0)
    if serials:
        data["serials"] = sorted(serials)
    floor.outlet.emit(home.ledger, data, t, partition_of(home), floor.dev_id(cause), "exact")
    return 0


cdef str condition_of(Floor floor, Return home, int64_t qty, int64_t t, Fact cause):
    """Whether it was expected: still received if not, but raised."""
    cdef str subject = f"return/{home.key}", dev_id = floor.dev_id(cause)
    cdef int64_t expected
    if home.rma is None or not home.rma.known:
        floor.outlet.raise_("RTN_UNEXPECTED", subject, t, dev_id, "")
        return "UNEXPECTED"
    floor.outlet.clear("RTN_UNEXPECTED", subject, cause.t, dev_id)
    expected = home.rma.expected.get(home.sku, 0) if home.sku else qty
    if qty > expected:
        floor.outlet.raise_("RTN_OVER", subject, t, dev_id, f"{qty} of {expected}")
        return "OVER"
    floor.outlet.clear("RTN_OVER", subject, cause.t, dev_id)
    return "EXPECTED"
