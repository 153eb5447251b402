"""A floor that publishes over MQTT 3.1.1 with QoS 1 as fast as the broker takes it, or at a fixed rate.

Packets are encoded beforehand and written in bulk, so that the publisher is not what is measured. Answers are PUBACKs
(MQTT 3.1.1 section 3.4): they are counted by their length.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from typing import NamedTuple

from bench.measure import Failed
from bench.packets import connect

PUBACK_BYTES = 4
IN_FLIGHT = 1_000
BURST = 100
PACE_S = 0.002
SILENCE_S_MAX = 60.0


class Published(NamedTuple):
    """sent_ns: monotonic time of each message's write; acknowledged_s: from the first write to the last ack."""

    sent_ns: list[int]
    acknowledged_s: float


def publish(port: int, packets: Sequence[bytes], per_second: float) -> Published:
    """All of them, in order. per_second: 0 for as fast as the broker acknowledges, IN_FLIGHT unanswered at most."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(connect("sortline-bench-floor"))
        if connection.recv(4)[:1] != b"\x20":
            raise Failed("the broker did not take the floor's connection")
        return _stream(connection, packets, per_second)


def _stream(connection: socket.socket, packets: Sequence[bytes], per_second: float) -> Published:
    sent_ns: list[int] = []
    acks = 0
    begun_ns = time.monotonic_ns()
    while acks < PUBACK_BYTES * len(packets):
        due = len(packets)
        if per_second:
            due = min(due, int((time.monotonic_ns() - begun_ns) / 1e9 * per_second) + 1)
        room = IN_FLIGHT - (len(sent_ns) - acks // PUBACK_BYTES)
        burst = packets[len(sent_ns) : min(due, len(sent_ns) + min(room, BURST))]
        if burst:
            now = time.monotonic_ns()
            connection.sendall(b"".join(burst))
            sent_ns += [now] * len(burst)
        wait_s = 0.0 if burst else PACE_S if len(sent_ns) < len(packets) and room > 0 else SILENCE_S_MAX
        if select.select([connection], [], [], wait_s)[0]:
            answers = connection.recv(65_536)
            if not answers:
                raise Failed("the broker closed the floor's connection")
            acks += len(answers)
        elif wait_s == SILENCE_S_MAX:
            raise Failed(f"the broker acknowledged nothing for {SILENCE_S_MAX:g} s")
    return Published(sent_ns, (time.monotonic_ns() - begun_ns) / 1e9)
