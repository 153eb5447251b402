"""A server that samples, before a machine that writes faster: what is told is right, and what is missing is said."""

from __future__ import annotations

import json
import random
from typing import Any

import msgspec
import pytest

from ext.opcua_values import Reading
from protocols.mapping.plan import compile_record
from protocols.opcua.harvest import Harvest
from protocols.opcua.settings import Variables
from protocols.opcua.variables import Counter, Note, VariablesRecord

MS = 1_000
BURST = 30
T0 = 1_800_000_000_000_000
SETTINGS = msgspec.convert(
    {
        "src": "dc1/pack/PK-01",
        "nodes": {"n": "ns=2;s=N", "lu": "ns=2;s=L", "qty": "ns=2;s=Q"},
        "trigger": "n",
        "collect": "monitor",
        "record": {"kind": {"const": "carton.open"}, "lu": "lu", "qty": "qty", "seq": {"path": "n", "wrap": 65_536}},
    },
    Variables,
)


def record() -> VariablesRecord:
    plan = compile_record({"epoch": "epoch", **SETTINGS.record}, constants={"src": SETTINGS.src})
    made = VariablesRecord(SETTINGS, plan, Counter(65_536))
    made.connected(T0)
    return made


def quantity(number: int) -> int:
    return 1 + number // 3


class Machine:
    """Writes `lu` and `qty`, then the counter, again and again. `writes`: (time, node, value)."""

    def __init__(self, chance: random.Random, count: int, pause_ms: float) -> None:
        self.writes: list[tuple[int, str, Any]] = []
        now = T0
        for number in range(count):
            # a first burst, in which numbers are skipped: that is what tells of a server that samples
            now += round(chance.uniform(0.2, 1.8) * (pause_ms if number > BURST else 10) * MS)
            for offset, (name, value) in enumerate({"lu": f"T-{number}", "qty": quantity(number), "n": number}.items()):
                self.writes.append((now + offset * MS, name, value))

    def at(self, name: str, now: int) -> tuple[int, Any]:
        """When the node was last written, and what."""
        return max(
            ((at, value) for at, node, value in self.writes if node == name and at <= now),
            default=(T0, -1 if name == "n" else ""),
        )


