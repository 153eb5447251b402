"""The floor: the state (see state.pxd) and what works on it."""

cimport cython
from libc.stdint cimport int32_t, int64_t

from ext.json_writer cimport JsonWriter
from ext.outlet cimport Outlet
from ext.state cimport (
    CartonPlan, Cycle, Decided, Changed, Fact, Line, LoadUnit, Order, PickWindow, Shipment, State, Trailer, Trouble, Waiting,
)
from ext.store cimport List, Store, find, length, nth, pair
from ext.texts cimport Texts
from ext.timers cimport Timers


cdef enum:
    COLLECT_MIN = 1 << 25       # bytes that the state grows before what nothing points to is looked for


cdef struct Rules:
    # The parameters of the rules, durations in microseconds. The names are those of the site file, less their unit.
    int64_t ctx_wait
    int64_t close_hold
    int64_t ready_hold
    int64_t hold_wall_max
    int64_t lateness
    int64_t retention
    int64_t pick_stall
    int64_t stuck               # 0: never
    int64_t ident_wait
    int64_t expectation_ttl
    int64_t loops_max
    bint short_on_close
    bint short_at_cutoff
    bint emit_partial_load      # R54: `partial_load = "emit"`


@cython.final
cdef class Floor:
    cdef Store store
    cdef State* state
    cdef Rules rules
    cdef Texts texts
    cdef Outlet outlet
    cdef Timers by_watermark    # event time: due passes when the watermark becomes greater
    cdef Timers by_wall         # wall clock: due at >=
    cdef JsonWriter scratch     # for texts that are put together
    cdef JsonWriter truth       # what `verdict_of` found, as the data of shipment.ready
    cdef size_t bytes_max       # `state_bytes_max`
    cdef Py_ssize_t own_texts   # that an empty floor has
    cdef bint in_order          # what is taken came in time, and has waited for the watermark (R20)
    cdef set closing_points     # names of the read points that stand for a close (R42)

    cdef int begin(self) except -1
    cdef int adopt(self, State* state) except -1
    cdef Fact* new_fact(self) except NULL
    cdef Trouble* new_trouble(self) except NULL
    cdef Trouble* troubled(self, PickWindow* window) except NULL
    cdef Changed* new_changed(self) except NULL
    cdef Changed* changing(self, Line* line) except NULL
    cdef Decided* new_decided(self) except NULL
    cdef Decided* deciding(self, Cycle* cycle) except NULL
    cdef Fact* copy_name(self, const Fact* fact) except NULL
    cdef str text(self, int32_t number)
    cdef str dev_id(self, const Fact* fact)
    cdef int32_t intern(self, str text) except -1
    cdef int32_t intern_scratch(self) except -1
    cdef int32_t joined(self, const char* head, int32_t text) except -1
    cdef int32_t numbered(self, int32_t text, char between, int32_t number) except -1
    cdef Line* line_of(self, int32_t order, int32_t number) except NULL
    cdef Order* order_of(self, int32_t order) except NULL
    cdef LoadUnit* unit_of(self, int32_t lu) except NULL
    cdef CartonPlan* carton_of(self, int32_t carton) except NULL
    cdef Shipment* shipment_of(self, int32_t shipment) except NULL
    cdef Trailer* trailer_of(self, int32_t trailer) except NULL

    cdef bint precedes(self, const Fact* a, const Fact* b) noexcept
    cdef int32_t insert_between(self, List** facts, Fact* fact) except -1
    cdef int insert_waiting(self, List** others, Waiting* waiting) except -1

    cdef inline int32_t insert_sorted(self, List** facts, Fact* fact) except -1:
        """Insert by R3's order; returns the position: mostly the last."""
        cdef int32_t count = length(facts[0])
        if count > 0 and fact.t <= (<Fact*>nth(facts[0], count - 1)).t:
            return self.insert_between(facts, fact)
        self.store.append(facts, fact)
        return count

    cdef inline int32_t insert_young(self, List** facts, int64_t* youngest, Fact* fact) except -1:
        """As `insert_sorted`, where the greatest event time that ever was in the list is at hand: who comes behind that need not
        look at the others, which lie cold in memory."""
        if fact.t <= youngest[0]:
            return self.insert_sorted(facts, fact)
        youngest[0] = fact.t
        self.store.append(facts, fact)
        return length(facts[0]) - 1


cdef inline int32_t first_from(const List* facts, int64_t t) noexcept:
    """Where in a sorted list the first fact at `t` or later stands; its length: nowhere."""
    cdef int32_t low = 0, high = length(facts), middle
    while low < high:
        middle = (low + high) >> 1
        if (<const Fact*>nth(facts, middle)).t < t:
            low = middle + 1
        else:
            high = middle
    return low


cdef inline int recount(int64_t* was, int64_t* now) noexcept:
    """R82: a record that was counted in one term of the account stands in another."""
    was[0] -= 1
    now[0] += 1
    return 0


cdef inline Line* find_line(const State* state, int32_t order, int32_t number) noexcept:
    """NULL: nobody has told of it."""
    return <Line*>find(state.lines, pair(order, number))
