"""What receiving over MQTT costs a client: microseconds of processor time a message, peers beside us in the same run.

`wire.mqtt_qos0`  a server that sends bytes made before, QoS 0 -> decoded batch
`wire.mqtt_qos1`  the same under QoS 1, every message acknowledged
`broker.mqtt`     behind mosquitto, QoS 0, at a fixed rate that every contestant can follow, and ours at four times that
`wire.sparkplug`  Sparkplug B data of ten metrics -> canonical lines

Each contestant runs in a process of its own, all in turns, and the median of its turns counts. Ours decodes every
record into columns; the peers receive (and acknowledge) and decode nothing, which is less than our job. Topics: 200;
payloads: canonical JSON of about 150 bytes.

    python -m bench.mqtt [CASE ...] [--messages N] [--runs N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

TOPICS = 200
PEER_SHARE = 10
"""Peers get a tenth of the messages: they take a hundred times as long."""

BROKER_RATE = 10_000
SILENCE_S = 3.0
"""Without a message for so long a contestant has got all that it will get."""

Figures = dict[str, Any]


class Traffic(NamedTuple):
    """What is sent, and to whom: `messages` under `qos` to a client that connects to `port`."""

    port: int
    messages: int
    qos: int
    filter: str
    sparkplug: bool = False


# What is sent.


def topic_of(number: int) -> str:
    return f"dc1/pick/PTL-{number % TOPICS:03d}/evt"


def payload_of(number: int) -> bytes:
    device = f"dc1/pick/PTL-{number % TOPICS:03d}"
    return (
        f'{{"src":"{device}","kind":"pick.confirm","seq":{number // TOPICS},"t":1795420840195805,'
        f'"task":"T-{number % 5000:05d}","sku":"SKU-{number % 997:04d}","qty":1,"lu":"TOTE-{number % 3000:05d}"}}'
    ).encode()


def packet(first: int, body: bytes) -> bytes:
    length, size = b"", len(body)
    while size > 127:
        length += bytes([size % 128 + 128])
        size //= 128
    return bytes([first]) + length + bytes([size]) + body


def publish_packet(number: int, qos: int, newest: bool) -> bytes:
    topic = topic_of(number).encode()
    body = len(topic).to_bytes(2, "big") + topic + ((number % 65_535 + 1).to_bytes(2, "big") if qos else b"")
    return packet(0x30 | qos << 1, body + (b"\0" if newest else b"") + payload_of(number))


def varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes([number % 128 + 128])
        number //= 128
    return found + bytes([number])


def sparkplug_packet(number: int, newest: bool) -> bytes:
    """A birth with ten metrics, then data by their aliases: a counter and what goes with it."""
    head = b"\0" if newest else b""
    if number < 2:
        kind = b"NBIRTH/L1" if number == 0 else b"DBIRTH/L1/PTL"
        names = [b"Count"] + [b"Value/%d" % each for each in range(9)]
        metrics = [b"\x0a" + bytes([len(name)]) + name + b"\x10" + bytes([at]) + b"\x20\x08\x58\x07"
                   for at, name in enumerate(names, 1)]  # fmt: skip
    else:
        kind = b"DDATA/L1/PTL"
        metrics = [b"\x10" + bytes([at]) + b"\x58" + varint(number * at) for at in range(1, 11)]
    body = b"\x08" + varint(1_795_420_840_195) + b"".join(b"\x12" + bytes([len(each)]) + each for each in metrics)
    topic = b"spBv1.0/Plant1/" + kind
    return packet(0x30, len(topic).to_bytes(2, "big") + topic + head + body + b"\x18" + varint(number % 256))


def serve(listener: socket.socket, count: int, qos: int, sparkplug: bool) -> None:
    """A broker that knows one stream of bytes; for one client after another."""
    made = sparkplug_packet if sparkplug else lambda number, newest: publish_packet(number, qos, newest)
    streams = {newest: b"".join(made(number, newest) for number in range(count)) for newest in (False, True)}
    while True:
        client, _ = listener.accept()
        newest = client.recv(4_096)[8] == 5
        client.sendall(b"\x20\x03\0\0\0" if newest else b"\x20\x02\0\0")
        asked = client.recv(65_536)
        answer = asked[2:4] + (b"\0" if newest else b"") + bytes([max(qos, sparkplug)])
        client.sendall(bytes([0x90, len(answer)]) + answer)
        threading.Thread(target=swallow, args=(client,), daemon=True).start()
        try:
            client.sendall(streams[newest])
        except OSError:
            continue


def swallow(client: socket.socket) -> None:
    try:
        while client.recv(1 << 20):
            pass
    except OSError:
        return


def feed(port: int, count: int, rate: int) -> None:
    """Publishes under QoS 0, so many a second, in bursts of a millisecond."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(packet(0x10, b"\0\x04MQTT\x04\x02\0\x3c\0\x04feed"))
    connection.recv(4)
    packets = [publish_packet(number, 0, newest=False) for number in range(count)]
    begun, sent = time.monotonic(), 0
    while sent < count:
        due = min(count, int((time.monotonic() - begun) * rate))
        connection.sendall(b"".join(packets[sent:due]))
        sent = due
        time.sleep(0.001)
    connection.close()


