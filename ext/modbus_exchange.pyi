"""Requests out and answers in over one open stream, as futures: the part of a Modbus connection that every read costs.

`protocols.modbus.wire` says what becomes of all that is no answer: it is the only subclass, and has the methods that
are called here and not defined: `arm`, `refused`, `in_doubt`, `fall_silent`, `connection_lost`.
"""

import asyncio
from collections import deque
from typing import Any

from ext.modbus_frames import Frames

class Exchange:
    frames: Frames
    is_held: bool
    """Requests have to wait, whatever is on its way."""
    timer_at: float
    """When deadlines are looked at the next time, by the loop's clock; infinity: nobody will. `arm` is called with a
    deadline that is earlier."""
    queue: deque[tuple[asyncio.Future[bytes], Any, Any, Any, Any, Any]]
    """Requests whose turn has not come: the future, and the arguments of `request`."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, is_rtu: bool, in_flight_max: int, falls_silent: bool = False
    ) -> None:
        """`falls_silent`: `fall_silent` is called whenever all that was asked is answered."""

    def goes_over(self, fd: int, transport: asyncio.WriteTransport | None = None) -> None:
        """Bytes go to `transport`, where there is one, and come by `data_received`; else they go to the descriptor,
        which must not block, and are read from it when `readable` is called. -1: nothing goes anywhere any more."""

    def request(self, unit: int, function: int, address: int, last: int, timeout_s: float) -> asyncio.Future[bytes]:
        """Sent at once, or when its turn comes; its time begins when it is sent. `last`: a quantity for functions 1 to
        4, a value for 6 and 16, a number for 8. The future: the payload, or what `refused` and others make of it.
        Raises ValueError."""

    def send_queued(self) -> None:
        """As many as may be on their way."""

    def readable(self) -> None: ...
    def data_received(self, data: bytes) -> None: ...
