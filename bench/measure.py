"""Measured of cases: every contestant in a process of its own, all over the same input, in turns; the median counts.

A contestant is a function at the top of a module. Called once in its process, it gets ready and returns what takes a
turn: a function of the turn's number (0 is the warm-up) that yields steps. A step is called and timed; what happens
between two steps is not. What the generator returns at its end (`facts`) stands in the result: how many events it told,
so that a reader sees whether two contestants did the same job.
"""

from __future__ import annotations

import gc
import signal
import statistics
import time
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, TypeVar

from bench.settings import OURS, Figures
from engine.pauses import short_pauses

Step = Callable[[], object]
Steps = Generator[Step, None, dict[str, Any] | None]
Turn = Callable[[int], Steps]
Contestant = Callable[..., Turn]

T = TypeVar("T")

END_S_MAX = 5.0


class Absent(Exception):
    """This contestant, or this case, cannot run here; the text says why."""


class Failed(Exception):
    """It ran and broke, or did not do what it claims to do."""


def told_of(error: Exception) -> str:
    """What nobody expected: the error in the first line, below it where it came from."""
    return f"{type(error).__name__}: {error}\n{''.join(traceback.format_exception(error))}"


class Measured(NamedTuple):
    """turns: seconds of each timed turn, all its steps; steps: seconds of each step, over all timed turns; cpu: seconds
    of processor time of each turn, all threads, which a busy machine disturbs less.

    rss_mb: the most that the process ever used; input_mb: what it used when it was ready for its first turn. told: the
    facts of each timed turn.
    """

    turns: list[float]
    steps: list[float]
    cpu: list[float]
    rss_mb: float
    input_mb: float
    told: list[dict[str, Any]]

    @property
    def facts(self) -> dict[str, Any]:
        """Of the last turn."""
        return self.told[-1]

    @property
    def run_s(self) -> float:
        return statistics.median(self.turns)

    @property
    def p50_ms(self) -> float:
        return 1_000 * percentile(self.steps, 0.5)

    @property
    def p99_ms(self) -> float:
        return 1_000 * percentile(self.steps, 0.99)


class Entry(NamedTuple):
    """Who takes part in a race: the contestant and what it is called with, once, in its own process."""

    contestant: Contestant
    arguments: tuple[Any, ...] = ()


def race(entries: Mapping[str, Entry], runs: int) -> tuple[dict[str, Measured], dict[str, str]]:
    """One warm-up each, then `runs` rounds of everybody in turn, so that a slow minute is everybody's.

    For everybody without full garbage collections, as in `run` and `replay`. Returns the timings, and why some did not
    take part. Raises Failed, with the traceback, if a contestant breaks.
    """
    timings: dict[str, Measured] = {}
    absent: dict[str, str] = {}
    runners: dict[str, _Runner] = {}
    try:
        for name, entry in entries.items():
            runner = runners[name] = _Runner(name, entry)
            reason = runner.ready()  # one after the other: getting ready is heavy
            if reason is not None:
                absent[name] = reason
                runners.pop(name).end()
        rounds = [{name: runner.turn(number) for name, runner in runners.items()} for number in range(runs + 1)]
        for name, runner in runners.items():
            timed = [each[name] for each in rounds[1:]]
            timings[name] = Measured(
                [sum(each.spent) for each in timed],
                [seconds for each in timed for seconds in each.spent],
                [each.cpu_s for each in timed],
                timed[-1].rss_mb,
                runner.input_mb,
                [each.facts for each in timed],
            )
    finally:
        for runner in runners.values():
            runner.end()
    return timings, absent


def alone(contestant: Contestant, *arguments: Any, runs: int) -> Measured:
    """A race of one. Raises Absent if it cannot run here."""
    timings, absent = race({"": Entry(contestant, arguments)}, runs)
    if absent:
        raise Absent(absent[""])
    return timings[""]


def in_turns(contestants: Mapping[str, Callable[[], T]], runs: int, warm_ups: int = 1) -> dict[str, list[T]]:
    """Rounds of everybody in turn in this process, for those who share a server or bring processes of their own.

    Returns what each of them gave in every round behind the warm-ups.
    """
    given: dict[str, list[T]] = {name: [] for name in contestants}
    with short_pauses():
        for number in range(warm_ups + runs):
            for name, contestant in contestants.items():
                gc.collect()
                found = contestant()
                if number >= warm_ups:
                    given[name].append(found)
    return given


