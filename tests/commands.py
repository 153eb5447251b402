"""`sortline` as its user starts it: the installed command, a process of its own, and what it leaves behind."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from engine.sinks.queue import Queue
from tests.peers import program

SORTLINE = str(Path(sys.executable).with_name("sortline"))
WAIT_S = 60.0
STOP_S_MAX = 10.0
ACCOUNT = re.compile(
    r"^in (\d+) = used (\d+) \+ duplicate (\d+) \+ late (\d+) \+ rejected (\d+) \+ noise (\d+) \+ open (\d+)$", re.M
)


def sortline(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run([SORTLINE, *arguments], capture_output=True, text=True, timeout=120, check=False)


class Running:
    """A command that goes on until it is told to stop, as a context: killed at the end if it still runs.

    What it says goes to a file in `folder`, so that nobody has to read along.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.path = folder / f"{arguments[0]}.log"
        with self.path.open("ab") as log:
            self._from = log.tell()  # the same folder may see several lives
            self.process = subprocess.Popen([SORTLINE, *arguments], stdout=log, stderr=subprocess.STDOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    def said(self) -> str:
        """All it has said since it was started."""
        return self.path.read_bytes()[self._from :].decode()

    def until(self, happened: Callable[[], object], what: str) -> None:
        """Wait until something is so; fails, with all that was said, if the process ends before or after WAIT_S."""
        deadline = time.monotonic() + WAIT_S
        while not happened():
            ended = self.process.poll() is not None
            if (ended and not happened()) or time.monotonic() > deadline:
                pytest.fail(f"{what}: {'it ended' if ended else 'never'}\n{self.said()}")
            time.sleep(0.02)

    def until_said(self, text: str) -> None:
        self.until(lambda: text in self.said(), f"to say {text!r}")

    def stop(self) -> str:
        """As its operator would: it has to end by itself, in time, without a complaint. Returns what it said."""
        self.process.terminate()
        assert self.process.wait(STOP_S_MAX) == 0, self.said()
        said = self.said()
        assert "Traceback" not in said
        return said

    def kill(self) -> None:
        """Without a word."""
        self.process.kill()
        self.process.wait()


class Publisher:
    """mosquitto_pub with QoS 1, one message a line, as a context; at its end the broker has everything."""

    def __init__(self, port: int, topic: str) -> None:
        argv = [program("mosquitto_pub"), "-p", str(port), "-q", "1", "-t", topic, "-l"]
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE)

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.wait(WAIT_S) == 0

    def say(self, **payload: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(payload).encode() + b"\n")
        self._process.stdin.flush()


def publish(port: int, topic: str, payload: bytes) -> None:
    """One message, whatever bytes it has; the broker has it when this returns."""
    argv = [program("mosquitto_pub"), "-p", str(port), "-q", "1", "-t", topic, "-s" if payload else "-n"]
    subprocess.run(argv, input=payload, check=True, timeout=WAIT_S)


def queued(path: Path, queue: str = "erp.inventory") -> list[dict[str, Any]]:
    """The business events in an embedded queue; none while its file is not there."""
    return [json.loads(body) for body in bodies(path, queue)]


def bodies(path: Path, queue: str = "erp.inventory") -> list[bytes]:
    """The same, as they stand there."""
    if not path.exists():
        return []
    opened = Queue(path)
    try:
        return [bytes(entry.body) for entry in opened.read(queue, 0, 1_000_000)]
    finally:
        opened.close()


def account(said: str) -> dict[str, int]:
    """The last line of a run, by its names; fails where it is missing or does not add up."""
    names = ("in", "used", "duplicate", "late", "rejected", "noise", "open")
    numbers = dict(zip(names, map(int, ACCOUNT.findall(said)[-1]), strict=True))
    assert numbers["in"] == sum(number for name, number in numbers.items() if name != "in")
    return numbers
