# cython: boundscheck=False, wraparound=False
"""What lies in a unit (R43), and moves between units (R47): see packing.pxd."""

from libc.stdlib cimport free, realloc
from libc.string cimport memmove

from ext.kinds cimport K_PACK_CONFIRM
from ext.state cimport B_MOVE, B_MOVED, Move, Moved, MovedList, PickWindow
from ext.store cimport find, index_of, length, nth
from ext.timers cimport NEVER


cdef class Contents:
    def __dealloc__(self):
        free(self.pieces)

    cdef int add(self, Line* line, int32_t sku, int32_t lot, int64_t qty) except -1:
        cdef int i = self.count - 1
        cdef void* bigger
        while i >= 0 and (self.pieces[i].line != line or self.pieces[i].sku != sku or self.pieces[i].lot != lot):
            i -= 1
        if i >= 0:
            self.pieces[i].qty += qty
            self.owes = self.owes or self.pieces[i].qty < 0
            if self.pieces[i].qty == 0:     # nobody looks among what has left
                self.count -= 1
                self.pieces[i] = self.pieces[self.count]
            return 0
        if self.count == self.capacity:
            bigger = realloc(self.pieces, 2 * (self.capacity + 4) * sizeof(Piece))
            if bigger == NULL:
                raise MemoryError
            self.pieces = <Piece*>bigger
            self.capacity = 2 * (self.capacity + 4)
        self.pieces[self.count] = Piece(line=line, sku=sku, lot=lot, qty=qty)
        self.count += 1
        self.owes = self.owes or qty < 0
        return 0

    cdef int set_off(self) noexcept:
        """What was put back without its lot, or under another, is taken from what lies there of that line and SKU: out of
        the lot that came last. What is owed after that is left out: nobody finds less than nothing in a carton."""
        cdef Piece* owed
        cdef Piece* there
        cdef int64_t part
        cdef int i, k, kept = 0
        for i in range(self.count):
            owed = &self.pieces[i]
            for k in range(self.count - 1, -1, -1):
                there = &self.pieces[k]
                if owed.qty < 0 < there.qty and there.line == owed.line and there.sku == owed.sku:
                    part = min(-owed.qty, there.qty)
                    owed.qty += part
                    there.qty -= part
        for i in range(self.count):
            if self.pieces[i].qty > 0:
                self.pieces[kept] = self.pieces[i]
                kept += 1
        self.count, self.owes = kept, False
        return 0

    cdef int count_in(self, const Fact* fact) except -1:
        """R43: what a pick, a reversal or a move does to the contents of the unit that it is about."""
        cdef int i, sign
        cdef const Moved* moved
        if fact.window != NULL:
            if fact.qty:
                self.add(fact.window.line, fact.sku, fact.lot, fact.qty)
        elif fact.kind == K_PACK_CONFIRM and fact.move.moved != NULL:
            sign = -1 if fact.move.out else 1
            for i in range(fact.move.moved.count):
                moved = &fact.move.moved.items[i]
                self.add(moved.line, moved.sku, moved.lot, sign * moved.qty)
        return 0

    cdef int sort(self, Floor floor) noexcept:
        """By (order, line, sku, lot), as `contents` shows them. They mostly come in order; a place is looked for by halving."""
        cdef int i, low, high, middle
        cdef Piece piece
        for i in range(1, self.count):
            if not comes_before(floor, &self.pieces[i], &self.pieces[i - 1]):
                continue
            piece = self.pieces[i]
            low, high = 0, i - 1
            while low < high:
                middle = (low + high) // 2
                if comes_before(floor, &piece, &self.pieces[middle]):
                    high = middle
                else:
                    low = middle + 1
            memmove(&self.pieces[low + 1], &self.pieces[low], (i - low) * sizeof(Piece))
            self.pieces[low] = piece
        return 0

    cdef bint equals(self, const Fact* end) noexcept:
        """Whether it is just this that is known to be moved at that end."""
        cdef int i
        cdef const Moved* moved
        if end.move.moved == NULL or end.move.moved.count != self.count:
            return self.count == 0 and end.move.moved == NULL
        for i in range(self.count):
            moved = &end.move.moved.items[i]
            if (moved.line != self.pieces[i].line or moved.sku != self.pieces[i].sku
                    or moved.lot != self.pieces[i].lot or moved.qty != self.pieces[i].qty):
                return False
        return True