# The contestants: each returns (messages that came, seconds of processor time).


def ours(traffic: Traffic, ready: Callable[[], None]) -> tuple[int, float]:
    """Our driver's connection, and the decoder of the core behind it."""
    import uvloop

    return uvloop.run(_ours(traffic, ready))


async def _ours(traffic: Traffic, ready: Callable[[], None]) -> tuple[int, float]:
    import msgspec

    from engine.clock import now_us
    from engine.records import make_decoder
    from ext.batch import Batch
    from ext.texts import Texts
    from protocols.mapping.sequence import Sequences
    from protocols.mqtt.connection import Connection, Lost
    from protocols.mqtt.decode import Decoder
    from protocols.mqtt.settings import Settings
    from protocols.mqtt.sparkplug.host import Host

    topic = {"filter": traffic.filter, "format": "canonical", "qos": traffic.qos, "constants": {"src": "dc1/x"}}
    record = {"src": {"template": "dc1/{device}"}, "kind": {"const": "telemetry"}, "seq": "Count", "qty": "Value/3"}
    nodes = {"groups": ["Plant1"], "records": [{"filter": "Plant1/+/+device", "trigger": "Count", "record": record}]}
    table = {"host": "127.0.0.1", "port": traffic.port, "topics": [] if traffic.sparkplug else [topic]}
    settings = msgspec.convert(table | ({"sparkplug": nodes} if traffic.sparkplug else {}), Settings)
    sequences = Sequences(lambda src: None)
    host = Host(settings.sparkplug, sequences) if settings.sparkplug is not None else None
    texts = Texts()
    batch, decoder = Batch(texts), make_decoder(texts)
    faults: list[str] = []
    connection = Connection(
        settings, "bench", None, Decoder(settings, sequences, host), now_us, lambda cause, sample: faults.append(cause)
    )
    await connection.open(None)
    await connection.subscribe_all()
    ready()
    came, before = 0, time.process_time()
    spent = 0.0

    def watch(seen: int) -> None:
        if came == seen:
            connection.drop()
        else:
            loop.call_later(SILENCE_S, watch, came)

    loop = asyncio.get_running_loop()
    loop.call_later(SILENCE_S, watch, -1)
    # a device's birth is told as a record, its node's is not
    while came < traffic.messages - traffic.sparkplug:
        try:
            data, records, acks = await connection.take()
        except Lost:
            break
        batch.clear()
        faults += [reason for _, reason in decoder.decode(data, batch)]
        if acks:
            connection.acknowledge(acks)
        came += records
        spent = time.process_time() - before
    connection.drop()
    if faults:
        raise RuntimeError(f"{len(faults)} faults: {faults[0]}")
    return came + traffic.sparkplug, spent


def aiomqtt_(traffic: Traffic, ready: Callable[[], None]) -> tuple[int, float]:
    """aiomqtt on uvloop, its messages one by one."""
    import uvloop

    return uvloop.run(_aiomqtt(traffic, ready))


