"""The pick window: when a task (or a line without tasks) is done, with how many pieces (R20-R31).

What the facts of a window come to is a function of them (see outcomes); here they are collected, and it is decided when
what they come to is told (see pick_events).
"""

from libc.stdint cimport int32_t, int64_t

from ext.floor cimport Floor
from ext.state cimport Fact, Line, PickWindow

cdef enum PickTag:
    TAG_CLOSING = 1         # a short, deadline, carton close or cancel is due


cdef bint has_tasks(const Line* line) noexcept
cdef int open_line_window(Floor floor, Line* line) except -1
cdef PickWindow* task_of_line(Floor floor, const Line* line, int64_t t) noexcept
cdef PickWindow* new_window(Floor floor, Line* line, int32_t task) except NULL
cdef int force(Floor floor, PickWindow* window, int64_t t) except -1
cdef bint stays_dead(Floor floor, PickWindow* window) except -1
cdef int take_pick(Floor floor, PickWindow* window, Fact* fact) except -1
cdef int take_back(Floor floor, PickWindow* window, Fact* fact) except -1
cdef int take_closing(Floor floor, PickWindow* window, Fact* closing) except -1
cdef int take_cutoffs(Floor floor, PickWindow* window) except -1
cdef int move_closing(Floor floor, PickWindow* window, Fact* closing, Fact* fact, const Fact* closed_by) except -1
cdef int cancel(Floor floor, PickWindow* window, Fact* fact) except -1
cdef int uncancel(Floor floor, PickWindow* window, Fact* fact) except -1
cdef int decide_closing(Floor floor, PickWindow* window, int64_t t) except -1
cdef int decide(Floor floor, PickWindow* window, Fact* cause) except -1
cdef int tell(Floor floor, PickWindow* window, Fact* cause, int64_t as_of) except -1
