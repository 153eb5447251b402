"""An ERP's web service: slow, throttling, refusing, losing answers; every event arrives, in order of its key."""

from __future__ import annotations

import asyncio
import math
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from engine.contracts import OutRow
from engine.error_classes import Class, classify
from engine.errors import Refused, SinkFailed, Throttled, Undeliverable
from engine.secret import Secret
from engine.sinks.http import HttpSink, Settings, retry_after_s
from engine.tls import Tls
from tests.certificates import Authority
from tests.counting_core import event
from tests.integration.test_pipeline import until
from tests.web_service import Request, WebService


def row(sequence: int, key: str = "", queue: str = "erp") -> OutRow:
    _, id_, type_, own, body, _ = event(sequence, f"e{sequence}")
    return OutRow(sequence, id_, type_, queue, key or own, body)


def sink_on(service: WebService, **more: Any) -> HttpSink:
    return HttpSink("erp", Settings(url=f"http://127.0.0.1:{service.port}/in/{{queue}}", **more), Path(), lambda: 0)


async def send(sink: HttpSink, rows: Sequence[OutRow]) -> None:
    await sink.open()
    try:
        await sink.send(rows)
    finally:
        await sink.close()


def held() -> tuple[threading.Event, Callable[[Request], tuple[int, dict[str, str], bytes]]]:
    """Answers that all wait until the event is set."""
    release = threading.Event()

    def hang(request: Request) -> tuple[int, dict[str, str], bytes]:
        release.wait(60)
        return 204, {}, b""

    return release, hang


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120):
            await story()

    asyncio.run(bounded())


def test_an_event_is_a_post_with_its_id_as_key(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t0ken\n")
    with WebService() as service:
        sink = sink_on(service, token=Secret(file=str(token)), headers={"X-Site": "dc1"})
        asyncio.run(send(sink, [row(1, queue="erp.shipping")]))
    (request,) = service.requests
    assert request.path == "/in/erp.shipping"
    assert request.body == row(1).body
    sent = {name: request.headers[name] for name in ("content-type", "idempotency-key", "authorization", "x-site")}
    assert sent == {
        "content-type": "application/cloudevents+json",
        "idempotency-key": "e1",
        "authorization": "Bearer t0ken",
        "x-site": "dc1",
    }


def test_keys_go_side_by_side_up_to_the_limit_and_each_in_order() -> None:
    def slow(request: Request) -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.005)
        return 200, {}, b"ok"

    with WebService() as service:
        service.answers = slow
        rows = [row(n, key=f"O-{n % 10}") for n in range(1, 101)]
        asyncio.run(send(sink_on(service, connections=3), rows))
    assert service.most_at_once == 3
    taken = [int(id_[1:]) for id_ in service.taken]
    assert sorted(taken) == list(range(1, 101))
    for key in range(10):
        assert [n for n in taken if n % 10 == key] == sorted(n for n in taken if n % 10 == key)


@pytest.mark.parametrize(
    ("status", "kind", "type_"),
    [
        (400, Class.PERMANENT, Undeliverable),
        (422, Class.PERMANENT, Undeliverable),
        (413, Class.PERMANENT, Undeliverable),
        (401, Class.OPERATOR, Refused),
        (404, Class.OPERATOR, Refused),
        (301, Class.OPERATOR, Refused),
        (418, Class.OPERATOR, Refused),
        (429, Class.OVERLOAD, Throttled),
        (503, Class.OVERLOAD, Throttled),
        (500, Class.TRANSIENT, SinkFailed),
        (502, Class.TRANSIENT, SinkFailed),
    ],
)
def test_what_a_status_means(status: int, kind: Class, type_: type[Exception]) -> None:
    with WebService() as service:
        service.answers = lambda request: (status, {"Retry-After": "7"}, b"why")
        with pytest.raises(type_) as failed:
            asyncio.run(send(sink_on(service), [row(1)]))
    assert classify(failed.value) is kind
    if isinstance(failed.value, Throttled):
        assert failed.value.retry_after_s == 7
    if isinstance(failed.value, Undeliverable):
        assert (failed.value.position, failed.value.code) == (1, status)
        assert "why" in str(failed.value)


def test_a_status_may_say_that_the_event_is_there_already() -> None:
    with WebService() as service:
        service.answers = lambda request: (409, {}, b"")
        asyncio.run(send(sink_on(service, duplicate=[409]), [row(1)]))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 22:13:10 GMT", 0.0),
        ("soon", 0.0),
        ("", 0.0),
        ("-5", 0.0),
        ("Tue, 14 Nov 99999999999999999999 22:13:50 GMT", 0.0),
        ("9" * 400, math.inf),
        ("\x1c3", 3.0),  # blanks to one function, and none to another
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float) -> None:
    assert retry_after_s(text, "", 1_700_000_000_000_000) == seconds


