"""From the outbox to one sink: read, send, advance, in order, for ever.

One task a sink, so that a dead one stops nobody else. What an exception means is decided by its type and code alone, in
one table; one that is not in it holds the sink until somebody has looked.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import random
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum

from engine.clock import Clock
from engine.contracts import Outbox, OutRow, Sink
from engine.metrics import SinkMetrics

BATCH_MAX = 512
BACKOFF_S_MIN = 0.1
BACKOFF_S_MAX = 30.0
PROBE_S = 30.0
CLOSE_S_MAX = 2.0

log = logging.getLogger("sortline.delivery")


class Class(Enum):
    """What to do about an error, whatever it was."""

    TRANSIENT = "transient"  # it passes by itself: again, after a growing, random while
    UNKNOWN = "unknown outcome"  # sent, no answer: again; the sink reads back what arrived
    OVERLOAD = "overload"  # it has too much: again, later and less at once
    OPERATOR = "operator"  # somebody has to put it right: hold, and look every PROBE_S
    CORRUPTION = "corruption"  # the sink's own data is damaged: hold
    BUG = "bug"  # nobody thought of it: hold, with the evidence in the log


ERRORS: dict[tuple[str, int | None], Class] = {
    # (type, code); the type's own bases are looked up after it, a code before none
    ("builtins.TimeoutError", None): Class.UNKNOWN,
    ("builtins.ConnectionError", None): Class.UNKNOWN,
    ("builtins.ConnectionRefusedError", None): Class.TRANSIENT,
    ("builtins.EOFError", None): Class.UNKNOWN,
    ("builtins.OSError", None): Class.TRANSIENT,
    ("builtins.OSError", errno.ENOSPC): Class.OPERATOR,
    ("builtins.OSError", errno.EDQUOT): Class.OPERATOR,
    ("builtins.OSError", errno.EIO): Class.OPERATOR,
    ("builtins.OSError", errno.EROFS): Class.OPERATOR,
    ("builtins.FileNotFoundError", None): Class.OPERATOR,
    ("builtins.PermissionError", None): Class.OPERATOR,
    ("ssl.SSLError", None): Class.TRANSIENT,
    ("ssl.SSLCertVerificationError", None): Class.OPERATOR,
    ("engine.errors.Full", None): Class.OVERLOAD,
    ("engine.errors.Refused", None): Class.OPERATOR,
    ("sqlite3.DatabaseError", sqlite3.SQLITE_CORRUPT): Class.CORRUPTION,
    ("sqlite3.DatabaseError", sqlite3.SQLITE_NOTADB): Class.CORRUPTION,
    ("sqlite3.OperationalError", None): Class.OPERATOR,  # full, read-only, cannot be opened, I/O error, ...
    ("sqlite3.OperationalError", sqlite3.SQLITE_BUSY): Class.TRANSIENT,
    ("sqlite3.OperationalError", sqlite3.SQLITE_LOCKED): Class.TRANSIENT,
    ("redis.exceptions.ConnectionError", None): Class.UNKNOWN,
    ("redis.exceptions.TimeoutError", None): Class.UNKNOWN,
    ("redis.exceptions.BusyLoadingError", None): Class.TRANSIENT,
    ("redis.exceptions.TryAgainError", None): Class.TRANSIENT,
    ("redis.exceptions.ClusterDownError", None): Class.TRANSIENT,
    ("redis.exceptions.MasterDownError", None): Class.TRANSIENT,
    ("redis.exceptions.ReadOnlyError", None): Class.TRANSIENT,  # a failover is under way
    ("redis.exceptions.OutOfMemoryError", None): Class.OVERLOAD,
    ("redis.exceptions.MaxConnectionsError", None): Class.TRANSIENT,
    ("redis.exceptions.AuthenticationError", None): Class.OPERATOR,
    ("redis.exceptions.AuthorizationError", None): Class.OPERATOR,
    ("redis.exceptions.NoPermissionError", None): Class.OPERATOR,
    ("redis.exceptions.InvalidResponse", None): Class.UNKNOWN,
    ("redis.exceptions.ResponseError", None): Class.OPERATOR,  # refused by the server: wrong type of key, and the like
}
"""By name, so that a site without Redis never imports its library."""


def classify(error: BaseException) -> Class:
    """The class of an error; BUG for one that ERRORS does not know."""
    codes = {getattr(error, "errno", None), _sqlite_code(error)} - {None}
    for base in type(error).__mro__:
        name = f"{base.__module__}.{base.__qualname__}"
        for code in (*codes, None):
            if (name, code) in ERRORS:
                return ERRORS[name, code]
    return Class.BUG


def _sqlite_code(error: BaseException) -> int | None:
    # the extended code's low byte is the primary code, https://www.sqlite.org/rescode.html
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None


class Forwarder:
    """Brings the outbox's events to one sink. `run` until cancelled; `wake` when there are new rows.

    batch_max: how many events go at once. jitter: a random number from 0 to 1, for the waits between attempts; sleep:
    waits so many seconds. advanced: called after the cursor has moved.
    """

    def __init__(
        self,
        name: str,
        sink: Sink,
        outbox: Outbox,
        metrics: SinkMetrics,
        clock: Clock,
        *,
        advanced: Callable[[], None],
        batch_max: int = BATCH_MAX,
        jitter: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.name = name
        self._sink = sink
        self._outbox = outbox
        self._metrics = metrics
        self._clock = clock
        self._advanced = advanced
        self._batch_max = batch_max
        self._batch = batch_max
        self._jitter = jitter
        self._sleep = sleep
        self._failures = 0
        self._said = ""
        self._open = False
        self._news = asyncio.Event()

    def wake(self) -> None:
        self._news.set()

    async def run(self) -> None:
        """An error of the sink is waited out; one of the outbox is ours, and raised."""
        try:
            while True:
                self._news.clear()
                rows = await asyncio.to_thread(self._outbox.read, self.name, self._batch)
                if not await self._attempt(rows):
                    continue
                if rows:
                    await asyncio.to_thread(self._outbox.advance, self.name, rows[-1].position)
                    self._delivered(len(rows))
                else:
                    await self._news.wait()
        finally:
            await self._shut()

    async def _attempt(self, rows: Sequence[OutRow]) -> bool:
        """Whether the sink has them now; if not, the time to wait is over when this returns."""
        try:
            if not self._open:
                await self._sink.open()
                self._open = True
            if rows:
                self._metrics.sends += 1
                await self._sink.send(rows)
        except Exception as error:
            await self._wait_out(error)
            return False
        self._failures = 0
        self._batch = min(2 * self._batch, self._batch_max)
        self._turn("up", "")
        return True

    async def _wait_out(self, error: Exception) -> None:
        kind = classify(error)
        self._failures += 1
        self._metrics.failures += 1
        held = kind in (Class.OPERATOR, Class.CORRUPTION, Class.BUG)
        self._turn("held" if held else "retrying", f"{kind.value}: {type(error).__name__}: {error}")
        if kind is Class.BUG:
            log.error("sink %s: nobody expected this error", self.name, exc_info=error)
        if kind is Class.OVERLOAD:
            self._batch = max(1, self._batch // 2)
        await self._shut()
        await self._sleep(PROBE_S if held else self._backoff_s())

    def _backoff_s(self) -> float:
        """Full jitter, so that many sinks of a server that comes back do not come all at once."""
        return max(0.01, self._jitter() * min(BACKOFF_S_MAX, BACKOFF_S_MIN * 2.0 ** min(self._failures - 1, 16)))

    def _turn(self, state: str, detail: str) -> None:
        self._metrics.turn(state, detail, self._clock())
        # one line a change: the same error again says nothing new
        said = f"{state} {detail}"
        if said != self._said:
            self._said = said
            (log.info if state == "up" else log.warning)(
                "sink %s: %s%s", self.name, state, f" {detail}" if detail else ""
            )

    def _delivered(self, count: int) -> None:
        now = self._clock()
        self._metrics.delivered += count
        self._metrics.rate.add(count, now)
        self._advanced()

    async def _shut(self) -> None:
        """A connection with an error behind it is not used again."""
        self._open = False
        try:
            async with asyncio.timeout(CLOSE_S_MAX):
                await self._sink.close()
        except Exception as error:
            log.debug("sink %s: while closing: %s: %s", self.name, type(error).__name__, error)
