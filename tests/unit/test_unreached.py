"""What an operator reads of a connection that cannot be made, whichever event loop says it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

import pytest
import uvloop

from protocols.linking import unreached


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize(
    ("host", "says"), [("127.0.0.1", "fused|Connect call failed"), ("host.invalid", "name|Name"), ("a" * 70, "label")]
)
def test_why_is_never_empty(new_loop: Callable[[], asyncio.AbstractEventLoop], host: str, says: str) -> None:
    async def story(port: int) -> str:
        try:
            await asyncio.open_connection(host, port)
        except (OSError, UnicodeError) as error:
            return unreached(error, 100)
        return "connected"

    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
    with asyncio.Runner(loop_factory=new_loop) as runner:
        why = runner.run(story(port))
    assert why.startswith("cannot connect: ")
    assert any(word in why for word in says.split("|")), why


def test_who_does_not_answer_is_said_not_to() -> None:
    assert unreached(TimeoutError(), 1500.0) == "cannot connect: no answer within 1500 ms"


def test_who_ends_the_connection_without_a_word_is_said_to() -> None:
    assert unreached(ConnectionResetError(), 1500.0) == "cannot connect: the server closed the connection"
