"""The order of notification messages, and the life of subscriptions, with a server that answers by script."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ext.opcua_notifications import Publish
from protocols.opcua.failures import LinkLost, Throttled, Unreadable
from protocols.opcua.publishing import Message, Publishing
from protocols.opcua.subscription import CONNECTIONS_MAX, Subscription
from protocols.opcua.together import together
from tests.opcua_bodies import message

T_RX = 1_800_000_000_000_000


class ScriptedServer:
    """Answers publish requests with what the script says, one after the other, and keeps `again` for republishing."""

    def __init__(self, script: Sequence[Publish | Exception | float], again: Sequence[int] = ()) -> None:
        self._script = iter(script)
        self._again = again
        self.acknowledged: list[tuple[int, int]] = []
        self.waiting = self.waiting_most = self.asked_again = 0
        self.deaf = False  # to whoever asks for a message again

    async def publish(self, acknowledged: list[tuple[int, int]]) -> Publish:
        self.acknowledged += acknowledged
        self.waiting += 1
        self.waiting_most = max(self.waiting, self.waiting_most)
        try:
            for answer in self._script:
                if isinstance(answer, float):
                    await asyncio.sleep(answer)
                elif isinstance(answer, Exception):
                    raise answer
                else:
                    return answer
            return await asyncio.Future()
        finally:
            self.waiting -= 1

    async def republish(self, subscription: int, number: int) -> Publish | None:
        self.asked_again += 1
        if self.deaf:
            raise LinkLost("no answer")
        return message(number, subscription=subscription) if number in self._again else None


def publishing(server: ScriptedServer, *subscriptions: int, silence_s: float = 5, **limits: int) -> Publishing:
    """`subscriptions`: their numbers; one with number 1 if none is given."""
    any_server: Any = server
    made = Publishing(
        any_server,
        lambda: T_RX,
        limits.get("publish_requests", 1),
        limits.get("queue_messages", 8),
        limits.get("queue_bytes", 1 << 20),
    )
    for owner, number in enumerate(subscriptions or (1,)):
        made.add(Subscription(number, silence_s, [owner], asyncio.get_running_loop().time()))
    return made


async def take(flow: Publishing, enough: Callable[[list[Message]], bool]) -> list[Message]:
    seen: list[Message] = []
    pump = asyncio.create_task(flow.pump())
    try:
        async with asyncio.timeout(60):
            async for one in flow.messages():
                seen.append(one)
                if enough(seen):
                    break
    finally:
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)
    return seen


def told(messages: Sequence[Message]) -> list[tuple[int | None, bool]]:
    return [(one.publish.number if one.publish is not None else None, one.lost) for one in messages]


@pytest.mark.parametrize(
    ("sent", "kept", "expected"),
    [
        ([(1, True), (2, True)], [], [(1, False), (2, False)]),
        ([(1, False), (1, True), (2, False), (2, True)], [], [(1, False), (2, False)]),
        ([(1, True), (4, True)], [2, 3], [(1, False), (2, False), (3, False), (4, False)]),
        ([(1, True), (4, True)], [3], [(1, False), (3, True), (4, False)]),
        ([(1, True), (4, True)], [], [(1, False), (4, True)]),
        ([(1, True), (3, False)], [], [(1, False), (None, True)]),
        ([(5, True), (2, True)], [], [(5, False), (2, True)]),
        ([(5, True), (2, True), (3, True)], [6], [(5, False), (2, True), (3, False)]),
        ([(5, True), (5_000, True)], [6], [(5, False), (5_000, True)]),
        ([(5, True), (5_000, False), (5_000, True)], [6], [(5, False), (None, True), (5_000, False)]),
        ([(1, True), (1, False), (2, True)], [1], [(1, False), (2, False)]),
        ([(0, False), (1, True)], [], [(1, False)]),
        ([(3, True), (0, False), (4, True), (4, False), (6, True)], [], [(3, False), (4, False), (6, True)]),
        ([((1 << 32) - 1, True), (1, True)], [], [((1 << 32) - 1, False), (1, False)]),
    ],
)
def test_a_missing_message_is_asked_for_again_and_named_if_it_is_gone(
    sent: list[tuple[int, bool]], kept: list[int], expected: list[tuple[int | None, bool]]
) -> None:
    async def story() -> None:
        server = ScriptedServer([message(*one) for one in sent], kept)
        seen = await take(publishing(server), lambda seen: len(seen) == len(expected))
        assert told(seen) == expected

    asyncio.run(story())


def test_each_subscription_has_numbers_of_its_own() -> None:
    async def story() -> None:
        sent = [message(1, subscription=1), message(1, subscription=2), message(9, subscription=3)]
        sent += [message(3, subscription=1), message(2, subscription=2)]
        seen = await take(publishing(ScriptedServer(sent), 1, 2), lambda seen: len(seen) == 4)
        assert [(one.subscription.number, *told([one])[0]) for one in seen] == [
            (1, 1, False),
            (2, 1, False),
            (1, 3, True),
            (2, 2, False),
        ]

    asyncio.run(story())


def test_one_that_falls_silent_has_died_alone_while_others_are_heard() -> None:
    async def story() -> None:
        alive = [answer for number in range(1, 20) for answer in (message(number, subscription=2), 0.05)]
        flow = publishing(ScriptedServer(alive), 1, 2, silence_s=0.3)
        seen = await take(flow, lambda seen: any(one.ended for one in seen))
        assert {one.subscription.number for one in seen if one.ended} == {1}
        assert seen[-1].ended == "no sign of the subscription"

    asyncio.run(story())


def test_where_none_is_heard_the_connection_is_lost() -> None:
    async def story() -> None:
        with pytest.raises(LinkLost, match="no sign of the subscription"):
            await publishing(ScriptedServer([]), 1, 2, silence_s=0.2).pump()

    asyncio.run(story())


def test_a_standstill_of_our_own_is_nobodys_silence() -> None:
    async def story() -> None:
        flow = publishing(ScriptedServer([]), silence_s=0.3)
        pump = asyncio.create_task(flow.pump())
        for _ in range(3):
            await asyncio.sleep(0)
        time.sleep(0.6)
        began = asyncio.get_running_loop().time()
        with pytest.raises(LinkLost):
            await pump
        assert asyncio.get_running_loop().time() - began > 0.29, "a whole silence since"
        (subscription,) = flow.subscriptions
        assert subscription.heard_at >= began > subscription.told_at, "nor a sign that it lives"

    asyncio.run(story())


def test_a_keep_alive_is_a_sign_of_life() -> None:
    async def story() -> None:
        alive = [answer for _ in range(30) for answer in (message(1, numbered=False), 0.05)]
        flow = publishing(ScriptedServer(alive), silence_s=0.2, queue_messages=100)
        started = asyncio.get_running_loop().time()
        with pytest.raises(LinkLost):
            await flow.pump()
        assert asyncio.get_running_loop().time() - started > 0.5

    asyncio.run(story())


def test_nothing_is_asked_for_while_the_consumer_is_behind_and_that_is_no_silence() -> None:
    async def story() -> None:
        server = ScriptedServer([message(number) for number in range(1, 11)])
        flow = publishing(server, silence_s=0.3, queue_messages=3)
        pump = asyncio.create_task(flow.pump())
        await asyncio.sleep(0.8)
        assert not pump.done()
        assert server.waiting == 0
        seen = []
        async for one in flow.messages():
            seen.append(one)
            if len(seen) == 10:
                break
        assert told(seen) == [(number, False) for number in range(1, 11)]
        assert not pump.done()
        pump.cancel()

    asyncio.run(story())


def test_what_waits_is_bounded_in_bytes_too() -> None:
    async def story() -> None:
        server = ScriptedServer([message(number) for number in range(1, 100)])
        flow = publishing(server, queue_messages=1_000, queue_bytes=3 * message(1).size)
        pump = asyncio.create_task(flow.pump())
        await asyncio.sleep(0.1)
        assert flow._queue.qsize() <= 3 + 2  # what two lanes had asked for before
        pump.cancel()

    asyncio.run(story())


def test_what_cannot_be_read_is_bounded_like_what_can() -> None:
    async def story() -> None:
        flow = publishing(ScriptedServer([Unreadable("x")] * 100), queue_messages=3)
        pump = asyncio.create_task(flow.pump())
        await asyncio.sleep(0.1)
        assert flow._queue.qsize() <= 3 + 2  # what two lanes had asked for before
        pump.cancel()

    asyncio.run(story())


def test_a_server_that_takes_fewer_requests_is_asked_for_fewer() -> None:
    async def story() -> None:
        refused = [Throttled("x")] * 3
        flow = publishing(ScriptedServer([*refused, message(1), message(2)]), publish_requests=4)
        seen = await take(flow, lambda seen: len(seen) == 2)
        assert told(seen) == [(1, False), (2, False)]
        assert flow._lanes == 1

    asyncio.run(story())


def test_one_request_for_each_subscription_and_one_in_hand() -> None:
    async def story() -> None:
        server = ScriptedServer([])
        pump = asyncio.create_task(publishing(server, 1, 2, 3, 4, 5).pump())
        await asyncio.sleep(0.05)
        assert server.waiting == 6
        pump.cancel()

    asyncio.run(story())


def test_a_message_that_cannot_be_read_is_lost_and_the_next_one_says_so() -> None:
    async def story() -> None:
        first = ScriptedServer([Unreadable("x"), message(2), message(3)])
        assert told(await take(publishing(first), lambda seen: len(seen) == 3)) == [
            (None, True),
            (2, False),
            (3, False),
        ]
        later = ScriptedServer([message(1), Unreadable("x"), message(3)])
        assert told(await take(publishing(later), lambda seen: len(seen) == 2)) == [(1, False), (3, True)]

    asyncio.run(story())


def test_what_could_not_be_acknowledged_is_acknowledged_by_the_next_request() -> None:
    async def story() -> None:
        server = ScriptedServer([Throttled("x"), message(1), LinkLost("gone")])
        flow = publishing(server)
        (subscription,) = flow.subscriptions
        subscription.done([7, 8])
        with pytest.raises(LinkLost):
            await flow.pump()
        assert server.acknowledged[:4] == [(1, 7), (1, 8)] * 2
        subscription.done([9])
        lost = ScriptedServer([LinkLost("gone")])
        again = publishing(lost)
        again.add(subscription)
        with pytest.raises(LinkLost):
            await again.pump()
        assert subscription.told(9) == [9]

    asyncio.run(story())


def test_what_ends_them_together_is_gone_once_it_is_handled() -> None:
    """Without a full collection, which a busy engine does once in a long while: servers may come and go meanwhile."""

    async def fail() -> None:
        raise LinkLost("gone")

    async def story() -> None:
        try:
            await together(fail(), asyncio.sleep(60))
        except LinkLost as error:
            lost = weakref.ref(error)
        await asyncio.sleep(0)
        assert lost() is None

    gc.disable()
    try:
        asyncio.run(story())
    finally:
        gc.enable()


async def until_lost(flow: Publishing) -> list[Message]:
    """What comes over a connection that is lost."""
    pump = asyncio.create_task(flow.pump())
    async with asyncio.timeout(60):
        seen = [one async for one in flow.messages()]
        with pytest.raises(LinkLost, match="no answer"):
            await pump
    return seen


def test_a_message_that_could_not_be_asked_for_before_the_cut_is_asked_for_after_it() -> None:
    """Of another subscription everything comes meanwhile. Message 2 is gone, 3 is not answered for."""

    async def story() -> None:
        other = [message(1, subscription=2), message(2, subscription=2)]
        server = ScriptedServer([message(1), message(4), other[0], message(5), other[1]], again=[3, 4, 5])
        server.deaf = True
        flow = publishing(server, 1, 2)
        seen = await until_lost(flow)
        assert [(one.subscription.number, *told([one])[0]) for one in seen] == [
            (1, 1, False),
            (2, 1, False),
            (2, 2, False),
        ]
        again = publishing(ScriptedServer([message(6)], again=[3, 4, 5]))
        again.add(flow.subscriptions[0])
        seen = await take(again, lambda seen: len(seen) == 4)
        assert told(seen) == [(3, True), (4, False), (5, False), (6, False)]

    asyncio.run(story())


def test_the_first_message_is_asked_for_where_the_connection_before_was_cut_ahead_of_it() -> None:
    async def story() -> None:
        flow = publishing(ScriptedServer([message(2)], again=[1]))
        (subscription,) = flow.subscriptions
        subscription.taken_up(asyncio.get_running_loop().time())
        assert told(await take(flow, lambda seen: len(seen) == 2)) == [(1, False), (2, False)]

    asyncio.run(story())


def test_a_message_for_which_a_server_closes_every_connection_is_given_up() -> None:
    async def story() -> None:
        flow = publishing(ScriptedServer([message(1)]))
        await take(flow, lambda seen: len(seen) == 1)
        for _ in range(CONNECTIONS_MAX - 1):
            server = ScriptedServer([message(4)])
            server.deaf = True
            before, flow = flow, publishing(server)
            flow.add(before.subscriptions[0])
            assert await until_lost(flow) == []
            assert server.asked_again == 1
        server = ScriptedServer([message(4)])
        server.deaf = True
        before, flow = flow, publishing(server)
        flow.add(before.subscriptions[0])
        (lost,) = await take(flow, lambda seen: len(seen) == 1)
        assert told([lost])[0] == (4, True)

    asyncio.run(story())
