"""kill -9 under load, again and again: what was acknowledged arrives, once and in order. The parent has the ledger.

SORTLINE_KILLS says how often (CI: 100); `make torture` asks for thousands.
"""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

from engine import passed_over
from engine.sinks.queue import Queue
from tests.adversity.engine_process import Victim
from tests.promises import Evidence, Promises, Told, told

KILLS = int(os.environ.get("SORTLINE_KILLS", "100"))
CHECKED_EVERY = 25
STEPS = 24
NAMES_MAX = 60


def arrived(folder: Path) -> list[Told]:
    """What stands in the embedded queue, in the order of arrival."""
    queue = Queue(folder / "queue.sqlite")
    entries = queue.read("erp", 0, 1_000_000)
    queue.close()
    assert [entry.position for entry in entries] == list(range(1, len(entries) + 1))
    return [told(entry.body) for entry in entries]


def last_life(folder: Path, name: str) -> list[str]:
    """One that ends well: everything is delivered then. Returns what it acknowledged."""
    last = Victim(folder)
    last.feed([name])
    last.no_more()
    acknowledged = last.end()
    assert (last.returncode, last.said) == (0, ["!ready"])
    return acknowledged


def assert_kept(folder: Path, ledger: list[str], promises: Promises) -> None:
    there = arrived(folder)
    promises.check(
        Evidence(
            acknowledged=ledger, arrived={"queue": there}, told=max(event.sequence for event in there), starts=[None]
        )
    )
    promises.kept()
    acknowledged = set(ledger)
    assert [event.id for event in there if event.id in acknowledged] == ledger, "in the order of the acknowledgements"


def test_what_was_acknowledged_arrives_once_and_in_order(tmp_path: Path) -> None:
    """Killed while it starts, while it takes records in, and while it stops."""
    chance = random.Random(5)
    promises = Promises()
    ledger: list[str] = []
    before_ready = 0
    for life in range(1, KILLS + 1):
        victim = Victim(tmp_path)
        when = chance.random()
        if when < 0.15:
            time.sleep(chance.uniform(0, 0.03))
        else:
            victim.feed([f"LU-{life}-{n}" for n in range(NAMES_MAX)])
            wanted = chance.randrange(NAMES_MAX)
            victim.until(lambda: len(victim.acknowledged) >= wanted)  # noqa: B023 - called before the next life
            if when > 0.9:
                victim.no_more()
        victim.kill()
        ledger += victim.end()
        before_ready += not victim.said
        assert victim.said in ([], ["!ready"]), victim.said
        if life % CHECKED_EVERY == 0:
            ledger += last_life(tmp_path, f"LU-last-{life}")
            assert_kept(tmp_path, ledger, promises)
    assert len(ledger) > 5 * KILLS
    assert before_ready > 0
    assert not (tmp_path / passed_over.NAME).exists(), "nobody's fault"


def test_killed_between_any_two_steps_of_a_snapshot(tmp_path: Path) -> None:
    """With the journal that the snapshots stand for packed, and dropped soon after."""
    ledger: list[str] = []
    for step in range(1, STEPS + 1):
        victim = Victim(tmp_path, step)
        for n in range(150):
            victim.feed([f"LU-{step}-{n}"])
            victim.until(lambda: len(victim.acknowledged) > n)  # noqa: B023 - called before the next turn
        ledger += victim.end()
        assert victim.returncode == -signal.SIGKILL, f"there is no step {step}: {victim.said}"
    ledger += last_life(tmp_path, "LU-last")
    assert_kept(tmp_path, ledger, Promises())
    assert not list((tmp_path / "journal").glob("00000001.journal*"))
    assert list((tmp_path / "journal").glob("*.journal.zst"))
