"""R47: `pack.confirm` moves goods from one load unit to another: see packing.pxd."""

from libc.stdint cimport int32_t, int64_t

from ext.batch cimport ABSENT
from ext.floor cimport Cycle, Line, Packing, PickWindow, name_alike
from ext.kinds cimport K_PACK_CONFIRM


cdef tuple ends_of(Floor floor, Fact fact, dict record):
    """The end that goods leave, and the one that they come to."""
    cdef Packing out = end_of(fact, floor.texts.number(record["from_lu"]))
    cdef Packing into = end_of(fact, fact.lu)
    out.out = True
    out.other, into.other = into, out
    return out, into


cdef Packing end_of(Fact fact, int32_t lu):
    cdef Packing end = Packing.__new__(Packing)
    name_alike(end, fact)
    end.lu, end.carton = lu, fact.carton if lu == fact.lu else 0
    end.task, end.order, end.line, end.sku, end.lot, end.qty = (
        fact.task, fact.order, fact.line, fact.sku, fact.lot, fact.qty)
    end.all_of_it = not fact.sku
    end.moved = {}
    return end


cdef int count_into(dict contents, Fact fact) except -1:
    """R43: what a pick, a reversal or a move does to the contents of the unit that it is about."""
    cdef int sign
    if fact.window is not None:
        key = (fact.window.line, fact.sku, fact.lot)
        contents[key] = contents.get(key, 0) + fact.qty
    elif fact.kind == K_PACK_CONFIRM:
        sign = -1 if (<Packing>fact).out else 1
        for key, qty in (<Packing>fact).moved.items():
            contents[key] = contents.get(key, 0) + sign * qty
    return 0


cdef list settle(Floor floor, list changed):
    """Work out again what is moved out of cycles that changed. Returns these and the cycles that changed by it.

    A change only travels to later moves, so this ends.
    """
    cdef list reached = list(changed), todo = []
    cdef Cycle cycle, fed
    cdef Fact fact
    cdef dict contents
    for cycle in changed:
        if cycle.packs:
            todo.append(cycle)
    while todo:
        cycle = todo.pop(0)
        contents = {}
        for fact in cycle.facts:
            if fact.kind == K_PACK_CONFIRM and (<Packing>fact).out and work_out(floor, <Packing>fact, contents):
                fed = (<Packing>fact).other.cycle
                if fed is not None and fed not in todo:
                    todo.append(fed)
                if fed is not None and fed not in reached:
                    reached.append(fed)
            count_into(contents, fact)
    return reached


cdef bint work_out(Floor floor, Packing out, dict there) except -1:
    """What leaves, out of what was `there`; whether it is something else than was known.

    Without `task` or line the pieces are taken by order, line and lot. Pieces of a named line that were not told to lie
    there come into the other unit all the same: somebody held them in his hand.
    """
    cdef dict leaves = {}, comes
    cdef Line line = line_of(floor, out)
    cdef int64_t left = out.qty, part
    for key in sorted(there, key=shown_order(floor)):
        if there[key] <= 0:
            continue
        if out.all_of_it:
            leaves[key] = there[key]
        elif key[1] == out.sku and (not out.lot or key[2] == out.lot) and (line is None or key[0] is line) and left > 0:
            part = min(left, there[key])
            leaves[key] = part
            left -= part
    comes = dict(leaves)
    if not out.all_of_it and line is not None and left > 0:
        key = (line, out.sku, out.lot)
        comes[key] = comes.get(key, 0) + left
    if leaves == out.moved and comes == out.other.moved:
        return False
    out.moved, out.other.moved = leaves, comes
    return True


def shown_order(Floor floor):
    """The order of `contents` in events: (order, line, sku, lot)."""
    def by_texts(tuple key):
        cdef Line line = key[0]
        return floor.text(line.order), line.number, floor.text(key[1]), floor.text(key[2])
    return by_texts


cdef Line line_of(Floor floor, Packing out):
    cdef PickWindow window
    if out.task:
        window = floor.tasks.get(out.task)
        return window.line if window is not None else None
    if out.order and out.line >= 0:
        return floor.line_of(out.order, out.line)
    return None