cdef bint comes_before(Floor floor, const Piece* a, const Piece* b) noexcept:
    if a.line.order != b.line.order:
        return floor.texts.precedes(a.line.order, b.line.order)
    if a.line.number != b.line.number:
        return a.line.number < b.line.number
    if a.sku != b.sku:
        return floor.texts.precedes(a.sku, b.sku)
    return a.lot != b.lot and floor.texts.precedes(a.lot, b.lot)


cdef Contents contents_of(const Cycle* cycle, int64_t as_of):
    """R43: all picks less reversals up to `as_of`, zeros left out."""
    cdef Contents contents = Contents.__new__(Contents)
    cdef const Fact* fact
    cdef int i
    for i in range(emptied_by(cycle, as_of), length(cycle.facts)):
        fact = <Fact*>nth(cycle.facts, i)
        if fact.t <= as_of:
            contents.count_in(fact)
    if contents.owes:
        contents.set_off()
    return contents


cdef int emptied_by(const Cycle* cycle, int64_t as_of) noexcept:
    """How many of its first facts, none later than `as_of`, are known to have left nothing there. A slot of a put wall is filled
    and emptied all its life, and nobody says that a new use begins."""
    cdef const Fact* fact
    cdef int i = length(cycle.facts) if cycle.packs else 0
    while i > 0:
        fact = <const Fact*>nth(cycle.facts, i - 1)
        if fact.kind == K_PACK_CONFIRM and fact.move.emptied and fact.t <= as_of:
            break
        i -= 1
    return i


cdef int unsettle(const Cycle* cycle, const Fact* since) noexcept:
    """What is known to have been emptied is to be looked at anew from there on; NULL: from the beginning."""
    cdef const Fact* fact
    cdef int i = length(cycle.facts)
    while i > 0:
        i -= 1
        fact = <const Fact*>nth(cycle.facts, i)
        if fact.kind == K_PACK_CONFIRM:
            fact.move.emptied = False
        if fact == since:
            break
    return 0


# ---------------------------------------------------------------------------------------------- moves

cdef Fact* ends_of(Floor floor, Fact* fact, int32_t from_lu) except NULL:
    """R47: the end that goods leave; its `other` is the end that they come to."""
    cdef Fact* out = end_of(floor, fact, from_lu)
    cdef Fact* into = end_of(floor, fact, fact.lu)
    out.move.out = True
    if fact.task:
        out.move.window = <PickWindow*>find(floor.state.tasks, fact.task)
    elif fact.order and fact.line >= 0:
        out.move.line = floor.line_of(fact.order, fact.line)
    out.move.other, into.move.other = into, out
    return out


cdef Fact* end_of(Floor floor, const Fact* fact, int32_t lu) except NULL:
    cdef Fact* end = floor.copy_name(fact)
    end.move = <Move*>floor.store.new(B_MOVE, sizeof(Move))
    end.lu, end.carton = lu, fact.carton if lu == fact.lu else 0
    end.task, end.order, end.line, end.sku, end.lot, end.qty = (
        fact.task, fact.order, fact.line, fact.sku, fact.lot, fact.qty)
    end.move.all_of_it = fact.sku == 0
    return end


cdef int settle(Floor floor, List** changed) except -1:
    """R47: work out again what is moved out of cycles that changed; the cycles that change by it are appended."""
    cdef int i
    for i in range(length(changed[0])):
        if (<Cycle*>nth(changed[0], i)).packs:
            return settle_moves(floor, changed)
    return 0


