"""Picks and cancels from after a shipment's manifest that came before it (R3, R27, R29): they are taken back."""

from ext.floor cimport Floor
from ext.state cimport Fact, PickWindow, Shipment
from ext.store cimport List


cdef bint comes_after_ship(Floor floor, const PickWindow* window, const Fact* fact) except -1
cdef int judge_again(Floor floor, const List* cycles) except -1
cdef bint is_in_time(Floor floor, const PickWindow* window, const Fact* fact) except -1
cdef int give_back(Floor floor, PickWindow* window, Fact* fact) except -1
cdef bint take_late(Floor floor, PickWindow* window, Fact* fact) except -1
cdef bint replace_late(Floor floor, PickWindow* window, const Fact* fact) except -1
cdef int take_back_later(Floor floor, Shipment* shipment) except -1