async def _aiomqtt(traffic: Traffic, ready: Callable[[], None]) -> tuple[int, float]:
    import aiomqtt

    came, spent = 0, 0.0
    async with aiomqtt.Client("127.0.0.1", traffic.port, max_queued_incoming_messages=None) as client:
        await client.subscribe(traffic.filter, qos=traffic.qos)
        ready()
        before = time.process_time()
        messages = aiter(client.messages)
        while came < traffic.messages:
            try:
                async with asyncio.timeout(SILENCE_S):
                    await anext(messages)
            except (TimeoutError, aiomqtt.MqttError):
                break
            came += 1
            spent = time.process_time() - before
    return came, spent


def paho(traffic: Traffic, ready: Callable[[], None]) -> tuple[int, float]:
    """paho-mqtt with its own loop in this thread, and a callback that counts."""
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    came, spent, before = 0, 0.0, 0.0
    deadline = time.monotonic() + 60.0

    def count(client: Any, userdata: Any, message: Any) -> None:
        nonlocal came, spent, deadline
        came += 1
        if came % 64 == 0 or came == traffic.messages:
            spent = time.process_time() - before
            deadline = time.monotonic() + SILENCE_S

    client = Client(CallbackAPIVersion.VERSION2)
    client.on_message = count
    client.connect("127.0.0.1", traffic.port)
    while not client.is_connected():
        client.loop(0.1)
    client.subscribe(traffic.filter, qos=traffic.qos)
    ready()
    before = time.process_time()
    while came < traffic.messages and time.monotonic() < deadline:
        client.loop(0.1)
    return came, spent


def gmqtt_(traffic: Traffic, ready: Callable[[], None]) -> tuple[int, float]:
    """gmqtt on uvloop, and a callback that counts."""
    import uvloop

    return uvloop.run(_gmqtt(traffic, ready))


async def _gmqtt(traffic: Traffic, ready: Callable[[], None]) -> tuple[int, float]:
    from gmqtt import Client  # type: ignore[import-not-found]

    came, spent, before = 0, 0.0, 0.0

    def count(client: Any, topic: str, payload: bytes, qos: int, properties: Any) -> int:
        nonlocal came, spent
        came += 1
        spent = time.process_time() - before
        return 0

    client = Client("bench-gmqtt")
    client.on_message = count
    await client.connect("127.0.0.1", traffic.port)
    client.subscribe(traffic.filter, qos=traffic.qos)
    ready()
    before = time.process_time()
    seen = -1
    while came < traffic.messages and came != seen:
        seen = came
        await asyncio.sleep(SILENCE_S / 3)
    return came, spent


CONTESTANTS: dict[str, Callable[[Traffic, Callable[[], None]], tuple[int, float]]] = {
    "sortline": ours,
    "aiomqtt": aiomqtt_,
    "paho": paho,
    "gmqtt": gmqtt_,
}
OURS = "sortline"


def _turn(name: str, traffic: Traffic, answers: Any) -> None:
    answers.send(CONTESTANTS[name](traffic, lambda: answers.send("ready")))


class Turn(NamedTuple):
    """What one contestant's turn took: `us` of processor time a message, of `came` out of `sent`."""

    us: float
    came: int
    sent: int


