"""One `[[variables]]` entry at work: which change of its trigger is an event, what is missing, and the record of it.

Pure: the driver brings notifications and the answer of a Read, times come with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ext.opcua_notifications import ordered
from ext.opcua_values import Reading
from protocols.mapping.plan import RecordPlan
from protocols.mapping.sequence import step
from protocols.opcua.decode import mapping_values
from protocols.opcua.harvest import Harvest
from protocols.opcua.settings import Variables

Note = tuple[str, Reading]
"""A notification: the name of the node and its value."""

LATER_MAX = 8
_UNSEEN = object()


class Counter(NamedTuple):
    """A trigger that numbers the records. `modulus`: where it wraps, if it does. `last`, `epoch`: what the engine knew
    of it before this process started."""

    modulus: int | None = None
    last: int | None = None
    epoch: int = 0

    def step(self, before: object, value: object) -> int | None:
        """See `mapping.sequence.step`."""
        return step(before, value, self.modulus)


class VariablesRecord:
    """What is known of the entry's trigger, over connections.

    `counter`: None if the trigger is no counter that numbers the records. `pending`: the event whose values are still
    to be read.
    """

    def __init__(
        self,
        settings: Variables,
        plan: RecordPlan,
        counter: Counter | None = None,
    ) -> None:
        self.src = settings.src
        self.settings = settings
        self.monitored = tuple(settings.nodes) if settings.collect == "monitor" else (settings.trigger,)
        # A trigger alone says all that there is: what it says by the time of a Read is another event.
        self._monitors = len(settings.nodes) == 1 or settings.collect == "monitor"
        self.read = tuple(settings.nodes)
        if settings.check is not None:
            self.read = (settings.check, *self.read, settings.check)
        self.pending: Reading | None = None
        self._plan = plan
        self._counter = counter
        known = counter.last if counter is not None else None
        self._epoch = counter.epoch if counter is not None else 0
        self._done: object = _UNSEEN if known is None else known  # accounted for: recorded, or reported missing
        self._seen: object = self._done  # notified
        self._good_us: int | None = None  # the last good notification of the trigger
        self._made_us: int | None = None  # the source time of the last record's trigger
        self._state: dict[str, Reading] = {}
        self.heard: dict[str, Reading] = {}  # what was told last of each node
        self._fresh = True
        self._bad = False
        self._event_us: int | None = None  # the source time of the last event, whether its record could be made
        self._skipped = False  # numbers right before the one that was notified last
        self._samples = False  # the server is known not to tell of every write
        self._apart = False  # ... and has looked at another node before the trigger, and told of an older value
        self._own: set[str] = set()  # nodes that are written whatever the trigger does
        self._later: dict[str, int] = {}  # nodes that were written after the trigger, and in how many events in a row

    @property
    def counts(self) -> bool:
        """Whether the trigger numbers the events, so that missing ones are seen."""
        return self._counter is not None

    def connected(self, t_rx: int) -> None:
        """A new subscription: the next notification of each node is its state, not a change."""
        self._fresh = True
        self._samples = False
        self._seen = self._done
        self.pending = None
        self._state.clear()
        self.heard.clear()
        if self._good_us is None:
            self._good_us = t_rx

    def lost(self, t_rx: int, harvest: Harvest) -> None:
        """Notifications of the whole subscription are missing."""
        self._gap(t_rx, t_rx, harvest)

    def silenced(self, t_rx: int, harvest: Harvest) -> None:
        """The server tells nothing of some nodes any more; all that are monitored are monitored anew."""
        if not self._bad:
            self._gap(t_rx, t_rx, harvest)
        self.heard.clear()
        if len(self.monitored) > 1:
            self.connected(t_rx)
        self._bad = True  # what comes next is the trigger's state

    def notified(self, notes: list[Note], t_rx: int, harvest: Harvest) -> Reading | None:
        """Takes the notifications of one publish response. Returns the trigger's value to read the other nodes for.

        With `collect = "monitor"`, and of a trigger alone, records are made here and None is returned; unless the
        server has told a value after the record that it belongs to: it looks at one node after the other, and what is
        known at a trigger may be of the event before. From then on the values are read, as with `collect = "read"`.
        """
        wanted: Reading | None = None
        trigger = self.settings.trigger
        in_time = self._hear(notes)
        # no time tells which values of this cycle belong together, if the clock was set back in it
        monitors = self._monitors and not self._apart and (in_time or len(self.settings.nodes) == 1)
        is_first = self._fresh
        newest = _newest(notes) if monitors else {}
        for name, reading in self._in_order(notes) if in_time else notes:
            if monitors and name != trigger and not is_first and self._is_too_late(name, reading):
                monitors, self._apart = False, True
                harvest.fault(f"{name}: told after the record that it belongs to: from now on the values are read", {})
            if name != trigger and reading.sound:
                self._state[name] = reading
                continue
            if reading.fault is not None:
                harvest.fault(f"{name}: {reading.fault}", {"node": name})
            if name != trigger:
                if reading.overflow:
                    self._gap(self._time(reading, t_rx), t_rx, harvest)
                self._state[name] = reading
            elif self._happened(reading, t_rx, harvest):
                if monitors:
                    self._state[name] = reading
                    if is_first and self._moved_on(reading):
                        self._missing(reading, t_rx, harvest)
                    elif doubtful := self._doubtful(reading, newest):
                        harvest.fault(f"{', '.join(doubtful)}: written again before the server sampled it", {})
                        self._missing(reading, t_rx, harvest)
                    else:
                        self._make(reading, self._state, t_rx, harvest)
                    continue
                if self.pending is not None:
                    # Two events in one response, or one before the connection was lost: only the values of the last can
                    # still be read.
                    self._missing(self.pending, t_rx, harvest)
                wanted = self.pending = reading
        return wanted

    def _hear(self, notes: Sequence[Note]) -> bool:
        """Keeps what was told last of each node. Returns whether the times of these notifications are of one clock:
        each node's own are in order, and the clock was set back before all of them or not at all."""
        told: set[str] = set()
        ahead, behind = False, False  # of what was told before these
        for name, reading in notes:
            before, at_us = self.heard.get(name), reading.source_us
            if before is not None and before.source_us is not None and at_us is not None:
                is_behind = at_us < before.source_us
                behind |= is_behind
                ahead |= (not is_behind and name not in told) or (is_behind and name in told)
            told.add(name)
            self.heard[name] = reading
        return not (ahead and behind)

    def _is_too_late(self, name: str, reading: Reading) -> bool:
        """Whether the last record should have had this value of another node, and did not: some servers tell once more
        what they told before, in a session that is taken up again."""
        if reading.source_us is None or self._made_us is None or reading.source_us > self._made_us:
            return False
        known = self._state.get(name)
        # behind what was told of it before: the clock was set back
        return known is None or known.source_us is None or known.source_us < reading.source_us

    def _moved_on(self, trigger: Reading) -> bool:
        """Whether another node was written after the trigger, so that what the trigger told of is gone."""
        times = [reading.source_us for reading in self._state.values()]
        return trigger.source_us is not None and any(us is not None and us > trigger.source_us for us in times)

    def _doubtful(self, trigger: Reading, newest: Mapping[str, int]) -> list[str]:
        """Nodes of which the value at this moment may never have been sampled: it was written anew by the time of the
        next look, and what was known before is not from after the event before this one (of which nothing is known
        where the counter says that it was not sampled either)."""
        now = trigger.source_us
        if now is None or not self._samples:
            return []
        since = now if self._skipped or self._event_us is None else self._event_us
        return [
            name
            for name, reading in self._state.items()
            if name != self.settings.trigger
            and newest.get(name, 0) > now
            and (reading.source_us is None or reading.source_us <= since)
        ]

    def torn(self, trigger: Reading, readings: Sequence[Reading]) -> bool:
        """Whether a Read of `self.read` caught the device in the middle of writing."""
        if self.settings.check is None:
            return False
        before, after = readings[0].value, readings[-1].value
        # Begun and finished are counted apart: while they differ, the values are neither the old nor the new ones.
        return before != after or (self._counter is not None and after != trigger.value)

    def later(self, trigger: Reading, readings: Sequence[Reading], harvest: Harvest) -> set[str]:
        """Nodes that were written after the trigger, by the server's own times: these may be values of the next event.
        Nothing where its times are none of writes, as the trigger's own shows, or a `check` tells events apart. One
        that is so time after time was not caught by chance: the machine writes it after its trigger."""
        by_name = dict(zip(self.read, readings, strict=True))
        now, at_us = by_name[self.settings.trigger], trigger.source_us
        told = self.settings.check is not None or isinstance(trigger.value, bool)
        if told or at_us is None or now.source_us != at_us:
            return set()
        found = {
            name
            for name, reading in by_name.items()
            if reading.source_us is not None and reading.source_us > at_us and name not in self._own
        }
        self._later = {name: self._later.get(name, 0) + 1 for name in found}
        if always := {name for name, times in self._later.items() if times > LATER_MAX}:
            self.are_own(always, harvest)
        return found - always

    def timed_by_looks(self, readings: Sequence[Reading], again: Sequence[Reading]) -> set[str]:
        """Nodes whose time has moved between two Reads of `self.read`, and whose value has not: it is that of the look
        (open62541 has none of its own for what is written without one), and tells nothing of when they were written."""
        found = {
            name
            for name, one, other in zip(self.read, readings, again, strict=True)
            if one.source_us != other.source_us and one.value == other.value
        }
        self._later = {name: times for name, times in self._later.items() if name not in found}
        return found

    def moved_on(self, trigger: Reading, readings: Sequence[Reading]) -> bool:
        """Whether a Read of `self.read` shows that the trigger has told of another event since."""
        return self._mark(dict(zip(self.read, readings, strict=True))[self.settings.trigger]) != self._mark(trigger)

    def mixed(self, trigger: Reading, names: set[str], t_rx: int, harvest: Harvest) -> None:
        """These nodes had been written anew for the next event when they were read."""
        self.pending = None
        harvest.fault(f"{', '.join(sorted(names))}: read when the next event had begun", {})
        self._missing(trigger, t_rx, harvest)

    def are_own(self, names: set[str], harvest: Harvest) -> None:
        """The trigger does not follow these nodes."""
        self._own |= names
        told = f"{', '.join(sorted(names))}: written after or without the trigger: taken for values of their own"
        harvest.fault(f"{told}; if they belong to its events, name a check", {})

    def collected(self, trigger: Reading, readings: Sequence[Reading], t_rx: int, harvest: Harvest) -> None:
        """Takes the answer of the Read of `self.read` that `notified` asked for."""
        self.pending = None
        by_name = dict(zip(self.read, readings, strict=True))
        if self.torn(trigger, readings):
            harvest.fault("torn read: the device was writing", {})
            self._missing(trigger, t_rx, harvest)
        elif not isinstance(trigger.value, bool) and self.moved_on(trigger, readings):
            # A boolean is a pulse and may be over by now; everything else moves on only with new values.
            self._missing(trigger, t_rx, harvest)
        else:
            self._make(trigger, by_name, t_rx, harvest)

    def _happened(self, reading: Reading, t_rx: int, harvest: Harvest) -> bool:
        """Whether this notification of the trigger is an event; reports what is missing before it."""
        now = self._time(reading, t_rx)
        if reading.bad:
            if not self._bad:
                self._gap(now, t_rx, harvest)
            self._bad = True
            return False
        recovered, interrupted = self._bad, self._bad or self._fresh
        mark = self._mark(reading)
        before, self._seen = self._seen, mark
        self._skipped = self._counter is not None and before is not _UNSEEN and self._counter.step(before, mark) != 1
        # no overflow, no interruption, and numbers are missing: then it looks every so often
        self._samples |= self._skipped and not interrupted and not reading.overflow
        restarted = self._restarted(before, mark)
        if recovered or restarted or reading.overflow or (interrupted and self._missed(before, mark)):
            self._gap(now, t_rx, harvest)
        self._fresh = self._bad = False
        if restarted:
            self._epoch += 1  # its numbers come again, and must not pass for repetitions
            event = reading.value != 0  # 0: nothing has happened since
        else:
            event = self._changed(before, mark, interrupted)
        if not event:
            self._account(reading, t_rx)
        return event

    def _mark(self, reading: Reading) -> object:
        """What tells one event of the trigger from the next: its value, and under "write" when it was written."""
        if self.settings.edge != "write":
            return reading.value
        return (reading.value, reading.source_us or reading.server_us)

    def _restarted(self, before: object, value: object) -> bool:
        """Whether the counter began anew: the device was restarted."""
        return self._counter is not None and before is not _UNSEEN and self._counter.step(before, value) is None

    def _missed(self, before: object, value: object) -> bool:
        """After an interruption: whether events are missing besides the one that can still be read."""
        if before is _UNSEEN or before == value:
            return False
        return self._counter is None or self._counter.step(before, value) != 1

    def _changed(self, before: object, value: object, interrupted: bool) -> bool:
        if before == value and type(before) is type(value):
            return False
        if interrupted:
            snapshot = self.settings.snapshot == "emit"
            counted = self._counter is not None and before is not _UNSEEN
            return (snapshot or counted) and self._counts(before, value)
        return self._counts(before, value)

    def _counts(self, before: object, value: object) -> bool:
        if self.settings.edge in ("any", "write"):
            return True
        edge = self.settings.edge == "rising"
        return value is edge and before is not edge

    def _make(self, trigger: Reading, readings: Mapping[str, Reading], t_rx: int, harvest: Harvest) -> None:
        # What the trigger said when it changed counts, not what it says by now.
        values = mapping_values({**readings, self.settings.trigger: trigger})
        values["epoch"] = self._epoch
        bad = [name for name, reading in readings.items() if reading.bad]
        unfit = harvest.records(self._plan, values, trigger.time_us(self.settings.time), t_rx)
        if unfit:
            if bad:
                harvest.fault(f"no good value of {', '.join(bad)}", values)
            self._gap(self._time(trigger, t_rx), t_rx, harvest, unfit)
        self._made_us = self._event_us = trigger.source_us
        self._account(trigger, t_rx)

    def _missing(self, trigger: Reading, t_rx: int, harvest: Harvest) -> None:
        """The record of this change of the trigger cannot be had any more."""
        self._gap(self._time(trigger, t_rx), t_rx, harvest, 1)
        self._event_us = trigger.source_us
        self._account(trigger, t_rx)

    def _account(self, trigger: Reading, t_rx: int) -> None:
        self._done = self._mark(trigger)
        self._good_us = self._time(trigger, t_rx)

    def _in_order(self, notes: list[Note]) -> list[Note]:
        """As they happened: by source time, the trigger after the values of the same time; as sent if a time lacks. In
        a new subscription each node tells its state first, whose time may be long ago."""
        trigger = self.settings.trigger
        if self.settings.collect == "read":
            return notes
        states: dict[str, Note] = {}
        if self._fresh:
            for note in notes:
                if note[0] != trigger:
                    states.setdefault(note[0], note)
        changes = [note for note in notes if states.get(note[0]) is not note] if states else notes
        return [*states.values(), *ordered(changes, trigger)]

    def _time(self, reading: Reading, t_rx: int) -> int:
        return reading.time_us(self.settings.time) or t_rx

    def _gap(self, now: int, t_rx: int, harvest: Harvest, count: int | None = None) -> None:
        if self._good_us is not None:
            harvest.gap(self.src, self._good_us, now, t_rx, count)


def _newest(notes: Sequence[Note]) -> dict[str, int]:
    """When each node was last written, as far as these notifications tell."""
    found: dict[str, int] = {}
    for name, reading in notes:
        found[name] = max(found.get(name, 0), reading.source_us or 0)
    return found
