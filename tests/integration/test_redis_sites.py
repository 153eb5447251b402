"""Redis Streams as sites have them: shipped users over TLS, clusters, sentinels, streams that are trimmed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from engine.contracts import OutRow
from engine.error_classes import Class, classify
from engine.errors import Full, Refused
from engine.redis_nodes import Nodes
from engine.secret import Secret
from engine.sinks.reading import open_redis
from engine.sinks.redis_room import Room
from engine.sinks.redis_stream import RedisSink, Settings
from engine.tls import Tls
from tests.certificates import Authority
from tests.fault_proxy import FaultProxy
from tests.integration.test_redis_sink import entries, ids, names, row, rows, send, settings, sink_on
from tests.peers import Peer, start_redis
from tests.redis_servers import cluster, newer_redis, password_of, sentinel, start_with_shipped_users

pytestmark = pytest.mark.peer("redis-server")
QUEUES = ("erp.inventory", "erp.shipping", "ops.exceptions")


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120):
            await story()

    asyncio.run(bounded())


def as_user(folder: Path, peer: Peer, authority: Authority, user: str, **more: Any) -> Settings:
    file = folder / f"{user}.password"
    file.write_text(password_of(user))
    return settings(peer.port, user=user, password=Secret(file=str(file)), tls=Tls(ca=str(authority.ca)), **more)


def test_the_shipped_users_over_tls(tmp_path: Path) -> None:
    """The sink's user can add, read back and trim, and nothing else; the one who looks can look."""
    authority = Authority(tmp_path)
    peer = start_with_shipped_users(tmp_path, authority)
    try:
        mine = as_user(tmp_path, peer, authority, "sortline-sink", keep=0, entries_max=10_000)
        both = [row(n, queue=QUEUES[n % 2]) for n in range(1, 11)]
        for last in (6, 10):
            asyncio.run(send(RedisSink("erp", mine, Path(), lambda: 0), both[:last]))

        async def story() -> None:
            nodes = Nodes(mine)
            await nodes.open()
            client: Any = nodes.of("erp.shipping")
            for command in (
                ["DEL", "erp.shipping"],
                ["FLUSHALL"],
                ["CONFIG", "GET", "*"],
                ["XADD", "x", "*", "a", "b"],
            ):
                with pytest.raises(redis.exceptions.NoPermissionError):
                    await client.execute_command(*command)
            assert (await client.info("persistence"))["aof_enabled"] == 1
            await nodes.close()
            reader = open_redis(as_user(tmp_path, peer, authority, "sortline-look"))
            assert [(view.queue, view.entries) for view in await reader.views()] == [
                ("erp.inventory", 5),
                ("erp.shipping", 5),
            ]
            await reader.close()
            room = Room("erp", 0, None)
            group = as_user(tmp_path, peer, authority, "erp")
            consumer = Nodes(group)
            await consumer.open()
            await consumer.of("erp.shipping").xgroup_create("erp.shipping", "sap", "3-0")
            await consumer.close()
            await nodes.open()
            await room.require(nodes.of("erp.shipping"), "erp.shipping", 1)
            assert room._may
            await nodes.close()

        run(story)
    finally:
        peer.kill()


def test_a_certificate_of_somebody_else_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    authority, other = Authority(tmp_path), Authority(tmp_path / "other")
    peer = start_with_shipped_users(tmp_path, authority)
    try:
        with pytest.raises((redis.exceptions.ConnectionError, OSError)):
            asyncio.run(
                send(RedisSink("erp", as_user(tmp_path, peer, other, "sortline-sink"), Path(), lambda: 0), rows(1, 2))
            )
    finally:
        peer.kill()


