"""Where everything that the core knows lies: one region of memory, in blocks of known shape.

The region is reserved once, `limit` bytes of address space, and never moves: a pointer into it is good until its block
is freed. Every block says what lies in it, and a `Shape` says of each type where its pointers and its text numbers
stand. So the region can be written out as it is and read back at another address (snapshot), what nothing points to any
more can be found (`collect`), and so can the texts that nothing names, neither an element nor the key of a table.

A block is one element, or behind its `count` and `capacity` an array of them. An element begins with its pointers,
goes on with its text numbers, and ends with plain values; `describe` is told the two borders. The one pointer that is
not the address of a block is a List of a single item.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memmove, memset

from ext.texts cimport fold, share_of, stirred

cdef enum:
    UNIT = 8                # bytes: sizes are multiples of it
    SMALL_UNITS = 128       # blocks up to here have a free list a size; larger ones two sizes an octave
    FREE_LISTS = 192
    TYPES_MAX = 96


cdef enum:                  # what `mark` says of a text
    KEYED = 1               # a key of a table may name it, or is a number that looks like it
    NAMED = 2               # an element does


cdef enum:                  # types of blocks
    B_FREE = 0
    B_BYTES                 # plain bytes, no pointers
    B_LIST                  # List
    B_NUMBERS               # Numbers: text numbers
    B_TABLE                 # Table
    B_SLOTS                 # its slots, whose values are pointers; their keys are made of text numbers
    B_PLAIN_TABLE           # Table
    B_PLAIN_SLOTS           # its slots, whose values are numbers; their keys are hashes or numbers
    B_FIRST_OWN             # the types of the floor go on from here


cdef struct Block:          # stands before every body
    uint32_t units          # size in UNITs, this head included
    uint8_t type
    uint8_t marked
    uint16_t spare


cdef struct Shape:
    uint32_t lead           # bytes before the first element
    uint32_t stride         # bytes of an element; 0: the block holds nothing that is followed
    uint16_t pointers       # of an element, from its beginning
    uint16_t texts          # text numbers, right behind the pointers


cdef struct Array:          # how every block of elements begins
    int32_t count
    int32_t capacity


cdef struct List:           # of pointers, to be seen through the functions below; NULL is the empty one. Most have a single
    # item and never get another: such a list is no block, but the item's address with its lowest bit set.
    int32_t many
    int32_t capacity
    void* them[1]


cdef struct Numbers:        # of texts; NULL is the empty one
    int32_t count
    int32_t capacity
    int32_t items[1]


cdef struct Slot:
    void* value             # NULL: free
    uint64_t key            # 0 of a free one


cdef struct Table:          # open addressing, linear probing, load <= 3/4; keys are exact
    Slot* slots
    int64_t count
    uint64_t capacity           # in turns a power of two and one and a half of it
    uint64_t secret             # of the store: whoever picks keys cannot know which ones collide


cdef inline Block* head_of(const void* body) noexcept nogil:
    return (<Block*>body) - 1


cdef inline size_t units_of(size_t size) noexcept nogil:
    return (size + sizeof(Block) + UNIT - 1) // UNIT


cdef inline bint is_single(const void* list) noexcept nogil:
    return <uintptr_t>list & 1


cdef inline List* single(const void* item) noexcept nogil:
    return <List*>(<uintptr_t>item + 1)


cdef inline int32_t length(const List* list) noexcept nogil:
    return 1 if is_single(list) else list.many if list != NULL else 0


cdef inline void* nth(const List* list, int32_t i) noexcept nogil:
    """`i` from 0 to its length - 1."""
    return <void*>(<uintptr_t>list - 1) if is_single(list) else list.them[i]


@cython.final
cdef class Store:
    cdef char* base
    cdef uint64_t secret        # that its tables get: drawn anew, or that of a snapshot
    cdef size_t limit           # bytes reserved
    cdef size_t top             # bytes given out so far, from the base
    cdef size_t fetched         # bytes from the base that are memory, at least where they were written to
    cdef size_t free_bytes      # of them, in free lists
    cdef size_t rest_at         # offset of the free block that small ones are cut from,
    cdef size_t rest            # and what is left of it in UNITs
    cdef bint outgrown          # a block larger than SMALL_UNITS may be free
    cdef uint32_t heads[FREE_LISTS]     # offset in UNITs of the first free block of a size, 0: none
    cdef Shape shapes[TYPES_MAX]

    cdef int describe(self, int type, size_t size, size_t first_text, size_t first_plain) except -1
    cdef int describe_array(self, int type, size_t stride, size_t first_text, size_t first_plain) except -1

    cdef inline void* new(self, int type, size_t size) except NULL:
        """A block of zeros for `size` bytes. Raises MemoryError at the limit."""
        cdef void* body = self.new_raw(type, size)
        cdef size_t units = units_of(size)
        memset(body, 0, (units if units <= SMALL_UNITS else <size_t>head_of(body).units) * UNIT - sizeof(Block))
        return body

    cdef inline void* new_raw(self, int type, size_t size) except NULL:
        """A block whose content the caller writes, all of it, before anybody else looks."""
        cdef size_t units = units_of(size)
        cdef Block* block
        if units > SMALL_UNITS or self.heads[units] == 0:
            return self.new_other(type, size)
        block = self.take_free(<int>units)
        block.type = <uint8_t>type
        return block + 1

    cdef inline void free(self, void* body) noexcept:
        """Nothing may point to it any more. NULL is nothing, and so is a list of a single item."""
        if body == NULL or is_single(body):
            return
        if head_of(body).units <= SMALL_UNITS:
            self.put_free(head_of(body), <int>head_of(body).units)
        else:
            self.set_free(<char*>head_of(body), head_of(body).units)

    cdef inline Block* take_free(self, int list_) noexcept:
        """The first free block of a list that has one."""
        cdef Block* block = <Block*>(self.base + <size_t>self.heads[list_] * UNIT)
        self.heads[list_] = (<uint32_t*>(block + 1))[0]
        self.free_bytes -= <size_t>block.units * UNIT
        return block

    cdef inline void put_free(self, Block* block, int list_) noexcept:
        block.type = B_FREE
        self.free_bytes += <size_t>block.units * UNIT
        if list_ == 1:
            return              # no room for a link: it waits until a neighbour is free, too
        (<uint32_t*>(block + 1))[0] = self.heads[list_]
        self.heads[list_] = <uint32_t>((<char*>block - self.base) // UNIT)

    cdef void* new_other(self, int type, size_t size) except NULL
    cdef Block* take_fresh(self, size_t units) except NULL
    cdef void fetch_pages(self, size_t begin) noexcept
    cdef Block* cut(self, size_t units) noexcept
    cdef void close_rest(self) noexcept
    cdef Block* split_larger(self, int list, size_t units) noexcept
    cdef void set_free(self, char* at, size_t units) noexcept
    cdef int give_back(self, const char* old_end) noexcept

    cdef inline bint is_scarce(self, size_t units) noexcept:
        """Half of the address space is given out, or would be with so many more."""
        return 2 * (self.top + units * UNIT) > self.limit

    cdef inline size_t used(self) noexcept:
        """Bytes that hold something."""
        return self.top - self.free_bytes

    cdef int mark(self, void* root, uint8_t* named, uint32_t texts) except -1
    cdef int unmark(self) except -1
    cdef int sweep(self) except -1
    cdef void set_free_run(self, char* at, char* end, bint scarce) noexcept
    cdef int shift(self, char* region, size_t top, int64_t by) except -1

    cdef void* room(self, int type, void* array, int32_t at) except NULL
    cdef int insert(self, List** list, int32_t at, void* item) except -1

    cdef inline int append(self, List** list, void* item) except -1:
        cdef List* here = list[0]
        if here == NULL or is_single(here) or here.many == here.capacity:
            return self.insert(list, length(here), item)
        here.them[here.many] = item
        here.many += 1
        return 0

    cdef int add_number(self, Numbers** numbers, int32_t number) except -1
    cdef Table* table(self, int type) except NULL
    cdef int put(self, Table* table, uint64_t key, void* value) except -1
    cdef int grow(self, Table* table) except -1
    cdef void drop(self, Table* table, uint64_t key) noexcept
    cdef int64_t steps(self, const Table* table) noexcept


cdef inline void* first(const List* list) noexcept nogil:
    """NULL of an empty one."""
    return nth(list, 0) if list != NULL else NULL


cdef inline void* last(const List* list) noexcept nogil:
    """NULL of an empty one."""
    cdef int32_t count = length(list)
    return nth(list, count - 1) if count else NULL


cdef inline bint has_number(const Numbers* numbers, int32_t number) noexcept nogil:
    cdef int32_t i
    for i in range(numbers.count if numbers != NULL else 0):
        if numbers.items[i] == number:
            return True
    return False


cdef inline int32_t index_of(const List* list, const void* item) noexcept nogil:
    """-1: it is not there. Looked for from the end: what is asked for is mostly young."""
    cdef int32_t i = length(list) - 1
    while i >= 0 and nth(list, i) != item:
        i -= 1
    return i


cdef inline void set_nth(List** list, int32_t i, const void* item) noexcept nogil:
    if is_single(list[0]):
        list[0] = single(item)
    else:
        list[0].them[i] = <void*>item


cdef inline void remove_some(List** list, int32_t i, int32_t count) noexcept nogil:
    """So many, from `i` on."""
    cdef List* here = list[0]
    if count == 0:
        return
    if is_single(here):
        list[0] = NULL
        return
    here.many -= count
    memmove(&here.them[i], &here.them[i + count], <size_t>(here.many - i) * sizeof(void*))
    memset(&here.them[here.many], 0, <size_t>count * sizeof(void*))


cdef inline void remove_at(List** list, int32_t i) noexcept nogil:
    remove_some(list, i, 1)


cdef inline void remove(List** list, const void* item) noexcept nogil:
    cdef int32_t i = index_of(list[0], item)
    if i >= 0:
        remove_at(list, i)


cdef inline uint64_t pair(int32_t high, int32_t low) noexcept nogil:
    """The key of a table that goes by two numbers."""
    return <uint64_t><uint32_t>high << 32 | <uint32_t>low


cdef inline uint64_t home(const Table* table, uint64_t key) noexcept nogil:
    """The slot that a key would have. Keys are one or two numbers of texts, lines and the like: every bit of both halves
    counts for the place. Both factors depend on the secret."""
    return share_of(stirred(fold(key ^ table.secret, table.secret ^ 0x9E3779B97F4A7C15u)), table.capacity)


cdef inline uint64_t slot_after(const Table* table, uint64_t i) noexcept nogil:
    return i + 1 if i + 1 < table.capacity else 0


cdef inline void* find(const Table* table, uint64_t key) noexcept nogil:
    """NULL: there is none."""
    cdef uint64_t i = home(table, key)
    cdef const Slot* slot = &table.slots[i]
    while slot.value != NULL:
        if slot.key == key:
            return slot.value
        i = slot_after(table, i)
        slot = &table.slots[i]
    return NULL
