"""Pages of two megabytes, where the system has them."""

from libc.stdint cimport uintptr_t
from posix.mman cimport MADV_HUGEPAGE, madvise

cdef enum:
    HUGE_PAGE = 1 << 21


cdef inline void ask_for_huge_pages(const void* data, size_t size) noexcept nogil:
    """For a large block: to look at one place of it or another the processor has to know its page, and of small ones it knows
    too few; and of many megabytes that are written once, half of the time goes to page faults."""
    cdef uintptr_t first = (<uintptr_t>data + HUGE_PAGE - 1) & ~<uintptr_t>(HUGE_PAGE - 1)
    if size > 2 * HUGE_PAGE:
        madvise(<void*>first, (<uintptr_t>data + size - first) & ~<uintptr_t>(HUGE_PAGE - 1), MADV_HUGEPAGE)
