"""One open stream to a Modbus server: requests out, answers in, each within its time. Never reused once it is closed.

`ext.modbus_frames` checks every byte; here are the clock and the futures. In doubt the stream is closed: after bytes
that are no answer, and after a missing answer unless others have come since, whose transaction tells them apart.
"""

from __future__ import annotations

import asyncio
import asyncio.trsock
import socket
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, cast

from engine.errors import SortlineError
from ext.modbus_frames import Frames
from protocols.linking import tls_refusal

SAMPLE_BYTES_MAX = 4_096
ABANDONED_MAX = 16
QUICK_ACK: int = getattr(socket, "TCP_QUICKACK", 0)  # of Linux; elsewhere it stays as it is

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


class _Request(NamedTuple):
    answer: asyncio.Future[bytes]
    unit: int
    function: int
    address: int
    last: int  # a quantity for functions 1 to 4, a value for 6 and 16, a number for 8
    timeout_s: float


class Wire(asyncio.Protocol):
    """`silence_s`: between an answer and the next request, on a serial line. `fell`: called once when it broke."""

    def __init__(
        self, is_rtu: bool, in_flight_max: int, fell: Callable[[NoAnswer], None], silence_s: float = 0.0
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._frames = Frames(is_rtu)
        self._in_flight_max = in_flight_max
        self._silence_s = silence_s
        self._fell = fell
        self.is_open = False
        self._transport: asyncio.WriteTransport | None = None
        self._waiting: deque[_Request] = deque()
        self._socket: asyncio.trsock.TransportSocket | None = None
        self._unsent: list[bytes] = []  # frames of this turn of the loop
        self._is_silent = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def request(self, unit: int, function: int, address: int, last: int, timeout_s: float) -> asyncio.Future[bytes]:
        """Sent at once, or when its turn comes; its time begins when it is sent. The future: the payload, Refusal or
        NoAnswer."""
        answer = self._loop.create_future()
        if self._waiting or self._is_silent or self._frames.waiting >= self._in_flight_max:
            self._waiting.append(_Request(answer, unit, function, address, last, timeout_s))
        else:
            self._send(answer, unit, function, address, last, timeout_s)
        return answer

    def close(self, why: NoAnswer) -> None:
        """Everybody who waits is told."""
        transport, self._transport = self._transport, None
        self.is_open = False
        if transport is None:
            return
        transport.abort()
        if self._timer is not None:
            self._timer.cancel()
        self._tell(why)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is no subclass
        self.is_open = True
        if self._in_flight_max > 1 and QUICK_ACK:
            self._socket = transport.get_extra_info("socket")

    def connection_lost(self, error: Exception | None) -> None:
        # of TLS 1.3 a server looks at our certificate when the connection stands for us already
        self._break(NoAnswer(tls_refusal(error) or "closed by the server", by_peer=True))

    def data_received(self, data: bytes) -> None:
        for answer, content in self._frames.feed(data):
            if answer.done():
                continue  # whoever asked has gone
            if isinstance(content, int):
                _fail(answer, Refusal(content))
            else:
                answer.set_result(content)
        if self._frames.fault is not None:
            self._break(NoAnswer(self._frames.fault, wrong=data[:SAMPLE_BYTES_MAX]))
            return
        if self._silence_s and not self._frames.waiting:
            self._is_silent = True
            self._loop.call_later(self._silence_s, self._silence_over)
            return
        if self._waiting:
            self._send_waiting()
        if self._socket is not None and self._frames.waiting and self._transport is not None:
            # many servers hold the next answer back until the last one is acknowledged, and the kernel takes 40 ms
            self._socket.setsockopt(socket.IPPROTO_TCP, QUICK_ACK, 1)

    def _silence_over(self) -> None:
        self._is_silent = False
        self._send_waiting()

    def _send_waiting(self) -> None:
        while self._waiting and self._transport is not None and self._frames.waiting < self._in_flight_max:
            request = self._waiting.popleft()
            if not request.answer.done():
                self._send(*request)

    def _send(
        self, answer: asyncio.Future[bytes], unit: int, function: int, address: int, last: int, timeout_s: float
    ) -> None:
        deadline = self._loop.time() + timeout_s
        if function == ECHO:
            frame = self._frames.echo(answer, unit, last, deadline)
        else:
            ask = self._frames.read if function <= 4 else self._frames.write
            frame = ask(answer, unit, function, address, last, deadline)
        if self._in_flight_max == 1:
            self._transport.write(frame)  # type: ignore[union-attr]  # who asks has looked
        else:
            # one system call for all that are sent together
            if not self._unsent:
                self._loop.call_soon(self._flush)
            self._unsent.append(frame)
        if self._timer is None or deadline < self._timer_at:
            self._arm(deadline)

    def _flush(self) -> None:
        frames, self._unsent = self._unsent, []
        if self._transport is not None:
            self._transport.write(b"".join(frames))

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._look_at_deadlines)

    def _look_at_deadlines(self) -> None:
        """One timer for all: most answers come in time, so it is not worth one each."""
        self._timer = None
        now = self._loop.time()
        frames = self._frames
        for answer in frames.overdue(now):
            is_alive = self._in_flight_max > 1 and frames.is_alive(answer)
            is_crowded = len(frames) - frames.waiting >= ABANDONED_MAX
            if not is_alive or is_crowded or not frames.abandon(answer):
                self._miss(answer)
                return
            _fail(answer, NoAnswer("no answer in time"))
        if frames.waiting:
            self._arm(frames.earliest())
        self._send_waiting()

    def _miss(self, answer: asyncio.Future[bytes]) -> None:
        """The line may be dead, or late by one answer for ever."""
        why = NoAnswer("no answer in time")
        _fail(answer, why)
        self._break(why, blameless=True)

    def _break(self, why: NoAnswer, *, blameless: bool = False) -> None:
        if self._transport is None:
            return
        told = NoAnswer(why.reason, blameless=True) if blameless else why
        self.close(told)
        self._fell(why)

    def _tell(self, why: NoAnswer) -> None:
        left = [*self._frames.tokens_waiting(), *(request.answer for request in self._waiting)]
        self._waiting.clear()
        for answer in left:
            _fail(answer, why)


def _fail(answer: asyncio.Future[bytes], why: SortlineError) -> None:
    if not answer.done():
        answer.set_exception(why)
        answer.exception()  # it may be one of several of which only the first is awaited
