"""Redis Streams against a real server: whatever is lost on the way, every event stands there once and in order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
import uvloop

from engine.contracts import Delivery, OutRow
from engine.error_classes import Class, classify
from engine.errors import Refused
from engine.redis_connection import NotNow
from engine.redis_nodes import connect, shut
from engine.secret import Secret
from engine.sinks.redis_stream import RedisSink, Settings
from tests.counting_core import event, read
from tests.fault_proxy import FaultProxy
from tests.integration.test_pipeline import START_US, Rig, until
from tests.peers import Peer, start_redis
from tests.promises import Evidence, Promises, told

pytestmark = pytest.mark.peer("redis-server")


def row(sequence: int, name: str | None = None, queue: str = "erp") -> OutRow:
    _, id_, type_, key, body, _ = event(sequence, name or f"e{sequence}")
    return OutRow(sequence, id_, type_, queue, key, body)


def rows(first: int, last: int) -> list[OutRow]:
    return [row(n) for n in range(first, last + 1)]


def settings(port: int, **more: Any) -> Settings:
    return Settings(**{"port": port, **more})


SOON = {"command_ms": 1_500, "wait_aof_ms": 500}  # where replies do get lost


def sink_on(port: int, **more: Any) -> RedisSink:
    return RedisSink("erp", settings(port, **more), Path(), lambda: 0)


async def send(sink: RedisSink, *batches: list[OutRow]) -> None:
    """Over a connection of its own."""
    await sink.open()
    try:
        for batch in batches:
            await sink.send(batch)
    finally:
        await sink.close()


def entries(port: int, stream: str = "erp") -> list[tuple[str, str]]:
    with redis.Redis(port=port, decode_responses=True) as client:
        found: Any = client.xrange(stream)
        return [(at, fields["id"]) for at, fields in found]


def ids(port: int, stream: str = "erp") -> list[str]:
    return [id_ for _, id_ in entries(port, stream)]


def keeps_the_promises(port: int, acknowledged: Sequence[str]) -> None:
    """The stream has an event of each acknowledged record, in the order of the acknowledgements, and no other."""
    with redis.Redis(port=port) as client:
        found: Any = client.xrange("erp")
    arrived = [told(fields[b"event"]) for _, fields in found]
    promises = Promises()
    promises.check(
        Evidence(acknowledged=acknowledged, arrived={"redis": arrived}, told=len(acknowledged), starts=[None])
    )
    promises.kept()
    assert [event.id for event in arrived] == list(acknowledged)


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120):
            await story()

    asyncio.run(bounded())


def names(first: int, last: int) -> list[str]:
    return [f"e{n}" for n in range(first, last + 1)]


def test_a_stream_a_queue_and_an_entry_an_event(redis_server: Peer) -> None:
    port = redis_server.port
    batch = [row(1), row(2, queue="ops"), row(3)]
    asyncio.run(send(sink_on(port, prefix="dc1."), batch))
    assert entries(port, "dc1.erp") == [("1-0", "e1"), ("3-0", "e3")]
    with redis.Redis(port=port) as client:
        found: Any = client.xrange("dc1.ops")
        assert found == [
            (b"2-0", {b"id": b"e2", b"type": b"pick.confirmed", b"partitionkey": b"key-e2", b"event": batch[1].body})
        ]


def test_what_is_sent_again_stands_there_once(redis_server: Peer) -> None:
    port = redis_server.port
    for first, last in ((1, 5), (1, 5), (3, 9), (9, 9), (1, 12)):
        asyncio.run(send(sink_on(port, batch_entries=3), rows(first, last)))
    assert entries(port) == [(f"{n}-0", f"e{n}") for n in range(1, 13)]


@pytest.mark.parametrize("scripts", [True, False])
def test_an_outbox_that_was_built_again_passes_over_what_the_stream_has(redis_server: Peer, scripts: bool) -> None:
    """Over one connection: nothing has to be held and tried again in the batch in which the stream ends."""
    port = redis_server.port
    asyncio.run(send(sink_on(port), rows(1, 8)))
    sink = sink_on(port)
    sink._may_script = scripts
    asyncio.run(send(sink, rows(1, 3), rows(4, 6), rows(7, 9), rows(10, 12)))
    assert ids(port) == names(1, 12)


def test_what_a_consumer_deleted_meanwhile_does_not_come_again(redis_server: Peer) -> None:
    port = redis_server.port
    asyncio.run(send(sink_on(port), rows(1, 5)))
    with redis.Redis(port=port) as client:
        client.xdel("erp", *(f"{n}-0" for n in range(1, 6)))
    asyncio.run(send(sink_on(port), rows(1, 8)))
    assert ids(port) == names(6, 8)


def test_what_a_consumer_deleted_before_a_smaller_call_does_not_come_again(redis_server: Peer) -> None:
    """The reply was lost, the server could not be reached for a while, and a single event is tried first then."""

    async def story() -> None:
        sink = sink_on(port)
        await send(sink, rows(1, 5))
        await client.xdel("erp", *(f"{n}-0" for n in range(1, 6)))
        await send(sink, rows(1, 1), rows(2, 3), rows(4, 8))
        await client.aclose()

    port = redis_server.port
    client = redis.asyncio.Redis(port=port)
    asyncio.run(story())
    assert ids(port) == names(6, 8)


@pytest.mark.parametrize("command", ["flushall", "unlink"])
def test_a_stream_that_was_deleted_begins_anew(redis_server: Peer, command: str) -> None:
    port = redis_server.port
    asyncio.run(send(sink_on(port), rows(1, 5)))
    with redis.Redis(port=port) as client:
        client.flushall() if command == "flushall" else client.unlink("erp")
    asyncio.run(send(sink_on(port), rows(6, 8)))
    assert ids(port) == names(6, 8)


def test_entries_of_another_writer_are_told_by_the_streams_name(redis_server: Peer) -> None:
    port = redis_server.port
    with redis.Redis(port=port) as client:
        client.xadd("erp", {"other": "program"})  # its id is a time, far above any sequence
    with pytest.raises(Refused, match=rf"stream erp at 127.0.0.1:{port} .* rename or delete the stream") as refused:
        asyncio.run(send(sink_on(port), rows(1, 5)))
    assert classify(refused.value) is Class.OPERATOR


def test_the_streams_of_another_life_are_not_taken_for_ours(redis_server: Peer) -> None:
    port = redis_server.port
    asyncio.run(send(sink_on(port), rows(1, 5)))
    with pytest.raises(Refused, match="entry 2-0 is not our event other"):
        asyncio.run(send(sink_on(port), [row(1), row(2, "other")]))


@pytest.mark.parametrize("scripts", [True, False])
def test_another_writer_in_the_middle_of_a_connection_loses_nothing(redis_server: Peer, scripts: bool) -> None:
    port = redis_server.port

    async def story() -> None:
        sink = sink_on(port)
        sink._may_script = scripts
        await sink.open()
        await sink.send(rows(1, 5))
        with redis.Redis(port=port) as client:
            client.xadd("erp", {"id": "foreign"}, id="7-0")
        with pytest.raises(Refused, match="another program"):
            await sink.send(rows(6, 9))
        await sink.close()
        with pytest.raises(Refused, match="another program"):
            await send(sink, rows(6, 9))

    run(story)


def test_a_key_of_another_type_is_the_operators_to_clear(redis_server: Peer) -> None:
    with redis.Redis(port=redis_server.port) as client:
        client.set("erp", "a text")
    with pytest.raises(redis.ResponseError) as refused:
        asyncio.run(send(sink_on(redis_server.port), rows(1, 2)))
    assert classify(refused.value) is Class.OPERATOR


def test_a_server_without_its_replicas_or_at_work_on_a_script_is_waited_for(redis_server: Peer) -> None:
    """Neither has a type of redis-py's: the lane was held, and somebody told to act, for what passes by itself."""
    port = redis_server.port
    with redis.Redis(port=port) as client, redis.Redis(port=port) as other:
        client.config_set("min-replicas-to-write", 1)
        with pytest.raises(NotNow, match="Not enough good replicas") as refused:
            asyncio.run(send(sink_on(port), rows(1, 2)))
        assert classify(refused.value) is Class.TRANSIENT
        client.config_set("min-replicas-to-write", 0)
        client.config_set("busy-reply-threshold", 1)
        with ThreadPoolExecutor(1) as thread:
            endless = thread.submit(other.eval, "while true do end", 0)
            while not _is_busy(client):
                assert not endless.done()
            with pytest.raises(NotNow, match="is busy running a script") as refused:
                asyncio.run(send(sink_on(port), rows(1, 2)))
            assert classify(refused.value) is Class.TRANSIENT
            client.script_kill()
            assert isinstance(endless.exception(), redis.ResponseError)
    asyncio.run(send(sink_on(port), rows(1, 2)))
    assert ids(port) == names(1, 2)


