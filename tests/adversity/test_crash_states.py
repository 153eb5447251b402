"""Every crash that a small engine can meet: the machine stops after any operation on a file, and of what was not synced
any part may be there. Then it starts again, and every promise has to hold.

SORTLINE_CRASH_STATES says how many (CI: 20 000); `make torture` asks for millions.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import random
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from tests.adversity.crash_disk import CrashDisk
from tests.adversity.small_world import Limits, Outside, World, live_on, without_threads
from tests.promises import Promises

STATES = int(os.environ.get("SORTLINE_CRASH_STATES", "20000"))
GROUPS = 20
LIVES = 4
DRAWS = 2
TURNS_MAX = 200
PROCESSES = 2
BREACHES_SHOWN = 20
WORKLOADS = (
    Limits(),
    Limits(segment_bytes=200, every_bytes=300, keep_bytes=0),
    Limits(segment_bytes=4_000, every_bytes=2_000),
)


class Moment(NamedTuple):
    """The world right after an operation."""

    what: str
    disk: CrashDisk
    image: bytes
    outside: Outside


def lived(limits: Limits, disk: CrashDisk, outside: Outside, image: bytes, first: int) -> list[Moment]:
    """A life from its start on, and every moment of it."""
    moments: list[Moment] = []
    worlds: list[World] = []

    def watch(what: str) -> None:
        now = worlds[0].image if worlds else image
        moments.append(Moment(what, disk.copy(), now, outside.copy()))

    disk.watch = watch
    worlds.append(World(disk, image, outside, limits=limits))
    world = worlds[0]
    world.start()
    for n in range(first, first + GROUPS):
        world.accept([f"LU-{n}-{i}" for i in range(1 + n % 3)])
        watch("accepted")
        if n % 4 == 3:
            world.deliver()
    disk.watch = lambda what: None
    return moments


def lived_after_a_start(limits: Limits, before: Moment) -> list[Moment]:
    """As `lived`, after a start that met no record: a snapshot may stand for the end of a segment that is empty."""
    world = World(before.disk.copy(), before.image, before.outside.copy(), limits=limits)
    world.start()
    left, image = world.disk.crashed(None, whole=True), world.image
    world.outbox.close()
    return lived(limits, left, world.outside, image, 200)


class Tally:
    """States that were tried, each once; breaches of promises."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.kinds: Counter[str] = Counter()
        self.breaches: list[str] = []
        self.again: list[Moment] = []  # some of the crashed disks, to crash once more in their next life
        self._seen: set[tuple[int, int, int]] = set()

    def try_all(self, moment: Moment, limits: Limits, count: int) -> None:
        """So many draws of what may be left at this moment, of which each result counts once."""
        for number in range(count if moment.disk.is_unsynced else 1):
            left = moment.disk.crashed(None if number < 2 else self.draw, whole=number == 1)
            state = (left.signature, hash(moment.image), len(moment.outside.acknowledged))
            if state in self._seen:
                continue
            self._seen.add(state)
            self.kinds[moment.what] += 1
            if self.draw.random() < 0.01:
                self.again.append(Moment(moment.what, left.copy(), moment.image, moment.outside.copy()))
            promises = Promises()
            world = live_on(left, moment.image, moment.outside.copy(), promises, limits, ["LU-after"])
            self.breaches += [f"after {moment.what}: {breach}" for breach in promises.breaches]
            if world is not None:
                world.outbox.close()


def tried(number: int, count: int) -> tuple[Counter[str], list[str]]:
    """One workload, with some `count` distinct states."""
    logging.disable(logging.CRITICAL)
    limits = WORKLOADS[number]
    tally = Tally(number)
    with without_threads():
        moments = lived(limits, CrashDisk(), Outside(), b"", 0)
        for turn in range(TURNS_MAX):
            for moment in moments:
                tally.try_all(moment, limits, max(3, count // (DRAWS * len(moments))))
            # and crashes in the life after a crash, its start included
            if turn == 0:
                for once in tally.draw.sample(tally.again, min(len(tally.again), LIVES)):
                    moments += lived(limits, once.disk.copy(), once.outside.copy(), once.image, 100)
                    moments += lived_after_a_start(limits, once)
            if tally.kinds.total() >= count or len(tally.breaches) > BREACHES_SHOWN:
                break
    return tally.kinds, tally.breaches


def test_no_crash_breaks_a_promise() -> None:
    share = STATES // len(WORKLOADS) + 1
    with ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("fork")) as pool:
        done = list(pool.map(tried, range(len(WORKLOADS)), [share] * len(WORKLOADS)))
    kinds = sum((found for found, _ in done), Counter[str]())
    breaches = [breach for _, found in done for breach in found]
    assert not breaches, "\n".join(breaches[:BREACHES_SHOWN])
    assert kinds.total() >= STATES
    assert {"create", "write", "sync", "sync_folder", "rename", "unlink", "truncate", "reserve"} <= set(kinds)
    print(f"{kinds.total()} states, by the operation before the crash: {dict(kinds)}")
