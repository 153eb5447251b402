"""What the parts promise each other. Data goes one way; only ack, wait and advance travel back.

driver --Delivery--> intake --(journal, fsync)--> core --Emitted--> outbox --OutRow--> sink
   ^------- ack ------|  ^-- wait: put() blocks                       ^--- advance ---|
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, overload, runtime_checkable

from engine.clock import Clock


class Block(Sequence[bytes]):
    """Many lines in one piece, as fast drivers make them: `data` is `length` lines, each ended by a line feed.

    To whoever looks at the lines it is a sequence of them like any other, only that each look costs a cut.
    """

    __slots__ = ("data", "length")

    def __init__(self, data: bytes, length: int) -> None:
        self.data = data
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.data.split(b"\n")[:-1])

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        return self.data.split(b"\n")[:-1][index]


class Delivery(NamedTuple):
    """What a driver hands over at once: canonical lines and the acknowledgement owed for them.

    `lines`: canonical records, one JSON object each, UTF-8, no line end, `t_rx` stamped; a list of
    them, or a `Block`. May be empty (everything in the message was refused): the ack is still owed, so that a poison
    message leaves the broker.
    `ack`: called once, on the event loop, after the records are durable; must not block; may start a task. None: the
    protocol has nothing to acknowledge, and cannot hold anything back (QoS 0, plain polling). On a disk
    that fills up it is shed.
    """

    source: str
    lines: Sequence[bytes]
    ack: Callable[[], None] | None = None


class Intake(Protocol):
    """The engine's front door, as a driver sees it."""

    async def put(self, delivery: Delivery) -> None:
        """Hand over records. Waits while the engine is full (that is the back-pressure: stop reading meanwhile)."""

    def fault(self, source: str, cause: str, sample: bytes, place: str = "") -> None:
        """A payload that does not fit: counted, kept, logged once per (source, cause). Never raises. `sample`: as much
        of it as the driver has. `place`: where in the source it came from (a topic), as the payload does not say that.
        """

    def state(self, source: str, state: str, detail: str = "") -> None:
        """The connection's state for the live view and the log: `connecting`, `up`, `down`. `detail`: why."""

    def position(self, src: str) -> tuple[int, int] | None:
        """The last (epoch, seq) that was accepted from `src`, also before a restart; None if it never numbered.

        To be asked from `Driver.run` on: drivers are built before the engine has read its journal."""

    async def recent(self, src: str, most: int) -> Sequence[bytes]:
        """The last lines that were accepted from `src` before this start, as far as they are still there."""


class Driver(Protocol):
    """Owns one connection: connect, reconnect for ever, subscribe or poll, hand over, acknowledge. Knows no rule.

    Built as `Driver(name, settings, intake, clock)`: the source's name in the site file, its settings struct, the
    engine's front door, and the clock that stamps `t_rx`.
    """

    async def run(self) -> None:
        """Runs until cancelled. A lost connection is its own business: it reports `state` and reconnects for ever."""


class DriverFactory(Protocol):
    def __call__(self, name: str, settings: object, intake: Intake, clock: Clock) -> Driver: ...


class Emitted(NamedTuple):
    """A business event as the core emits it. `body` is the whole canonical CloudEvent; `content` hashes it without its
    `sequence`, so that the outbox can tell a repetition from a contradiction."""

    sequence: int
    id: str
    type: str  # bare: pick.confirmed
    partitionkey: str
    body: bytes
    content: bytes  # 16 bytes


class OutRow(NamedTuple):
    """One event on its way to one sink. `position`: its sequence; the lane's cursor moves here once it is delivered.

    `again`: 0; for a dead letter that is sent once more 1, 2, ..., and `position` is then that of the last event that
    went before it. (position, again) grows in each queue of a sink, and stays what it is when a row is sent again.
    """

    position: int
    id: str
    type: str
    queue: str
    partitionkey: str
    body: bytes
    again: int = 0


