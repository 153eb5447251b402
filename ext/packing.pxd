"""R47: `pack.confirm` moves goods from one load unit to another; no pick window changes.

A move has two ends, one in each unit, at one event time. What it moves is a function of what lay in the unit that it
left, just before; when a fact comes late there, the move is worked out again, and what it feeds after it.
"""

from ext.floor cimport Fact, Floor


cdef tuple ends_of(Floor floor, Fact fact, dict record)
cdef int count_into(dict contents, Fact fact) except -1
cdef list settle(Floor floor, list changed)
