# cython: boundscheck=False, wraparound=False
"""Names that nobody knows: see strangers.pxd."""

from ext.kinds cimport K_COUNT_REPORTED, K_RETURN_GRADED, K_RETURN_SCANNED, K_TRAILER_CLOSED
from ext.rates cimport MINUTE
from ext.store cimport Table, find, pair

cdef int64_t STRANGERS_MAX = 1200       # of one source in a full state, half of them forgotten a minute: ten a second, for ever


cdef bint is_known(Floor floor, Batch batch, Py_ssize_t i) except -1:
    """`state_bytes_max`: does the record name a task, an order, a load unit or a track that is known? Where it names none of
    these: a place, an RMA or a trailer? Each `loc`, `dest` and `code` of a fault or of the crane counts as unknown."""
    if find(floor.state.sources, batch.src[i]) == NULL:
        return False
    if batch.task[i]:
        return find(floor.state.tasks, batch.task[i]) != NULL
    if batch.order[i]:
        return find(floor.state.orders, batch.order[i]) != NULL
    if batch.lu[i]:
        return find(floor.state.units, batch.lu[i]) != NULL
    if batch.track[i]:
        return find(floor.state.tracks, pair(batch.src[i], batch.track[i])) != NULL
    if batch.kind[i] == K_COUNT_REPORTED:
        return find(floor.state.places, pair(batch.loc[i], batch.sku[i])) != NULL
    if batch.kind[i] == K_RETURN_SCANNED or batch.kind[i] == K_RETURN_GRADED:
        return names_known(floor, batch, i, "rma", floor.state.rmas)
    if batch.kind[i] == K_TRAILER_CLOSED:
        return names_known(floor, batch, i, "trailer", floor.state.trailers)
    return not batch.loc[i] and not batch.dest[i] and not batch.code[i]


cdef bint names_known(Floor floor, Batch batch, Py_ssize_t i, str field, Table* table) except -1:
    """The same of a name that only the line holds."""
    cdef object name = batch.fields(i).get(field)
    return name is not None and find(table, floor.intern(name)) != NULL


cdef bint are_few(Strangers* strangers, int64_t t_rx) noexcept:
    """Count one more; are they still few?"""
    cdef int64_t minutes = max(0, t_rx - strangers.since) // MINUTE
    strangers.count = (strangers.count >> min(minutes, 63)) + 1
    strangers.since += minutes * MINUTE
    return strangers.count <= STRANGERS_MAX
