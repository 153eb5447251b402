"""kill -9 under load, again and again: what was acknowledged arrives, once and in order. The parent has the ledger."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

from tests.integration.test_pipeline import queued

LIVES = 6
STEPS = 14
ROOT = Path(__file__).parents[2]


class Victim:
    """The engine's process; `acknowledged` grows while it lives."""

    def __init__(self, folder: Path, step: int = 0) -> None:
        command = [sys.executable, "-m", "tests.adversity.engine_process", str(folder), str(step)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.input: IO[str] = self.process.stdin
        self.acknowledged: list[str] = []
        assert self.process.stdout.readline() == "ready\n"
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,))
        self._reader.start()

    def _read(self, output: IO[str]) -> None:
        # a line without its end was cut off by the kill
        self.acknowledged.extend(line.strip() for line in output if line.endswith("\n"))

    def feed(self, names: list[str]) -> None:
        try:
            for name in names:
                self.input.write(f"{name}\n")
                self.input.flush()
        except BrokenPipeError:
            return

    def until_acknowledged(self, count: int) -> None:
        """Or until it is dead."""
        while len(self.acknowledged) < count and self.process.poll() is None:
            time.sleep(0.001)

    def end(self) -> list[str]:
        """What it acknowledged in its life."""
        self.process.wait(30)
        self._reader.join(30)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None and not pipe.closed:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
        return self.acknowledged


def test_what_was_acknowledged_arrives_once_and_in_order(tmp_path: Path) -> None:
    chance = random.Random(5)
    ledger: list[str] = []
    for life in range(LIVES):
        victim = Victim(tmp_path)
        feeder = threading.Thread(target=victim.feed, args=([f"LU-{life}-{n}" for n in range(5_000)],))
        feeder.start()
        time.sleep(chance.uniform(0.0, 0.4))
        victim.process.kill()
        feeder.join()
        ledger += victim.end()
    ledger += last_life(tmp_path)
    assert len(ledger) > LIVES
    assert_delivered(tmp_path, ledger)


def test_killed_between_any_two_steps_of_a_snapshot(tmp_path: Path) -> None:
    """With the journal that the snapshots stand for dropped at once."""
    ledger: list[str] = []
    for step in range(1, STEPS + 1):
        victim = Victim(tmp_path, step)
        for n in range(100):
            victim.feed([f"LU-{step}-{n}"])
            victim.until_acknowledged(n + 1)
        ledger += victim.end()
        assert victim.process.returncode == -signal.SIGKILL, f"there is no step {step}"
    ledger += last_life(tmp_path)
    assert_delivered(tmp_path, ledger)
    assert not (tmp_path / "journal" / "00000001.journal").exists()


def last_life(folder: Path) -> list[str]:
    """One that ends well: everything is delivered then. Returns what it acknowledged."""
    last = Victim(folder)
    last.feed(["LU-last"])
    last.input.close()
    acknowledged = last.end()
    assert last.process.returncode == 0
    return acknowledged


def assert_delivered(folder: Path, ledger: list[str]) -> None:
    """Everything that was acknowledged, once and in order."""
    found = queued(folder)
    assert len(set(found)) == len(found)
    acknowledged = set(ledger)
    assert [name for name in found if name in acknowledged] == ledger
