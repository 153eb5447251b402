"""What a window goes by: in which order those go that are due at one moment (R4), and as what they stand in an event."""

from libc.stdint cimport int32_t, uint8_t


cdef enum KeyForm:              # how the key of a timer reads
    KEY_TEXT                    # a
    KEY_LINE                    # a/number
    KEY_CYCLE                   # a#number
    KEY_TASK                    # task/a
    KEY_ORDER                   # order/a
    KEY_FACT                    # src/epoch/seq/sub of the fact that is the target, or that the target begins with
    KEY_PLACE                   # loc/sku/lot of the place that is the target, or that the target begins with


cdef struct Key:
    int32_t a                   # a text
    int32_t number
    uint8_t form


cdef inline Key text_key(int32_t text) noexcept:
    return Key(a=text, number=0, form=KEY_TEXT)


cdef inline Key fact_key(int32_t src) noexcept:
    return Key(a=src, number=0, form=KEY_FACT)
