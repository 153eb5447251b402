# cython: boundscheck=False, wraparound=False
"""Data values of OPC UA read in place into rows, and rows made plain Python values."""

import uuid

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport INT64_MIN, int8_t, int16_t, uint16_t, uint64_t
from libc.string cimport memcpy

from ext.opcua_reader cimport (
    ARRAY_BIT, BOOLEAN, BYTE_STRING, DATE_TIME, DIMENSIONS_BIT, DOUBLE, FLOAT, GUID, INT16, INT32, LOCALIZED_TEXT,
    NODE_ID, NO_SUCH_TYPE, NULL_TYPE, QUALIFIED_NAME, SBYTE, SERVER_PICOSECONDS_BIT, SERVER_TIME_BIT, SOUND,
    SOURCE_PICOSECONDS_BIT, SOURCE_TIME_BIT, STATUS_BIT, STRING, TYPES, TYPE_BITS, UINT64, VALUE_BIT, failed, skip,
    skip_node_id, skip_value, skip_values, take_count, take_i64, take_text, take_u8, take_u16, take_u32, width,
)

DEPTH_MAX = 32
ELEMENTS_MAX = 4_096
TEXT_BYTES_MAX = 65_536
STRUCTURE_BYTES_MAX = 65_536

cdef enum:
    _ELEMENTS_MAX = 4096
    _TEXT_BYTES_MAX = 65536
    _STRUCTURE_BYTES_MAX = 65536

NO_TIME = INT64_MIN

cdef int64_t EPOCH_TICKS = 116_444_736_000_000_000      # 1970 in OPC UA's 100 ns since 1601
cdef int64_t LAST_TICKS = 2_650_152_384_000_000_000     # the year 9999 begins: its greatest date stands for none

# Part 4 section 7.39.1: bits 10-11 = 01 say that the low bits speak of a data value; bit 7 then is Overflow.
cdef uint32_t INFO_TYPE_MASK = 0x0C00
cdef uint32_t OF_DATA_VALUE = 0x0400
cdef uint32_t OVERFLOW = 0x0080


class Unfit(Exception):
    """A value has no plain form; the message says why."""


cdef inline int64_t microseconds(int64_t ticks) noexcept nogil:
    return (ticks - EPOCH_TICKS) // 10 if EPOCH_TICKS + 10 <= ticks < LAST_TICKS else INT64_MIN


# Into rows.

cdef inline bint take_time(Reader* r, int64_t* us) noexcept nogil:
    cdef int64_t ticks
    if not take_i64(r, &ticks):
        return False
    us[0] = microseconds(ticks)
    return True


cdef inline bint take_number(Reader* r, int type, int64_t* number) noexcept nogil:
    """A value of a fixed size, as 64 bits: see `Row.number`. A GUID is passed over."""
    cdef int size = width(type)
    cdef uint64_t bits = 0
    cdef float narrow
    cdef double wide
    if r.end - r.at < size:
        return skip(r, size)
    if size <= 8:
        memcpy(&bits, r.at, size)
    if type == SBYTE:
        number[0] = <int8_t>bits
    elif type == INT16:
        number[0] = <int16_t>bits
    elif type == INT32:
        number[0] = <int32_t>bits
    elif type == FLOAT:
        memcpy(&narrow, r.at, 4)
        wide = narrow
        memcpy(number, &wide, 8)
    elif type == DATE_TIME:
        number[0] = microseconds(<int64_t>bits)
    else:
        number[0] = bits != 0 if type == BOOLEAN else <int64_t>bits
    r.at += size
    return True


cdef bint take_variant(Reader* r, Bytes start, Row* row) noexcept nogil:
    """Type, form, extent and if it is one the number of a Variant (OPC 10000-6 section 5.2.2.16)."""
    cdef Bytes first = r.at
    cdef Bytes text
    cdef uint8_t encoding
    cdef int32_t dimensions
    if not take_u8(r, &encoding):
        return False
    row.type = encoding & TYPE_BITS
    row.at = first - start
    if encoding & ARRAY_BIT:
        row.form = MATRIX if encoding & DIMENSIONS_BIT else ARRAY
        if not take_count(r, &row.count) or not skip_values(r, row.type, row.count, 1):
            return False
        if encoding & DIMENSIONS_BIT and not (take_count(r, &dimensions) and skip_values(r, INT32, dimensions, 1)):
            return False
    elif encoding & DIMENSIONS_BIT:
        return failed(r, NO_SUCH_TYPE)
    else:
        row.form = SCALAR
        if width(row.type):
            if not take_number(r, row.type, &row.number):
                return False
        elif row.type == STRING or row.type == BYTE_STRING:
            if not take_text(r, &text, &row.count):
                return False
        elif not skip_value(r, row.type, 1):
            return False
    row.length = <int32_t>(r.at - first)
    return True


