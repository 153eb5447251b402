"""The Redis Stream source against a real server: a consumer group that forgets nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import uvloop
from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster

from engine.clock import now_us
from protocols.redis_stream.driver import Driver
from protocols.redis_stream.settings import Settings
from tests.fault_proxy import FaultProxy
from tests.ledger import Ledger, running
from tests.peers import Peer
from tests.redis_servers import cluster, sentinel

STREAM, GROUP = "wms.context", "sortline"


def made(port: int, ledger: Ledger, **more: Any) -> Driver:
    table = {
        "port": port,
        "stream": STREAM,
        "constants": {"src": "dc1/wms/main"},
        "reconnect_max_ms": 200,
        "block_ms": 50,
        **more,
    }
    return Driver("wms", msgspec.convert(table, Settings), ledger, now_us)


def cancel(rev: int) -> bytes:
    return msgspec.json.encode({"kind": "order.cancelled", "order": "O-1", "rev": rev})


async def add(server: Redis, *revs: int) -> None:
    for rev in revs:
        await server.xadd(STREAM, {"record": cancel(rev)})


async def pending(server: Redis) -> int:
    found: Any = await server.xpending(STREAM, GROUP)
    return int(found["pending"])


async def nothing_pending(server: Redis) -> None:
    async with asyncio.timeout(60):
        while await pending(server):
            await asyncio.sleep(0.02)


def revs(ledger: Ledger) -> list[int]:
    return [fact["rev"] for fact in ledger.facts]


def test_nested_json_as_the_wms_sends_it_is_the_canonical_record(redis_server: Peer) -> None:
    order = {
        "kind": "order.released",
        "order": "O-77",
        "rev": 1,
        "lines": [{"line": 1, "sku": "SKU-7", "qty": 4, "short_policy": "HOLD"}],
        "ship_by": 1_795_000_000_000_000,
    }

    async def story() -> None:
        ledger = Ledger()
        async with Redis(port=redis_server.port) as server:
            await server.xadd(STREAM, {"record": msgspec.json.encode(order)})
            async with running(made(redis_server.port, ledger)):
                await ledger.until(lambda: ledger.facts)
                await nothing_pending(server)
        fact = ledger.facts[0]
        assert abs(fact.pop("t_rx") - now_us()) < 60_000_000
        assert fact == {**order, "src": "dc1/wms/main"}

    uvloop.run(story())


def test_an_entry_is_acknowledged_only_after_the_engine_has_it(redis_server: Peer) -> None:
    async def story() -> None:
        first, second = Ledger(durable=False), Ledger()
        async with Redis(port=redis_server.port) as server:
            await add(server, 1, 2)
            async with running(made(redis_server.port, first)):
                await first.until(lambda: len(first.facts) == 2)
                await asyncio.sleep(0.2)
                assert await pending(server) == 2
            await add(server, 3)
            async with running(made(redis_server.port, second)):
                await second.until(lambda: len(second.facts) == 3)
                await nothing_pending(server)
        assert revs(second) == [1, 2, 3]

    asyncio.run(story())


def test_a_lost_connection_neither_loses_nor_repeats_what_the_engine_holds(redis_server: Peer) -> None:
    async def story() -> None:
        ledger = Ledger(durable=False)
        async with (
            Redis(port=redis_server.port) as server,
            FaultProxy(redis_server.port) as proxy,
            running(made(proxy.port, ledger)),
        ):
            await add(server, 1, 2)
            await ledger.until(lambda: len(ledger.facts) == 2)
            proxy.cut()
            await ledger.until(lambda: ledger.times("up") == 2)
            await add(server, 3)
            await ledger.until(lambda: len(ledger.facts) == 3)
            ledger.acknowledge()
            await nothing_pending(server)
            assert revs(ledger) == [1, 2, 3]

    asyncio.run(story())


def test_a_server_that_restarts_is_an_outage_and_nothing_more(redis_server: Peer) -> None:
    async def story() -> None:
        ledger = Ledger()
        async with running(made(redis_server.port, ledger, scope=["dc1/wms/"])):
            await ledger.until(lambda: ledger.times("up") == 1)
            async with Redis(port=redis_server.port) as server:
                await add(server, 1)
                await ledger.until(lambda: len(ledger.facts) == 1)
            redis_server.kill()
            await ledger.until(lambda: ledger.times("down"))
            redis_server.start()
            async with Redis(port=redis_server.port) as server:
                await add(server, 2)
                await ledger.until(lambda: len(ledger.facts) >= 2)
                await nothing_pending(server)
        links = [record["kind"] for record in ledger.records if "scope" in record]
        assert links == ["link.down", "link.up"] * 2

    asyncio.run(story())


@pytest.mark.parametrize("lost", ["the stream", "the group"])
def test_what_is_written_after_a_loss_is_read_also_by_who_began_with_the_newest(redis_server: Peer, lost: str) -> None:
    async def story() -> None:
        ledger = Ledger()
        async with (
            Redis(port=redis_server.port) as server,
            running(made(redis_server.port, ledger, begin="newest", reconnect_min_ms=200)),
        ):
            await ledger.until(lambda: ledger.times("up") == 1)
            if lost == "the stream":
                await server.delete(STREAM)
            else:
                await server.xgroup_destroy(STREAM, GROUP)
            # before the driver has noticed, or at least before it is back
            await add(server, 1)
            await ledger.until(lambda: len(ledger.facts) == 1)
            await nothing_pending(server)
        assert [cause for cause, _ in ledger.faults] == ["the group is lost: the stream is read from its beginning"]

    asyncio.run(story())


@pytest.mark.parametrize("known", ["order.cancelled", "link.down", None])
def test_a_group_that_was_lost_while_we_were_away_begins_before_the_last_record(
    redis_server: Peer, known: str | None
) -> None:
    """Before, with `begin = "newest"`, what was written before we came back was never read."""

    class Recent(Ledger):
        async def recent(self, src: str, most: int) -> Sequence[bytes]:
            line = {"kind": known, "order": "O-1", "rev": 2, "src": src, "t_rx": now_us()}
            return [msgspec.json.encode(line)] * (known is not None)

    async def story() -> None:
        ledger = Recent()
        async with Redis(port=redis_server.port) as server:
            days_ago = now_us() // 1_000 - 3 * 86_400_000
            await server.xadd(STREAM, {"record": cancel(1)}, id=f"{days_ago}-0")
            await add(server, 2)
            async with running(made(redis_server.port, ledger, begin="newest")):
                await ledger.until(lambda: ledger.times("up") == 1)
                await add(server, 3)
                await ledger.until(lambda: 3 in revs(ledger))
        is_known = known == "order.cancelled"
        assert revs(ledger) == ([2, 3] if is_known else [3])
        lost = "the group is lost: the stream is read from the last record on"
        assert [cause for cause, _ in ledger.faults] == [lost] * is_known

    asyncio.run(story())


def test_what_a_dead_consumer_left_is_taken_over(redis_server: Peer) -> None:
    async def story() -> None:
        ledger = Ledger()
        async with Redis(port=redis_server.port) as server:
            await server.xgroup_create(STREAM, GROUP, "0", mkstream=True)
            await add(server, *range(1, 31))
            await server.xreadgroup(GROUP, "dead", {STREAM: ">"}, count=30)
            async with running(made(redis_server.port, ledger, claim_idle_ms=200, batch_entries=10)):
                await ledger.until(lambda: len(ledger.facts) == 30)
                await nothing_pending(server)
        assert revs(ledger) == list(range(1, 31))

    asyncio.run(story())


def test_no_more_is_read_than_the_engine_may_hold(redis_server: Peer) -> None:
    async def story() -> None:
        ledger = Ledger(durable=False)
        limits = {"unacknowledged_max": 20, "batch_entries": 10}
        async with Redis(port=redis_server.port) as server:
            await add(server, *range(1, 51))
            async with running(made(redis_server.port, ledger, **limits)):
                await ledger.until(lambda: len(ledger.facts) == 20)
                await asyncio.sleep(0.2)
                assert await pending(server) == 20
                ledger.durable = True
                ledger.acknowledge()
                await ledger.until(lambda: len(ledger.facts) == 50)
                await nothing_pending(server)
        assert revs(ledger) == list(range(1, 51))

    asyncio.run(story())


def test_an_entry_that_does_not_fit_is_told_and_leaves_the_stream(redis_server: Peer) -> None:
    bad: list[tuple[dict[Any, Any], str]] = [
        ({"record": b"{"}, "payload: not JSON"),
        ({"other": b"{}"}, "entry: has no such field as the settings name"),
        ({"record": b'{"kind":"order.liberated"}'}, "kind: unknown"),
        ({"record": b'{"kind":"order.cancelled","order":"O-1","rev":"two"}'}, "rev: not an integer"),
        ({"record": b'{"kind":"order.cancelled","order":"O-1"}'}, "rev: missing in order.cancelled"),
        ({"record": b"[1,2]"}, "record: not an object"),
        ({"record": b'"%s"' % (b"x" * 300_000)}, "payload: longer than 262144 bytes"),
        ({"record": b'{"kind":"clock.tick"}'}, "kind: clock.tick is the engine's own"),
    ]

    async def story() -> None:
        ledger = Ledger()
        async with Redis(port=redis_server.port) as server:
            for entry, _ in bad:
                await server.xadd(STREAM, {**entry})
            await add(server, 1)
            async with running(made(redis_server.port, ledger)):
                await ledger.until(lambda: ledger.facts)
                await nothing_pending(server)
        assert [cause for cause, _ in ledger.faults] == [cause for _, cause in bad]
        assert [sample for _, sample in ledger.faults] == [entry.get("record", b"")[:262_144] for entry, _ in bad]

    asyncio.run(story())


def test_a_stream_that_is_deleted_under_us_is_made_again(redis_server: Peer) -> None:
    async def story() -> None:
        ledger = Ledger()
        async with Redis(port=redis_server.port) as server, running(made(redis_server.port, ledger)):
            await add(server, 1)
            await ledger.until(lambda: len(ledger.facts) == 1)
            await server.delete(STREAM)
            await ledger.until(lambda: ledger.times("up") == 2)
            await add(server, 2)
            await ledger.until(lambda: len(ledger.facts) == 2)

    asyncio.run(story())


def test_an_entrys_own_fields_can_be_mapped(redis_server: Peer) -> None:
    record = {"kind": {"const": "lu.bind"}, "lu": "tote", "order": "order_no", "rev": "version"}

    async def story() -> None:
        ledger = Ledger()
        async with Redis(port=redis_server.port) as server:
            await server.xadd(STREAM, {"tote": "T-1", "order_no": "O-1", "version": "3"})
            async with running(made(redis_server.port, ledger, format="fields", record=record)):
                await ledger.until(lambda: ledger.facts)
        fact = ledger.facts[0]
        fact.pop("t_rx")
        assert fact == {"kind": "lu.bind", "src": "dc1/wms/main", "lu": "T-1", "order": "O-1", "rev": 3}

    asyncio.run(story())


def test_a_stop_is_never_lost(redis_server: Peer) -> None:
    """redis-py awaits every write in asyncio.wait_for, which on Python 3.11 may swallow a cancellation."""

    async def story() -> None:
        driver = made(redis_server.port, Ledger(), block_ms=1)
        for _ in range(100):
            task = asyncio.ensure_future(driver.run())
            await asyncio.sleep(0.01)
            task.cancel()
            done, _ = await asyncio.wait({task}, timeout=60)
            assert done

    asyncio.run(story())


def test_in_a_cluster_the_stream_is_read_on_the_node_that_has_it(tmp_path: Path) -> None:
    async def story(addresses: list[str]) -> None:
        ledger = Ledger()

        def taken(number: int) -> bool:
            return revs(ledger) == list(range(1, number + 1))

        async with RedisCluster.from_url(f"redis://{addresses[0]}") as server:
            for number, address in enumerate(addresses, 1):
                await server.xadd(STREAM, {"record": cancel(number)})
                async with running(made(6379, ledger, cluster=[address])):
                    await ledger.until(partial(taken, number))

    with cluster(tmp_path) as peers:
        asyncio.run(story([f"127.0.0.1:{peer.port}" for peer in peers]))


def test_behind_a_sentinel_the_new_master_is_read_after_a_failover(tmp_path: Path) -> None:
    async def story(watcher: Peer, master: Peer, replica: Peer) -> None:
        ledger = Ledger()
        where = {"sentinels": [f"127.0.0.1:{watcher.port}"], "master": "erp"}
        async with running(made(6379, ledger, **where)):
            async with Redis(port=master.port) as server:
                await add(server, 1)
                await ledger.until(lambda: len(ledger.facts) == 1)
                await nothing_pending(server)
                await server.wait(1, 10_000)
            master.kill()
            async with Redis(port=replica.port) as server:
                await ledger.until(lambda: ledger.times("up") == 2)
                await add(server, 2)
                await ledger.until(lambda: 2 in revs(ledger))
                await nothing_pending(server)

    with sentinel(tmp_path) as (watcher, (master, replica)):
        asyncio.run(story(watcher, master, replica))


def test_where_the_server_is_is_said_in_one_way() -> None:
    table = {"stream": STREAM, "cluster": ["127.0.0.1:7000"], "sentinels": ["127.0.0.1:7001"], "master": "m"}
    settings = msgspec.convert(table | {"constants": {"src": "dc1/wms/main"}}, Settings)
    assert [where for where, _ in settings.faults()] == ["sentinels"]
