# cython: auto_pickle=False
"""The whole core in bytes, and back: see snapshot.pxd for the layout.

The fields of a class come from Cython itself (`__reduce_cython__` gives them in a fixed order, with a checksum of their
names), so a field that is added to a window is in the next snapshot without anybody thinking of it.
"""

import hashlib
import importlib
import pkgutil

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from ext.clocks cimport Seen
from ext.floor cimport Rules
from ext.timers cimport Timers

import ext

cdef bytes MAGIC = b"SORTLINE"
cdef int VERSION = 1
cdef Py_ssize_t DIGEST_BYTES = 16
cdef Py_ssize_t BODY = 8 + 2 + DIGEST_BYTES
cdef Py_ssize_t TURN = 256           # objects


cdef enum Tag:
    T_NONE, T_TRUE, T_FALSE, T_INT, T_TEXT, T_BYTES, T_LIST, T_TUPLE, T_DICT, T_SET, T_OBJECT, T_TEXTS, T_RULES


class SnapshotError(ValueError):
    """The bytes are no snapshot, are damaged, or were written by another version of the core."""


def known_classes():
    """Name -> class of everything that a snapshot may hold."""
    found = {}
    for module in [importlib.import_module(f"ext.{each.name}") for each in pkgutil.iter_modules(ext.__path__)]:
        for name, thing in vars(module).items():
            if isinstance(thing, type) and thing.__module__ == module.__name__ and hasattr(thing, "__reduce_cython__"):
                found[f"{module.__name__}.{name}"] = thing
    for special in (Seen, Timers):
        found[f"{special.__module__}.{special.__name__}"] = special
    return found


# ---------------------------------------------------------------------------------------------- writing

cdef class Writer:
    def __cinit__(self):
        self.numbers = {}
        self.objects = []
        self.classes = {}

    def __dealloc__(self):
        free(self.data)

    cdef int reserve(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t capacity
        cdef void* bigger
        if self.length + more > self.capacity:
            capacity = max(2 * self.capacity, self.length + more, 1 << 16)
            bigger = realloc(self.data, capacity)
            if bigger == NULL:
                raise MemoryError
            self.data = <uint8_t*>bigger
            self.capacity = capacity
        return 0

    cdef int byte(self, int value) except -1:
        self.reserve(1)
        self.data[self.length] = <uint8_t>value
        self.length += 1
        return 0

    cdef int varint(self, uint64_t value) except -1:
        self.reserve(10)
        while value >= 0x80:
            self.data[self.length] = <uint8_t>(value | 0x80)
            self.length += 1
            value >>= 7
        self.data[self.length] = <uint8_t>value
        self.length += 1
        return 0

    cdef int integer(self, int64_t value) except -1:
        """Zigzag: small numbers of either sign are short."""
        return self.varint((<uint64_t>value << 1) ^ <uint64_t>(value >> 63))

    cdef int raw(self, const char* data, Py_ssize_t length) except -1:
        self.varint(length)
        self.reserve(length)
        memcpy(self.data + self.length, data, length)
        self.length += length
        return 0

    cdef int items(self, int tag, object values) except -1:
        self.byte(tag)
        self.varint(len(values))
        for each in values:
            self.value(each)
        return 0

    cdef int value(self, object value) except -1:
        cdef type kind = type(value)
        cdef bytes encoded
        if value is None:
            return self.byte(T_NONE)
        if kind is int:
            self.byte(T_INT)
            return self.integer(value)
        if kind is bool:
            return self.byte(T_TRUE if value else T_FALSE)
        if kind is str or kind is bytes:
            encoded = (<str>value).encode("utf-8") if kind is str else <bytes>value
            self.byte(T_TEXT if kind is str else T_BYTES)
            return self.raw(PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded))
        if kind is list:
            return self.items(T_LIST, value)
        if kind is tuple:
            return self.items(T_TUPLE, value)
        if kind is set:
            return self.items(T_SET, sorted(value))     # numbers or texts only: the same set, the same bytes
        if kind is dict:
            self.byte(T_DICT)
            self.varint(len(value))
            for key, each in (<dict>value).items():
                self.value(key)
                self.value(each)
            return 0
        if kind is Texts:
            return self.byte(T_TEXTS)
        if kind is Rules:
            return self.byte(T_RULES)
        self.byte(T_OBJECT)
        return self.varint(self.number(value))

    def number(self, object value):
        """The number of an object; a new one is written when its turn comes."""
        number = self.numbers.get(value)
        if number is None:
            number = self.numbers[value] = len(self.objects)
            self.objects.append(value)
            self.classes.setdefault(type(value), len(self.classes))
        return number

    def body(self):
        return PyBytes_FromStringAndSize(<char*>self.data, self.length)


cdef tuple state_of(object thing):
    """Its fields, in a fixed order."""
    if isinstance(thing, (Seen, Timers)):
        return thing.state()
    cdef tuple reduced = thing.__reduce_cython__()
    return reduced[2] if len(reduced) == 3 else reduced[1][2]


