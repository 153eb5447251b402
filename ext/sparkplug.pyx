# cython: boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Sparkplug B payloads (Protocol Buffers; Eclipse Sparkplug 3.0, section 6.4) into plain values.

Payload {1 timestamp, 2 metrics, 3 seq, 4 uuid, 5 body}; Metric {1 name, 2 alias, 3 timestamp, 4 datatype,
5 is_historical, 6 is_transient, 7 is_null, 8 metadata, 9 properties, 10 int, 11 long, 12 float, 13 double, 14 boolean,
15 string, 16 bytes, 17 dataset, 18 template}; DataSet {1 columns, 2 names, 3 types, 4 rows}; Row {1 elements};
element {1 int, 2 long, 3 float, 4 double, 5 boolean, 6 string}. A uuid of `SPBV1.0_COMPRESSED` is how Eclipse Tahu says that
the body is the payload, compressed.

Unknown fields are passed over; of a field that comes twice the last one counts (both as Protocol Buffers want it).
"""

import zlib

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

ctypedef const unsigned char* Bytes

cdef enum Wire:
    VARINT = 0
    FIXED64 = 1
    LENGTH = 2
    FIXED32 = 5

cdef enum Type:
    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    BOOLEAN = 11

cdef enum:
    COLUMNS_MAX = 256
    PAYLOAD_BYTES_MAX = 262144

cdef bytes COMPRESSED = b"SPBV1.0_COMPRESSED"

cdef struct Field:
    uint32_t number
    int wire
    uint64_t word           # varint or fixed
    Bytes at                # of LENGTH
    Py_ssize_t length


Metric = tuple
"""See sparkplug.pyi."""


Report = tuple


class SparkplugFault(ValueError):
    """Bytes that are no Sparkplug payload: says what of them."""


class Unborn(Exception):
    """A message speaks of what no birth has introduced: says what."""


cdef int read_varint(Bytes* at, Bytes end, uint64_t* number) noexcept nogil:
    """1; 0: it does not end, or has more than ten bytes."""
    cdef int shift = 0
    cdef uint64_t byte
    number[0] = 0
    while at[0] < end and shift < 70:
        byte = at[0][0]
        at[0] += 1
        number[0] |= (byte & 0x7F) << shift if shift < 64 else 0
        if byte < 0x80:
            return 1
        shift += 7
    return 0


cdef int read_field(Bytes* at, Bytes end, Field* field) except -1:
    """The next field, at least one byte before `end`."""
    cdef uint64_t key = 0
    cdef uint32_t word = 0
    if not read_varint(at, end, &key) or key >> 3 == 0 or key >> 3 > 0x1FFFFFFF:
        raise SparkplugFault("a field that cannot be read")
    field.number = <uint32_t>(key >> 3)
    field.wire = key & 7
    if field.wire == VARINT:
        if not read_varint(at, end, &field.word):
            raise SparkplugFault("a number that does not end")
    elif field.wire == FIXED64:
        if end - at[0] < 8:
            raise SparkplugFault("a number that goes over the end")
        memcpy(&field.word, at[0], 8)
        at[0] += 8
    elif field.wire == FIXED32:
        if end - at[0] < 4:
            raise SparkplugFault("a number that goes over the end")
        memcpy(&word, at[0], 4)
        field.word = word
        at[0] += 4
    elif field.wire == LENGTH:
        if not read_varint(at, end, &field.word) or field.word > <uint64_t>(end - at[0]):
            raise SparkplugFault("a part that goes over the end")
        field.at = at[0]
        field.length = <Py_ssize_t>field.word
        at[0] += field.length
    else:
        raise SparkplugFault("a field of a kind that there is not")
    return 0


cdef int expect(const Field* field, int wire) except -1:
    if field.wire != wire:
        raise SparkplugFault(f"field {field.number} of another kind")
    return 0


cdef str text_of(const Field* field):
    expect(field, LENGTH)
    try:
        return (<const char*>field.at)[:field.length].decode()
    except UnicodeDecodeError:
        raise SparkplugFault("a text that is not UTF-8") from None


cdef double double_of(uint64_t word) noexcept nogil:
    cdef double number
    memcpy(&number, &word, 8)
    return number


cdef float float_of(uint64_t word) noexcept nogil:
    cdef uint32_t half = <uint32_t>word
    cdef float number
    memcpy(&number, &half, 4)
    return number


def decode(bytes payload not None, Py_ssize_t bytes_max=PAYLOAD_BYTES_MAX):
    timestamp, seq, metrics, body = payload_of(payload)
    if body is None:
        return timestamp, seq, metrics
    timestamp, seq, metrics, body = payload_of(inflated(body, bytes_max))
    if body is not None:
        raise SparkplugFault("a compressed payload inside of a compressed one")
    return timestamp, seq, metrics


cdef bytes inflated(bytes body, Py_ssize_t bytes_max):
    """DEFLATE (with the frame of zlib) or GZIP: the frame tells, so that nobody has to."""
    unpacker = zlib.decompressobj(32 + zlib.MAX_WBITS)
    try:
        found = unpacker.decompress(body, bytes_max + 1)
    except zlib.error:
        raise SparkplugFault("a compressed payload that cannot be read") from None
    if len(found) > bytes_max:
        raise SparkplugFault(f"a payload longer than {bytes_max} bytes")
    if not unpacker.eof:
        raise SparkplugFault("a compressed payload that does not end")
    return found


cdef tuple payload_of(bytes payload):
    """Timestamp, seq, metrics; and the body, if that is the payload, compressed."""
    cdef Bytes at = payload
    cdef Bytes end = at + len(payload)
    cdef Field field
    cdef list metrics = []
    cdef bint compressed = False
    timestamp = seq = None
    cdef bytes body = b""
    while at < end:
        read_field(&at, end, &field)
        if field.number == 2:
            expect(&field, LENGTH)
            metrics.append(metric(field.at, field.at + field.length))
        elif field.number == 1:
            expect(&field, VARINT)
            timestamp = field.word
        elif field.number == 3:
            expect(&field, VARINT)
            seq = field.word
        elif field.number == 4:
            expect(&field, LENGTH)
            compressed = (<const char*>field.at)[:field.length] == COMPRESSED
        elif field.number == 5:
            expect(&field, LENGTH)
            body = (<const char*>field.at)[:field.length]
    return timestamp, seq, metrics, body if compressed else None


cdef tuple metric(Bytes at, Bytes end):
    cdef Field field
    cdef uint32_t datatype = 0
    cdef bint historical = False, null = False
    cdef int number = 0
    name = alias = timestamp = raw = None
    while at < end:
        read_field(&at, end, &field)
        if field.number == 1:
            name = text_of(&field) or None          # there are writers that fill it with nothing beside an alias
        elif 2 <= field.number <= 7:
            expect(&field, VARINT)
            if field.number == 2:
                alias = field.word
            elif field.number == 3:
                timestamp = field.word
            elif field.number == 4:
                datatype = <uint32_t>field.word
            elif field.number == 5:
                historical = field.word != 0
            elif field.number == 7:
                null = field.word != 0
        elif 10 <= field.number <= 18:
            number = field.number
            raw = raw_value(&field)
    return name, alias, timestamp, datatype, historical, null or number == 0, number, raw


cdef object raw_value(const Field* field):
    """The value as it stands, which the datatype has still to be put to: see `typed`."""
    if field.number == 12:
        expect(field, FIXED32)
        return float_of(field.word)
    if field.number == 13:
        expect(field, FIXED64)
        return double_of(field.word)
    if field.number == 15:
        return text_of(field)
    if field.number >= 16:
        expect(field, LENGTH)
        return (<const char*>field.at)[:field.length]
    expect(field, VARINT)
    return field.word != 0 if field.number == 14 else field.word


def typed(int number, raw, uint32_t datatype):
    cdef uint64_t word
    if number == 12:
        return shortest(raw)
    if number != 10 and number != 11:
        return raw
    word = raw
    if datatype == INT8:
        return <int8_t>word
    if datatype == INT16:
        return <int16_t>word
    if datatype == INT32:
        return <int32_t>word
    if datatype == INT64:
        return <int64_t>word
    if datatype in (UINT8, UINT16, UINT32):
        return word & (0xFFu if datatype == UINT8 else 0xFFFFu if datatype == UINT16 else 0xFFFFFFFFu)
    if datatype == BOOLEAN:
        return word != 0
    return word


cdef double shortest(double raw):
    """The shortest decimal that is this float: 0.1 means a tenth, not its binary neighbour."""
    cdef int places
    for places in range(6, 9):
        if <float>float(f"{raw:.{places}g}") == <float>raw:
            return float(f"{raw:.{places}g}")
    return float(f"{raw:.9g}")


def rows(bytes dataset not None):
    """The rows of a DataSet, each a dict by column."""
    cdef Bytes at = dataset
    cdef Bytes end = at + len(dataset)
    cdef Field field
    cdef list names = [], types = [], raws = []
    while at < end:
        read_field(&at, end, &field)
        if field.number == 2:
            names.append(text_of(&field))
            if len(names) > COLUMNS_MAX:
                raise SparkplugFault("a DataSet with too many columns")
        elif field.number == 3:
            read_types(&field, types)
        elif field.number == 4:
            expect(&field, LENGTH)
            raws.append(row(field.at, field.at + field.length))
    if len(types) < len(names):
        raise SparkplugFault("a DataSet with fewer types than columns")
    return [
        {name: element_value(element, type_) for name, type_, element in zip(names, types, elements)}
        for elements in raws
    ]


cdef int read_types(const Field* field, list types) except -1:
    """One type, or several in one part (packed)."""
    cdef Bytes at
    cdef Bytes end
    cdef uint64_t number = 0
    if field.wire != LENGTH:
        expect(field, VARINT)
        types.append(<uint32_t>field.word)
        return 0
    at = field.at
    end = at + field.length
    while at < end:
        if not read_varint(&at, end, &number):
            raise SparkplugFault("a number that does not end")
        types.append(<uint32_t>number)
    return 0


cdef list row(Bytes at, Bytes end):
    cdef Field field
    cdef list elements = []
    while at < end:
        read_field(&at, end, &field)
        if field.number == 1:
            expect(&field, LENGTH)
            elements.append(element(field.at, field.at + field.length))
    return elements


cdef tuple element(Bytes at, Bytes end):
    """(field of a metric that holds such a value, raw); (0, None): it has none."""
    cdef Field field
    found = (0, None)
    while at < end:
        read_field(&at, end, &field)
        if 1 <= field.number <= 6:
            field.number += 9
            found = (field.number, raw_value(&field))
    return found


cdef object element_value(tuple element, uint32_t datatype):
    number, raw = element
    return typed(number, raw, datatype) if number else None


def value_of(tuple metric not None, uint32_t datatype):
    if metric[5]:
        return None
    number = metric[6]
    if number < 16:
        return typed(number, metric[7], datatype)
    if number == 16:
        return metric[7].hex()
    return rows(metric[7]) if number == 17 else None


def reports_of(list metrics not None, dict aliases not None, dict types not None, timestamp):
    cdef tuple metric
    cdef list found = []
    cdef dict learned = None
    for metric in metrics:
        name, alias, time = metric[0], metric[1], metric[2]
        if name is None:
            name = aliases.get(alias)
            if name is None:
                raise Unborn("an alias without a birth")
        datatype = types.get(name)
        if datatype is None:
            learned = {} if learned is None else learned
            datatype = learned.setdefault(name, metric[3])
        found.append((
            name, value_of(metric, datatype or metric[3]), timestamp if time is None else time, metric[4],
        ))
    if learned is not None:
        types.update(learned)
    return found
