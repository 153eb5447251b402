# cython: boundscheck=False, wraparound=False, cdivision=True
"""Timers: see timers.pxd."""

from libc.stdint cimport uint8_t, uint64_t
from libc.stdio cimport snprintf
from libc.string cimport memcmp, memcpy, memset

from ext.json_writer cimport write_digits
from ext.keys cimport KEY_CYCLE, KEY_FACT, KEY_LINE, KEY_ORDER, KEY_PLACE, KEY_TASK
from ext.premises_data cimport Place, Scan
from ext.state cimport B_FACT, B_PLACE, B_SCAN, B_TIMER, Fact
from ext.store cimport head_of, last, length, nth, remove_at
from ext.wheel cimport LEVELS, SLOTS, TICK_BITS

cdef extern from *:
    """
    static inline int sortline_highest_bit(uint64_t x) { return 63 - __builtin_clzll(x); }
    static inline int sortline_lowest_bit(uint64_t x) { return __builtin_ctzll(x); }
    """
    int highest_bit "sortline_highest_bit"(uint64_t x) noexcept nogil
    int lowest_bit "sortline_lowest_bit"(uint64_t x) noexcept nogil

cdef enum:
    COMPOSED_MAX = 3 * 4096 + 64


cdef inline const Fact* fact_of(const Timer* timer) noexcept:
    """What it is about, if that is one fact; else NULL."""
    cdef int type_ = head_of(timer.target).type
    if type_ == B_FACT:
        return <const Fact*>timer.target
    return (<const Scan*>timer.target).fact if type_ == B_SCAN else NULL


