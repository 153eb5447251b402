# cython: boundscheck=False, wraparound=False
"""Returns (R72): see returns.pxd. The fact of a return carries its `rma` and `serial`."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memset

from ext cimport tombstones
from ext.batch cimport ABSENT
from ext.exceptions cimport RTN_DUP_SERIAL, RTN_OVER, RTN_UNEXPECTED, TIME_TOO_LATE
from ext.floor cimport recount
from ext.json_writer cimport JsonWriter
from ext.keys cimport text_key
from ext.outlet cimport EXACT, RETURN_DISPOSITIONED, RETURN_RECEIVED, Subject
from ext.premises_data cimport Graded, Return, Rma, RmaLine, RmaLines, Scan
from ext.state cimport B_GRADED, B_RETURN, B_RMA, B_RMA_LINES, B_SCAN
from ext.store cimport List, find, length, nth
from ext.timers cimport ANY_TIME, RANK_INVENTORY
from ext.tombstones cimport is_buried

cdef enum Verdict:
    EXPECTED, OVER, UNEXPECTED

cdef tuple CONDITIONS = ("EXPECTED", "OVER", "UNEXPECTED")


# ---------------------------------------------------------------------------------------------- collecting facts

cdef int take_scan(Floor floor, Fact* fact) except -1:
    """R72: `return.scanned`, each scan a revision, told at once."""
    cdef Return* home = return_of(floor, fact)
    cdef Scan* scan
    if home.ledger == NULL and is_buried(floor, b"return/", home.key):
        return refuse(floor, fact)
    scan = <Scan*>floor.store.new(B_SCAN, sizeof(Scan))
    scan.fact, scan.home, scan.counts = fact, home, True
    floor.store.append(&home.scans, scan)
    if fact.serial:
        take_serial(floor, scan)
    watch(floor, scan)
    return tell(floor, home, fact)


cdef int watch(Floor floor, Scan* scan) except -1:
    """What it raises is judged when the watermark has passed it."""
    return floor.by_watermark.push(scan.fact.t, RANK_INVENTORY, text_key(scan.home.key), scan, TAG_SCANNED, 0)


cdef int take_serial(Floor floor, Scan* scan) except -1:
    """R72: the same serial twice within `retention_ms` counts once, with the first by event time."""
    cdef Fact* fact = scan.fact
    cdef uint64_t key = serial_key(fact)
    cdef List* scans = <List*>find(floor.state.serials, key)
    cdef int i = length(scans)
    while i > 0 and floor.precedes(fact, (<Scan*>nth(scans, i - 1)).fact):
        i -= 1
    floor.store.insert(&scans, i, scan)
    floor.store.put(floor.state.serials, key, scans)
    return count_serial(floor, scans, scan)


cdef uint64_t serial_key(const Fact* fact) noexcept:
    return <uint64_t><uint32_t>(fact.sku if fact.sku else -fact.lu) << 32 | <uint32_t>fact.serial


cdef int count_serial(Floor floor, const List* scans, const Scan* scan) except -1:
    """Which scans of one serial count, now that `scan` is among them."""
    cdef Scan* other
    cdef Scan* first = NULL
    cdef bint counts
    cdef int i
    for i in range(length(scans)):
        other = <Scan*>nth(scans, i)
        counts = first == NULL or other.fact.t - first.fact.t > floor.rules.retention
        if counts:
            first = other
        if counts != other.counts:
            other.counts = counts
            if other != scan:
                watch(floor, other)
                tell(floor, other.home, scan.fact)
    return 0


cdef int take_graded(Floor floor, Fact* fact, str grade, str disposition) except -1:
    """R72: `return.graded`, the total of that grade and disposition."""
    cdef Return* home = return_of(floor, fact)
    cdef Graded* graded = graded_of(floor, home, floor.intern(grade), floor.intern(disposition))
    cdef int32_t key = key_of(floor, home, graded), partition = partition_of(floor, home)
    cdef JsonWriter data = floor.outlet.data
    if graded.ledger == NULL:
        if is_buried(floor, b"graded/", key):
            return refuse(floor, fact)
        floor.outlet.key_is(key)
        graded.ledger = floor.outlet.ledger(RETURN_DISPOSITIONED, partition)
    graded.qty += fact.qty
    if graded.youngest == NULL or floor.precedes(graded.youngest, fact):
        graded.youngest = fact
    home.last_t = max(home.last_t, fact.t)
    data.clear()
    data.text_member(b'{"disposition":', graded.disposition)
    data.text_member(b',"grade":', graded.grade)
    data.integer_member(b',"qty":', graded.qty)
    if home.sku:
        data.text_member(b',"sku":', home.sku)
    data.put(b"}")
    floor.outlet.emit(graded.ledger, Subject(head=b"return/", key=text_key(key)), graded.youngest.t, partition,
                      graded.youngest, EXACT)
    return 0


cdef int32_t key_of(Floor floor, const Return* home, const Graded* graded) except -1:
    return floor.intern(f"{floor.text(home.key)}/{floor.text(graded.grade)}/{floor.text(graded.disposition)}")


cdef Graded* graded_of(Floor floor, Return* home, int32_t grade, int32_t disposition) except NULL:
    cdef Graded* graded
    cdef int i
    for i in range(length(home.graded)):
        graded = <Graded*>nth(home.graded, i)
        if graded.grade == grade and graded.disposition == disposition:
            return graded
    graded = <Graded*>floor.store.new(B_GRADED, sizeof(Graded))
    graded.grade, graded.disposition = grade, disposition
    floor.store.append(&home.graded, graded)
    return graded


cdef int authorise(Floor floor, Fact* fact, dict record) except -1:
    """`rma.authorised`: what is expected back; what is already here is judged again."""
    cdef Rma* rma = rma_of(floor, floor.intern(record["rma"]))
    cdef RmaLine line
    cdef Return* home
    cdef int i
    memset(&line, 0, sizeof(line))
    line.t, line.number = fact.t, revision_at(rma, ANY_TIME) + 1
    add_line(floor, rma, line)
    for row in record["lines"]:
        line.sku, line.qty = floor.intern(row["sku"]), row["qty"]
        add_line(floor, rma, line)
    rma.authorised_t = min(rma.authorised_t, fact.t) if rma.known else fact.t
    rma.known, fact.rma = True, rma.id
    floor.by_watermark.push(fact.t, RANK_INVENTORY, text_key(rma.id), fact, TAG_AUTHORISED, 0)
    for i in range(length(rma.returns)):
        home = <Return*>nth(rma.returns, i)
        if length(home.scans):
            tell(floor, home, fact)
    return 0


cdef int add_line(Floor floor, Rma* rma, RmaLine line) except -1:
    cdef int count = lines_of(rma)
    rma.expected = <RmaLines*>floor.store.room(B_RMA_LINES, rma.expected, count)
    rma.expected.items[count] = line
    return 0


cdef inline int lines_of(const Rma* rma) noexcept:
    return rma.expected.count if rma.expected != NULL else 0


cdef int64_t revision_at(const Rma* rma, int64_t as_of) noexcept:
    """The number of the last revision that had been told by then; 0: none had."""
    cdef int i = lines_of(rma)
    while i > 0:
        i -= 1
        if rma.expected.items[i].t <= as_of:
            return rma.expected.items[i].number
    return 0


cdef int64_t expected_of(const Rma* rma, int32_t sku, int64_t as_of) noexcept:
    """By the revision of then. A `sku` that is not on the RMA is over it."""
    cdef int64_t number = revision_at(rma, as_of)
    cdef int64_t qty = 0
    cdef int i
    for i in range(lines_of(rma)):
        if rma.expected.items[i].number == number and rma.expected.items[i].sku == sku:
            qty += rma.expected.items[i].qty
    return qty


cdef void forget_revisions(Rma* rma, int64_t as_of) noexcept:
    """Those that another had replaced by then."""
    cdef int64_t number = revision_at(rma, as_of)
    cdef int i, kept = 0
    for i in range(lines_of(rma)):
        if rma.expected.items[i].number >= number:
            rma.expected.items[kept] = rma.expected.items[i]
            kept += 1
    if rma.expected != NULL:
        rma.expected.count = kept


cdef int bury(Floor floor, const Return* home, int64_t before) except -1:
    """R46: it goes before its time, so what was told of it must never be told anew. (Without an RMA no record can name it
    again.)"""
    cdef Graded* graded
    cdef int i
    if home.ledger != NULL and home.rma != NULL:
        tombstones.bury(floor, b"return/", home.key, before)
    for i in range(length(home.graded) if home.rma != NULL else 0):
        graded = <Graded*>nth(home.graded, i)
        if graded.ledger != NULL:
            tombstones.bury(floor, b"graded/", key_of(floor, home, graded), before)
    return 0


cdef int refuse(Floor floor, const Fact* fact) except -1:
    """R46, R82: dead, and counted as that; the core counts it as taken."""
    recount(&floor.state.count_taken, &floor.state.count_late)
    return floor.outlet.raise_(TIME_TOO_LATE, fact.src, fact.t_rx, fact, "")


cdef Return* return_of(Floor floor, const Fact* fact) except NULL:
    cdef str thing = floor.text(fact.sku if fact.sku else fact.lu)
    cdef int32_t key = floor.intern(
        f"{floor.text(fact.rma)}/{thing}" if fact.rma else f"unexpected/{floor.dev_id(fact)}")
    cdef uint64_t place = <uint64_t>(fact.rma == 0) << 32 | <uint32_t>key      # an RMA may be called "unexpected"
    cdef Return* home = <Return*>find(floor.state.returns, place)
    if home == NULL:
        home = <Return*>floor.store.new(B_RETURN, sizeof(Return))
        home.key, home.sku, home.last_t = key, fact.sku, fact.t
        floor.store.put(floor.state.returns, place, home)
        if fact.rma:
            home.rma = rma_of(floor, fact.rma)
            floor.store.append(&home.rma.returns, home)
    return home


cdef Rma* rma_of(Floor floor, int32_t id) except NULL:
    cdef Rma* rma = <Rma*>find(floor.state.rmas, id)
    if rma == NULL:
        rma = <Rma*>floor.store.new(B_RMA, sizeof(Rma))
        rma.id = id
        floor.store.put(floor.state.rmas, id, rma)
    return rma


# ---------------------------------------------------------------------------------------------- telling

cdef int32_t partition_of(Floor floor, const Return* home) except -1:
    return home.rma.id if home.rma != NULL else floor.intern("unexpected")


cdef int tell(Floor floor, Return* home, Fact* cause) except -1:
    """R72: the whole new state; nothing while no scan of it has ever counted."""
    cdef Scan* scan
    cdef Fact* youngest = NULL
    cdef int64_t qty = 0
    cdef list serials = []
    cdef int32_t partition = partition_of(floor, home)
    cdef int i
    for i in range(length(home.scans)):
        scan = <Scan*>nth(home.scans, i)
        if scan.counts:
            qty += scan.fact.qty
            if scan.fact.serial:
                serials.append(floor.text(scan.fact.serial))
            if youngest == NULL or floor.precedes(youngest, scan.fact):
                youngest = scan.fact
    if youngest == NULL:                # every scan of it was one of another return
        youngest = cause
    home.last_t = max(home.last_t, youngest.t)
    if home.ledger == NULL:
        if not qty:
            return 0
        floor.outlet.key_is(home.key)
        home.ledger = floor.outlet.ledger(RETURN_RECEIVED, partition)
    serials.sort()
    write_received(floor, home, qty, serials, CONDITIONS[verdict_of(home, qty, ANY_TIME)])
    floor.outlet.emit(home.ledger, Subject(head=b"return/", key=text_key(home.key)), youngest.t, partition, youngest, EXACT)
    return 0


cdef int write_received(Floor floor, const Return* home, int64_t qty, list serials, str condition) except -1:
    cdef JsonWriter data = floor.outlet.data
    data.clear()
    data.put(b'{"condition":')
    data.text_of(condition)
    if home.sku and home.rma != NULL and home.rma.known:
        data.integer_member(b',"expected_qty":', expected_of(home.rma, home.sku, ANY_TIME))
    data.integer_member(b',"qty":', qty)
    if serials:
        data.put(b',"serials":')
        for i, serial in enumerate(serials):
            data.put(b"," if i else b"[")
            data.text_of(serial)
        data.put(b"]")
    if home.sku:
        data.text_member(b',"sku":', home.sku)
    return data.put(b"}")


# ---------------------------------------------------------------------------------------------- judging

cdef int verdict_of(const Return* home, int64_t qty, int64_t as_of) noexcept:
    """Whether so much was expected by then."""
    if home.rma == NULL or not home.rma.known or home.rma.authorised_t > as_of:
        return UNEXPECTED
    if not home.sku:
        return EXPECTED
    return OVER if qty > expected_of(home.rma, home.sku, as_of) else EXPECTED


cdef int judge_scan(Floor floor, const Scan* scan) except -1:
    """The watermark has passed the scan: scans from before it can only come late now."""
    cdef Fact* fact = scan.fact
    cdef const List* scans
    cdef int32_t subject
    if fact.serial:
        subject = floor.joined(b"serial/", fact.serial)
        scans = <List*>find(floor.state.serials, serial_key(fact))
        if not scan.counts:
            floor.outlet.raise_(RTN_DUP_SERIAL, subject, fact.t, fact, floor.text(scan.home.key))
        elif length(scans) and nth(scans, 0) != scan:
            floor.outlet.clear(RTN_DUP_SERIAL, subject, fact.t, fact)
    return judge(floor, scan.home, fact)


cdef int judge_authorised(Floor floor, const Fact* fact) except -1:
    cdef Rma* rma = <Rma*>find(floor.state.rmas, fact.rma)
    cdef int i
    if rma != NULL:
        forget_revisions(rma, floor.state.watermark - 1)
    for i in range(length(rma.returns) if rma != NULL else 0):
        judge(floor, <Return*>nth(rma.returns, i), fact)
    return 0


cdef int judge(Floor floor, const Return* home, const Fact* cause) except -1:
    """R72: what was received by all that the watermark has passed, held against the RMA of then. `cause`: what it has
    passed just now, or what came late."""
    cdef int32_t subject = floor.joined(b"return/", home.key)
    cdef int64_t as_of = floor.state.watermark - 1, qty = 0, t = ABSENT
    cdef const Scan* scan
    cdef int verdict, i
    for i in range(length(home.scans)):
        scan = <Scan*>nth(home.scans, i)
        if scan.counts and scan.fact.t <= as_of:
            qty += scan.fact.qty
            t = max(t, scan.fact.t)
    verdict = verdict_of(home, qty, as_of) if t != ABSENT else EXPECTED
    if verdict == UNEXPECTED:
        floor.outlet.raise_(RTN_UNEXPECTED, subject, t, cause, "")
    else:
        floor.outlet.clear(RTN_UNEXPECTED, subject, max(t, cause.t), cause)
    if verdict == OVER:
        return floor.outlet.raise_(RTN_OVER, subject, max(t, cause.t), cause, f"{qty} of {expected_of(home.rma, home.sku, as_of)}")
    return floor.outlet.clear(RTN_OVER, subject, max(t, cause.t), cause)
