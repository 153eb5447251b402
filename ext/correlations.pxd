"""What an event is about: `correlationid` is the order if exactly one is concerned, else the shipment, else its subject.

Of an exception it is told by the subject's name alone (`concerned`), and by what is known of it at that moment.
"""

from libc.stdint cimport int32_t, int64_t

from ext.state cimport Shipment, State
from ext.texts cimport Texts


cdef int32_t of_shipment(const Shipment* shipment, int64_t as_of) noexcept
cdef int32_t concerned(State* state, Texts texts, int32_t subject, int64_t t) except -1
cdef bint is_remembered(State* state, Texts texts, int32_t subject) except -1
