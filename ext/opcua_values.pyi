"""A data value of OPC UA in plain form."""

from collections.abc import Callable
from typing import Final

DEPTH_MAX: Final[int]
ELEMENTS_MAX: Final[int]
TEXT_BYTES_MAX: Final[int]
STRUCTURE_BYTES_MAX: Final[int]

class Reading:
    """`status`: the whole 32-bit code; times: microseconds since 1970, None if not sent or no time.

    `fault`: why a good value has no plain form; it is then as unusable as a bad one.
    """

    value: object
    status: int
    fault: str | None

    def __init__(
        self,
        value: object,
        status: int = 0,
        source_us: int | None = None,
        server_us: int | None = None,
        fault: str | None = None,
    ) -> None: ...
    @property
    def source_us(self) -> int | None: ...
    @property
    def server_us(self) -> int | None: ...
    @property
    def bad(self) -> bool:
        """Severity 10, or 11, which is reserved and counts as bad. Uncertain values are used."""

    @property
    def overflow(self) -> bool:
        """Values of this item were lost before this one."""

    @property
    def sound(self) -> bool:
        """Good, and nothing else to say about it."""

    def time_us(self, time: str) -> int | None:
        """The time that the site chose (`source`, `server`, `none`), if the server sent it."""

class Unfit(Exception):
    """A value has no plain form; the message says why."""

class Cursor:
    """Reads the members of a structure one after the other. `library`: see `ext.opcua_notifications`."""

    def __init__(self, data: bytes, library: Callable[[bytes], tuple[object, str | None]]) -> None: ...
    @property
    def left(self) -> int:
        """Bytes that have not been read."""

    def take(self, type: int) -> object:
        """The plain form of a value of this built-in type (OPC 10000-6 table 1), 1 to 25. Raises Unfit."""

    def variant(self) -> object:
        """The plain form of the Variant that comes next. Raises Unfit."""

    def skip(self, type: int) -> None:
        """Passes a value over. Raises Unfit."""

    def count(self) -> int:
        """The length of an array, -1 for none. Raises Unfit."""
