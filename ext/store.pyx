# cython: boundscheck=False, wraparound=False, cdivision=True
"""The region and its blocks: see store.pxd."""

import os

from libc.stdlib cimport free as release, realloc
from libc.string cimport memcpy, memmove, memset
from posix.mman cimport (
    MADV_DONTNEED, MAP_ANONYMOUS, MAP_FAILED, MAP_NORESERVE, MAP_PRIVATE, PROT_READ, PROT_WRITE, madvise, mmap, munmap,
)

from ext.huge_pages cimport ask_for_huge_pages

cdef extern from *:
    void ask_for "__builtin_prefetch"(const void* at) noexcept nogil

cdef enum:
    ON_WAY = 8              # a power of two

cdef extern from "<sys/mman.h>" nogil:
    int MADV_POPULATE_WRITE     # since Linux 5.14; what refuses it brings each page when it is written to

cdef int32_t FIRST_CAPACITY = 1
cdef size_t GIVE_BACK_MIN = 1 << 20
cdef size_t PAGE = 4096
cdef size_t SMALL = 4 << 20     # a state up to here takes no more memory than it needs
cdef size_t FETCHED = 1 << 18   # bytes that the system is asked for at once: a page at a time costs it far more


cdef inline size_t units_in(int list_) noexcept nogil:
    """Of a block of a free list. Large ones are 2 and 3 times a power of two, and 1 for the head: what is behind it is
    mostly a power of two, or one and a half."""
    cdef int k = list_ - SMALL_UNITS - 1
    return list_ if k < 0 else ((<size_t>SMALL_UNITS // 2 * (2 + (k & 1))) << (k >> 1)) + 1


cdef inline int list_of(size_t units, bint enough) noexcept nogil:
    """The free list of blocks of so many units: of the next larger ones that have a list (`enough`), or of the next
    smaller ones."""
    cdef int list_ = SMALL_UNITS + 1
    if units <= SMALL_UNITS:
        return <int>units
    while units_in(list_) < units:
        list_ += 1
    return list_ if enough or units_in(list_) == units else list_ - 1


cdef struct Todo:           # bodies that are to be looked at
    void** items
    size_t count
    size_t capacity


cdef inline int remember(Todo* todo, void* body) except -1:
    cdef void* bigger
    if todo.count == todo.capacity:
        bigger = realloc(todo.items, (2 * todo.capacity + 4096) * sizeof(void*))
        if bigger == NULL:
            raise MemoryError
        todo.items = <void**>bigger
        todo.capacity = 2 * todo.capacity + 4096
    todo.items[todo.count] = body
    todo.count += 1
    return 0


cdef int follow(void* body, Shape* shapes, Todo* todo, uint8_t* named, uint32_t texts) except -1:
    """What it points to is to be looked at; what it may name is named."""
    cdef Block* block = head_of(body)
    cdef Shape* shape = &shapes[block.type]
    cdef char* at = <char*>body + shape.lead
    cdef char* end = <char*>block + <size_t>block.units * UNIT - shape.stride
    cdef uint8_t how = KEYED if block.type == B_SLOTS else NAMED
    cdef uint32_t number
    cdef uint16_t k
    if shape.stride == 0:
        return 0
    while at <= end:
        for k in range(shape.pointers):
            if (<void**>at)[k] != NULL:
                remember(todo, <void*>((<uintptr_t*>at)[k] & ~<uintptr_t>1))     # of a list, its single item
        for k in range(shape.texts):
            number = (<uint32_t*>(at + 8 * shape.pointers))[k]
            if number < texts:
                named[number] |= how
        if shape.lead == 0 and block.type != B_SLOTS:
            break                           # one element: the rest of the block is room
        at += shape.stride
    return 0


cdef class Store:
    def __cinit__(self, size_t limit):
        """`limit`: bytes of address space; pages count as memory only once they are written to."""
        cdef void* base = mmap(NULL, limit, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        if base == MAP_FAILED:
            raise MemoryError(f"no {limit} bytes of address space for the state: lower rules.state_bytes_max")
        self.base = <char*>base
        if limit > SMALL:
            ask_for_huge_pages(self.base + SMALL, limit - SMALL)
        self.secret = int.from_bytes(os.urandom(8), "little")
        self.limit = limit
        self.top = UNIT                     # offset 0 is no block
        self.shapes[B_LIST] = Shape(lead=8, stride=8, pointers=1, texts=0)
        self.shapes[B_NUMBERS] = Shape(lead=8, stride=4, pointers=0, texts=1)
        self.shapes[B_TABLE] = Shape(lead=0, stride=sizeof(Table), pointers=1, texts=0)
        self.shapes[B_SLOTS] = Shape(lead=0, stride=sizeof(Slot), pointers=1, texts=2)      # the halves of a key
        self.shapes[B_PLAIN_TABLE] = self.shapes[B_TABLE]

    def __dealloc__(self):
        if self.base != NULL:
            munmap(self.base, self.limit)

    cdef int describe(self, int type, size_t size, size_t first_text, size_t first_plain) except -1:
        """The layout of a type: its size, where its text numbers begin, where its plain values do (bytes)."""
        if type >= TYPES_MAX or size % 8 or first_text % 8 or first_plain < first_text or first_plain % 4:
            raise ValueError(f"type {type}: pointers come first, then text numbers, then plain values")
        self.shapes[type] = Shape(
            lead=0, stride=<uint32_t>size, pointers=<uint16_t>(first_text // 8),
            texts=<uint16_t>((first_plain - first_text) // 4))
        return 0

    cdef int describe_array(self, int type, size_t stride, size_t first_text, size_t first_plain) except -1:
        """An array of such elements behind its `count` and `capacity`."""
        self.describe(type, stride, first_text, first_plain)
        self.shapes[type].lead = 8
        return 0

    cdef void* new_other(self, int type, size_t size) except NULL:
        """What `new_raw` does where no block of that size waits, or where it is a large one."""
        cdef size_t units = units_of(size)
        cdef int list_ = <int>units
        cdef Block* block
        if units > SMALL_UNITS:
            list_ = list_of(units, True)
            units = units_in(list_)
        if self.heads[list_] != 0:
            block = self.take_free(list_)
        elif units <= self.rest:
            block = self.cut(units)
        elif not self.outgrown and not self.is_scarce(units):
            block = self.take_fresh(units)
        else:
            block = self.split_larger(list_, units)
            if block == NULL:
                block = self.take_fresh(units)
        block[0] = Block(units=<uint32_t>units, type=<uint8_t>type, marked=0, spare=0)
        return block + 1

    cdef Block* take_fresh(self, size_t units) except NULL:
        cdef Block* block = <Block*>(self.base + self.top)
        if self.top + units * UNIT > self.limit:
            raise MemoryError(f"the state has reached {self.limit} bytes: raise rules.state_bytes_max")
        self.top += units * UNIT
        if self.top > self.fetched:
            self.fetch_pages(<char*>block - self.base)
        return block

    cdef void fetch_pages(self, size_t begin) noexcept:
        """Those that are to be written to next, from `begin` on."""
        begin = begin // PAGE * PAGE
        self.fetched = min((self.top + FETCHED) // PAGE * PAGE, self.limit)
        madvise(self.base + begin, self.fetched - begin, MADV_POPULATE_WRITE)

    cdef Block* cut(self, size_t units) noexcept:
        """The beginning of the rest."""
        cdef Block* block = <Block*>(self.base + self.rest_at)
        self.rest_at += units * UNIT
        self.rest -= units
        self.free_bytes -= units * UNIT
        if self.rest:
            (<Block*>(self.base + self.rest_at))[0] = Block(units=<uint32_t>self.rest, type=B_FREE, marked=0, spare=0)
        return block

    cdef void close_rest(self) noexcept:
        """Into the free lists with it."""
        cdef size_t units = self.rest
        self.rest = 0
        self.free_bytes -= units * UNIT
        self.set_free(self.base + self.rest_at, units)

    cdef Block* split_larger(self, int list_, size_t units) noexcept:
        """A part of a larger free block, which becomes the rest that others are cut from; NULL: there is none. As long as
        there is address space, only what a table has grown out of is split, and into small blocks only."""
        if not self.is_scarce(units):
            if units > SMALL_UNITS:
                return NULL
            list_ = SMALL_UNITS
        for list_ in range(list_ + 1, FREE_LISTS):
            if self.heads[list_] != 0:
                self.close_rest()
                self.rest_at = <size_t>self.heads[list_] * UNIT
                self.rest = self.take_free(list_).units
                self.free_bytes += self.rest * UNIT
                return self.cut(units)
        self.outgrown = False
        return NULL

    cdef void set_free(self, char* at, size_t units) noexcept:
        """A stretch of memory becomes free blocks of sizes that have a list, the largest first."""
        cdef Block* block
        cdef size_t part
        cdef int list_
        while units:
            list_ = list_of(units, False)
            part = units_in(list_)
            block = <Block*>at
            block[0] = Block(units=<uint32_t>part, type=B_FREE, marked=0, spare=0)
            self.put_free(block, list_)
            self.outgrown |= list_ > SMALL_UNITS
            at += part * UNIT
            units -= part

    # ------------------------------------------------------------------------------------------ walking all of it

    cdef int mark(self, void* root, uint8_t* named, uint32_t texts) except -1:
        """Mark what can be reached from `root`, for `sweep` or `unmark`; say in named[n] of every text number n < `texts`
        how something reachable names it. A key may be two text numbers, or one and something else: both halves count."""
        cdef Todo todo = Todo(items=NULL, count=0, capacity=0)
        cdef void* on_way[ON_WAY]       # asked for from memory a little before they are looked at
        cdef void* body
        cdef int i = 0, coming = 0
        memset(on_way, 0, sizeof(on_way))
        try:
            remember(&todo, root)
            while todo.count or coming:
                body = on_way[i]
                on_way[i] = NULL
                coming -= body != NULL
                if todo.count:
                    todo.count -= 1
                    on_way[i] = todo.items[todo.count]
                    ask_for(head_of(on_way[i]))
                    coming += 1
                i = (i + 1) & (ON_WAY - 1)
                if body != NULL and not head_of(body).marked:
                    head_of(body).marked = 1
                    follow(body, self.shapes, &todo, named, texts)
        finally:
            release(todo.items)
        return 0

    cdef int unmark(self) except -1:
        """As if nobody had looked."""
        cdef size_t at = UNIT
        while at < self.top:
            (<Block*>(self.base + at)).marked = 0
            at += <size_t>(<Block*>(self.base + at)).units * UNIT
        return 0

    cdef int sweep(self) except -1:
        """What is not marked becomes free; what lies behind the last block goes back."""
        cdef char* at = self.base + UNIT
        cdef char* end = self.base + self.top
        cdef char* free_from = NULL
        cdef bint scarce = self.is_scarce(0)
        cdef Block* block
        memset(self.heads, 0, sizeof(self.heads))
        self.free_bytes = self.rest = 0
        while at < end:
            block = <Block*>at
            if block.marked:
                block.marked = 0
                if free_from != NULL:
                    self.set_free_run(free_from, at, scarce)
                    free_from = NULL
            elif free_from == NULL:
                free_from = at
            at += <size_t>block.units * UNIT
        if free_from != NULL:
            self.top = free_from - self.base
            self.give_back(end)
        return 0

    cdef void set_free_run(self, char* at, char* end, bint scarce) noexcept:
        """Neighbours that are free. A short run stays the blocks that it was, for such sizes will be asked for again: a fact
        that fitted between two windows fits there once more. What is long, or where room is scarce, becomes one."""
        cdef Block* block
        if scarce or <size_t>(end - at) > SMALL_UNITS * UNIT:
            self.set_free(at, <size_t>(end - at) // UNIT)
            return
        while at < end:
            block = <Block*>at
            at += <size_t>block.units * UNIT
            self.put_free(block, <int>block.units)

    cdef int give_back(self, const char* old_end) noexcept:
        """Pages behind the top that are not used any more, where they are many."""
        cdef size_t start = (self.top + PAGE - 1) // PAGE * PAGE
        if <size_t>(old_end - self.base) > start + GIVE_BACK_MIN:
            madvise(self.base + start, <size_t>(old_end - self.base) - start, MADV_DONTNEED)
            self.fetched = start
        return 0

    cdef int shift(self, char* region, size_t top, int64_t by) except -1:
        """Move every pointer of a region by so much, and wipe what free blocks still hold."""
        cdef size_t at = UNIT, size
        cdef char* element
        cdef char* end
        cdef Block* block
        cdef Shape* shape
        cdef uint16_t k
        while at < top:
            block = <Block*>(region + at)
            size = <size_t>block.units * UNIT
            if size == 0 or at + size > top or block.type >= TYPES_MAX:
                raise ValueError("a block has no end")
            at += size
            shape = &self.shapes[block.type]
            if block.type == B_FREE and block.units > 1:
                memset(<char*>(block + 1) + sizeof(uint32_t), 0, size - sizeof(Block) - sizeof(uint32_t))
            if shape.stride == 0 or shape.pointers == 0:
                continue
            end = <char*>block + size - shape.stride
            element = <char*>(block + 1) + shape.lead
            while element <= end:
                for k in range(shape.pointers):
                    if (<char**>element)[k] != NULL:
                        (<char**>element)[k] += by
                if shape.lead == 0 and block.type != B_SLOTS:
                    break
                element += shape.stride
        return 0

    # ------------------------------------------------------------------------------------------ lists

    cdef void* room(self, int type, void* array, int32_t at) except NULL:
        """Make a place at `at` for one more element: the array, maybe at another address, with `count` one higher."""
        cdef size_t stride = self.shapes[type].stride
        cdef Array* here = <Array*>array
        cdef Array* bigger
        cdef char* place
        cdef int32_t capacity
        if here == NULL or here.count == here.capacity:
            capacity = FIRST_CAPACITY if here == NULL else 2 * here.capacity
            bigger = <Array*>self.new(type, sizeof(Array) + <size_t>capacity * stride)
            bigger.capacity = <int32_t>(
                (<size_t>head_of(bigger).units * UNIT - sizeof(Block) - sizeof(Array)) // stride)
            if here != NULL:
                bigger.count = here.count
                memcpy(bigger + 1, here + 1, <size_t>here.count * stride)
                self.free(here)
            here = bigger
        if at < here.count:
            place = <char*>(here + 1) + at * stride
            memmove(place + stride, place, <size_t>(here.count - at) * stride)
        here.count += 1
        return here

    cdef int insert(self, List** list, int32_t at, void* item) except -1:
        cdef List* here = list[0]
        if here == NULL:
            list[0] = single(item)
            return 0
        if is_single(here):
            here = <List*>self.new(B_LIST, sizeof(Array) + 2 * sizeof(void*))
            here.capacity = 2
            here.many = 1
            here.them[0] = nth(list[0], 0)
        here = <List*>self.room(B_LIST, here, at)
        here.them[at] = item
        list[0] = here
        return 0

    cdef int add_number(self, Numbers** numbers, int32_t number) except -1:
        numbers[0] = <Numbers*>self.room(B_NUMBERS, numbers[0], numbers[0].count if numbers[0] != NULL else 0)
        numbers[0].items[numbers[0].count - 1] = number
        return 0

    # ------------------------------------------------------------------------------------------ tables

    cdef Table* table(self, int type) except NULL:
        """`type`: B_TABLE, or B_PLAIN_TABLE if its values are numbers."""
        cdef Table* table = <Table*>self.new(type, sizeof(Table))
        table.slots = <Slot*>self.new(type + 1, 8 * sizeof(Slot))
        table.capacity, table.secret = 8, self.secret
        return table

    cdef int put(self, Table* table, uint64_t key, void* value) except -1:
        """`value` must not be NULL; an equal key gets the new value."""
        cdef uint64_t i = home(table, key)
        while table.slots[i].value != NULL:
            if table.slots[i].key == key:
                table.slots[i].value = value
                return 0
            i = slot_after(table, i)
        if 4 * <uint64_t>table.count >= 3 * table.capacity:
            self.grow(table)
            i = free_slot(table, key)
        table.slots[i].key = key
        table.slots[i].value = value
        table.count += 1
        return 0

    cdef int grow(self, Table* table) except -1:
        """By half of a power of two: what doubles is half empty for long, and a million windows have many such tables."""
        cdef Slot* old = table.slots
        cdef uint64_t capacity = table.capacity, i
        table.capacity = capacity // 2 * 3 if capacity & (capacity - 1) == 0 else capacity // 3 * 4
        try:
            table.slots = <Slot*>self.new(head_of(table).type + 1, table.capacity * sizeof(Slot))
        except MemoryError:
            table.capacity = capacity
            raise
        for i in range(capacity):
            if old[i].value != NULL:
                table.slots[free_slot(table, old[i].key)] = old[i]
        self.free(old)
        return 0

    cdef void drop(self, Table* table, uint64_t key) noexcept:
        """Those behind it move up, so that no gap breaks a search."""
        cdef uint64_t i = home(table, key), k
        while table.slots[i].key != key or table.slots[i].value == NULL:
            if table.slots[i].value == NULL:
                return
            i = slot_after(table, i)
        k = slot_after(table, i)
        while table.slots[k].value != NULL:
            if steps_from_home(table, k) >= steps_between(table, i, k):
                table.slots[i] = table.slots[k]
                i = k
            k = slot_after(table, k)
        table.slots[i] = Slot(value=NULL, key=0)
        table.count -= 1

    cdef int64_t steps(self, const Table* table) noexcept:
        """How many slots all keys together lie behind their own: what collisions cost."""
        cdef uint64_t i
        cdef int64_t total = 0
        for i in range(table.capacity):
            if table.slots[i].value != NULL:
                total += steps_from_home(table, i)
        return total


cdef inline uint64_t free_slot(const Table* table, uint64_t key) noexcept:
    """For a key that is not there."""
    cdef uint64_t i = home(table, key)
    while table.slots[i].value != NULL:
        i = slot_after(table, i)
    return i


cdef inline uint64_t steps_between(const Table* table, uint64_t i, uint64_t k) noexcept:
    """From slot i on to slot k."""
    return k - i if k >= i else k + table.capacity - i


cdef inline uint64_t steps_from_home(const Table* table, uint64_t i) noexcept:
    return steps_between(table, home(table, table.slots[i].key), i)
