"""A connection to a Redis server, plain or over TLS, for the source and the sink.

Of TLS what `tls` says counts, and nothing besides. A connection that the server has reset is told as one. Who is
cancelled is cancelled: see `engine.cancellation`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from redis.asyncio import Connection
from redis.asyncio.connection import DefaultParser, SSLConnection
from redis.connection import HiredisRespSerializer
from redis.exceptions import ResponseError

from engine.cancellation import raise_if_cancelled
from engine.tls import Tls

PACKER: Any = HiredisRespSerializer()


class NotNow(ResponseError):
    """The server is at work on something long, or lacks the replicas that it wants: it passes by itself. redis-py has
    no type for it, and what has none is taken for something that somebody has to put right."""


class _Parser(DefaultParser):  # type: ignore[misc, valid-type]  # hiredis's, by a name that others may use
    EXCEPTION_CLASSES = {**DefaultParser.EXCEPTION_CLASSES, "BUSY": NotNow, "NOREPLICAS": NotNow}  # noqa: RUF012


class _Ours(Connection):
    def set_parser(self, parser_class: Any) -> None:
        super().set_parser(_Parser)

    def pack_command(self, *args: Any) -> list[bytes]:
        """As redis-py's other connection does. This one spells each argument out in Python: a batch of 500 events has
        2 500 of them."""
        packed: list[bytes] = PACKER.pack(*args)
        return packed

    async def send_packed_command(self, command: bytes | str | Iterable[bytes], check_health: bool = True) -> None:
        await super().send_packed_command(command, check_health)
        try:
            raise_if_cancelled()
        except asyncio.CancelledError:
            # nobody reads the answer, which would be taken for that of the next command
            await self.disconnect(nowait=True)
            raise

    async def _send_packed_command(self, command: Iterable[bytes]) -> None:
        # uvloop has a RuntimeError for a write on a closed transport, asyncio a ConnectionResetError
        if self._writer is None or self._writer.is_closing():
            raise ConnectionResetError("closed by the server")
        await super()._send_packed_command(command)


def connection_class(tls: Tls | None) -> type[Connection]:
    """Of redis-py; None: without TLS. Reads the files. Raises Refused, saying which one and why."""
    if tls is None:
        return _Ours
    context = tls.context()

    # redis-py would trust this computer's authorities besides the given ones
    class VerifiedConnection(_Ours, SSLConnection):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.ssl_context.context = context

    return VerifiedConnection
