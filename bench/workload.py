"""What the cases work on: the same story-like traffic every time."""

from __future__ import annotations

from simulators.canonical import tell, write
from simulators.settings import Troubles
from simulators.warehouse import tell_story

SEED = 20261123
CHUNK_BYTES = 256 * 1024
TROUBLES = Troubles(noise=0.6, duplicates=0.01, disorder_ms=1_500)


def story_chunks(orders: int) -> list[bytes]:
    """NDJSON of a story of so many orders (some 50 records each), cut at line ends into pieces of about CHUNK_BYTES."""
    chunks: list[bytes] = []
    lines: list[bytes] = []
    size = 0
    for line in write(tell(tell_story(orders, SEED), SEED, TROUBLES).said):
        lines.append(line)
        size += len(line)
        if size >= CHUNK_BYTES:
            chunks.append(b"".join(lines))
            lines, size = [], 0
    return [*chunks, b"".join(lines)] if lines else chunks
