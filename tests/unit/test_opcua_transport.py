"""What a hostile OPC UA server can make us hold, and what we rely on inside asyncua."""

from __future__ import annotations

import asyncio
import gc
import inspect
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from asyncua import Client, ua
from asyncua.client import ua_client
from asyncua.client.ua_client import UaClient, UASocketProtocol
from asyncua.client.ua_session import UaSession
from asyncua.common.connection import SecureConnection, TransportLimits
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary, uatcp_to_binary

from protocols.opcua import transport
from protocols.opcua.connection import Connection
from protocols.opcua.failures import LinkLost
from protocols.opcua.transport import CHUNK_BYTES_MAX, CHUNKS_MAX, BoundedClient, Limits
from tests.opcua import CARTONS, line, running, settings
from tests.peers import free_port

MESSAGE_BYTES_MAX = 65_536
SECURITY_NONE = struct.pack("<i", 47) + b"http://opcfoundation.org/UA/SecurityPolicy#None" + 2 * struct.pack("<i", -1)
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def hostile(answer: Answer) -> AsyncIterator[BoundedClient]:
    """A server that takes the Hello, acknowledges it without any limit, and then does as `answer` says; with a client
    that has said its Hello."""
    port = free_port()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        header = await reader.readexactly(8)
        await reader.readexactly(struct.unpack_from("<I", header, 4)[0] - 8)
        acknowledge = ua.Acknowledge(ReceiveBufferSize=0, SendBufferSize=0, MaxMessageSize=0, MaxChunkCount=0)
        writer.write(uatcp_to_binary(ua.MessageType.Acknowledge, acknowledge))
        try:
            await answer(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    client = BoundedClient(2, MESSAGE_BYTES_MAX)
    try:
        await client.connect_socket("127.0.0.1", port)
        await client.send_hello(f"opc.tcp://127.0.0.1:{port}/")
        yield client
    finally:
        client.disconnect_socket()
        server.close()


async def ended(client: BoundedClient) -> None:
    protocol = client.protocol
    assert protocol is not None
    async with asyncio.timeout(60):
        while not protocol.is_closed:
            await asyncio.sleep(0.01)


def test_a_chunk_is_refused_by_the_length_that_it_claims() -> None:
    async def story() -> None:
        async def claim(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"MSGF" + struct.pack("<I", 3_000_000_000))
            while True:
                writer.write(bytes(65_536))
                await writer.drain()

        async with hostile(claim) as client:
            await ended(client)
            assert len(client.protocol._begun) == 0

    asyncio.run(story())


def test_whatever_way_the_bytes_are_cut_the_same_messages_come(monkeypatch: pytest.MonkeyPatch) -> None:
    original = transport.Protocol.data_received

    def byte_by_byte(self: transport.Protocol, data: bytes) -> None:
        for at in range(len(data)):
            original(self, data[at : at + 1])

    async def story() -> None:
        async with line() as packing:
            configured = settings(packing.url, variables={"cartons": CARTONS | {"collect": "monitor"}})
            monkeypatch.setattr(transport.Protocol, "data_received", byte_by_byte)
            async with running(configured) as kept:
                await kept.up()
                await asyncio.sleep(0.1)
                for number in range(1, 6):
                    await packing.write(Kind=1, Lu=f"T-{number}", Counter=number)
                await kept.until(lambda: len(kept.of("carton.open")) == 5)
                assert [record["lu"] for record in kept.of("carton.open")] == [f"T-{n}" for n in range(1, 6)]

    asyncio.run(story())


def chunk(number: int, body: bytes, kind: bytes = b"C") -> bytes:
    return b"MSG" + kind + struct.pack("<IIIII", 24 + len(body), 0, 0, number, 1) + body


@pytest.mark.parametrize(("body", "chunks_most"), [(b"", CHUNKS_MAX), (bytes(8_192), MESSAGE_BYTES_MAX // 8_192)])
def test_a_message_that_never_ends_is_refused_by_its_chunks_and_by_its_bytes(body: bytes, chunks_most: int) -> None:
    async def story() -> None:
        go = asyncio.Event()

        async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await go.wait()
            for number in range(1, 1 << 20):
                writer.write(chunk(number, body))
                await writer.drain()

        async with hostile(endless) as client:
            protocol = client.protocol
            seen = 0
            original = protocol._connection._receive

            def counted(message: Any) -> Any:
                nonlocal seen
                seen += 1
                return original(message)

            protocol._connection._receive = counted
            go.set()
            await ended(client)
            assert seen == chunks_most + 1
            assert protocol._connection._incoming_parts == []

    asyncio.run(story())


def test_the_servers_acknowledge_lifts_no_limit_of_ours() -> None:
    limits = Limits(CHUNK_BYTES_MAX, CHUNK_BYTES_MAX, CHUNKS_MAX, MESSAGE_BYTES_MAX)
    for size, sending in ((0, CHUNK_BYTES_MAX), (1, 8_192), (65_536, 65_536), (1 << 31, CHUNK_BYTES_MAX)):
        acknowledge = ua.Acknowledge(ReceiveBufferSize=size, SendBufferSize=1 << 31, MaxMessageSize=0, MaxChunkCount=0)
        limits.update_client_limits(acknowledge)
        assert (limits.max_send_buffer, limits.max_recv_buffer) == (sending, CHUNK_BYTES_MAX)
        assert (limits.max_chunk_count, limits.max_message_size) == (CHUNKS_MAX, MESSAGE_BYTES_MAX)


def test_an_answer_larger_than_anything_asked_for_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with line() as packing:
            connection = Connection(settings(packing.url, variables={"cartons": CARTONS}), "packing")
            await connection.open()
            monkeypatch.setattr(transport, "ANSWER_BYTES_MAX", 100)
            with pytest.raises(LinkLost, match="answered BrowseRequest with"):
                await connection.browse_subtypes(ua.NodeId(2041, 0))
            await connection.close()

    asyncio.run(story())


def test_before_a_server_is_believed_its_answers_are_bounded_too() -> None:
    async def story() -> None:
        configured = settings("opc.tcp://127.0.0.1:1", variables={"cartons": CARTONS})
        configured = msgspec.structs.replace(configured, message_bytes_max=64 << 20)
        stranger = Connection(configured, "packing")._new_client("urn:x", transport.ANSWER_BYTES_MAX // 4)
        assert isinstance(stranger.uaclient, BoundedClient)
        assert stranger.uaclient._make_protocol()._connection._limits.max_message_size == 1 << 18

    asyncio.run(story())


async def asked_for(reader: asyncio.StreamReader) -> tuple[bytes, int]:
    """Message type and request id of what the client sends next. Without security."""
    header = await reader.readexactly(12)
    body = await reader.readexactly(struct.unpack_from("<I", header, 4)[0] - 12)
    at = 4 if header[:3] == b"MSG" else len(SECURITY_NONE)
    return header[:3], int(struct.unpack_from("<I", body, at + 4)[0])


def message(kind: bytes, security: bytes, number: int, of: int, response: Any) -> bytes:
    encoded: bytes = struct_to_binary(response)
    body = struct.pack("<I", 1) + security + struct.pack("<II", number, of) + encoded
    return kind + b"F" + struct.pack("<I", len(body) + 8) + body


def test_the_token_before_a_renewal_is_good_however_late_the_servers_clock_is() -> None:
    """The server answers under it what was asked for before; its clock stands in another year."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in (1, 2):
            kind, of = await asked_for(reader)
            assert kind == b"OPN"
            opened = ua.OpenSecureChannelResponse()
            opened.Parameters.SecurityToken = ua.ChannelSecurityToken(
                ChannelId=1, TokenId=number, CreatedAt=datetime(2001, 1, 1, tzinfo=UTC), RevisedLifetime=3_600_000
            )
            writer.write(message(b"OPN", SECURITY_NONE, number, of, opened))
            if number == 1:
                _, asked = await asked_for(reader)
        _, renewed = await asked_for(reader)
        writer.write(message(b"MSG", struct.pack("<I", 1), 3, asked, ua.GetEndpointsResponse()))
        writer.write(message(b"MSG", struct.pack("<I", 2), 4, renewed, ua.GetEndpointsResponse()))
        await reader.read()

    async def story() -> None:
        async with hostile(answer) as client:
            opening = ua.OpenSecureChannelParameters(RequestType=ua.SecurityTokenRequestType.Issue)
            await client.open_secure_channel(opening)
            waiting = asyncio.create_task(client.get_endpoints(ua.GetEndpointsParameters()))
            await asyncio.sleep(0)
            await client.open_secure_channel(replace(opening, RequestType=ua.SecurityTokenRequestType.Renew))
            await client.get_endpoints(ua.GetEndpointsParameters())
            assert await waiting == []

    asyncio.run(story())


def test_an_answer_that_nobody_waits_for_any_more_when_the_connection_is_lost_is_no_complaint() -> None:
    async def story() -> list[dict[str, Any]]:
        said: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: said.append(context))
        protocol = BoundedClient(2, MESSAGE_BYTES_MAX)._make_protocol()
        protocol._callbackmap[1] = loop.create_future()
        protocol.connection_lost(None)
        gc.collect()
        return said

    assert asyncio.run(story()) == []


def test_what_is_relied_on_inside_asyncua_is_still_there() -> None:
    protocol = UASocketProtocol()
    for name in ("_callbackmap", "timeout", "transport", "_connection"):
        assert hasattr(protocol, name), name
    for owner, names in (
        (
            UASocketProtocol,
            ("data_received", "send_hello", "open_secure_channel", "_fail_all_pending", "disconnect_socket"),
        ),
        (UASocketProtocol, ("_process_received_message", "check_answer")),
        (ua.Message, ("body",)),
        (UaClient, ("_make_protocol", "_on_transport_lost", "_is_session_closing", "_send_request")),
        (UaSession, ("_send_request", "ensure_publish_loop", "restore_authentication_token")),
        (TransportLimits, ("update_client_limits", "is_chunk_count_within_limit", "is_msg_size_within_limit")),
        (SecureConnection, ("_receive",)),
    ):
        for name in names:
            assert callable(getattr(owner, name)), name
    assert list(inspect.signature(UaSession._send_request).parameters)[:3] == ["self", "request", "timeout"]
    client = Client("opc.tcp://127.0.0.1:1")
    assert client._server_nonce is None
    assert client._policy_ids == []


def test_a_channel_is_opened_with_what_was_asked_for_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a hostile server puts beside it would keep asyncua for seconds."""
    decoded: list[int] = []

    def decoding(of: Any, data: Any) -> Any:
        decoded.append(len(data))
        return struct_from_binary(of, data)

    monkeypatch.setattr(ua_client, "struct_from_binary", decoding)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in (1, 2):
            _, of = await asked_for(reader)
            opened = ua.OpenSecureChannelResponse()
            opened.ResponseHeader.AdditionalHeader = ua.LiteralOperand(ua.Variant([None] * 9_000, ua.VariantType.Null))
            if number == 2:
                opened.ResponseHeader.ServiceResult = ua.StatusCode(ua.UInt32(ua.StatusCodes.BadTooManySessions))
                opened.TypeId = ua.FourByteNodeId(ua.ObjectIds.ServiceFault_Encoding_DefaultBinary)
            opened.Parameters.SecurityToken = ua.ChannelSecurityToken(1, 1, datetime.now(UTC), 3_600_000)
            writer.write(message(b"OPN", SECURITY_NONE, number, of, opened))
        await reader.read()

    async def story() -> None:
        async with hostile(answer) as client:
            opening = ua.OpenSecureChannelParameters(RequestType=ua.SecurityTokenRequestType.Issue)
            await client.open_secure_channel(opening)
            with pytest.raises(ua.uaerrors.BadTooManySessions):
                await client.open_secure_channel(opening)

    asyncio.run(story())
    assert len(decoded) == 1
    assert decoded[0] < 100