def test_a_right_that_is_taken_away_holds_and_comes_back(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("s3cret")
    peer = start_redis(tmp_path, "--user", "sortline", "on", ">s3cret", "~*", "+@all")
    try:
        sink = sink_on(peer.port, user="sortline", password=Secret(file=str(password)))

        async def story() -> None:
            await sink.open()
            await sink.send(rows(1, 3))
            with redis.Redis(port=peer.port) as admin:
                admin.execute_command("ACL", "SETUSER", "sortline", "-xadd")
                with pytest.raises(redis.exceptions.ResponseError) as refused:
                    await sink.send(rows(4, 6))
                assert classify(refused.value) is Class.OPERATOR
                assert "key-e4" not in str(refused.value)  # no data in what goes to the log
                await sink.close()
                admin.execute_command("ACL", "SETUSER", "sortline", "+xadd")
            await send(sink, rows(4, 6))

        run(story)
        assert ids(peer.port) == names(1, 6)
    finally:
        peer.kill()


def test_a_cluster_gets_each_stream_on_its_own_node(tmp_path: Path) -> None:
    with cluster(tmp_path) as peers:
        more = {"cluster": [f"127.0.0.1:{peer.port}" for peer in reversed(peers)]}
        batch = [row(n, queue=f"q{n % 7}") for n in range(1, 71)]
        for last in (20, 70, 70):
            asyncio.run(send(RedisSink("erp", settings(6379, **more), Path(), lambda: 0), batch[:last]))

        async def story() -> None:
            reader = open_redis(settings(6379, **more))
            views = await reader.views()
            assert [(view.queue, view.entries) for view in views] == [(f"q{n}", 10) for n in range(7)]
            assert [entry.id for entry in await reader.read("q3", "", 100)] == [f"e{n}" for n in range(3, 71, 7)]
            await reader.close()

        run(story)
        held = [len(redis.Redis(port=peer.port).keys("*")) for peer in peers]
        assert sum(held) == 7
        assert max(held) < 7


def test_a_cluster_whose_first_node_is_gone_is_found_by_the_next(tmp_path: Path) -> None:
    with cluster(tmp_path) as peers:
        dead, *alive = [f"127.0.0.1:{peer.port}" for peer in peers]
        target = _stream_on(alive[0], alive)
        peers[0].kill()
        sink = RedisSink("erp", settings(6379, cluster=[dead, *alive]), Path(), lambda: 0)

        async def story() -> None:
            with pytest.raises((redis.exceptions.RedisError, OSError)) as error:
                await send(sink, [row(1, queue=target)])
            assert classify(error.value) in (Class.TRANSIENT, Class.UNKNOWN)

        run(story)


def _stream_on(address: str, addresses: list[str]) -> str:
    async def find() -> str:
        nodes = Nodes(settings(6379, cluster=addresses))
        await nodes.open()
        name = next(f"q{n}" for n in range(1_000) if str(nodes.place(f"q{n}")) == address)
        await nodes.close()
        return name

    return asyncio.run(find())


def test_behind_a_sentinel_events_go_to_the_new_master_after_a_failover(tmp_path: Path) -> None:
    with sentinel(tmp_path) as (watcher, (master, replica)):
        more = {"sentinels": [f"127.0.0.1:{watcher.port}"], "master": "erp", "replicas": 1}
        patient = settings(6379, **more, command_ms=10_000, wait_aof_ms=10_000)
        asyncio.run(send(RedisSink("erp", patient, Path(), lambda: 0), rows(1, 5)))
        assert ids(replica.port) == names(1, 5)
        master.kill()

        async def story() -> None:
            alone = RedisSink("erp", settings(6379, **{**more, "replicas": 0}), Path(), lambda: 0)
            while True:
                try:
                    await send(alone, rows(3, 9))
                    return
                except Exception as error:
                    assert classify(error) in (Class.TRANSIENT, Class.UNKNOWN), repr(error)
                    await alone.close()
                    await asyncio.sleep(0.2)

        run(story)
        assert ids(replica.port) == names(1, 9)
        with pytest.raises(TimeoutError, match="on 0 of 1 replicas") as late:
            asyncio.run(send(RedisSink("erp", settings(6379, **more), Path(), lambda: 0), rows(8, 10)))
        assert classify(late.value) is Class.UNKNOWN


def test_a_master_that_no_sentinel_knows_is_refused(tmp_path: Path) -> None:
    with sentinel(tmp_path) as (watcher, _):
        more = {"sentinels": [f"127.0.0.1:{watcher.port}"], "master": "other"}
        with pytest.raises(Refused, match="knows no master other"):
            asyncio.run(send(RedisSink("erp", settings(6379, **more), Path(), lambda: 0), rows(1, 2)))


def trim(port: int, keep: int, entries_max: int | None = None) -> None:
    async def story() -> None:
        with_redis = Nodes(settings(port))
        await with_redis.open()
        await Room("erp", keep, entries_max).require(with_redis.of("erp"), "erp", 1)
        await with_redis.close()

    asyncio.run(story())


def test_what_a_group_has_not_acknowledged_is_never_trimmed(redis_server: Peer) -> None:
    port = redis_server.port
    asyncio.run(send(sink_on(port), rows(1, 2_000)))
    with redis.Redis(port=port) as client:
        trim(port, keep=0)
        assert client.xlen("erp") == 2_000  # nobody reads it yet: nobody has acknowledged anything
        client.xgroup_create("erp", "sap", "0")
        client.xgroup_create("erp", "lake", "0")
        client.xreadgroup("sap", "a", {"erp": ">"}, count=1_500)
        trim(port, keep=0)
        assert client.xlen("erp") == 2_000  # read is not acknowledged
        client.xack("erp", "sap", *(f"{n}-0" for n in range(1, 1_501) if n != 700))
        trim(port, keep=0)
        assert client.xlen("erp") == 2_000  # the other group has not even read
        client.xgroup_setid("erp", "lake", "1800-0")
        trim(port, keep=0)
        left = [int(at.partition("-")[0]) for at, _ in entries(port)]
        assert 500 < left[0] <= 700  # whole nodes of the stream, up to what is not acknowledged
        assert left == list(range(left[0], 2_001))
        client.xack("erp", "sap", "700-0")
        trim(port, keep=1_000)
        assert 1_000 <= client.xlen("erp") < 1_200
        trim(port, keep=0)
        assert 1_300 < int(entries(port)[0][0].partition("-")[0]) <= 1_501


def test_a_group_that_is_made_just_before_is_asked_too(redis_server: Peer) -> None:
    port = redis_server.port
    asyncio.run(send(sink_on(port), rows(1, 1_000)))
    with redis.Redis(port=port) as client:
        client.xgroup_create("erp", "sap", "1000-0")

    async def story() -> None:
        async with FaultProxy(port) as proxy:

            def late_group() -> None:
                with redis.Redis(port=port) as client:
                    client.xgroup_create("erp", "late", "0")

            nodes = Nodes(settings(proxy.port))
            await nodes.open()
            proxy.when_sent(b"EVAL", late_group)
            await Room("erp", 0, None).require(nodes.of("erp"), "erp", 1)
            await nodes.close()

    run(story)
    assert len(ids(port)) == 1_000


def test_a_full_stream_waits_for_its_groups(redis_server: Peer) -> None:
    port = redis_server.port
    asyncio.run(send(sink_on(port), rows(1, 1_000)))
    with pytest.raises(Full, match="entries_max is 1000"):
        trim(port, keep=0, entries_max=1_000)
    with redis.Redis(port=port) as client:
        client.xgroup_create("erp", "sap", "900-0")
    trim(port, keep=0, entries_max=1_000)
    assert len(ids(port)) <= 200


def test_without_the_right_to_trim_events_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    password = tmp_path / "password"
    password.write_text("s3cret")
    commands = ["+ping", "+exists", "+xadd", "+xrange", "+xinfo|stream", "+multi", "+exec"]
    peer = start_redis(tmp_path, "--user", "sortline", "on", ">s3cret", "~*", *commands)
    try:
        account = {"user": "sortline", "password": Secret(file=str(password))}
        asyncio.run(send(sink_on(peer.port, **account), rows(1, 2), rows(3, 4)))
        assert ids(peer.port) == names(1, 4)
        assert caplog.text.count("streams are not trimmed") == 1
    finally:
        peer.kill()


def test_entries_are_on_the_servers_disk_before_they_count(tmp_path: Path) -> None:
    """A server with `everysec` is asked for its disk before each answer, and has forgotten nothing after a kill."""
    peer = newer_redis(tmp_path, "--appendonly", "yes", "--appendfsync", "everysec")
    try:
        sink = sink_on(peer.port, wait_aof="always")
        for n in range(3):
            asyncio.run(send(sink, rows(1 + 10 * n, 10 + 10 * n)))
            with redis.Redis(port=peer.port) as client:
                assert client.info("commandstats")["cmdstat_waitaof"]["calls"] == 1
            peer.kill()
            peer.start()
            asyncio.run(asyncio.sleep(0.3))
        assert ids(peer.port) == names(1, 30)
    finally:
        peer.kill()


def test_a_server_that_never_syncs_is_said_and_holds_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With `appendfsync no` WAITAOF never says yes: that is a server that cannot say it."""
    other = ["--user", "less", "on", "nopass", "~*", "+@all", "-config"]
    peer = newer_redis(tmp_path, "--appendonly", "yes", "--appendfsync", "no", *other)
    (tmp_path / "password").write_text("any")
    less = {"user": "less", "password": Secret(file=str(tmp_path / "password"))}
    try:
        sink = sink_on(peer.port, wait_aof_ms=200)
        asyncio.run(send(sink, rows(1, 3), rows(4, 5)))
        assert caplog.text.count("cannot say when entries are on its disk: appendfsync is no") == 1
        with pytest.raises(Refused, match="appendfsync is no"):
            asyncio.run(send(sink_on(peer.port, wait_aof_ms=200, wait_aof="always"), rows(4, 6)))
        with pytest.raises(TimeoutError, match="its disk is slow, or appendfsync is no"):
            asyncio.run(send(sink_on(peer.port, wait_aof_ms=200, **less), rows(6, 7)))
        with redis.Redis(port=peer.port) as client:
            client.config_set("appendfsync", "everysec")
            waited = client.info("commandstats")["cmdstat_waitaof"]["calls"]
            asyncio.run(send(sink, rows(6, 8)))
            assert client.info("commandstats")["cmdstat_waitaof"]["calls"] == waited + 1
        assert ids(peer.port) == names(1, 8)
    finally:
        peer.kill()


def test_entries_of_a_connection_that_is_gone_are_waited_for_as_well(tmp_path: Path) -> None:
    """A replica that does not answer has nothing, however often the engine connects anew and finds entries there."""
    (tmp_path / "master").mkdir()
    (tmp_path / "replica").mkdir()
    durable = ["--appendonly", "yes", "--repl-diskless-sync-delay", "0"]
    master = newer_redis(tmp_path / "master", *durable)
    replica = newer_redis(tmp_path / "replica", *durable, "--replicaof", f"127.0.0.1 {master.port}")
    try:
        sink = sink_on(master.port, replicas=1, wait_aof_ms=10_000, command_ms=20_000)
        asyncio.run(send(sink, rows(1, 3)))
        assert ids(replica.port) == names(1, 3)
        replica.pause()
        for wait_aof in ("auto", "never", "auto"):
            with pytest.raises(TimeoutError, match="on 0 of 1 replicas"):
                asyncio.run(send(sink_on(master.port, replicas=1, wait_aof_ms=300, wait_aof=wait_aof), rows(1, 5)))
        replica.resume()
        asyncio.run(send(sink, rows(1, 5)))
        assert entries(replica.port) == entries(master.port) == [(f"{n}-0", f"e{n}") for n in range(1, 6)]
    finally:
        replica.kill()
        master.kill()


def test_a_connection_that_found_its_entries_asks_for_them_by_a_write_of_its_own(
    redis_server: Peer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """WAIT and WAITAOF answer for what their own connection wrote."""

    def ends_set() -> int:
        with redis.Redis(port=redis_server.port) as client:
            return int(client.info("commandstats").get("cmdstat_xsetid", {"calls": 0})["calls"])

    port = redis_server.port
    with redis.Redis(port=port) as client:
        major, minor, *_ = client.info("server")["redis_version"].split(".")
        waits = (int(major), int(minor)) >= (7, 2)
    asyncio.run(send(sink_on(port), rows(1, 3), rows(4, 5)))
    assert ends_set() == 0
    asyncio.run(send(sink_on(port), rows(1, 6)))  # the last one is written
    assert ends_set() == 0
    asyncio.run(send(sink_on(port), rows(1, 3), rows(4, 6), [row(7)]))
    assert ends_set() == (2 if waits else 1)
    asyncio.run(send(sink_on(port, wait_aof="never"), rows(1, 7)))
    assert ends_set() == (2 if waits else 1)
    assert ids(port) == names(1, 7)
    # whoever may not goes on, unless that is not enough
    with redis.Redis(port=port) as client:
        client.acl_setuser("less", enabled=True, nopass=True, keys=["*"], commands=["+@all", "-xsetid"])
    (tmp_path / "password").write_text("any")
    account = {"user": "less", "password": Secret(file=str(tmp_path / "password"))}
    asyncio.run(send(sink_on(port, **account), rows(1, 7), rows(6, 7), [row(8)]))
    assert caplog.text.count("entries of an earlier connection are not waited for") == 1
    with pytest.raises(redis.exceptions.NoPermissionError):
        asyncio.run(send(sink_on(port, **account, wait_aof="always"), rows(1, 8)))


@pytest.mark.parametrize("scripts", [True, False])
def test_a_dead_letter_that_comes_again_has_a_place_of_its_own(redis_server: Peer, scripts: bool) -> None:
    port = redis_server.port

    def sink_on(port: int) -> RedisSink:
        sink = RedisSink("erp", settings(port), Path(), lambda: 0)
        sink._may_script = scripts
        return sink

    first = [row(1), row(3)]
    letter = OutRow(3, "e2", "pick.confirmed", "erp", "key-e2", row(2).body, again=1)
    asyncio.run(send(sink_on(port), first, [letter]))
    asyncio.run(send(sink_on(port), [letter]))
    asyncio.run(send(sink_on(port), [letter, row(4)]))
    assert entries(port) == [("1-0", "e1"), ("3-0", "e3"), ("3-1", "e2"), ("4-0", "e4")]


@pytest.mark.parametrize(
    ("more", "path", "says"),
    [
        ({"cluster": ["10.0.0.1:6379"]}, "tls", "10.0.0.1 is another computer"),
        ({"sentinels": ["127.0.0.1:26379"]}, "master", "belong together"),
        ({"master": "erp"}, "master", "belong together"),
        ({"cluster": ["127.0.0.1:1"], "sentinels": ["127.0.0.1:2"], "master": "m"}, "sentinels", "needs none"),
        ({"cluster": ["127.0.0.1:1"], "db": 3}, "db", "only db 0"),
        ({"cluster": ["127.0.0.1:99999"]}, "cluster[0]", "from 1 to 65535"),
        ({"when_full": "drop_oldest"}, "when_full", "entries_max"),
        ({"entries_max": 10_000}, "keep", "less than entries_max"),
        ({"sentinel_user": "x"}, "sentinel_password", "without a password"),
    ],
)
def test_what_does_not_fit_together_is_said(more: dict[str, Any], path: str, says: str) -> None:
    assert [(at, says in message) for at, message in Settings(**more).faults()] == [(path, True)]
