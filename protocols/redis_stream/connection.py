"""A redis-py client that does what it is told, once.

redis-py 8 retries every command up to ten times by itself; here nothing is retried, the driver decides. Its TLS trusts
the authorities of this computer besides the given ones; here `tls.ca` alone counts where it is given.
"""

from __future__ import annotations

from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from engine.redis_connection import connection_class
from protocols.redis_stream.settings import Settings

CONNECTIONS_MAX = 2
IDLE_MS = 5_000
"""A read waits so long while nothing of ours has to be acknowledged."""


def connect(settings: Settings) -> Redis:
    """A client; it connects with its first command. Raises Refused: a secret or a certificate cannot be read."""
    options: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "db": settings.db,
        "username": settings.user,
        "password": settings.password.reveal() if settings.password is not None else None,
        "socket_connect_timeout": settings.command_ms / 1000,
        # an answer to a blocking read is late by as long as it may block
        "socket_timeout": (settings.command_ms + max(settings.block_ms, IDLE_MS)) / 1000,
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [],
        # the shape of answers that this driver reads
        "protocol": 2,
    }
    made_by = connection_class(settings.tls)
    return Redis.from_pool(ConnectionPool(connection_class=made_by, max_connections=CONNECTIONS_MAX, **options))