def costs(turns: Mapping[str, Sequence[float]]) -> Figures:
    """contestant -> microseconds of each turn. `us`: of the median one; `ratio`: how many times ours a peer takes;
    `spread`: the dearest turn by the cheapest."""
    us = {name: statistics.median(each) for name, each in turns.items()}
    return {
        "us": {name: round(each, 3) for name, each in us.items()},
        "ratio": _ratios(us),
        "spread": {name: spread(each) for name, each in turns.items()},
    }


def durations(turns: Mapping[str, Sequence[Sequence[float]]]) -> Figures:
    """contestant -> seconds of each step of each turn. `run_s`: our median turn; `seconds`: everybody's."""
    runs = {name: [sum(steps) for steps in each] for name, each in turns.items()}
    seconds = {name: statistics.median(each) for name, each in runs.items()}
    return {
        "run_s": round(seconds[OURS], 4),
        **of_steps(turns),
        "seconds": {name: round(each, 4) for name, each in seconds.items()},
        "ratio": _ratios(seconds),
        "spread": {name: spread(each) for name, each in runs.items()},
    }


def of_steps(turns: Mapping[str, Sequence[Sequence[float]]]) -> Figures:
    """contestant -> seconds of each step of each turn: percentiles of one step, ours and in `peers_ms` the others'."""
    ms = {name: [1_000 * seconds for turn in each for seconds in turn] for name, each in turns.items()}
    found = {
        name: {"p50_ms": round(percentile(each, 0.5), 4), "p99_ms": round(percentile(each, 0.99), 4)}
        for name, each in ms.items()
    }
    return {**found.pop(OURS), "peers_ms": found}


def _ratios(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value / values[OURS], 2) for name, value in values.items() if name != OURS}


def spread(turns: Sequence[float]) -> float:
    """The most by the least: how quiet the machine was."""
    return round(max(turns) / min(turns), 2)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all are not above; NaN of none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def rss_mb(name: str = "VmRSS") -> float:
    """Memory of this process now; with `VmHWM`, the most it ever was (ru_maxrss would be inherited over fork)."""
    with open("/proc/self/status") as status:  # noqa: PTH123 - no file of ours
        return next(int(line.split()[1]) for line in status if line.startswith(f"{name}:")) / 1_024


class _Took(NamedTuple):
    """One turn: seconds of each step, of the processor in all of them, the contestant's facts, its peak so far."""

    spent: list[float]
    cpu_s: float
    facts: dict[str, Any]
    rss_mb: float


class _Runner:
    """The process of one contestant. It does nothing between its turns."""

    def __init__(self, name: str, entry: Entry) -> None:
        self.name = name
        spawn = get_context("spawn")  # a fork would start with our memory
        self.connection, theirs = spawn.Pipe()
        self.process = spawn.Process(target=_serve, args=(theirs, entry), name=f"bench {name}", daemon=True)
        self.process.start()
        theirs.close()
        self.input_mb = 0.0

    def ready(self) -> str | None:
        """Wait until it is; the reason if it never will be."""
        said, what = self._said()
        if said == "absent":
            return str(what)
        self.input_mb = what
        return None

    def turn(self, number: int) -> _Took:
        self.connection.send(number)
        took: _Took = self._said()[1]
        return took

    def end(self) -> None:
        self.connection.close()
        self.process.join(END_S_MAX)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()

    def _said(self) -> tuple[str, Any]:
        try:
            said, what = self.connection.recv()
        except EOFError:
            raise Failed(f"{self.name}: its process ended, exit code {self.process.exitcode}") from None
        if said == "failed":
            raise Failed(f"{self.name}: {what}")
        return said, what


def _serve(connection: Connection, entry: Entry) -> None:
    """What a contestant's process does until the race is over."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who started the race: it ends us
    try:
        with short_pauses():
            turn = entry.contestant(*entry.arguments)
            connection.send(("ready", rss_mb()))
            while True:
                try:
                    number = connection.recv()
                except EOFError:
                    return
                connection.send(("turn", _timed(turn(number))))
    except Absent as reason:
        connection.send(("absent", str(reason)))
    except Failed as reason:
        connection.send(("failed", str(reason)))
    except Exception as error:
        connection.send(("failed", told_of(error)))


def _timed(steps: Steps) -> _Took:
    spent: list[float] = []
    cpu_s = 0.0
    gc.collect()
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return _Took(spent, cpu_s, end.value or {}, rss_mb("VmHWM"))
        cpu_before, before = time.process_time(), time.perf_counter()
        step()
        spent.append(time.perf_counter() - before)
        cpu_s += time.process_time() - cpu_before
