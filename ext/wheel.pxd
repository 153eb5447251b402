"""The timing wheel as it lies in memory: see timers.pxd for what it is."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from ext.store cimport List

cdef enum:
    LEVELS = 8
    SLOTS = 64
    TICK_BITS = 10              # a tick is 1 024 microseconds

cdef struct Timer:
    Timer* next                 # in its slot
    void* target
    int32_t a                   # of its key
    int64_t due
    int64_t serial
    int64_t value               # what the target wants to be told: usually the event time meant
    int32_t number              # of its key
    uint8_t form
    uint8_t rank
    uint8_t tag


cdef struct Wheel:              # in the region: part of what is kept
    List* heap                  # of Timer
    Timer* slots[LEVELS * SLOTS]
    uint64_t taken[LEVELS]      # a bit a slot
    int64_t tick                # timers of this tick and of those before are in the heap
    int64_t in_wheel
    int64_t serial
