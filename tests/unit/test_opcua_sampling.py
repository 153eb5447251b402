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
