"""Fixtures that more than one folder of tests uses."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from tests.peers import Peer, start_mosquitto, start_redis


def pytest_configure() -> None:
    # The same examples everywhere and each time, and none fails for being slow on a busy machine: a change is judged by
    # what it does. Other ones are for those who look for faults: `make campaign`.
    settings.register_profile(
        "same everywhere",
        derandomize="SORTLINE_EXAMPLES" not in os.environ,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("same everywhere")
    # Hypothesis draws constants out of whatever modules are imported: a property would meet other examples among all
    # tests than alone.
    assert callable(providers._get_local_constants)
    providers._get_local_constants = Constants
    # a bug that is to be found: see tests/adversity/planted.py
    if name := os.environ.get("SORTLINE_PLANTED"):
        from tests.adversity.planted import plant

        plant(name)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Peer]:
    """A running mosquitto on `mosquitto.port`; skips where it is not installed."""
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    peer = start_mosquitto(folder)
    yield peer
    peer.stop()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[Peer]:
    """A running redis-server on `redis_server.port`, durable over stop and start; skips where it is not installed."""
    folder = tmp_path / "redis"
    folder.mkdir()
    peer = start_redis(folder)
    yield peer
    peer.stop()


def pytest_collection_finish() -> None:
    """Thousands of collected tests are no garbage; looking through them stops the servers that run in this process."""
    gc.collect()
    gc.freeze()


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """The garbage of a file is collected in its own time. That of OPC UA servers takes seconds, and an engine that is
    started by the next file collects it while it counts its own."""
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
