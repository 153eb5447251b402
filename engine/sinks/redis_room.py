"""Room in a stream: what every consumer group has acknowledged may go, what one has not never does.

Redis itself knows no such rule: MAXLEN asks nobody. So we look what the groups have, and trim behind that, in a script
that the server runs in one piece: a WATCH would not notice a group that is made meanwhile (as of Redis 7).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

from engine.errors import QueueFull

EntryId = tuple[int, int]
LOOK_S = 10.0

# Numbers are exact up to 2^53, far above any sequence. Whole nodes of the stream go (`~`), and at most ARGV[1] entries:
# that keeps the newest ones.
TRIM = """
local first, second
local function needs(a, b)
    if first == nil or a < first or (a == first and b < second) then first, second = a, b end
end
local function parts(id)
    local a, b = string.match(id, '^(%d+)-(%d+)$')
    return tonumber(a), tonumber(b)
end
for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local is = {}
    for at = 1, #group, 2 do is[group[at]] = group[at + 1] end
    local a, b = parts(is['last-delivered-id'])
    needs(a, b + 1)
    if is['pending'] > 0 then
        local pending = redis.call('XPENDING', KEYS[1], is['name'])
        if pending[2] then needs(parts(pending[2])) end
    end
end
if first == nil then return 0 end
local id = string.format('%.0f-%.0f', first, second)
return redis.call('XTRIM', KEYS[1], 'MINID', '~', id, 'LIMIT', ARGV[1])
"""

log = logging.getLogger("sortline.redis")


class Room:
    """The streams of one sink: how long they are, and what may go.

    keep: so many of the newest entries stay. entries_max: at so many `require` raises QueueFull; None: no limit.
    """

    def __init__(
        self, sink: str, keep: int, entries_max: int | None, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._sink = sink
        self._keep = keep
        self._entries_max = entries_max
        self._timer = timer
        self._looked_s: dict[str, float] = {}
        self._lengths: dict[str, int] = {}
        self._may = True

    async def require(self, redis: Redis, stream: str, count: int) -> None:
        """Raises QueueFull if the stream has no room for more entries, after what may go has gone."""
        now, length = self._timer(), self._lengths.get(stream, 0)
        full = self._entries_max is not None and length >= self._entries_max
        if full or now - self._looked_s.get(stream, -LOOK_S) >= LOOK_S:
            self._looked_s[stream] = now
            length = await self._trimmed(redis, stream)
        if self._entries_max is not None and length >= self._entries_max:
            raise QueueFull(
                f"stream {stream} holds {length} entries that not every consumer group has acknowledged, or no group "
                f"reads it; entries_max is {self._entries_max}"
            )
        self._lengths[stream] = length + count

    async def _trimmed(self, redis: Redis, stream: str) -> int:
        """Takes away what may go; returns how many entries are left."""
        if not self._may and self._entries_max is None:
            return 0  # nobody asks for it
        try:
            length = int(await redis.xlen(stream))
            if not self._may or length <= self._keep:
                return length
            return length - await self._trim(redis, stream, length - self._keep)
        except ResponseError as error:
            # the user may not, or the server is older than 6.2; anything else is not about trimming
            if type(error) not in (ResponseError, NoPermissionError) or self._entries_max is not None:
                raise
            self._may = False
            log.warning("sink %s: streams are not trimmed: %s", self._sink, error)
            return 0

    async def _trim(self, redis: Any, stream: str, count: int) -> int:
        """At most `count` entries go, and none that a group still needs. Returns how many."""
        return int(await redis.eval(TRIM, 1, stream, count))


def entry_id(text: bytes | str) -> EntryId:
    first, _, second = (text.decode() if isinstance(text, bytes) else text).partition("-")
    return int(first), int(second)