def sampled(machine: Machine, phases: dict[str, int], every: int, cycle: int) -> list[list[Note]]:
    """The notifications of each publishing cycle: nodes are looked at one after the other, `phases` apart."""
    end = machine.writes[-1][0] + 2 * every
    told: dict[str, Any] = {}
    looks = sorted((at + phase, name) for at in range(T0, end, every) for name, phase in phases.items())
    cycles: list[list[Note]] = [[] for _ in range((end - T0) // cycle + 2)]
    for now, name in looks:
        at, value = machine.at(name, now)
        if told.get(name) != value:
            told[name] = value
            cycles[(now - T0) // cycle].append((name, Reading(value, 0, at, at)))
    return [notes for notes in cycles if notes]


@pytest.mark.parametrize("pause_ms", [4, 15, 40, 60])
@pytest.mark.parametrize("seed", range(8))
def test_no_record_has_values_of_another(seed: int, pause_ms: int) -> None:
    chance = random.Random(seed)
    machine = Machine(chance, 300, pause_ms)
    phases = {"n": 0, "lu": 7 * MS, "qty": 9 * MS}
    under, found = record(), Harvest("variables.cartons")
    for notes in sampled(machine, phases, 50 * MS, 100 * MS):
        notes.sort(key=lambda note: note[0])  # each item has a queue of its own
        under.notified(notes, T0, found)
    told = [json.loads(line) for line in found.lines]
    records = [one for one in told if one["kind"] == "carton.open"]
    later = [one for one in records if one["seq"] > BURST]
    assert [one for one in later if (one["lu"], one["qty"]) != (f"T-{one['seq']}", quantity(one["seq"]))] == []
    numbers = [one["seq"] for one in records]
    assert numbers == sorted(set(numbers))
    assert len(records) > (150 if pause_ms == 60 else 0)
    assert all("before the server sampled it" in cause for cause, _ in found.faults)
    assert found.faults


@pytest.mark.parametrize("seed", range(40))
def test_what_comes_with_the_first_state_is_put_together_by_its_time(seed: int) -> None:
    """A burst while the subscription is made: the server looks at each node at a time of its own, and tells of every
    write from then on; in the first response lie the state and some events."""
    chance = random.Random(seed)
    machine = Machine(chance, 12, 15)
    begin, end = machine.writes[0][0] + chance.randrange(60) * MS, machine.writes[-1][0]
    until = begin + (30 + chance.randrange(90)) * MS
    first: list[Note] = []
    rest: list[Note] = []
    looked = {name: begin + chance.randrange(30) * MS for name in ("n", "lu", "qty")}
    for name, looked_us in chance.sample(sorted(looked.items()), 3):
        at, told = machine.at(name, looked_us)
        first.append((name, Reading(told, 0, at, at)))
        for at, node, value in machine.writes:
            if node == name and at > looked_us and value != told:
                (first if at <= until else rest).append((name, Reading(value, 0, at, at)))
                told = value
    under, found = record(), Harvest("variables.cartons")
    for notes in (first, rest):
        under.notified(notes, T0, found)
    records = [one for one in map(json.loads, found.lines) if one["kind"] == "carton.open"]
    assert [one for one in records if (one["lu"], one["qty"]) != (f"T-{one['seq']}", quantity(one["seq"]))] == []
    # what was written after all had been looked at is known in full
    whole = {value for at, node, value in machine.writes if node == "lu" and max(looked.values()) < at <= end}
    assert {one["lu"] for one in records} >= whole
    assert found.faults == []


def collect(under: VariablesRecord, machine: Machine, event: Reading, now: int, found: Harvest) -> None:
    """What the driver does of an event whose values are to be read: see `Flow._collect`."""

    def readings(at: int) -> list[Reading]:
        return [Reading(value, 0, us, us) for us, value in (machine.at(name, at) for name in under.read)]

    if later := under.later(event, readings(now), found):
        if under.moved_on(event, readings(now + 380 * MS)):
            under.mixed(event, later, T0, found)
            return
        under.are_own(later, found)
    under.collected(event, readings(now), T0, found)


@pytest.mark.parametrize("pause_ms", [40, 60, 300])
@pytest.mark.parametrize("seed", range(8))
def test_where_the_trigger_is_looked_at_last_values_are_read_once_that_has_shown(seed: int, pause_ms: int) -> None:
    """node-opcua: a value is told that was written before the look at its node, and the trigger of after it."""
    machine = Machine(random.Random(seed), 300, pause_ms)
    under, found = record(), Harvest("variables.cartons")
    known_from = None
    for notes in sampled(machine, {"lu": 0, "qty": 2 * MS, "n": 9 * MS}, 50 * MS, 100 * MS):
        notes.sort(key=lambda note: note[0])
        cycle_end = T0 + (max(note[1].source_us or 0 for note in notes) - T0) // (100 * MS) * 100 * MS + 100 * MS
        event = under.notified(notes, T0, found)
        if event is not None:
            known_from = known_from or event.value
            collect(under, machine, event, cycle_end + 2 * MS, found)
    told = [json.loads(line) for line in found.lines]
    records = [one for one in told if one["kind"] == "carton.open"]
    wrong = [one for one in records if (one["lu"], one["qty"]) != (f"T-{one['seq']}", quantity(one["seq"]))]
    assert known_from is not None
    assert [one for one in wrong if one["seq"] >= known_from] == []
    numbers = [one["seq"] for one in records]
    assert numbers == sorted(set(numbers))
    assert len(records) > (200 if pause_ms == 300 else 0)
    assert [one for one in wrong if one["seq"] > BURST], "what shows it is one of them"
    assert sum("told after the record" in cause for cause, _ in found.faults) == 1
