"""Commands on their way to a Redis server: the bytes that redis-py would have sent."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Connection

from engine.redis_connection import connection_class


@pytest.mark.parametrize(
    "command",
    [
        ("PING",),
        ("CLIENT SETINFO", "LIB-NAME", "sortline"),
        (b"XADD", "erp.inventory", "1042-0", "id", "pc1.abc:r0", "event", b'{"lu":"\xc3\xa9"}'),
        ("EVAL", "return 1", 1, "stream", "", "é", 2**63, 0.25, b"x" * 100_000),
    ],
)
def test_a_command_is_packed_as_redis_py_packs_it(command: tuple[Any, ...]) -> None:
    ours, theirs = connection_class(None)(), Connection()
    assert b"".join(ours.pack_command(*command)) == b"".join(theirs.pack_command(*command))
