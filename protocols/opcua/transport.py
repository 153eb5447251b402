"""asyncua's transport and session, with limits that no server can lift, and answers as bytes where they are many.

asyncua takes over whatever limits a server's Acknowledge names (0: none), and collects a chunk of any length that its
header claims before it looks at it. Here both are bounded, also before anything is known of who the server is. What is
relied on inside asyncua is held by tests/unit/test_opcua_transport.py.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from asyncua import ua
from asyncua.client.ua_client import UaClient, UASocketProtocol
from asyncua.client.ua_session import UaSession
from asyncua.common.connection import TransportLimits
from asyncua.common.utils import Buffer, wait_for
from asyncua.ua.ua_binary import uatcp_to_binary

from protocols.opcua.answers import FAULT_BYTES, OURS, fault_of, rewritten
from protocols.opcua.failures import NotOpcUa

CHUNK_BYTES_MAX = 262_144  # offered in our Hello; most servers use 65 536
CHUNK_BYTES_MIN = 8_192  # OPC 10000-6 section 7.1.2.3: each side takes at least so much
CHUNKS_MAX = 4_096
ANSWER_BYTES_MAX = 1 << 20
"""Of an answer that asyncua decodes: every byte of it can become hundreds of bytes of objects. See also `answers`."""

_SIZE_AT, _HEADER_BYTES = 4, 8  # of a message header (OPC 10000-6 section 7.1.2.2)
_FIRST = (b"ACKF", b"ERRF")  # what a server begins with
_CLOSED = (
    "the server closed the connection without a word: does it speak OPC UA (opc.tcp) at this port, and has it room for "
    "one more client?"
)
_FOREIGN = "what answers there does not speak OPC UA (opc.tcp): another port?"


class TooLarge(Exception):
    """An answer is larger than anything that was asked for could be."""


class Limits(TransportLimits):  # type: ignore[misc]
    """What we accept stays as it is; only what the server accepts is taken from its Acknowledge."""

    def update_client_limits(self, msg: ua.Acknowledge) -> None:
        if msg.ReceiveBufferSize:
            self.max_send_buffer: int = max(CHUNK_BYTES_MIN, min(CHUNK_BYTES_MAX, int(msg.ReceiveBufferSize)))


class Protocol(UASocketProtocol):  # type: ignore[misc]
    """Hands on whole chunks only, and refuses one by what its header claims, before its content is collected."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._begun = bytearray()
        self._doubt = _CLOSED  # whether it is OPC UA; empty once it is known to be

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(NotOpcUa(self._doubt) if self._doubt else exc)

    def _fail_all_pending(self, exc: Exception) -> None:
        """Who was told to end in this moment does not look any more: that is no error that nobody saw."""
        pending = list(self._callbackmap.values())
        super()._fail_all_pending(exc)
        for answer in pending:
            if answer.done() and not answer.cancelled():
                answer.exception()

    def data_received(self, data: bytes) -> None:
        self._begun += data
        if self._doubt and not self._refused():
            self._listen()
        at = 0
        while len(self._begun) - at >= _HEADER_BYTES and not self._refused():
            size = int.from_bytes(self._begun[at + _SIZE_AT : at + _HEADER_BYTES], "little")
            if not _HEADER_BYTES <= size <= CHUNK_BYTES_MAX:
                self._begun.clear()
                self._fail_all_pending(TooLarge(f"the server began a chunk of {size} bytes"))
                self.disconnect_socket()
                return
            if len(self._begun) - at < size:
                break
            super().data_received(bytes(self._begun[at : at + size]))
            at += size
        del self._begun[:at]

    def _process_received_message(self, msg: Any) -> None:
        """asyncua decodes the answer to OpenSecureChannel at once, after this."""
        if isinstance(msg, ua.Message) and msg._chunks[0].MessageHeader.MessageType == ua.MessageType.SecureOpen:
            body = msg.body()
            self.check_answer(body, "")
            msg._chunks[0].Body = rewritten("OpenSecureChannelRequest", _rest(body))
            del msg._chunks[1:]
        super()._process_received_message(msg)

    def check_answer(self, data: Buffer, context: str) -> bool:
        """Raises what a ServiceFault says. asyncua would decode what else it holds, and log it."""
        status = fault_of(data.copy().read(min(len(data), FAULT_BYTES)))
        if status is not None:
            ua.StatusCode(ua.UInt32(status)).check()
        return status is None

    def _listen(self) -> None:
        """Whether what has come is the beginning of OPC UA; the connection is over if it cannot be."""
        begun = bytes(self._begun[: len(_FIRST[0])])
        if begun in _FIRST:
            self._doubt = ""
        elif not any(first.startswith(begun) for first in _FIRST):
            self._doubt = _FOREIGN
            self.disconnect_socket()

    def _refused(self) -> bool:
        return self.transport is None or self.transport.is_closing()

    async def send_hello(self, url: str, max_messagesize: int = 0, max_chunkcount: int = 0) -> ua.Acknowledge:
        if self.transport is None:  # lost again already: nobody would end the wait for an answer
            raise NotOpcUa(self._doubt)
        hello = ua.Hello()
        hello.EndpointUrl = url
        hello.ReceiveBufferSize = hello.SendBufferSize = CHUNK_BYTES_MAX
        hello.MaxMessageSize = self._connection._limits.max_message_size
        hello.MaxChunkCount = self._connection._limits.max_chunk_count
        answer: asyncio.Future[ua.Acknowledge] = asyncio.get_running_loop().create_future()
        self._callbackmap[0] = answer
        self.transport.write(uatcp_to_binary(ua.MessageType.Hello, hello))
        return await wait_for(answer, self.timeout)

    async def open_secure_channel(self, params: ua.OpenSecureChannelParameters) -> ua.OpenSecureChannelResult:
        """What was asked for before a renewal is answered under the old token, which asyncua believes for as long as it
        lives, counted from when the server says that it was made. It was made now: the server's clock may be hours off.
        """
        opened = await super().open_secure_channel(params)
        opened.SecurityToken.CreatedAt = datetime.now(UTC)
        return opened


