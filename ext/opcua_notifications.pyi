"""Publish, Republish and Read responses of OPC UA, read out of the bytes of the message body.

`library`: decodes what is no scalar, text or array of them (structures, matrices, values inside values): takes the
bytes of the Variant, answers (plain value, None) or (None, why it has no plain form), and never raises.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from ext.opcua_values import Reading

NOTIFICATIONS_MAX: Final[int]
FIELDS_MAX: Final[int]

_Library = Callable[[bytes], tuple[object, str | None]]

class Malformed(ValueError):
    """A response that cannot be read; the message says why, without content."""

class Publish:
    """One notification message (OPC 10000-4 section 7.26) with its values as columns.

    `result`: the service's status, and if that is bad nothing else. `more`: the rest of the publishing cycle follows.
    `numbered`: it has notifications, so that its number is its own; a keep-alive carries that of the next message.
    `publish_us`: when the server sent it, by its clock. `count`: value notifications. `events`: (client handle, plain
    fields, why one of them has no plain form). `ended`: the status that a StatusChangeNotification told. `size`: bytes.
    """

    size: int
    count: int
    result: int
    subscription_id: int
    number: int
    publish_us: int | None
    more: bool
    numbered: bool
    events: list[tuple[int, list[object], str | None]]
    ended: int | None

    def columns(self) -> np.ndarray[Any, Any]:
        """Value notifications as a structured array: `handle`, `status`, `source_us`, `server_us` (-2**63: none),
        `type` (OPC 10000-6 table 1), `form` (0 scalar, 1 array, 2 matrix, 3 no value), `number` (integers, booleans;
        a double's bits), `at` and `length` (of the Variant in the body), `count` (bytes or elements)."""

    def readings(self) -> list[tuple[int, Reading]]:
        """(client handle, value) of each value notification."""

def read_publish(body: bytes | memoryview, library: _Library, again: bool = False) -> Publish:
    """The body of a PublishResponse, from its type id on; `again`: of a RepublishResponse. Raises Malformed."""

def read_values(body: bytes | memoryview, library: _Library) -> tuple[int, list[Reading]]:
    """The body of a ReadResponse: the service's status, and the values. Raises Malformed."""

class Items:
    """The monitored items of a session: whose a client handle is."""

    def __init__(self) -> None: ...
    def __len__(self) -> int: ...
    def add(self, owner: int, name: str) -> int:
        """A new item `name` of the owner with this number (from 0); returns its client handle, from 1 on."""

    def owner(self, handle: int) -> int | None: ...
    def sort(self, publishes: Sequence[Publish]) -> list[tuple[int, list[tuple[str, Reading]]]]:
        """The values by owner, each owner's in the order in which they came; unknown handles are passed over."""

def ordered(notes: list[tuple[str, Reading]], last: str, by_time: bool = True) -> list[tuple[str, Reading]]:
    """By source time, those of the name `last` behind the others of one time. If one has no source time, or not
    `by_time`: in the order in which they came, those of the name `last` behind all others."""
