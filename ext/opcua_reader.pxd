"""OPC UA's binary encoding read in place (OPC 10000-6 section 5.2): a pointer, an end, and every read checked against it.

Little-endian throughout, as the machine (checked in json_bytes.pxd). A function that returns False has left the reason
in `Reader.fault`. Nothing here allocates, raises or needs the GIL. `skip_*` looks through a value for its extent alone;
nested ones are followed DEPTH_MAX deep.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy

from ext.json_bytes cimport Bytes

cdef enum Limit:
    DEPTH_MAX = 32          # values inside values

cdef enum Fault:
    SOUND = 0
    CUT                     # the text ends before the value does
    TOO_DEEP
    NO_SUCH_TYPE
    BAD_LENGTH
    TOO_MANY

cdef enum Type:             # OPC 10000-6 table 1
    NULL_TYPE = 0
    BOOLEAN, SBYTE, BYTE, INT16, UINT16, INT32, UINT32, INT64, UINT64, FLOAT, DOUBLE, STRING, DATE_TIME, GUID
    BYTE_STRING, XML_ELEMENT, NODE_ID, EXPANDED_NODE_ID, STATUS_CODE, QUALIFIED_NAME, LOCALIZED_TEXT
    EXTENSION_OBJECT, DATA_VALUE, VARIANT, DIAGNOSTIC_INFO
    TYPES

cdef enum VariantBit:
    TYPE_BITS = 0x3F
    DIMENSIONS_BIT = 0x40
    ARRAY_BIT = 0x80

cdef enum DataValueBit:
    VALUE_BIT = 0x01
    STATUS_BIT = 0x02
    SOURCE_TIME_BIT = 0x04
    SERVER_TIME_BIT = 0x08
    SOURCE_PICOSECONDS_BIT = 0x10
    SERVER_PICOSECONDS_BIT = 0x20

cdef struct Reader:
    Bytes at
    Bytes end
    int fault


cdef inline bint failed(Reader* r, int fault) noexcept nogil:
    r.fault = fault
    return False


cdef inline bint skip(Reader* r, int64_t length) noexcept nogil:
    if length < 0 or r.end - r.at < length:
        return failed(r, CUT)
    r.at += length
    return True


cdef inline bint take(Reader* r, void* value, Py_ssize_t size) noexcept nogil:
    if r.end - r.at < size:
        return failed(r, CUT)
    memcpy(value, r.at, size)
    r.at += size
    return True


cdef inline bint take_u8(Reader* r, uint8_t* value) noexcept nogil:
    return take(r, value, 1)


cdef inline bint take_u16(Reader* r, uint16_t* value) noexcept nogil:
    return take(r, value, 2)


cdef inline bint take_u32(Reader* r, uint32_t* value) noexcept nogil:
    return take(r, value, 4)


cdef inline bint take_i32(Reader* r, int32_t* value) noexcept nogil:
    return take(r, value, 4)


cdef inline bint take_i64(Reader* r, int64_t* value) noexcept nogil:
    return take(r, value, 8)


cdef inline bint take_text(Reader* r, Bytes* at, int32_t* length) noexcept nogil:
    """A String, ByteString or XmlElement: its bytes, or length -1 for null. Any negative length counts as null."""
    if not take_i32(r, length):
        return False
    if length[0] < 0:
        length[0] = -1
    at[0] = r.at
    return length[0] < 0 or skip(r, length[0])


cdef inline bint take_count(Reader* r, int32_t* count) noexcept nogil:
    """The length of an array, -1 for null; one that cannot be there, at a byte an element, is refused at once."""
    if not take_i32(r, count):
        return False
    if count[0] > r.end - r.at:
        return failed(r, BAD_LENGTH)
    if count[0] < 0:
        count[0] = -1
    return True


cdef inline int width(int type) noexcept nogil:
    """Bytes of a value of a type whose values are all of one size; 0 for the others."""
    if type == BOOLEAN or type == SBYTE or type == BYTE:
        return 1
    if type == INT16 or type == UINT16:
        return 2
    if type == INT32 or type == UINT32 or type == FLOAT or type == STATUS_CODE:
        return 4
    if type == INT64 or type == UINT64 or type == DOUBLE or type == DATE_TIME:
        return 8
    return 16 if type == GUID else 0


cdef inline bint skip_text(Reader* r) noexcept nogil:
    cdef Bytes at
    cdef int32_t length
    return take_text(r, &at, &length)


cdef inline bint skip_node_id(Reader* r) noexcept nogil:
    """A NodeId or an ExpandedNodeId (OPC 10000-6 section 5.2.2.9 and .10)."""
    cdef uint8_t encoding
    if not take_u8(r, &encoding):
        return False
    cdef int kind = encoding & 0x3F
    if kind == 0:
        if not skip(r, 1):
            return False
    elif kind == 1:
        if not skip(r, 3):
            return False
    elif kind == 2:
        if not skip(r, 6):
            return False
    elif kind == 3 or kind == 5:
        if not skip(r, 2) or not skip_text(r):
            return False
    elif kind == 4:
        if not skip(r, 18):
            return False
    else:
        return failed(r, NO_SUCH_TYPE)
    if encoding & 0x80 and not skip_text(r):  # the namespace's URI
        return False
    return not encoding & 0x40 or skip(r, 4)  # the server's index


cdef inline bint skip_localized(Reader* r) noexcept nogil:
    cdef uint8_t mask
    return (
        take_u8(r, &mask) and (not mask & 1 or skip_text(r)) and (not mask & 2 or skip_text(r))
    )


cdef inline bint skip_extension_object(Reader* r) noexcept nogil:
    cdef uint8_t encoding
    if not skip_node_id(r) or not take_u8(r, &encoding):
        return False
    if encoding > 2:
        return failed(r, NO_SUCH_TYPE)
    return encoding == 0 or skip_text(r)


cdef inline bint skip_diagnostic_info(Reader* r, int depth) noexcept nogil:
    """OPC 10000-6 section 5.2.2.12: four numbers, a text, a status, and another one inside."""
    cdef uint8_t mask
    cdef int bit
    if depth >= DEPTH_MAX:
        return failed(r, TOO_DEEP)
    if not take_u8(r, &mask):
        return False
    for bit in range(4):
        if mask & 1 << bit and not skip(r, 4):
            return False
    if mask & 0x10 and not skip_text(r):
        return False
    if mask & 0x20 and not skip(r, 4):
        return False
    return not mask & 0x40 or skip_diagnostic_info(r, depth + 1)


cdef inline bint skip_data_value(Reader* r, int depth) noexcept nogil:
    cdef uint8_t mask
    if depth >= DEPTH_MAX:
        return failed(r, TOO_DEEP)
    if not take_u8(r, &mask):
        return False
    if mask & VALUE_BIT and not skip_variant(r, depth + 1):
        return False
    cdef int length = (
        (4 if mask & STATUS_BIT else 0)
        + (8 if mask & SOURCE_TIME_BIT else 0) + (2 if mask & SOURCE_PICOSECONDS_BIT else 0)
        + (8 if mask & SERVER_TIME_BIT else 0) + (2 if mask & SERVER_PICOSECONDS_BIT else 0)
    )
    return skip(r, length)


cdef inline bint skip_value(Reader* r, int type, int depth) noexcept nogil:
    """One value of a built-in type."""
    cdef int size = width(type)
    if size:
        return skip(r, size)
    if type == STRING or type == BYTE_STRING or type == XML_ELEMENT or type >= TYPES:
        return skip_text(r)
    if type == NODE_ID or type == EXPANDED_NODE_ID:
        return skip_node_id(r)
    if type == QUALIFIED_NAME:
        return skip(r, 2) and skip_text(r)
    if type == LOCALIZED_TEXT:
        return skip_localized(r)
    if type == EXTENSION_OBJECT:
        return skip_extension_object(r)
    if type == DATA_VALUE:
        return skip_data_value(r, depth + 1)
    if type == VARIANT:
        return skip_variant(r, depth + 1)
    return type == NULL_TYPE or skip_diagnostic_info(r, depth + 1)


cdef inline bint skip_values(Reader* r, int type, int32_t count, int depth) noexcept nogil:
    cdef int32_t i
    cdef int size = width(type)
    if count <= 0:
        return True
    if size:
        return skip(r, <int64_t>count * size)
    if type == NULL_TYPE:  # nothing each; some servers send it for an array whose type they do not know
        return True
    for i in range(count):
        if not skip_value(r, type, depth):
            return False
    return True


cdef inline bint skip_variant(Reader* r, int depth) noexcept nogil:
    cdef uint8_t encoding
    cdef int32_t count
    if depth >= DEPTH_MAX:
        return failed(r, TOO_DEEP)
    if not take_u8(r, &encoding):
        return False
    if not encoding & ARRAY_BIT:
        return failed(r, NO_SUCH_TYPE) if encoding & DIMENSIONS_BIT else skip_value(r, encoding & TYPE_BITS, depth)
    if not take_count(r, &count) or not skip_values(r, encoding & TYPE_BITS, count, depth):
        return False
    return not encoding & DIMENSIONS_BIT or (take_count(r, &count) and skip_values(r, INT32, count, depth))