class BoundedClient(UaClient):  # type: ignore[misc]
    """`message_bytes_max`: of a message that is put together out of chunks."""

    def __init__(self, timeout: float, message_bytes_max: int) -> None:
        super().__init__(timeout)
        self._limits = Limits(CHUNK_BYTES_MAX, CHUNK_BYTES_MAX, CHUNKS_MAX, message_bytes_max)
        self.session = Session(self)

    def _make_protocol(self) -> UASocketProtocol:
        self.protocol = Protocol(self._timeout, security_policy=self.security_policy, limits=self._limits)
        self.protocol.pre_request_hook = self._pre_request_hook
        self.protocol.on_connection_lost = self._on_transport_lost
        self.protocol.is_session_closing = self._is_session_closing
        return self.protocol

    async def _send_request(self, request: Any, *args: Any, **options: Any) -> Buffer:
        """Of the session's requests, too."""
        answer = await super()._send_request(request, *args, **options)
        name = type(request).__name__
        if name in OURS:
            return answer
        if len(answer) > ANSWER_BYTES_MAX:
            raise TooLarge(f"the server answered {name} with {len(answer)} bytes")
        return Buffer(rewritten(name, _rest(answer)))


class Session(UaSession):  # type: ignore[misc]
    """Leaves publishing to us, so that acknowledgements can wait until records are durable."""

    def ensure_publish_loop(self) -> None:
        """Called by asyncua after a subscription is made; its loop would acknowledge by itself."""

    async def publish_body(self, acknowledgements: list[ua.SubscriptionAcknowledgement]) -> bytes:
        """The body of the next Publish response, from its type id on. Waits for as long as it takes."""
        request = ua.PublishRequest()
        request.Parameters.SubscriptionAcknowledgements = acknowledgements
        return _rest(await self._send_request(request, timeout=0))

    async def republish_body(self, subscription_id: int, number: int) -> bytes:
        """The body of a Republish response."""
        request = ua.RepublishRequest()
        request.Parameters.SubscriptionId = ua.UInt32(subscription_id)
        request.Parameters.RetransmitSequenceNumber = ua.UInt32(number)
        return _rest(await self._send_request(request))

    async def read_body(self, parameters: ua.ReadParameters) -> bytes:
        """The body of a Read response."""
        request = ua.ReadRequest()
        request.Parameters = parameters
        return _rest(await self._send_request(request))


def _rest(answer: Buffer) -> bytes:
    return bytes(answer.read(len(answer)))
