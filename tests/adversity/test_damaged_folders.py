"""Data folders that somebody or something has damaged: flipped bits, noughts, noise, swapped blocks, files cut short,
gone, in each other's place, or from the future.

A single flipped bit costs nothing at all. Worse ends in running, with what is lost counted and said, or in a refusal
that names the file and the command; what was told never changes and never comes twice.

SORTLINE_DAMAGES says how many (CI: 20 000); `make torture` asks for more.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from engine.errors import Refused
from tests.adversity.crash_disk import CrashDisk
from tests.adversity.small_world import DATA, Limits, Outside, World, without_threads
from tests.promises import Evidence, Promises

DAMAGES = int(os.environ.get("SORTLINE_DAMAGES", "20000"))
PROCESSES = 2
FOUND_SHOWN = 20
GROUPS = 32
LIMITS = Limits(segment_bytes=700, every_bytes=1_500, keep_bytes=30_000)


def left() -> tuple[CrashDisk, bytes, Outside]:
    """What an engine leaves that was killed a while after its last snapshot: packed segments, two snapshots, a tail."""
    disk, outside = CrashDisk(), Outside()
    world = World(disk, b"", outside, limits=LIMITS)
    world.start()
    for n in range(GROUPS):
        world.accept([f"LU-{n}-{i}" for i in range(1 + n % 4)])
        if n < GROUPS - 3:
            world.deliver()
    names = disk.names(DATA / "journal")
    assert sum(name.endswith(".zst") for name in names) > 1
    assert len(disk.names(DATA / "snapshots")) == 2
    return disk.crashed(None), world.image, outside


def in_processes(work: Callable[[int, int], Outcome], count: int) -> Counter[str]:
    """`work(seed, count)` in each of them; fails with what they found."""
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("fork")) as pool:
        done = list(pool.map(work, range(PROCESSES), [count // PROCESSES] * PROCESSES))
    found = [what for outcome in done for what in outcome.found]
    assert not found, "\n".join(found[:FOUND_SHOWN])
    return sum((outcome.ends for outcome in done), Counter[str]())


class Outcome(NamedTuple):
    found: list[str]
    ends: Counter[str]


def files(disk: CrashDisk) -> list[Path]:
    return sorted(Path(name) for name in disk.names_now)


class Start:
    """What came of one start: `lost` bytes, `refused` with a text, or neither."""

    def __init__(self, disk: CrashDisk, image: bytes, outside: Outside) -> None:
        self.promises = Promises()
        self.promises.check(Evidence(arrived={"queue": list(outside.arrived)}))
        self.refused = ""
        self.lost = 0
        self.complete = True
        told = {row.id: row.body for row in outside.arrived}
        try:
            world = World(disk, image, outside, limits=LIMITS)
            world.start()
            world.accept(["LU-after"])
            world.deliver()
        except Refused as error:
            self.refused = str(error)
            self.promises.check(Evidence(starts=[error]))
            return
        except Exception as error:
            self.promises.check(Evidence(starts=[error]))
            return
        self.lost = world.journal.lost_bytes or world.journal.unfinished_bytes
        evidence = world.evidence()
        self.complete = {row.id for row in outside.arrived} >= set(outside.acknowledged)
        if self.lost:
            evidence.acknowledged = None  # that is what was lost
        self.promises.check(evidence)
        world.outbox.close()
        for row in outside.arrived:
            assert told.get(row.id, row.body) == row.body


def flips(seed: int, count: int) -> Outcome:
    logging.disable(logging.CRITICAL)
    with without_threads():
        disk, image, outside = left()
        places = [(path, bit) for path in files(disk) for bit in range(8 * len(disk.content(path)))]
        found: list[str] = []
        for path, bit in random.Random(2).sample(places, len(places))[seed::PROCESSES][:count]:
            twin = disk.copy()
            content = bytearray(disk.content(path))
            content[bit // 8] ^= 1 << bit % 8
            twin.put(path, bytes(content))
            start = Start(twin, image, outside.copy())
            packed = path.name.endswith(".zst")  # of what snapshots stand for: to look at only
            wrong = [start.refused, *map(str, start.promises.breaches)]
            wrong += ["something is lost"] * bool((start.lost and not packed) or not start.complete)
            found += [f"bit {bit} of {path}: {what}" for what in wrong if what]
        return Outcome(found, Counter(flips=count))


def test_a_flipped_bit_anywhere_costs_nothing() -> None:
    in_processes(flips, DAMAGES // 2)


def spoiled(disk: CrashDisk, draw: random.Random) -> tuple[str, CrashDisk]:
    twin = disk.copy()
    path = draw.choice(files(disk))
    content = bytearray(disk.content(path))
    at, size = draw.randrange(len(content) or 1), draw.choice((2, 8, 64, 512, 4_096))
    kind = draw.choice(("noughts", "noise", "swapped", "cut out", "cut off", "longer", "gone", "exchanged", "future"))
    match kind:
        case "noughts":
            content[at : at + size] = bytes(len(content[at : at + size]))
        case "noise":
            content[at : at + size] = draw.randbytes(len(content[at : at + size]))
        case "swapped":
            other = draw.randrange(len(content) or 1)
            size = min(size, len(content) - max(at, other), abs(at - other))
            one, two = bytes(content[at : at + size]), bytes(content[other : other + size])
            content[at : at + size], content[other : other + size] = two, one
        case "cut out":
            del content[at : at + size]
        case "cut off":
            del content[at:]
        case "longer":
            content += draw.choice((bytes(size), draw.randbytes(size)))
        case "gone":
            del twin.names_now[str(path)]
            return f"{kind} {path.name}", twin
        case "exchanged":
            other_path = draw.choice([each for each in files(disk) if each.parent == path.parent])
            twin.put(other_path, bytes(content))
            content = bytearray(disk.content(other_path))
        case "future":
            content[8:12] = (77).to_bytes(4, "little")
    twin.put(path, bytes(content))
    return f"{kind} {path.name}", twin


def damages(seed: int, count: int) -> Outcome:
    logging.disable(logging.CRITICAL)
    with without_threads():
        disk, image, outside = left()
        draw = random.Random(seed)
        found: list[str] = []
        ends: Counter[str] = Counter()
        for _ in range(count):
            what, twin = spoiled(disk, draw)
            start = Start(twin, image, outside.copy())
            found += [f"{what}: {breach}" for breach in start.promises.breaches]
            if not (start.refused or start.lost or start.complete):
                found.append(f"{what}: something is missing, and nobody says so")
            ends["refused" if start.refused else "lost something" if start.lost else "lost nothing"] += 1
        return Outcome(found, ends)


def test_damage_of_any_kind_ends_in_running_or_in_a_refusal_that_helps() -> None:
    ends = in_processes(damages, DAMAGES // 2)
    assert set(ends) == {"refused", "lost something", "lost nothing"}
    print(dict(ends))
