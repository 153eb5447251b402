"""What asyncua gets of a server's answers: what was asked for, and what it decodes as fast as it came."""

from __future__ import annotations

import copy
import dataclasses
import random
import struct
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest
from asyncua import ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary, struct_to_binary

from protocols.opcua.answers import ANSWERS, PIECES_MAX, Malformed, fault_of, rewritten

NOW = datetime(2026, 11, 28, tzinfo=UTC)
DIAGNOSTIC = ua.DiagnosticInfo(SymbolicId=7, AdditionalInfo="why")
ENDPOINT = ua.EndpointDescription(
    EndpointUrl="opc.tcp://x:4840",
    Server=ua.ApplicationDescription(ApplicationUri="urn:x", DiscoveryUrls=["opc.tcp://x:4840"]),
    ServerCertificate=b"\x30\x82",
    UserIdentityTokens=[ua.UserTokenPolicy(PolicyId="anonymous"), ua.UserTokenPolicy(PolicyId="user")],
    SecurityLevel=3,
)
REFERENCE = ua.ReferenceDescription(
    NodeId=ua.ExpandedNodeId("a", 3), BrowseName=ua.QualifiedName("Pick", 2), DisplayName=ua.LocalizedText("Pick", "en")
)
BROWSED = [ua.BrowseResult(ContinuationPoint=b"more", References=[REFERENCE, REFERENCE]), ua.BrowseResult()]


def answer(kind: str, **members: Any) -> Any:
    """The answer to a request of this kind, as a server that tells more than it was asked for sends it."""
    made = getattr(ua, f"{kind}Response")()
    made.ResponseHeader.Timestamp = NOW
    made.ResponseHeader.RequestHandle = 99
    made.ResponseHeader.ServiceDiagnostics = DIAGNOSTIC
    made.ResponseHeader.StringTable = ["a", "text"]
    made.ResponseHeader.AdditionalHeader = ua.KeyValuePair(ua.QualifiedName("k"), ua.Variant(1))
    for name, value in members.items():
        owner, _, member = name.rpartition("__")
        setattr(getattr(made, owner) if owner else made, member, value)
    return made


SAID = {
    "GetEndpoints": answer("GetEndpoints", Endpoints=[ENDPOINT, ENDPOINT]),
    "OpenSecureChannel": answer(
        "OpenSecureChannel",
        Parameters__SecurityToken=ua.ChannelSecurityToken(1, 2, NOW, 3_600_000),
        Parameters__ServerNonce=b"nonce",
    ),
    "CloseSecureChannel": answer("CloseSecureChannel"),
    "CreateSession": answer(
        "CreateSession",
        Parameters__SessionId=ua.NodeId(7, 1),
        Parameters__RevisedSessionTimeout=60_000.0,
        Parameters__ServerNonce=b"n" * 32,
        Parameters__ServerEndpoints=[ENDPOINT],
        Parameters__ServerSoftwareCertificates=[ua.SignedSoftwareCertificate(b"c", b"s")],
        Parameters__ServerSignature=ua.SignatureData("rsa", b"signed"),
        Parameters__MaxRequestMessageSize=1 << 20,
    ),
    "ActivateSession": answer(
        "ActivateSession", Parameters__ServerNonce=b"n", Parameters__Results=[ua.StatusCode(ua.UInt32(0))] * 2
    ),
    "CloseSession": answer("CloseSession"),
    "Browse": answer("Browse", Results=BROWSED),
    "BrowseNext": answer("BrowseNext", Parameters__Results=BROWSED),
    "TranslateBrowsePathsToNodeIds": answer(
        "TranslateBrowsePathsToNodeIds",
        Results=[ua.BrowsePathResult(Targets=[ua.BrowsePathTarget(ua.ExpandedNodeId(1, 2), 4_294_967_295)])] * 2,
    ),
    "CreateSubscription": answer("CreateSubscription", Parameters__SubscriptionId=9),
    "DeleteSubscriptions": answer("DeleteSubscriptions", Results=[ua.StatusCode(ua.UInt32(0x80280000))]),
    "SetPublishingMode": answer("SetPublishingMode", Parameters__Results=[ua.StatusCode(ua.UInt32(0))]),
    "TransferSubscriptions": answer(
        "TransferSubscriptions",
        Parameters__Results=[ua.TransferResult(ua.StatusCode(ua.UInt32(0)), [ua.UInt32(5), ua.UInt32(6)])],
    ),
    "CreateMonitoredItems": answer(
        "CreateMonitoredItems", Results=[ua.MonitoredItemCreateResult(MonitoredItemId=ua.UInt32(4))] * 3
    ),
    "DeleteMonitoredItems": answer("DeleteMonitoredItems", Results=[ua.StatusCode(ua.UInt32(0x80420000))]),
    "Call": answer("Call", Results=[ua.CallMethodResult(InputArgumentResults=[ua.StatusCode(ua.UInt32(0))])]),
}


