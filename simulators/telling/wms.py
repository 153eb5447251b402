"""The order system over Redis Streams: stream `wms.context`, one entry a context record, field `record` its JSON as it
stands in a file, without `t_rx`. An entry whose answer was lost is added again; the record's `rev` tells that it is the
same."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import redis.asyncio
from redis.exceptions import ConnectionError as Unreachable
from redis.exceptions import TimeoutError as Unanswered

from simulators.telling.voice import Queued

STREAM = "wms.context"
_LENGTH_MAX = 100_000
_RECONNECT_S = 0.5


class RedisVoice(Queued):
    """Adds context records to the stream, in order."""

    def __init__(self, url: str, stream: str = STREAM) -> None:
        super().__init__()
        self._url = url
        self._stream = stream

    async def run(self) -> None:
        """Until cancelled."""
        client = redis.asyncio.Redis.from_url(self._url)
        try:
            while True:
                record = {name: value for name, value in (await self.next()).items() if name != "t_rx"}
                entry: dict[Any, Any] = {"record": json.dumps(record, separators=(",", ":"))}
                try:
                    await client.xadd(self._stream, entry, maxlen=_LENGTH_MAX, approximate=True)
                except (Unreachable, Unanswered):
                    await asyncio.sleep(_RECONNECT_S)
                    continue
                self.said()
        finally:
            await client.aclose()
