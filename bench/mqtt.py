"""What receiving over MQTT costs a client: microseconds of processor time a message, peers beside us in the same run.

`wire.mqtt_qos0`  a server that sends bytes made before, QoS 0 -> decoded batch
`wire.mqtt_qos1`  the same under QoS 1, every message acknowledged
`broker.mqtt`     behind mosquitto, QoS 0, as fast as it passes them on, and at a rate that every contestant can follow
`wire.sparkplug`  Sparkplug B data of ten metrics -> canonical lines -> decoded batch

Ours decodes every record into columns; the peers receive (and acknowledge) and decode nothing, which is less than our
job. A turn is one connection: who has subscribed waits for the messages, and what is timed begins with them.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Coroutine, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import uvloop

from bench import mqtt_stream, servers
from bench.measure import Absent, Entry, Failed, Measured, Steps, Turn, costs, race
from bench.settings import OURS, Figures, Settings
from engine.clock import now_us
from engine.records import make_decoder
from ext.batch import Batch
from ext.texts import Texts
from protocols.mapping.sequence import Sequences
from protocols.mqtt.connection import Connection, Lost
from protocols.mqtt.decode import Decoder
from protocols.mqtt.settings import Settings as SourceSettings
from protocols.mqtt.sparkplug.host import Host

MESSAGES, SPARKPLUG_MESSAGES, STEADY_MESSAGES = 200_000, 50_000, 40_000
MESSAGES_MIN = 1_000
PEER_SHARE = 10
"""Peers get a tenth of the messages: they take a hundred times as long."""

WARM_UP_SHARE = 10
STEADY_RATE = 10_000
STEADY = {f"{name}.at_{STEADY_RATE}": name for name in (OURS, "aiomqtt")}
"""Who is also measured at that rate, under which name."""

SILENCE_S = 3.0
"""Without a message for so long a contestant has got all that it will get."""


class Traffic(NamedTuple):
    """What is sent, and by whom: `messages` in a turn under `qos` to a client that connects to `port`; `control` begins
    them. rate: a second; 0: all at once."""

    port: int
    control: int
    messages: int
    qos: int = 0
    rate: int = 0
    sparkplug: bool = False

    @property
    def filter(self) -> str:
        return mqtt_stream.SPARKPLUG_FILTER if self.sparkplug else mqtt_stream.FILTER

    def begin(self, number: int) -> int:
        """Start the messages of a turn; how many there will be."""
        count = self.messages if number else self.messages // WARM_UP_SHARE
        mqtt_stream.begin(self.control, count, self.rate)
        return count


# The cases


def wire_mqtt_qos0(settings: Settings) -> Figures:
    """From the bytes of a socket to a decoded batch, QoS 0. The peers: aiomqtt, paho and gmqtt, which only receive."""
    return _wire(settings, MESSAGES, qos=0)


def wire_mqtt_qos1(settings: Settings) -> Figures:
    """The same under QoS 1; ours acknowledges batch by batch, as after a journal that is at once."""
    return _wire(settings, MESSAGES, qos=1)


def wire_sparkplug(settings: Settings) -> Figures:
    """Sparkplug data of ten metrics to decoded telemetry records; the peers receive the bytes and read nothing."""
    return _wire(settings, SPARKPLUG_MESSAGES, qos=0, sparkplug=True)


def broker_mqtt(settings: Settings) -> Figures:
    """Behind mosquitto, QoS 0: as fast as it passes them on, and STEADY_RATE a second, where a read finds few."""
    count = settings.size(MESSAGES, MESSAGES_MIN)
    steady = settings.size(STEADY_MESSAGES, MESSAGES_MIN)
    with tempfile.TemporaryDirectory(prefix="sortline-mqtt-") as folder:
        port = servers.free_port()
        with servers.mosquitto(Path(folder), port), mqtt_stream.floor(port, count) as control:
            entries = _entries(Traffic(port, control, count))
            slow = Traffic(port, control, steady, rate=STEADY_RATE)
            entries |= {name: Entry(CONTESTANTS[who], (slow,)) for name, who in STEADY.items() if who in CONTESTANTS}
            return _figures(*race(entries, settings.runs))


def _wire(settings: Settings, messages: int, qos: int, *, sparkplug: bool = False) -> Figures:
    count = settings.size(messages, MESSAGES_MIN)
    made = mqtt_stream.sparkplug if sparkplug else mqtt_stream.of_qos(qos)
    with mqtt_stream.broker(count, made, max(qos, sparkplug)) as (port, control):
        return _figures(*race(_entries(Traffic(port, control, count, qos, sparkplug=sparkplug)), settings.runs))


def _entries(traffic: Traffic) -> dict[str, Entry]:
    """Everybody, all at once."""
    share = traffic._replace(messages=max(MESSAGES_MIN // PEER_SHARE, traffic.messages // PEER_SHARE))
    return {name: Entry(each, (traffic if name == OURS else share,)) for name, each in CONTESTANTS.items()}


def _figures(timings: Mapping[str, Measured], absent: Mapping[str, str]) -> Figures:
    """`lost`: messages that did not come, over all turns; none of ours may."""
    lost = {name: sum(each["sent"] - each["came"] for each in timing.told) for name, timing in timings.items()}
    if any(number for name, number in lost.items() if STEADY.get(name, name) == OURS):
        raise Failed(f"messages did not come: {lost}")
    us = {
        name: [1e6 * cpu_s / max(1, each["came"]) for cpu_s, each in zip(timing.cpu, timing.told, strict=True)]
        for name, timing in timings.items()
    }
    return {**costs(us), "lost": lost, "rss_mb": round(timings[OURS].rss_mb, 1), "absent": absent}


# The contestants


class Count:
    """Messages that came so far."""

    def __init__(self) -> None:
        self.came = 0


async def until_quiet(work: Coroutine[Any, Any, None], count: Count) -> None:
    """Until it ends, or nothing has come for SILENCE_S. Nobody pays for this by the message."""
    task = asyncio.create_task(work)
    seen = -1
    while not task.done() and count.came != seen:
        seen = count.came
        await asyncio.wait({task}, timeout=SILENCE_S)
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.result()


def ours(traffic: Traffic) -> Turn:
    """Our driver's connection, and the decoder of the core behind it."""

    def turn(number: int) -> Steps:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            receiver = runner.run(Receiver.opened(traffic))
            sent = traffic.begin(number)
            yield lambda: runner.run(until_quiet(receiver.receive(sent), receiver))
            receiver.connection.drop()
        if receiver.faults:
            raise Failed(f"{len(receiver.faults)} faults: {receiver.faults[0]}")
        return {"came": receiver.came, "sent": sent}

    return turn


