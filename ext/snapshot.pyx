# cython: boundscheck=False, wraparound=False
"""The whole core in bytes, and back: see snapshot.pxd for the layout."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from ext.huge_pages cimport ask_for_huge_pages
from ext.json_writer cimport Digest, digest_of
from ext.state cimport State
from ext.store cimport FREE_LISTS
from ext.texts cimport Texts

cdef const char* MAGIC = b"SORTLINE"

cdef enum:
    VERSION = 14
    BODY = 8 + 2 + 16
    ALIGNED = 16            # where bytes of Python begin, and where the region does in them


cdef packed struct Head:
    Digest layout
    uint64_t top
    uint64_t free_bytes
    uint32_t heads[FREE_LISTS]
    uint64_t root
    uint64_t texts


class SnapshotError(ValueError):
    """The bytes are no snapshot, are damaged, or were written by another version of the core."""


cdef Digest layout_of(Floor floor) noexcept:
    """Changes when a struct gets, loses or moves a field: its size, its pointers, its texts."""
    return digest_of(<const char*>floor.store.shapes, sizeof(floor.store.shapes))


cdef bytes save(Floor floor):
    cdef Texts texts = floor.texts
    cdef size_t size = BODY + sizeof(Head), blank
    cdef bytes data
    cdef char* to
    cdef Head head
    cdef Digest digest
    cdef uint16_t version = VERSION
    cdef int32_t number
    floor.store.close_rest()
    for number in range(1, texts.count):
        size += sizeof(int32_t) + max(0, texts.entries[number].length)
    blank = (0 - size) % ALIGNED                # so that the blocks of the copy stand where such structs may
    size += blank + floor.store.top
    data = PyBytes_FromStringAndSize(NULL, size)
    to = PyBytes_AS_STRING(data)
    ask_for_huge_pages(to, size)
    head.layout = layout_of(floor)
    head.top, head.free_bytes = floor.store.top, floor.store.free_bytes
    memcpy(head.heads, floor.store.heads, sizeof(head.heads))
    head.root = <uint64_t>(<char*>floor.state - floor.store.base)
    head.texts = texts.count
    memcpy(to, MAGIC, 8)
    memcpy(to + 8, &version, 2)
    memcpy(to + BODY, &head, sizeof(head))
    write_texts(texts, to + BODY + sizeof(head))
    memset(to + size - floor.store.top - blank, 0, blank)
    memcpy(to + size - floor.store.top, floor.store.base, floor.store.top)
    floor.store.shift(to + size - floor.store.top, floor.store.top, -<int64_t>floor.store.base)
    digest = digest_of(to + BODY, <Py_ssize_t>(size - BODY))
    memcpy(to + 10, &digest, 16)
    return data


cdef void write_texts(Texts texts, char* to) noexcept:
    cdef int32_t number, length
    for number in range(1, texts.count):
        length = texts.entries[number].length
        memcpy(to, &length, sizeof(length))
        to += sizeof(length)
        if length > 0:
            memcpy(to, texts.bytes_of(number), length)
            to += length


cdef int restore(Floor floor, bytes data) except -1:
    """A new floor with new texts becomes what it was; SnapshotError leaves both unusable."""
    cdef const char* start = PyBytes_AS_STRING(data)
    cdef size_t size = PyBytes_GET_SIZE(data)
    cdef Head head
    cdef Digest digest, layout = layout_of(floor)
    cdef uint16_t version
    if size < BODY or memcmp(start, MAGIC, 8) != 0:
        raise SnapshotError("it is no snapshot")
    memcpy(&version, start + 8, 2)
    if version != VERSION:
        raise SnapshotError(f"its version is {version}, this one reads {VERSION}")
    digest = digest_of(start + BODY, <Py_ssize_t>(size - BODY))
    if size < BODY + sizeof(Head) or memcmp(start + 10, &digest, 16) != 0:
        raise SnapshotError("it is damaged: its digest does not fit")
    memcpy(&head, start + BODY, sizeof(head))
    if memcmp(&head.layout, &layout, sizeof(layout)) != 0:
        raise SnapshotError("its windows have other fields than those of this version")
    if floor.texts.holders or floor.texts.known != floor.own_texts:
        raise SnapshotError("texts were given out already: restore into a new core")
    if head.top > floor.store.limit:
        raise MemoryError(f"the snapshot needs {head.top} bytes of state: raise rules.state_bytes_max")
    read_texts(floor.texts, start + BODY + sizeof(head), start + size - head.top, head.texts)
    memcpy(floor.store.base, start + size - head.top, head.top)
    memcpy(floor.store.heads, head.heads, sizeof(head.heads))
    floor.store.top, floor.store.free_bytes, floor.store.outgrown = head.top, head.free_bytes, True
    floor.store.shift(floor.store.base, head.top, <int64_t>floor.store.base)
    floor.adopt(<State*>(floor.store.base + head.root))
    floor.store.secret = floor.state.tasks.secret
    return 0


cdef int read_texts(Texts texts, const char* at, const char* end, uint64_t count) except -1:
    """The same texts with the same numbers."""
    cdef int32_t length
    cdef uint64_t number
    texts.begin_again()
    for number in range(1, count):
        if end - at < <int64_t>sizeof(length):
            raise SnapshotError("it ends too early")
        memcpy(&length, at, sizeof(length))
        at += sizeof(length)
        if length > end - at:
            raise SnapshotError("it ends too early")
        texts.put_back(<int32_t>number, at, length)
        at += max(0, length)
    return texts.end_again()
