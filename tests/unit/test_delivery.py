"""What an error means is read off its type and code; the wait after it grows, stays bounded and is never in step."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
import redis

from engine.contracts import Emitted, OutRow
from engine.delivery import BACKOFF_S_MAX, BACKOFF_S_MIN, PROBE_S, Class, Forwarder, classify
from engine.errors import ContentChanged, Full, Refused
from engine.metrics import SinkMetrics
from engine.outbox import SqliteOutbox
from tests.counting_core import event


def sqlite_error(code: int, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> sqlite3.Error:
    error = kind("says what it likes")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), Class.TRANSIENT),
        (ConnectionResetError(errno.ECONNRESET, "x"), Class.UNKNOWN),
        (TimeoutError("x"), Class.UNKNOWN),
        (OSError(errno.EHOSTUNREACH, "x"), Class.TRANSIENT),
        (OSError(errno.ENOSPC, "x"), Class.OPERATOR),
        (PermissionError(errno.EACCES, "x"), Class.OPERATOR),
        (ssl.SSLCertVerificationError("x"), Class.OPERATOR),
        (ssl.SSLEOFError("x"), Class.TRANSIENT),
        (Full("x"), Class.OVERLOAD),
        (Refused("x"), Class.OPERATOR),
        (ContentChanged("x"), Class.BUG),
        (sqlite_error(sqlite3.SQLITE_BUSY), Class.TRANSIENT),
        (sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT), Class.TRANSIENT),
        (sqlite_error(sqlite3.SQLITE_FULL), Class.OPERATOR),
        (sqlite_error(sqlite3.SQLITE_IOERR_FSYNC), Class.OPERATOR),
        (sqlite_error(sqlite3.SQLITE_CORRUPT, sqlite3.DatabaseError), Class.CORRUPTION),
        (redis.exceptions.ConnectionError("x"), Class.UNKNOWN),
        (redis.exceptions.TimeoutError("x"), Class.UNKNOWN),
        (redis.exceptions.BusyLoadingError("x"), Class.TRANSIENT),
        (redis.exceptions.ReadOnlyError("x"), Class.TRANSIENT),
        (redis.exceptions.OutOfMemoryError("x"), Class.OVERLOAD),
        (redis.exceptions.AuthenticationError("x"), Class.OPERATOR),
        (redis.exceptions.NoPermissionError("x"), Class.OPERATOR),
        (redis.exceptions.ResponseError("x"), Class.OPERATOR),
        (ZeroDivisionError("timed out"), Class.BUG),
        (KeyError("connection refused"), Class.BUG),
    ],
    ids=repr,
)
def test_the_class_of_an_error_is_its_types_and_codes(error: Exception, expected: Class) -> None:
    assert classify(error) is expected


class Failing:
    """Raises the given errors, one a call to `send`, then takes everything."""

    def __init__(self, errors: Sequence[Exception]) -> None:
        self.errors = list(errors)
        self.sizes: list[int] = []
        self.rows: list[OutRow] = []
        self.opened = self.closed = 0

    async def open(self) -> None:
        self.opened += 1

    async def send(self, rows: Sequence[OutRow]) -> None:
        self.sizes.append(len(rows))
        if self.errors:
            raise self.errors.pop(0)
        self.rows.extend(rows)

    async def close(self) -> None:
        self.closed += 1


def deliver(tmp_path: Path, sink: Failing, count: int = 20) -> list[float]:
    """Run a forwarder until the sink has `count` events, without really waiting; returns its waits in seconds."""
    waits: list[float] = []

    async def no_sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0)

    outbox = SqliteOutbox(
        tmp_path / "outbox.sqlite", routes={"pick.confirmed": {"erp": "q"}}, sinks=["erp"], rows_max=1_000
    )
    outbox.append([Emitted(*event(n, f"e{n}")) for n in range(1, count + 1)])

    async def story() -> None:
        done = asyncio.Event()
        metrics = SinkMetrics("erp")

        def advanced() -> None:
            if outbox.depth("erp") == 0:
                done.set()

        forwarder = Forwarder(
            "erp", sink, outbox, metrics, lambda: 0, advanced=advanced, batch_max=16, jitter=lambda: 1.0, sleep=no_sleep
        )
        task = asyncio.create_task(forwarder.run())
        async with asyncio.timeout(10):
            await done.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert metrics.delivered == count
        assert metrics.state == "up"

    asyncio.run(story())
    outbox.close()
    assert [row.id for row in sink.rows] == [f"e{n}" for n in range(1, count + 1)]
    return waits


def test_waits_grow_to_a_bound(tmp_path: Path) -> None:
    waits = deliver(tmp_path, Failing([ConnectionRefusedError()] * 12))
    assert waits == [min(BACKOFF_S_MAX, BACKOFF_S_MIN * 2**n) for n in range(12)]


def test_a_success_starts_the_waits_anew(tmp_path: Path) -> None:
    class Stumbling(Failing):
        async def send(self, rows: Sequence[OutRow]) -> None:
            await super().send(rows)
            self.errors = [TimeoutError()] * (len(self.rows) == 16)

    assert deliver(tmp_path, Stumbling([TimeoutError()] * 3)) == [0.1, 0.2, 0.4, 0.1]


def test_what_somebody_must_put_right_is_probed(tmp_path: Path) -> None:
    errors = [Refused("x"), redis.exceptions.NoPermissionError("x"), ZeroDivisionError()]
    assert deliver(tmp_path, Failing(errors)) == [PROBE_S] * 3


def test_an_overload_gets_less_at_once(tmp_path: Path) -> None:
    sink = Failing([Full("x")] * 3)
    deliver(tmp_path, sink)
    assert sink.sizes[:6] == [16, 8, 4, 2, 4, 8]


def test_after_an_error_the_connection_is_a_new_one(tmp_path: Path) -> None:
    sink = Failing([TimeoutError()] * 4)
    deliver(tmp_path, sink)
    assert (sink.opened, sink.closed) == (5, 5)