def test_a_date_to_come_back_at_is_the_servers_as_is_that_of_its_answer() -> None:
    """A box whose clock was behind by a quarter of an hour waited that long for a server that had asked for seconds."""
    with WebService() as service:
        at = time.time() + 900
        service.answers = lambda request: (
            503,
            {"Date": formatdate(at, usegmt=True), "Retry-After": formatdate(at + 7, usegmt=True)},
            b"",
        )

        async def story() -> None:
            sink = sink_on(service)
            await sink.open()
            with pytest.raises(Throttled) as throttled:
                await send(sink, [row(1)])
            assert throttled.value.retry_after_s == 7
            await sink.close()

        run(story)


def test_what_has_arrived_is_not_sent_again_with_what_has_not() -> None:
    broken = {"e3"}

    def answers(request: Request) -> tuple[int, dict[str, str], bytes]:
        return (500, {}, b"") if request.id in broken else (200, {}, b"")

    with WebService() as service:
        service.answers = answers
        sink = sink_on(service, connections=1)
        with pytest.raises(SinkFailed):
            asyncio.run(send(sink, [row(n) for n in range(1, 6)]))
        broken.clear()
        asyncio.run(send(sink, [row(n) for n in range(1, 6)]))
    assert Counter(request.id for request in service.requests) == {"e1": 1, "e2": 1, "e3": 2, "e4": 1, "e5": 1}


def test_what_has_arrived_is_remembered_when_less_is_sent_at_once() -> None:
    throttled = [True]

    def answers(request: Request) -> tuple[int, dict[str, str], bytes]:
        return (429, {}, b"") if request.id == "e5" and throttled else (200, {}, b"")

    with WebService() as service:
        service.answers = answers
        sink = sink_on(service, connections=1)
        rows = [row(n) for n in range(1, 9)]
        with pytest.raises(Throttled):
            asyncio.run(send(sink, rows))
        assert len(service.taken) == 4
        throttled.clear()
        for part in (rows[:2], rows[2:4], rows[4:]):
            asyncio.run(send(sink, part))
        assert not any(sink._done.values())
    assert sorted(service.taken) == [f"e{n}" for n in range(1, 9)]


def test_a_call_gives_way_when_its_time_is_over_and_the_next_goes_on() -> None:
    """Each connection ends what it is at. Whatever has arrived is not sent again, and each key is in order."""

    async def story() -> list[int]:
        await sink.open()
        counts, left = [], rows
        while left:
            counts.append(await sink.send_some(left, 0.0))
            left = left[counts[-1] :]
        await sink.close()
        return counts

    rows = [row(1, "slow"), row(2, "slow"), row(3, "other"), row(4, "other"), row(5, "third")]
    with WebService() as service:
        sink = sink_on(service, connections=2)
        counts = asyncio.run(story())
    assert sum(counts) == 5
    assert 3 <= len(counts) <= 5
    assert not any(sink._done.values())
    assert (sink.requests, len(service.requests)) == ({"erp": 5}, 5)
    for key in (("e1", "e2"), ("e3", "e4")):
        assert [id_ for id_ in service.taken if id_ in key] == list(key)


def test_events_that_are_refused_are_not_all_asked_for_again_with_each_of_them() -> None:
    async def story() -> None:
        left = [row(n) for n in range(1, 65)]
        while left:
            await sink.open()
            try:
                left = left[await sink.send_some(left, math.inf) :]
            except Undeliverable as error:
                left = [each for each in left if each.position != error.position]
            await sink.close()

    with WebService() as service:
        service.answers = lambda request: (422, {}, b"") if int(request.id[1:]) % 2 else (200, {}, b"")
        sink = sink_on(service, connections=2)
        asyncio.run(story())
    assert sorted(service.taken) == sorted(f"e{n}" for n in range(2, 65, 2))
    assert len(service.requests) <= 32 + 2 * 32


def test_a_lost_answer_is_an_unknown_outcome_and_the_key_is_the_same() -> None:
    with WebService() as service:
        service.answers = lambda request: None
        with pytest.raises(ConnectionError) as lost:
            asyncio.run(send(sink_on(service), [row(1)]))
        assert classify(lost.value) is Class.UNKNOWN
        service.answers = lambda request: (200, {}, b"")
        asyncio.run(send(sink_on(service), [row(1)]))
    assert [request.headers["idempotency-key"] for request in service.requests] == ["e1", "e1"]


