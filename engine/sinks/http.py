"""An ERP's web service: one POST an event, the CloudEvent as JSON, order kept per partition key.

    POST /inbox/erp.shipping            Content-Type: application/cloudevents+json
    Idempotency-Key: pc-1f0c...         the event's id, the same in every repetition

2xx means that the ERP has it for good. An answer can be lost after the ERP has worked on the event, and no protocol of
the web can ask back: the event is sent again with the same key, so the receiver has to know the keys that it had.

Formats: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md (structured
mode), RFC 9110 (statuses, Retry-After).
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import itertools
import math
import socket
import ssl
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

import msgspec

from engine.clock import Clock
from engine.contracts import OutRow
from engine.errors import Refused, SinkFailed, SortlineError, Throttled, Undeliverable
from engine.secret import Secret
from engine.tls import Tls, is_loopback

IDLE_S_MAX = 4.0  # servers close idle connections; one that is older is made anew instead of being tried
ANSWER_BYTES_MAX = 65_536
REASON_CHARS_MAX = 300

STATUSES: dict[int, Literal["permanent", "operator", "overload"]] = {
    400: "permanent",  # it does not understand this event
    409: "permanent",  # it contradicts what the ERP has
    413: "permanent",
    415: "permanent",
    422: "permanent",
    401: "operator",
    403: "operator",
    404: "operator",  # the address is wrong, for all events
    405: "operator",
    407: "operator",
    410: "operator",
    408: "overload",
    425: "overload",
    429: "overload",
    503: "overload",
}
"""What an answer means that is not 2xx; other 4xx and 3xx are the operator's, other 5xx pass by themselves."""


