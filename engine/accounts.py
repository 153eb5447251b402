"""Where all events of a sink are, and what is said of it at the end."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence

from engine.contracts import Account, Outbox
from engine.dead_letters import DeadLetters

log = logging.getLogger("sortline.pipeline")


def account(outbox: Outbox, letters: DeadLetters, sink: str) -> Account:
    """Where all events of a sink are; a dead letter that was delivered in the end counts as delivered."""
    lanes = outbox.lanes(sink)
    counts = letters.counts()
    # by whole names: a source may be called like the sink, and its lines come back, too
    again = sum(counts.get(f"replayed/{sink}/{queue}", 0) for queue in {lane.queue for lane in lanes})
    parts = [outbox.account(lane.number) for lane in lanes]
    events, delivered, pending, dead = (sum(numbers) for numbers in zip(*parts, strict=True)) if parts else (0,) * 4
    return Account(events, delivered + again, pending, dead - again)


async def tell_accounts(outbox: Outbox, letters: DeadLetters, sinks: Sequence[str]) -> None:
    for sink in sinks:
        try:
            total = await asyncio.to_thread(account, outbox, letters, sink)
        except sqlite3.Error as error:
            log.error("sink %s: its account cannot be read: %s", sink, error)
            continue
        log.info("sink %s: events %d = delivered %d + pending %d + dead %d", sink, *total)
