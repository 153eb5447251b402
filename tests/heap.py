"""What this process has allocated, as glibc counts it: to see that something was not given back."""

from __future__ import annotations

import ctypes

PARTS = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


class Heap(ctypes.Structure):
    """`struct mallinfo2` of glibc 2.33 and newer: bytes of all arenas. uordblks: in use; fordblks: free; hblkhd: in
    use, each block by itself from the system."""

    _fields_ = [(part, ctypes.c_size_t) for part in PARTS]


def heap() -> Heap:
    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = Heap
    found: Heap = mallinfo()
    return found