def chatty(value: Any) -> Any:
    """The same with everything in it that nobody asked for."""
    return with_diagnostics(copy.deepcopy(value))


def with_diagnostics(value: Any) -> Any:
    for field in dataclasses.fields(value):
        member = getattr(value, field.name)
        if field.name in ("DiagnosticInfos", "InputArgumentDiagnosticInfos"):
            setattr(value, field.name, [DIAGNOSTIC, ua.DiagnosticInfo()])
        elif field.name == "FilterResult":
            setattr(value, field.name, ua.KeyValuePair(ua.QualifiedName("k"), ua.Variant(1)))
        elif field.name == "OutputArguments":
            setattr(value, field.name, [ua.Variant(1), ua.Variant([1, 2])])
        for inner in member if isinstance(member, list) else [member]:
            if dataclasses.is_dataclass(inner) and type(inner).__module__.startswith("asyncua.ua.uaprotocol"):
                with_diagnostics(inner)
    return value


def bare(value: Any) -> Any:
    """What is left of an answer."""
    if isinstance(value, list):
        return [bare(one) for one in value]
    if not dataclasses.is_dataclass(value) or isinstance(value, ua.NodeId | ua.StatusCode):
        return value
    drop = ("DiagnosticInfos", "InputArgumentDiagnosticInfos", "FilterResult", "OutputArguments", "ServiceDiagnostics")
    return {
        field.name: bare(getattr(value, field.name))
        for field in dataclasses.fields(value)
        if field.name not in (*drop, "StringTable", "AdditionalHeader")
    }


@pytest.mark.parametrize("kind", sorted(SAID))
def test_an_answer_keeps_what_was_asked_for(kind: str) -> None:
    told = SAID[kind]
    plain = rewritten(f"{kind}Request", struct_to_binary(told))
    told = chatty(told)
    told_whole = struct_to_binary(told)
    assert rewritten(f"{kind}Request", told_whole + b"and more") == plain
    decoded = struct_from_binary(type(told), Buffer(plain))
    assert bare(decoded) == bare(told)
    assert decoded.ResponseHeader.StringTable == []
    for length in range(len(told_whole)):
        with pytest.raises(Malformed):
            rewritten(f"{kind}Request", told_whole[:length])


def test_every_request_has_its_answer_tried() -> None:
    assert {f"{kind}Request" for kind in SAID} == set(ANSWERS)


@pytest.mark.parametrize("kind", sorted(SAID))
def test_whatever_comes_asyncua_is_quick_and_small(kind: str) -> None:
    """Bytes turned over anywhere: it is refused, or is read in a moment."""
    whole = struct_to_binary(chatty(SAID[kind]))
    chance = random.Random(5)
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.choice(
                (0, 1, 0x7F, 0x80, 0xC0, 0xFF, chance.randrange(256))
            )
        tracemalloc.start()
        try:
            kept = rewritten(f"{kind}Request", bytes(damaged))
            struct_from_binary(type(SAID[kind]), Buffer(kept))
        except Exception as error:  # as the driver: any of them ends the connection
            assert not isinstance(error, MemoryError)
        finally:
            _, most = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert most < 10_000_000


def test_a_million_of_anything_is_refused_at_once() -> None:
    many = struct.pack("<i", 1_000_000)
    head = struct_to_binary(answer("DeleteSubscriptions"))[:-8]
    assert rewritten("DeleteSubscriptionsRequest", head + bytes(8))
    for tail in (many + bytes(1_000_000), bytes(4) + many + bytes(1_000_000), many + bytes(4_000_000)):
        with pytest.raises(Malformed):
            rewritten("DeleteSubscriptionsRequest", head + tail)
    few = struct.pack("<i", PIECES_MAX // 2) + bytes(2 * PIECES_MAX) + bytes(4)
    assert rewritten("DeleteSubscriptionsRequest", head + few)


def test_an_answer_that_says_that_it_is_another_one_is_read_as_what_was_asked_for() -> None:
    body = struct_to_binary(SAID["Browse"])
    disguised = struct_to_binary(ua.PublishResponse())[:4] + body[4:]
    assert rewritten("BrowseRequest", disguised)[4:] == rewritten("BrowseRequest", body)[4:]
    with pytest.raises(Malformed, match="not asked"):
        rewritten("HistoryReadRequest", body)


def test_of_a_fault_only_its_status_is_read() -> None:
    fault = ua.ServiceFault()
    fault.ResponseHeader.ServiceResult = ua.StatusCode(ua.UInt32(ua.StatusCodes.BadTooManySessions))
    body = struct_to_binary(fault)
    assert fault_of(body) == fault_of(body[:20]) == ua.StatusCodes.BadTooManySessions
    assert fault_of(struct_to_binary(SAID["Browse"])) is None
    with pytest.raises(Malformed):
        fault_of(body[:19])