class Lane(NamedTuple):
    """What one sink gets in one queue: it has a cursor of its own, and is delivered in order.

    `types`: bare types of business events. `until`: a lane of earlier routes ends with this event; None: it goes on.
    """

    number: int
    sink: str
    queue: str
    types: tuple[str, ...]
    until: int | None = None


class Account(NamedTuple):
    """Where a lane's, or a sink's, events are: `events = delivered + pending + dead`."""

    events: int
    delivered: int
    pending: int
    dead: int


class Outbox(Protocol):
    """Business events until every sink has them. Synchronous and durable: call it off the event loop."""

    def append(self, events: Sequence[Emitted]) -> None:
        """All of them in one commit, in order. Events at or below `last_sequence` are already here and are passed over
        (a restart replays the journal); the same id with other content raises ContentChanged."""

    @property
    def rows_max(self) -> int:
        """So many events that some sink does not have yet, and it is full."""

    def last_sequence(self) -> int: ...

    def retell(self) -> None:
        """What `append` passes over from now on may have been told by another program: from the first event that
        differs on, ids count and not sequences."""

    def untold(self) -> tuple[list[Emitted], dict[str, int]] | None:
        """Ends that. What was passed over although its id was never told, in order; and of every key that was told (an
        id without its `:rN`) the greatest revision. None: nothing differed."""

    def lanes(self, sink: str) -> list[Lane]:
        """The sink's lanes; first those of earlier routes, which are emptied before others of their queue go on."""

    def gone(self) -> list[Lane]:
        """Lanes of sinks that the site does not have any more, with something in them that those never got."""

    def read(self, lane: int, limit: int, after: int = 0) -> list[OutRow]:
        """The lane's next events after its cursor, or behind `after` if that is greater, in order of sequence."""

    def cursor(self, lane: int) -> int:
        """The lane's events up to here are delivered, or dead letters."""

    def advance(self, lane: int, position: int, *, delivered: int, dead: int = 0) -> None:
        """All of the lane's events up to `position` are where they belong, so many of each: move its cursor; rows
        behind every cursor may be dropped."""

    def account(self, lane: int) -> Account:
        """Where the lane's events are."""

    def depth(self, sink: str) -> int:
        """How many events the sink does not have yet, dead letters not counted."""

    def oldest_us(self, lane: int, after: int = 0) -> int:
        """Since when (wall clock) the first of those waits; 0: none does."""

    def shrink(self) -> bool:
        """Gives room back to a device that has none; whether it did."""

    def settle(self) -> None:
        """What is in it now stays even if the last that was written is damaged later: a snapshot shall stand for it."""

    def close(self) -> None: ...


class Sink(Protocol):
    """Where business events go. Idempotent by id: rows may be sent again after a lost reply, and never appear twice."""

    async def open(self) -> None: ...

    async def send(self, rows: Sequence[OutRow]) -> None:
        """All rows durable at the sink, in order, or an exception; partly sent rows are sent again by the next call."""

    async def close(self) -> None: ...


@runtime_checkable
class FileSink(Sink, Protocol):
    """One that keeps what it gets in a file of the box itself."""

    path: Path

    def settle(self) -> bool:
        """All that was sent stays even if what was written last is damaged later; False: not now, somebody reads. Off
        the event loop. Raises RuntimeError if it is not open, Refused or sqlite3.Error if it cannot be worked with."""


@runtime_checkable
class PostingSink(Sink, Protocol):
    """One that sends each event in a request of its own, so that many of them may take long. Calls for different queues
    may run at a time, and `close` leaves those to themselves that are under way.

    requests: by queue, how many it has sent so far, taken or not; a rate counts them.
    """

    requests: Counter[str]

    async def send_some(self, rows: Sequence[OutRow], seconds: float) -> int:
        """As `send`, but after so many seconds it begins no other request. How many of the first rows the sink has now:
        at least one. What it has of those behind them is not sent again."""


class SinkFactory(Protocol):
    """`data_dir`: where a sink that keeps a file of its own puts it."""

    def __call__(self, name: str, settings: object, data_dir: Path, clock: Clock) -> Sink: ...
