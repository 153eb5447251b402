"""One connection to a broker that loses nothing: acknowledged by hand, bounded, with back-pressure.

    socket ──► Splitter ──► MessageLines ──► `take`          (no Python object a message)
       ▲           └── control packets ──► `_control`
       └── PUBACK ── `acknowledge` (after the journal's fsync)

Ours from the socket up, on asyncio's transports (plain and TLS, uvloop or not): docs/mqtt.md says why, and what that
is worth. MQTT 5 section 4.4 is what we stand on: without its PUBACK the broker keeps a message, and sends it again over
the next connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

from engine.clock import Clock
from ext.mqtt_lines import MessageLines
from ext.mqtt_wire import Splitter, WireFault
from protocols.mqtt import codec
from protocols.mqtt.decode import Decoder
from protocols.mqtt.pacing import Pacing
from protocols.mqtt.settings import Settings, Topic
from protocols.mqtt.unreached import before_an_answer
from protocols.mqtt.websocket import WebSocket

RECEIVE_BUFFER_BYTES = 262_144
BATCH_BYTES_MAX = 262_144
TURN_MESSAGES = 8_192
"""Messages of one turn of the event loop; those that Python has to spell out count as 32."""

LOOKS = 4
"""How often in a keepalive we look at the connection. A ping goes out where we had nothing to say for two looks; the
broker waits for six (section 3.1.2.10), and so do we."""

SILENT_LOOKS_MAX = 6
PROGRESS_BYTES_MIN = 1_024
"""Of a packet that has not wholly arrived. With less of it between two looks nothing was heard: a broker that dribbles
would hold us for years."""

UNREAD_BYTES_MAX = 1 << 20
"""What a broker may leave unread of our answers, beside what the kernel holds, before we give the connection up."""

GOODBYE_S = 1.0


class Lost(Exception):
    """The broker cannot be reached, refuses, or has gone away: says why."""


class Batch(NamedTuple):
    """What came at once. `data`: `records` lines, each ended by a line feed. `acks`: what to `acknowledge`."""

    data: bytes
    records: int
    acks: bytes


class Connection(asyncio.BufferedProtocol):
    """Use once: `open`; `subscribe_all`, with `take` and `acknowledge` in turns beside it; at last `close` or `drop`.

    `faults`: called with (cause, payload, topic) for each message that does not fit.
    """

    def __init__(
        self,
        settings: Settings,
        client_id: str,
        password: str | None,
        decoder: Decoder,
        clock: Clock,
        faults: Callable[[str, bytes, str], None],
    ) -> None:
        self._settings = settings
        self._newest = settings.version == "5"
        self._client_id = client_id
        self._password = password
        self._clock = clock
        self._fault = faults
        self._splitter = Splitter(newest=self._newest, payload_bytes_max=settings.payload_bytes_max)
        self._lines = MessageLines(
            self._splitter,
            decoder.resolve,
            decoder.spell_out,
            decoder.owes,
            batch_messages=settings.batch_messages,
            batch_bytes=BATCH_BYTES_MAX,
        )
        self._pacing = Pacing(settings.coalesce_ms / 1000)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._lost = self._loop.create_future()
        self._accepted: asyncio.Future[codec.Accepted] = self._loop.create_future()
        self._subacks: dict[int, asyncio.Future[list[int]]] = {}
        self._published: dict[int, str] = {}  # our own under QoS 1, by number, of which there are 65 535
        self._arrived = asyncio.Event()
        self._number = 0
        self._keepalive_s = float(settings.keepalive_s)
        self._spoke_s = self._loop.time()
        self._silent_looks = 0
        self._progress_bytes = 0  # since the last look
        self._alarm: asyncio.TimerHandle | None = None
        self._going_on: asyncio.Handle | None = None
        self._reading = True
        self._room_bytes = 0
        self._failure: BaseException | None = None
        self.session_present = False

    # What the driver calls.

    async def open(self, tls: ssl.SSLContext | None, will: codec.Will | None = None) -> None:
        """Connect, and be let in. Raises Lost."""
        settings = self._settings
        try:
            async with asyncio.timeout(settings.connect_ms / 1000):
                try:
                    await self._reach(tls)
                except asyncio.CancelledError:
                    # uvloop has closed the transport by then, and does not say so
                    self.drop()
                    self._transport = None
                    raise
                self._send(self._connect_packet(will))
                accepted = await self._answer(self._accepted)
        except TimeoutError:
            why = f"no answer within {settings.connect_ms} ms"
            # there are brokers that do not even refuse a version that they do not know
            is_asked = self._newest and self._transport is not None
            raise Lost(f'{why}; if the broker does not speak MQTT 5: version = "3.1.1"' if is_asked else why) from None
        except (Lost, OSError, UnicodeError) as error:
            raise Lost(before_an_answer(error, settings)) from None
        if accepted.code:
            raise Lost(codec.refusal(accepted.code, accepted.properties, newest=self._newest))
        self.session_present = accepted.session_present
        keepalive_s = accepted.properties.get(codec.SERVER_KEEP_ALIVE)
        if isinstance(keepalive_s, int) and keepalive_s:
            # a longer one is what the broker waits for; how soon we notice that it is gone is the site's to say
            self._keepalive_s = min(self._keepalive_s, float(keepalive_s))
        expiry_s = accepted.properties.get(codec.SESSION_EXPIRY)
        if isinstance(expiry_s, int) and expiry_s < settings.session_expiry_s:
            asked_s = settings.session_expiry_s
            self._fault(f"session: the broker forgets it {expiry_s} s after we are gone, not {asked_s} s", b"", "")
        self._watch()

    async def _reach(self, tls: ssl.SSLContext | None) -> None:
        host, port = self._settings.address()
        if self._settings.websocket is None:
            await self._loop.create_connection(lambda: self, host, port, ssl=tls)
            return
        around = WebSocket(self, host, port, self._settings.websocket.path)
        await self._loop.create_connection(lambda: around, host, port, ssl=tls)
        await self._answer(around.opened)

    def _connect_packet(self, will: codec.Will | None) -> bytes:
        settings = self._settings
        return codec.connect(
            self._client_id,
            newest=self._newest,
            keepalive_s=settings.keepalive_s,
            session_expiry_s=settings.session_expiry_s,
            receive_maximum=settings.receive_maximum(),
            topic_aliases=settings.topic_aliases,
            user=settings.user,
            password=self._password,
            will=will,
        )

    async def subscribe_all(self) -> dict[str, str]:
        """Subscribe to every topic of the settings, once a filter. The filters that the broker refuses, and why; raises
        Lost if it refuses all.

        Somebody has to `take` meanwhile: before its answer the broker may send all that a kept session holds for us.
        """
        wanted = subscriptions(self._settings)
        number = self._next_number()
        self._subacks[number] = self._loop.create_future()
        self._send(codec.subscribe(number, wanted, newest=self._newest))
        try:
            codes = await self._suback(self._subacks[number])
        finally:
            del self._subacks[number]
        if len(codes) != len(wanted):
            raise Lost("the broker answers the subscription with too few codes")
        refused: dict[str, str] = {}
        for each, code in zip(wanted, codes, strict=True):
            if code >= 0x80:
                refused[each.filter] = codec.REASONS.get(code, str(code))
            elif code < each.qos:
                self._fault(f"{each.filter}: the broker grants QoS 0 only, and keeps nothing for us", b"", "")
        if len(refused) == len(wanted):
            filter_, why = next(iter(refused.items()))
            raise Lost(f"the broker refuses the subscription to {filter_}: {why}")
        return refused

    async def _suback(self, answer: asyncio.Future[list[int]]) -> list[int]:
        """The codes. No deadline runs while messages come, or while we do not read: the answer is behind those."""
        while True:
            seen = self._lines.seen if self._reading else None
            try:
                async with asyncio.timeout(self._settings.connect_ms / 1000):
                    return await self._answer(answer)
            except TimeoutError:
                if self._lines.seen == seen:
                    raise Lost(f"no answer to the subscription within {self._settings.connect_ms} ms") from None

    async def take(self) -> Batch:
        """What has arrived, waiting for the first; no more than `batch_messages`.

        Raises Lost when the connection is; what was taken and not acknowledged comes again over the next.
        """
        while (batch := self._lines.take()) is None:
            self._raise_if_lost()
            self._arrived.clear()
            await self._arrived.wait()
        if not self._reading and self._going_on is None and not self._is_full():
            self._read_on()
        return Batch(*batch)

    def acknowledge(self, acks: bytes) -> None:
        """Send these PUBACKs. Without effect once the connection is lost: the numbers would mean other messages to the
        next one."""
        if not self._lost.done():
            self._send(acks)

    def add(self, lines: Sequence[bytes]) -> None:
        """Lines of our own, in their turn."""
        for line in lines:
            self._lines.add(line)
        # also without any: acknowledgements may have waited for it
        self._arrived.set()

    def publish(self, topic: str, payload: bytes, qos: int = 0, retained: bool = False) -> None:
        """Send a message of our own, once; under QoS 1 nobody waits for the broker's PUBACK, but a refusal is told."""
        number = self._next_number() if qos else 0
        if qos:
            self._published[number] = topic
        self._send(codec.publish(topic, payload, newest=self._newest, qos=qos, retained=retained, number=number))

    def close(self) -> None:
        """Say goodbye: the broker keeps the session, and does not publish the will."""
        if self._transport is not None and not self._lost.done():
            self._send(codec.disconnect(newest=self._newest))
            self._transport.close()
            # a broker that does not read any more keeps nobody waiting
            self._loop.call_later(GOODBYE_S, self._transport.abort)
            self._transport = None
        self._end("closed")

    def fail(self, error: BaseException) -> None:
        """A fault of ours ends it: `take` raises this very error."""
        self._failure = error
        self._end(str(error))
        self.drop()

    def drop(self) -> None:
        """Close the socket, whatever state it is in. Safe to call at any time, also twice."""
        self._end("dropped")
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's
        self._transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)

    def get_buffer(self, sizehint: int) -> memoryview:
        room = self._splitter.room()
        self._room_bytes = len(room)
        return room

    def buffer_updated(self, count: int) -> None:
        self.received(count, count == self._room_bytes)

    def received(self, count: int, full: bool) -> None:
        """So many bytes lie in the buffer. `full`: there may be more where they come from."""
        self._progress_bytes += count
        self._splitter.filled(count)
        seen = self._lines.seen
        self._work()
        messages = self._lines.seen - seen
        if messages:
            self._silent_looks = 0
        if self._lost.done() or not self._reading:
            return
        pause_s = self._pacing.pause(self._loop.time(), messages, full)
        if pause_s:
            self._hold()
            self._going_on = self._loop.call_later(pause_s, self._go_on)

    def eof_received(self) -> None:
        self._end("the broker closed the connection")

    def connection_lost(self, error: Exception | None) -> None:
        # asyncio ends a connection whose protocol has raised: that is no outage, but a fault of ours
        if error is not None and not isinstance(error, OSError):
            self.fail(error)
        why = getattr(error, "strerror", None) or str(error)
        self._end(why if error is not None else "the broker closed the connection")

    # Reading.

    def _work(self) -> None:
        """Make lines of what has arrived; stop reading while there is more of it than a turn or the caps allow."""
        try:
            for type_, _, body in self._lines.drain(self._clock(), TURN_MESSAGES):
                self._control(type_, body)
        except WireFault as fault:
            self._end(f"malformed packet: {fault}")
            self.drop()
            return
        except Exception as error:
            # in a turn of our own the loop would log it, and nothing would be read ever again
            self.fail(error)
            return
        for cause, payload, topic in self._lines.take_faults():
            self._fault(cause, payload, topic.decode(errors="replace"))
        if self._lines.pending_messages:
            self._arrived.set()
        if self._lines.more:
            self._hold()
            self._going_on = self._loop.call_soon(self._go_on)
        elif self._is_full():
            self._hold()

    def _go_on(self) -> None:
        """After a pause, or in the next turn: first what is here, then what the socket has."""
        self._going_on = None
        if self._lost.done():
            return
        if self._lines.more:
            self._work()
        if self._going_on is None and not self._is_full():
            self._read_on()

    def _is_full(self) -> bool:
        settings = self._settings
        lines = self._lines
        return lines.pending_messages >= settings.queue_messages or lines.pending_bytes >= settings.queue_bytes

    def _hold(self) -> None:
        if self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    def _read_on(self) -> None:
        if self._transport is None or self._lost.done():
            return
        if self._lines.more:
            self._going_on = self._loop.call_soon(self._go_on)
        elif not self._reading:
            self._reading = True
            self._transport.resume_reading()

    # Control packets.

    def _control(self, type_: int, body: bytes) -> None:
        self._silent_looks = 0
        if type_ == codec.CONNACK:
            if self._accepted.done():
                raise WireFault("a second CONNACK")
            self._accepted.set_result(codec.read_connack(body, newest=self._newest))
        elif type_ == codec.SUBACK:
            number, codes = codec.read_suback(body, newest=self._newest)
            waiting = self._subacks.get(number)
            if waiting is not None and not waiting.done():
                waiting.set_result(codes)
        elif type_ == codec.PUBREL:
            # of a message that is on disk: what would come twice is known by its record, not by its packet's number
            self._send(codec.pubcomp(body))
        elif type_ == codec.DISCONNECT and self._newest:
            self._end(codec.read_disconnect(body))
        elif type_ == codec.PUBACK:
            number, why = codec.read_puback(body, newest=self._newest)
            topic = self._published.pop(number, "")
            if why:
                self._fault(f"{topic}: the broker refuses what we publish: {why}", b"", topic)
        elif type_ not in (codec.PINGRESP, codec.UNSUBACK):
            raise WireFault(f"a packet of type {type_} that nobody asked for")

    def _send(self, packet: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            self._end("the broker does not read what it is answered")
            self.drop()
            return
        self._spoke_s = self._loop.time()
        self._transport.write(packet)

    def _next_number(self) -> int:
        self._number = self._number % 65_535 + 1
        return self._number

    # Life.

    def _watch(self) -> None:
        """Ping when we were silent, give up when the broker was. While we do not read, its silence says nothing; nor
        does one long pause of our own between two looks, so looks are counted, not seconds."""
        is_heard = not self._reading or self._progress_bytes >= PROGRESS_BYTES_MIN
        self._silent_looks = 0 if is_heard else self._silent_looks + 1
        self._progress_bytes = 0
        if self._silent_looks > SILENT_LOOKS_MAX:
            self._end(f"the broker was silent for {self._keepalive_s * SILENT_LOOKS_MAX / LOOKS:g} s")
            self.drop()
            return
        if self._loop.time() - self._spoke_s >= 2 * self._keepalive_s / LOOKS:
            self._send(codec.PING)
        self._alarm = self._loop.call_later(self._keepalive_s / LOOKS, self._watch)

    async def _answer(self, answer: asyncio.Future[codec.T]) -> codec.T:
        """The answer, or Lost when the connection is."""
        await asyncio.wait([answer, self._lost], return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            self._raise_if_lost()
        return answer.result()

    def _raise_if_lost(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._lost.done():
            raise Lost(self._lost.result())

    def _end(self, why: str) -> None:
        if not self._lost.done():
            self._lost.set_result(why)
        for handle in (self._alarm, self._going_on):
            if handle is not None:
                handle.cancel()
        self._alarm = self._going_on = None
        self._arrived.set()


def subscriptions(settings: Settings) -> Sequence[codec.Subscription]:
    """Every topic of the settings, once a filter. By QoS 0 where the session ends with the connection: then nobody is
    there who acknowledges, and the broker would stop after the first messages."""
    qos_max = 1 if settings.session_expiry_s else 0
    wanted: dict[str, Topic] = {}
    for topic in settings.topics:
        wire = settings.asked_for(topic)
        if wire not in wanted or wanted[wire].qos < topic.qos:
            wanted[wire] = topic
    accepting = {settings.asked_for(topic) for topic in settings.topics if topic.retained == "accept"}
    found = [
        codec.Subscription(
            wire, min(topic.qos, qos_max), codec.RETAINED_IF_NEW if wire in accepting else codec.RETAINED_NEVER
        )
        for wire, topic in wanted.items()
    ]
    if settings.sparkplug is not None:
        filters = [f"spBv1.0/{group}/#" for group in settings.sparkplug.groups]
        if settings.sparkplug.state_topic is not None:
            filters.append(settings.sparkplug.state_topic)
        # a death is the will of a node, which comes under QoS 1
        found += [codec.Subscription(each, qos_max, codec.RETAINED_NEVER) for each in filters]
    return found
