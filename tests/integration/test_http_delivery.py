"""From the outbox to an ERP's web service, over real HTTP: its queues do not wait for each other, the rate is kept."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from engine.accounts import account
from engine.contracts import Emitted
from engine.dead_letters import DeadLetters
from engine.delivery import Forwarder
from engine.metrics import SinkMetrics
from engine.outbox import SqliteOutbox
from engine.throttle import Settings as Delivering
from tests.counting_core import event
from tests.integration.test_http_sink import run, sink_on
from tests.integration.test_pipeline import Rig, names, until
from tests.web_service import Request, WebService


def test_an_erp_that_throttles_gets_everything_at_the_pace_it_asks_for(tmp_path: Path) -> None:
    """The real way: pipeline, outbox, forwarder, HTTP. The ERP allows 40 a second, refuses one event for ever."""
    with WebService() as service:
        window: list[float] = []

        def erp(request: Request) -> tuple[int, dict[str, str], bytes]:
            if request.id == "LU-7":
                return 422, {}, b"no such order"
            now = time.monotonic()
            if sum(now - at < 1 for at in window) >= 40:
                return 429, {"Retry-After": "1"}, b""
            window.append(now)
            return 200, {}, b""

        service.answers = erp

        class ThrottledRig(Rig):
            deliveries = {"erp": Delivering(batch_events=16)}  # noqa: RUF012

        async def story() -> None:
            rig = ThrottledRig(tmp_path, {"erp": sink_on(service, connections=2)})
            await rig.pipeline.start()
            await rig.put(*names(1, 100))
            await until(lambda: rig.metrics.sinks["erp"].delivered == 99)
            assert account(rig.pipeline._outbox, rig.letters, "erp") == (100, 99, 0, 1)
            (letter,) = rig.letters.find()
            assert (letter.id, letter.code) == ("LU-7", "Undeliverable 422")
            await rig.pipeline.stop()

        run(story)
    assert sorted(service.taken) == sorted(set(names(1, 100)) - {"LU-7"})
    refused = len(service.requests) - len(service.taken)
    assert refused <= 30, f"{refused} requests were refused: Retry-After was not waited for"


class Erp:
    """A forwarder before a web service: three queues, one sink."""

    ROUTES: ClassVar = {
        "carton.closed": {"erp": "erp.shipping"},
        "pick.confirmed": {"erp": "erp.inventory"},
        "exception.raised": {"erp": "ops"},
    }

    def __init__(
        self, folder: Path, service: WebService, connections: int = 2, timeout_ms: int = 10_000, **settings: Any
    ) -> None:
        self.outbox = SqliteOutbox(folder / "outbox.sqlite", routes=self.ROUTES, sinks=["erp"], rows_max=10_000)
        self.letters = DeadLetters(folder / "dead.sqlite", lambda: 0)
        self.metrics = SinkMetrics("erp")
        sink = sink_on(service, connections=connections, timeout_ms=timeout_ms)
        self.forwarder = Forwarder(
            *("erp", sink, self.outbox, self.letters, self.metrics, lambda: 0, Delivering(**settings)),
            advanced=lambda: None,
        )

    def tell(self, first: int, last: int, type_: str) -> list[str]:
        ids = [f"e{n}" for n in range(first, last + 1)]
        self.outbox.append([Emitted(*event(n, f"e{n}", type_)) for n in range(first, last + 1)])
        self.forwarder.wake()
        return ids

    async def until(self, done: Callable[[], bool]) -> None:
        running = asyncio.create_task(self.forwarder.run())
        await until(lambda: done() or running.done())
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        self.outbox.close()
        self.letters.close()


@pytest.mark.parametrize(
    ("answer", "requests_max"), [((500, {}, b""), 40), ((429, {"Retry-After": "3600"}, b""), 1)], ids=["500", "429"]
)
def test_a_route_that_fails_or_throttles_does_not_hold_the_others(
    tmp_path: Path, answer: tuple[int, dict[str, str], bytes], requests_max: int
) -> None:
    with WebService() as service:
        service.answers = lambda request: answer if request.path == "/in/erp.shipping" else (200, {}, b"")
        erp = Erp(tmp_path, service, connections=1)
        erp.tell(1, 20, "carton.closed")
        others = erp.tell(21, 320, "pick.confirmed") + erp.tell(321, 340, "exception.raised")
        run(lambda: erp.until(lambda: erp.metrics.delivered == len(others)))
    assert sorted(service.taken) == sorted(others)
    of_shipping = [request for request in service.requests if request.path == "/in/erp.shipping"]
    assert 1 <= len(of_shipping) <= requests_max


def test_a_route_that_hangs_holds_no_other_and_loses_nothing(tmp_path: Path) -> None:
    """Also where one of the others fails meanwhile, so that the sink is opened anew."""
    answered = threading.Event()
    failed: list[str] = []

    def hangs(request: Request) -> tuple[int, dict[str, str], bytes]:
        if request.path == "/in/erp.shipping":
            answered.wait(60)
        elif request.path == "/in/ops" and not failed:
            failed.append(request.id)
            return 500, {}, b""
        return 200, {}, b""

    with WebService() as service:
        service.answers = hangs
        erp = Erp(tmp_path, service, connections=1, timeout_ms=100_000)
        shipping = erp.tell(1, 3, "carton.closed")
        others = erp.tell(4, 120, "pick.confirmed") + erp.tell(121, 140, "exception.raised")

        def done() -> bool:
            if not answered.is_set() and erp.metrics.delivered == len(others):
                assert sorted(service.taken) == sorted(others)
                answered.set()
            return erp.metrics.delivered == len(others) + len(shipping)

        run(lambda: erp.until(done))
    assert sorted(service.taken) == sorted(shipping + others)
    assert [id_ for id_ in service.taken if id_ in shipping] == shipping
    assert failed == others[-20:-19]


def test_a_service_that_is_down_since_the_start_is_asked_with_one_request_at_a_time(tmp_path: Path) -> None:
    """Each of its queues came with all of its connections at once until it had failed five times by itself."""
    with WebService() as service:
        service.answers = lambda request: (500, {}, b"")
        erp = Erp(tmp_path, service, connections=8)
        erp.forwarder._lanes._jitter = lambda: 0.0
        erp.tell(1, 50, "carton.closed")
        erp.tell(51, 100, "pick.confirmed")
        erp.tell(101, 150, "exception.raised")
        opened: list[tuple[int, int]] = []

        def done() -> bool:
            if erp.metrics.failures >= 5 and not opened:
                opened.append((erp.metrics.failures, len(service.requests)))
            return bool(opened) and erp.metrics.failures >= opened[0][0] + 20

        run(lambda: erp.until(done))
        ((calls, requests),) = opened
        # but for a call that was under way
        assert len(service.requests) - requests <= erp.metrics.failures - calls + 8


def test_a_stop_gives_up_a_route_that_hangs(tmp_path: Path) -> None:
    answered = threading.Event()

    def hangs(request: Request) -> tuple[int, dict[str, str], bytes]:
        if request.path == "/in/erp.shipping":
            answered.wait(60)
        return 200, {}, b""

    with WebService() as service:
        service.answers = hangs
        erp = Erp(tmp_path, service, timeout_ms=100_000)
        erp.tell(1, 3, "carton.closed")
        erp.tell(4, 20, "pick.confirmed")
        run(lambda: erp.until(lambda: erp.metrics.delivered == 17))
        assert not answered.is_set()
        answered.set()


def test_shipping_does_not_wait_for_a_slow_batch_of_inventory(tmp_path: Path) -> None:
    began = threading.Event()

    def slow(request: Request) -> tuple[int, dict[str, str], bytes]:
        if request.path == "/in/erp.inventory":
            began.set()
            time.sleep(0.3)
        return 200, {}, b""

    with WebService() as service:
        service.answers = slow
        erp = Erp(tmp_path, service, connections=1)
        erp.tell(1, 60, "pick.confirmed")

        async def story() -> None:
            delivering = asyncio.create_task(erp.until(lambda: "e61" in service.taken))
            await until(began.is_set)
            erp.tell(61, 61, "carton.closed")
            await delivering

        run(story)
        assert len(service.taken) < 60


def test_a_rate_counts_requests_that_are_refused(tmp_path: Path) -> None:
    rate, burst = 10, 2
    with WebService() as service:
        service.answers = lambda request: (422, {}, b"") if int(request.id[1:]) % 2 else (200, {}, b"")
        erp = Erp(tmp_path, service, rate=rate, burst=burst)
        erp.tell(1, 24, "pick.confirmed")
        began_s = time.monotonic()
        run(lambda: erp.until(lambda: erp.metrics.delivered + erp.metrics.dead == 24))
        took_s = time.monotonic() - began_s
    assert len(service.requests) >= 24
    assert took_s >= (len(service.requests) - burst) / rate
