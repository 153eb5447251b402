"""What the engine promises, as one checker: of crashes, damages, kills, and of lives made up by hypothesis.

    promises = Promises()
    promises.check(Evidence(...))      # as often as you like: it remembers what it was shown before
    promises.kept()                    # fails with every breach

    I1  no loss        every acknowledged record has its event at the sink, waits for it, or is accounted for otherwise
    I2  one id         the same business event never has two ids
    I3  content        the same id never has two contents
    I4  order          per partition key, sequence never decreases at a sink
    I5  conservation   in = used + duplicate + late + rejected + noise + open; events = delivered + pending + dead
    I6  liveness       once the faults stop, a fresh record's event arrives in time
    I8  no hand work   a start runs, or refuses with the file and the command that helps; it never falls over
    I9  bounded        what may grow stays below its cap

An evidence says only what its test can see; what it leaves out is not checked. Tests of a driver alone, behind a proxy
that breaks its connection, see records and no events: they hold what came against `tests.ledger`. Of commands that are
killed more is asked: the very bytes that one gives that nobody killed. The others have tests of their own: I7
is measured (bench, `outbox.dead_sink` and `e2e.latency`), I10 is `the_same_again` in tests/adversity/small_world.py and
tests/integration/test_restarts.py, I11 tests/adversity/test_bad_input.py.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from engine.errors import Refused

ARRIVAL_S_MAX = 30.0
ACCOUNTED = ("used", "duplicate", "late", "rejected", "noise", "open")


class Told(NamedTuple):
    """A business event as a sink has it."""

    sequence: int
    id: str
    partitionkey: str
    body: bytes


def told(body: bytes) -> Told:
    """What an event's bytes say of it, wherever they lie."""
    event = json.loads(body)
    return Told(int(event["sequence"]), event["id"], event["partitionkey"], body)


class Breach(NamedTuple):
    promise: str
    what: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.what}"


@dataclass
class Evidence:
    """acknowledged: names of records, by their sender's ledger; each is the id of the event that it causes.
    arrived: by sink, in the order in which they came. account: R82.
    told: how many events there were in all, counted from 1 on; all have arrived.
    starts: what each start ended in; None: it runs. caps: name -> (size, cap).
    waits_s: how long fresh records' events took once the faults had stopped.
    """

    acknowledged: Sequence[str] | None = None
    arrived: Mapping[str, Sequence[Told]] = field(default_factory=dict)
    account: Mapping[str, int] | None = None
    told: int | None = None
    starts: Sequence[BaseException | None] = ()
    caps: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    waits_s: Sequence[float] = ()


class Promises:
    """Remembers ids and contents over all that it was shown. breaches: what was found."""

    def __init__(self) -> None:
        self.breaches: list[Breach] = []
        self._content_of: dict[str, str] = {}
        self._id_of: dict[str, str] = {}

    def check(self, evidence: Evidence) -> list[Breach]:
        """What this evidence adds to `breaches`."""
        before = len(self.breaches)
        for promise, check in CHECKS.items():
            self.breaches += [Breach(promise, what) for what in check(self, evidence)]
        return self.breaches[before:]

    def kept(self) -> None:
        """Fails, with all of them, where a promise was broken."""
        assert not self.breaches, "\n".join(map(str, self.breaches[:20]))

    def one_id(self, event: Told) -> str:
        """Why this event's id cannot be; empty: it can."""
        content = content_of(event.body, "sequence", "id")
        known = self._id_of.setdefault(content, event.id)
        return "" if known == event.id else f"{event.id} was told as {known} before"

    def one_content(self, event: Told) -> str:
        content = content_of(event.body, "sequence")
        known = self._content_of.setdefault(event.id, content)
        return "" if known == content else f"{event.id} has other content than before: {content} after {known}"


@lru_cache(maxsize=65_536)
def content_of(body: bytes, *without: str) -> str:
    event: dict[str, Any] = json.loads(body)
    return json.dumps({name: value for name, value in event.items() if name not in without}, sort_keys=True)


def _all_told(evidence: Evidence) -> Iterable[Told]:
    return chain.from_iterable(evidence.arrived.values())


def no_loss(promises: Promises, evidence: Evidence) -> Iterable[str]:
    if evidence.acknowledged is None:
        return
    for sink, rows in evidence.arrived.items() or {"no sink": ()}.items():
        there = {row.id for row in rows}
        for name in evidence.acknowledged:
            if name not in there:
                yield f"{name} was acknowledged and is not at {sink}"


def one_id(promises: Promises, evidence: Evidence) -> Iterable[str]:
    return filter(None, map(promises.one_id, _all_told(evidence)))


def content(promises: Promises, evidence: Evidence) -> Iterable[str]:
    yield from filter(None, map(promises.one_content, _all_told(evidence)))
    for sink, rows in evidence.arrived.items():
        for id_, times in Counter(row.id for row in rows).items():
            if times > 1:
                yield f"{id_} stands {times} times at {sink}"


def order(promises: Promises, evidence: Evidence) -> Iterable[str]:
    for sink, rows in evidence.arrived.items():
        last: dict[str, Told] = {}
        for row in rows:
            before = last.setdefault(row.partitionkey, row)
            if row.sequence < before.sequence:
                yield f"{row.id} ({row.sequence}) came after {before.id} ({before.sequence}) at {sink}"
            last[row.partitionkey] = row


def conservation(promises: Promises, evidence: Evidence) -> Iterable[str]:
    account = evidence.account
    if account is not None and account["in"] != sum(account[name] for name in ACCOUNTED):
        yield f"{account} does not add up"
    if evidence.told is not None:
        for sink, rows in evidence.arrived.items():
            if len({row.id for row in rows}) != evidence.told:
                yield f"{evidence.told} events were told, {len({row.id for row in rows})} are at {sink}"


def liveness(promises: Promises, evidence: Evidence) -> Iterable[str]:
    return (f"an event took {wait_s:.1f} s to arrive" for wait_s in evidence.waits_s if wait_s > ARRIVAL_S_MAX)


def no_hand_work(promises: Promises, evidence: Evidence) -> Iterable[str]:
    for error in evidence.starts:
        if error is None:
            continue
        text = str(error)
        if not isinstance(error, Refused):
            yield f"a start fell over: {type(error).__name__}: {text}"
        elif "/" not in text or not any(word in text for word in ("sortline fsck", "sqlite3", "start the newer one")):
            yield f"a start refused and names no file or no command: {text}"


def bounded(promises: Promises, evidence: Evidence) -> Iterable[str]:
    return (f"{name} has {size}, its cap is {cap}" for name, (size, cap) in evidence.caps.items() if size > cap)


CHECKS: dict[str, Callable[[Promises, Evidence], Iterable[str]]] = {
    "I1": no_loss,
    "I2": one_id,
    "I3": content,
    "I4": order,
    "I5": conservation,
    "I6": liveness,
    "I8": no_hand_work,
    "I9": bounded,
}