class Settings(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`[sinks.NAME]` with `kind = "http"`.

    url: where events go; `{queue}` and `{type}` in its path are the event's.
    token: sent as `Authorization: Bearer ...`.
    headers: more of them, none secret.
    tls: for https; absent: certificates that this computer trusts. See `engine.tls`.
    plaintext: allow http to another computer. Whoever is on the network can read and forge.
    connections: at most so many requests of a queue at a time; events of one partition key never overtake each other.
    duplicate: statuses that say that the ERP has the event already, and count as delivered.
    timeout_ms: a connection, or an answer as a whole, takes no longer.
    """

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
    token: Secret | None = None
    headers: Annotated[dict[str, str], msgspec.Meta(max_length=50)] = {}
    tls: Tls | None = None
    plaintext: bool = False
    connections: Annotated[int, msgspec.Meta(ge=1, le=32)] = 4
    duplicate: Annotated[list[Annotated[int, msgspec.Meta(ge=400, le=499)]], msgspec.Meta(max_length=20)] = []
    timeout_ms: Annotated[int, msgspec.Meta(ge=100, le=300_000)] = 10_000

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yields (path inside the sink's table, what is wrong and what to do)."""
        if not self.url.isascii() or not self.url.isprintable() or " " in self.url:
            yield "url", "is ASCII without blanks: write %20 for a blank in a path, xn--... for another alphabet's name"
            return
        try:
            parts = urlsplit(self.url)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            yield "url", f"is not an address: {error}"
            return
        if parts.scheme not in ("http", "https") or not host:
            yield "url", "begins with https://HOST or http://HOST"
        elif parts.username is not None:
            yield "url", "no user or password here: use token"
        elif parts.scheme == "http" and not self.plaintext and not is_loopback(host):
            yield "url", f"{host} is another computer: use https, or plaintext = true in a closed network"
        if parts.scheme == "http" and self.tls is not None:
            yield "tls", "has no meaning with http"
        for name, value in self.headers.items():
            if not name.replace("-", "").isalnum() or not (name + value).isascii() or not value.isprintable():
                yield f"headers.{name}", "a header is ASCII: letters, digits and hyphens, then printable text"


class HttpSink:
    """`contracts.Sink` on HTTP. What was answered with 2xx is not sent again in the same life, whatever else fails."""

    def __init__(self, name: str, settings: Settings, data_dir: Path, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._parts = urlsplit(settings.url)
        self._context: ssl.SSLContext | None = None
        self._headers: dict[str, str] = {}
        self._idle: dict[str, list[Line]] = {}  # by queue: one that hangs keeps no other's from its own
        self._opened: object | None = None  # another one each time
        # its own: a server that does not answer must not hold up what else works in threads, the journal's syncs first
        self._name = name
        self._done: dict[str, set[tuple[int, int]]] = {}  # by queue: what had arrived of calls that did not end
        self.requests: Counter[str] = Counter()
        self._counting = threading.Lock()

    async def open(self) -> None:
        """Reads token and certificates. Raises Refused where it cannot; the server is asked with the first event."""
        settings = self._settings
        if self._parts.scheme == "https":
            self._context = (settings.tls or Tls()).context()
        self._headers = {"Content-Type": "application/cloudevents+json", **settings.headers}
        if settings.token is not None:
            self._headers["Authorization"] = f"Bearer {settings.token.reveal()}"
        self._opened = object()

    async def send(self, rows: Sequence[OutRow]) -> None:
        """In order in each partition key, several keys at a time. Raises the error of the first event that failed."""
        await self.send_some(rows, math.inf)

    async def send_some(self, rows: Sequence[OutRow], seconds: float) -> int:
        if self._opened is None:
            raise RuntimeError("the sink is not open")
        by_key: dict[str, list[OutRow]] = {}
        for row in rows:
            if not self._has(row):
                by_key.setdefault(row.partitionkey, []).append(row)
        keys = deque(by_key.values())
        failed: list[tuple[OutRow, Exception]] = []
        opened, until_s = self._opened, time.monotonic() + seconds
        lines = self._idle.pop(rows[0].queue, None) or [
            Line(self._connection) for _ in range(self._settings.connections)
        ]
        try:
            await asyncio.gather(*(self._in_thread(self._work, line, keys, failed, until_s) for line in lines))
        except asyncio.CancelledError:
            # what a thread is at would only be sent again by the next start
            keys.clear()
            for line in lines:
                line.cut()
            raise
        if opened is self._opened:
            self._idle[rows[0].queue] = lines
        else:  # another queue has failed meanwhile
            await self._close(lines)
        if failed:
            raise min(failed, key=lambda each: (each[0].position, each[0].again))[1]
        taken = list(itertools.takewhile(self._has, rows))
        for row in taken:
            # the next call begins behind this one, so that never more than a call's worth is remembered
            self._done[row.queue].discard((row.position, row.again))
        return len(taken)

    async def close(self) -> None:
        idle, self._idle, self._opened = self._idle, {}, None
        await self._close(itertools.chain(*idle.values()))

    async def _close(self, lines: Iterable[Line]) -> None:
        for line in lines:
            await self._in_thread(line.close)

    def _in_thread(self, work: Callable[..., None], *arguments: object) -> asyncio.Future[None]:
        """In a daemon: the end of the process does not wait for a server that lets a connection hang."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def tell(error: BaseException | None) -> None:
            if not done.done():
                done.set_result(None) if error is None else done.set_exception(error)

        def live() -> None:
            failed = None
            try:
                work(*arguments)
            except BaseException as error:
                failed = error
            with contextlib.suppress(RuntimeError):  # the loop is over
                loop.call_soon_threadsafe(tell, failed)

        threading.Thread(target=live, name=f"sink {self._name}", daemon=True).start()
        return done

    def _work(
        self, line: Line, keys: deque[list[OutRow]], failed: list[tuple[OutRow, Exception]], until_s: float
    ) -> None:
        """In a thread: one key after the other, until none is left, an event failed, or the time is over."""
        while keys and not failed:
            try:
                rows = keys.popleft()
            except IndexError:
                return  # another thread had it
            for row in rows:
                try:
                    self._post(line, row)
                except Exception as error:
                    failed.append((row, error))
                    return
                self._done[row.queue].add((row.position, row.again))
                if failed or time.monotonic() >= until_s:
                    return

    def _has(self, row: OutRow) -> bool:
        return (row.position, row.again) in self._done.setdefault(row.queue, set())

    def _post(self, line: Line, row: OutRow) -> None:
        path = self._parts.path.replace("{queue}", quote(row.queue)).replace("{type}", quote(row.type)) or "/"
        target = f"{path}?{self._parts.query}" if self._parts.query else path
        with self._counting:
            self.requests[row.queue] += 1
        status, headers, answer = line.post(target, row.body, {**self._headers, "Idempotency-Key": row.id})
        if 200 <= status < 300 or status in self._settings.duplicate:
            return
        raise self._error(status, headers, answer, row)

    def _error(self, status: int, headers: Mapping[str, str], answer: bytes, row: OutRow) -> SortlineError:
        phrase = http.client.responses.get(status, "")
        says = f"{self._parts.hostname} answers {status} {phrase}".rstrip()
        meaning = STATUSES.get(status, "operator" if status < 500 else "")
        if meaning == "permanent":
            text = answer.decode("utf-8", "replace").strip()[:REASON_CHARS_MAX]
            return Undeliverable(f"{says}: {text}", position=row.position, again=row.again, code=status)
        if meaning == "overload":
            asked, answered = headers.get("retry-after", ""), headers.get("date", "")
            return Throttled(says, retry_after_s(asked, answered, self._clock()))
        if meaning == "operator":
            return Refused(f"{says}: put the address or the token of this sink right")
        return SinkFailed(says, status)

    def _connection(self) -> http.client.HTTPConnection:
        host, port, timeout_s = self._parts.hostname or "", self._parts.port, self._settings.timeout_ms / 1000
        if self._context is not None:
            return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=self._context)
        return http.client.HTTPConnection(host, port, timeout=timeout_s)


class Line:
    """One connection that is kept, one request at a time."""

    def __init__(self, connect: Callable[[], http.client.HTTPConnection]) -> None:
        self._connect = connect
        self._connection: http.client.HTTPConnection | None = None
        self._used_s = 0.0
        self._is_cut = False

    def post(self, target: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Status, headers by their names in small letters, the beginning of the body."""
        if self._is_cut:
            raise ConnectionAbortedError("the sink is closed")
        if self._connection is not None and time.monotonic() - self._used_s > IDLE_S_MAX:
            self.close()
        if self._connection is None:
            self._connection = self._connect()
            self._connection.response_class = Answer
        elif self._connection.sock is not None:
            self._connection.sock.settimeout(self._connection.timeout)  # the answer before has left less
        try:
            self._connection.request("POST", target, body, dict(headers))
            response = self._connection.getresponse()
            answer = response.read(ANSWER_BYTES_MAX)
        except BaseException:
            self.close()
            raise
        if response.read(1):
            self.close()  # more than anybody needs
        self._used_s = time.monotonic()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, answer

    def cut(self) -> None:
        """From another thread: the one that waits for an answer is given up, no other request begins."""
        self._is_cut = True
        connection = self._connection
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class Answer(http.client.HTTPResponse):
    """An answer that is there as a whole within the socket's timeout, or TimeoutError, however slowly it comes."""

    def __init__(self, sock: socket.socket, *more: Any, **named: Any) -> None:
        super().__init__(sock, *more, **named)
        self.fp = io.BufferedReader(_Until(sock, self.fp.detach()))


class _Until(io.RawIOBase):
    """What `raw` reads from the socket, until its timeout is over, counted from now on."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw
        self._ends_s = time.monotonic() + (sock.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._ends_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer has not come to its end in time")
        self._sock.settimeout(left_s)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def retry_after_s(text: str, answered: str, now_us: int) -> float:
    """RFC 9110, 10.2.3: seconds, or a date; 0 for what is neither. answered: the server's own date, from which its
    other one counts, whatever the clock of this box says; `now_us` where it has none."""
    if (seconds := text.strip()).isdecimal():
        return float(seconds)
    at = _date(text)
    if at is None:
        return 0.0
    return max(0.0, (at - (_date(answered) or datetime.fromtimestamp(now_us / 1_000_000, UTC))).total_seconds())


def _date(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at
