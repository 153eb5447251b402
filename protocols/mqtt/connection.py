"""One connection to a broker that loses nothing: acknowledged by hand, bounded, with back-pressure.

aiomqtt 2.5 over paho 2 acknowledges a message as soon as it stands in a queue, drops it there when the queue is full,
and takes a payload of any length. What is overridden here, all of it private to the two libraries (they are pinned
below the next major version, and tests/integration/test_mqtt_driver.py holds it against a real broker):

- paho's `manual_ack_set`: PUBACK is sent by `acknowledge` alone (MQTT 5 section 4.4: without it the broker keeps the
  message, and sends it again over the next connection);
- `_on_message`: a queue with caps, whose filling stops the reading of the socket instead of dropping;
- `_on_socket_open`: our own reader, which reads several messages at a time and cuts an oversized one while it arrives;
- `_on_socket_register_write`: paho may close the socket between our asking for a writer and the loop's setting it up.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import aiomqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from engine.clock import Clock
from protocols.mqtt.settings import Settings, Topic
from protocols.mqtt.topics import parse_filter

READS_MAX = 64
"""Messages read before the event loop gets its turn."""

RECEIVE_BUFFER_BYTES = 262_144
# retained messages of a subscription: only when it is new, or never (MQTT 5 section 3.8.3.1)
RETAINED_IF_NEW, RETAINED_NEVER = 1, 2

# paho names topics and, in errors, payloads: nothing of that belongs into our log
_SILENT = logging.getLogger("sortline.mqtt.library")
_SILENT.setLevel(logging.CRITICAL)


class Incoming(NamedTuple):
    """A message as it came. `topic`: None if it is not UTF-8. `mid`: what `acknowledge` wants; 0 under QoS 0.
    `t_rx`: microseconds. `payload`: cut off one byte after the limit."""

    topic: str | None
    payload: bytes
    qos: int
    retained: bool
    mid: int
    t_rx: int


class Connection(aiomqtt.Client):
    """Use once, as an async context manager; then `subscribe_all`, and `take` and `acknowledge` in turns.

    Raises aiomqtt.MqttError when the broker cannot be reached, refuses, or goes away.
    """

    def __init__(
        self, settings: Settings, client_id: str, password: str | None, tls: ssl.SSLContext | None, clock: Clock
    ) -> None:
        newest = settings.version == "5"
        super().__init__(
            settings.host,
            settings.port or (8883 if tls is not None else 1883),
            username=settings.user,
            password=password,
            identifier=client_id,
            protocol=aiomqtt.ProtocolVersion.V5 if newest else aiomqtt.ProtocolVersion.V311,
            clean_session=None if newest else False,
            # kept; 3.1.1 says so by clean_session
            clean_start=False if newest else MQTT_CLEAN_START_FIRST_ONLY,
            properties=_connect_properties(settings) if newest else None,
            keepalive=settings.keepalive_s,
            timeout=settings.connect_ms / 1000,
            tls_context=tls,
            socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)],
            logger=_SILENT,
        )
        self._settings = settings
        self._clock = clock
        self._incoming: deque[Incoming] = deque()
        self._incoming_bytes = 0
        self._arrived = asyncio.Event()
        self._count = 0
        self._reading = False
        self._read_next: asyncio.Handle | None = None
        self.session_present = False
        self._client.connect_timeout = settings.connect_ms / 1000
        self._client.manual_ack_set(True)

    async def subscribe_all(self) -> None:
        """Subscribe to every topic of the settings, once a filter. Raises MqttError if the broker refuses one."""
        wanted: dict[str, Topic] = {}
        for topic in self._settings.topics:
            wire = parse_filter(topic.filter).wire
            if wire not in wanted or wanted[wire].qos < topic.qos:
                wanted[wire] = topic
        accepting = {parse_filter(t.filter).wire for t in self._settings.topics if t.retained == "accept"}
        granted: Sequence[Any] = await self.subscribe(
            [(wire, self._options(topic.qos, wire in accepting)) for wire, topic in wanted.items()]
        )
        for wire, code in zip(wanted, granted, strict=True):
            if getattr(code, "value", code) >= 0x80:
                raise aiomqtt.MqttError(f"the broker refuses the subscription to {wire}: {code}")

    def _options(self, qos: int, retained: bool) -> Any:
        if self._settings.version != "5":
            return qos
        return SubscribeOptions(qos=qos, retainHandling=RETAINED_IF_NEW if retained else RETAINED_NEVER)

    async def take(self, messages_max: int, bytes_max: int) -> list[Incoming]:
        """What has arrived, waiting for the first; no more than the caps, save for a first one that is longer.

        Raises MqttError when the connection is lost; what was taken and not acknowledged comes again over the next.
        """
        while not self._incoming:
            if self._disconnected.done():
                raise aiomqtt.MqttError("connection lost") from self._disconnected.exception()
            self._arrived.clear()
            await self._arrived.wait()
        taken: list[Incoming] = []
        size = 0
        while self._incoming and len(taken) < messages_max:
            size += len(self._incoming[0].payload)
            if taken and size > bytes_max:
                break
            taken.append(self._incoming.popleft())
            self._incoming_bytes -= len(taken[-1].payload)
        if not self._reading and not self._is_full():
            self._start_reading()
        return taken

    def acknowledge(self, mids: Iterable[int]) -> None:
        """PUBACK these, in the order in which they came. Without effect once the connection is lost: the numbers
        would mean other messages to the next one."""
        for mid in mids:
            if self._disconnected.done():
                return
            self._client.ack(mid, 1)

    def drop(self) -> None:
        """Close the socket, whatever state it is in. Safe to call at any time, also twice."""
        self._reading = False
        self._client._sock_close()
        if not self._disconnected.done():
            self._disconnected.set_result(None)
        for future in (self._connected, self._disconnected):
            # asyncio complains of errors that nobody looked at
            if future.done() and not future.cancelled():
                future.exception()

    # What follows is called by aiomqtt and paho.

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:
        self.session_present = bool(flags.session_present)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:
        super()._on_disconnect(client, userdata, flags, reason_code, properties)
        if not self._connected.done():
            # aiomqtt would wait for its timeout
            self._connected.set_exception(aiomqtt.MqttError("the broker closed the connection without an answer"))
        self._arrived.set()

    def _on_message(self, client: Any, userdata: Any, message: MQTTMessage) -> None:
        try:
            topic: str | None = message.topic
        except UnicodeDecodeError:
            topic = None
        payload = bytes(message.payload[: self._settings.payload_bytes_max + 1])
        self._incoming.append(Incoming(topic, payload, message.qos, bool(message.retain), message.mid, self._clock()))
        self._incoming_bytes += len(payload)
        self._count += 1
        self._arrived.set()

    def _on_socket_open(self, client: Any, userdata: Any, sock: Any) -> None:
        # on the thread that connects
        self._loop.call_soon_threadsafe(self._opened)

    def _opened(self) -> None:
        if self._disconnected.done():
            self._client._sock_close()  # given up while the thread was connecting
        else:
            self._start_reading()
            self._misc_task = self._loop.create_task(self._misc_loop())

    def _start_reading(self) -> None:
        sock = self._client.socket()
        if sock is not None:
            self._reading = True
            self._loop.add_reader(sock.fileno(), self._read)
            self._read_soon()

    def _read_soon(self) -> None:
        """For bytes that TLS has decrypted already: they wake nobody."""
        if self._read_next is None:
            self._read_next = self._loop.call_soon(self._read_decrypted)

    def _read_decrypted(self) -> None:
        self._read_next = None
        self._read()

    def _read(self) -> None:
        try:
            for _ in range(READS_MAX):
                before = self._count
                if not self._reading:
                    return
                self._client.loop_read()
                self._cut_oversized()
                if self._is_full():
                    self._stop_reading()
                if self._count == before and not self._decrypted():
                    return
        # paho's decoder lets errors of any type out on malformed packets: whichever it was, this connection is over
        except Exception as error:
            self._fail(error)
            return
        if self._decrypted():
            self._read_soon()

    def _stop_reading(self) -> None:
        sock = self._client.socket()
        self._reading = False
        if sock is not None:
            self._loop.remove_reader(sock.fileno())

    def _is_full(self) -> bool:
        settings = self._settings
        return len(self._incoming) >= settings.queue_messages or self._incoming_bytes >= settings.queue_bytes

    def _decrypted(self) -> bool:
        sock = self._client.socket()
        return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0

    def _cut_oversized(self) -> None:
        """Drop what has come of a payload beyond its limit: paho reads as long a packet as the broker announces."""
        arriving = self._client._in_packet
        packet = arriving["packet"]
        if arriving["to_process"] and len(packet) > self._settings.payload_bytes_max:
            head = _publish_head(arriving["command"], packet, self._settings.version == "5")
            del packet[head + self._settings.payload_bytes_max + 1 :]

    def _fail(self, error: Exception) -> None:
        self._client._sock_close()
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError(f"malformed packet: {type(error).__name__}"))
        elif not self._disconnected.done():
            self._disconnected.set_exception(aiomqtt.MqttError(f"malformed packet: {type(error).__name__}"))
        self._arrived.set()

    def _on_socket_close(self, client: Any, userdata: Any, sock: Any) -> None:
        self._reading = False
        super()._on_socket_close(client, userdata, sock)

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:
        self._loop.call_soon_threadsafe(self._start_writing, sock)

    def _start_writing(self, sock: Any) -> None:
        current = self._client.socket()
        if current is not None and current is sock and self._client._registered_write:
            self._loop.add_writer(current.fileno(), self._write)

    def _write(self) -> None:
        self._client.loop_write()


def _connect_properties(settings: Settings) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = settings.session_expiry_s
    properties.ReceiveMaximum = settings.inflight_max
    return properties


def _publish_head(command: int, packet: bytearray, newest: bool) -> int:
    """Bytes before the payload of a PUBLISH, after its fixed header (MQTT 5 section 3.3.2)."""
    head = 2 + int.from_bytes(packet[:2], "big")
    if command & 0x06:
        head += 2
    if not newest:
        return head
    length = shift = 0
    for byte in packet[head : head + 4]:
        head += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return head + length
