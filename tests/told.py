"""A server in a process of its own that is told what to do: JSON lines on stdin, each answered with `done`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from typing import Any

READY_S_MAX = 60.0


class Told:
    def __init__(self, port: int, process: asyncio.subprocess.Process) -> None:
        self.url = f"opc.tcp://127.0.0.1:{port}/"
        self._process = process

    async def answer(self, wanted: str) -> None:
        """Waits until it says so; fails with all that it said if it ends before."""
        assert self._process.stdout is not None
        said = []
        async with asyncio.timeout(READY_S_MAX):
            while (line := await self._process.stdout.readline()).strip() != wanted.encode():
                said.append(line.decode(errors="replace"))
                assert line, "the server ended: " + "".join(said)

    async def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def tell(self, **commands: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(commands).encode() + b"\n")
        await self.answer("done")


@contextlib.asynccontextmanager
async def told(port: int, *argv: str, environment: Mapping[str, str]) -> AsyncIterator[Told]:
    """Runs it until the block ends; entered once it says `ready`."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environment},
    )
    server = Told(port, process)
    try:
        await server.answer("ready")
        yield server
    finally:
        await server.kill()
