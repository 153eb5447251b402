"""Subscriptions of a session: made, taken up again after a lost connection, and made anew one by one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import NamedTuple

from engine.clock import Clock
from protocols.opcua.binding import Binding
from protocols.opcua.connection import Connection
from protocols.opcua.entries import Entry
from protocols.opcua.failures import LinkLost, SubscriptionsGone
from protocols.opcua.publishing import Publishing
from protocols.opcua.settings import Settings
from protocols.opcua.subscription import Subscription

log = logging.getLogger("sortline.opcua")


class Subscribed(NamedTuple):
    """What a session has: who is monitored, where it comes in. `taken_up`: it goes on from an earlier connection;
    `transferred`: in another session."""

    binding: Binding
    publishing: Publishing
    taken_up: bool = False
    transferred: bool = False


async def subscribe(
    source: str,
    settings: Settings,
    entries: Sequence[Entry],
    clock: Clock,
    connection: Connection,
    publishing: Publishing,
) -> Subscribed:
    """All entries anew; what they are told first is their state. Raises LinkLost."""
    binding = Binding(connection, entries, source)
    for share in binding.shares(settings.items_per_subscription):
        publishing.add(await _make(connection, share))
    for entry in entries:
        entry.record.connected(clock())
    await binding.bind(publishing.subscriptions)
    await refresh_conditions(connection, binding, publishing.subscriptions)
    return Subscribed(binding, publishing)


async def take_up(before: Subscribed, connection: Connection, publishing: Publishing, resumed: bool) -> bool:
    """Goes on with the subscriptions of the connection before; nothing is lost that the server still has.

    `resumed`: the session is still the same. If not, the subscriptions are taken over from it. If the server does not
    hand over all of them, none is used: returns False.
    """
    subscriptions = before.publishing.subscriptions
    numbers = [subscription.number for subscription in subscriptions]
    there = await (connection.living(numbers) if resumed else connection.transfer(numbers))
    if len(there) < len(numbers):
        for number in there:
            await connection.unsubscribe(number)
        return False
    now = asyncio.get_running_loop().time()
    for subscription in subscriptions:
        subscription.taken_up(now)
        publishing.add(subscription)
    before.binding.move(connection)
    return True


async def renew(
    ended: Subscription, why: str, source: str, connection: Connection, subscribed: Subscribed, t_rx: int
) -> None:
    """One subscription anew, the others go on. Raises LinkLost; SubscriptionsGone where it has only just been made."""
    now = asyncio.get_running_loop().time()
    if now - ended.born_at < ended.silence_s:
        raise SubscriptionsGone(why)
    log.warning("%s: subscription %d: %s; made anew", source, ended.number, why)
    await connection.unsubscribe(ended.number)
    subscription = await _make(connection, ended.owners)
    subscribed.publishing.add(subscription)
    subscribed.binding.forget(ended.owners)
    for owner in ended.owners:
        subscribed.binding.entries[owner].record.connected(t_rx)
    await subscribed.binding.bind([subscription])
    await refresh_conditions(connection, subscribed.binding, [subscription])
    # not before: if the connection is lost meanwhile, the next one has to find that its entries have none
    subscribed.publishing.remove(ended)


async def refresh_conditions(connection: Connection, binding: Binding, subscriptions: Sequence[Subscription]) -> None:
    """Has the state of conditions told once more where an entry asks for it and may not know it. Raises LinkLost."""
    for subscription in subscriptions:
        records = [entry.record for entry in binding.monitored_events(subscription.owners)]
        if any(record.unsure for record in records):
            for record in records:
                record.refreshed()
            try:
                await connection.refresh_conditions(subscription.number)
            except LinkLost:
                for record in records:
                    record.unrefreshed()
                raise


async def _make(connection: Connection, owners: Sequence[int]) -> Subscription:
    revised = await connection.subscribe()
    return Subscription(revised.subscription_id, revised.silence_s, owners, asyncio.get_running_loop().time())
