"""The outbox's figures can be taken: small runs, and every contestant is there."""

from __future__ import annotations

import pytest

from bench.registry import case_of
from bench.settings import Settings
from tests.peers import program

LOOK = Settings(scale=1e-6, runs=2)


@pytest.mark.parametrize(
    ("case", "peer"), [("outbox.append", "fsync"), ("outbox.drain", "append"), ("outbox.dead_sink", "alone")]
)
def test_the_cases_run(case: str, peer: str) -> None:
    figures = case_of(case)(LOOK)
    assert figures["seconds"].keys() == figures["spread"].keys() == {"sortline", peer}
    assert figures["p99_ms"] >= figures["p50_ms"] > 0


@pytest.mark.peer("redis")
def test_the_redis_case_runs() -> None:
    program("redis-server")
    figures = case_of("sink.redis")(LOOK)
    assert figures["seconds"].keys() == {"sortline", "redis-py"}
    assert figures["events"] == 1_024
