"""What the MQTT cases send: messages made beforehand, by a broker that knows nothing else, or behind a real one.

Whoever is measured connects and subscribes; then `begin`, over a second connection, starts the messages, so that none
comes before its time.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from multiprocessing import get_context

from bench.packets import connect, publish, varint

TOPICS = 200
FILTER = "dc1/pick/+/evt"
SPARKPLUG_FILTER = "spBv1.0/Plant1/#"
METRICS = 10
BURST = 256
SUBSCRIBED_S = 0.2  # until a broker has really taken a subscription


def of_qos(qos: int) -> Callable[..., bytes]:
    return partial(message, qos=qos)


def message(number: int, qos: int, *, newest: bool = False) -> bytes:
    """A pick as canonical JSON of some 150 bytes, on one of TOPICS topics."""
    station = f"PTL-{number % TOPICS:03d}"
    payload = (
        f'{{"src":"dc1/pick/{station}","kind":"pick.confirm","seq":{number // TOPICS},"t":1795420840195805,'
        f'"task":"T-{number % 5000:05d}","sku":"SKU-{number % 997:04d}","qty":1,"lu":"TOTE-{number % 3000:05d}"}}'
    ).encode()
    return publish(number, f"dc1/pick/{station}/evt", payload, qos, newest=newest)


def sparkplug(number: int, *, newest: bool = False) -> bytes:
    """The births of a node and a device with METRICS metrics, then data by their aliases: a counter and others."""
    if number < 2:
        kind = "NBIRTH/L1" if number == 0 else "DBIRTH/L1/PTL"
        names = [b"Count"] + [b"Value/%d" % each for each in range(METRICS - 1)]
        metrics = [_field(1, name) + b"\x10" + bytes([at]) + b"\x20\x08\x58\x07" for at, name in enumerate(names, 1)]
    else:
        kind = "DDATA/L1/PTL"
        metrics = [b"\x10" + bytes([at]) + b"\x58" + varint(number * at) for at in range(1, METRICS + 1)]
    said = b"".join(_field(2, each) for each in metrics)
    payload = b"\x08" + varint(1_795_420_840_195) + said + b"\x18" + varint(number % 256)
    return publish(number, f"spBv1.0/Plant1/{kind}", payload, 0, newest=newest)


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of protobuf."""
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def begin(control: int, count: int, rate: int) -> None:
    """Start `count` messages, `rate` a second, 0 for all at once, at whoever listens on that port."""
    with socket.create_connection(("127.0.0.1", control)) as connection:
        connection.sendall(b"%d %d" % (count, rate))


def _begun(control: socket.socket) -> tuple[int, int]:
    connection, _ = control.accept()
    with connection:
        count, rate = map(int, connection.recv(64).split())
        return count, rate


@contextmanager
def broker(count: int, made: Callable[..., bytes], qos: int) -> Iterator[tuple[int, int]]:
    """Of one client after the other, in a process of its own: its port, and the one for `begin`.

    made: the message of a number. It has `count`, and sends as many of the first as it is told, all at once. qos: what
    it grants.
    """
    with _forked(lambda listener, control: _send(listener, control, count, made, qos)) as ports:
        yield ports


@contextmanager
def floor(broker_port: int, count: int) -> Iterator[int]:
    """Publishes messages under QoS 0 at that broker, in a process of its own: the port for `begin`."""
    packets = [message(number, 0) for number in range(count)]
    with _forked(lambda listener, control: _publish(broker_port, control, packets)) as (_, control):
        yield control


@contextmanager
def _forked(work: Callable[[socket.socket, socket.socket], None]) -> Iterator[tuple[int, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_server(("127.0.0.1", 0)) as control:
        process = get_context("fork").Process(target=work, args=(listener, control), daemon=True)
        process.start()
        try:
            yield listener.getsockname()[1], control.getsockname()[1]
        finally:
            process.kill()
            process.join()


def _send(listener: socket.socket, control: socket.socket, count: int, made: Callable[..., bytes], qos: int) -> None:
    @cache
    def packets(newest: bool) -> list[bytes]:
        return [made(number, newest=newest) for number in range(count)]

    while True:
        client, _ = listener.accept()
        newest = client.recv(4_096)[8] == 5
        client.sendall(b"\x20\x03\0\0\0" if newest else b"\x20\x02\0\0")
        asked = client.recv(65_536)
        answer = asked[2:4] + (b"\0" if newest else b"") + bytes([qos])
        client.sendall(bytes([0x90, len(answer)]) + answer)
        threading.Thread(target=_swallow, args=(client,), daemon=True).start()
        stream = packets(newest)
        asked_for, _ = _begun(control)
        try:
            client.sendall(b"".join(stream[:asked_for]))
        except OSError:
            continue


def _swallow(client: socket.socket) -> None:
    try:
        while client.recv(1 << 20):
            pass
    except OSError:
        return


def _publish(port: int, control: socket.socket, packets: list[bytes]) -> None:
    """In bursts of a millisecond, or of BURST messages where all are wanted at once."""
    connection = socket.create_connection(("127.0.0.1", port))
    # a floor is many devices: none waits until the broker has acknowledged what another one has sent
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(connect("sortline-bench-floor"))
    connection.recv(4)
    while True:
        count, rate = _begun(control)
        time.sleep(SUBSCRIBED_S)
        begun, sent = time.monotonic(), 0
        while sent < count:
            due = min(count, int((time.monotonic() - begun) * rate) if rate else sent + BURST)
            connection.sendall(b"".join(packets[sent:due]))
            sent = due
            if rate:
                time.sleep(0.001)
