"""What notifications of OPC UA cost a client: microseconds of processor time each, asyncua beside us in the same run.

`opcua.decode`  bodies of publish responses, 1 000 values each (numbers, texts, arrays), from bytes
                sortline: into columns; sortline.values: into plain values, sorted by entry; asyncua: its own decoding
`opcua.live`    1 000 items of a server in a process of its own, subscribed to, written again and again
                sortline: session, subscription and columns; sortline.records: the driver, on to canonical lines of
                records of ten nodes each; asyncua: its own subscription, calling a handler that counts

In turns, and the median of the turns counts. Wall time is not told: the server, in Python too, takes far longer.
"""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import msgspec
from asyncua import Client, ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary

from bench.measure import Failed, costs, in_turns
from bench.servers import free_port
from bench.settings import OURS, Figures, Settings
from engine.clock import now_us
from engine.contracts import Delivery
from ext.opcua_notifications import Items, read_publish
from protocols.opcua.connection import Connection
from protocols.opcua.driver import Driver
from protocols.opcua.publishing import Publishing
from protocols.opcua.settings import Settings as SourceSettings
from protocols.opcua.structures import library_value
from protocols.opcua.subscription import Subscription
from protocols.opcua.together import together

ITEMS = 1_000
NODES = 10
BODIES = 200
ROUNDS = 12
PEER_SHARE = 10
"""asyncua decodes a tenth of the bodies: it takes hundreds of times as long."""
TURN_S_MAX = 120.0


