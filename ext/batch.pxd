"""A batch is columns: what the windows read on the hot path, plus the canonical lines that the rows were read from.

Row i is described by the i-th element of every column. A text column holds numbers of the `Texts` table, 0 = absent.
An integer column holds ABSENT where the record has no such field. Fields that only rare decisions need (seal, alloc,
codes, a plan's contents, ...) have no column: `record(i)` decodes the row's line when such a decision comes.

Every row has a line: lines[at[i] : at[i] + size[i]], one canonical JSON object without its line end. The lines are what
the journal writes and what `explain` shows, so a batch never has to be encoded again.
"""

cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t

from ext.texts cimport TEXT_BYTES, Texts

cdef extern from *:
    """
    #define SORTLINE_ABSENT INT64_MIN
    """
    const int64_t ABSENT "SORTLINE_ABSENT"      # no such field in the record

cdef enum Flag:
    F_HIST = 1          # the source buffered it while it was cut off
    F_ALLOC = 2         # one press for several tasks: the line carries `alloc`


@cython.final
cdef class Batch:
    cdef readonly Texts texts
    cdef readonly Py_ssize_t count
    cdef Py_ssize_t capacity
    cdef char* lines                # the rows' lines, each ended by \n
    cdef Py_ssize_t lines_len
    cdef Py_ssize_t lines_cap
    # columns, `capacity` long, side by side in one block
    cdef char* columns
    cdef int64_t* t_rx
    cdef int64_t* t                 # ABSENT: the source does not say
    cdef int64_t* epoch
    cdef int64_t* seq               # ABSENT: the source does not number
    cdef int64_t* qty
    cdef int64_t* weight_g
    cdef int64_t* at                # where the line stands in `lines`
    cdef int32_t* src
    cdef int32_t* sub
    cdef int32_t* task
    cdef int32_t* order
    cdef int32_t* line              # -1: absent
    cdef int32_t* sku
    cdef int32_t* lu
    cdef int32_t* carton
    cdef int32_t* track
    cdef int32_t* lot
    cdef int32_t* loc
    cdef int32_t* dest
    cdef int32_t* dest_req
    cdef int32_t* code
    cdef int32_t* press
    cdef int32_t* names             # bytes of the texts that a fact of this row keeps
    cdef int32_t* size              # bytes of the line
    cdef uint8_t* kind
    cdef uint8_t* flags

    cdef int reserve(self, Py_ssize_t rows) except -1
    cdef int reserve_lines(self, Py_ssize_t length) except -1
    cdef inline Py_ssize_t begin_row(self, Py_ssize_t length) except -1:
        """A row with a line of so many bytes: its number. All its columns have to be set before `end_row`."""
        if self.count == self.capacity:
            self.reserve(1)
        if self.lines_len + length >= self.lines_cap:
            self.reserve_lines(length + 1)
        return self.count

    cdef inline void leave_empty(self, Py_ssize_t i) noexcept:
        """No payload: all columns behind the envelope's."""
        self.qty[i] = self.weight_g[i] = ABSENT
        self.line[i] = -1
        self.task[i] = self.order[i] = self.sku[i] = self.lu[i] = self.carton[i] = self.track[i] = self.lot[i] = 0
        self.loc[i] = self.dest[i] = self.dest_req[i] = self.code[i] = self.press[i] = 0
        self.names[i] = TEXT_BYTES

    cdef void end_row(self, const char* line, Py_ssize_t length) noexcept
    cdef int32_t names_of(self, Py_ssize_t i) noexcept
    cdef dict fields(self, Py_ssize_t i)
    cdef bytes line_of(self, Py_ssize_t i)
