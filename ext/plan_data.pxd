"""What the order systems planned from when until when: plans that were replaced and, as the answer of `plans.plan_at` and
`plans.home_at`, also the one in force. As in state.pxd."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from ext.state cimport Fact, Line, PlannedList, Shipment
from ext.store cimport List, Numbers


cdef struct FormerPlan:
    # What a shipment's plan said from one event time on until another (NEVER: it is in force).
    List* scope                 # FormerScope
    Numbers* lanes
    int32_t carrier
    int64_t rev
    int64_t cutoff
    int64_t since
    int64_t until
    uint8_t stage_required


cdef struct FormerScope:
    # A ScopeLine that was; begins as one.
    Line* line
    Shipment* shipment
    int64_t qty
    int64_t since
    int64_t until


cdef struct FormerHome:
    # What a carton's plan said from one event time on until another (NEVER: it is in force): whose it was, and with what.
    Shipment* shipment
    PlannedList* contents
    Fact* fact                  # that said so
    int64_t weight_g
    int64_t tol_g
    int64_t since
    int64_t until
    uint8_t withdrawn
    uint8_t has_contents
