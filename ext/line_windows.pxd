"""The window of a line without tasks (R20), and what becomes of it when its first task comes.

Picks that name only their line go to the line's own window until the event time of its first task, and to one of its tasks
from then on. What is the line's can be said when the watermark has passed that moment: until then such picks wait, and a
window that has told nothing by then becomes the first task's.
"""

from ext.floor cimport Floor
from ext.state cimport Fact, Line, PickWindow
from ext.store cimport List

cdef enum LineWindowTag:
    TAG_IN_ORDER = 43       # everything before a pick that names only its line is known
    TAG_FIRST_TASK = 44     # everything before the first task of a line is


cdef PickWindow* window_for(Floor floor, const Fact* fact) except? NULL
cdef bint waits_for_watermark(Floor floor, const Fact* fact) noexcept
cdef int wait_for_watermark(Floor floor, Fact* fact, List* entries) except -1
cdef int meet_first_task(Floor floor, Line* line, Fact* fact) except -1
cdef int leave_unit(Floor floor, Fact* fact) except -1
cdef int judge(Floor floor, Line* line) except -1
