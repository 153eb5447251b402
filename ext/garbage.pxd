"""What nothing points to any more is freed, and so are the texts that nothing names.

Windows point to each other in all directions, so nobody can say at a window's end who else still needs its facts. It is
looked from the state's root instead, when so much has come since the last time that it may be worth it.
"""

from ext.floor cimport Floor


cdef int collect(Floor floor) except -1
cdef int collect_names(Floor floor) except -1
