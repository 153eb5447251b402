"""The cases. Each has its own way and its peers' ways to do one job over the same input."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from bench.measure import Timing, race
from bench.peers import Record, Windows, decode_record
from engine.records import make_decoder
from ext.batch import Batch
from ext.core import Core
from ext.texts import Texts

OURS = "sortline"
Result = dict[str, Timing]


def decode_ndjson(chunks: Sequence[bytes], runs: int) -> Result:
    """NDJSON to checked columns; the peers: msgspec into structs of the same fields, and the standard library."""

    def ours() -> Callable[[bytes], object]:
        texts = Texts()
        batch, decoder = Batch(texts), make_decoder(texts)

        def step(chunk: bytes) -> None:
            batch.clear()
            decoder.decode(chunk, batch)

        return step

    return race(
        {
            OURS: ours,
            "msgspec.struct": lambda: lambda chunk: [decode_record(line) for line in chunk.splitlines()],
            "json.loads": lambda: lambda chunk: [json.loads(line) for line in chunk.splitlines()],
        },
        chunks,
        runs,
    )


def core_ndjson(chunks: Sequence[bytes], runs: int) -> Result:
    """NDJSON to business events; the peer: a plain loop over msgspec structs that does part of the job."""

    def ours() -> Callable[[bytes], object]:
        texts = Texts()
        batch, decoder, core = Batch(texts), make_decoder(texts), Core("dc1", texts)

        def step(chunk: bytes) -> list[Any]:
            batch.clear()
            core.reject(len(decoder.decode(chunk, batch)))
            core.feed(batch)
            return core.take()

        return step

    def loop() -> Callable[[bytes], object]:
        take = Windows().take

        def step(chunk: bytes) -> None:
            for line in chunk.splitlines():
                take(decode_record(line))

        return step

    return race({OURS: ours, "msgspec.loop": loop}, chunks, runs)


def core_columns(chunks: Sequence[bytes], runs: int) -> Result:
    """Decoded records to business events, columns or structs."""
    texts = Texts()
    decoder = make_decoder(texts)
    decoded: list[tuple[Batch, list[Record]]] = []
    for chunk in chunks:
        batch = Batch(texts)
        decoder.decode(chunk, batch)
        decoded.append((batch, [decode_record(line) for line in chunk.splitlines()]))

    def ours() -> Callable[[tuple[Batch, list[Record]]], object]:
        core = Core("dc1", texts)

        def step(chunk: tuple[Batch, list[Record]]) -> list[Any]:
            core.feed(chunk[0])
            return core.take()

        return step

    def loop() -> Callable[[tuple[Batch, list[Record]]], object]:
        take = Windows().take

        def step(chunk: tuple[Batch, list[Record]]) -> None:
            for record in chunk[1]:
                take(record)

        return step

    return race({OURS: ours, "python.loop": loop}, decoded, runs)


CASES: dict[str, Callable[[Sequence[bytes], int], Result]] = {
    "decode.ndjson": decode_ndjson,
    "core.ndjson": core_ndjson,
    "core.columns": core_columns,
}