def _is_busy(client: redis.Redis) -> bool:
    try:
        client.ping()
    except redis.ResponseError:
        return True
    return False


def test_no_memory_on_the_server_leaves_no_hole(redis_server: Peer) -> None:
    port = redis_server.port

    async def story() -> None:
        sink = sink_on(port)
        with redis.Redis(port=port) as client:
            await send(sink, rows(1, 2))
            client.config_set("maxmemory", 1)
            with pytest.raises(redis.exceptions.OutOfMemoryError) as refused:
                await send(sink, rows(3, 6))
            assert classify(refused.value) is Class.OVERLOAD
            client.config_set("maxmemory", 0)
            await send(sink, rows(3, 6))

    run(story)
    assert ids(port) == names(1, 6)


@pytest.mark.parametrize("command", [b"EVAL", b"EXEC"])
def test_a_reply_that_is_lost_after_the_server_did_it_doubles_nothing(redis_server: Peer, command: bytes) -> None:
    async def story() -> None:
        async with FaultProxy(redis_server.port) as proxy:
            sink = sink_on(proxy.port, **SOON)
            sink._may_script = command == b"EVAL"
            await send(sink, rows(1, 3))
            proxy.when_sent(command, proxy.swallow_replies)
            with pytest.raises(redis.exceptions.TimeoutError) as lost:
                await send(sink, rows(4, 6))
            assert classify(lost.value) is Class.UNKNOWN
            assert ids(redis_server.port) == names(1, 6)
            proxy.heal()
            await send(sink, rows(4, 9))

    run(story)
    assert entries(redis_server.port) == [(f"{n}-0", f"e{n}") for n in range(1, 10)]


