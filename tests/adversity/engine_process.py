"""A pipeline in a process of its own, to be killed: names of load units go in, acknowledged ones come out.

It takes a snapshot every few records. `step`: it kills itself right before the step-th time that a snapshot, or the
dropping or packing of old segments, would sync, rename or take away a file.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from engine.contracts import Delivery
from engine.crashes import Crashes
from engine.recovery import Build
from tests.counting_core import read
from tests.integration.test_pipeline import START_US, Rig

EVERY_BYTES = 1_000
SEGMENT_BYTES = 1_500
KEEP_BYTES = 10_000


class Mortal(Rig):
    def crashes(self, folder: Path) -> Crashes:
        return Crashes(folder)


class Victim:
    """The engine's process, forked off, so that a life costs no imports. `acknowledged` once it has ended."""

    def __init__(self, folder: Path, step: int = 0, core: Build | None = None) -> None:
        names_out, self._names = os.pipe()
        self._acks, acks_in = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._names)
            os.close(self._acks)
            _live(folder, step, core, names_out, acks_in)
        os.close(names_out)
        os.close(acks_in)
        self.acknowledged: list[str] = []
        self.said: list[str] = []
        self.returncode: int | None = None
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        rest = b""
        while piece := os.read(self._acks, 1 << 16):
            # a line without its end was cut off by the kill
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                (self.said if line[:1] == b"!" else self.acknowledged).append(line.decode())

    def until(self, happened: Callable[[], object]) -> None:
        """Or until it is dead."""
        while not happened() and self._reader.is_alive():
            time.sleep(0.0005)

    def feed(self, names: list[str]) -> None:
        try:
            os.write(self._names, "".join(f"{name}\n" for name in names).encode())
        except BrokenPipeError:
            return

    def no_more(self) -> None:
        """It ends well once it has taken everything."""
        os.close(self._names)
        self._names = -1

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def end(self) -> list[str]:
        """What it acknowledged in its life."""
        _, status = os.waitpid(self.pid, 0)
        self.returncode = os.waitstatus_to_exitcode(status)
        self._reader.join(30)
        for pipe in (self._names, self._acks):
            if pipe >= 0:
                os.close(pipe)
        return self.acknowledged


def _live(folder: Path, step: int, core: Build | None, names: int, acks: int) -> None:
    """The child; never returns."""
    code = 1
    try:
        logging.disable(logging.CRITICAL)
        asyncio.run(_engine(folder, step, core, names, acks))
        code = 0
    except BaseException as error:
        os.write(acks, f"!{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(code)


async def _engine(folder: Path, step: int, core: Build | None, names: int, acks: int) -> None:
    rig = Mortal(folder, build=core, every_bytes=EVERY_BYTES, segment_bytes=SEGMENT_BYTES, keep_bytes=KEEP_BYTES)
    await rig.pipeline.start()
    if step:
        die_at(step)
    os.write(acks, b"!ready\n")
    loop = asyncio.get_running_loop()
    rest = b""
    while piece := await loop.run_in_executor(None, os.read, names, 4_096):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            await rig.pipeline.put(Delivery("scanner", [read(line.decode(), START_US)], partial(_say, acks, line)))
    await rig.pipeline.stop()


def _say(acks: int, line: bytes) -> None:
    os.write(acks, line + b"\n")


def die_at(step: int) -> None:
    """Kill -9 right before the step that has this number."""
    steps = itertools.count(1)

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def before(*arguments: Any, **named: Any) -> Any:
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return before

    os.fsync = counted(os.fsync)
    os.replace = counted(os.replace)
    os.unlink = counted(os.unlink)
