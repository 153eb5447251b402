"""One open stream to a Modbus server: requests out, answers in, each within its time. Never reused once it is closed.

`ext.modbus_frames` checks every byte, `ext.modbus_exchange` is what every request costs; here is what becomes of all
that is no answer. In doubt the stream is closed: after bytes that are no answer, and after a missing answer unless
others have come since, whose transaction tells them apart.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import cast

from engine.errors import SortlineError
from ext.modbus_exchange import Exchange
from protocols.linking import tls_refusal

ABANDONED_MAX = 16

ECHO = 8  # diagnostics, of which we ask for nothing else
BUSY = (5, 6)  # of EXCEPTIONS: still at it, and has no time
EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}  # MODBUS Application Protocol 1.1b3, section 7


class Refusal(SortlineError):
    """A Modbus exception: the device understood, and says no. The connection stays."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code} ({EXCEPTIONS.get(code, 'unknown')})")
        self.code = code

    @property
    def is_missing(self) -> bool:
        """The device does not have what was asked for, or not so much of it at once."""
        return self.code in (1, 2, 3)

    @property
    def is_unreachable(self) -> bool:
        """A gateway speaks for a unit that does not answer."""
        return self.code in (10, 11)

    @property
    def is_busy(self) -> bool:
        """The device does something else, and says nothing of what was asked for: it may be asked again later."""
        return self.code in BUSY


class NoAnswer(SortlineError):
    """No answer, or none that can be trusted.

    `by_peer`: the other side closed the connection. `wrong`: the bytes that came instead of the answer, if any.
    `blameless`: the connection was closed on account of another request.
    """

    def __init__(self, reason: str, *, by_peer: bool = False, wrong: bytes = b"", blameless: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.by_peer = by_peer
        self.wrong = wrong
        self.blameless = blameless


class Wire(Exchange, asyncio.Protocol):
    """`silence_s`: between an answer and the next request, on a serial line. `fell`: called once when it broke."""

    def __init__(
        self, is_rtu: bool, in_flight_max: int, fell: Callable[[NoAnswer], None], silence_s: float = 0.0
    ) -> None:
        self._loop = asyncio.get_running_loop()
        super().__init__(self._loop, is_rtu, in_flight_max, silence_s > 0)
        self._in_flight_max = in_flight_max
        self._silence_s = silence_s
        self._fell = fell
        self._hang_up: Callable[[], None] | None = None  # where it is open
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        return self._hang_up is not None

    def run_over(self, fd: int, hang_up: Callable[[], None]) -> None:
        """A descriptor that does not block: no transport stands between it and us. `hang_up` closes it."""
        self._loop.add_reader(fd, self.readable)

        def leave() -> None:
            self._loop.remove_reader(fd)
            hang_up()

        self._hang_up = leave
        self.goes_over(fd)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS."""
        through = cast(asyncio.WriteTransport, transport)  # uvloop's is no subclass
        self._hang_up = through.abort
        self.goes_over(transport.get_extra_info("socket").fileno(), through)

    def close(self, why: NoAnswer) -> None:
        """Everybody who waits is told."""
        hang_up, self._hang_up = self._hang_up, None
        if hang_up is None:
            return
        self.goes_over(-1)
        hang_up()
        if self._timer is not None:
            self._timer.cancel()
        left = [*self.frames.tokens_waiting(), *(answer for answer, *_ in self.queue)]
        self.queue.clear()
        for answer in left:
            _fail(answer, why)

    def connection_lost(self, error: Exception | None) -> None:
        # of TLS 1.3 a server looks at our certificate when the connection stands for us already
        self._break(NoAnswer(tls_refusal(error) or "closed by the server", by_peer=True))

    def refused(self, answer: asyncio.Future[bytes], code: int) -> None:
        _fail(answer, Refusal(code))

    def in_doubt(self, fault: str, sample: bytes) -> None:
        self._break(NoAnswer(fault, wrong=sample))

    def fall_silent(self) -> None:
        self.is_held = True
        self._loop.call_later(self._silence_s, self._silence_over)

    def _silence_over(self) -> None:
        self.is_held = False
        self.send_queued()

    def arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.timer_at = at
        self._timer = self._loop.call_at(at, self._look_at_deadlines)

    def _look_at_deadlines(self) -> None:
        """One timer for all: most answers come in time, so it is not worth one each."""
        self._timer = None
        self.timer_at = math.inf
        frames = self.frames
        for answer in frames.overdue(self._loop.time()):
            is_alive = self._in_flight_max > 1 and frames.is_alive(answer)
            is_crowded = len(frames) - frames.waiting >= ABANDONED_MAX
            if not is_alive or is_crowded or not frames.abandon(answer):
                self._miss(answer)
                return
            _fail(answer, NoAnswer("no answer in time"))
        if frames.waiting:
            self.arm(frames.earliest())
        self.send_queued()

    def _miss(self, answer: asyncio.Future[bytes]) -> None:
        """The line may be dead, or late by one answer for ever."""
        why = NoAnswer("no answer in time")
        _fail(answer, why)
        self._break(why, blameless=True)

    def _break(self, why: NoAnswer, *, blameless: bool = False) -> None:
        if not self.is_open:
            return
        told = NoAnswer(why.reason, blameless=True) if blameless else why
        self.close(told)
        self._fell(why)


def _fail(answer: asyncio.Future[bytes], why: SortlineError) -> None:
    if not answer.done():
        answer.set_exception(why)
        answer.exception()  # it may be one of several of which only the first is awaited
