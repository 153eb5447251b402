"""The OPC UA driver where a floor is large and its network is not good: many items, lost connections, dead
subscriptions."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from asyncua import ua
from asyncua.server.internal_subscription import InternalSubscription

from ext.opcua_values import Reading
from protocols.opcua.binding import Binding
from protocols.opcua.entries import VariablesEntry
from tests.fault_proxy import FaultProxy
from tests.opcua import CARTONS, Kept, Line, line, running, settings

ITEMS = 1_200
LANES = ("dc1/pack/PK-01", "dc1/pack/PK-02")


def url(proxy: FaultProxy) -> str:
    return f"opc.tcp://127.0.0.1:{proxy.port}/"


def subscriptions(packing: Line) -> dict[int, Any]:
    known: dict[int, Any] = packing.server.iserver.subscription_service.subscriptions
    return known


def watched(**changes: Any) -> dict[str, Any]:
    return {"cartons": CARTONS | {"collect": "monitor"} | changes}


def test_thousands_of_items_are_shared_out_and_one_bad_node_degrades_itself_alone() -> None:
    async def story() -> None:
        async with line() as packing:
            folder = await packing.server.nodes.objects.add_folder(packing.index, "Many")
            for number in range(ITEMS):
                node = ua.NodeId(f"M.{number}", packing.index)
                packing.nodes[f"M{number}"] = await folder.add_variable(node, f"{packing.index}:M{number}", 0)
            entries = {
                f"m{number}": {
                    "src": f"dc1/many/{number}",
                    "nodes": {"n": f"ns=pack;s=M.{number if number != 7 else 'missing'}"},
                    "trigger": "n",
                    "collect": "monitor",
                    "record": {"kind": {"const": "telemetry"}},
                }
                for number in range(ITEMS)
            }
            configured = settings(packing.url, variables=entries, items_per_subscription=400, retry_ms=60_000)
            async with running(configured) as kept:
                async with asyncio.timeout(60):
                    while "up" not in dict(kept.states):
                        await asyncio.sleep(0.05)
                assert sorted(len(s.monitored_item_srv._monitored_items) for s in subscriptions(packing).values()) == [
                    399,
                    400,
                    400,
                ]
                await asyncio.sleep(0.5)
                for number in (0, 399, 400, 1_199):
                    await packing.write(**{f"M{number}": 5})
                await kept.until(lambda: len(kept.of("telemetry")) == 4)
                assert {r["src"] for r in kept.of("telemetry")} == {f"dc1/many/{n}" for n in (0, 399, 400, 1_199)}

    asyncio.run(story())


def test_a_connection_that_is_cut_loses_nothing_that_the_server_still_has() -> None:
    async def story() -> None:
        async with line() as packing, FaultProxy(packing.port) as proxy:
            configured = settings(
                url(proxy),
                lifetime_ms=20_000,
                reconnect_min_ms=400,
                reconnect_max_ms=400,
                variables=watched(),
                items_per_subscription=2,
            )
            async with running(configured) as kept:
                await kept.up()
                await packing.write(Kind=1, Lu="T-1", Counter=1)
                await kept.until(lambda: len(kept.of("carton.open")) == 1)
                before = set(subscriptions(packing))
                proxy.cut()
                for number in range(2, 8):
                    await packing.write(Lu=f"T-{number}", Counter=number)
                    await asyncio.sleep(0.03)
                await kept.up(2)
                await kept.until(lambda: len(kept.of("carton.open")) == 7)
                assert [(r["lu"], r["seq"]) for r in kept.of("carton.open")] == [(f"T-{n}", n) for n in range(1, 8)]
                assert kept.of("source.gap") == []
                assert set(subscriptions(packing)) == before
                await packing.write(Lu="T-8", Counter=8)
                await kept.until(lambda: len(kept.of("carton.open")) == 8)

    asyncio.run(story())


def keep_until_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    """asyncua's server forgets a message with its Republish; others keep it, as they have to (OPC 10000-4 section
    5.14.1)."""
    forgetful = InternalSubscription.republish

    def republish(self: InternalSubscription, number: int) -> ua.NotificationMessage:
        kept = dict(self._not_acknowledged_results)
        again = forgetful(self, number)
        self._not_acknowledged_results = kept
        return again

    monkeypatch.setattr(InternalSubscription, "republish", republish)


def test_what_a_server_has_is_still_asked_for_after_a_while_in_which_nobody_was_there() -> None:
    """More than one attempt fails meanwhile."""

    async def story() -> None:
        async with line() as packing, FaultProxy(packing.port) as proxy:
            configured = settings(url(proxy), lifetime_ms=30_000, reconnect_max_ms=50, variables=watched())
            async with running(configured) as kept:
                await kept.up()
                await packing.write(Kind=1, Lu="T-1", Counter=1)
                await kept.until(lambda: len(kept.of("carton.open")) == 1)
                before, connections = set(subscriptions(packing)), proxy.connections
                proxy.refuse()
                for number in range(2, 6):
                    await packing.write(Lu=f"T-{number}", Counter=number)
                    await asyncio.sleep(0.03)
                await kept.until(lambda: proxy.connections > connections + 3)
                proxy.heal()
                await kept.up(2)
                await kept.until(lambda: len(kept.of("carton.open")) == 5)
                assert [record["seq"] for record in kept.of("carton.open")] == list(range(1, 6))
                assert kept.of("source.gap") == []
                assert set(subscriptions(packing)) == before

    asyncio.run(story())


def test_cut_after_cut_nothing_is_lost_repeated_or_out_of_order(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_until_acknowledged(monkeypatch)

    async def story() -> None:
        rng = random.Random(1)
        async with line() as packing, FaultProxy(packing.port) as proxy:
            configured = settings(url(proxy), lifetime_ms=30_000, timeout_ms=3_000, variables=watched())
            async with running(configured) as kept:
                await kept.up()
                await asyncio.sleep(0.3)
                number = 0
                for _ in range(12):
                    for _ in range(rng.randrange(1, 6)):
                        number += 1
                        await packing.write(Kind=1, Lu=f"T-{number}", Counter=number)
                        await asyncio.sleep(0.05 * rng.random())
                    proxy.cut()
                    await asyncio.sleep(0.3 * rng.random())
                await kept.until(lambda: len(kept.of("carton.open")) >= number)
                assert [record["seq"] for record in kept.of("carton.open")] == list(range(1, number + 1))
                assert kept.of("source.gap") == []

    asyncio.run(story())


def test_an_event_that_could_not_be_read_before_the_cut_is_read_after_it() -> None:
    async def story() -> None:
        async with line() as packing, FaultProxy(packing.port) as proxy:
            configured = settings(url(proxy), lifetime_ms=20_000, timeout_ms=1_500, variables={"cartons": CARTONS})
            async with running(configured) as kept:
                await kept.up()
                # once an event has come, a request for the next one lies at the server: two were sent
                await packing.write(Kind=1, Lu="T-1", Counter=1)
                await kept.until(lambda: len(kept.of("carton.open")) == 1)
                proxy.swallow_requests()  # what the driver sends from now on gets nowhere: not its Read either
                await packing.write(Kind=1, Lu="T-2", Counter=2)
                await kept.until(lambda: "down" in dict(kept.states))
                assert len(kept.of("carton.open")) == 1
                proxy.heal()
                await kept.until(lambda: len(kept.of("carton.open")) == 2)
                assert [record["lu"] for record in kept.of("carton.open")] == ["T-1", "T-2"]
                assert kept.of("source.gap") == []

    asyncio.run(story())


def test_the_values_of_events_that_come_at_once_are_read_beside_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that is looked at for long keeps no other waiting, whose values the next event would write over."""

    async def story() -> None:
        async with line() as packing:
            both = {src[-5:].lower().replace("-", "_"): CARTONS | {"src": src} for src in LANES}
            async with running(settings(packing.url, variables=both)) as kept:
                await kept.up()
                await packing.write(Kind=1, Lu="T-1", Counter=1)
                await kept.until(lambda: len(kept.of("carton.open")) == 2)
                reading: list[int] = []
                met = asyncio.Event()
                read = Binding.read

                async def together(binding: Binding, owner: int, entry: VariablesEntry) -> list[Reading]:
                    reading.append(owner)
                    if len(reading) == 2:
                        met.set()
                    await met.wait()
                    return await read(binding, owner, entry)

                monkeypatch.setattr(Binding, "read", together)
                await packing.write(Kind=1, Lu="T-2", Counter=2)
                await kept.until(lambda: len(kept.of("carton.open")) == 4)
                assert [record["lu"] for record in kept.of("carton.open")] == ["T-1", "T-1", "T-2", "T-2"]
                assert kept.faults == []

    asyncio.run(story())


