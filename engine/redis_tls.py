"""TLS to a Redis server, for the source and the sink: what `tls` says counts, and nothing besides."""

from __future__ import annotations

from typing import Any

from redis.asyncio import Connection
from redis.asyncio.connection import SSLConnection

from engine.tls import Tls


def connection_class(tls: Tls | None) -> type[Connection]:
    """Of redis-py; None: without TLS. Reads the files. Raises Refused, saying which one and why."""
    if tls is None:
        return Connection
    context = tls.context()

    # redis-py would trust this computer's authorities besides the given ones
    class VerifiedConnection(SSLConnection):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.ssl_context.context = context

    return VerifiedConnection
