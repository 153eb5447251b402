"""What is rare in JSON: texts with escapes or beyond ASCII, numbers that are no plain integers, literals, nested values.

Apart, so that what is common is compiled as one piece.
"""

from libc.stdint cimport int32_t

from ext.json_bytes cimport Bytes
from ext.json_types cimport Reader, Value

cdef int utf8_length(Bytes p, Bytes end) noexcept nogil
cdef void resolve(Bytes p, int32_t length, unsigned char* out) noexcept nogil
cdef Bytes read_special_text(Reader* r, Bytes first, Bytes p, int32_t* length, int32_t* resolved) noexcept nogil
cdef Bytes read_special_number(Reader* r, Bytes first, Value* value) noexcept nogil
cdef Bytes read_literal(Reader* r, Bytes at, Value* value) noexcept nogil
cdef Bytes read_rare_value(Reader* r, Bytes at, Value* value) noexcept nogil
