"""Sinks that the site file does not name any more. What such a sink has not got yet was promised to somebody: it
becomes dead letters, with that reason, and goes on from there if the sink comes back (`sortline dlq replay`).
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3

from engine.contracts import Lane, Outbox
from engine.dead_letters import DeadLetters
from engine.error_classes import Class
from engine.errors import Full
from engine.letter import Cause

AT_ONCE = 512
AGAIN_S = 15.0
GONE = Cause(Class.OPERATOR.value, "gone", "the site file does not name this sink any more", 0)

log = logging.getLogger("sortline.delivery")


async def bury_what_is_left(outbox: Outbox, letters: DeadLetters, fits: asyncio.Event) -> None:
    """Until no sink that is gone has anything left. Where the letters have no room it stays in the outbox meanwhile.
    fits: as of `Forwarder.run`."""
    await fits.wait()
    for lane in outbox.gone():
        said, count = False, 0
        while rows := await asyncio.to_thread(outbox.read, lane.number, AT_ONCE):
            try:
                # in this order: what is a letter already is only counted once more
                await asyncio.to_thread(letters.bury, lane.sink, rows, GONE)
                await asyncio.to_thread(outbox.advance, lane.number, rows[-1].position, delivered=0, dead=len(rows))
                count += len(rows)
            except (Full, sqlite3.OperationalError) as error:
                # whatever it is: nobody is to be held up for a sink that nobody has any more
                if not said:
                    _say(lane, f"its events stay in the outbox: {error}")
                said = True
                await asyncio.sleep(AGAIN_S)
        _say(lane, f"{count} events that it did not have are dead letters")


def _say(lane: Lane, what: str) -> None:
    log.warning("sink %s: the site file does not name it any more, %s: %s", lane.sink, lane.queue, what)
