# cython: boundscheck=False, wraparound=False
"""Publish, Republish and Read responses of OPC UA, from the bytes of the message body to columns and plain values."""

cimport cython
import numpy as np

from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, realloc

from ext.json_bytes cimport Bytes
from ext.opcua_reader cimport (
    CUT, NO_SUCH_TYPE, SOUND, TOO_MANY, Reader, failed, skip, skip_diagnostic_info, skip_extension_object,
    skip_node_id, skip_text, take_count, take_i64, take_text, take_u8, take_u16, take_u32,
)
from ext.opcua_values cimport Reading, Row, make_reading, take_data_value, take_plain
from ext.opcua_values import Unfit

NOTIFICATIONS_MAX = 100_000
FIELDS_MAX = 512

cdef enum:
    _NOTIFICATIONS_MAX = 100000
    _FIELDS_MAX = 512
    # binary encoding ids (OPC 10000-6 annex A)
    READ_RESPONSE = 634
    DATA_CHANGES = 811
    STATUS_CHANGE = 820
    PUBLISH_RESPONSE = 829
    REPUBLISH_RESPONSE = 835
    EVENTS = 916

cdef dict FAULTS = {
    CUT: "it ends before its values do",
    NO_SUCH_TYPE: "a type or encoding that there is not",
    TOO_MANY: "more notifications than were asked for",
}


class Malformed(ValueError):
    """A response that cannot be read; the message says why, without content."""


cdef object malformed(Reader* r):
    return Malformed(f"malformed response: {FAULTS.get(r.fault, 'a length or depth that cannot be')}")


cdef bint take_type(Reader* r, uint32_t* number) noexcept nogil:
    """A numeric node id of namespace 0: which structure comes next. 0 for every other node id."""
    cdef Bytes first = r.at
    cdef uint8_t encoding, small
    cdef uint16_t middle
    number[0] = 0
    if not take_u8(r, &encoding):
        return False
    if encoding == 0 and take_u8(r, &small):
        number[0] = small
        return True
    if encoding == 1 and take_u8(r, &small) and take_u16(r, &middle):
        number[0] = 0 if small else middle
        return True
    if encoding == 2 and take_u16(r, &middle) and take_u32(r, number):
        number[0] = 0 if middle else number[0]
        return True
    r.at = first
    r.fault = SOUND
    return skip_node_id(r)


cdef bint take_header(Reader* r, uint32_t wanted, uint32_t* result) noexcept nogil:
    """The ResponseHeader (OPC 10000-4 section 7.34); `result`: the service's status."""
    cdef uint32_t type
    cdef int32_t count, i
    if not take_type(r, &type):
        return False
    if type != wanted:
        return failed(r, NO_SUCH_TYPE)
    if not (skip(r, 12) and take_u32(r, result) and skip_diagnostic_info(r, 0) and take_count(r, &count)):
        return False
    for i in range(count):
        if not skip_text(r):
            return False
    return skip_extension_object(r)