def test_nobody_there_and_nobody_answering() -> None:
    with WebService() as service:
        gone = service
    with pytest.raises(ConnectionRefusedError) as refused:
        asyncio.run(send(sink_on(gone), [row(1)]))
    assert classify(refused.value) is Class.TRANSIENT
    release, hang = held()
    with WebService() as service:
        service.answers = hang
        with pytest.raises(TimeoutError) as late:
            asyncio.run(send(sink_on(service, timeout_ms=200), [row(1)]))
        assert classify(late.value) is Class.UNKNOWN
        release.set()


def test_a_server_that_does_not_answer_holds_up_no_other_thread() -> None:
    """The journal syncs in the event loop's own threads, of which there are few."""
    release, hang = held()

    async def story() -> None:
        sending = asyncio.create_task(send(sink_on(service, connections=32), [row(n) for n in range(1, 33)]))
        await until(lambda: service.most_at_once == 32)
        async with asyncio.timeout(30):
            await asyncio.to_thread(time.monotonic)
        release.set()
        await sending

    with WebService() as service:
        service.answers = hang
        try:
            run(story)
        finally:
            release.set()
    assert len(service.taken) == 32


def test_a_call_that_is_cancelled_begins_no_other_request() -> None:
    """A stop: what is sent then would only be sent again by the next start, and the process has to end."""
    release, hang = held()

    async def story() -> None:
        sending = asyncio.create_task(
            send(sink_on(service, connections=2), [row(n, f"k{n % 3}") for n in range(1, 40)])
        )
        await until(lambda: service.most_at_once == 2)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(60):
                await sending
        await until(lambda: not any(thread.name.startswith("sink erp") for thread in threading.enumerate()))
        release.set()
        await asyncio.sleep(0.1)
        assert len(service.requests) == 2

    with WebService() as service:
        service.answers = hang
        try:
            run(story)
        finally:
            release.set()


def test_an_answer_that_drips_is_given_up_in_time() -> None:
    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1_000:
                try:
                    connection.sendall(bytes([byte]))
                except OSError:
                    return
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=drip, args=(listener,))
        server.start()
        settings = Settings(url=f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout_ms=300)
        began_s = time.monotonic()
        with pytest.raises(TimeoutError) as late:
            asyncio.run(send(HttpSink("erp", settings, Path(), lambda: 0), [row(1)]))
        assert time.monotonic() - began_s < 15  # dripped to its end it would take 50
        assert classify(late.value) is Class.UNKNOWN
        server.join()


def test_a_connection_that_is_kept_has_the_whole_time_for_each_answer() -> None:
    def slow(request: Request) -> tuple[int, dict[str, str], bytes]:
        time.sleep(0.8)
        return 200, {}, b"ok"

    with WebService() as service:
        service.answers = slow
        asyncio.run(send(sink_on(service, connections=1, timeout_ms=3_000), [row(n, key="O-1") for n in range(1, 5)]))
    assert service.taken == ["e1", "e2", "e3", "e4"]


def test_over_tls_the_name_is_verified(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    authority, other = Authority(tmp_path), Authority(tmp_path / "other")
    certificate, key = authority.issue("erp", "127.0.0.1")
    with WebService((str(certificate), str(key))) as service:
        url = f"https://127.0.0.1:{service.port}/"
        good = HttpSink("erp", Settings(url=url, tls=Tls(ca=str(authority.ca))), Path(), lambda: 0)
        asyncio.run(send(good, [row(1)]))
        bad = HttpSink("erp", Settings(url=url, tls=Tls(ca=str(other.ca))), Path(), lambda: 0)
        with pytest.raises(OSError) as refused:
            asyncio.run(send(bad, [row(2)]))
        assert classify(refused.value) is Class.OPERATOR
    assert service.taken == ["e1"]


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"url": "ftp://erp/"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://erp/Aufträge"}, "url"),
        ({"url": "https://erp/my events"}, "url"),
        ({"url": "https://erp/events\n"}, "url"),
        ({"url": "https://erp:port/"}, "url"),
        ({"url": "https://me:secret@erp/"}, "url"),
        ({"url": "http://10.0.0.1/"}, "url"),
        ({"url": "http://127.0.0.1/", "tls": Tls()}, "tls"),
        ({"url": "https://erp/", "headers": {"X-Ä": "y"}}, "headers.X-Ä"),
        ({"url": "https://erp/", "headers": {"X": "a\r\nEvil: b"}}, "headers.X"),
    ],
)
def test_what_does_not_fit_is_said(more: dict[str, Any], path: str) -> None:
    assert [at for at, _ in Settings(**more).faults()] == [path]