cdef bint take_data_value(Reader* r, Bytes start, Row* row) noexcept nogil:
    """A DataValue (OPC 10000-6 section 5.2.2.17) into a row, its handle left alone. `start`: of the message."""
    cdef uint8_t mask
    row.source_us = row.server_us = INT64_MIN
    row.number = row.at = 0
    row.status = 0
    row.length = row.count = 0
    row.type = NULL_TYPE
    row.form = ABSENT
    return (
        take_u8(r, &mask)
        and (not mask & VALUE_BIT or take_variant(r, start, row))
        and (not mask & STATUS_BIT or take_u32(r, &row.status))
        and (not mask & SOURCE_TIME_BIT or take_time(r, &row.source_us))
        and (not mask & SOURCE_PICOSECONDS_BIT or skip(r, 2))
        and (not mask & SERVER_TIME_BIT or take_time(r, &row.server_us))
        and (not mask & SERVER_PICOSECONDS_BIT or skip(r, 2))
    )


# Rows to plain values. What is read here has been looked through before, so that no read can fail.

cdef object text_of(Bytes at, int32_t length):
    if length > _TEXT_BYTES_MAX:
        raise Unfit("value: text too long")
    try:
        return PyUnicode_DecodeUTF8(<const char*>at, length, NULL)
    except UnicodeDecodeError:
        raise Unfit("value: a text that is not UTF-8") from None


cdef object hex_of(Bytes at, int32_t length):
    if length > _TEXT_BYTES_MAX:
        raise Unfit("value: byte string too long")
    return PyBytes_FromStringAndSize(<const char*>at, length).hex()


cdef object number_of(int type, int64_t number):
    cdef double wide
    if type == BOOLEAN:
        return number != 0
    if type == FLOAT or type == DOUBLE:
        memcpy(&wide, &number, 8)
        return wide
    if type == UINT64:
        return <uint64_t>number
    if type == DATE_TIME:
        return number if number != INT64_MIN else 0
    return number


cdef object guid_of(Bytes at):
    return str(uuid.UUID(bytes_le=PyBytes_FromStringAndSize(<const char*>at, 16)))


cdef object node_id_of(Reader* r):
    """The text of a node id as the site file writes it; None for one that is left to the library."""
    cdef Bytes first = r.at
    cdef uint8_t encoding = 0, short_space = 0, short_number = 0
    cdef uint16_t space = 0, number16 = 0
    cdef uint32_t number = 0
    cdef Bytes text = first
    cdef int32_t length = 0
    take_u8(r, &encoding)
    if encoding == 0:
        take_u8(r, &short_number)
        number = short_number
    elif encoding == 1:
        take_u8(r, &short_space)
        take_u16(r, &number16)
        space, number = short_space, number16
    elif encoding == 2:
        take_u16(r, &space)
        take_u32(r, &number)
    elif encoding == 3:
        take_u16(r, &space)
        take_text(r, &text, &length)
        name = text_of(text, max(length, 0))
        return f"ns={space};s={name}" if space else f"s={name}"
    else:
        r.at = first
        skip_node_id(r)
        return None
    return f"ns={space};i={number}" if space else f"i={number}"


cdef object localized_of(Reader* r):
    cdef uint8_t mask = 0
    cdef Bytes text = r.at
    cdef int32_t length = 0
    take_u8(r, &mask)
    if mask & 1:
        take_text(r, &text, &length)
    if not mask & 2:
        return ""
    take_text(r, &text, &length)
    return text_of(text, max(length, 0))


cdef object scalar_of(Reader* r, int type):
    """The value that comes next. None also for a kind of node id that is left to the library."""
    cdef int64_t number = 0
    cdef uint16_t space
    cdef Bytes text = r.at
    cdef int32_t length = 0
    if type == GUID:
        skip(r, 16)
        return guid_of(text)
    if width(type):
        take_number(r, type, &number)
        return number_of(type, number)
    if type == NODE_ID:
        return node_id_of(r)
    if type == LOCALIZED_TEXT:
        return localized_of(r)
    if type == QUALIFIED_NAME:
        take_u16(r, &space)
        take_text(r, &text, &length)
        return text_of(text, max(length, 0))
    take_text(r, &text, &length)
    if length < 0:
        return None
    return text_of(text, length) if type == STRING else hex_of(text, length)


cdef inline bint is_ours(int type) noexcept nogil:
    """Whether values of the type are made here; structures, and values inside values, are the library's."""
    return width(type) or type == STRING or type == BYTE_STRING or type == NODE_ID or (
        type == QUALIFIED_NAME or type == LOCALIZED_TEXT or type >= TYPES
    )


cdef object by_library(Bytes at, int32_t length, object library):
    if length > _STRUCTURE_BYTES_MAX:
        raise Unfit("value: structure too large")
    return by_library_bytes(PyBytes_FromStringAndSize(<const char*>at, length), library)


