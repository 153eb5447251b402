"""Frames of a WebSocket as its client (RFC 6455 section 5), taken off and put on; what they carry is somebody else's.

    socket ──► room of the one who reads the bytes ──strip──► the same room, without the frames' heads

Any cut of the same bytes gives the same payload; nothing is copied anywhere else, and nothing is held but a head that
has not wholly arrived and a control frame (125 bytes). A frame may be as long as it likes: it is never collected.
"""

from typing import Final

BINARY: Final[int]
CLOSE: Final[int]
PONG: Final[int]

class FrameFault(ValueError):
    """Bytes that are no frames of a server's binary messages, with what is wrong with them: this connection is over."""

class Unframer:
    """Takes the frames of one connection off."""

    ping: bytes | None
    """What the newest ping carried that nobody has answered yet: set it to None when it is (section 5.5.3)."""
    closed: bytes | None
    """What the close frame carried. What comes behind it counts no more."""

    def strip(self, room: memoryview, count: int) -> int:
        """Moves the payload of binary messages among the first `count` bytes together; how many they are.
        Raises FrameFault."""

def frame(opcode: int, payload: bytes, key: bytes) -> bytes:
    """One whole frame, masked with four random bytes, as a client has to (section 5.3)."""
