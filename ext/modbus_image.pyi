"""What the registers of many alike units show: one row a unit, one column a register, filled from the wire's bytes.

    payload of a read, big-endian ──► store(row, column, payload) ──► now[row, column:]
                                           └── a watched column differs from before: the row is due to be looked at

No Python object is made of a register. The comparison is done while the bytes are copied, so it costs no pass of its
own, and one `changed()` tells it for all units at once.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

class RegisterImage:
    now: npt.NDArray[np.uint16]
    """rows x columns, what was read last; a bit of a coil or discrete input is a column of 0 or 1."""

    def __init__(self, rows: int, watched: bytes) -> None:
        """`watched`: a byte for each column, not 0 where a change is looked for. Rows begin as zeros, and changed."""

    def store(self, row: int, column: int, payload: bytes) -> bool:
        """Registers, high byte first, from `column` on; whether the row has changed since it was `seen`. Raises
        IndexError where they do not fit in."""

    def store_bits(self, row: int, column: int, payload: bytes, quantity: int) -> bool:
        """Bits, the first in the lowest place of the first byte, as `store`."""

    def seen(self, row: int) -> None:
        """The row was looked at: from here on it is unchanged."""

    def unsettle(self, row: int) -> None:
        """The row counts as changed, whatever it shows: its unit was away."""

    def changed(self) -> npt.NDArray[np.intp]:
        """The rows that changed and were not `seen` since, over all units at once."""

    def words(self, row: int) -> npt.NDArray[Any]:
        """A view of one row."""
