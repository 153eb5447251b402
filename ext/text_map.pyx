"""See text_map.pxd."""

from libc.stdlib cimport free, malloc


cdef class TextMap:
    def __cinit__(self, texts):
        cdef uint64_t capacity = 4
        cdef uint64_t i
        cdef bytes text
        cdef int32_t number
        self.alive = list(texts)
        while capacity < <uint64_t>(2 * len(self.alive) + 1):
            capacity *= 2
        self.mask = capacity - 1
        self.slots = <TextSlot*>malloc(capacity * sizeof(TextSlot))
        if self.slots == NULL:
            raise MemoryError
        for i in range(capacity):
            self.slots[i].length = -1
        for number, text in enumerate(self.alive):
            if self.find(<Bytes><const char*>text, len(text)) >= 0:
                raise ValueError("a text comes twice")
            i = text_hash(<Bytes><const char*>text, len(text)) & self.mask
            while self.slots[i].length >= 0:
                i = (i + 1) & self.mask
            self.slots[i] = TextSlot(at=<Bytes><const char*>text, length=<int32_t>len(text), number=number)

    def __dealloc__(self):
        free(self.slots)

    def number(self, bytes text not None):
        return self.find(<Bytes><const char*>text, len(text))
