"""What of a server's answer is handed to asyncua: what was asked for, and no more of it than it can bear.

asyncua makes objects of every byte and believes every length: a million empty DiagnosticInfos keep the event loop for
seconds, one Variant of a few bytes for as long, or takes all memory. Nobody asks for diagnostics, filter results or
output arguments here, so an answer is written anew without them; what is left has neither Variants nor extension
objects, and its pieces are counted. Each kind of request has its own answer, whatever the answer says that it is.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from ext.opcua_values import Cursor, Unfit

PIECES_MAX = 100_000
"""Values in an answer: what asyncua makes of so many takes it some tenths of a second."""

BOOLEAN, BYTE, INT32, UINT32, DOUBLE, STRING, DATE_TIME, BYTES = 1, 3, 6, 7, 11, 12, 13, 15
NODE_ID, EXPANDED, STATUS, NAME, TEXT, OBJECT, VARIANT, DIAGNOSTIC = 17, 18, 19, 20, 21, 22, 24, 25
EMPTY = bytes(4)  # a list

SERVICE_FAULT = b"\x01\x00" + struct.pack("<H", 397)
_TYPE_BYTES = 4  # of a type id in namespace 0 (OPC 10000-6 section 5.2.2.9)
_STATUS_AT = _TYPE_BYTES + 8 + 4  # behind Timestamp and RequestHandle (OPC 10000-4 section 7.33)
FAULT_BYTES = _STATUS_AT + 4


class Malformed(Exception):
    """It is no answer to what was asked, or more than can be borne. The message says what of it."""


class Many(NamedTuple):
    """A list."""

    of: Layout


class Unasked(NamedTuple):
    """What nobody asked for, and what stands in its place."""

    layout: Layout
    instead: bytes


Layout = int | tuple["Layout", ...] | Many | Unasked
"""A built-in type (OPC 10000-6 table 1), or a structure's members."""

NO_DIAGNOSTICS = Unasked(Many(DIAGNOSTIC), EMPTY)
HEADER: Layout = (
    *(DATE_TIME, UINT32, STATUS, Unasked(DIAGNOSTIC, b"\0"), Unasked(Many(STRING), EMPTY)),
    Unasked(OBJECT, b"\0\0\0"),
)
_APPLICATION: Layout = (STRING, STRING, TEXT, INT32, STRING, STRING, Many(STRING))
_USER_POLICY: Layout = (STRING, INT32, STRING, STRING, STRING)
_ENDPOINT: Layout = (STRING, _APPLICATION, BYTES, INT32, STRING, Many(_USER_POLICY), STRING, BYTE)
_REFERENCE: Layout = (NODE_ID, BOOLEAN, EXPANDED, NAME, TEXT, INT32, EXPANDED)
_BROWSED: Layout = (Many((STATUS, BYTES, Many(_REFERENCE))), NO_DIAGNOSTICS)
_STATUSES: tuple[Layout, ...] = (Many(STATUS), NO_DIAGNOSTICS)
_ARGUMENTS: tuple[Layout, ...] = (Many(STATUS), NO_DIAGNOSTICS, Unasked(Many(VARIANT), EMPTY))

ANSWERS: dict[str, Layout] = {
    "GetEndpointsRequest": (Many(_ENDPOINT),),
    "OpenSecureChannelRequest": (UINT32, (UINT32, UINT32, DATE_TIME, UINT32), BYTES),
    "CloseSecureChannelRequest": (),
    "CreateSessionRequest": (
        *(NODE_ID, NODE_ID, DOUBLE, BYTES, BYTES, Many(_ENDPOINT), Many((BYTES, BYTES))),
        *((STRING, BYTES), UINT32),
    ),
    "ActivateSessionRequest": (BYTES, *_STATUSES),
    "CloseSessionRequest": (),
    "BrowseRequest": _BROWSED,
    "BrowseNextRequest": _BROWSED,
    "TranslateBrowsePathsToNodeIdsRequest": (Many((STATUS, Many((EXPANDED, UINT32)))), NO_DIAGNOSTICS),
    "CallRequest": (Many((STATUS, *_ARGUMENTS)), NO_DIAGNOSTICS),
    "CreateSubscriptionRequest": (UINT32, DOUBLE, UINT32, UINT32),
    "DeleteSubscriptionsRequest": _STATUSES,
    "SetPublishingModeRequest": _STATUSES,
    "TransferSubscriptionsRequest": (Many((STATUS, Many(UINT32))), NO_DIAGNOSTICS),
    "DeleteMonitoredItemsRequest": _STATUSES,
    "CreateMonitoredItemsRequest": (Many((STATUS, UINT32, DOUBLE, UINT32, Unasked(OBJECT, b"\0\0\0"))), NO_DIAGNOSTICS),
}
"""What follows the header of the answer to each request (OPC 10000-4 section 5)."""

OURS = frozenset({"PublishRequest", "RepublishRequest", "ReadRequest"})
"""Their answers are read by `ext.opcua_notifications`."""


def fault_of(body: bytes) -> int | None:
    """The status of an answer that is a ServiceFault; None: it is none. `body`: FAULT_BYTES of it are enough."""
    if body[:_TYPE_BYTES] != SERVICE_FAULT:
        return None
    if len(body) < FAULT_BYTES:
        raise Malformed("a fault that is cut off")
    return int(struct.unpack_from("<I", body, _STATUS_AT)[0])


def rewritten(request: str, body: bytes) -> bytes:
    """The answer to a request (the name of its type) as asyncua may have it. Raises Malformed."""
    layout = ANSWERS.get(request)
    if layout is None:
        raise Malformed(f"{request} is not asked here")
    copy = _Copy(body)
    try:
        copy.take((NODE_ID, HEADER, layout))
    except Unfit:
        raise Malformed("it ends before its members do") from None
    return b"".join(copy.parts)


class _Copy:
    def __init__(self, body: bytes) -> None:
        self.parts: list[bytes] = []
        self._body = body
        self._cursor = Cursor(body, _nothing)
        self._pieces = 0

    def take(self, layout: Layout) -> None:
        if isinstance(layout, int):
            self._copy(layout)
        elif isinstance(layout, Many):
            self._list(layout.of)
        elif isinstance(layout, Unasked):
            kept = len(self.parts)
            self.take(layout.layout)
            self.parts[kept:] = [layout.instead]
        else:
            for member in layout:
                self.take(member)

    def _copy(self, type: int) -> None:
        self._pieces += 1
        if self._pieces > PIECES_MAX:
            raise Malformed(f"more than {PIECES_MAX} values")
        at = len(self._body) - self._cursor.left
        self._cursor.skip(type)
        self.parts.append(self._body[at : len(self._body) - self._cursor.left])

    def _list(self, layout: Layout) -> None:
        self._copy(INT32)
        (count,) = struct.unpack("<i", self.parts[-1])
        for _ in range(count):
            self.take(layout)


def _nothing(encoded: bytes) -> tuple[object, str | None]:
    return None, None