cdef class Timers:
    def __cinit__(self, Store store not None, Texts texts not None):
        self.store = store
        self.texts = texts
        self.soonest = NEVER

    cdef void adopt(self, Wheel* wheel) noexcept:
        """Go on with these timers: none, or those of a snapshot."""
        cdef int at
        cdef Timer* timer
        self.wheel = wheel
        for at in range(LEVELS * SLOTS):
            self.first[at] = NEVER
            timer = wheel.slots[at]
            while timer != NULL:
                self.first[at] = min(self.first[at], timer.due)
                timer = timer.next
        self.soonest = self.next_due()

    cdef int64_t count(self) noexcept:
        return self.wheel.in_wheel + length(self.wheel.heap)

    cdef int push(self, int64_t due, int rank, Key key, void* target, int tag, int64_t value) except -1:
        """R4: have `target` called with `tag` at `due`; of equal due times `rank` and `key` say which goes first."""
        cdef Timer* timer = <Timer*>self.store.new(B_TIMER, sizeof(Timer))
        timer.target, timer.due, timer.value = target, due, value
        timer.a, timer.number, timer.form = key.a, key.number, key.form
        timer.rank, timer.tag = <uint8_t>rank, <uint8_t>tag
        timer.serial = self.wheel.serial
        self.wheel.serial += 1
        if due < self.soonest:
            self.soonest = due
        if due >> TICK_BITS <= self.wheel.tick:
            return self.into_heap(timer)
        self.place(timer)
        self.wheel.in_wheel += 1
        return 0

    # ------------------------------------------------------------------------------------------ the wheel

    cdef void place(self, Timer* timer) noexcept:
        """Into the level where its tick first differs from the current one."""
        cdef int64_t tick = timer.due >> TICK_BITS
        cdef int level = highest_bit(<uint64_t>(tick ^ self.wheel.tick)) // 6
        cdef int slot = <int>(tick >> 6 * level) & (SLOTS - 1)
        cdef int at = level * SLOTS + slot
        timer.next = self.wheel.slots[at]
        self.wheel.slots[at] = timer
        self.first[at] = min(self.first[at], timer.due)
        self.wheel.taken[level] |= <uint64_t>1 << slot

    cdef int first_slot(self) noexcept:
        """level * SLOTS + slot of the soonest timers in the wheel; -1: it is empty."""
        cdef int level, here
        cdef uint64_t ahead
        if self.wheel.in_wheel == 0:
            return -1
        for level in range(LEVELS):
            here = <int>(self.wheel.tick >> 6 * level) & (SLOTS - 1)
            ahead = self.wheel.taken[level] & ~((<uint64_t>2 << here) - 1)
            if ahead:
                return level * SLOTS + lowest_bit(ahead)
        return -1

    cdef int64_t start_of(self, int at) noexcept:
        """The first tick of a slot."""
        cdef int level = at // SLOTS, slot = at % SLOTS
        return (self.wheel.tick >> 6 * (level + 1) << 6 | slot) << 6 * level if level < LEVELS - 1 else (
            <int64_t>slot << 6 * level)

    cdef int turn(self, int64_t until) except -1:
        """Bring what may be due at or before `until` into the heap, if the heap has nothing."""
        cdef int at
        cdef int64_t tick
        cdef Timer* timer
        cdef Timer* next
        while length(self.wheel.heap) == 0:
            at = self.first_slot()
            if at < 0:
                break
            tick = self.start_of(at)
            if tick > until >> TICK_BITS:
                self.soonest = tick << TICK_BITS
                return 0
            self.wheel.tick = tick
            timer = self.wheel.slots[at]
            self.wheel.slots[at] = NULL
            self.first[at] = NEVER
            self.wheel.taken[at // SLOTS] &= ~(<uint64_t>1 << at % SLOTS)
            while timer != NULL:
                next = timer.next
                timer.next = NULL
                if timer.due >> TICK_BITS <= tick:
                    self.wheel.in_wheel -= 1
                    self.into_heap(timer)
                else:
                    self.place(timer)
                timer = next
        self.soonest = (<Timer*>nth(self.wheel.heap, 0)).due if length(self.wheel.heap) else NEVER
        return 0

    cdef bint is_due(self, int64_t before) except -1:
        """Is anything due before that time?"""
        if self.soonest >= before:
            return False
        self.turn(before)
        return self.soonest < before

    cdef int64_t next_due(self) noexcept:
        """Exactly; NEVER: there is no timer."""
        cdef int at
        if length(self.wheel.heap):
            return (<Timer*>nth(self.wheel.heap, 0)).due
        at = self.first_slot()
        return self.first[at] if at >= 0 else NEVER

    # ------------------------------------------------------------------------------------------ the heap

    cdef int into_heap(self, Timer* timer) except -1:
        cdef int32_t i = length(self.wheel.heap), parent
        cdef void** items
        self.store.append(&self.wheel.heap, timer)
        if i == 0:
            return 0
        items = self.wheel.heap.them
        while i > 0:
            parent = (i - 1) >> 1
            if not self.earlier(timer, <Timer*>items[parent]):
                break
            items[i] = items[parent]
            i = parent
        items[i] = timer
        return 0

    cdef void* pop(self) except NULL:
        """Take the first timer: returns its target; due, rank, tag and value are left in the attributes."""
        cdef Timer* first = <Timer*>nth(self.wheel.heap, 0)
        cdef Timer* moved = <Timer*>last(self.wheel.heap)
        cdef void* target = first.target
        cdef int32_t count = length(self.wheel.heap) - 1
        remove_at(&self.wheel.heap, count)
        if count:
            self.sift_down(self.wheel.heap.them, count, moved)
        self.due, self.rank, self.tag, self.value = first.due, first.rank, first.tag, first.value
        self.store.free(first)
        self.soonest = (<Timer*>nth(self.wheel.heap, 0)).due if count else self.due
        return target

    cdef void sift_down(self, void** items, int32_t count, Timer* moved) noexcept:
        """The first place is free: what of the heap is earlier than `moved` goes up until that has one."""
        cdef int32_t i = 0, child = 1
        while child < count:
            if child + 1 < count and self.earlier(<Timer*>items[child + 1], <Timer*>items[child]):
                child += 1
            if not self.earlier(<Timer*>items[child], moved):
                break
            items[i] = items[child]
            i = child
            child = 2 * i + 1
        items[i] = moved

    cdef bint earlier(self, const Timer* a, const Timer* b) noexcept:
        """R4: by due time, then pick, carton, shipment, inventory (`Rank`), then key."""
        if a.due != b.due:
            return a.due < b.due
        if a.rank != b.rank:
            return a.rank < b.rank
        cdef int order = self.compare_keys(a, b)
        if order == 0 and a.form != KEY_FACT:
            order = self.compare_facts(fact_of(a), fact_of(b))
        return order < 0 if order else a.serial < b.serial

    cdef int compare_facts(self, const Fact* a, const Fact* b) noexcept:
        """R3, of one object and moment: whichever arrived first. 0: they are not about facts, or about the same."""
        cdef char left[COMPOSED_MAX]
        cdef char right[COMPOSED_MAX]
        cdef Py_ssize_t m, n
        cdef int order
        if a == NULL or b == NULL or a == b:
            return 0
        m = self.compose_fact(left, a)
        n = self.compose_fact(right, b)
        order = memcmp(left, right, min(m, n))
        return order if order else (m > n) - (m < n)

    cdef int compare_keys(self, const Timer* a, const Timer* b) noexcept:
        cdef char left[COMPOSED_MAX]
        cdef char right[COMPOSED_MAX]
        cdef Py_ssize_t m, n
        cdef int order
        if a.form == b.form and a.form <= KEY_CYCLE and a.a == b.a and a.number == b.number:
            return 0
        m = self.compose(a, left)
        n = self.compose(b, right)
        order = memcmp(left, right, min(m, n))
        return order if order else (m > n) - (m < n)

    cdef Py_ssize_t compose(self, const Timer* timer, char* to) noexcept:
        """The key as text: only where two are due at the same moment."""
        cdef Py_ssize_t n = 0
        cdef const Fact* fact
        cdef const Place* place
        if timer.form == KEY_TASK:
            n = self.add(to, n, b"task/", 5)
        elif timer.form == KEY_ORDER:
            n = self.add(to, n, b"order/", 6)
        if timer.form == KEY_FACT:
            fact = <const Fact*>timer.target
            return self.compose_fact(to, fact if head_of(fact).type == B_FACT else (<const Fact**>fact)[0])
        if timer.form == KEY_PLACE:
            place = <const Place*>timer.target
            if head_of(place).type != B_PLACE:
                place = (<const Place**>place)[0]
            n = self.add(to, self.add_text(to, n, place.loc), b"/", 1)
            n = self.add(to, self.add_text(to, n, place.sku), b"/", 1)
            return self.add_text(to, n, place.lot)
        n = self.add_text(to, n, timer.a)
        if timer.form == KEY_LINE or timer.form == KEY_CYCLE:
            n += snprintf(to + n, 16, b"/%d" if timer.form == KEY_LINE else b"#%d", timer.number)
        return n

    cdef Py_ssize_t compose_fact(self, char* to, const Fact* fact) noexcept:
        cdef Py_ssize_t n = self.add_padded(to, self.add_text(to, 0, fact.src), fact.epoch)
        return self.add_padded(to, self.add_padded(to, n, fact.seq), fact.sub)

    cdef Py_ssize_t add_text(self, char* to, Py_ssize_t n, int32_t text) noexcept:
        return self.add(to, n, self.texts.bytes_of(text), self.texts.length_of(text))

    cdef Py_ssize_t add_padded(self, char* to, Py_ssize_t n, int64_t number) noexcept:
        """A slash and 20 digits, whose order is that of the numbers; one below zero, which says "none", comes first."""
        to[n] = c"/"
        if number < 0:
            memset(to + n + 1, c"-", 20)
        else:
            write_digits(to + n + 1, number, 20)
        return n + 21

    cdef Py_ssize_t add(self, char* to, Py_ssize_t n, const char* text, Py_ssize_t length) noexcept:
        memcpy(to + n, text, length)
        return n + length
