"""A shipment's plan that comes after the work (R50-R52): all that is known already and moves its readiness touches it now.

What stands in windows, cartons and units is found there. What the order systems said of a line goes through `take_word`,
which keeps it.
"""

from ext.floor cimport Floor
from ext.state cimport Fact, Line, Shipment


cdef int take_word(Floor floor, Line* line, Fact* fact) except -1
cdef int touch_all(Floor floor, Shipment* shipment, Fact* cause) except -1
