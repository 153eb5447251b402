"""Canonical JSON, written into a buffer that is used again: no object a value.

Canonical means: keys in sorted order (who writes them keeps it), no white space, texts in UTF-8 with the shortest
escapes that RFC 8259 has, so that equal values are equal bytes.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memcpy, strlen

from ext.json_bytes cimport Bytes, plain_end
from ext.texts cimport Texts


@cython.final
cdef class JsonWriter:
    cdef char* at               # the buffer
    cdef Py_ssize_t length
    cdef Py_ssize_t capacity
    cdef Texts texts

    cdef int reserve(self, Py_ssize_t more) except -1
    cdef int escape(self, const char* text, Py_ssize_t length) except -1
    cdef int longer_integer(self, int64_t value) except -1
    cdef int padded(self, int64_t value, int digits) except -1

    cdef inline void clear(self) noexcept:
        self.length = 0

    cdef inline int raw(self, const char* text, Py_ssize_t length) except -1:
        if self.length + length > self.capacity:
            self.reserve(length)
        memcpy(self.at + self.length, text, length)
        self.length += length
        return 0

    cdef inline int escaped(self, const char* text, Py_ssize_t length) except -1:
        """The inside of a JSON text: quotes, backslashes and control characters are escaped, all else is UTF-8."""
        cdef Bytes end = <Bytes>text + length
        return self.raw(text, length) if plain_end(<Bytes>text, end) == end else self.escape(text, length)

    cdef inline int put(self, const char* text) except -1:
        """A literal as it stands."""
        return self.raw(text, strlen(text))

    cdef inline int text(self, int32_t number) except -1:
        """An interned text in quotes."""
        self.raw(b'"', 1)
        self.escaped(self.texts.bytes_of(number), self.texts.length_of(number))
        return self.raw(b'"', 1)

    cdef inline int text_of(self, str text) except -1:
        """Any text in quotes: for rare decisions."""
        cdef bytes raw = text.encode()
        self.raw(b'"', 1)
        self.escaped(raw, len(raw))
        return self.raw(b'"', 1)

    cdef inline int integer(self, int64_t value) except -1:
        cdef char digit = <char>(c"0" + value)
        return self.raw(&digit, 1) if 0 <= value < 10 else self.longer_integer(value)

    # Members of an object: the name with its punctuation (`{"qty":` or `,"qty":`), then the value.

    cdef inline int text_member(self, const char* name, int32_t number) except -1:
        self.put(name)
        return self.text(number)

    cdef inline int integer_member(self, const char* name, int64_t value) except -1:
        self.put(name)
        return self.integer(value)

    cdef inline bytes bytes(self):
        return PyBytes_FromStringAndSize(self.at, self.length)


cdef struct Digest:
    uint64_t a
    uint64_t b


cdef inline bint is_same(const Digest* one, const Digest* other) noexcept nogil:
    return one.a == other.a and one.b == other.b


cdef void write_digits(char* to, uint64_t value, int digits) noexcept nogil
cdef Digest digest_of(const char* text, Py_ssize_t length) noexcept nogil
