"""The client's side of Modbus on the wire: requests to bytes, bytes to answers, each checked against its request.

Everything that is not exactly the answer to a request that is on its way is a fault. The caller then closes the
connection: on a line of which the position is in doubt, each later answer would be taken for the one before it.

    TCP   transaction 2, protocol 2 (0), length 2, unit 1, function 1, ...    big-endian
          MODBUS Messaging on TCP/IP Implementation Guide 1.0b, section 3.1.3
    RTU   unit 1, function 1, ..., CRC-16 2 (low byte first)
          MODBUS over Serial Line 1.02, section 2.5.1

    read 1 to 4  ->  function, bytes 1, payload
    write 6, 16  ->  function, address 2, value or quantity 2
    echo 8       ->  function, 0 2, number 2
    refusal      ->  function | 0x80, exception 1
          MODBUS Application Protocol 1.1b3, sections 6 and 7
"""

from typing import Any

IN_FLIGHT_MAX: int
"""Requests that a connection can have on their way, abandoned ones included."""

def crc16(data: bytes) -> int:
    """The check of RTU: polynomial 0xA001 (reflected 0x8005), begun with 0xFFFF; sent low byte first."""

class Frames:
    """The requests on their way over one connection. One at a time with `is_rtu`, for RTU numbers no request."""

    fault: str | None
    """What was wrong with the bytes that came, for good; the text is stable and holds no payload."""
    stale: int
    """Answers that came after nobody waited for them any more."""

    answers: int
    """Answers that came in time."""
    waiting: int
    """Requests whose answers somebody waits for."""

    def __init__(self, is_rtu: bool = False) -> None: ...
    def read(
        self, token: object, unit: int, function: int, address: int, quantity: int, deadline: float = ...
    ) -> bytes:
        """The frame that asks for `quantity` registers (functions 3 and 4) or bits (1 and 2). `token` comes back with
        the answer. `deadline`: in seconds of the caller's clock. Raises ValueError: out of range, or too many are on
        their way."""

    def write(self, token: object, unit: int, function: int, address: int, value: int, deadline: float = ...) -> bytes:
        """The frame that writes one holding register, by function 6 or 16."""

    def echo(self, token: object, unit: int, number: int, deadline: float = ...) -> bytes:
        """The frame that asks for its own number again (function 8, sub-function 0) and for nothing else. The answer to
        it is b"", or an exception."""

    def expect(self, token: object, transaction: int, unit: int, function: int, address: int, last: int) -> None:
        """A request that somebody else has put on the wire. `last`: its quantity, or the value of function 6."""

    def feed(self, data: bytes) -> list[tuple[Any, bytes | int]]:
        """Whatever came, cut anywhere: the answers that are whole now, as (token, answer), in the order of arrival.

        An answer is the payload of a read (registers big-endian, or bits from the lowest on), b"" for a write, or the
        number of an exception. After a `fault` it is always empty.
        """

    def abandon(self, token: object) -> bool:
        """Nobody waits for this answer any more; when it comes it is dropped and counted in `stale`. False: it is not
        on its way, or (RTU) its answer could not be told from the next: then the connection is in doubt."""

    def overdue(self, now: float) -> list[Any]:
        """Tokens of requests whose deadline is over, and that are not abandoned."""

    def earliest(self) -> float:
        """The first deadline of those that are waited for; infinity: there is none."""

    def is_alive(self, token: object) -> bool:
        """Whether other answers have come since this request was sent."""

    def tokens_waiting(self) -> list[Any]:
        """The tokens of all requests that are not abandoned."""

    def __len__(self) -> int:
        """How many are on their way, abandoned ones included."""