@cython.final
cdef class Publish:
    """See opcua_notifications.pyi."""

    cdef const unsigned char[::1] body
    cdef Row* rows
    cdef Py_ssize_t room
    cdef object library
    cdef readonly Py_ssize_t count
    cdef readonly uint32_t result
    cdef readonly uint32_t subscription_id
    cdef readonly uint32_t number
    cdef readonly object publish_us
    cdef readonly bint more
    cdef readonly bint numbered
    cdef readonly list events
    cdef readonly object ended

    def __cinit__(self, const unsigned char[::1] body, object library):
        self.body = body
        self.library = library
        self.events = []

    def __dealloc__(self):
        free(self.rows)

    @property
    def size(self):
        return self.body.shape[0]

    cdef Bytes start(self) noexcept:
        return &self.body[0] if self.body.shape[0] else NULL

    cdef bint read(self, Reader* r, bint again) except -1:
        """The body of a Publish response, or of a Republish response (`again`)."""
        cdef int32_t count
        cdef uint8_t more = 0
        if not take_header(r, REPUBLISH_RESPONSE if again else PUBLISH_RESPONSE, &self.result):
            return False
        if self.result >> 31:
            return True
        if not again:
            if not (take_u32(r, &self.subscription_id) and take_count(r, &count)):
                return False
            if not (skip(r, 4 * <int64_t>max(count, 0)) and take_u8(r, &more)):
                return False
            self.more = more != 0
        return self.read_message(r)

    cdef bint read_message(self, Reader* r) except -1:
        """A NotificationMessage (OPC 10000-4 section 7.26)."""
        cdef int64_t ticks
        cdef int32_t count, i
        if not (take_u32(r, &self.number) and take_i64(r, &ticks) and take_count(r, &count)):
            return False
        self.publish_us = (ticks - 116_444_736_000_000_000) // 10 if ticks > 116_444_736_000_000_000 else None
        self.numbered = count > 0
        for i in range(count):
            if not self.read_part(r):
                return False
        return True

    cdef bint read_part(self, Reader* r) except -1:
        cdef uint32_t type
        cdef uint8_t encoding
        cdef Bytes at
        cdef int32_t length
        cdef Reader inside
        if not (take_type(r, &type) and take_u8(r, &encoding)):
            return False
        if encoding != 1:
            return failed(r, NO_SUCH_TYPE)
        if not take_text(r, &at, &length):
            return False
        if length < 0:
            return failed(r, CUT)
        inside.at, inside.end, inside.fault = at, at + length, SOUND
        cdef bint good
        if type == DATA_CHANGES:
            good = self.read_changes(&inside)
        elif type == EVENTS:
            good = self.read_events(&inside)
        elif type == STATUS_CHANGE:
            good = self.read_ended(&inside)
        else:
            return failed(r, NO_SUCH_TYPE)
        return good or failed(r, inside.fault)

    cdef bint read_changes(self, Reader* r) except -1:
        """A DataChangeNotification: handle and DataValue of each item."""
        cdef int32_t count
        cdef Py_ssize_t i
        cdef Bytes start = self.start()
        if not take_count(r, &count):
            return False
        if self.make_room(max(count, 0)) == 0:
            return failed(r, TOO_MANY)
        cdef Row* row = self.rows + self.count
        for i in range(count):
            if not (take_u32(r, &row.handle) and take_data_value(r, start, row)):
                return False
            row += 1
            self.count += 1
        return True

    cdef int make_room(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t wanted = self.count + more
        if wanted > _NOTIFICATIONS_MAX:
            return 0
        if wanted > self.room:
            grown = realloc(self.rows, wanted * sizeof(Row))
            if grown == NULL:
                raise MemoryError
            self.rows = <Row*>grown
            self.room = wanted
        return 1

    cdef bint read_events(self, Reader* r) except -1:
        """An EventNotificationList: handle and fields of each event."""
        cdef int32_t count, i
        cdef uint32_t handle
        if not take_count(r, &count):
            return False
        if count > _NOTIFICATIONS_MAX:
            return failed(r, TOO_MANY)
        for i in range(count):
            if not take_u32(r, &handle):
                return False
            if not self.read_event(r, handle):
                return False
        return True

    cdef bint read_event(self, Reader* r, uint32_t handle) except -1:
        cdef int32_t count, i
        cdef list values = []
        fault = None
        if not take_count(r, &count):
            return False
        if count > _FIELDS_MAX:
            return failed(r, TOO_MANY)
        for i in range(count):
            try:
                values.append(take_plain(r, self.library))
            except Unfit as unfit:
                values.append(None)
                fault = fault or str(unfit)
        self.events.append((handle, values, fault))
        return True

    cdef bint read_ended(self, Reader* r) except -1:
        cdef uint32_t status
        if not take_u32(r, &status):
            return False
        self.ended = status
        return True

    def columns(self):
        """A copy of the rows as a structured array, a column a field."""
        if self.count == 0:
            return np.empty(0)
        return np.array(<Row[:self.count]>self.rows)

    def readings(self):
        cdef Py_ssize_t i
        return [(self.rows[i].handle, make_reading(&self.rows[i], self.start(), self.library)) for i in range(self.count)]


def read_publish(const unsigned char[::1] body, object library, bint again=False):
    """See opcua_notifications.pyi."""
    cdef Publish made = Publish(body, library)
    cdef Reader r
    r.at = made.start()
    r.end = r.at + body.shape[0]
    r.fault = SOUND
    try:
        good = made.read(&r, again)
    except ValueError as error:
        raise Malformed(f"malformed response: {error}") from None
    if not good:
        raise malformed(&r)
    return made


def read_values(const unsigned char[::1] body, object library):
    """See opcua_notifications.pyi."""
    cdef Reader r
    cdef Row row
    cdef uint32_t result = 0
    cdef int32_t count = 0, i
    cdef Bytes start = &body[0] if body.shape[0] else NULL
    r.at, r.end, r.fault = start, start + body.shape[0], SOUND
    if not take_header(&r, READ_RESPONSE, &result):
        raise malformed(&r)
    if result >> 31:
        return result, []
    if not take_count(&r, &count):
        raise malformed(&r)
    if count > _NOTIFICATIONS_MAX:
        r.fault = TOO_MANY
        raise malformed(&r)
    readings = []
    for i in range(count):
        if not take_data_value(&r, start, &row):
            raise malformed(&r)
        readings.append(make_reading(&row, start, library))
    return result, readings


@cython.final
cdef class Items:
    """See opcua_notifications.pyi."""

    cdef list _owners
    cdef list _names
    cdef Py_ssize_t _groups

    def __init__(self):
        self._owners = [None]  # handles are counted from 1
        self._names = [None]
        self._groups = 0

    def __len__(self):
        return len(self._names) - 1

    def add(self, Py_ssize_t owner, str name):
        if owner < 0:
            raise ValueError("an owner is numbered from 0")
        self._owners.append(owner)
        self._names.append(name)
        self._groups = max(self._groups, owner + 1)
        return len(self._names) - 1

    def owner(self, Py_ssize_t handle):
        return self._owners[handle] if 0 < handle < len(self._owners) else None

    def sort(self, publishes):
        cdef Publish publish
        cdef Row* row
        cdef Py_ssize_t i, known = len(self._names)
        cdef list notes, groups = [None] * self._groups
        cdef list found = []
        for publish in publishes:
            for i in range(publish.count):
                row = publish.rows + i
                if row.handle == 0 or row.handle >= known:
                    continue
                owner = self._owners[row.handle]
                notes = groups[owner]
                if notes is None:
                    notes = groups[owner] = []
                    found.append((owner, notes))
                notes.append((self._names[row.handle], make_reading(row, publish.start(), publish.library)))
        return found


cdef bint in_order(list notes, str last, bint* timed):
    """Whether nothing has to be sorted; `timed`: whether all have a source time."""
    cdef int64_t time, before = INT64_MIN
    cdef bint is_last, was_last = False, sorted_so_far = True
    cdef Reading reading
    cdef tuple note
    timed[0] = True
    for note in notes:
        reading = note[1]
        time = reading.source
        is_last = note[0] == last
        if time == INT64_MIN:
            timed[0] = False
            return False
        if time < before or (time == before and was_last and not is_last):
            sorted_so_far = False
        before, was_last = time, is_last
    return sorted_so_far


def ordered(list notes, str last, bint by_time=True):
    """See opcua_notifications.pyi."""
    cdef bint timed = False
    cdef Py_ssize_t i
    cdef tuple note
    if by_time and in_order(notes, last, &timed):
        return notes
    if not (by_time and timed):
        return [note for note in notes if note[0] != last] + [note for note in notes if note[0] == last]
    keys = []
    for i, note in enumerate(notes):
        keys.append(((<Reading>note[1]).source, note[0] == last, i))
    keys.sort()
    return [notes[key[2]] for key in keys]
