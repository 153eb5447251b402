"""What every driver keeps of its contract with the engine, by the examples of each protocol."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from engine.clock import now_us
from engine.config.load import load_site
from engine.config.site import Source
from engine.contracts import Delivery
from protocols import registry

EXAMPLES = Path(__file__).parents[2] / "examples"


class NotYet:
    """The engine's front door before it has read its journal: whoever asks what it knows is told a lie."""

    async def put(self, delivery: Delivery) -> NoReturn:
        raise AssertionError("handed over")

    def fault(self, source: str, cause: str, sample: bytes, place: str = "") -> NoReturn:
        raise AssertionError("a fault")

    def state(self, source: str, state: str, detail: str = "") -> NoReturn:
        raise AssertionError("a state")

    def position(self, src: str) -> NoReturn:
        raise AssertionError(f"{src}: asked for before the engine knows it")

    async def recent(self, src: str, most: int) -> Sequence[bytes]:
        raise AssertionError("asked for")


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch) -> list[Source]:
    """Those of all examples."""
    monkeypatch.setenv("SORTLINE_PACKING_PASSWORD", "secret")
    return [source for path in sorted(EXAMPLES.glob("*.toml")) for source in load_site(path).sources if source.protocol]


def test_no_driver_asks_what_the_engine_knows_before_it_runs(sources: list[Source]) -> None:
    """Drivers are built before recovery. The OPC UA driver asked then, and after a restart of ours it took the counters
    of machines that had started again before for repetitions."""
    assert {source.protocol for source in sources} == set(registry.PROTOCOLS)
    for source in sources:
        assert source.protocol is not None
        registry.driver_of(source.protocol)(source.name, source.settings, NotYet(), now_us)
