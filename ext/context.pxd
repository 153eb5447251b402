"""What the order systems tell (R10, R11, R27, R53): orders, tasks, plans, binds, manifests, and their revisions."""

from ext.floor cimport Fact, Floor

cdef enum Verdict:
    TAKEN = 0
    SAME = 1            # same revision, same content: a duplicate
    REFUSED = 2         # R10: conflict, outdated, after a cancel, or it does not fit


cdef class Context:
    cdef Floor floor
    cdef dict objects           # (family, id, ...) -> Revision

    cdef int take(self, Fact fact, dict record) except -1
