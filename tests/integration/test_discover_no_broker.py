"""`sortline discover mqtt` before something that is no broker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from protocols.discovery import head
from tests.commands import sortline


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "the broker closed the connection; does it want TLS"),
        (b"SSH-2.0-OpenSSH_9.2\r\n" * 100, "malformed packet"),
    ],
)
def test_what_is_no_broker_is_told_by_what_it_does(tmp_path: Path, answer: bytes, why: str) -> None:
    """And not as one that does not answer."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        if answer:
            await reader.read(100)
        writer.close()

    async def story() -> None:
        async with await asyncio.start_server(speak, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            table = {"host": "127.0.0.1", "port": port, "connect_ms": 300}
            (tmp_path / "connect.toml").write_text("\n".join(head("there", "mqtt", table)))
            done = await asyncio.to_thread(sortline, "discover", "mqtt", "--from", str(tmp_path / "connect.toml"))
            assert done.returncode == 1
            assert why in done.stderr

    asyncio.run(story())