def turn(name: str, traffic: Traffic, send: Callable[[], None] | None = None) -> Turn:
    """A contestant in a process of its own. `send`: what starts the messages, once it has subscribed."""
    spawn = get_context("spawn")
    answers, theirs = spawn.Pipe()
    process = spawn.Process(target=_turn, args=(name, traffic, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        answers.recv()
        if send is not None:
            time.sleep(0.2)
            send()
        came, spent = answers.recv()
    except EOFError:
        raise RuntimeError(f"{name}: its process has ended without an answer") from None
    finally:
        process.join(5)
        process.kill()
    return Turn(1e6 * spent / max(1, came), came, traffic.messages)


def present(names: Sequence[str]) -> list[str]:
    return [name for name in names if name == OURS or find_spec(name) is not None]


def figures(case: str, turns: dict[str, list[Turn]]) -> Figures:
    """`us`: of processor time a message, the median turn; `ratio`: each peer's by ours; `lost`: messages that did not
    come, over all turns."""
    us = {name: statistics.median(each.us for each in took) for name, took in turns.items()}
    return {
        "case": case,
        "us": {name: round(value, 3) for name, value in us.items()},
        "ratio": {name: round(value / us[OURS], 1) for name, value in us.items() if name != OURS},
        "lost": {name: sum(max(0, each.sent - each.came) for each in took) for name, took in turns.items()},
        "spread": {name: round(max(t.us for t in took) / min(t.us for t in took), 2) for name, took in turns.items()},
    }


# The cases.


def wire_mqtt_qos0(messages: int = 200_000, runs: int = 3) -> Figures:
    """From the bytes of a socket to a decoded batch, QoS 0. The peers: aiomqtt, paho and gmqtt, which only receive."""
    return _wire("wire.mqtt_qos0", messages, runs, qos=0)


def wire_mqtt_qos1(messages: int = 200_000, runs: int = 3) -> Figures:
    """The same under QoS 1; ours acknowledges batch by batch, as after a journal that is at once."""
    return _wire("wire.mqtt_qos1", messages, runs, qos=1)


def wire_sparkplug(messages: int = 50_000, runs: int = 3) -> Figures:
    """Sparkplug data of ten metrics to decoded telemetry records; the peers receive the bytes and read nothing."""
    return _wire("wire.sparkplug", messages, runs, qos=0, sparkplug=True)


def broker_mqtt(messages: int = 40_000, runs: int = 3) -> Figures:
    """Behind mosquitto, QoS 0, at 10 000 a second; `sortline` alone also at 40 000 a second (`us_at_40000`)."""
    names = present(list(CONTESTANTS))
    turns: dict[str, list[Turn]] = {name: [] for name in names}
    fast: list[Turn] = []
    with mosquitto() as port:
        traffic = Traffic(port, messages, 0, "dc1/pick/+/evt")
        for _ in range(runs):
            for name in names:
                turns[name].append(turn(name, traffic, lambda: feed(port, messages, BROKER_RATE)))
            fast.append(turn(OURS, traffic, lambda: feed(port, messages, 4 * BROKER_RATE)))
    return figures("broker.mqtt", turns) | {"us_at_40000": round(statistics.median(each.us for each in fast), 3)}


def _wire(case: str, messages: int, runs: int, qos: int, sparkplug: bool = False) -> Figures:
    names = present(list(CONTESTANTS))
    turns: dict[str, list[Turn]] = {name: [] for name in names}
    filter_ = "spBv1.0/Plant1/#" if sparkplug else "dc1/pick/+/evt"
    with served(messages, qos, sparkplug) as port, served(messages // PEER_SHARE, qos, sparkplug) as peer_port:
        for _ in range(runs):
            for name in names:
                mine = name == OURS
                count = messages if mine else messages // PEER_SHARE
                turns[name].append(turn(name, Traffic(port if mine else peer_port, count, qos, filter_, sparkplug)))
    return figures(case, turns)


@contextmanager
def served(count: int, qos: int, sparkplug: bool) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = get_context("fork").Process(target=serve, args=(listener, count, qos, sparkplug), daemon=True)
        process.start()
        try:
            yield listener.getsockname()[1]
        finally:
            process.kill()
            process.join()


@contextmanager
def mosquitto() -> Iterator[int]:
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        raise RuntimeError("mosquitto is not installed")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "mosquitto.conf")
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
        process = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)  # noqa: S603
        try:
            time.sleep(0.5)
            yield port
        finally:
            process.terminate()
            process.wait()


CASES: dict[str, Callable[..., Figures]] = {
    "wire.mqtt_qos0": wire_mqtt_qos0,
    "wire.mqtt_qos1": wire_mqtt_qos1,
    "broker.mqtt": broker_mqtt,
    "wire.sparkplug": wire_sparkplug,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="What receiving over MQTT costs a client.")
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--messages", type=int, help="messages a turn of ours; peers of the wire cases get a tenth")
    parser.add_argument("--runs", type=int, default=3)
    args = parser.parse_args()
    for name in args.cases or CASES:
        more = {"messages": args.messages} if args.messages else {}
        print(json.dumps(CASES[name](runs=args.runs, **more)), flush=True)


if __name__ == "__main__":
    main()
