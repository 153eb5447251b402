"""Plain counters and gauges: the pipeline, the deliveries and the drivers' states fill them, the live view reads them.

    metrics.state, metrics.detail        what the engine is doing: starting recovering running full stopping stopped
    metrics.sources[NAME]                one SourceMetrics a source of the site file
    metrics.sinks[NAME]                  one SinkMetrics a sink
    metrics.core                         account, open windows and clocks, as the core last told them (about 1/s)
    metrics.recent                       the last business events
    metrics.loop                         how long the event loop was held
    metrics.intake, metrics.journal      what waits in memory, what lies on disk
    metrics.snapshot                     the last snapshot, and what it cost

Everything lives on the event loop's thread and is read there; nothing here locks, logs or reads a clock: times are
arguments, in microseconds. Everything is bounded: causes and samples by the constructor, names by the site file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

SECOND_US = 1_000_000
RATE_SECONDS = 10
CAUSES_MAX = 64
OTHER_CAUSES = "other causes"
RECENT_EVENTS = 100
LOOP_SAMPLES = 6_000
LOOP_S = 60


class Rate:
    """Things a second, over the last RATE_SECONDS whole seconds."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int]] = deque(maxlen=RATE_SECONDS + 1)

    def add(self, count: int, now_us: int) -> None:
        second = now_us // SECOND_US
        if self._seconds and self._seconds[-1][0] == second:
            count += self._seconds.pop()[1]
        self._seconds.append((second, count))

    def per_second(self, now_us: int) -> float:
        """The mean of the whole seconds before `now_us`; the running second does not count yet."""
        now = now_us // SECOND_US
        return sum(count for second, count in self._seconds if now - RATE_SECONDS <= second < now) / RATE_SECONDS


class Fault:
    """One cause for which payloads of a source were refused: how many, when last, and a few of them to look at."""

    def __init__(self, samples_max: int) -> None:
        self.count = 0
        self.last_us = 0
        self.samples: deque[bytes] = deque(maxlen=samples_max)


class SourceMetrics:
    """One source: a connection of the site file.

    state: what its driver last said (`connecting`, `up`, `down`; empty before); `detail` why, `since_us` since when.
    records: lines that were accepted. deliveries: how many times the driver handed something over.
    lag_us: how long the last accepted lines took from being handed over until the rules had decided on them.
    shed: lines that were not taken because the disk was filling up (see overload).
    faults: cause -> Fault, at most CAUSES_MAX of them; what comes after counts under OTHER_CAUSES.
    """

    def __init__(self, name: str, samples_max: int, sample_bytes_max: int) -> None:
        self.name = name
        self.state = ""
        self.detail = ""
        self.since_us = 0
        self.deliveries = 0
        self.records = 0
        self.rate = Rate()
        self.last_us = 0
        self.lag_us = 0
        self.shed = 0
        self.faults: dict[str, Fault] = {}
        self._samples_max = samples_max
        self._sample_bytes_max = sample_bytes_max

    def accepted(self, records: int, now_us: int) -> None:
        self.deliveries += 1
        self.records += records
        self.rate.add(records, now_us)
        self.last_us = now_us

    def fault(self, cause: str, sample: bytes, now_us: int) -> bool:
        """Count a refused payload. True the first time that a cause comes: that one is worth a line in the log."""
        first = cause not in self.faults
        if first and len(self.faults) >= CAUSES_MAX:
            cause = OTHER_CAUSES
            first = cause not in self.faults
        fault = self.faults.setdefault(cause, Fault(self._samples_max))
        fault.count += 1
        fault.last_us = now_us
        fault.samples.append(sample[: self._sample_bytes_max])
        return first

    @property
    def faulty(self) -> int:
        """Refused payloads, of every cause."""
        return sum(fault.count for fault in self.faults.values())


class Served:
    """A sink, or what it gets in one queue.

    state: `starting`, `up`, `retrying` (it will come back by itself), `held` (somebody has to act; it is probed).
    detail: the last error's class and text; empty while `up`. since_us: since when it is in this state.
    depth: events that are not delivered yet; oldest_us: since when the first of them waits, 0: none does.
    delivered: since the start.
    """

    def __init__(self) -> None:
        self.state = "starting"
        self.detail = ""
        self.since_us = 0
        self.depth = 0
        self.oldest_us = 0
        self.delivered = 0
        self.dead = 0

    def turn(self, state: str, detail: str, now_us: int) -> None:
        if state != self.state:
            self.since_us = now_us
        self.state, self.detail = state, detail


class LaneMetrics(Served):
    """What one sink gets in one queue. dead: events that became dead letters, those included that a person has sent
    again or discarded since."""

    def __init__(self, queue: str) -> None:
        super().__init__()
        self.queue = queue


