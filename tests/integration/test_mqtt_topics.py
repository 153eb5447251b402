"""What a broker calls its topics: by aliases, and by what is none."""

from __future__ import annotations

import asyncio

from tests.integration.test_mqtt_connection import VERSIONS, jam, made
from tests.ledger import Ledger, running
from tests.packets import topic_alias
from tests.raw_broker import raw_broker


def aliased(number: int, alias: int, device: str = "") -> bytes:
    """By its alias alone, without a device."""
    message = jam(number, device=device, properties=topic_alias(alias))
    return (message if device else message._replace(topic=b"")).wire(True)


def test_a_topic_alias_means_what_it_was_given_last_on_this_connection() -> None:
    async def story() -> None:
        ledger = Ledger()
        async with raw_broker() as broker, running(made(broker, ledger, topic_aliases=9)):
            broker.session_present = True
            await broker.send(aliased(1, 3, "CV-01") + aliased(2, 4, "CV-02") + aliased(3, 3) + aliased(4, 4), piece=1)
            await broker.send(aliased(5, 3, "CV-02") + aliased(6, 3) + aliased(7, 4, "CV-01") + aliased(8, 4), piece=7)
            await ledger.until(lambda: len(ledger.facts) == 8)
            broker.cut()
            await ledger.until(lambda: ledger.times("up") >= 2)
            await broker.send(aliased(9, 3, "CV-09") + aliased(10, 3) + aliased(11, 4))
            await ledger.until(lambda: len(ledger.facts) == 10 and ledger.times("up") >= 3)
        assert [int(fact["src"][-1]) for fact in ledger.facts] == [1, 2, 1, 2, 2, 2, 1, 1, 9, 9]
        assert [fact["seq"] for fact in ledger.facts] == list(range(1, 11))
        assert ("down", "malformed packet: a topic alias that was never set") in ledger.states

    asyncio.run(story())


@VERSIONS
def test_a_topic_that_cannot_be_one_is_told_and_acknowledged(newest: bool) -> None:
    """It would be the name of a machine."""

    async def story() -> None:
        ledger = Ledger()
        async with raw_broker(newest) as broker, running(made(broker, ledger, newest)):
            for number, device in enumerate(["CV+", "#", "CV\0", "CV"], 1):
                await broker.send(jam(number, device=device).wire(newest))
            await ledger.until(lambda: len(broker.acked) == 4)
        assert [fact["seq"] for fact in ledger.facts] == [4]
        assert [cause for cause, _ in ledger.faults] == ["topic: a wildcard or a zero in it"] * 3

    asyncio.run(story())