def decode(settings: Settings) -> Figures:
    """From the bytes of publish responses."""
    bodies = [_body(number) for number in range(settings.size(BODIES))]
    items = Items()
    for number in range(ITEMS):
        items.add(number // NODES, f"n{number % NODES}")
    fewer = bodies[: max(1, len(bodies) // PEER_SHARE)]
    contestants: dict[str, Callable[[], float]] = {
        OURS: lambda: _stepped(lambda body: read_publish(body, library_value), bodies),
        "sortline.values": lambda: _stepped(lambda body: items.sort([read_publish(body, library_value)]), bodies),
        "asyncua": lambda: _stepped(lambda body: struct_from_binary(ua.PublishResponse, Buffer(body)), fewer),
    }
    return costs(in_turns(contestants, settings.runs))


def _stepped(step: Callable[[bytes], object], bodies: Sequence[bytes]) -> float:
    began = time.process_time()
    for body in bodies:
        step(body)
    return 1e6 * (time.process_time() - began) / len(bodies) / ITEMS


def live(settings: Settings) -> Figures:
    """From a server, over a socket and a session."""
    logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)
    logging.getLogger("sortline.opcua").setLevel(logging.ERROR)
    rounds = settings.size(ROUNDS)
    with serving(ITEMS) as (port, server):
        url = f"opc.tcp://127.0.0.1:{port}/"

        def turn(contestant: Contestant) -> Callable[[], float]:
            return lambda: 1e6 * asyncio.run(_timed(contestant, url, server, rounds)) / rounds / ITEMS

        contestants = {OURS: _into_columns, "sortline.records": _into_records, "asyncua": _into_handler}
        return costs(in_turns({name: turn(each) for name, each in contestants.items()}, settings.runs))


def _body(number: int) -> bytes:
    now = datetime.now(UTC) + timedelta(milliseconds=number)
    kinds = ua.VariantType
    values = [
        ua.Variant(number, kinds.UInt32),
        ua.Variant(number * 1.5, kinds.Double),
        ua.Variant(f"T-{number:09}", kinds.String),
        ua.Variant(number % 2 == 0, kinds.Boolean),
        ua.Variant([number, number + 1, number + 2], kinds.Int16),
    ]
    notifications = [
        ua.MonitoredItemNotification(
            ClientHandle=ua.UInt32(index + 1),
            Value=ua.DataValue(values[index % len(values)], SourceTimestamp=now, ServerTimestamp=now),
        )
        for index in range(ITEMS)
    ]
    response = ua.PublishResponse()
    response.Parameters.SubscriptionId = ua.UInt32(1)
    response.Parameters.NotificationMessage.SequenceNumber = ua.UInt32(number + 1)
    response.Parameters.NotificationMessage.NotificationData = [ua.DataChangeNotification(MonitoredItems=notifications)]
    return bytes(struct_to_binary(response))


class _Server:
    """Writes a round when told, off the event loop."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._round = 0

    async def write(self) -> None:
        self._round += 1
        assert self._process.stdin is not None
        self._process.stdin.write(b"%d\n" % self._round)
        self._process.stdin.flush()
        await asyncio.to_thread(self.answer)

    def answer(self) -> None:
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise Failed("the server ended")


Contestant = Callable[[str, _Server, int], Awaitable[float]]
"""Takes the server's URL, what writes, and how often; returns processor seconds."""


async def _timed(contestant: Contestant, url: str, server: _Server, rounds: int) -> float:
    try:
        async with asyncio.timeout(TURN_S_MAX):
            return await contestant(url, server, rounds)
    except TimeoutError:
        raise Failed(f"{contestant.__name__}: not everything came within {TURN_S_MAX:g} s") from None


async def _rounds(server: _Server, rounds: int, count: Callable[[], int], wanted: int) -> float:
    """Processor seconds of this process from before the first write until everything has come, `wanted` a round."""
    began, before = time.process_time(), count()
    for _ in range(rounds):
        await server.write()
    await _until(lambda: count() - before >= rounds * wanted)
    return time.process_time() - began


async def _until(come: Callable[[], bool]) -> None:
    while not come():  # noqa: ASYNC110 - an event would cost each notification something
        await asyncio.sleep(0.01)


async def _into_columns(url: str, server: _Server, rounds: int) -> float:
    connection = Connection(_settings(url), "bench")
    await connection.open()
    seen = 0
    try:
        revised = await connection.subscribe()
        publishing = Publishing(connection, now_us, 3, 256, 1 << 22)
        now = asyncio.get_running_loop().time()
        subscription = Subscription(revised.subscription_id, revised.silence_s, [0], now)
        publishing.add(subscription)
        await connection.monitor(revised.subscription_id, [_item(number) for number in range(ITEMS)])

        async def consume() -> None:
            nonlocal seen
            async for message in publishing.messages():
                if message.publish is not None:
                    seen += len(message.publish.columns())
                    subscription.done([message.publish.number])

        tasks = asyncio.create_task(together(publishing.pump(), consume()))
        await _until(lambda: seen >= ITEMS)  # what they are at the beginning
        spent = await _rounds(server, rounds, lambda: seen, ITEMS)
        tasks.cancel()
        await asyncio.gather(tasks, return_exceptions=True)
        return spent
    finally:
        await connection.close()


class _Counting:
    """An engine's front door that counts lines."""

    def __init__(self) -> None:
        self.lines = 0
        self.up = asyncio.Event()

    async def put(self, delivery: Delivery) -> None:
        self.lines += sum(b"telemetry" in line for line in delivery.lines)
        if delivery.ack is not None:
            delivery.ack()

    def fault(self, source: str, cause: str, sample: bytes, place: str = "") -> None:
        raise Failed(cause)

    def state(self, source: str, state: str, detail: str = "") -> None:
        if state == "up":
            self.up.set()

    def position(self, src: str) -> tuple[int, int] | None:
        return None

    async def recent(self, src: str, most: int) -> Sequence[bytes]:
        return ()


async def _into_records(url: str, server: _Server, rounds: int) -> float:
    counting = _Counting()
    driver = asyncio.create_task(Driver("bench", _settings(url), counting, now_us).run())
    try:
        await counting.up.wait()
        await asyncio.sleep(0.5)  # what they are at the beginning makes no records
        return await _rounds(server, rounds, lambda: counting.lines, ITEMS // NODES)
    finally:
        driver.cancel()
        await asyncio.gather(driver, return_exceptions=True)


class _Handler:
    def __init__(self) -> None:
        self.seen = 0

    def datachange_notification(self, node: object, value: object, data: object) -> None:
        self.seen += 1


async def _into_handler(url: str, server: _Server, rounds: int) -> float:
    handler = _Handler()
    async with Client(url, timeout=20) as client:
        subscription = await client.create_subscription(50, handler)
        nodes = [client.get_node(f"ns=2;s=I.{number}") for number in range(ITEMS)]
        await subscription.subscribe_data_change(nodes, queuesize=100, sampling_interval=0)
        await _until(lambda: handler.seen >= ITEMS)
        return await _rounds(server, rounds, lambda: handler.seen, ITEMS)


def _item(number: int) -> ua.MonitoredItemCreateRequest:
    parameters = ua.MonitoringParameters(ClientHandle=number + 1, SamplingInterval=0.0, QueueSize=100)
    node = ua.ReadValueId(NodeId=ua.NodeId(f"I.{number}", 2), AttributeId=ua.AttributeIds.Value)
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=node, MonitoringMode=ua.MonitoringMode.Reporting, RequestedParameters=parameters
    )


def _settings(url: str) -> SourceSettings:
    variables = {
        f"m{machine}": {
            "src": f"dc1/bench/{machine}",
            "nodes": {f"n{node}": f"ns=2;s=I.{machine * NODES + node}" for node in range(NODES)},
            "trigger": "n0",
            "collect": "monitor",
            "record": {"kind": {"const": "telemetry"}, "qty": "n1", "line": "n2", "seq": "n0"},
        }
        for machine in range(ITEMS // NODES)
    }
    table = {
        "url": url,
        "security": {"policy": "None"},
        "publishing_ms": 50,
        "notifications_max": ITEMS,
        "lifetime_ms": 60_000,
        "timeout_ms": 20_000,
        "variables": variables,
    }
    return msgspec.convert(table, SourceSettings)


@contextmanager
def serving(items: int) -> Iterator[tuple[int, _Server]]:
    """`bench.opcua_server` with so many items: its port, and what writes to them."""
    port = free_port()
    argv = (sys.executable, "-m", "bench.opcua_server", str(port), str(items))
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603
    try:
        server = _Server(process)
        server.answer()
        yield port, server
    finally:
        process.kill()
        process.wait()