class Receiver(Count):
    """What the MQTT driver does with a connection, without an engine behind it."""

    def __init__(self, traffic: Traffic) -> None:
        super().__init__()
        settings = _source_settings(traffic)
        sequences = Sequences(lambda src: None)
        host = Host(settings.sparkplug, sequences) if settings.sparkplug is not None else None
        texts = Texts()
        self.batch, self.decoder = Batch(texts), make_decoder(texts)
        self.faults: list[str] = []
        decoder = Decoder(settings, sequences, host)
        self.connection = Connection(settings, "bench", None, decoder, now_us, self._fault)
        self.untold = int(traffic.sparkplug)  # a device's birth is told as a record, its node's is not

    @classmethod
    async def opened(cls, traffic: Traffic) -> Receiver:
        receiver = cls(traffic)
        await receiver.connection.open(None)
        await receiver.connection.subscribe_all()
        return receiver

    async def receive(self, wanted: int) -> None:
        connection, batch, decoder = self.connection, self.batch, self.decoder
        self.came = self.untold
        while self.came < wanted:
            try:
                data, records, acks = await connection.take()
            except Lost:
                return
            batch.clear()
            self.faults += [reason for _, reason in decoder.decode(data, batch)]
            if acks:
                connection.acknowledge(acks)
            self.came += records

    def _fault(self, cause: str, payload: bytes, topic: str) -> None:
        self.faults.append(cause)