def answering_transfers(packing: Line) -> None:
    """asyncua's server goes on with the publish requests of the session that is gone; others take those of the new."""
    service = packing.server.iserver.subscription_service
    original = service.transfer_subscriptions

    async def transfer(parameters: Any, session: Any, callback: Any) -> Any:
        results = await original(parameters, session, callback)
        for number in parameters.SubscriptionIds:
            service.subscriptions[number].pub_request_callback = callback.__self__.get_publish_request
        return results

    service.transfer_subscriptions = transfer


@pytest.mark.parametrize("answering", [True, False])
def test_subscriptions_of_a_session_that_is_gone_are_taken_over(
    answering: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with line() as packing, FaultProxy(packing.port) as proxy:
            if answering:
                answering_transfers(packing)
            # a server that hands over and then says nothing is found out by its silence
            lifetime_ms = 20_000 if answering else 3_000
            configured = settings(url(proxy), lifetime_ms=lifetime_ms, variables=watched())
            async with running(configured) as kept:
                await kept.up()
                await packing.write(Kind=1, Lu="T-1", Counter=1)
                await kept.until(lambda: len(kept.of("carton.open")) == 1)
                before = set(subscriptions(packing))
                monkeypatch.setattr(packing.server.iserver, "lookup_external_session", lambda token: None)
                proxy.cut()
                for number in (2, 3):
                    await packing.write(Lu=f"T-{number}", Counter=number)
                    await asyncio.sleep(0.05)
                await kept.until(lambda: kept.records[-1].get("seq") == 3)
                if answering:
                    assert len(kept.of("carton.open")) == 3
                    assert kept.of("source.gap") == []
                    assert set(subscriptions(packing)) == before
                else:
                    assert len(kept.of("source.gap")) == 1

    asyncio.run(story())


def test_where_nothing_can_be_taken_up_it_is_made_anew_and_what_was_missed_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story() -> None:
        async with line() as packing, FaultProxy(packing.port) as proxy:
            configured = settings(url(proxy), lifetime_ms=20_000, variables=watched())
            async with running(configured) as kept:
                await kept.up()
                await packing.write(Kind=1, Lu="T-1", Counter=1)
                await kept.until(lambda: len(kept.of("carton.open")) == 1)
                monkeypatch.setattr(packing.server.iserver, "lookup_external_session", lambda token: None)
                proxy.cut()
                service = packing.server.iserver.subscription_service
                await service.delete_subscriptions(list(service.subscriptions))
                await packing.write(Lu="T-5", Counter=5)
                await kept.up(2)
                await kept.until(lambda: len(kept.of("carton.open")) == 2)
                assert kept.of("carton.open")[1]["lu"] == "T-5"
                assert len(kept.of("source.gap")) == 1

    asyncio.run(story())


def test_one_subscription_that_dies_is_made_anew_while_the_others_go_on() -> None:
    async def story() -> None:
        async with line() as packing:
            both = {**watched(), "others": CARTONS | {"collect": "monitor", "src": "dc1/pack/PK-02"}}
            configured = settings(packing.url, variables=both, lifetime_ms=2_000, items_per_subscription=3)
            kept = Kept()
            async with running(configured, kept):
                await kept.up()
                first, second = subscriptions(packing)
                await asyncio.sleep(2.1)  # one that dies at once is the server's will
                await subscriptions(packing).pop(first).stop()
                await packing.write(Kind=1, Lu="T-1", Counter=1)
                await kept.until(lambda: bool(kept.of("carton.open")))
                assert kept.of("carton.open")[0]["src"] == "dc1/pack/PK-02"
                await kept.until(lambda: len(subscriptions(packing)) == 2 and bool(kept.of("source.gap")))
                assert {gap["src"] for gap in kept.of("source.gap")} == {"dc1/pack/PK-01"}
                await kept.until(lambda: len(kept.of("carton.open")) == 2)  # the one that can still be read
                await packing.write(Kind=2, Counter=2)
                await kept.until(lambda: len(kept.of("carton.close")) == 2)
                assert second in subscriptions(packing)
                assert [state for state, _ in kept.states] == ["connecting", "up"]

    asyncio.run(story())


def test_a_connection_that_is_lost_while_a_subscription_is_made_anew_leaves_no_entry_without_one() -> None:
    async def story() -> None:
        async with line() as packing, FaultProxy(packing.port) as proxy:
            both = {**watched(), "others": CARTONS | {"collect": "monitor", "src": "dc1/pack/PK-02"}}
            configured = settings(url(proxy), variables=both, lifetime_ms=1_000, items_per_subscription=3)
            async with running(configured) as kept:
                await kept.up()
                await asyncio.sleep(1.1)  # one that dies at once is the server's will
                await packing.write(Kind=1, Lu="T-1", Counter=1)
                await kept.until(lambda: len(kept.of("carton.open")) == 2)
                deletion: int = ua.ObjectIds.DeleteSubscriptionsRequest_Encoding_DefaultBinary
                proxy.when_sent(b"\x01\x00" + deletion.to_bytes(2, "little"), proxy.cut)
                await subscriptions(packing).pop(min(subscriptions(packing))).stop()
                await kept.up(2)
                await packing.write(Kind=2, Counter=2)
                await kept.until(lambda: {record["src"] for record in kept.of("carton.close")} == set(LANES))
                assert {gap["src"] for gap in kept.of("source.gap")} >= {LANES[0]}

    asyncio.run(story())


def test_a_server_that_names_small_limits_is_asked_in_small_calls() -> None:
    async def story() -> None:
        async with line() as packing:
            for number in (11705, 11712, 11714):
                node = packing.server.get_node(ua.NodeId(number, 0))
                await node.write_value(ua.Variant(2, ua.VariantType.UInt32))
            calls: list[int] = []
            service = packing.server.iserver.subscription_service
            original = service.create_monitored_items

            async def counted(parameters: Any) -> Any:
                calls.append(len(parameters.ItemsToCreate))
                return await original(parameters)

            service.create_monitored_items = counted
            async with running(settings(packing.url, variables={**watched(), "read": CARTONS})) as kept:
                await kept.up()
                assert calls == [2, 2]
                await packing.write(Kind=1, Lu="T-1", Counter=1)
                await kept.until(lambda: len(kept.of("carton.open")) == 2)

    asyncio.run(story())


def test_values_of_items_are_asked_for_at_once_and_in_the_queue_size_of_their_entry() -> None:
    async def story() -> None:
        async with line() as packing:
            configured = settings(packing.url, variables=watched(queue_size=37, sampling_ms=250))
            async with running(configured) as kept:
                await kept.up()
                (subscription,) = subscriptions(packing).values()
                items = subscription.monitored_item_srv._monitored_items.values()
                assert {(item.queue_size, item.mode) for item in items} == {(37, ua.MonitoringMode.Reporting)}

    asyncio.run(story())