cdef object by_library_bytes(bytes encoded, object library):
    value, fault = library(encoded)
    if fault is not None:
        raise Unfit(fault)
    return value


cdef object plain_of(const Row* row, Bytes start, object library):
    """The plain form. Raises Unfit."""
    cdef Bytes at = start + row.at
    cdef Reader r
    cdef int32_t i
    if row.form == SCALAR and width(row.type) and row.type != GUID:
        return number_of(row.type, row.number)
    if row.form == ABSENT or row.type == NULL_TYPE:
        return None
    if row.form != SCALAR and row.count > _ELEMENTS_MAX:
        raise Unfit(f"value: more than {ELEMENTS_MAX} elements")
    if row.form == MATRIX or not is_ours(row.type):
        return by_library(at, row.length, library)
    r.at, r.end, r.fault = at + 1, at + row.length, SOUND
    if row.form == SCALAR:
        value = scalar_of(&r, row.type)
        return value if value is not None or row.type != NODE_ID else by_library(at, row.length, library)
    if row.count < 0:
        return None
    r.at += 4
    elements = [scalar_of(&r, row.type) for i in range(row.count)]
    return elements if row.type != NODE_ID or None not in elements else by_library(at, row.length, library)


@cython.freelist(256)
@cython.no_gc  # plain values hold nothing that could hold them
cdef class Reading:
    def __init__(self, value, status=0, source_us=None, server_us=None, fault=None):
        self.value = value
        self.status = status
        self.source = INT64_MIN if source_us is None else source_us
        self.server = INT64_MIN if server_us is None else server_us
        self.fault = fault

    @property
    def source_us(self):
        return None if self.source == INT64_MIN else self.source

    @property
    def server_us(self):
        return None if self.server == INT64_MIN else self.server

    @property
    def bad(self):
        return self.status >> 31 == 1 or self.fault is not None

    @property
    def overflow(self):
        return self.status & INFO_TYPE_MASK == OF_DATA_VALUE and self.status & OVERFLOW != 0

    @property
    def sound(self):
        return self.status == 0 and self.fault is None

    def time_us(self, str time):
        if time == "none":
            return None
        return self.source_us if time == "source" else self.server_us

    def __repr__(self):
        return f"Reading({self.value!r}, {self.status:#x}, {self.source_us}, {self.server_us}, {self.fault!r})"


cdef Reading make_reading(const Row* row, Bytes start, object library):
    """Never raises for what a server sends: a value that has no plain form carries its fault."""
    cdef Reading made = Reading.__new__(Reading)
    made.status = row.status
    made.source = row.source_us
    made.server = row.server_us
    if row.status >> 31 == 0:
        try:
            made.value = plain_of(row, start, library)
        except Unfit as unfit:
            made.fault = str(unfit)
    return made


cdef object take_plain(Reader* r, object library):
    """The plain form of the Variant that comes next. Raises Unfit, ValueError (it is cut or no Variant)."""
    cdef Row row
    cdef Bytes start = r.at
    row.form = ABSENT
    row.number = row.count = 0
    if not take_variant(r, start, &row):
        raise ValueError("a field that is cut off")
    return plain_of(&row, start, library)


@cython.final
cdef class Cursor:
    """See opcua_values.pyi."""

    cdef bytes data
    cdef Reader r
    cdef object library

    def __init__(self, bytes data, object library):
        self.data = data
        self.library = library
        self.r.at = data
        self.r.end = self.r.at + len(data)
        self.r.fault = SOUND

    @property
    def left(self):
        return self.r.end - self.r.at

    def take(self, int type):
        cdef Bytes first = self.r.at
        if not BOOLEAN <= type < TYPES or not skip_value(&self.r, type, 1):
            raise Unfit("value: a structure that ends before its members do")
        cdef Bytes end = self.r.at
        if is_ours(type):
            self.r.at = first
            value = scalar_of(&self.r, type)
            self.r.at = end
            if value is not None or type != NODE_ID:
                return value
        return by_library_bytes(bytes([type]) + PyBytes_FromStringAndSize(<const char*>first, end - first), self.library)

    def variant(self):
        try:
            return take_plain(&self.r, self.library)
        except ValueError:
            raise Unfit("value: a structure that ends before its members do") from None

    def skip(self, int type):
        if not BOOLEAN <= type < TYPES or not skip_value(&self.r, type, 1):
            raise Unfit("value: a structure that ends before its members do")

    def count(self):
        cdef int32_t count
        if not take_count(&self.r, &count):
            raise Unfit("value: a structure that ends before its members do")
        if count > _ELEMENTS_MAX:
            raise Unfit(f"value: more than {ELEMENTS_MAX} elements")
        return count
