"""The outbox's figures can be taken: small runs, and every contestant is there."""

from __future__ import annotations

from bench.outbox import outbox_append, outbox_dead_sink, outbox_drain, redis_add
from tests.peers import Peer


def test_the_cases_run() -> None:
    assert set(outbox_append(1, appends=3, batch=20)) == {"sortline", "fsync"}
    assert set(outbox_drain(1, events=100, batch=20)) == {"sortline", "append"}
    assert set(outbox_dead_sink(1, appends=3, batch=20)) == {"sortline", "alone"}


def test_the_redis_case_runs(redis_server: Peer) -> None:
    assert set(redis_add(redis_server.port, 1, events=50, batch=20)) == {"sortline", "redis-py"}
