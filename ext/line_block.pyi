"""Canonical lines in one piece, each ended by a line feed."""

class LineBlock:
    size: int
    """Bytes."""
    count: int
    """Lines."""

    def __init__(self) -> None: ...
    def append(self, text: bytes) -> None:
        """A line, given without its line feed."""

    def take(self) -> tuple[bytes, int]:
        """All of them and how many; the block is empty then, and keeps its memory."""