class SinkMetrics(Served):
    """One sink.

    dead, sends, failures: events that became dead letters, calls that sent events, calls that failed, since the start.
    lanes: the same for each of its queues, by the lane's number.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.sends = 0
        self.failures = 0
        self.rate = Rate()
        self.lanes: dict[int, LaneMetrics] = {}

    def lane(self, number: int, queue: str) -> LaneMetrics:
        """The lane of that number, made at its first mention."""
        return self.lanes.setdefault(number, LaneMetrics(queue))

    def sum_up(self) -> None:
        """Depth and age out of the lanes'."""
        self.depth = sum(lane.depth for lane in self.lanes.values())
        self.oldest_us = min((lane.oldest_us for lane in self.lanes.values() if lane.oldest_us), default=0)


class LoopLag:
    """How late the event loop woke a sleeping task: what everything else on the loop had to wait. Microseconds.

    max_us: since the start."""

    def __init__(self) -> None:
        self.max_us = 0
        self._last: deque[tuple[float, int]] = deque(maxlen=LOOP_SAMPLES)

    def add(self, lag_us: int, at_s: float) -> None:
        """at_s: by a clock that only grows."""
        self._last.append((at_s, lag_us))
        while self._last[0][0] < at_s - LOOP_S:  # an idle loop is looked at rarely
            self._last.popleft()
        self.max_us = max(self.max_us, lag_us)

    def p99_us(self) -> int:
        """Of the wake-ups in the LOOP_S before the last, the last LOOP_SAMPLES of them; 0 before the first."""
        ordered = sorted(lag_us for _, lag_us in self._last)
        return ordered[len(ordered) * 99 // 100] if ordered else 0


class Recent(NamedTuple):
    """A business event that the core emitted."""

    at_us: int
    sequence: int
    id: str
    type: str  # bare: pick.confirmed
    partitionkey: str


class CoreMetrics(NamedTuple):
    """What `Core.account()`, `windows()` and `sources()` said at `at_us`."""

    at_us: int = 0
    account: Mapping[str, int] = {}
    windows: Mapping[str, int] = {}
    sources: Sequence[Mapping[str, object]] = ()


class IntakeMetrics:
    """Records that drivers handed over and that are not on disk yet. waiting: drivers that `put` is holding back."""

    def __init__(self) -> None:
        self.records = 0
        self.bytes = 0
        self.waiting = 0


class JournalMetrics:
    """The journal's size on disk, its cap, the appends since the start, and how long the last ones took."""

    def __init__(self) -> None:
        self.bytes = 0
        self.bytes_max = 0
        self.appends = 0
        self.append_us = 0
        self.append_us_max = 0

    def appended(self, took_us: int, size: int) -> None:
        self.appends += 1
        self.append_us = took_us
        self.append_us_max = max(self.append_us_max, took_us)
        self.bytes = size


class SnapshotMetrics:
    """The last snapshot: when, bytes of state, how long the rules stood still for it, bytes of the file."""

    def __init__(self) -> None:
        self.at_us = 0
        self.state_bytes = 0
        self.took_us = 0
        self.took_us_max = 0
        self.file_bytes = 0

    def taken(self, at_us: int, state_bytes: int, took_us: int, file_bytes: int) -> None:
        self.at_us, self.state_bytes, self.took_us, self.file_bytes = at_us, state_bytes, took_us, file_bytes
        self.took_us_max = max(self.took_us_max, took_us)


class Metrics:
    """All of them. One object a running engine.

    samples_max: refused payloads kept per source and cause. sample_bytes_max: how much of each.
    """

    def __init__(self, *, samples_max: int = 4, sample_bytes_max: int = 4_096) -> None:
        self.state = "starting"
        self.detail = ""
        self.sources: dict[str, SourceMetrics] = {}
        self.sinks: dict[str, SinkMetrics] = {}
        self.core = CoreMetrics()
        self.recent: deque[Recent] = deque(maxlen=RECENT_EVENTS)
        self.loop = LoopLag()
        self.intake = IntakeMetrics()
        self.journal = JournalMetrics()
        self.snapshot = SnapshotMetrics()
        self.overload = "run"  # what is done about a disk that fills up: run trim shed wait
        self.replayed = 0  # records that the journal's replay has fed to the core at the start
        self.contradictions = 0  # times that an event contradicted an earlier one of the same id: see the outbox
        self.emitted = 0  # business events since the start, those of the replay included
        self.events = Rate()
        self._samples_max = samples_max
        self._sample_bytes_max = sample_bytes_max

    def source(self, name: str) -> SourceMetrics:
        """The source of that name, made at its first mention."""
        source = self.sources.get(name)
        if source is None:
            source = self.sources[name] = SourceMetrics(name, self._samples_max, self._sample_bytes_max)
        return source

    def sink(self, name: str) -> SinkMetrics:
        """The sink of that name, made at its first mention."""
        sink = self.sinks.get(name)
        if sink is None:
            sink = self.sinks[name] = SinkMetrics(name)
        return sink

    def turn(self, state: str, detail: str = "") -> bool:
        """The engine's state is now `state`; true if that is a change."""
        changed = state != self.state
        self.state, self.detail = state, detail
        return changed
