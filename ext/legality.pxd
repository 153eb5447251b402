"""Section 10 of the rules: moves that no state allows are refused (nothing changes), kept (the record stays in the journal and
counts as `rejected`) and raised.

There is only one that no other rule covers: a VOIDED carton is closed, opened again, labelled, loaded or voided once more. It
is judged when the watermark has passed it: until then a bind may still come that gave the load unit another life. This module
says what has to be judged, refused_moves judges it.
"""

from ext.floor cimport Floor
from ext.kinds cimport K_CARTON_VOID
from ext.state cimport Fact, LoadUnit
from ext.store cimport last, length

cdef enum LegalityTag:
    TAG_LEGAL = 95          # the watermark passed a fact about a carton that was voided
    TAG_USE = 96            # a use of the unit may have begun before moves that were refused


cdef bint is_move(int kind) noexcept
cdef int watch_voided(Floor floor, LoadUnit* unit, Fact* fact) except -1
cdef int ask_again(Floor floor, Fact* fact) except -1


cdef inline int watch(Floor floor, LoadUnit* unit, Fact* fact) except -1:
    """A fact has joined its unit."""
    return watch_voided(floor, unit, fact) if unit.ever_voided or fact.kind == K_CARTON_VOID else 0


cdef inline int watch_uses(Floor floor, LoadUnit* unit, Fact* fact) except -1:
    """A fact has joined its unit. One that comes later than moves that were refused may say of which use they are."""
    if length(unit.refused) and floor.precedes(fact, <Fact*>last(unit.refused)):
        return ask_again(floor, fact)
    return 0
