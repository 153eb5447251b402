"""The MQTT driver before a broker that says what the test wants: bytes, acknowledgements, back-pressure, refusals."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from typing import Any

import msgspec
import pytest
import uvloop

from engine.clock import now_us
from protocols.mapping.plan import Lines
from protocols.mqtt.decode import Decoder
from protocols.mqtt.driver import Driver
from protocols.mqtt.settings import Settings
from protocols.mqtt.sparkplug.host import Host
from tests import sparkplug
from tests.ledger import Ledger, running
from tests.packets import Publish, correlation, topic_alias, user_property
from tests.raw_broker import RawBroker, raw_broker

JAMS: dict[str, Any] = {
    "filter": "dc1/+device/jam",
    "record": {
        "src": {"template": "dc1/conveyor/{device}"},
        "kind": {"const": "jam"},
        "state": {"path": "on", "table": {"true": "set", "false": "clear"}},
        "seq": "n",
    },
}
LOOPS = pytest.mark.parametrize("loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
VERSIONS = pytest.mark.parametrize("newest", [True, False], ids=["5", "3.1.1"])


def made(broker: RawBroker, ledger: Ledger, newest: bool = True, *topics: dict[str, Any], **more: Any) -> Driver:
    version = "5" if newest else "3.1.1"
    table = {"host": "127.0.0.1", "port": broker.port, "topics": list(topics) or [JAMS], "version": version}
    return Driver("floor", msgspec.convert({**table, "reconnect_max_ms": 100, **more}, Settings), ledger, now_us)


def jam(number: int, qos: int = 1, device: str = "CV-01", **more: Any) -> Publish:
    payload = b'{"on":true,"n":%d}' % number
    return Publish(f"dc1/{device}/jam".encode(), payload, qos, number if qos else 0, **more)


@LOOPS
@VERSIONS
@pytest.mark.parametrize("piece", [0, 1, 7])
def test_bytes_come_as_they_come(loop: Any, newest: bool, piece: int) -> None:
    async def story() -> None:
        ledger = Ledger()
        async with raw_broker(newest) as broker, running(made(broker, ledger, newest)):
            data = b"".join(jam(number, qos=number % 2).wire(newest) for number in range(1, 51))
            await broker.send(data, piece)
            await ledger.until(lambda: len(ledger.facts) == 50)
            assert [fact["seq"] for fact in ledger.facts] == list(range(1, 51))
            await ledger.until(lambda: len(broker.acked) == 25)
            assert broker.acked == list(range(1, 51, 2))
        assert ledger.faults == []

    loop(story())


@VERSIONS
def test_acknowledgements_wait_for_the_disk_and_go_out_together(newest: bool) -> None:
    async def story() -> None:
        ledger = Ledger(durable=False)
        async with raw_broker(newest) as broker, running(made(broker, ledger, newest)):
            await broker.send(b"".join(jam(number).wire(newest) for number in range(1, 501)))
            await ledger.until(lambda: len(ledger.facts) == 500)
            await asyncio.sleep(0.05)
            assert broker.acked == []
            ledger.acknowledge()
            await ledger.until(lambda: len(broker.acked) == 500)
            assert broker.acked == list(range(1, 501))
            assert broker.writes_of_acks < 20

    asyncio.run(story())


def test_what_we_ask_of_a_broker() -> None:
    async def story() -> None:
        ledger = Ledger()
        async with raw_broker() as broker, running(made(broker, ledger, share="engines", session_expiry_s=77)):
            await ledger.until(lambda: ledger.times("up"))
            (connect,) = broker.connects
            assert b"\x11\0\0\0\x4d\x21\x10\0\x22\0\0" in connect, "session expiry, receive maximum, no topic aliases"
            assert connect[9] == 0, "the session is kept"
            assert b"\0\x18$share/engines/dc1/+/jam\x21" in broker.subscribes[0], "QoS 1, never what is retained"

    asyncio.run(story())


def test_topic_aliases_and_properties_are_read() -> None:
    traced: dict[str, Any] = {
        "filter": "dc1/+device/traced",
        "properties": {"trace": "correlation_data", "line": "user:line"},
        "record": {
            "src": {"template": "dc1/{line}/{device}"},
            "kind": {"const": "carton.open"},
            "lu": {"capture": "trace", "required": True},
        },
    }

    async def story() -> None:
        ledger = Ledger()
        async with raw_broker() as broker, running(made(broker, ledger, True, JAMS, traced, topic_aliases=9)):
            told = user_property(b"other", b"x") + user_property(b"line", b"L1") + correlation(b"TOTE-1")
            messages = [
                jam(1, properties=topic_alias(3)),
                Publish(b"", b'{"on":false,"n":2}', 1, 2, properties=topic_alias(3)),
                Publish(b"dc1/S/traced", b"{}", properties=told),
                Publish(b"dc1/S/traced", b"{}", properties=user_property(b"line", b"L1") + correlation(b"\xff")),
            ]
            await broker.send(b"".join(message.wire(True) for message in messages))
            await ledger.until(lambda: len(ledger.facts) == 3)
            assert b"\x22\0\x09" in broker.connects[0], "so many may be used"
            assert [fact["src"] for fact in ledger.facts] == ["dc1/conveyor/CV-01"] * 2 + ["dc1/L1/S"]
            assert ledger.facts[2]["lu"] == "TOTE-1"
            await ledger.until(lambda: ledger.faults)
            assert [cause for cause, _ in ledger.faults] == ["dc1/+/traced: lu: missing"]

    asyncio.run(story())


@pytest.mark.parametrize(("kept", "found"), [(True, [1, 9, 10]), (False, [1, 8, 9, 10])])
def test_a_session_that_is_lost_puts_the_aliases_in_doubt(kept: bool, found: list[int]) -> None:
    """A node that began anew while nobody listened gives its numbers to other metrics. Where the broker keeps our
    session we would hear of its death, so that the aliases count till then."""
    record = {"src": {"const": "a"}, "kind": {"const": "telemetry"}, "qty": "m"}
    table = {"groups": ["P"], "records": [{"filter": "P/+n", "trigger": "m", "record": record}]}

    def said(type_: str, seq: int, *metrics: bytes) -> bytes:
        return Publish(f"spBv1.0/P/{type_}/N".encode(), sparkplug.payload(*metrics, seq=seq)).wire(True)

    def born(count: int, alias: int) -> bytes:
        metrics = [sparkplug.metric(name, count, sparkplug.UINT8, alias=alias ^ (name == "k")) for name in "mk"]
        return said("NBIRTH", 0, *metrics)

    def data(seq: int, value: int, alias: int) -> bytes:
        return said("NDATA", seq, sparkplug.metric(None, value, alias=alias, kind=sparkplug.UINT8))

    async def story() -> None:
        ledger = Ledger()
        async with raw_broker() as broker, running(made(broker, ledger, sparkplug=table)):
            await broker.send(born(0, 2) + data(1, 1, 2))
            await ledger.until(lambda: ledger.facts)
            broker.session_present = kept
            broker.cut()
            await ledger.until(lambda: ledger.times("up") >= 2)
            await broker.send(data(7, 8, 3) + data(8, 9, 3) + born(9, 3) + data(1, 10, 3))
            await ledger.until(lambda: ledger.facts[-1]["qty"] == 10)
        assert [fact["qty"] for fact in ledger.facts] == found

    asyncio.run(story())


@VERSIONS
def test_what_does_not_fit_is_handed_over_whole_and_with_its_topic(newest: bool) -> None:
    """Of a machine that is called by its topic only, the payload by itself would not even say which it was."""
    stacked = {**JAMS, "each": "all"}
    payload = json.dumps({"all": [{"on": "perhaps", "n": number} for number in range(2_000)]}).encode()

    async def story() -> None:
        ledger = Ledger()
        async with raw_broker(newest) as broker, running(made(broker, ledger, newest, stacked)):
            await broker.send(Publish(b"dc1/CV-07/jam", payload, 1, 5).wire(newest))
            await ledger.until(lambda: broker.acked == [5])
        assert set(ledger.faults) == {("dc1/+/jam: state: not in its table", payload)}
        assert len(ledger.faults) == 2_000 and set(ledger.places) == {"dc1/CV-07/jam"}

    asyncio.run(story())


def test_a_sparkplug_message_that_waits_is_acknowledged_when_its_lines_are_durable() -> None:
    record = {"src": {"const": "a"}, "kind": {"const": "telemetry"}, "qty": "m"}
    table = {"groups": ["P"], "records": [{"filter": "P/+n", "trigger": "m", "record": record}], "reorder_ms": 60_000}

    def said(type_: str, seq: int, value: int) -> bytes:
        data = sparkplug.payload(sparkplug.metric("m", value, sparkplug.UINT8), seq=seq)
        return Publish(f"spBv1.0/P/{type_}/N".encode(), data, 1, 10 + seq).wire(True)

    async def story() -> None:
        ledger = Ledger(durable=False)
        async with raw_broker() as broker, running(made(broker, ledger, sparkplug=table)):
            await broker.send(said("NBIRTH", 0, 0) + said("NDATA", 2, 2))
            await broker.send(jam(1).wire(True))
            await ledger.until(lambda: ledger.facts)
            ledger.acknowledge()
            await asyncio.sleep(0.05)
            waiting = list(broker.acked)
            await broker.send(said("NDATA", 1, 1))
            await ledger.until(lambda: [fact.get("qty") for fact in ledger.facts] == [None, 1, 2])
            await asyncio.sleep(0.05)
            assert broker.acked == waiting
            ledger.acknowledge()
            await ledger.until(lambda: broker.acked == [10, 12, 1, 11])
            assert 12 not in waiting
            # nothing of it is lost with the connection either
            await broker.send(said("NDATA", 4, 4))
            await asyncio.sleep(0.05)
            broker.cut()
            await ledger.until(lambda: ledger.facts[-1].get("qty") == 4)
            assert [fact["kind"] for fact in ledger.facts[-2:]] == ["source.gap", "telemetry"]

    asyncio.run(story())


@LOOPS
def test_a_full_engine_is_read_no_further_and_what_waits_is_bounded(loop: Any) -> None:
    async def story() -> None:
        ledger = Ledger()
        data = b"".join(jam(number, qos=0).wire(True) for number in range(100, 1_000)) * 220
        async with raw_broker() as broker:
            driver = made(broker, ledger, queue_messages=1_000, batch_messages=100, keepalive_s=1)
            async with running(driver):
                await ledger.until(lambda: ledger.times("up"))
                ledger.open.clear()
                sending = asyncio.ensure_future(broker.send(data))
                # longer than the keepalive: that we do not listen is not the broker's silence
                await asyncio.sleep(2.0)
                assert not sending.done(), "everything was read although nobody took it"
                assert ledger.times("down") == 0
                ledger.open.set()
                await ledger.until(lambda: sum(len(delivery.lines) for delivery in ledger.deliveries) >= 198_000)
                await sending
                assert max(len(delivery.lines) for delivery in ledger.deliveries) <= 100
                assert 12 in broker.heard, "the broker was pinged meanwhile"

    loop(story())


@pytest.mark.parametrize(
    ("data", "detail"),
    [
        (b"\x30\x03\0\x05a", "malformed packet: a PUBLISH whose topic goes over its end"),
        (b"\x10\0", "malformed packet: a packet of type 1 that nobody asked for"),
        (b"\x20\x03\0\0\0", "malformed packet: a second CONNACK"),
        (b"\xe0\x02\x8e\0", "somebody else has taken over this client_id"),
        (b"\xe0\x09\x98\x07\x1f\0\x04soon", "closed by its administrator: soon"),
    ],
)
def test_a_broker_that_ends_it_or_talks_nonsense_is_an_outage(data: bytes, detail: str) -> None:
    async def story() -> None:
        ledger = Ledger()
        async with raw_broker() as broker, running(made(broker, ledger)):
            await ledger.until(lambda: ledger.times("up"))
            await broker.send(jam(1).wire(True) + data)
            await ledger.until(lambda: ledger.times("down"))
            assert dict(ledger.states)["down"] == detail
            await ledger.until(lambda: ledger.times("up") == 2)
            await broker.send(jam(2).wire(True))
            await ledger.until(lambda: [fact["seq"] for fact in ledger.facts] == [1, 2])

    asyncio.run(story())


@LOOPS
def test_a_broker_that_reads_no_answers_is_given_up_before_they_fill_the_memory(
    loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("protocols.mqtt.connection.UNREAD_BYTES_MAX", 65_536)

    async def story() -> None:
        ledger = Ledger()
        messages = b"".join(jam(number).wire(True) for number in range(100, 1_000))
        async with raw_broker() as broker, running(made(broker, ledger)):
            await ledger.until(lambda: ledger.times("up"))
            broker.reading.clear()
            sending = asyncio.ensure_future(broker.send(messages * 4_000))
            await ledger.until(lambda: ledger.times("down"))
            assert "does not read" in dict(ledger.states)["down"]
            broker.cut()
            sending.cancel()
            await asyncio.wait([sending])

    loop(story())


def test_a_lost_session_is_told() -> None:
    async def story() -> None:
        ledger = Ledger()
        async with raw_broker() as broker, running(made(broker, ledger)):
            await ledger.until(lambda: ledger.times("up") == 1)
            assert ledger.faults == []
            broker.session_present = True
            broker.cut()
            await ledger.until(lambda: ledger.times("up") == 2)
            assert ledger.faults == []
            broker.session_present = False
            broker.cut()
            await ledger.until(lambda: ledger.faults)
            assert ledger.faults == [("session: the broker has lost it, and what it held for us", b"")]

    asyncio.run(story())


@LOOPS
@VERSIONS
def test_what_a_kept_session_holds_comes_before_the_answer_to_the_subscription(loop: Any, newest: bool) -> None:
    async def story() -> None:
        ledger = Ledger()
        async with raw_broker(newest) as broker:
            broker.session_present = True
            broker.backlog = b"".join(jam(number).wire(newest) for number in range(1, 4_001))
            driver = made(broker, ledger, newest, queue_messages=1_000, batch_messages=100, connect_ms=500)
            async with running(driver):
                await ledger.until(lambda: ledger.facts)
                ledger.open.clear()
                # longer than the answer may take: it is behind what nobody reads
                await asyncio.sleep(0.8)
                ledger.open.set()
                await ledger.until(lambda: ledger.times("up"))
                await ledger.until(lambda: len(broker.acked) == 4_000)
                assert len(broker.connects) == 1
                assert ledger.times("down") == 0

    loop(story())


@pytest.mark.parametrize(("expiry_s", "is_told"), [(59, True), (60, False)])
def test_a_session_that_the_broker_keeps_for_less_than_was_asked_for_is_told(expiry_s: int, is_told: bool) -> None:
    async def story() -> None:
        ledger = Ledger()
        properties = b"\x11" + expiry_s.to_bytes(4, "big")
        async with raw_broker(properties=properties) as broker, running(made(broker, ledger, session_expiry_s=60)):
            await ledger.until(lambda: ledger.times("up"))
        told = ("session: the broker forgets it 59 s after we are gone, not 60 s", b"")
        assert ledger.faults == ([told] if is_told else [])

    asyncio.run(story())


def test_a_long_pause_of_ours_is_not_the_brokers_silence() -> None:
    async def story() -> None:
        ledger = Ledger()
        async with raw_broker() as broker, running(made(broker, ledger, keepalive_s=1)):
            await ledger.until(lambda: ledger.times("up"))
            time.sleep(2.5)
            await broker.send(jam(1).wire(True))
            await ledger.until(lambda: ledger.facts)
            await asyncio.sleep(0.3)
            assert ledger.times("down") == 0

    asyncio.run(story())


@pytest.mark.parametrize(("piece", "is_alive"), [(1, False), (1_100, True)])
def test_a_broker_that_dribbles_is_silent_and_a_slow_one_is_not(piece: int, is_alive: bool) -> None:
    async def story() -> None:
        ledger = Ledger()
        async with raw_broker() as broker, running(made(broker, ledger, keepalive_s=1, payload_bytes_max=100_000)):
            await ledger.until(lambda: ledger.times("up"))
            broker.reading.clear()  # nor does it answer a ping
            data = Publish(b"dc1/CV-01/jam", b" " * 60_000 + b'{"on":true,"n":1}').wire(True)
            sent = 0
            while sent < 14 * piece and not ledger.times("down"):
                await broker.send(data[sent : sent + piece])
                sent += piece
                await asyncio.sleep(0.2)
            if is_alive:
                await broker.send(data[sent:])
                await ledger.until(lambda: ledger.facts)
                assert ledger.times("down") == 0
            else:
                assert ("down", "the broker was silent for 1.5 s") in ledger.states

    asyncio.run(story())


@pytest.mark.parametrize(("theirs", "ours"), [(b"\0\x01", 600), (b"\xff\xff", 1), (b"\0\0", 1)])
def test_the_shorter_keepalive_counts(theirs: bytes, ours: int) -> None:
    async def story() -> None:
        ledger = Ledger()
        async with raw_broker(properties=b"\x13" + theirs) as broker, running(made(broker, ledger, keepalive_s=ours)):
            await ledger.until(lambda: 12 in broker.heard, "a ping within a second")

    asyncio.run(story())


def test_a_flood_of_nonsense_does_not_hold_the_event_loop() -> None:
    async def story() -> None:
        ledger = Ledger()
        longest = 0.0

        async def watch() -> None:
            nonlocal longest
            loop = asyncio.get_running_loop()
            while True:
                before = loop.time()
                await asyncio.sleep(0.001)
                longest = max(longest, loop.time() - before)

        async with raw_broker() as broker, running(made(broker, ledger)):
            await ledger.until(lambda: ledger.times("up"))
            watching = asyncio.ensure_future(watch())
            nonsense = b"".join(Publish(b"dc1/x/jam", b"{", 1, number + 1).wire(True) for number in range(20_000))
            await broker.send(nonsense)
            await ledger.until(lambda: len(broker.acked) == 20_000, "all of it acknowledged")
            watching.cancel()
            assert len(ledger.faults) == 20_000
            print(f"held the loop for at most {1000 * longest:.1f} ms")

    asyncio.run(story())


def test_messages_that_come_one_by_one_and_fast_are_read_together() -> None:
    async def story(coalesce_ms: float) -> int:
        ledger = Ledger()
        async with raw_broker() as broker, running(made(broker, ledger, coalesce_ms=coalesce_ms)):
            await ledger.until(lambda: ledger.times("up"))
            for number in range(1, 3_001):
                await broker.send(jam(number, qos=0).wire(True), piece=1_000)
            await ledger.until(lambda: len(ledger.facts) == 3_000)
        return len(ledger.deliveries)

    together, at_once = uvloop.run(story(5)), uvloop.run(story(0))
    assert together * 3 < at_once, f"{together} deliveries against {at_once}"


@LOOPS
@pytest.mark.parametrize("fault_at", [1, 400], ids=["as it is read", "in a turn of its own"])
def test_a_fault_of_ours_is_no_outage(loop: Any, fault_at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = itertools.count(1)

    def broken(self: Decoder, *message: Any) -> Lines:
        if next(calls) == fault_at:
            raise ZeroDivisionError("ours")
        return Lines([], ["not ours"])

    monkeypatch.setattr(Decoder, "spell_out", broken)

    async def story() -> None:
        async with raw_broker() as broker:
            task = asyncio.ensure_future(made(broker, Ledger()).run())
            await broker.send(b"".join(Publish(b"dc1/x/jam", b"{", 1, number + 1).wire(True) for number in range(600)))
            with pytest.raises(ZeroDivisionError):
                await asyncio.wait_for(task, 60)
            assert len(broker.acked) < fault_at

    loop(story())


def test_a_fault_of_ours_by_the_clock_is_no_outage_either(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Host, now_us: int) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr(Host, "tick", broken)
    records = [{"filter": "P/+n", "trigger": "m", "record": {"src": {"const": "a"}, "kind": {"const": "jam"}}}]

    async def story() -> None:
        async with raw_broker() as broker:
            driver = made(broker, Ledger(), sparkplug={"groups": ["P"], "records": records})
            with pytest.raises(ZeroDivisionError):
                await asyncio.wait_for(driver.run(), 60)

    asyncio.run(story())


@LOOPS
def test_who_is_told_to_stop_while_it_connects_stops_without_a_complaint(loop: Any) -> None:
    async def story() -> None:
        async with raw_broker() as broker:
            for turns in range(40):
                task = asyncio.ensure_future(made(broker, Ledger()).run())
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    loop(story())
