"""A server that comes back without what it had said to have: the last of it is sent once more, in its place."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import redis

from engine.sinks import redis_recent
from engine.sinks.redis_recent import Recent, id_of
from tests.integration.test_redis_sink import entries, row, rows, sink_on
from tests.peers import Peer, start_redis

pytestmark = pytest.mark.peer("redis-server")


@pytest.fixture
def forgetful(tmp_path: Path) -> Peer:
    """A server that keeps nothing when it ends."""
    return start_redis(tmp_path, "--appendonly", "no")


def test_what_a_server_has_lost_comes_again_before_what_is_new(
    forgetful: Peer, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        sink = sink_on(forgetful.port)
        await sink.open()
        await sink.send([*rows(1, 3), row(4, queue="other")])
        await sink.send([row(5)])
        forgetful.kill()
        forgetful.start()
        with pytest.raises(redis.ConnectionError):
            await sink.send([row(6)])
        await sink.close()
        await sink.open()
        await sink.send([row(6)])
        await sink.send([row(7, queue="other")])
        await sink.send([row(8)])
        await sink.close()

    asyncio.run(story())
    assert entries(forgetful.port) == [(f"{n}-0", f"e{n}") for n in (1, 2, 3, 5, 6, 8)]
    assert entries(forgetful.port, "other") == [("4-0", "e4"), ("7-0", "e7")]
    assert (
        "stream erp ends with 0-0, and had 5-0: the server has lost entries. 4 are sent again, no other" in caplog.text
    )
    forgetful.kill()


def test_an_event_larger_than_all_that_is_remembered_comes_again_too(
    forgetful: Peer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shipment of thousands of lines: else it would be lost, and nothing would tell of it."""
    monkeypatch.setattr(redis_recent, "KEPT_BYTES_MAX", len(row(1).body) // 2)

    async def story() -> None:
        sink = sink_on(forgetful.port)
        await sink.open()
        await sink.send([*rows(1, 3), row(4, queue="other")])
        await sink.close()
        forgetful.kill()
        forgetful.start()
        await sink.open()
        await sink.send([row(5), row(6, queue="other")])
        await sink.close()

    asyncio.run(story())
    assert entries(forgetful.port) == [("3-0", "e3"), ("5-0", "e5")]
    assert entries(forgetful.port, "other") == [("4-0", "e4"), ("6-0", "e6")]
    assert "1 are sent again, older ones are gone" in caplog.text
    forgetful.kill()


def test_a_server_that_has_everything_gets_nothing_twice(redis_server: Peer, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        sink = sink_on(redis_server.port)
        for first in (1, 4, 7):
            await sink.open()
            await sink.send(rows(first, first + 2))
            await sink.close()
            redis_server.kill()
            redis_server.start()

    asyncio.run(story())
    assert entries(redis_server.port) == [(f"{n}-0", f"e{n}") for n in range(1, 10)]
    assert "has lost entries" not in caplog.text


def test_what_is_remembered_is_bounded_by_time_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    recent = Recent(lambda: now_s[0])
    recent.add("a", rows(1, 2))
    now_s[0] = redis_recent.KEPT_S + 1
    recent.add("a", rows(3, 4))
    assert ([id_of(each) for each in recent.lost("a", (0, 0))[0]], recent.lost("a", (2, 0))[1]) == (
        [(3, 0), (4, 0)],
        False,
    )
    assert recent.lost("a", (1, 0))[1], "2 is gone, and not remembered"
    assert recent.lost("a", (4, 0)) == ([], False)
    monkeypatch.setattr(redis_recent, "KEPT_BYTES_MAX", 5 * len(row(5).body))
    recent.add("a", rows(5, 30))
    assert len(recent.lost("a", (0, 0))[0]) <= 5
    assert recent.lost("never heard of", (0, 0)) == ([], False)
