"""What the engine promises, as one checker: unit tests, crash tests, simulation, load tests and soaks all call it.

    promises = Promises()
    promises.check(Evidence(...))      # as often as you like: it remembers what it was shown before
    promises.kept()                    # fails with every breach

    I1  no loss        every acknowledged record has its event at the sink, waits for it, or is accounted for otherwise
    I2  one id         the same business event never has two ids
    I3  content        the same id never has two contents
    I4  order          per partition key, sequence never decreases at a sink
    I5  conservation   in = used + duplicate + late + rejected + noise + open; events = delivered + pending + dead
    I6  liveness       once the faults stop, a fresh record's event arrives in time
    I7  floor          a dead sink slows nobody's acknowledgement down
    I8  no hand work   a start runs, or refuses with the file and the command that helps; it never falls over
    I9  bounded        what may grow stays below its cap
    I10 determinism    the journal read again gives the bytes that were told
    I11 silence        no secret and no payload in a log

An evidence says only what its test can see; what it leaves out is not checked, and `checked` says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from engine.errors import Refused

P99_FACTOR_MAX = 2.0
ARRIVAL_S_MAX = 30.0
ACCOUNTED = ("used", "duplicate", "late", "rejected", "noise", "open")


class Told(NamedTuple):
    """A business event as a sink has it."""

    sequence: int
    id: str
    partitionkey: str
    body: bytes


class Breach(NamedTuple):
    promise: str
    what: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.what}"


@dataclass
class Evidence:
    """acknowledged: names of records, by their sender's ledger. event_of: a record's name -> the id of the event that
    it causes; None: it causes none. accounted: names that stand in the late account or an open window.

    arrived: by sink, in the order in which they came. pending: of which it is known that they wait. dead: dead letters.
    account: R82. told: how many events there were in all, from sequence 1 on.
    start: what a start ended in; None: it runs. caps: name -> (size, cap).
    told_bodies, replayed_bodies: what the outbox was given, and what the journal gives when it is read again.
    waits_s: how long fresh records' events took once the faults had stopped. p99_s: of an acknowledgement, with all
    sinks up and with one dead. log, secrets: all that was logged, and what must not be in it.
    """

    acknowledged: Sequence[str] | None = None
    event_of: Callable[[str], str | None] = str
    accounted: frozenset[str] = frozenset()
    arrived: Mapping[str, Sequence[Told]] = field(default_factory=dict)
    pending: Sequence[Told] = ()
    dead: Sequence[Told] = ()
    account: Mapping[str, int] | None = None
    told: int | None = None
    starts: Sequence[BaseException | None] = ()
    caps: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    told_bodies: Sequence[bytes] | None = None
    replayed_bodies: Sequence[bytes] | None = None
    waits_s: Sequence[float] = ()
    p99_s: tuple[float, float] | None = None
    log: str | None = None
    secrets: Sequence[str] = ()


class Promises:
    """Remembers ids and contents over all that it was shown. breaches: what was found. checked: promises that some
    evidence spoke of."""

    def __init__(self) -> None:
        self.breaches: list[Breach] = []
        self.checked: set[str] = set()
        self._content_of: dict[str, str] = {}
        self._id_of: dict[str, str] = {}

    def check(self, evidence: Evidence) -> list[Breach]:
        """What this evidence adds to `breaches`."""
        before = len(self.breaches)
        for promise, check in CHECKS.items():
            found = check(self, evidence)
            if found is None:
                continue
            self.checked.add(promise)
            self.breaches += [Breach(promise, what) for what in found]
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
    for rows in evidence.arrived.values():
        yield from rows
    yield from evidence.pending
    yield from evidence.dead


def no_loss(promises: Promises, evidence: Evidence) -> Iterable[str] | None:
    if evidence.acknowledged is None:
        return None
    waiting = {event.id for event in (*evidence.pending, *evidence.dead)}
    lost = []
    for sink, rows in evidence.arrived.items() or {"no sink": ()}.items():
        there = waiting | {row.id for row in rows}
        for name in evidence.acknowledged:
            id_ = evidence.event_of(name)
            if id_ is not None and id_ not in there and name not in evidence.accounted:
                lost.append(f"{name} was acknowledged and is not at {sink}")
    return lost


def one_id(promises: Promises, evidence: Evidence) -> Iterable[str] | None:
    events = list(_all_told(evidence))
    return [why for event in events if (why := promises.one_id(event))] if events else None


def content(promises: Promises, evidence: Evidence) -> Iterable[str] | None:
    events = list(_all_told(evidence))
    found = [why for event in events if (why := promises.one_content(event))]
    for sink, rows in evidence.arrived.items():
        ids = [row.id for row in rows]
        found += [f"{id_} stands {ids.count(id_)} times at {sink}" for id_ in set(ids) if ids.count(id_) > 1] * (
            len(set(ids)) < len(ids)
        )
    return found if events else None


def order(promises: Promises, evidence: Evidence) -> Iterable[str] | None:
    if not evidence.arrived:
        return None
    found = []
    for sink, rows in evidence.arrived.items():
        last: dict[str, Told] = {}
        for row in rows:
            before = last.setdefault(row.partitionkey, row)
            if row.sequence < before.sequence:
                found.append(f"{row.id} ({row.sequence}) came after {before.id} ({before.sequence}) at {sink}")
            last[row.partitionkey] = row
    return found


def conservation(promises: Promises, evidence: Evidence) -> Iterable[str] | None:
    found = []
    if evidence.account is not None:
        parts = sum(evidence.account.get(name, 0) for name in ACCOUNTED)
        if evidence.account.get("in", 0) != parts:
            found.append(f"{evidence.account} does not add up")
    if evidence.told is not None:
        for sink, rows in evidence.arrived.items():
            ids = {row.id for row in (*rows, *evidence.pending, *evidence.dead)}
            if len(ids) != evidence.told:
                found.append(f"{evidence.told} events were told, {len(ids)} are at {sink}, pending or dead")
    return found if evidence.account is not None or evidence.told is not None else None


def liveness(promises: Promises, evidence: Evidence) -> Iterable[str] | None:
    late = [f"an event took {wait_s:.1f} s to arrive" for wait_s in evidence.waits_s if wait_s > ARRIVAL_S_MAX]
    return late if evidence.waits_s else None


def floor(promises: Promises, evidence: Evidence) -> Iterable[str] | None:
    if evidence.p99_s is None:
        return None
    alive, dead = evidence.p99_s
    return [f"p99 of an acknowledgement: {dead} s with a dead sink, {alive} s without"] * (
        dead > P99_FACTOR_MAX * alive
    )


def no_hand_work(promises: Promises, evidence: Evidence) -> Iterable[str] | None:
    found = []
    for error in evidence.starts:
        if error is None:
            continue
        text = str(error)
        if not isinstance(error, Refused):
            found.append(f"a start fell over: {type(error).__name__}: {text}")
        elif "/" not in text or not any(word in text for word in ("sortline fsck", "sqlite3", "start the newer one")):
            found.append(f"a start refused and names no file or no command: {text}")
    return found if evidence.starts else None


def bounded(promises: Promises, evidence: Evidence) -> Iterable[str] | None:
    over = [f"{name} has {size}, its cap is {cap}" for name, (size, cap) in evidence.caps.items() if size > cap]
    return over if evidence.caps else None


def determinism(promises: Promises, evidence: Evidence) -> Iterable[str] | None:
    if evidence.told_bodies is None or evidence.replayed_bodies is None:
        return None
    pairs = zip(evidence.told_bodies, evidence.replayed_bodies, strict=False)
    differ = [
        f"event {n} was told as {told!r} and reads {again!r}"
        for n, (told, again) in enumerate(pairs, 1)
        if told != again
    ]
    if len(evidence.told_bodies) != len(evidence.replayed_bodies):
        differ.append(f"{len(evidence.told_bodies)} events were told, {len(evidence.replayed_bodies)} are read again")
    return differ


def silence(promises: Promises, evidence: Evidence) -> Iterable[str] | None:
    if evidence.log is None:
        return None
    return [
        f"a secret or a payload stands in a log: {text[:8]}..." for text in evidence.secrets if text in evidence.log
    ]


CHECKS: dict[str, Callable[[Promises, Evidence], Iterable[str] | None]] = {
    "I1": no_loss,
    "I2": one_id,
    "I3": content,
    "I4": order,
    "I5": conservation,
    "I6": liveness,
    "I7": floor,
    "I8": no_hand_work,
    "I9": bounded,
    "I10": determinism,
    "I11": silence,
}