def _source_settings(traffic: Traffic) -> SourceSettings:
    topic = {"filter": traffic.filter, "format": "canonical", "qos": traffic.qos, "constants": {"src": "dc1/x"}}
    record = {"src": {"template": "dc1/{device}"}, "kind": {"const": "telemetry"}, "seq": "Count", "qty": "Value/3"}
    nodes = {"groups": ["Plant1"], "records": [{"filter": "Plant1/+/+device", "trigger": "Count", "record": record}]}
    table = {"host": "127.0.0.1", "port": traffic.port, "topics": [] if traffic.sparkplug else [topic]}
    return msgspec.convert(table | ({"sparkplug": nodes} if traffic.sparkplug else {}), SourceSettings)


def needs(package: str) -> None:
    if find_spec(package) is None:
        raise Absent(f"{package} is not installed")


def aiomqtt_(traffic: Traffic) -> Turn:
    """aiomqtt on uvloop, its messages one by one."""
    needs("aiomqtt")
    import aiomqtt

    async def receive(client: aiomqtt.Client, count: Count, wanted: int) -> None:
        async for _ in client.messages:
            count.came += 1
            if count.came == wanted:
                return

    def turn(number: int) -> Steps:
        count = Count()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            client = runner.run(_entered(traffic, aiomqtt.Client))
            sent = traffic.begin(number)
            yield lambda: runner.run(until_quiet(receive(client, count, sent), count))
            runner.run(client.__aexit__(None, None, None))
        return {"came": count.came, "sent": sent}

    return turn


async def _entered(traffic: Traffic, made: Callable[..., Any]) -> Any:
    client = made("127.0.0.1", traffic.port, max_queued_incoming_messages=None)
    await client.__aenter__()
    await client.subscribe(traffic.filter, qos=traffic.qos)
    return client


def paho(traffic: Traffic) -> Turn:
    """paho-mqtt with its own loop in this thread, and a callback that counts."""
    needs("paho")
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    def receive(client: Client, count: Count, wanted: int) -> None:
        seen, deadline = 0, time.monotonic() + SILENCE_S
        while count.came < wanted and time.monotonic() < deadline:
            client.loop(0.1)
            if count.came - seen > 64:
                seen, deadline = count.came, time.monotonic() + SILENCE_S

    def turn(number: int) -> Steps:
        count = Count()
        client = Client(CallbackAPIVersion.VERSION2)
        subscribed: list[object] = []

        def on_message(client: object, userdata: object, message: object) -> None:
            count.came += 1

        client.on_message = on_message
        client.on_subscribe = lambda *told: subscribed.append(told)
        client.connect("127.0.0.1", traffic.port)
        while not client.is_connected():
            client.loop(0.1)
        client.subscribe(traffic.filter, qos=traffic.qos)
        while not subscribed:
            client.loop(0.1)
        sent = traffic.begin(number)
        yield lambda: receive(client, count, sent)
        client.disconnect()
        return {"came": count.came, "sent": sent}

    return turn


def gmqtt_(traffic: Traffic) -> Turn:
    """gmqtt on uvloop, and a callback that counts."""
    needs("gmqtt")
    from gmqtt import Client  # type: ignore[import-not-found]

    async def connected(count: Count) -> Any:
        client, subscribed = Client("bench-gmqtt"), asyncio.Event()

        def on_message(client: object, topic: str, payload: bytes, qos: int, properties: object) -> int:
            count.came += 1
            return 0

        client.on_message = on_message
        client.on_subscribe = lambda *told: subscribed.set()
        await client.connect("127.0.0.1", traffic.port)
        client.subscribe(traffic.filter, qos=traffic.qos)
        await subscribed.wait()
        return client

    async def receive(count: Count, wanted: int) -> None:
        while count.came < wanted:  # noqa: ASYNC110 - an event would cost each message something
            await asyncio.sleep(0.01)

    def turn(number: int) -> Steps:
        count = Count()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            client = runner.run(connected(count))
            sent = traffic.begin(number)
            yield lambda: runner.run(until_quiet(receive(count, sent), count))
            runner.run(client.disconnect())
        return {"came": count.came, "sent": sent}

    return turn


CONTESTANTS: dict[str, Callable[[Traffic], Turn]] = {
    OURS: ours,
    "aiomqtt": aiomqtt_,
    "paho": paho,
    "gmqtt": gmqtt_,
}
