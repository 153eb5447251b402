"""What all voices have in common: records to be said, one after the other."""

from __future__ import annotations

import asyncio
from typing import Protocol

from simulators.statements import Record


class Voice(Protocol):
    async def run(self) -> None:
        """Say what is given, until cancelled."""

    def say(self, record: Record) -> None:
        """Give a record. Never waits: a machine does not stop because nobody listens, it falls behind."""

    def waiting(self) -> int:
        """How many records were given and not said yet."""


class Queued:
    """The queue of a voice. It is as long as the story at most. A record leaves it when it was said, so that a voice
    that loses its connection says it again."""

    def __init__(self) -> None:
        self._records: asyncio.Queue[Record] = asyncio.Queue()
        self._current: Record | None = None

    def say(self, record: Record) -> None:
        self._records.put_nowait(record)

    def waiting(self) -> int:
        return self._records.qsize() + (self._current is not None)

    async def next(self) -> Record:
        """The record to say now; the same one until `said` is called.

        Ends who was cancelled while he said the one before: aiomqtt and redis-py wait in asyncio.wait_for, which
        before Python 3.12 swallows a cancellation that comes together with its result.
        """
        speaker = asyncio.current_task()
        if speaker is not None and speaker.cancelling():
            raise asyncio.CancelledError
        if self._current is None:
            self._current = await self._records.get()
        return self._current

    def said(self) -> None:
        self._current = None
