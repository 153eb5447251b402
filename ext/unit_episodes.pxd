"""Episodes of a load unit: lost until it is seen (R64), astray until it is diverted as asked (R62).

A fact is judged when the watermark has passed it. One that is learned later (R60: its track was not identified yet) is
judged between what the unit did before and after it, so that the episodes are those of the facts as far as nothing else
was told already.
"""

from ext.floor cimport Floor
from ext.state cimport Fact

cdef enum Judged:           # bits of `Fact.judged`
    LOSS_JUDGED = 1         # the watermark has passed it: as a loss, or as a sight of what was lost
    DEST_JUDGED = 2         # likewise as a divert
    LOSS_TOLD = 4           # an episode began with it,
    DEST_TOLD = 8
    LOSS_OPEN = 16          # and lasts
    DEST_OPEN = 32
    FORCED = 64             # R4: its track did not wait for the watermark
    SAYS_WHOSE = 128        # R60: it has identified its track


cdef bint is_judged(const Fact* fact, int code) noexcept
# `code`: RTE_LOST or RTE_WRONG_DEST. Returns the fact that is still to end what it began, NULL: none is known.
cdef Fact* judge(Floor floor, Fact* fact, int code) except? NULL