@pytest.mark.parametrize("loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_connection_that_was_reset_while_nobody_used_it_is_lost_and_nothing_worse(
    redis_server: Peer, loop: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """A sink that is held for it would stand still for half a minute."""

    async def story() -> None:
        async with FaultProxy(redis_server.port) as proxy:
            sink = sink_on(proxy.port)
            await sink.open()
            await sink.send(rows(1, 2))
            proxy.cut()
            await asyncio.sleep(0.1)
            with pytest.raises(redis.ConnectionError) as lost:
                await sink.send(rows(3, 4))
            assert classify(lost.value) is Class.UNKNOWN
            await sink.close()

    loop(story())


@pytest.mark.parametrize("loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_cancellation_at_any_moment_of_a_command_is_never_lost(
    redis_server: Peer, loop: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    """redis-py awaits every write in asyncio.wait_for: see engine.cancellation."""

    async def story() -> None:
        client = connect(settings(redis_server.port))
        asked = 0

        async def ask() -> None:
            nonlocal asked
            while True:
                await client.ping()
                asked += 1

        for turns in range(200):
            task, before = asyncio.create_task(ask()), asked
            await until(lambda: asked > before)  # noqa: B023 - called in this turn
            for _ in range(turns % 20):
                await asyncio.sleep(0)
            task.cancel()
            cancelled_at = asked
            await asyncio.wait({task}, timeout=60)
            assert task.cancelled()
            assert asked == cancelled_at
        await shut(client)

    loop(story())


@pytest.mark.parametrize("command", [b"EVAL", b"EXEC"])
def test_a_command_is_sent_once(redis_server: Peer, command: bytes) -> None:
    async def story() -> None:
        async with FaultProxy(redis_server.port) as proxy:
            sink = sink_on(proxy.port)
            sink._may_script = command == b"EVAL"
            await sink.open()
            proxy.when_sent(command, proxy.cut)
            with pytest.raises(redis.exceptions.ConnectionError):
                await sink.send(rows(1, 3))
            assert proxy.connections == 1
            await sink.close()

    run(story)


def test_a_server_that_cannot_wait_for_its_disk_is_named_once_or_refused(
    redis_server: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    port = redis_server.port
    with redis.Redis(port=port) as client:
        client.config_set("appendonly", "no")
    asyncio.run(send(sink_on(port), rows(1, 2), rows(3, 4)))
    assert caplog.text.count("cannot say when entries are on its disk") == 1
    with pytest.raises(redis.ResponseError):
        asyncio.run(send(sink_on(port, wait_aof="always"), rows(5, 6)))
    asyncio.run(send(sink_on(port, wait_aof="never"), rows(5, 7)))
    assert ids(port) == names(1, 7)


def test_a_stream_may_be_bounded(redis_server: Peer) -> None:
    asyncio.run(send(sink_on(redis_server.port, entries_max=10_000, when_full="drop_oldest"), rows(1, 12_000)))
    found = ids(redis_server.port)
    assert 10_000 <= len(found) < 10_500
    assert found[-1] == "e12000"


def test_an_acl_user_with_the_stream_commands_alone_is_enough(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    commands = ["+ping", "+exists", "+xadd", "+xlen", "+xrange", "+xinfo|stream", "+multi", "+exec"]
    user = ["--user", "sortline", "on", ">s3cret", "~erp*", *commands]
    peer = start_redis(tmp_path, "--user", "default", "off", *user)
    try:
        account = {"user": "sortline", "password": Secret(file=str(password))}
        for last in (3, 5):
            asyncio.run(send(sink_on(peer.port, **account), rows(1, last)))
        with pytest.raises(redis.exceptions.NoPermissionError) as refused:
            asyncio.run(send(sink_on(peer.port, **account), [row(6, queue="ops")]))
        assert classify(refused.value) is Class.OPERATOR
        password.write_text("wrong")
        with pytest.raises(redis.exceptions.AuthenticationError) as denied:
            asyncio.run(send(sink_on(peer.port, **account), rows(6, 7)))
        assert classify(denied.value) is Class.OPERATOR
        assert "wrong" not in str(denied.value)
    finally:
        peer.kill()


def test_a_server_that_is_killed_under_load_loses_and_doubles_nothing(redis_server: Peer, tmp_path: Path) -> None:
    """Ingest goes on all the time; the server goes twice, once without a word."""
    last = 0
    acknowledged: list[str] = []

    async def story() -> None:
        gone_twice = False
        sink = RedisSink("redis", settings(redis_server.port), tmp_path, lambda: 0)
        rig = Rig(tmp_path / "data", {"redis": sink})
        await rig.pipeline.start()

        def more_than(delivered: int) -> bool:
            return rig.metrics.sinks["redis"].delivered > delivered

        async def drive() -> None:
            nonlocal last
            while last < 1_000 or not gone_twice:
                last += 1
                ack = partial(acknowledged.append, f"e{last}")
                await rig.pipeline.put(Delivery("scanner", [read(f"e{last}", START_US)], ack))
                await asyncio.sleep(0.002)

        driver = asyncio.create_task(drive())
        for end in (redis_server.kill, redis_server.stop):
            await until(partial(more_than, rig.metrics.sinks["redis"].delivered + 50))
            await asyncio.to_thread(end)
            await until(lambda: rig.metrics.sinks["redis"].state == "retrying")
            await asyncio.sleep(0.3)
            await asyncio.to_thread(redis_server.start)
        gone_twice = True
        await driver
        await rig.pipeline.stop(60)
        assert rig.metrics.sinks["redis"].failures > 0

    run(story)
    assert acknowledged == names(1, last)
    keeps_the_promises(redis_server.port, acknowledged)


def test_replies_lost_again_and_again_and_engines_killed_lose_and_double_nothing(
    redis_server: Peer, tmp_path: Path
) -> None:
    chance = random.Random(11)
    last = 0

    async def story() -> None:
        nonlocal last
        async with FaultProxy(redis_server.port) as proxy:
            for _ in range(4):
                sink = RedisSink("redis", settings(proxy.port, batch_entries=7, **SOON), tmp_path, lambda: 0)
                rig = Rig(tmp_path / "data", {"redis": sink})
                await rig.pipeline.start()
                for _ in range(6):
                    proxy.when_sent(b"XADD", chance.choice([proxy.cut, proxy.swallow_replies, proxy.refuse]))
                    for _ in range(chance.randrange(1, 40)):
                        last += 1
                        await rig.put(f"e{last}")
                    await asyncio.sleep(chance.random() * 0.3)
                    proxy.heal()
                await rig.abandon()
            rig = Rig(tmp_path / "data", {"redis": RedisSink("redis", settings(proxy.port), tmp_path, lambda: 0)})
            await rig.pipeline.start()
            await rig.pipeline.stop(60)

    run(story)
    keeps_the_promises(redis_server.port, names(1, last))
