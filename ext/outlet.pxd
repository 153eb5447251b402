"""Business events on their way out: ids, revisions, canonical bytes, one counter of sequence; and exception episodes.

Who tells an event writes its `data` into `Outlet.data` (keys sorted), then calls `emit`. What left under one business
key stands in a Ledger.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from ext.json_writer cimport Digest, JsonWriter
from ext.keys cimport Key
from ext.state cimport Fact, Ledger, State
from ext.store cimport Store
from ext.texts cimport Texts


cdef enum EventType:
    PICK_CONFIRMED
    PICK_SHORT
    PICK_REVERSED
    CARTON_CLOSED
    CARTON_REOPENED
    CARTON_VOIDED
    SHIPMENT_READY
    SHIPMENT_UNREADY
    SHIPMENT_MANIFESTED
    SHIPMENT_VOIDED
    INVENTORY_DISCREPANCY
    RETURN_RECEIVED
    RETURN_DISPOSITIONED
    EXCEPTION_RAISED
    EXCEPTION_CLEARED


cdef enum Evidence:
    EXACT
    INFERRED
    INCOMPLETE


cdef struct Subject:
    # What an event is about: a literal, then a text, maybe with a number behind it.
    const char* head
    Key key


@cython.final
cdef class Outlet:
    cdef readonly str site
    cdef readonly str source
    cdef Store store
    cdef Texts texts
    cdef State* state
    cdef JsonWriter data        # of the event that is being told
    cdef JsonWriter body
    cdef JsonWriter key         # of a business key
    cdef JsonWriter named       # the key with what stands before it: what an id is a hash of
    cdef bytes source_json
    cdef list key_heads         # by type: what stands before a business key
    cdef list waiting           # emitted, not yet taken
    cdef int64_t known_minute   # whose text is kept: events come in order of time
    cdef char minute_text[17]

    cdef int key_is(self, int32_t text) except -1
    cdef Ledger* ledger(self, int type, int32_t partitionkey) except NULL
    cdef Digest saying(self, int64_t time) noexcept
    cdef bint is_said(self, const Ledger* ledger, int64_t time) noexcept
    cdef int go_on_from(self, dict revisions) except -1
    cdef bint emit(self, Ledger* ledger, Subject subject, int64_t time, int32_t correlation, const Fact* cause,
                   int evidence) except -1
    cdef int write_time(self, JsonWriter to, int64_t microseconds) except -1
    cdef int write_dev_id(self, JsonWriter to, const Fact* fact) except -1
    cdef int write_subject(self, JsonWriter to, Subject subject) except -1
    cdef int compose(self, Ledger* ledger, Subject subject, int64_t time, int32_t correlation, const Fact* cause,
                     int evidence) except -1
    cdef int raise_(self, int code, int32_t subject, int64_t time, const Fact* cause, str detail) except -1
    cdef int clear(self, int code, int32_t subject, int64_t time, const Fact* cause) except -1
    cdef bint is_raised(self, int code, int32_t subject) noexcept
    cdef int forget(self, int code, int32_t subject) noexcept
    cdef int tell_episode(self, int type, int code, int32_t subject, int64_t number, int64_t time, const Fact* cause,
                          str detail) except -1


cdef void write_base32_26(const unsigned char* raw, char* to) noexcept
cdef Fact named_source(int32_t src) noexcept