cdef int settle_moves(Floor floor, List** changed) except -1:
    """A change only travels to later moves, so this ends."""
    cdef list todo = []
    cdef Cycle* cycle
    cdef Cycle* fed
    cdef Fact* fact
    cdef Contents there
    cdef int i
    for i in range(length(changed[0])):
        cycle = <Cycle*>nth(changed[0], i)
        if cycle.packs:
            todo.append(<size_t>cycle)
    while todo:
        cycle = <Cycle*><size_t>todo.pop(0)
        there = Contents.__new__(Contents)
        for i in range(emptied_by(cycle, NEVER), length(cycle.facts)):
            fact = <Fact*>nth(cycle.facts, i)
            if fact.kind == K_PACK_CONFIRM and not fact.move.out and fact.move.other.cycle == NULL:
                work_out(floor, fact.move.other, Contents.__new__(Contents))    # out of a unit that nobody knows
            elif fact.kind == K_PACK_CONFIRM and fact.move.out and work_out(
                    floor, fact, contents_before(cycle, i) if there.owes else there):
                fed = fact.move.other.cycle
                if fed != NULL:
                    unsettle(fed, fact.move.other)
                if fed != NULL and <size_t>fed not in todo:
                    todo.append(<size_t>fed)
                if fed != NULL and index_of(changed[0], fed) < 0:
                    floor.store.append(changed, fed)
            there.count_in(fact)
            if fact.kind == K_PACK_CONFIRM:
                fact.move.emptied = fact.move.out and there.count == 0
    return 0


cdef Contents contents_before(const Cycle* cycle, int n):
    """What its first n facts have left there, with what is owed set off."""
    cdef Contents contents = Contents.__new__(Contents)
    cdef int i
    for i in range(n):
        contents.count_in(<Fact*>nth(cycle.facts, i))
    contents.set_off()
    return contents


cdef bint work_out(Floor floor, Fact* out, Contents there) except -1:
    """R47: what leaves, out of what was `there`. Returns whether it is something else than was known.

    Without `task` or line the pieces are taken by order, line and lot. Pieces of a named line that were not told to lie
    there come into the other unit all the same: somebody held them in his hand.
    """
    cdef Contents leaves = Contents.__new__(Contents), comes = Contents.__new__(Contents)
    cdef Line* line = out.move.window.line if out.move.window != NULL else out.move.line
    cdef Piece* piece
    cdef int64_t left = out.qty, part
    cdef int i
    there.sort(floor)
    for i in range(there.count):
        piece = &there.pieces[i]
        part = 0
        if out.move.all_of_it:
            part = piece.qty
        elif (piece.sku == out.sku and (not out.lot or piece.lot == out.lot) and (line == NULL or piece.line == line)
                and left > 0):
            part = min(left, piece.qty)
            left -= part
        if part:
            leaves.add(piece.line, piece.sku, piece.lot, part)
            comes.add(piece.line, piece.sku, piece.lot, part)
    if not out.move.all_of_it and line != NULL and left > 0:
        comes.add(line, out.sku, out.lot, left)
        if index_of(line.packed, out.move.other) < 0:
            floor.store.append(&line.packed, out.move.other)
    if leaves.equals(out) and comes.equals(out.move.other):
        return False
    remember(floor, out, leaves)
    remember(floor, out.move.other, comes)
    return True


cdef int remember(Floor floor, Fact* end, Contents pieces) except -1:
    """What is moved, at this end."""
    cdef int i
    floor.store.free(end.move.moved)
    end.move.moved = NULL
    for i in range(pieces.count):
        end.move.moved = <MovedList*>floor.store.room(B_MOVED, end.move.moved, i)
        end.move.moved.items[i] = Moved(
            line=pieces.pieces[i].line, sku=pieces.pieces[i].sku, lot=pieces.pieces[i].lot, qty=pieces.pieces[i].qty)
    return 0
