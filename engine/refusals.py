"""What came in and cannot be used: on its way to the dead letters, and back when a person says so.

A payload that does not fit its mapping is acknowledged, so that it leaves the broker, and stands in the dead letters
before that. A canonical line that is no record is in the journal already, and follows within a second.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal

import msgspec

from engine.contracts import Delivery
from engine.dead_letters import LETTER_BYTES, DeadLetters
from engine.letter import LINE, Letter, Refusal

EVERY_S = 1.0
WAITING_BYTES_MAX = 8 * 1024 * 1024
AT_ONCE = 100

log = logging.getLogger("sortline.refusals")


class Refusals:
    """`add` from anywhere on the event loop, `flush` before an acknowledgement; `run` and `take_back` as tasks.

    put: the engine's front door, for lines that shall go through the decoder once more.
    """

    def __init__(self, letters: DeadLetters, put: Callable[[Delivery], Awaitable[None]]) -> None:
        self._letters = letters
        self._put = put
        self._waiting: dict[Refusal, int] = {}  # how often each came; what is being written stays until it is on disk
        self._bytes = 0
        self._left_out = 0
        self._warned = False
        self._flushes = asyncio.Lock()
        self._on_their_way: set[int] = set()  # put, and still among the letters
        self._back: deque[Letter] = deque()  # of those: what is in the journal once more

    def add(self, kind: Literal["payload", "line"], source: str, cause: str, raw: bytes, place: str = "") -> None:
        refusal = Refusal(kind, source, cause, raw, place)
        if refusal in self._waiting:
            self._waiting[refusal] += 1
        elif self._bytes + _size(refusal) > WAITING_BYTES_MAX:
            self._left_out += 1  # it is counted by its cause, and the source's samples have some of it
        else:
            self._waiting[refusal] = 1
            self._bytes += _size(refusal)

    async def flush(self) -> None:
        """What was added before this is in the dead letters, or counted as left out, when it returns. A caller that is
        cancelled leaves it to come to its end."""
        if self._waiting:
            await asyncio.shield(self._flush())

    async def bury(self, line: bytes, why: str) -> None:
        """A record of the journal that is passed over, at once. Where that is not possible the journal still has it."""
        try:
            await asyncio.to_thread(self._letters.refuse, {Refusal(LINE, source_of(line), why, line): 1})
        except sqlite3.Error as error:
            log.error("dead letters: a record that is passed over cannot be kept here: %s", error)

    async def run(self) -> None:
        """Until cancelled: brings what waits to the dead letters."""
        while True:
            await self.flush()
            await asyncio.sleep(EVERY_S)

    async def take_back(self) -> None:
        """Until cancelled: puts the lines that a person wants back, as fast as he said and as the engine takes them."""
        while True:
            try:
                await self._take_back()
            except sqlite3.Error as error:
                self._warn(logging.ERROR, f"what shall come back waits: {error}")
            await asyncio.sleep(EVERY_S)

    async def _flush(self) -> None:
        async with self._flushes:
            refusals, left_out = dict(self._waiting), self._left_out
            if not refusals:
                return  # the flush before this one had them
            try:
                found_no_room = await asyncio.to_thread(self._letters.refuse, refusals)
            except sqlite3.Error as error:
                # each is counted by its cause, and samples are kept: the floor does not stop for what cannot be used
                self._warn(logging.ERROR, f"refused payloads cannot be kept now: {error}")
                return
            for refusal, times in refusals.items():
                self._waiting[refusal] -= times
                if not self._waiting[refusal]:  # else it came once more meanwhile
                    del self._waiting[refusal]
                    self._bytes -= _size(refusal)
            self._left_out -= left_out
            if left_out or found_no_room:
                self._warn(logging.WARNING, "there is no room for more refused payloads, they are only counted")
            else:
                self._warned = False

    def _warn(self, level: int, what: str) -> None:
        """Once, until it goes well again."""
        if not self._warned:
            self._warned = True
            log.log(level, "dead letters: %s", what)

    async def _take_back(self) -> None:
        for letter in await asyncio.to_thread(self._letters.wanted_lines, AT_ONCE):
            if letter.number not in self._on_their_way:
                self._on_their_way.add(letter.number)
                await self._put(Delivery(letter.source, [letter.raw], partial(self._back.append, letter)))
                if letter.rate:
                    await asyncio.sleep(1 / letter.rate)
            await self._take_out()
        await self._take_out()

    async def _take_out(self) -> None:
        """Those that are in the journal. If one is refused once more, it becomes a letter again."""
        while self._back:
            await asyncio.to_thread(self._letters.line_is_back, self._back[0])
            self._on_their_way.discard(self._back.popleft().number)


def source_of(line: bytes) -> str:
    """The `src` of a record; "journal" where it has none that can be read."""
    try:
        return msgspec.json.decode(line, type=_Source).src
    except msgspec.MsgspecError:
        return "journal"


class _Source(msgspec.Struct):
    src: str


def _size(refusal: Refusal) -> int:
    """Bytes, about: an empty payload takes room, too, and so does the topic of each."""
    return len(refusal.raw) + len(refusal.place) + len(refusal.cause) + LETTER_BYTES
