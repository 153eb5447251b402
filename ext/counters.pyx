"""See counters.pxd."""

from collections import OrderedDict

from libc.stdint cimport int64_t

cdef enum:
    BACK = 4

cdef int64_t LAST_MAX = 1 << 62

BACK_SHARE = BACK


cdef class Unwrapper:
    def __init__(self, int64_t modulus, last=None):
        self.modulus = modulus
        self.last = -1 if last is None else last

    cdef int64_t number(self, int64_t raw) except -2:
        """R6: a wrap is no gap, for the number is counted on. -1: it has none."""
        cdef int64_t ahead, found
        if not 0 <= raw < self.modulus:
            raise ValueError("not below wrap")
        if self.last > LAST_MAX:
            raise ValueError("counted beyond 64 bits")
        if self.last < 0:
            self.last = raw
            return raw
        ahead = (raw - self.last) % self.modulus
        if ahead < self.modulus - self.modulus // BACK:
            self.last += ahead
            return self.last
        found = self.last + ahead - self.modulus
        return found if found >= 0 else -1

    def unwrap(self, int64_t raw):
        cdef int64_t found = self.number(raw)
        return found if found >= 0 else None


cdef class Sequences:
    def __init__(self, position, Py_ssize_t counters_max=10_000):
        self.position = position
        self.counters_max = counters_max
        self.counters = OrderedDict()
        self.newest = None

    cdef int64_t number(self, bytes src, int64_t epoch, int64_t raw, int64_t modulus) except -2:
        """The number of `src` counted on; -1: it has none."""
        cdef bytes key = src if epoch == 0 else b"%b\0%d" % (src, epoch)
        cdef Unwrapper counter = self.counters.get(key)
        if counter is None:
            known = self.position(src.decode())
            counter = Unwrapper(modulus, known[1] if known is not None and known[0] == epoch else None)
            self.counters[key] = counter
            if len(self.counters) > self.counters_max:
                self.counters.popitem(False)
        elif key != self.newest:
            self.counters.move_to_end(key)
        self.newest = key
        return counter.number(raw)

    def unwrap(self, str src not None, int64_t epoch, raw, int64_t modulus):
        # what does not even go into 64 bits is not below any modulus
        cdef int64_t small = raw if 0 <= raw < modulus else -1
        cdef int64_t found = self.number(src.encode("utf-8", "surrogatepass"), epoch, small, modulus)
        return found if found >= 0 else None