cdef int64_t checksum_of(type kind) except -1:
    """Changes when the class gets, loses or renames a field."""
    if kind is Seen or kind is Timers:
        return VERSION
    return kind.__new__(kind).__reduce_cython__()[1][1]


def save(core, Texts texts):
    """The state of `core` and all that it reaches."""
    cdef Writer states = Writer(), head = Writer()
    cdef Py_ssize_t i = 0
    cdef bytes body
    states.number(core)
    while i < len(states.objects):
        states.value(state_of(states.objects[i]))
        i += 1
        if i % TURN == 0:
            with nogil:                 # it runs in a thread of its own: the others get their turn
                pass
    head.varint(len(texts))
    for i in range(1, len(texts)):
        head.value(texts.get(<int>i))
    head.varint(len(states.classes))
    for kind in states.classes:
        head.value(f"{kind.__module__}.{kind.__name__}")
        head.integer(checksum_of(kind))
    head.varint(len(states.objects))
    for thing in states.objects:
        head.varint(states.classes[type(thing)])
    body = head.body() + states.body()
    return MAGIC + VERSION.to_bytes(2, "little") + digest_of(body) + body


cdef bytes digest_of(bytes body):
    return hashlib.blake2b(body, digest_size=DIGEST_BYTES).digest()


# ---------------------------------------------------------------------------------------------- reading

cdef class Reader:
    def __cinit__(self, bytes data, Py_ssize_t at):
        self.keeper = data
        self.data = <const uint8_t*>PyBytes_AS_STRING(data)
        self.length = PyBytes_GET_SIZE(data)
        self.at = at
        self.objects = []

    cdef int byte(self) except -1:
        if self.at >= self.length:
            raise SnapshotError("it ends too early")
        self.at += 1
        return self.data[self.at - 1]

    cdef uint64_t varint(self) except? 0:
        cdef uint64_t value = 0
        cdef int shift = 0, byte
        while shift < 70:
            byte = self.byte()
            value |= <uint64_t>(byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
        raise SnapshotError("a number has no end")

    cdef int64_t integer(self) except? -1:
        cdef uint64_t value = self.varint()
        return <int64_t>(value >> 1) ^ -<int64_t>(value & 1)

    cdef bytes raw(self):
        cdef uint64_t length = self.varint()
        if length > <uint64_t>(self.length - self.at):
            raise SnapshotError("it ends too early")
        self.at += length
        return PyBytes_FromStringAndSize(<const char*>self.data + self.at - length, length)

    cdef object value(self):
        cdef int tag = self.byte()
        cdef uint64_t count
        if tag == T_NONE:
            return None
        if tag == T_INT:
            return self.integer()
        if tag == T_TRUE or tag == T_FALSE:
            return tag == T_TRUE
        if tag == T_TEXT:
            return self.raw().decode("utf-8")
        if tag == T_BYTES:
            return self.raw()
        if tag == T_TEXTS or tag == T_RULES:
            return self.texts if tag == T_TEXTS else self.rules
        count = self.varint()
        if tag == T_OBJECT:
            return self.objects[count]
        if tag == T_DICT:
            return {self.value(): self.value() for _ in range(count)}
        values = [self.value() for _ in range(count)]
        if tag == T_LIST:
            return values
        if tag == T_TUPLE:
            return tuple(values)
        if tag == T_SET:
            return set(values)
        raise SnapshotError(f"no value begins with {tag}")

    def read_texts(self):
        if len(self.texts) != 1:
            raise SnapshotError("texts were given out already: restore into a new core")
        for _ in range(1, self.varint()):
            self.texts.number(self.value())

    def read_classes(self):
        known = known_classes()
        classes = []
        for _ in range(self.varint()):
            name, checksum = self.value(), self.integer()
            if name not in known:
                raise SnapshotError(f"it holds {name}, which this version does not know")
            if checksum != checksum_of(known[name]):
                raise SnapshotError(f"{name} has other fields in this version")
            classes.append(known[name])
        return classes


def restore(core, Texts texts, Rules rules, bytes data):
    """`core`, new and with new texts, becomes what it was; SnapshotError leaves both unusable."""
    cdef Reader reader
    if data[:8] != MAGIC:
        raise SnapshotError("it is no snapshot")
    if int.from_bytes(data[8:10], "little") != VERSION:
        raise SnapshotError(f"its version is {int.from_bytes(data[8:10], 'little')}, this one reads {VERSION}")
    if data[10:BODY] != digest_of(data[BODY:]):
        raise SnapshotError("it is damaged: its digest does not fit")
    reader = Reader(data, BODY)
    reader.texts, reader.rules = texts, rules
    reader.read_texts()
    classes = reader.read_classes()
    count = reader.varint()
    for i in range(count):
        kind = classes[reader.varint()]
        reader.objects.append(core if i == 0 else kind.__new__(kind))
    for i, thing in enumerate(reader.objects):
        if i % TURN == 0:
            with nogil:
                pass
        state = reader.value()
        if isinstance(thing, (Seen, Timers)):
            thing.set_state(state)
        else:
            thing.__setstate_cython__(state)
